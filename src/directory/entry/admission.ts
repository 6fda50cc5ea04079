/**
 * Admission: from accept to the 795 (docs/protocol.md, section 3.3). A new connection sends one valid
 * 793 in time and nothing else. A handshake with a wrong application, version, network or location is
 * answered with `accepted: false` and closed; anything else is closed without an answer.
 */
import type { Clock } from '../../channel/ports.js';
import { MessageType, type Network } from '../../protocol/constants.js';
import { encodeEnvelope, type Envelope } from '../../protocol/envelope.js';
import { DIRECTORY_LIST_FEATURE } from '../../protocol/directory-list-message.js';
import { PEERLIST_FEATURE, PING_FEATURE } from '../../protocol/features.js';
import {
  formatDirectoryHandshake,
  isMismatch,
  parsePeerHandshake,
  type HandshakeGarbage,
  type HandshakeMismatch,
  type PeerHandshake,
} from '../../protocol/handshake.js';
import {
  kindsNamedOver,
  sameLocation,
  type Location,
  type LocationKind,
} from '../../protocol/location.js';
import { carriedProof, NICK_AUTH_FEATURE } from '../../protocol/nick-auth.js';
import type { Bans } from './bans.js';
import type { Fanout } from '../fanout/fanout.js';
import type { DirectoryLimits } from '../limits.js';
import type { Neighbours, PlaceAnswer } from '../neighbours.js';
import type { GateAnswer, GateKeeper } from './gate.js';
import type { DialBack } from './dial-back.js';
import { boundedMotd } from './motd.js';
import type { Entry, NickProofs } from './nick-proofs.js';
import type { PlaceQueue } from './place-queue.js';
import { writeFrame, type Peer } from '../peer.js';
import type { NickClaims } from './nick-claims.js';
import type { RemoteClaims } from './remote-claims.js';
import type { Registry } from '../registry.js';
import type { CloseReason, RejectionReason, Tally } from '../stats.js';

/**
 * The features in every accepting 795. `nick_auth` is added for peers that listed it, and `directory_list` by
 * directories that serve lists.
 */
const FEATURES = [PEERLIST_FEATURE, PING_FEATURE];
/** How long a refused peer may take to read its answer. */
const REFUSAL_GRACE_MS = 5_000;

/**
 * When thousands of peers connect at once (after a restart they do), each needs a round trip to send
 * its handshake. Connections younger than this may exceed the limit by this factor.
 */
const YOUNG_MS = 2_000;
const YOUNG_FACTOR = 4;

type AnsweredReason = Exclude<RejectionReason, HandshakeGarbage>;
/** Reasons whose text comes from the gate. */
type GateReason = Extract<GateAnswer, { enters: false }>['reason'];

const REASON_TEXT: Readonly<
  Record<Exclude<AnsweredReason, GateReason>, (network: Network) => string>
> = {
  'app-name': () => 'app-name must be joinmarket',
  'directory-flag': () => 'directories do not connect to directories',
  'proto-ver': () => 'protocol version must be 5',
  network: (network) => `this directory serves ${network}`,
  location: () => 'location-string must be <v3 onion>:port or NOT-SERVING-ONION',
  'own-location': () => 'location-string is the one of this directory',
  'foreign-location': () => 'location-string is not the address that this connection comes from',
  'nick-in-use': () => 'nick is in use by another connection',
  full: () => 'directory is full, try another one or later',
  'nick-auth': () => 'this directory serves only peers that prove their nick (nick_auth)',
  banned: () => 'the operator of this directory does not serve this peer, try another directory',
};

const PLACED: Readonly<Record<PlaceAnswer, Entry>> = { free: 'yes', full: 'no', asked: 'later' };

export interface AdmissionOptions {
  readonly network: Network;
  readonly nick: string;
  readonly location: (via: LocationKind) => Location;
  readonly reachable: ReadonlySet<LocationKind>;
  readonly motd: (via: LocationKind) => string;
  readonly limits: DirectoryLimits;
  readonly clock: Clock;
  readonly registry: Registry;
  readonly fanout: Fanout;
  readonly tally: Tally;
  readonly proofs: NickProofs;
  readonly nickClaims: NickClaims;
  readonly bans: Bans;
  readonly dialBack: DialBack | undefined;
  readonly neighbours: Neighbours | undefined;
  readonly remoteClaims: RemoteClaims;
  readonly placeQueue: PlaceQueue;
  /** Nicks of the canary, which other nodes do not learn. */
  readonly ownNicks: ReadonlySet<string>;
  /** Absent in a directory that every peer may enter. */
  readonly gateKeeper: GateKeeper | undefined;
  /** Whether lists of directories are served. */
  readonly listAnswers: object | undefined;
  drop(peer: Peer, reason: CloseReason): void;
}

function introduce(peer: Peer, handshake: PeerHandshake): void {
  peer.nick = handshake.nick;
  peer.location = handshake.location;
  peer.features = handshake.features;
  peer.canPing = handshake.features.includes(PING_FEATURE);
  peer.wantsFeatures = handshake.features.includes(PEERLIST_FEATURE);
}

