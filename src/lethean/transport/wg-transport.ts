/** WireGuard gates (section 8): an interface of this machine, and connections from its address. */
import { Resolver } from 'node:dns/promises';
import { isIP } from 'node:net';
import type { Duplex } from 'node:stream';
import { errorText } from '../../kit/error-text.js';
import { silentLog, type Log } from '../../channel/log.js';
import type { Gate } from '../model.js';
import type { Transport, Tunnel, TunnelEnd, TunnelTarget } from '../ports.js';
import { connectTcp, DIAL_TIMEOUT_MS, withDeadline } from './dial.js';
import { hasDevice } from './net-devices.js';
import { OpenStreams } from './open-streams.js';
import { isOwnAddress } from './own-addresses.js';
import { TransportError } from './transport-error.js';
import { DEFAULT_COMMANDS, type WireGuardCommands } from './wg-commands.js';
import { deviceOf, wireGuardPlan, type WireGuardPlan } from './wg-config.js';
import { WireGuardInterfaces } from './wg-interface.js';
import { ofGate, type StoredWireGuardKeys } from './wg-keys.js';

export interface WireGuardTransportOptions {
  readonly keys: StoredWireGuardKeys;
  /** A file of this client that remembers interfaces. */
  readonly journal: string;
  readonly commands?: Partial<WireGuardCommands>;
  /** Default `wg`, from the PATH. */
  readonly wg?: string;
  /** `wg-map-device`: names of interfaces by gate. */
  readonly devices?: ReadonlyMap<string, string>;
  /** `wg-shutdown-on-disconnect`; default true. */
  readonly removesInterface?: boolean;
  /** The table of routes; default 51888. */
  readonly table?: number;
  /** Milliseconds until the first handshake, and of a connection; default 20,000. */
  readonly timeoutMs?: number;
  readonly log?: Log;
}

const TABLE = 51_888;
/** Milliseconds between looks for the first handshake. */
const HANDSHAKE_LOOK_MS = 100;
/** Milliseconds between looks at an interface that stands. */
const LOOK_MS = 1_000;
const HANDSHAKE_EVERY_LOOKS = 30;
/** WireGuard makes a new handshake after 120 s, and gives up after 90 s more. */
const DEAD_SECONDS = 240;
const NO_HANDSHAKE = { sent: 0, received: 0 };

class WireGuardTunnel implements Tunnel {
  readonly kind: Gate['type'] = 'wg';
  readonly #plan: WireGuardPlan;
  readonly #interfaces: WireGuardInterfaces;
  readonly #timeoutMs: number;
  readonly #streams = new OpenStreams();
  #timer: NodeJS.Timeout | undefined;
  #looks = 0;
  #removed: Promise<void> | undefined;

  constructor(plan: WireGuardPlan, interfaces: WireGuardInterfaces, timeoutMs: number) {
    this.#plan = plan;
    this.#interfaces = interfaces;
    this.#timeoutMs = timeoutMs;
    this.#later();
  }

  get ended(): Promise<TunnelEnd> {
    return this.#streams.ended;
  }

  bytes(): { readonly sent: number; readonly received: number } {
    return this.#streams.bytes();
  }

