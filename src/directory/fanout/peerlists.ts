/**
 * The directory's 789 lines (docs/protocol.md, section 5.2): the location of the sender of a private
 * message, leaves, and the answer to a 791.
 */
import { MessageType, PEERLIST_CHUNK_ENTRIES } from '../../protocol/constants.js';
import { encodeEnvelope } from '../../protocol/envelope.js';
import type { Location } from '../../protocol/location.js';
import { NOT_SERVING } from '../../protocol/location.js';
import { formatPeerEntry, joinPeerEntries } from '../../protocol/peerlist.js';
import { isServing, type Peer } from '../peer.js';
import type { Registry } from '../registry.js';

/** Most leaves in one line; about 8.5 kB. */
const LEAVES_PER_LINE = 100;
/** Approximate size of the pieces of an answer to a 791. */
const ANSWER_PIECE_BYTES = 32_768;
/** Neighbours in the registry whose part of an answer is cached together: 8 lines, about 14 kB. */
const BLOCK_PEERS = 8 * PEERLIST_CHUNK_ENTRIES;

const entryOf = ({ nick, location, features }: Peer, withFeatures: boolean): string =>
  formatPeerEntry({ nick, location, features, left: false }, withFeatures);

function frame(payload: string): string {
  return encodeEnvelope(MessageType.PEERLIST, payload);
}

/** `nick;location;D`, without features. */
export function leaveEntry({ nick, location }: Peer): string {
  return formatPeerEntry({ nick, location, features: [], left: true }, false);
}

/** Lines with all these leaves. */
export function leaveFrames(entries: readonly string[]): string[] {
  return joinPeerEntries(entries, LEAVES_PER_LINE).map(frame);
}

/**
 * The gone notice `nick;NOT-SERVING-ONION;D` as a line: the addressee of a private message is not
 * connected.
 */
export function goneFrame(nick: string): string {
  return frame(formatPeerEntry({ nick, location: NOT_SERVING, features: [], left: true }, false));
}

export interface Peerlists {
  /** The directory's own entry, as a line. */
  ownFrame(): string;
  /**
   * The line after a private message: the sender's entry if it has a location, and always the
   * directory's own.
   */
  pushFrame(sender: Peer, recipient: Peer): string;
  /**
   * The answer to a 791: all ready peers, also those without a location, at most 20 per line and at
   * least one line, in pieces of whole lines. The pieces are shared, and rebuilt only where peers
   * arrived or left: after a restart all peers ask while peers still arrive.
   */
  answer(requester: Peer): readonly Uint8Array[];
  /** Number of lines in an answer now. */
  readonly answerLines: number;
  /** Frees the cached answers. */
  clear(): void;
}

export interface PeerlistsOptions {
  readonly nick: string;
  readonly location: () => Location;
  readonly registry: Registry;
  /** Nicks of the canary, which are not listed. */
  readonly ownNicks: ReadonlySet<string>;
}

/** A part of an answer, and the peers in it. */
interface Block {
  readonly arrivals: readonly number[];
  readonly pieces: readonly Uint8Array[];
}

interface Answer {
  readonly version: number;
  readonly blocks: readonly Block[];
  readonly pieces: readonly Uint8Array[];
}

export function createPeerlists(options: PeerlistsOptions): Peerlists {
  const { nick, location, registry, ownNicks } = options;
  const answers = new Map<boolean, Answer>();

  const ownEntry = (): string =>
    formatPeerEntry({ nick, location: location(), features: [], left: false }, false);

  function piecesOf(peers: readonly Peer[], withFeatures: boolean): readonly Uint8Array[] {
    const listed = peers.filter((peer) => !ownNicks.has(peer.nick));
    const pieces: Uint8Array[] = [];
    let lines = '';
    for (const payload of joinPeerEntries(listed.map((peer) => entryOf(peer, withFeatures)))) {
      lines += frame(payload);
      if (lines.length < ANSWER_PIECE_BYTES) continue;
      pieces.push(Buffer.from(lines, 'latin1'));
      lines = '';
    }
    if (lines !== '') pieces.push(Buffer.from(lines, 'latin1'));
    return pieces;
  }

  /**
   * The block that starts at this index of the registry; the cached one while its peers are the same.
   */
  function block(from: number, kept: Block | undefined, withFeatures: boolean): Block {
    const peers = registry.ready.slice(from, from + BLOCK_PEERS);
    const same =
      kept?.arrivals.length === peers.length &&
      peers.every(({ arrival }, i) => kept.arrivals[i] === arrival);
    if (kept && same) return kept;
    return {
      arrivals: peers.map(({ arrival }) => arrival),
      pieces: piecesOf(peers, withFeatures),
    };
  }

  function build(kept: Answer | undefined, withFeatures: boolean): Answer {
    const count = Math.ceil(registry.ready.length / BLOCK_PEERS);
    const blocks = Array.from({ length: count }, (_, i) =>
      block(i * BLOCK_PEERS, kept?.blocks[i], withFeatures),
    );
    const pieces = blocks.flatMap((each) => each.pieces);
    return {
      version: registry.version,
      blocks,
      pieces: pieces.length > 0 ? pieces : [Buffer.from(frame(''), 'latin1')],
    };
  }

  return {
    ownFrame: () => frame(ownEntry()),
    pushFrame(sender, recipient) {
      const own = ownEntry();
      return frame(isServing(sender) ? `${entryOf(sender, recipient.wantsFeatures)},${own}` : own);
    },
    answer(requester) {
      const kept = answers.get(requester.wantsFeatures);
      if (kept?.version === registry.version) return kept.pieces;
      const answer = build(kept, requester.wantsFeatures);
      answers.set(requester.wantsFeatures, answer);
      return answer.pieces;
    },
    get answerLines() {
      return Math.max(1, Math.ceil(registry.ready.length / PEERLIST_CHUNK_ENTRIES));
    },
    clear() {
      answers.clear();
    },
  };
}
