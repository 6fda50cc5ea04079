/**
 * The exits of a router (rows D25, D29 and D30): clients obtain them over a path, move them to another path, and close
 * them. Every table has a bound, every exit a lifetime, and signatures are checked at a bounded rate.
 */
import type { Clock } from '../../kit/clock.js';
import { TokenBucket } from '../../kit/rate-limit.js';
import type { RandomBytes, SigningKeys } from '../crypto.js';
import type { Hop } from '../path/hops.js';
import type { Unnumbered } from '../path/path.js';
import { WaitingRoom } from '../path/sequencer.js';
import { keyText } from '../router/distance.js';
import type { Downward } from '../router/ends.js';
import type { RoutingMessage, RoutingMessageOf } from '../routing-messages.js';
import type { TrafficPolicy } from '../structures.js';
import { accessOf, type AccessRequest, type AccessVerdict } from './access.js';
import { ExitAddresses } from './addresses.js';
import { Granted, type ExitDrops, type ExitTarget } from './granted.js';
import { notOffered } from './policy.js';
import { isFrom, NO_SIGNATURE, signedBy } from './signing.js';

/** Exits at a time, and requests that wait for an answer about their code. */
const MAX_EXITS = 256;
export const MAX_WAITING = 64;
/** Signatures that are checked in a second. */
const CHECKS_PER_SECOND = 100;
/** The longest life of an exit, in seconds. GXM cannot say another one than was asked for. */
export const MAX_LIFETIME_SECONDS = 3_600n;
/** An exit whose path is gone waits so long for UXPM. */
export const GRACE_MS = 30_000;
/** When a client may ask again. */
const BACKOFF_MS = 10_000n;
const NETMASK_BITS = 22;

export interface ExitsOptions {
  readonly clock: Clock;
  readonly randomBytes: RandomBytes;
  /** The identity of the router. */
  readonly identity: SigningKeys;
  /** What this exit drops. */
  readonly policies: readonly TrafficPolicy[];
  readonly allows: { readonly internet: boolean; readonly router: boolean };
  /** 4 bytes: the network of the addresses, for example that of 10.0.0.0. */
  readonly network: Uint8Array;
  readonly target: ExitTarget;
  /** Exits at a time, default and at most `MAX_EXITS`. */
  readonly most?: number;
  /** Decides about access codes; without it, no code is needed. */
  readonly admits?: (request: AccessRequest) => Promise<AccessVerdict>;
}

type Obtain = RoutingMessageOf<'obtainExit'>;
type ExitMessage = Extract<
  RoutingMessage,
  { kind: 'obtainExit' | 'traffic' | 'updateExit' | 'closeExit' }
>;

/** Why a client is refused, by the text of the counter. */
type Refusal = 'kind' | 'policy' | 'lifetime' | 'taken' | 'full' | 'code';

export class Exits {
  readonly #options: ExitsOptions;
  readonly #most: number;
  readonly #addresses: ExitAddresses;
  readonly #checks: TokenBucket;
  readonly #room = new WaitingRoom();
  readonly #byHop = new Map<Hop, Granted>();
  readonly #byKey = new Map<string, Granted>();
  /** Exits by the id of their path, also of a path that is gone: UXPM names it. */
  readonly #byPathId = new Map<string, Granted>();
  /** Paths whose client waits for an answer about its code. */
  readonly #waiting = new Set<Hop>();
  #closed = false;
  readonly dropped: ExitDrops & Record<'signature' | 'unexpected' | 'checks', number> = {
    packet: 0,
    order: 0,
    policy: 0,
    rate: 0,
    target: 0,
    down: 0,
    signature: 0,
    unexpected: 0,
    checks: 0,
  };
  readonly refused: Record<Refusal, number> = {
    kind: 0,
    policy: 0,
    lifetime: 0,
    taken: 0,
    full: 0,
    code: 0,
  };

  constructor(options: ExitsOptions) {
    this.#options = options;
    this.#most = Math.min(options.most ?? MAX_EXITS, MAX_EXITS);
    this.#addresses = new ExitAddresses(options.network, this.#most);
    this.#checks = new TokenBucket(options.clock, CHECKS_PER_SECOND, CHECKS_PER_SECOND);
  }