  connect(host: string, port: number, signal: AbortSignal): Promise<Duplex> {
    return this.#streams.add(signal, (either) =>
      withDeadline(this.#timeoutMs, either, 'a connection through WireGuard', async (limited) => {
        const address = await this.#addressOf(host);
        if (isOwnAddress(address)) {
          throw new TransportError(
            'destination',
            'the destination is an address of this machine, which no tunnel leads to',
          );
        }
        const family = isIP(address);
        const localAddress = this.#plan.addresses.find((own) => own.family === family)?.ip;
        if (localAddress === undefined) {
          throw new TransportError('destination', `the tunnel has no address of IPv${family}`);
        }
        const socket = await connectTcp({ host: address, port, localAddress }, limited);
        return { socket, handshake: NO_HANDSHAKE };
      }),
    );
  }

  async close(): Promise<void> {
    await this.#end({ kind: 'closed' });
  }

  /** Names are asked of the resolvers in the tunnel, from its address; never of this machine's. */
  async #addressOf(host: string): Promise<string> {
    if (isIP(host) !== 0) return host;
    const { dns, addresses } = this.#plan;
    if (dns.length === 0) {
      throw new TransportError(
        'destination',
        'the tunnel has no resolver of names: use an address',
      );
    }
    const resolver = new Resolver({ timeout: 3_000, tries: 2 });
    resolver.setServers([...dns]);
    const own = (family: 4 | 6): string | undefined =>
      addresses.find((address) => address.family === family)?.ip;
    resolver.setLocalAddress(own(4) ?? '0.0.0.0', own(6) ?? '::0');
    try {
      const [address] = await resolver.resolve4(host);
      if (address !== undefined) return address;
    } catch (cause) {
      const text = `the resolvers of the tunnel do not know the name (${errorText(cause, 100)})`;
      throw new TransportError('destination', text, { cause });
    }
    throw new TransportError('destination', 'the resolvers of the tunnel know no address of it');
  }

  #later(): void {
    if (this.#streams.signal.aborted) return;
    this.#timer = setTimeout(() => void this.#look(), LOOK_MS);
    this.#timer.unref();
  }

  async #look(): Promise<void> {
    const { device } = this.#plan;
    if (!hasDevice(device)) {
      await this.#end({ kind: 'lost', reason: `the interface ${device} was removed` });
      return;
    }
    this.#looks += 1;
    if (this.#looks % HANDSHAKE_EVERY_LOOKS === 0) {
      const last = await this.#interfaces
        .lastHandshake(device, this.#streams.signal)
        .catch(() => undefined);
      if (last !== undefined && Date.now() / 1_000 - last > DEAD_SECONDS) {
        await this.#end({
          kind: 'lost',
          reason: `no handshake with the gate for ${DEAD_SECONDS} s`,
        });
        return;
      }
    }
    this.#later();
  }

  #end(reason: TunnelEnd): Promise<void> {
    clearTimeout(this.#timer);
    this.#removed ??= this.#interfaces.end(this.#plan.device);
    const removed = this.#removed;
    this.#streams.end(reason);
    return removed;
  }
}

/** Transport of the WireGuard gates. */
export class WireGuardTransport implements Transport {
  readonly #options: WireGuardTransportOptions;
  readonly #interfaces: WireGuardInterfaces;
  /** Removes what an earlier process left, once, before the first interface. */
  #cleaned: Promise<void> | undefined;

  constructor(options: WireGuardTransportOptions) {
    this.#options = options;
    this.#interfaces = new WireGuardInterfaces({
      commands: { ...DEFAULT_COMMANDS, ...options.commands },
      wg: options.wg ?? 'wg',
      journal: options.journal,
      table: options.table ?? TABLE,
      stays: options.removesInterface === false,
      log: options.log ?? silentLog,
    });
  }

  serves(gate: Gate): boolean {
    return gate.type === 'wg' || gate.type === 'wg-tcp';
  }

  /** Removes interfaces, rules and routes that an earlier process left. */
  cleanUp(): Promise<void> {
    this.#cleaned ??= this.#interfaces.cleanUp();
    return this.#cleaned;
  }

  /** Resolves after the first handshake. Rejects with a TransportError; no interface, rule or file is left then. */
  async open(target: TunnelTarget, signal: AbortSignal): Promise<Tunnel> {
    const { gate, session, space } = target;
    const { keys, devices, timeoutMs = DIAL_TIMEOUT_MS } = this.#options;
    if (gate.type === 'wg-tcp' || (gate.type === 'wg' && gate.wg.tcp)) {
      throw new TransportError(
        'unsupported',
        'WireGuard uses UDP, and no document says how this gate carries it over TCP: choose another gate',
      );
    }
    if (gate.type !== 'wg') {
      throw new TransportError('unsupported', `a gate of type ${gate.type} is not WireGuard`);
    }
    if (session.wg === undefined) {
      throw new TransportError(
        'unsupported',
        'the provider gave no WireGuard data for this session',
      );
    }
    await this.cleanUp();
    const privateKey = await keys.privateKey(gate.gateId);
    const device = ofGate(devices, gate.gateId) ?? deviceOf(gate.gateId);
    const plan = wireGuardPlan(gate.wg, session.wg, space, privateKey, device);
    const interfaces = this.#interfaces;
    const what = 'WireGuard';
    return withDeadline(timeoutMs, signal, what, async (limited) => {
      await interfaces.create(plan, limited);
      try {
        await firstHandshake(interfaces, plan.device, limited);
        return new WireGuardTunnel(plan, interfaces, timeoutMs);
      } catch (error) {
        await interfaces.end(plan.device, true);
        throw error;
      }
    });
  }
}

async function firstHandshake(
  interfaces: WireGuardInterfaces,
  device: string,
  signal: AbortSignal,
): Promise<void> {
  // oxlint-disable no-await-in-loop -- wg tells no change
  while ((await interfaces.lastHandshake(device, signal)) === 0) {
    await new Promise((resolve) => {
      setTimeout(resolve, HANDSHAKE_LOOK_MS);
    });
    signal.throwIfAborted();
  }
  // oxlint-enable no-await-in-loop
}
