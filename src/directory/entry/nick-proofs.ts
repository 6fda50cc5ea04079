/**
 * Nick authentication, the directory's side (JMP-0005; docs/protocol.md, section 7.6). A peer that
 * lists the feature is asked for a proof between its 795 and its first message; other peers are not.
 *
 * A signature takes about 2 ms to check, and any peer can send one. So they are checked one at a time
 * with a pause between, in order of arrival. An unanswered challenge costs as much as a connection.
 */
import type { Clock } from '../../channel/ports.js';
import { MessageType } from '../../protocol/constants.js';
import type { RandomBytes } from '../../protocol/encryption.js';
import { encodeEnvelope, type Envelope } from '../../protocol/envelope.js';
import type { Location, LocationKind } from '../../protocol/location.js';
import {
  createNickChallenge,
  directoryId,
  formatNickChallenge,
  formatNickResult,
  parseNickProof,
  verifyNickProof,
  NICK_AUTH_FEATURE,
  type NickAuthCode,
  type NickAuthProof,
} from '../../protocol/nick-auth.js';
import type { Fanout } from '../fanout/fanout.js';
import type { DirectoryLimits } from '../limits.js';
import { writeFrame, type Peer, type Proving } from '../peer.js';
import type { Registry } from '../registry.js';
import type { ProvingSnapshot } from '../snapshot.js';
import type { Tally } from '../stats.js';

/** Longest wait for a proof (section 7.6), or the handshake timeout if that is shorter. */
const MAX_ANSWER_MS = 30_000;
/** Least time between two signature checks. */
const BETWEEN_CHECKS_MS = 10;

export interface NickAuthOptions {
  /** Refuse peers without a proof. */
  readonly required: boolean;
  readonly randomBytes: RandomBytes;
}

/** Whether a peer enters. `later`: `recheck` is called, or the peer ends. */
export type Entry = 'yes' | 'no' | 'later';

/** Admission's decisions about a peer that was asked. */
export interface ProvenEntry {
  /** Whether a peer that proved the key of its nick may have the nick. */
  mayEnter(peer: Peer, publicKeyHex: string): Entry;
  /** Makes it ready; its answer was sent before. */
  enter(peer: Peer, publicKeyHex: string): void;
  /** Ends a peer after the reason was sent. */
  letGo(peer: Peer, reason: 'nick-auth'): void;
}

export interface NickProofsOptions {
  /** Absent = no peer is asked. */
  readonly nickAuth?: NickAuthOptions | undefined;
  readonly location: (via: LocationKind) => Location;
  readonly limits: DirectoryLimits;
  readonly clock: Clock;
  readonly registry: Registry;
  readonly fanout: Fanout;
  readonly tally: Tally;
  readonly admission: ProvenEntry;
}

export class NickProofs {
  readonly #options: NickProofsOptions;
  /** Peers whose proof arrived, in order. */
  readonly #queue = new Set<Peer>();
  #checkedAt = -Infinity;
  #cancelCheck: (() => void) | undefined;

  constructor(options: NickProofsOptions) {
    this.#options = options;
  }

  /** Whether this newcomer is asked for a proof. */
  asks(peer: Peer): boolean {
    return this.#options.nickAuth !== undefined && peer.features.includes(NICK_AUTH_FEATURE);
  }

  /** Whether it is refused because it does not list the feature. */
  demands(peer: Peer): boolean {
    const isRequired = this.#options.nickAuth?.required === true;
    return isRequired && !peer.features.includes(NICK_AUTH_FEATURE);
  }

  /** Sends a challenge to a newcomer in state `new` whose 795 was just sent. */
  begin(peer: Peer, handshakePayload: string): void {
    const { nickAuth, location, clock, tally } = this.#options;
    if (!nickAuth) return;
    const id = directoryId(location(peer.connection.via));
    const challenge = createNickChallenge(id, nickAuth.randomBytes);
    peer.state = 'proving';
    peer.proving = {
      challenge,
      handshake: handshakePayload,
      askedAt: clock.now(),
      proof: undefined,
    };
    tally.messagesOut.handshake++;
    const payload = formatNickChallenge(challenge);
    writeFrame(peer, encodeEnvelope(MessageType.NICK_AUTH_CHALLENGE, payload), tally);
  }

