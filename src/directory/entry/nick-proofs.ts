/**
 * Nick authentication, the directory's side (JMP-0005; docs/protocol.md, section 7.6). A peer that
 * can prove its nick is asked to, between its 795 and its first message; who cannot is asked nothing.
 *
 * A signature takes about 2 ms to check, and anybody can send one: they are checked one at a time with
 * a pause between, in order of arrival. An unanswered challenge costs no more than a connection does.
 */
import type { Clock } from '../../channel/ports.js';
import { MessageType } from '../../protocol/constants.js';
import type { RandomBytes } from '../../protocol/encryption.js';
import { encodeEnvelope, type Envelope } from '../../protocol/envelope.js';
import {
  createNickChallenge,
  formatNickChallenge,
  formatNickResult,
  parseNickProof,
  verifyNickProof,
  NICK_AUTH_FEATURE,
  type NickAuthCode,
  type NickAuthProof,
} from '../../protocol/nick-auth.js';
import type { DirectoryLimits } from '../limits.js';
import type { Peer, Proving } from '../peer.js';
import type { Registry } from '../registry.js';
import type { ProvingSnapshot } from '../snapshot.js';
import type { Tally } from '../stats.js';

/** Longest wait for a proof (section 7.6); the handshake's time where that is shorter. */
const MAX_ANSWER_MS = 30_000;
/** From one signature to the next. */
const BETWEEN_CHECKS_MS = 10;

export interface NickAuthOptions {
  /** Refuse peers that cannot prove their nick. */
  readonly required: boolean;
  readonly randomBytes: RandomBytes;
}

export interface NickProofs {
  /** Whether this newcomer can be asked for a proof. */
  asks(peer: Peer): boolean;
  /** Whether it is refused because it cannot. */
  demands(peer: Peer): boolean;
  /** Asks a newcomer, state `new`, whose 795 was just written. */
  begin(peer: Peer, handshakePayload: string): void;
  /** The line of a peer in state `proving`; undefined for one that is no envelope. */
  line(peer: Peer, envelope: Envelope | undefined): void;
  /** Goes on with a peer that another process had asked. */
  resume(peer: Peer, from: ProvingSnapshot): void;
  /** Ends who took too long. */
  sweep(now: number): void;
  /** A `proving` newcomer is gone. */
  gone(peer: Peer): void;
  /** Stops checking. */
  clear(): void;
}

export interface NickProofsOptions {
  /** Absent = nobody is asked. */
  readonly nickAuth: NickAuthOptions | undefined;
  readonly directoryId: () => string;
  readonly limits: () => DirectoryLimits;
  readonly clock: Clock;
  readonly registry: Registry;
  readonly tally: Tally;
  /** Writes one frame to a peer that is not ready. */
  readonly write: (peer: Peer, frame: string) => void;
  /** Whether a peer that holds this key, its nick's, may come in. */
  readonly mayEnter: (peer: Peer, publicKeyHex: string) => boolean;
  /** Makes it ready; it was told. */
  readonly enter: (peer: Peer, publicKeyHex: string) => void;
  /** Lets a peer go that was told why. */
  readonly letGo: (peer: Peer) => void;
  /** Called after a check that no line brought about. */
  readonly settle: () => void;
}

export function createNickProofs(options: NickProofsOptions): NickProofs {
  const { nickAuth, directoryId, limits, clock, registry, tally, write } = options;
  /** Whose proof came, in order. */
  const queue = new Set<Peer>();
  let checkedAt = -Infinity;
  let cancelCheck: (() => void) | undefined;

  function tell(peer: Peer, code: NickAuthCode): void {
    tally.nickAuth[code]++;
    tally.messagesOut.handshake++;
    write(peer, encodeEnvelope(MessageType.NICK_AUTH_RESULT, formatNickResult(code)));
  }

  function refuse(peer: Peer, code: Exclude<NickAuthCode, 'ok'>): void {
    queue.delete(peer);
    tell(peer, code);
    options.letGo(peer);
  }

  function check(peer: Peer, { challenge, handshake }: Proving, proof: NickAuthProof): void {
    checkedAt = clock.now();
    if (!verifyNickProof(proof, challenge, handshake, peer.nick)) {
      refuse(peer, 'invalid');
    } else if (!options.mayEnter(peer, proof.publicKeyHex)) {
      refuse(peer, 'policy');
    } else {
      tell(peer, 'ok');
      options.enter(peer, proof.publicKeyHex);
    }
  }

  /** Checks the next one, now or when it is time. */
  function next(): void {
    if (cancelCheck || queue.size === 0) return;
    const waitMs = checkedAt + BETWEEN_CHECKS_MS - clock.now();
    if (waitMs > 0) {
      cancelCheck = clock.after(waitMs, () => {
        cancelCheck = undefined;
        next();
        options.settle();
      });
      return;
    }
    for (const peer of queue) {
      queue.delete(peer);
      const { proving } = peer;
      if (proving?.proof) check(peer, proving, proving.proof);
      break;
    }
    next();
  }

  return {
    asks: (peer) => nickAuth !== undefined && peer.features.includes(NICK_AUTH_FEATURE),
    demands: (peer) => nickAuth?.required === true && !peer.features.includes(NICK_AUTH_FEATURE),
    begin(peer, handshake) {
      if (!nickAuth) return;
      const challenge = createNickChallenge(directoryId(), nickAuth.randomBytes);
      peer.state = 'proving';
      peer.proving = { challenge, handshake, askedAt: clock.now(), proof: undefined };
      tally.messagesOut.handshake++;
      write(peer, encodeEnvelope(MessageType.NICK_AUTH_CHALLENGE, formatNickChallenge(challenge)));
    },
    line(peer, envelope) {
      const { proving } = peer;
      if (!proving) return;
      tally.messagesIn.handshake++;
      const proof =
        envelope?.type === MessageType.NICK_AUTH_PROOF && proving.proof === undefined
          ? parseNickProof(envelope.line)
          : undefined;
      if (!proof?.ok) {
        refuse(peer, 'malformed');
        return;
      }
      proving.proof = proof.value;
      queue.add(peer);
      next();
    },
    resume(peer, { challenge, handshake, askedMs, proof }) {
      peer.state = 'proving';
      peer.proving = { challenge, handshake, askedAt: clock.now() - askedMs, proof };
      if (!proof) return;
      queue.add(peer);
      next();
    },
    sweep(now) {
      const waitMs = Math.min(limits().handshakeTimeoutMs, MAX_ANSWER_MS);
      for (const peer of registry.unhandshaked) {
        if (now - peer.acceptedAt < waitMs) break;
        const { state, proving } = peer;
        if (state !== 'proving' || !proving || proving.proof) continue;
        if (now - proving.askedAt >= waitMs) refuse(peer, 'expired');
      }
    },
    gone: (peer) => void queue.delete(peer),
    clear() {
      cancelCheck?.();
      cancelCheck = undefined;
      queue.clear();
    },
  };
}
