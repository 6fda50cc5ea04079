/**
 * From accept to the 795 (docs/protocol.md, section 3.3): one valid 793 and nothing else, in time.
 * A handshake of somebody else's protocol is answered with `accepted: false` and closed, anything
 * that is no handshake is closed without a word.
 */
import type { Clock } from '../../channel/ports.js';
import { MessageType, type Network } from '../../protocol/constants.js';
import { encodeEnvelope, type Envelope } from '../../protocol/envelope.js';
import {
  formatDirectoryHandshake,
  isMismatch,
  parsePeerHandshake,
  type HandshakeGarbage,
  type HandshakeMismatch,
  type PeerHandshake,
} from '../../protocol/handshake.js';
import { sameLocation, type Location } from '../../protocol/location.js';
import { NICK_AUTH_FEATURE } from '../../protocol/nick-auth.js';
import type { Fanout } from '../fanout/fanout.js';
import type { DirectoryLimits } from '../limits.js';
import { boundedMotd } from './motd.js';
import type { NickProofs } from './nick-proofs.js';
import type { Peer } from '../peer.js';
import type { Registry } from '../registry.js';
import type { CloseReason, RejectionReason, Tally } from '../stats.js';

/** Features of ours, in every accepting 795; `nick_auth` only for who offered it. */
const FEATURES = ['peerlist_features', 'ping'];
/** How long a refused peer may take to read its answer. */
const REFUSAL_GRACE_MS = 5_000;

/**
 * When thousands come at once (after a restart all do), each needs a round trip to say its
 * handshake: connections as young as this may be so many times too many.
 */
const YOUNG_MS = 2_000;
const YOUNG_FACTOR = 4;

type AnsweredReason = Exclude<RejectionReason, HandshakeGarbage>;

const REASON_TEXT: Readonly<Record<AnsweredReason, (network: Network) => string>> = {
  'app-name': () => 'app-name must be joinmarket',
  'directory-flag': () => 'directories do not connect to directories',
  'proto-ver': () => 'protocol version must be 5',
  network: (network) => `this directory serves ${network}`,
  location: () => 'location-string must be <v3 onion>:port or NOT-SERVING-ONION',
  'own-location': () => 'location-string is the one of this directory',
  'nick-in-use': () => 'nick is in use by another connection',
  full: () => 'directory is full, try another one or later',
  'nick-auth': () => 'this directory serves only peers that prove their nick (nick_auth)',
};

export interface Admission {
  /** A fresh connection's record, already in the registry. Keeps `maxUnhandshaked`. */
  arrived(): void;
  /** The line of a peer in state `new`. */
  handshake(peer: Peer, envelope: Envelope): void;
  /** Makes a peer ready whose nick is free now, unless the directory is full. */
  admit(peer: Peer): void;
  refuseNick(peer: Peer): void;
  /** Whether a peer that proved the key of its nick may have the nick. */
  mayEnter(peer: Peer, publicKeyHex: string): boolean;
  /** Makes it ready; who has the nick loses it. Its 795 was written before. */
  enter(peer: Peer, publicKeyHex: string): void;
  /** Gives an unhandshaked peer a moment to read what was written, and closes. */
  letGo(peer: Peer, reason: 'rejected' | 'nick-auth'): void;
  /** Ends who took too long. */
  sweep(now: number): void;
}

export interface AdmissionOptions {
  readonly network: Network;
  readonly nick: string;
  readonly location: () => Location;
  readonly acceptLoopback: boolean;
  readonly motd: () => string;
  readonly limits: () => DirectoryLimits;
  readonly clock: Clock;
  readonly registry: Registry;
  readonly fanout: Fanout;
  readonly tally: Tally;
  /** Asks for the nick of a ready peer. */
  readonly claim: (newcomer: Peer, holder: Peer) => void;
  readonly proofs: NickProofs;
  /** Takes the nick from who holds it. */
  readonly displace: (holder: Peer) => void;
  /** Writes one frame to a peer that is not ready. */
  readonly write: (peer: Peer, frame: string) => void;
  /** A peer is ready now. */
  readonly admitted: (peer: Peer) => void;
  readonly drop: (peer: Peer, reason: CloseReason) => void;
}

function introduce(peer: Peer, handshake: PeerHandshake): void {
  peer.nick = handshake.nick;
  peer.location = handshake.location;
  peer.features = handshake.features;
  peer.canPing = handshake.features.includes('ping');
  peer.wantsFeatures = handshake.features.includes('peerlist_features');
}