  /** Handles the line of a peer in state `proving`; undefined for a line that is not an envelope. */
  line(peer: Peer, envelope: Envelope | undefined): void {
    const { proving } = peer;
    if (!proving) return;
    this.#options.tally.messagesIn.handshake++;
    const proof =
      envelope?.type === MessageType.NICK_AUTH_PROOF && proving.proof === undefined
        ? parseNickProof(envelope.line)
        : undefined;
    if (!proof?.ok) {
      this.#refuse(peer, 'malformed');
      return;
    }
    proving.proof = proof.value;
    this.#queue.add(peer);
    this.#next();
  }

  /** Continues with a peer that another process had asked. */
  resume(peer: Peer, { challenge, handshake, askedMs, proof }: ProvingSnapshot): void {
    peer.state = 'proving';
    const askedAt = this.#options.clock.now() - askedMs;
    peer.proving = { challenge, handshake, askedAt, proof };
    if (!proof) return;
    this.#queue.add(peer);
    this.#next();
  }

  /** A peer that had to wait after its proof. */
  recheck(peer: Peer): void {
    this.#queue.add(peer);
    this.#next();
  }

  /** Ends each peer whose time is over. */
  sweep(now: number): void {
    const { limits, registry } = this.#options;
    const waitMs = Math.min(limits.handshakeTimeoutMs, MAX_ANSWER_MS);
    for (const peer of registry.unhandshaked) {
      if (now - peer.acceptedAt < waitMs) break;
      const { state, proving } = peer;
      if (state !== 'proving' || !proving || proving.proof) continue;
      if (now - proving.askedAt >= waitMs) this.#refuse(peer, 'expired');
    }
  }

  /** A newcomer in state `proving` has ended. */
  gone(peer: Peer): void {
    this.#queue.delete(peer);
  }

  /** Stops checking. */
  clear(): void {
    this.#cancelCheck?.();
    this.#cancelCheck = undefined;
    this.#queue.clear();
  }

  #tell(peer: Peer, code: NickAuthCode): void {
    const { tally } = this.#options;
    tally.nickAuth[code]++;
    tally.messagesOut.handshake++;
    writeFrame(peer, encodeEnvelope(MessageType.NICK_AUTH_RESULT, formatNickResult(code)), tally);
  }

  #refuse(peer: Peer, code: Exclude<NickAuthCode, 'ok'>): void {
    this.#queue.delete(peer);
    this.#tell(peer, code);
    this.#options.admission.letGo(peer, 'nick-auth');
  }

  #check(peer: Peer, { challenge, handshake }: Proving, proof: NickAuthProof): void {
    const { clock, admission } = this.#options;
    this.#checkedAt = clock.now();
    if (!verifyNickProof(proof, challenge, handshake, peer.nick)) {
      this.#refuse(peer, 'invalid');
      return;
    }
    switch (admission.mayEnter(peer, proof.publicKeyHex)) {
      case 'yes':
        this.#tell(peer, 'ok');
        admission.enter(peer, proof.publicKeyHex);
        break;
      case 'no':
        this.#refuse(peer, 'policy');
        break;
      case 'later':
        break;
    }
  }

  /** Checks the next one, now or when it is due. */
  #next(): void {
    if (this.#cancelCheck || this.#queue.size === 0) return;
    const { clock, fanout } = this.#options;
    const waitMs = this.#checkedAt + BETWEEN_CHECKS_MS - clock.now();
    if (waitMs > 0) {
      this.#cancelCheck = clock.after(waitMs, () => {
        this.#cancelCheck = undefined;
        fanout.batch(() => this.#next());
      });
      return;
    }
    for (const peer of this.#queue) {
      this.#queue.delete(peer);
      const { proving } = peer;
      if (proving?.proof) this.#check(peer, proving, proving.proof);
      break;
    }
    this.#next();
  }
}