/** An accepting answer, and the text it was made from. */
interface Accepting {
  readonly motd: string;
  readonly frame: Uint8Array;
}

export class Admission {
  readonly #options: AdmissionOptions;
  /** Equal for all peers that dialled the same kind of location. */
  readonly #accepting = new Map<LocationKind, Accepting>();
  readonly #features: readonly string[];

  constructor(options: AdmissionOptions) {
    this.#options = options;
    const servesLists = options.listAnswers !== undefined;
    this.#features = servesLists ? [...FEATURES, DIRECTORY_LIST_FEATURE] : FEATURES;
  }

  /** The record of a new connection is in the registry. Enforces `maxUnhandshaked`. */
  arrived(): void {
    this.#dropTooMany(this.#options.clock.now());
  }

  /** Handles the line of a peer in state `new`. */
  handshake(peer: Peer, envelope: Envelope): void {
    const { network, nick, location, reachable, tally, bans, gateKeeper } = this.#options;
    const { via } = peer.connection;
    if (envelope.type !== MessageType.HANDSHAKE) {
      this.#options.drop(peer, 'not-a-handshake');
      return;
    }
    tally.messagesIn.handshake++;
    const parsed = parsePeerHandshake(envelope.line, {
      network,
      kinds: kindsNamedOver(via, reachable),
      peerHost: peer.connection.peerHost,
    });
    if (!parsed.ok) {
      this.#reject(peer, parsed.reason);
      return;
    }
    introduce(peer, parsed.value);
    if (sameLocation(peer.location, location(via))) {
      this.#refuse(peer, 'own-location');
      return;
    }
    if (peer.nick === nick) this.#refuse(peer, 'nick-in-use');
    else if (bans.holds(peer)) this.#refuse(peer, 'banned');
    else if (!gateKeeper) this.#passed(peer, envelope.line);
    else {
      gateKeeper.ask(peer, parsed.value.admission, (answer) => {
        if (answer.enters) this.#passed(peer, envelope.line);
        else this.#refuseWith(peer, answer.reason, answer.text);
      });
    }
  }

  /** Makes a peer ready whose nick is free now, unless it was banned meanwhile or the directory is full. */
  admit(peer: Peer): void {
    if (this.#options.bans.holds(peer)) {
      this.#refuse(peer, 'banned');
      return;
    }
    const place = this.#options.placeQueue.answer(peer);
    if (place === 'full') {
      this.#refuse(peer, 'full');
      return;
    }
    if (place === 'asked') {
      this.#options.placeQueue.wait(peer);
      return;
    }
    if (this.#options.remoteClaims.keeps(peer)) return;
    this.#makeReady(peer);
    this.#options.tally.messagesOut.handshake++;
    this.#options.fanout.direct(peer, this.#acceptingFrame(peer.connection.via));
    this.#options.dialBack?.greet(peer);
  }

  /** A peer that is not asked for a proof, or that waited for another node. */
  join(peer: Peer): void {
    const { registry, nickClaims } = this.#options;
    const holder = registry.byNick(peer.nick);
    if (holder) nickClaims.claim(peer, holder);
    else this.admit(peer);
  }

  refuseNick(peer: Peer): void {
    this.#refuse(peer, 'nick-in-use');
  }

  /** The answer to a peer whose nick another connection has, as a line. */
  nickInUse(): string {
    const { network } = this.#options;
    return this.#answer(false, `Rejected: ${REASON_TEXT['nick-in-use'](network)}`);
  }

  /** Whether a peer that proved the key of its nick may have the nick. `later`: its proof is checked again. */
  mayEnter(peer: Peer, publicKeyHex: string): Entry {
    if (this.#options.bans.holds(peer)) return 'no';
    const { registry, neighbours, placeQueue } = this.#options;
    const { nick, location } = peer;
    // Ten bytes of a hash identify a key: the nick belongs to the first peer that proved its key.
    const claimant = { nick, location, provenKey: publicKeyHex };
    const standing = neighbours?.standing(claimant);
    if (standing === 'refused') return 'no';
    const holder = registry.byNick(nick);
    if (holder) {
      const isMine = holder.provenKey === undefined || holder.provenKey === publicKeyHex;
      return isMine ? 'yes' : 'no';
    }
    // It takes the place of the peer whose nick it gets.
    if (standing === 'wins') return 'yes';
    const place = placeQueue.answer(peer);
    if (place === 'asked') placeQueue.wait(peer);
    return PLACED[place];
  }

  /** Makes it ready; a holder of the nick is ended. Its 795 was sent before. */
  enter(peer: Peer, publicKeyHex: string): void {
    const { registry, nickClaims, dialBack, neighbours } = this.#options;
    const holder = registry.byNick(peer.nick);
    if (holder) {
      nickClaims.yield(holder);
      this.#options.drop(holder, 'nick-displaced');
    }
    const { proving } = peer;
    peer.proving = undefined;
    peer.provenKey = publicKeyHex;
    if (neighbours && proving?.proof) {
      peer.carriedProof = carriedProof(proving.proof, proving.challenge, proving.handshake);
    }
    this.#makeReady(peer);
    dialBack?.greet(peer);
  }

  /** Gives a peer without a handshake a moment to read its answer, then closes. */
  letGo(peer: Peer, reason: 'rejected' | 'nick-auth'): void {
    const { registry, limits, tally } = this.#options;
    if (registry.ending.size >= limits.maxUnhandshaked) {
      this.#options.drop(peer, reason);
      return;
    }
    registry.makeEnding(peer);
    tally.closed[reason]++;
    peer.connection.end(REFUSAL_GRACE_MS);
  }

  /** Ends each peer whose time is over. */
  sweep(now: number): void {
    const { registry, limits } = this.#options;
    this.#dropTooMany(now);
    for (const peer of registry.unhandshaked) {
      if (now - peer.acceptedAt < limits.handshakeTimeoutMs) break;
      if (peer.state === 'gated') this.#options.drop(peer, 'handshake-timeout');
      // A peer that waits for its nick has sent its handshake; its nick claim has a deadline of its
      // own.
      if (peer.state === 'new') this.#options.drop(peer, 'handshake-timeout');
    }
  }

  #answer(accepted: boolean, text: string, features: readonly string[] = []): string {
    const { nick, network } = this.#options;
    const motd = boundedMotd(text);
    return encodeEnvelope(
      MessageType.DN_HANDSHAKE,
      formatDirectoryHandshake({ nick, network, accepted, motd, features }),
    );
  }

  #acceptingFrame(via: LocationKind): Uint8Array {
    const motd = this.#options.motd(via);
    const kept = this.#accepting.get(via);
    if (kept?.motd === motd) return kept.frame;
    const frame = Buffer.from(this.#answer(true, motd, this.#features), 'latin1');
    this.#accepting.set(via, { motd, frame });
    return frame;
  }

  /** A newcomer that may enter as far as codes are concerned. */
  #passed(peer: Peer, handshakePayload: string): void {
    const { registry, proofs, placeQueue, neighbours } = this.#options;
    // It may replace the holder of its nick.
    const isHeld = (registry.byNick(peer.nick) ?? neighbours?.byNick(peer.nick)) !== undefined;
    if (proofs.demands(peer)) this.#refuse(peer, 'nick-auth');
    else if (!proofs.asks(peer)) this.join(peer);
    else if (!isHeld && placeQueue.answer(peer) === 'full') this.#refuse(peer, 'full');
    else this.#challenge(peer, handshakePayload);
  }