export function createAdmission(options: AdmissionOptions): Admission {
  const { network, nick, location, acceptLoopback, limits, clock, registry, fanout, tally } =
    options;
  const { drop, proofs, write } = options;
  let welcomeMotd: string | undefined;
  let welcome: Uint8Array = new Uint8Array(0);

  function answer(accepted: boolean, motd: string, features: readonly string[] = []): string {
    return encodeEnvelope(
      MessageType.DN_HANDSHAKE,
      formatDirectoryHandshake({ nick, network, accepted, motd: boundedMotd(motd), features }),
    );
  }

  /** The accepting answer, the same for everybody. */
  function welcomeFrame(): Uint8Array {
    const motd = options.motd();
    if (motd !== welcomeMotd) {
      welcomeMotd = motd;
      welcome = Buffer.from(answer(true, motd, FEATURES), 'latin1');
    }
    return welcome;
  }

  function refuse(peer: Peer, reason: AnsweredReason): void {
    tally.handshakesRejected[reason]++;
    tally.messagesOut.handshake++;
    write(peer, answer(false, `Rejected: ${REASON_TEXT[reason](network)}`));
    letGo(peer, 'rejected');
  }

  function letGo(peer: Peer, reason: 'rejected' | 'nick-auth'): void {
    if (registry.ending.size >= limits().maxUnhandshaked) {
      drop(peer, reason);
      return;
    }
    registry.makeEnding(peer);
    tally.closed[reason]++;
    peer.connection.end(REFUSAL_GRACE_MS);
  }

  /** Keeps `maxUnhandshaked`: the oldest go first, unless they came just now. */
  function dropTooMany(now: number): void {
    const most = limits().maxUnhandshaked;
    for (const oldest of registry.unhandshaked) {
      const { size } = registry.unhandshaked;
      const young = now - oldest.acceptedAt < YOUNG_MS;
      if (size <= most || (young && size <= YOUNG_FACTOR * most)) return;
      drop(oldest, 'unhandshaked-limit');
    }
  }

  function reject(peer: Peer, reason: HandshakeGarbage | HandshakeMismatch): void {
    if (isMismatch(reason)) {
      refuse(peer, reason);
      return;
    }
    tally.handshakesRejected[reason]++;
    drop(peer, 'rejected');
  }

  function isFull(): boolean {
    const { maxPeers } = limits();
    return maxPeers > 0 && registry.ready.length >= maxPeers;
  }

  function makeReady(peer: Peer): void {
    // What others did before its time is not news for it, and never ends up behind its own arrival.
    fanout.recordLeaves();
    fanout.outboxes.begin(peer.outbox);
    registry.makeReady(peer);
    tally.handshakesAccepted++;
  }

  function admit(peer: Peer): void {
    if (isFull()) {
      refuse(peer, 'full');
      return;
    }
    makeReady(peer);
    tally.messagesOut.handshake++;
    fanout.direct(peer, welcomeFrame());
    options.admitted(peer);
  }

  /** The accepting answer, and a challenge right behind it. */
  function challenge(peer: Peer, handshakePayload: string): void {
    tally.messagesOut.handshake++;
    write(peer, answer(true, options.motd(), [...FEATURES, NICK_AUTH_FEATURE]));
    proofs.begin(peer, handshakePayload);
  }

  /** A peer that is asked for no proof. */
  function join(peer: Peer): void {
    const holder = registry.byNick(peer.nick);
    if (holder) options.claim(peer, holder);
    else admit(peer);
  }

  return {
    arrived() {
      dropTooMany(clock.now());
    },
    handshake(peer, envelope) {
      if (envelope.type !== MessageType.HANDSHAKE) {
        drop(peer, 'not-a-handshake');
        return;
      }
      tally.messagesIn.handshake++;
      const parsed = parsePeerHandshake(envelope.line, { network, acceptLoopback });
      if (!parsed.ok) {
        reject(peer, parsed.reason);
        return;
      }
      introduce(peer, parsed.value);
      if (sameLocation(peer.location, location())) {
        refuse(peer, 'own-location');
        return;
      }
      if (peer.nick === nick) refuse(peer, 'nick-in-use');
      else if (proofs.demands(peer)) refuse(peer, 'nick-auth');
      else if (!proofs.asks(peer)) join(peer);
      else if (isFull() && !registry.byNick(peer.nick)) refuse(peer, 'full');
      else challenge(peer, envelope.line);
    },
    admit,
    mayEnter(peer, publicKeyHex) {
      const holder = registry.byNick(peer.nick);
      // Ten bytes of a hash name a key: the nick belongs to whoever proved its key first.
      if (holder) return holder.provenKey === undefined || holder.provenKey === publicKeyHex;
      return !isFull();
    },
    enter(peer, publicKeyHex) {
      const holder = registry.byNick(peer.nick);
      if (holder) options.displace(holder);
      peer.proving = undefined;
      peer.provenKey = publicKeyHex;
      makeReady(peer);
      options.admitted(peer);
    },
    letGo,
    refuseNick(peer) {
      refuse(peer, 'nick-in-use');
    },
    sweep(now) {
      dropTooMany(now);
      for (const peer of registry.unhandshaked) {
        if (now - peer.acceptedAt < limits().handshakeTimeoutMs) break;
        // A peer that waits for its nick has handshaked; its claim has a deadline of its own.
        if (peer.state === 'new') drop(peer, 'handshake-timeout');
      }
    },
  };
}