  get size(): number {
    return this.#byKey.size;
  }

  /** Requests that wait for an answer about their code. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /** A message at the end of a path. False when it is not one of exits. */
  onMessage(message: RoutingMessage, hop: Hop, down: Downward): message is ExitMessage {
    switch (message.kind) {
      case 'obtainExit':
        this.#onObtain(message, hop, down);
        return true;
      case 'traffic':
        this.#onTraffic(message, hop, down);
        return true;
      case 'updateExit':
        this.#onUpdate(message, hop, down);
        return true;
      case 'closeExit':
        this.#onClose(message, hop, down);
        return true;
      case 'confirm':
      case 'latency':
      case 'grantExit':
      case 'rejectExit':
      case 'transfer':
      case 'discarded':
      case 'verifyExit':
      case 'dht':
        return false;
    }
  }

  /** A path is gone; its exit waits for UXPM. */
  onGone(hop: Hop): void {
    this.#waiting.delete(hop);
    const exit = this.#byHop.get(hop);
    if (!exit) return;
    this.#byHop.delete(hop);
    exit.path = undefined;
    exit.cancelGrace = this.#options.clock.after(GRACE_MS, () => this.#remove(exit));
  }

  /** Closes all exits, and tells their clients. */
  close(): void {
    this.#closed = true;
    this.#waiting.clear();
    for (const exit of this.#byKey.values()) this.#end(exit);
  }

  #onObtain(message: Obtain, hop: Hop, down: Downward): void {
    if (!this.#isSigned(message, message.key)) return;
    const known = this.#byHop.get(hop);
    if (known && keyText(known.key) === keyText(message.key)) {
      // The answer was lost.
      if (known.transaction === message.transaction) this.#grant(known, down);
      else this.#refuse('taken', message, down);
      return;
    }
    if (this.#waiting.has(hop)) return;
    const refusal = this.#refusal(message, hop);
    if (refusal) this.#refuse(refusal, message, down);
    else if (this.#options.admits) void this.#ask(this.#options.admits, message, hop, down);
    else this.#open(message, hop, down);
  }

  #refusal({ internet, required, lifetime, key }: Obtain, hop: Hop): Refusal | undefined {
    const { allows, policies } = this.#options;
    if (!(internet ? allows.internet : allows.router)) return 'kind';
    if (notOffered(policies, required).length > 0) return 'policy';
    if (lifetime === 0n || lifetime > MAX_LIFETIME_SECONDS) return 'lifetime';
    if (this.#byHop.has(hop) || this.#byKey.has(keyText(key))) return 'taken';
    const isFull = this.size >= this.#most || this.#waiting.size >= MAX_WAITING;
    return isFull ? 'full' : undefined;
  }

  async #ask(
    admits: (request: AccessRequest) => Promise<AccessVerdict>,
    message: Obtain,
    hop: Hop,
    down: Downward,
  ): Promise<void> {
    const access = accessOf(message);
    if (!access) {
      this.#refuse('code', message, down);
      return;
    }
    this.#waiting.add(hop);
    let verdict: AccessVerdict;
    try {
      verdict = await admits(access);
    } catch {
      verdict = 'REJECT';
    }
    // The path may be gone, and other clients may have come meanwhile.
    if (!this.#waiting.delete(hop) || this.#closed) return;
    const refusal = verdict === 'OKAY' ? this.#refusal(message, hop) : 'code';
    if (refusal) this.#refuse(refusal, message, down);
    else this.#open(message, hop, down);
  }

  #open(message: Obtain, hop: Hop, down: Downward): void {
    const { clock, target, policies } = this.#options;
    const source = this.#addresses.take();
    if (!source) {
      this.#refuse('full', message, down);
      return;
    }
    const { key, transaction, internet, forbidden, lifetime } = message;
    const route = {
      gateway: this.#addresses.gateway,
      netmask: netmask(),
      source,
      lifetimeMs: lifetime * 1_000n,
    };
    const exit = new Granted(
      {
        clock,
        target,
        dropped: this.dropped,
        room: this.#room,
        key: key.slice(),
        transaction,
        internet,
        route,
        policies: [...policies, ...forbidden],
      },
      { hop, down },
    );
    exit.cancelExpiry = clock.after(Number(route.lifetimeMs), () => this.#end(exit));
    this.#byKey.set(keyText(key), exit);
    this.#byHop.set(hop, exit);
    this.#byPathId.set(keyText(hop.receiveId), exit);
    this.#grant(exit, down);
  }

  #grant({ transaction }: Granted, down: Downward): void {
    this.#answer(down, { kind: 'grantExit', transaction, ...this.#blank() });
  }

  #refuse(refusal: Refusal, { transaction, required }: Obtain, down: Downward): void {
    this.refused[refusal]++;
    const rejected = refusal === 'policy' ? notOffered(this.#options.policies, required) : [];
    this.#answer(down, {
      kind: 'rejectExit',
      backoffMs: BACKOFF_MS,
      rejected,
      transaction,
      ...this.#blank(),
    });
  }

