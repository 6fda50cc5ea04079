/**
 * Answers requests for the signed list of directories (docs/protocol.md, section 5.4). A peer asks for each
 * chunk, so at most a few of them wait for it, and nothing is stored for it.
 */
import type { Clock } from '../../channel/ports.js';
import { TokenBucket } from '../../kit/rate-limit.js';
import { MessageType } from '../../protocol/constants.js';
import {
  DIRECTORY_LIST_FEATURE,
  formatListAnswer,
  LIST_CHUNK_BYTES,
  parseListRequest,
  type ListAnswer,
  type ListRequest,
} from '../../protocol/directory-list-message.js';
import { encodeEnvelope } from '../../protocol/envelope.js';
import type { ServedList } from '../directory-api.js';
import type { Fanout } from '../fanout/fanout.js';
import type { Peer } from '../peer.js';
import type { Tally } from '../stats.js';

/** Bytes that wait for a peer, above which it gets no chunk: two chunks. */
const MOST_LAG_BYTES = 65_536;
/** Chunks of all peers together: a megabyte per second. */
const CHUNKS_PER_SECOND = 32;
const CHUNK_BURST = 128;

export interface ListAnswersOptions {
  readonly list: () => ServedList | undefined;
  readonly clock: Clock;
  readonly fanout: Fanout;
  readonly tally: Tally;
}

export class ListAnswers {
  readonly #options: ListAnswersOptions;
  readonly #chunks: TokenBucket;

  constructor(options: ListAnswersOptions) {
    this.#options = options;
    this.#chunks = new TokenBucket(options.clock, CHUNKS_PER_SECOND, CHUNK_BURST);
  }

  /** Whether the peer listed the feature. Other peers get no line of this type. */
  serves(peer: Peer): boolean {
    return peer.features.includes(DIRECTORY_LIST_FEATURE);
  }

  /** Answers one request; false when it is malformed. */
  answer(peer: Peer, payload: string): boolean {
    const { fanout, tally } = this.#options;
    const request = parseListRequest(payload);
    if (!request.ok) return false;
    const answer = this.#answerTo(peer, request.value);
    if (answer.kind === 'busy') tally.dropped['getdirlist-busy']++;
    tally.messagesOut.dirlist++;
    fanout.direct(peer, encodeEnvelope(MessageType.DIRLIST, formatListAnswer(answer)));
    return true;
  }

  #answerTo(peer: Peer, request: ListRequest): ListAnswer {
    const list = this.#options.list();
    if (request.kind === 'have') return list ? offerFor(list, request) : { kind: 'none' };
    const { document, index } = request;
    if (list?.offer.document !== document) return { kind: 'busy' };
    const isLate = this.#options.fanout.outboxes.lag(peer.outbox) > MOST_LAG_BYTES;
    if (index >= list.offer.chunks.length || isLate || !this.#chunks.take()) {
      return { kind: 'busy' };
    }
    const from = index * LIST_CHUNK_BYTES;
    const bytes = list.bytes.subarray(from, from + LIST_CHUNK_BYTES);
    return { kind: 'chunk', document, index, bytes };
  }
}

/** Nothing is offered that is older than what the peer has, or the same. */
function offerFor(
  { offer }: ServedList,
  have: Extract<ListRequest, { readonly kind: 'have' }>,
): ListAnswer {
  const isOther = offer.sequence === have.sequence && offer.hash !== have.hash;
  return offer.sequence > have.sequence || isOther ? { kind: 'offer', ...offer } : { kind: 'none' };
}
