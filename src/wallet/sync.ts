/**
 * Reads the chain for a wallet. Every step becomes a record, and the state follows from the records alone. A
 * deposit exists from its first confirmation on, so one that was replaced in the mempool was never shown. After
 * a reorganisation of any depth, coins of lost blocks are gone until another block has them.
 */
import { ChainError } from '../chain/chain-error.js';
import type { BlockInfo, Chain, ScanStep, Watch } from '../chain/ports.js';
import { counted } from '../kit/decimal.js';
import { formatOutpoint } from '../protocol/outpoint.js';
import { BRANCH, WalletError } from './api.js';
import { blockRecord } from './found.js';
import type { WalletJournal } from './journal.js';
import { coinKey } from './ledger.js';
import { NO_BLOCK } from './scan-progress.js';
import { MANY, type UnspentRecord, type WalletRecord } from './records.js';
import type { SyncOptions, SyncReport } from './requests.js';
import { extendRanges, type RangeTerms } from './scripts.js';

/** Blocks without a transaction of the wallet that are read before their progress is written. */
const QUIET_BLOCKS = 36;
/** Blocks that are read without a filter index before the user is told that one would help. */
const MANY_BLOCKS = 2_000;
/** Blocks before the birth height that are read, too: a reorganisation may move the first deposit there. */
const BIRTH_MARGIN = 100;
/** The newest blocks are always read: no reorganisation that was ever seen went deeper. */
const REORGANISED = 100;
/** Addresses of each branch that are skipped where used ones may be unknown. */
const SKIPPED = 100;

/** What a synchronisation needs. */
export interface WalletSyncOptions extends RangeTerms {
  readonly chain: Chain;
  /** Height of the best block when the wallet was made. */
  readonly birthHeight: number;
}

const isBetween = (value: number, least: number, most: number): boolean =>
  value >= least && value <= most;

export class WalletSync {
  readonly #options: WalletSyncOptions;
  readonly #journal: WalletJournal;
  /** Height of the last progress that is in the journal, or waits to be. */
  #noted = -1;
  #isComplete = false;
  /** The last reading. Two at once would drop what the other one has just read. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(options: WalletSyncOptions) {
    this.#options = options;
    this.#journal = options.journal;
  }

  /** Whether the tip was reached since the opening: every used address is known then. */
  get isComplete(): boolean {
    return this.#isComplete;
  }

  /**
   * Reads up to the tip. Rejects with a `ChainError` when the source does not answer, or has pruned blocks
   * that must be read; what was read until then stays. A reading that runs is awaited first.
   */
  run(options: SyncOptions): Promise<SyncReport> {
    return this.#inTurn(() => this.#run(options), options);
  }