  #refuse(peer: Peer, reason: Exclude<AnsweredReason, GateReason>): void {
    this.#refuseWith(peer, reason, REASON_TEXT[reason](this.#options.network));
  }

  #refuseWith(peer: Peer, reason: AnsweredReason, text: string): void {
    const { tally } = this.#options;
    tally.handshakesRejected[reason]++;
    tally.messagesOut.handshake++;
    writeFrame(peer, this.#answer(false, `Rejected: ${text}`), tally);
    this.letGo(peer, 'rejected');
  }

  /**
   * Enforces `maxUnhandshaked`: the oldest connections are closed first, unless they are very young.
   */
  #dropTooMany(now: number): void {
    const { registry, limits } = this.#options;
    const most = limits.maxUnhandshaked;
    for (const oldest of registry.unhandshaked) {
      const { size } = registry.unhandshaked;
      const young = now - oldest.acceptedAt < YOUNG_MS;
      if (size <= most || (young && size <= YOUNG_FACTOR * most)) return;
      this.#options.drop(oldest, 'unhandshaked-limit');
    }
  }

  #reject(peer: Peer, reason: HandshakeGarbage | HandshakeMismatch): void {
    if (isMismatch(reason)) {
      this.#refuse(peer, reason);
      return;
    }
    this.#options.tally.handshakesRejected[reason]++;
    this.#options.drop(peer, 'rejected');
  }

  #makeReady(peer: Peer): void {
    const { registry, fanout, tally, neighbours, ownNicks } = this.#options;
    // Earlier leaves are written before it becomes ready, so that it does not receive them.
    fanout.recordLeaves();
    fanout.outboxes.begin(peer.outbox);
    registry.makeReady(peer);
    tally.handshakesAccepted++;
    if (!ownNicks.has(peer.nick)) neighbours?.entered(peer);
  }

  /** The accepting answer, directly followed by a challenge. */
  #challenge(peer: Peer, handshakePayload: string): void {
    const { motd, tally, proofs } = this.#options;
    const text = motd(peer.connection.via);
    tally.messagesOut.handshake++;
    writeFrame(peer, this.#answer(true, text, [...this.#features, NICK_AUTH_FEATURE]), tally);
    proofs.begin(peer, handshakePayload);
  }
}
