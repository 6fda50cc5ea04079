/**
 * Transactions of the best chain that concern the wallet, and the coins that follow from them. A
 * reorganisation of any depth drops blocks and builds the coins again from those that are left. Pure.
 */
import { formatOutpoint, type Outpoint } from '../protocol/outpoint.js';
import type { AddressBook } from './address-book.js';
import { BRANCH, type CoinOrigin, type HistoryEntry, type KeyPlace } from './api.js';
import { isReuse } from './freeze.js';
import type {
  BlockRecord,
  CoinName,
  SignedRecord,
  TransactionRecord,
  UnspentRecord,
} from './records.js';

/** Where a coin was spent. */
export interface Spending {
  readonly unsigned: string;
  readonly height: number;
}

/** What only the transaction of a coin tells. */
type KeptFacts = Pick<LedgerCoin, 'origin' | 'mergeable' | 'reused'>;

/** What was known of blocks that are not read again. */
interface Earlier {
  readonly coins: ReadonlyMap<string, KeptFacts>;
  /** Scripts that were funded, with the height of the first time. */
  readonly scripts: ReadonlyMap<string, number>;
}

const NO_COINS: ReadonlySet<LedgerCoin> = new Set();

/** A confirmed coin, spent or not. */
export interface LedgerCoin extends Outpoint {
  readonly place: KeyPlace;
  readonly script: string;
  readonly outsideKey: string | undefined;
  readonly value: number;
  readonly height: number;
  readonly coinbase: boolean;
  readonly origin: CoinOrigin;
  readonly mergeable: boolean;
  /** It came to an address that was funded before and was empty. */
  readonly reused: boolean;
  spent: Spending | undefined;
}

/** A transaction of the chain, with the sums of the wallet. */
export interface LedgerEntry {
  readonly txid: string;
  /** Id without signatures. */
  readonly unsigned: string;
  readonly height: number;
  readonly time: number;
  readonly kind: HistoryEntry['kind'];
  /** Satoshi that came to the wallet's scripts, and that left them. */
  readonly received: number;
  readonly spent: number;
  readonly fee: number | undefined;
  readonly mixdepthFrom: number | undefined;
  readonly mixdepthTo: number | undefined;
  /** A coinjoin by its shape alone, which the journal did not sign. */
  readonly guessed: boolean;
}

/** What the ledger asks the rest of the state. */
export interface LedgerContext {
  readonly book: AddressBook;
  readonly signed: (unsigned: string) => SignedRecord | undefined;
  /** Whether a person unfroze the coin. */
  readonly isUnfrozen: (coin: string) => boolean;
}

/** The name of a coin in maps. */
export const coinKey = ([txid, vout]: CoinName): string => `${txid}:${vout}`;

const sum = (values: readonly number[]): number => values.reduce((all, value) => all + value, 0);

export class Ledger {
  readonly #context: LedgerContext;
  /** By height, ascending. */
  #blocks: BlockRecord[] = [];
  /** Coins of blocks that were not read. */
  #unspent: readonly UnspentRecord[] = [];
  #earlier: Earlier = { coins: new Map(), scripts: new Map() };
  readonly #coins = new Map<string, LedgerCoin>();
  /** For every script that was ever funded: its coins that are not spent. */
  readonly #funded = new Map<string, Set<LedgerCoin>>();
  #entries: LedgerEntry[] = [];
  readonly #confirmed = new Map<string, number>();

  constructor(context: LedgerContext) {
    this.#context = context;
  }

  /** Adds a block. It replaces all blocks of its height and above, also an earlier reading of itself. */
  addBlock(block: BlockRecord): void {
    const last = this.#blocks.at(-1);
    if (last !== undefined && last.height >= block.height) this.rewind(block.height - 1);
    this.#blocks.push(block);
    this.#apply(block);
  }

