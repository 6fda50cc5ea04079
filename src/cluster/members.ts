/**
 * Which nodes live. A node is alive while its packets arrive, and dead after some seconds without any. While
 * this node does not hear its own heartbeats through the bus, it judges nobody: then the bus is away, or it is
 * cut off itself. All times are those of this machine.
 */
import type { Clock } from '../kit/clock.js';
import type { NodeLife } from './api.js';
import { NO_DIFFERENCES, type Differences } from './facts.js';

/** Time between two heartbeats. */
export const BEAT_MS = 1_000;
/** Silence after which a node is dead. Its peers are announced as gone at once. */
const DEAD_MS = 7_000;
/** Without an own heartbeat for this long, this node is cut off: well before others would be dead. */
const CUT_OFF_MS = 3_500;

interface Member {
  life: NodeLife;
  heardAt: number | undefined;
  /** When its silence began to count. */
  judgedFrom: number;
  version: string | undefined;
  inSync: boolean;
  /** How it differed from this node at its last heartbeat. */
  differences: Differences;
}

export interface MembersOptions {
  /** The other nodes. */
  readonly nodes: readonly string[];
  readonly clock: Clock;
  readonly onDeath: (node: string) => void;
  readonly onCutOff: () => void;
  readonly onConnected: () => void;
}

export class Members {
  readonly #options: MembersOptions;
  readonly #members = new Map<string, Member>();
  #echoAt = -Infinity;
  #connected = false;
  #since: number;

  constructor(options: MembersOptions) {
    this.#options = options;
    const now = options.clock.now();
    this.#since = now;
    for (const node of options.nodes) {
      this.#members.set(node, {
        life: 'unknown',
        heardAt: undefined,
        judgedFrom: now,
        version: undefined,
        inSync: false,
        differences: NO_DIFFERENCES,
      });
    }
  }

  get connected(): boolean {
    return this.#connected;
  }

  /** When `connected` changed last. */
  get since(): number {
    return this.#since;
  }

  get(node: string): Readonly<Member> | undefined {
    return this.#members.get(node);
  }

  isDead(node: string): boolean {
    return this.#members.get(node)?.life === 'dead';
  }

  /** An own heartbeat came back. */
  echo(): void {
    const now = this.#options.clock.now();
    this.#echoAt = now;
    if (this.#connected) return;
    this.#connected = true;
    this.#since = now;
    // They had no chance to be heard.
    for (const member of this.#members.values()) member.judgedFrom = now;
    this.#options.onConnected();
  }

  /** Another process was connected a moment ago, and this one continues it. */
  resume(): void {
    const now = this.#options.clock.now();
    this.#echoAt = now;
    this.#connected = true;
    this.#since = now;
    for (const member of this.#members.values()) member.judgedFrom = now;
  }

  /** The bus says that it is away. */
  lost(): void {
    this.#echoAt = -Infinity;
    this.#cutOff();
  }

  heard(node: string): void {
    const member = this.#members.get(node);
    if (!member) return;
    const now = this.#options.clock.now();
    member.heardAt = now;
    member.judgedFrom = now;
    member.life = 'alive';
  }

  beat(node: string, said: Pick<Member, 'version' | 'inSync' | 'differences'>): void {
    const member = this.#members.get(node);
    if (member) Object.assign(member, said);
  }

  /** It says that it stops. */
  bye(node: string): void {
    const member = this.#members.get(node);
    if (!member || member.life === 'dead') return;
    member.life = 'dead';
    member.inSync = false;
    this.#options.onDeath(node);
  }

  sweep(): void {
    const now = this.#options.clock.now();
    if (this.#connected && now - this.#echoAt >= CUT_OFF_MS) this.#cutOff();
    if (!this.#connected) return;
    for (const [node, { life, judgedFrom }] of this.#members) {
      if (life !== 'dead' && now - judgedFrom >= DEAD_MS) this.bye(node);
    }
  }

  #cutOff(): void {
    if (!this.#connected) return;
    this.#connected = false;
    this.#since = this.#options.clock.now();
    for (const member of this.#members.values()) {
      if (member.life === 'alive') member.life = 'unknown';
    }
    this.#options.onCutOff();
  }
}