  #onTraffic(message: RoutingMessageOf<'traffic'>, hop: Hop, down: Downward): void {
    const exit = this.#byHop.get(hop);
    if (exit) exit.receive(message, down);
    else this.dropped.unexpected++;
  }

  /** UXPM: from the new path. The document has no answer for one that is refused. */
  #onUpdate(message: RoutingMessageOf<'updateExit'>, hop: Hop, down: Downward): void {
    const exit = this.#byPathId.get(keyText(message.previousPath));
    const other = this.#byHop.get(hop);
    if (!exit || (other && other !== exit)) {
      this.dropped.unexpected++;
      return;
    }
    if (!this.#isSigned(message, exit.key)) return;
    if (!exit.isNew(message.nonce)) {
      this.dropped.unexpected++;
      return;
    }
    if (exit.path) this.#byHop.delete(exit.path.hop);
    exit.cancelGrace();
    exit.path = { hop, down };
    this.#byHop.set(hop, exit);
    // The earlier id stays: the client asks again when the answer is lost.
    this.#forgetIds(exit, keyText(message.previousPath));
    this.#byPathId.set(keyText(hop.receiveId), exit);
    const { transaction } = message;
    this.#answer(down, { kind: 'verifyExit', transaction, ...this.#blank() });
  }

  #onClose(message: RoutingMessageOf<'closeExit'>, hop: Hop, down: Downward): void {
    const exit = this.#byHop.get(hop);
    if (!exit) {
      this.dropped.unexpected++;
      return;
    }
    if (!this.#isSigned(message, exit.key)) return;
    this.#remove(exit);
    this.#answer(down, { kind: 'closeExit', ...this.#blank() });
  }

  /** Closes an exit before its client asks for it. */
  #end(exit: Granted): void {
    const down = exit.path?.down;
    this.#remove(exit);
    if (down) this.#answer(down, { kind: 'closeExit', ...this.#blank() });
  }

  #remove(exit: Granted): void {
    if (!this.#byKey.delete(keyText(exit.key))) return;
    if (exit.path) this.#byHop.delete(exit.path.hop);
    this.#forgetIds(exit);
    exit.close();
    this.#addresses.giveBack(exit.route.source);
  }

  #forgetIds(exit: Granted, except?: string): void {
    for (const [id, each] of this.#byPathId) {
      if (each === exit && id !== except) this.#byPathId.delete(id);
    }
  }

  #isSigned(message: Parameters<typeof isFrom>[0], key: Uint8Array): boolean {
    if (!this.#checks.take()) {
      this.dropped.checks++;
      return false;
    }
    if (isFrom(message, key)) return true;
    this.dropped.signature++;
    return false;
  }

  #blank() {
    return { nonce: this.#options.randomBytes(16), signature: NO_SIGNATURE, version: 0n } as const;
  }

  #answer(down: Downward, message: Unnumbered<RoutingMessage>): void {
    down.send(message, signedBy(this.#options.identity.seed));
  }
}

function netmask(): Uint8Array {
  const mask = new Uint8Array(16).fill(255);
  new DataView(mask.buffer).setUint32(12, (0xffff_ffff << (32 - NETMASK_BITS)) >>> 0);
  return mask;
}
