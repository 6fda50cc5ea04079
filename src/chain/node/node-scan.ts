/**
 * The scan of a node: with its filter index where it has one, otherwise by reading every block. It follows
 * reorganisations of any depth, because it verifies before each stretch that its last block is still in
 * the best chain, and after it that the end is.
 */
import type { Clock } from '../../kit/clock.js';
import { ChainError } from '../chain-error.js';
import type { BlockId, BlockInfo, ScanRequest, ScanStep } from '../ports.js';
import type { HeaderAnswer } from './answers.js';
import type { NodeBlocks } from './node-blocks.js';

/** Blocks in a stretch that is read whole. */
const READ_STRETCH = 50;
/** Blocks in the first stretch that is searched by filters. */
const FIRST_SEARCH = 1_000;
const LEAST_SEARCH = 100;
const MOST_SEARCH = 50_000;
/** A search that is quicker is followed by a longer one, a slower one by a shorter one. */
const QUICK_MS = 1_500;
const SLOW_MS = 6_000;
/** Rounds in a row without progress, while the best chain changes. */
const MOST_FRUITLESS = 100;
/** Blocks of this scan that are remembered, for reorganisations. */
const MOST_TRAIL = 1_000;

export interface NodeScanSource {
  readonly blocks: NodeBlocks;
  readonly clock: Clock;
  /** Whether to search by filters first. */
  readonly quick: boolean;
  /** Height of the first block that the node has whole. */
  readonly firstReadable: number;
}

/** The blocks of this scan, the newest last; older ones become rarer. */
class Trail {
  #blocks: BlockId[] = [];

  constructor(base: BlockId) {
    this.#blocks.push(base);
  }

  get last(): BlockId {
    const last = this.#blocks.at(-1);
    if (last === undefined) throw new Error('a trail has a block');
    return last;
  }

  get newestFirst(): readonly BlockId[] {
    return this.#blocks.toReversed();
  }

  add(block: BlockId): void {
    this.#blocks.push(block);
    if (this.#blocks.length <= MOST_TRAIL) return;
    const half = MOST_TRAIL / 2;
    this.#blocks = this.#blocks.filter((_, i) => i >= half || i % 2 === 0);
  }

  cutTo(base: BlockId): void {
    this.#blocks = [...this.#blocks.filter(({ height }) => height < base.height), base];
  }
}

export class NodeScan {
  readonly #source: NodeScanSource;
  readonly #request: ScanRequest;
  #quick: boolean;
  #searchLength = FIRST_SEARCH;

  constructor(source: NodeScanSource, request: ScanRequest) {
    this.#source = source;
    this.#request = request;
    this.#quick = source.quick;
  }

  async *steps(): AsyncGenerator<ScanStep, void, void> {
    const { blocks } = this.#source;
    const { known, signal, onProgress } = this.#request;
    signal.throwIfAborted();
    const base = await this.#base(known);
    const trail = new Trail(base);
    if (known[0] !== undefined && known[0].hash !== base.hash) yield { kind: 'rewind', to: base };
    for (let fruitless = 0; ; fruitless += 1) {
      signal.throwIfAborted();
      if (fruitless >= MOST_FRUITLESS) throw contradiction();
      const { last } = trail;
      const tip = await blocks.tip();
      if (tip.hash === last.hash) {
        onProgress?.(1);
        yield { kind: 'reached', block: tip };
        return;
      }
      if (!(await blocks.isBest(last))) {
        const to = await this.#base([...trail.newestFirst, ...known]);
        trail.cutTo(to);
        yield { kind: 'rewind', to };
        continue;
      }
      if (tip.height <= last.height) continue;
      let end: BlockInfo | undefined;
      for await (const step of this.#stretch(last, tip.height)) {
        if (step.kind === 'reached') end = step.block;
        else yield step;
      }
      if (end === undefined) continue;
      fruitless = 0;
      trail.add(end);
      onProgress?.(Math.min(1, (end.height - base.height) / Math.max(1, tip.height - base.height)));
      if (end.hash !== tip.hash) yield { kind: 'reached', block: end };
    }
  }

  /** The newest of these blocks in the best chain, or the one before the start. */
  async #base(candidates: readonly BlockId[]): Promise<BlockId> {
    const { blocks } = this.#source;
    for (const candidate of candidates) {
      // oxlint-disable-next-line no-await-in-loop -- the first one is the usual case
      if (await blocks.isBest(candidate)) return candidate;
    }
    // The genesis block has no coin that can be spent.
    for (let attempt = 0; attempt < MOST_FRUITLESS; attempt += 1) {
      // oxlint-disable-next-line no-await-in-loop -- the best chain may become shorter between two calls
      const { height } = await blocks.tip();
      const before = Math.max(0, Math.min(this.#request.from - 1, height));
      // oxlint-disable-next-line no-await-in-loop
      const hash = await blocks.hashAt(before);
      if (hash !== undefined) return { height: before, hash };
    }
    throw contradiction();
  }

  /**
   * The blocks behind `last`, as far as one stretch goes; ends with `reached`, or without it when the
   * best chain changed.
   */
  async *#stretch(last: BlockId, tip: number): AsyncGenerator<ScanStep, void, void> {
    if (this.#quick) {
      const searched = yield* this.#search(last, tip);
      if (searched) return;
      this.#quick = false;
    }
    yield* this.#read(last, tip);
  }

