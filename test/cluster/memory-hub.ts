/** A bus in memory between nodes. The test decides who hears whom, and when. */
import type { Bus, BusHandler } from '../../src/cluster/bus.js';

export interface Sent {
  readonly from: string;
  readonly to: string | undefined;
  readonly bytes: Uint8Array;
}

interface Member {
  readonly name: string;
  readonly handler: BusHandler;
}

export interface MemoryHub {
  /** The bus of one node. */
  bus(): Bus;
  /** Delivers what was published, in order, until nothing is left. */
  run(): void;
  /** The server is away (false) or back. */
  power(on: boolean): void;
  /** Nodes of different groups do not hear each other; no groups: all do. */
  split(...groups: readonly (readonly string[])[]): void;
  /** Loses each packet for which this returns true. */
  lose: (sent: Sent) => boolean;
  /** Everything that was published. */
  readonly log: readonly Sent[];
  /** Publishes bytes as anybody who reaches the server can. */
  inject(to: string | undefined, bytes: Uint8Array): void;
}

export function createMemoryHub(): MemoryHub {
  const members = new Set<Member>();
  const queue: Sent[] = [];
  const log: Sent[] = [];
  let groups: readonly (readonly string[])[] = [];
  let on = true;

  const isTogether = (a: string, b: string): boolean =>
    a === '' ||
    groups.length === 0 ||
    groups.some((group) => group.includes(a) && group.includes(b));

  const hub: MemoryHub = {
    log,
    lose: () => false,
    bus() {
      let member: Member | undefined;
      return {
        open(_prefix, name, handler) {
          member = { name, handler };
          members.add(member);
          if (on) handler.state({ connected: true });
          return Promise.resolve();
        },
        publish(to, bytes) {
          if (!on || !member || !members.has(member)) return false;
          const sent = { from: member.name, to, bytes };
          log.push(sent);
          queue.push(sent);
          return true;
        },
        close() {
          if (member) members.delete(member);
          return Promise.resolve();
        },
      };
    },
    run() {
      for (let sent = queue.shift(); sent; sent = queue.shift()) {
        if (!on) continue;
        for (const { name, handler } of members) {
          if (sent.to !== undefined && sent.to !== name) continue;
          if (!isTogether(sent.from, name) || hub.lose(sent)) continue;
          handler.packet(sent.bytes);
        }
      }
    },
    power(isOn) {
      if (on === isOn) return;
      on = isOn;
      queue.length = 0;
      for (const { handler } of members) {
        handler.state(
          on ? { connected: true } : { connected: false, detail: 'the server is away' },
        );
      }
    },
    split(...parts) {
      groups = parts;
    },
    inject(to, bytes) {
      queue.push({ from: '', to, bytes });
    },
  };
  return hub;
}