  /** Drops everything above a height. */
  rewind(height: number): void {
    const kept = this.#blocks.filter((block) => block.height <= height);
    const unspent = this.#unspent.filter((it) => it.height <= height);
    if (kept.length === this.#blocks.length && unspent.length === this.#unspent.length) return;
    this.#blocks = kept;
    this.#unspent = unspent;
    this.#rebuild();
  }

  /**
   * Forgets the chain, which is read again from this height. What the blocks below it said about coins and
   * scripts is kept, since the set of unspent coins does not say it.
   */
  forget(from: number): void {
    const scripts = new Map([...this.#earlier.scripts].filter(([, height]) => height < from));
    const coins = new Map<string, KeptFacts>();
    for (const [key, { height, script, origin, mergeable, reused }] of this.#coins) {
      if (height >= from) continue;
      coins.set(key, { origin, mergeable, reused });
      scripts.set(script, Math.min(height, scripts.get(script) ?? height));
    }
    this.#earlier = { coins, scripts };
    this.begin([]);
  }

  /** Begins with these unspent coins. */
  begin(unspent: readonly UnspentRecord[]): void {
    this.#blocks = [];
    this.#unspent = unspent;
    this.#rebuild();
  }

  coin(key: string): LedgerCoin | undefined {
    return this.#coins.get(key);
  }

  /** Every coin that is not spent in a block. */
  *unspentCoins(): Generator<LedgerCoin, void, undefined> {
    for (const coins of this.#funded.values()) yield* coins;
  }

  /** Coins of a script that are not spent; undefined for a script that was never funded. */
  coinsAt(script: string): ReadonlySet<LedgerCoin> | undefined {
    return this.#funded.get(script) ?? (this.#earlier.scripts.has(script) ? NO_COINS : undefined);
  }

  /** The oldest first. */
  entries(): readonly LedgerEntry[] {
    return this.#entries;
  }

  /** Height of a transaction of the chain, by its id without signatures. */
  heightOf(unsigned: string): number | undefined {
    return this.#confirmed.get(unsigned);
  }

  #rebuild(): void {
    this.#coins.clear();
    this.#funded.clear();
    this.#confirmed.clear();
    this.#entries = [];
    for (const { coin, place, value, height, coinbase } of this.#unspent) {
      const own = this.#context.book.named(place);
      if (own === undefined) continue;
      const origin = own.place.branch === BRANCH.bond ? 'bond' : 'unknown';
      const [txid, vout] = coin;
      const known = this.#earlier.coins.get(coinKey(coin));
      const facts = known ?? { origin, mergeable: false, reused: false };
      this.#addCoin({ txid, vout, ...own, value, height, coinbase, ...facts, spent: undefined });
    }
    for (const block of this.#blocks) this.#apply(block);
  }

  #apply(block: BlockRecord): void {
    for (const transaction of block.transactions) this.#applyTransaction(block, transaction);
  }

  #applyTransaction(block: BlockRecord, record: TransactionRecord): void {
    const unsigned = record.unsigned ?? record.txid;
    const signed = this.#context.signed(unsigned);
    const spent = this.#spend(record, { unsigned, height: block.height });
    const outputs = record.own.flatMap(([vout, name, value]) => {
      const own = this.#context.book.named(name);
      return own === undefined ? [] : [{ vout, value, ...own }];
    });
    const reused = new Set(
      outputs.map(({ script }) => script).filter((script) => this.#isReused(script)),
    );
    const allMergeable = spent.length > 0 && spent.every(({ mergeable }) => mergeable);
    for (const { vout, value, script, place, outsideKey } of outputs) {
      const origin = originOf({ place, value, script }, spent, record, signed);
      const isProven = signed?.coinjoin !== undefined && origin === 'coinjoin';
      const isChange = origin === 'change' || origin === 'cj-change';
      if (outsideKey === undefined) this.#context.book.use(place);
      this.#addCoin({
        txid: record.txid,
        vout,
        place,
        script,
        outsideKey,
        value,
        height: block.height,
        coinbase: record.at === 0 && record.spent.length === 0,
        origin,
        mergeable: isProven || (isChange && signed !== undefined && allMergeable),
        reused: reused.has(script) && place.branch !== BRANCH.bond,
        spent: undefined,
      });
    }
    this.#confirmed.set(unsigned, block.height);
    this.#entries.push(entryOf(block, record, spent, outputs, signed));
  }

  #spend(record: TransactionRecord, spending: Spending): readonly LedgerCoin[] {
    return record.spent.flatMap((name) => {
      const coin = this.#coins.get(coinKey(name));
      if (coin === undefined || coin.spent !== undefined) return [];
      coin.spent = spending;
      this.#funded.get(coin.script)?.delete(coin);
      return [coin];
    });
  }