  /** By filters. False when the node cannot: nothing was sent then. */
  async *#search(last: BlockId, tip: number): AsyncGenerator<ScanStep, boolean, void> {
    const { blocks, clock } = this.#source;
    const { watch } = this.#request;
    const to = Math.min(tip, last.height + this.#searchLength);
    const hash = await blocks.hashAt(to);
    if (hash === undefined) return true;
    const end = { height: to, hash };
    const began = clock.now();
    let scripts = watch.scripts();
    const hits = await blocks.matching(scripts, last.height + 1, end);
    if (hits === undefined) return false;
    this.#adapt(clock.now() - began, to - last.height);
    const due = new DueBlocks();
    due.add(await blocks.headers(hits));
    if (!(await blocks.isBest(end))) return true;
    for (let next = due.take(); next !== undefined; next = due.take()) {
      yield* this.#block(next, await blocks.raw(next));
      const now = watch.scripts();
      if (now === scripts) continue;
      const before = new Set(scripts);
      const added = now.filter((script) => !before.has(script));
      scripts = now;
      if (next.height >= to) continue;
      const more = await blocks.matching(added, next.height + 1, end);
      // The filters were there a moment ago: the best chain changed.
      if (more === undefined || !(await blocks.isBest(end))) return true;
      due.add(await blocks.headers(more));
    }
    yield { kind: 'reached', block: (await blocks.header(end.hash)).info };
    return true;
  }

  #adapt(tookMs: number, length: number): void {
    if (tookMs < QUICK_MS && length === this.#searchLength) {
      this.#searchLength = Math.min(MOST_SEARCH, this.#searchLength * 2);
    } else if (tookMs > SLOW_MS) {
      this.#searchLength = Math.max(LEAST_SEARCH, Math.floor(this.#searchLength / 2));
    }
  }

  /** Reads every block. */
  async *#read(last: BlockId, tip: number): AsyncGenerator<ScanStep, void, void> {
    const { blocks, firstReadable } = this.#source;
    const from = last.height + 1;
    if (from < firstReadable) throw blocks.absent(from);
    const hashes = await blocks.hashesBetween(from, Math.min(tip, last.height + READ_STRETCH));
    const headers = await blocks.headers(hashes);
    if (!follows(last, headers)) return;
    // The next block is on its way while one is examined.
    let ahead = fetchAhead(blocks, headers[0]);
    for (const [i, { info }] of headers.entries()) {
      const bytes = await ahead?.();
      ahead = fetchAhead(blocks, headers[i + 1]);
      if (bytes !== undefined) yield* this.#block(info, bytes);
    }
    const end = headers.at(-1);
    if (end !== undefined) yield { kind: 'reached', block: end.info };
  }

  /** What a block has for the watch; again when the watch grows because of it and then finds more. */
  async *#block(block: BlockInfo, bytes: Uint8Array): AsyncGenerator<ScanStep, void, void> {
    const { blocks } = this.#source;
    const { watch, signal } = this.#request;
    let sent = 0;
    for (;;) {
      signal.throwIfAborted();
      const scripts = watch.scripts();
      const transactions = await blocks.examine(bytes, watch);
      if (transactions.length <= sent) return;
      sent = transactions.length;
      yield { kind: 'block', block, transactions };
      if (watch.scripts() === scripts) return;
    }
  }
}

const contradiction = (): ChainError =>
  new ChainError(
    'answer',
    'the blocks of the bitcoin node do not fit together: restart it, or use another one',
  );

/** Whether these headers are the blocks behind `last`, one after the other. */
function follows(last: BlockId, headers: readonly HeaderAnswer[]): boolean {
  let before = last;
  return headers.every(({ info, previous }) => {
    const fits = previous === before.hash && info.height === before.height + 1;
    before = info;
    return fits;
  });
}

/** Starts to read a block. An error of it is kept for the reader. */
function fetchAhead(
  blocks: NodeBlocks,
  header: HeaderAnswer | undefined,
): (() => Promise<Uint8Array>) | undefined {
  if (header === undefined) return undefined;
  const bytes = blocks.raw(header.info);
  bytes.catch(() => {});
  return () => bytes;
}

/** Blocks that are still to be read, by height, each once. */
class DueBlocks {
  readonly #seen = new Set<string>();
  #due: BlockInfo[] = [];

  add(headers: readonly HeaderAnswer[]): void {
    const fresh = headers.filter(({ info, best }) => best && !this.#seen.has(info.hash));
    for (const { info } of fresh) this.#seen.add(info.hash);
    this.#due = [...this.#due, ...fresh.map(({ info }) => info)].toSorted(
      (a, b) => b.height - a.height,
    );
  }

  take(): BlockInfo | undefined {
    return this.#due.pop();
  }
}
