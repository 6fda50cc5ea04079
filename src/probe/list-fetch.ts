/**
 * Fetches the signed list of directories from one directory, under a nick that is used only for this
 * (docs/protocol.md, section 5.4). The directory does not learn which peer of it asks. The result is not
 * verified.
 */
import { ListDownload } from '../directory-lists/served-list.js';
import { MessageType } from '../protocol/constants.js';
import {
  DIRECTORY_LIST_FEATURE,
  formatListRequest,
  parseListAnswer,
  type ListAnswer,
  type ListRequest,
} from '../protocol/directory-list-message.js';
import { waitFor } from './bounded-wait.js';
import { openProbeSession, type ProbeSession, type ProbeSessionOptions } from './probe-session.js';
import { outcomeText } from './probe-result.js';

/** Longest wait for one answer. */
const ANSWER_MS = 60_000;
/** A directory that says it is busy is asked again after so long, a few times. */
const BUSY_MS = 5_000;
const BUSY_TIMES = 6;

/** The list that the caller has; undefined: none. */
export type HeldList = { readonly sequence: number; readonly hash: string } | undefined;

export interface ListFetchOptions extends Omit<ProbeSessionOptions, 'features'> {
  readonly held: HeldList;
  /** Chunks of an earlier fetch that broke off. They are not asked for again. */
  readonly started?: ListDownload | undefined;
}

export type ListFetchResult =
  /** A document whose bytes are those that were offered. */
  | { readonly outcome: 'document'; readonly bytes: Uint8Array }
  /** The directory has no newer list, or serves none. */
  | { readonly outcome: 'none' | 'unsupported' }
  /** The caller stopped it. */
  | { readonly outcome: 'stopped' }
  /** An answer that is malformed, or chunks that are not those that were offered. */
  | { readonly outcome: 'misbehaved'; readonly reason: string }
  /** No connection, or it broke off; `started` has what arrived. */
  | {
      readonly outcome: 'failed';
      readonly reason: string;
      readonly started?: ListDownload | undefined;
      /** The directory was reached, as far as that is known. */
      readonly reached: boolean;
    };

type Answered =
  | { readonly ok: true; readonly answer: ListAnswer }
  | { readonly ok: false; readonly result: ListFetchResult };

const stop = (result: ListFetchResult): Answered => ({ ok: false, result });

class ListFetch {
  readonly #session: ProbeSession;
  readonly #options: ListFetchOptions;
  #download: ListDownload | undefined;

  constructor(session: ProbeSession, options: ListFetchOptions) {
    this.#session = session;
    this.#options = options;
  }

  async run(): Promise<ListFetchResult> {
    const { held, started } = this.#options;
    const first = await this.#ask({
      kind: 'have',
      sequence: held?.sequence ?? 0,
      hash: held?.hash,
    });
    if (!first.ok) return first.result;
    if (first.answer.kind === 'none') return { outcome: 'none' };
    if (first.answer.kind !== 'offer') return this.#misbehaved('it did not offer a list');
    const offer = first.answer;
    if (held !== undefined && offer.sequence < held.sequence) {
      return this.#misbehaved('it offered a list that is older than the one asked about');
    }
    const isSame = started?.offer.document === offer.document;
    this.#download = isSame ? started : new ListDownload(offer);
    return this.#chunks(this.#download);
  }

  async #chunks(download: ListDownload): Promise<ListFetchResult> {
    const { document } = download.offer;
    for (let index = download.missing; index !== undefined; index = download.missing) {
      // oxlint-disable-next-line no-await-in-loop -- one chunk after the other
      const asked = await this.#ask({ kind: 'chunk', document, index });
      if (!asked.ok) return asked.result;
      const { answer } = asked;
      const isIt =
        answer.kind === 'chunk' && answer.document === document && answer.index === index;
      if (!isIt || !download.add(index, answer.bytes)) {
        return this.#misbehaved('a chunk is not the one that was offered');
      }
    }
    const bytes = download.document();
    if (bytes === undefined) return this.#misbehaved('the chunks are not the offered document');
    return { outcome: 'document', bytes };
  }

  #misbehaved(reason: string): ListFetchResult {
    return { outcome: 'misbehaved', reason };
  }

  #failed(reason: string): ListFetchResult {
    return { outcome: 'failed', reason, started: this.#download, reached: true };
  }

  /** One request and its answer; a busy directory is asked again. */
  async #ask(request: ListRequest): Promise<Answered> {
    for (let times = 0; times <= BUSY_TIMES; times++) {
      // oxlint-disable-next-line no-await-in-loop -- one request after the other
      const answered = await this.#askOnce(request);
      if (!answered.ok || answered.answer.kind !== 'busy') return answered;
      // oxlint-disable-next-line no-await-in-loop
      const pause = await waitFor<never>({ ...this.#options, withinMs: BUSY_MS }, () => {});
      if (pause.end === 'stopped') return stop({ outcome: 'stopped' });
    }
    return stop(this.#failed('it is busy'));
  }

  async #askOnce(request: ListRequest): Promise<Answered> {
    const session = this.#session;
    const waited = await waitFor<string | undefined>(
      { ...this.#options, withinMs: ANSWER_MS },
      (finish) => {
        const silence = session.listen(({ type, line }) => {
          if (type === MessageType.DIRLIST) finish(line);
        });
        void session.over.then(() => finish(undefined));
        if (!session.send(MessageType.GETDIRLIST, formatListRequest(request))) finish(undefined);
        return silence;
      },
    );
    if (waited.end === 'stopped') return stop({ outcome: 'stopped' });
    if (waited.end === 'late') return stop(this.#failed('it did not answer'));
    if (waited.value === undefined) return stop(this.#failed('the connection ended'));
    const answer = parseListAnswer(waited.value);
    if (!answer.ok) return stop(this.#misbehaved(`a malformed answer (${answer.reason})`));
    return { ok: true, answer: answer.value };
  }
}

/** Never rejects. Every wait is bounded, and nothing is open or running when the promise resolves. */
export async function fetchList(options: ListFetchOptions): Promise<ListFetchResult> {
  const { location, clock } = options;
  const startedAt = clock.now();
  const opened = await openProbeSession({ ...options, features: [DIRECTORY_LIST_FEATURE] });
  if (!opened.ok) {
    const { failure } = opened;
    if (failure.outcome === 'stopped') return { outcome: 'stopped' };
    const tookMs = clock.now() - startedAt;
    const reason = outcomeText({ ...failure, location, tookMs });
    const reached = failure.outcome === 'refused';
    return { outcome: 'failed', reason, started: options.started, reached };
  }
  const { session } = opened;
  const offersLists = session.greeting.features.includes(DIRECTORY_LIST_FEATURE);
  const result: ListFetchResult = offersLists
    ? await new ListFetch(session, options).run()
    : { outcome: 'unsupported' };
  await session.leave();
  return result;
}