  #isReused(script: string): boolean {
    return isReuse(this.coinsAt(script), (coin) => this.#context.isUnfrozen(formatOutpoint(coin)));
  }

  #addCoin(coin: LedgerCoin): void {
    this.#coins.set(formatOutpoint(coin), coin);
    const coins = this.#funded.get(coin.script);
    if (coins === undefined) this.#funded.set(coin.script, new Set([coin]));
    else coins.add(coin);
  }
}

interface OwnOutputFacts {
  readonly place: KeyPlace;
  readonly value: number;
  readonly script: string;
}

/**
 * What a coin came from: as the journal signed it, or by the shape of the transaction for one that another
 * program signed.
 */
function originOf(
  output: OwnOutputFacts,
  spent: readonly LedgerCoin[],
  { equal }: TransactionRecord,
  signed: SignedRecord | undefined,
): CoinOrigin {
  if (output.place.branch === BRANCH.bond) return 'bond';
  if (spent.length === 0) return 'deposit';
  if (signed !== undefined) {
    if (signed.coinjoin === undefined) return 'change';
    return output.script === signed.coinjoin.script ? 'coinjoin' : 'cj-change';
  }
  if (equal === undefined) return 'change';
  return output.value === equal ? 'coinjoin' : 'cj-change';
}

function entryOf(
  block: BlockRecord,
  record: TransactionRecord,
  spent: readonly LedgerCoin[],
  outputs: readonly (OwnOutputFacts & { readonly outsideKey: string | undefined })[],
  signed: SignedRecord | undefined,
): LedgerEntry {
  const own = outputs.filter(({ outsideKey }) => outsideKey === undefined);
  const inputs = spent.filter(({ outsideKey }) => outsideKey === undefined);
  const spentSum = sum(inputs.map(({ value }) => value));
  const received = sum(own.map(({ value }) => value));
  const isWhole = inputs.length > 0 && inputs.length === record.inputs;
  // Also one with a key outside the wallet, whose value is not in the sums.
  const isBond = [...outputs, ...spent].some(({ place }) => place.branch === BRANCH.bond);
  const isCoinjoin =
    inputs.length > 0 &&
    (signed === undefined ? record.equal !== undefined : signed.coinjoin !== undefined);
  const kind = (): LedgerEntry['kind'] => {
    if (inputs.length === 0) return isBond ? 'bond' : 'deposit';
    if (signed?.purpose === 'coinjoin-maker' || signed?.purpose === 'coinjoin-taker') {
      return signed.purpose;
    }
    // A maker never pays, a taker always does.
    if (isCoinjoin) return received >= spentSum ? 'coinjoin-maker' : 'coinjoin-taker';
    if (isBond) return 'bond';
    return isWhole && received === record.total ? 'internal' : 'send';
  };
  const target = isCoinjoin
    ? own.find(({ script, value }) =>
        signed?.coinjoin === undefined ? value === record.equal : script === signed.coinjoin.script,
      )
    : own[0];
  const entry = kind();
  return {
    txid: record.txid,
    unsigned: record.unsigned ?? record.txid,
    height: block.height,
    time: block.time,
    kind: entry,
    received,
    spent: spentSum,
    fee: isWhole ? spentSum - record.total : undefined,
    mixdepthFrom: inputs[0]?.place.mixdepth,
    mixdepthTo: entry === 'send' ? undefined : target?.place.mixdepth,
    guessed: isCoinjoin && signed === undefined,
  };
}