  async #run(options: SyncOptions): Promise<SyncReport> {
    const { chain } = this.#options;
    const notes: string[] = [];
    await extendRanges(this.#options);
    await this.#dropUnfinished();
    const from = await this.#start(options.signal);
    const tip = await chain.tip(options.signal);
    const blocks = tip.height - Math.max(this.#journal.state.progress.height, from - 1);
    if (!chain.abilities.quickHistory && blocks > MANY_BLOCKS) {
      notes.push(
        `The node has no filter index, so ${counted(blocks, 'block')} are read whole: ` +
          'blockfilterindex=1 in bitcoin.conf makes this much faster.',
      );
    }
    const transactions = await this.#scan(from, options);
    const { height } = this.#journal.state.progress;
    return { height, transactions, notes };
  }

  /**
   * Forgets the chain and reads it again. From a height above that of the birth on, coins in older blocks come
   * from the set of unspent coins, and addresses are skipped, since those that were emptied are not known
   * then. Rejects with a WalletError `request` for a height above the best block.
   */
  rescan(wanted: number, options: SyncOptions): Promise<SyncReport> {
    return this.#inTurn(() => this.#rescan(wanted, options), options);
  }

  #inTurn<T>(read: () => Promise<T>, { signal }: SyncOptions): Promise<T> {
    const reading = this.#last.then(() => {
      signal.throwIfAborted();
      return read();
    });
    this.#last = reading.catch(() => {});
    return reading;
  }

  async #rescan(wanted: number, options: SyncOptions): Promise<SyncReport> {
    const { chain, birthHeight } = this.#options;
    await extendRanges(this.#options);
    const first = await chain.firstReadable(options.signal);
    if (first > wanted) throw pruned(first, wanted);
    if (wanted <= birthHeight) {
      await this.#restart(Math.min(wanted, Math.max(first, this.#firstHeight())), []);
      return this.#run(options);
    }
    const { height } = await chain.tip(options.signal);
    if (wanted > height) {
      const text = `there is no block ${wanted} yet: the best block is ${height}`;
      throw new WalletError('request', text);
    }
    // Blocks that a reorganisation may replace are read, so that it is noticed.
    const from = Math.min(wanted, Math.max(first, height - REORGANISED));
    const coins = await this.#unspentBelow(from, options);
    // Before the chain is forgotten: a crash between the two must not hand out a used address.
    await this.#skipAddresses();
    await this.#restart(from, coins);
    const { notes, ...report } = await this.#run(options);
    const skipped =
      `Blocks below ${from} were not read: their coins are known from the set of unspent coins, the history ` +
      `before is not, and ${SKIPPED} addresses of each branch were skipped.`;
    return { ...report, notes: [skipped, ...notes] };
  }

  /** Some blocks before the wallet was made. */
  #firstHeight(): number {
    return Math.max(0, this.#options.birthHeight - BIRTH_MARGIN);
  }

  /** Blocks above the last progress are read again, perhaps on another branch of the chain. */
  #dropUnfinished(): Promise<void> {
    return this.#journal.note(({ progress }) => {
      const [known] = progress.known;
      if (progress.newest <= (known?.height ?? -1)) return [];
      return known === undefined
        ? [{ kind: 'rewind', height: (progress.from ?? this.#firstHeight()) - 1, hash: NO_BLOCK }]
        : [{ kind: 'rewind', ...known }];
    });
  }

  /** Height of the first block to read when no known one is in the chain. Rejects where it is pruned. */
  async #start(signal: AbortSignal): Promise<number> {
    const { known, from } = this.#journal.state.progress;
    const first = await this.#options.chain.firstReadable(signal);
    // The margin is not worth a refusal.
    const margin = Math.max(this.#firstHeight(), Math.min(first, this.#options.birthHeight));
    const start = from ?? margin;
    const next = known[0] === undefined ? start : known[0].height + 1;
    if (first > next) throw pruned(first, next);
    return start;
  }

  async #scan(from: number, { signal, onProgress }: SyncOptions): Promise<number> {
    const { chain } = this.#options;
    const { state } = this.#journal;
    const watch: Watch = {
      scripts: () => state.book.scripts(),
      hasScript: (script) => state.book.own(script) !== undefined,
      hasCoin: (outpoint) => state.ledger.coin(formatOutpoint(outpoint)) !== undefined,
    };
    let found = 0;
    const { known } = state.progress;
    const steps = chain.scan({ known, from, watch, signal, onProgress });
    for await (const step of steps) {
      found += await this.#take(step);
    }
    await this.#journal.flush();
    this.#isComplete = true;
    return found;
  }

  async #take(step: ScanStep): Promise<number> {
    if (step.kind === 'reached') {
      await this.#reach(step.block);
      return 0;
    }
    if (step.kind === 'rewind') {
      this.#noted = -1;
      const { height, hash } = step.to;
      await this.#journal.note(() => [{ kind: 'rewind', height, hash }]);
      return 0;
    }
    let added = 0;
    await this.#journal.note((state) => {
      const hasCoin = (name: string): boolean => state.ledger.coin(name) !== undefined;
      const record = blockRecord(step.block, step.transactions, { book: state.book, hasCoin });
      added = record.transactions.length;
      return [record];
    });
    this.#noted = -1;
    await extendRanges(this.#options);
    return added;
  }

  /** The progress of quiet blocks is not worth a write each. */
  async #reach(block: BlockInfo): Promise<void> {
    const { height, hash, time, medianTime } = block;
    if (this.#journal.state.progress.tip?.hash === hash) {
      // The journal has it already: a command that only looks writes nothing.
      this.#noted = height;
      return;
    }
    const record: WalletRecord = { kind: 'reached', height, hash, time, medianTime };
    const isQuiet = this.#noted >= 0 && isBetween(height - this.#noted, 0, QUIET_BLOCKS - 1);
    if (isQuiet) {
      await this.#journal.observe(record);
      return;
    }
    this.#noted = height;
    await this.#journal.note(() => [record]);
  }

  async #unspentBelow(
    from: number,
    { signal, onProgress }: SyncOptions,
  ): Promise<readonly UnspentRecord[]> {
    const { chain } = this.#options;
    const { state } = this.#journal;
    for (;;) {
      const scripts = state.book.scripts();
      // oxlint-disable-next-line no-await-in-loop -- again when a coin at the end of a range extends it
      const { outputs } = await chain.unspent(scripts, signal, onProgress);
      const found = new Map<string, UnspentRecord>();
      for (const { txid, vout, script, value, height, coinbase } of outputs) {
        const place = state.book.nameOf(script);
        if (place === undefined || height >= from) continue;
        const coin = [txid, vout] as const;
        found.set(coinKey(coin), { coin, place, value, height, coinbase });
      }
      if (found.size > MANY) {
        throw new ChainError('answer', `the node names more than ${MANY} coins of the wallet`);
      }
      const coins = [...found.values()];
      // oxlint-disable-next-line no-await-in-loop
      await this.#journal.note(() => skipsBehind(coins));
      // oxlint-disable-next-line no-await-in-loop
      await extendRanges(this.#options);
      if (state.book.scripts().length === scripts.length) return coins;
    }
  }

  #restart(from: number, coins: readonly UnspentRecord[]): Promise<void> {
    this.#noted = -1;
    this.#isComplete = false;
    return this.#journal.transact(() => {
      const records: WalletRecord[] = [{ kind: 'rescan', from }];
      if (coins.length > 0) records.push({ kind: 'unspent', coins });
      return { records, result: undefined };
    });
  }

  async #skipAddresses(): Promise<void> {
    const { mixdepths } = this.#options;
    await this.#journal.transact(({ book }) => {
      const records = Array.from({ length: mixdepths }, (_, mixdepth) => mixdepth).flatMap(
        (mixdepth) =>
          ([BRANCH.external, BRANCH.internal] as const).map((branch): WalletRecord => {
            const next = book.next(mixdepth, branch) + SKIPPED;
            return { kind: 'skip', mixdepth, branch, next };
          }),
      );
      return { records, result: undefined };
    });
    await extendRanges(this.#options);
  }
}

const pruned = (first: number, wanted: number): ChainError =>
  new ChainError(
    'unable',
    `the node has pruned the blocks below ${first}, or does not have them yet, and the wallet must be read from ` +
      `${wanted} on: use a node with all blocks, or onionmc wallet rescan NAME --from ${first}`,
  );

/** Places of coins count as used. */
function skipsBehind(coins: readonly UnspentRecord[]): readonly WalletRecord[] {
  const next = new Map<string, WalletRecord & { kind: 'skip' }>();
  for (const { place } of coins) {
    const [mixdepth, branch, index] = place;
    if (mixdepth < 0 || (branch !== 0 && branch !== 1)) continue;
    const key = `${mixdepth}/${branch}`;
    const before = next.get(key)?.next ?? 0;
    next.set(key, { kind: 'skip', mixdepth, branch, next: Math.max(before, index + 1) });
  }
  return [...next.values()];
}
