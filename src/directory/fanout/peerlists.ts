/**
 * The directory's 789 lines (docs/protocol.md, section 5.2): the location of the sender of a private
 * message, leaves, and the answer to a 791.
 */
import { MessageType, PEERLIST_CHUNK_ENTRIES } from '../../protocol/constants.js';
import { encodeEnvelope } from '../../protocol/envelope.js';
import {
  kindsNamedOver,
  namedLocation,
  NOT_SERVING,
  type DeclaredLocation,
  type Location,
  type LocationKind,
} from '../../protocol/location.js';
import { formatPeerEntry, joinPeerEntries } from '../../protocol/peerlist.js';
import type { ListedPeer, Neighbours } from '../neighbours.js';
import type { Peer } from '../peer.js';
import type { Registry } from '../registry.js';

/** Most leaves in one line; about 8.5 kB. */
const LEAVES_PER_LINE = 100;
/** Approximate size of the pieces of an answer to a 791. */
const ANSWER_PIECE_BYTES = 32_768;
/** Neighbours in the registry whose part of an answer is cached together: 8 lines, about 14 kB. */
const BLOCK_PEERS = 8 * PEERLIST_CHUNK_ENTRIES;

function linesOf(peers: readonly ListedPeer[]): number {
  return Math.ceil(peers.length / PEERLIST_CHUNK_ENTRIES);
}

function frame(payload: string): string {
  return encodeEnvelope(MessageType.PEERLIST, payload);
}

/** A peer that has left. */
export type Leave = Pick<Peer, 'nick' | 'location'>;

/** Lines with all these leaves, `nick;location;D` each, that name locations of these kinds only. */
export function leaveFrames(
  leaves: readonly Leave[],
  kinds: ReadonlySet<LocationKind>,
): readonly string[] {
  const entries = leaves.map(({ nick, location }) =>
    formatPeerEntry(
      { nick, location: namedLocation(location, kinds), features: [], left: true },
      false,
    ),
  );
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
  /** The directory's own entry, as a line for peers that dialled this kind of location. */
  ownFrame(via: LocationKind): string;
  /**
   * The line after a private message: the sender's entry if it has a location that the recipient may
   * learn, and always the directory's own.
   */
  pushFrame(sender: ListedPeer, recipient: Peer): string;
  /**
   * The answer to a 791: all ready peers, those of other nodes included, also those without a location that
   * the requester may learn, at most 20 per line and at least one line, in pieces of whole lines. The pieces
   * are shared, and rebuilt only where peers arrived or left: after a restart all peers ask while peers
   * still arrive.
   */
  answer(requester: Peer): readonly Uint8Array[];
  /** Number of lines in an answer now. */
  readonly answerLines: number;
  /** Frees the cached answers. */
  clear(): void;
}

export interface PeerlistsOptions {
  readonly nick: string;
  readonly location: (via: LocationKind) => Location;
  readonly reachable: ReadonlySet<LocationKind>;
  readonly registry: Registry;
  /** Nicks of the canary, which are not listed. */
  readonly ownNicks: ReadonlySet<string>;
  readonly neighbours: Neighbours | undefined;
}

/** A part of an answer, and the peers in it. */
interface Block {
  readonly arrivals: readonly number[];
  readonly pieces: readonly Uint8Array[];
}

interface Answer {
  readonly version: number;
  /** Of the other nodes. */
  readonly remoteVersion: number;
  readonly blocks: readonly Block[];
  readonly remote: readonly Block[];
  readonly pieces: readonly Uint8Array[];
}

/** @param location the one that is shown */
function entryOf(
  { nick, features }: ListedPeer,
  location: DeclaredLocation,
  withFeatures: boolean,
): string {
  return formatPeerEntry({ nick, location, features, left: false }, withFeatures);
}

/** The audience of an answer: peers with an equal audience get equal answers. */
interface Audience {
  readonly withFeatures: boolean;
  /** The kinds of locations that it may learn. */
  readonly kinds: ReadonlySet<LocationKind>;
}

export function createPeerlists(options: PeerlistsOptions): Peerlists {
  const { nick, location, reachable, registry, ownNicks, neighbours } = options;
  /** One for each kind of location that peers dial, with and without features. */
  const answers = new Map<string, Answer>();

  const ownEntry = (via: LocationKind): string =>
    formatPeerEntry({ nick, location: location(via), features: [], left: false }, false);

  const audienceOf = ({ connection, wantsFeatures }: Peer): Audience => ({
    withFeatures: wantsFeatures,
    kinds: kindsNamedOver(connection.via, reachable),
  });

  function piecesOf(peers: readonly ListedPeer[], { kinds, withFeatures }: Audience) {
    const listed = peers.filter((peer) => !ownNicks.has(peer.nick));
    const entries = listed.map((peer) =>
      entryOf(peer, namedLocation(peer.location, kinds), withFeatures),
    );
    const pieces: Uint8Array[] = [];
    let lines = '';
    for (const payload of joinPeerEntries(entries)) {
      lines += frame(payload);
      if (lines.length < ANSWER_PIECE_BYTES) continue;
      pieces.push(Buffer.from(lines, 'latin1'));
      lines = '';
    }
    if (lines !== '') pieces.push(Buffer.from(lines, 'latin1'));
    return pieces;
  }

  /** The block that starts at this index of a list; the cached one while its peers are the same. */
  function block(
    list: readonly ListedPeer[],
    from: number,
    kept: Block | undefined,
    audience: Audience,
  ): Block {
    const peers = list.slice(from, from + BLOCK_PEERS);
    const same =
      kept?.arrivals.length === peers.length &&
      peers.every(({ arrival }, i) => kept.arrivals[i] === arrival);
    if (kept && same) return kept;
    return { arrivals: peers.map(({ arrival }) => arrival), pieces: piecesOf(peers, audience) };
  }

  function blocksOf(
    list: readonly ListedPeer[],
    kept: readonly Block[] | undefined,
    audience: Audience,
  ): readonly Block[] {
    const count = Math.ceil(list.length / BLOCK_PEERS);
    return Array.from({ length: count }, (_, i) =>
      block(list, i * BLOCK_PEERS, kept?.[i], audience),
    );
  }

  function build(kept: Answer | undefined, audience: Audience): Answer {
    const blocks = blocksOf(registry.ready, kept?.blocks, audience);
    const remote = blocksOf(neighbours?.peers ?? [], kept?.remote, audience);
    const pieces = [...blocks, ...remote].flatMap((each) => each.pieces);
    return {
      version: registry.version,
      remoteVersion: neighbours?.version ?? 0,
      blocks,
      remote,
      pieces: pieces.length > 0 ? pieces : [Buffer.from(frame(''), 'latin1')],
    };
  }

  return {
    ownFrame: (via) => frame(ownEntry(via)),
    pushFrame(sender, recipient) {
      const own = ownEntry(recipient.connection.via);
      const { kinds, withFeatures } = audienceOf(recipient);
      const shown = namedLocation(sender.location, kinds);
      if (shown.kind === 'not-serving') return frame(own);
      return frame(`${entryOf(sender, shown, withFeatures)},${own}`);
    },
    answer(requester) {
      const key = `${requester.connection.via} ${requester.wantsFeatures}`;
      const kept = answers.get(key);
      const isSame = kept?.version === registry.version;
      if (kept && isSame && kept.remoteVersion === (neighbours?.version ?? 0)) return kept.pieces;
      const answer = build(kept, audienceOf(requester));
      answers.set(key, answer);
      return answer.pieces;
    },
    get answerLines() {
      // Peers here and peers of other nodes are in lines of their own.
      return Math.max(1, linesOf(registry.ready) + linesOf(neighbours?.peers ?? []));
    },
    clear() {
      answers.clear();
    },
  };
}
