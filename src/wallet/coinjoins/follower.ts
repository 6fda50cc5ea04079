/**
 * Follows the coinjoins that a wallet signed until they, or a conflict, are in a block. The blocks themselves
 * settle a transaction by the wallet's own coins (`Wallet.sync`). What they do not show is asked here: whether
 * the mempool has it, and whether a coin of another owner was spent otherwise, after which it can never confirm.
 *
 * A node that says "missing inputs" proves nothing: it says so about a confirmed coinjoin whose outputs are
 * spent, too. Only a block that spends one of the coins frees the others.
 */
import { BroadcastError } from '../../chain/chain-error.js';
import type { Chain, TransactionState } from '../../chain/ports.js';
import { BoundedMap } from '../../kit/bounded-map.js';
import { formatOutpoint } from '../../protocol/outpoint.js';
import type { SignedTransaction } from '../requests.js';
import type { Wallet } from '../wallet.js';

/** Transactions of one look. The others come with the next ones. */
const MOST_LOOKED_AT = 20;
/** Transactions whose search is remembered. */
const MOST_REMEMBERED = 1_000;
/** Blocks that are searched again, since a reorganisation may have replaced them. */
const SEARCHED_AGAIN = 3;
/** Blocks below the signature that are searched when a reorganisation replaced more than those. */
const SEARCHED_BELOW = 100;

/** The last block of a search. */
interface Searched {
  readonly height: number;
  readonly hash: string | undefined;
}

/** Where a coinjoin was found. */
export type CoinjoinSighting =
  | 'mempool'
  | 'confirmed'
  /** A coin of another owner was spent otherwise, in a block: it can never confirm. */
  | 'lost'
  /** A transaction of the mempool spends one of its coins. */
  | 'contested'
  | 'missing'
  /** It was missing, and was sent again. */
  | 'sent';

/** What a look found out about one coinjoin. */
export interface FollowedCoinjoin {
  readonly unsignedTxid: string;
  readonly kind: SignedTransaction['kind'];
  readonly sighting: CoinjoinSighting;
}

const isFollowed = ({ kind, state }: SignedTransaction): boolean =>
  (kind === 'coinjoin-maker' || kind === 'coinjoin-taker') &&
  (state === 'pending' || state === 'abandoned');

export class CoinjoinFollower {
  readonly #wallet: Wallet;
  readonly #chain: Chain;
  /** Block up to which was searched, by unsigned txid. */
  readonly #searched = new BoundedMap<string, Searched>(MOST_REMEMBERED);
  /** The one that was looked at last, so that the next look continues behind it. */
  #last: string | undefined;

  constructor(wallet: Wallet, chain: Chain) {
    this.#wallet = wallet;
    this.#chain = chain;
  }

  /**
   * Looks at coinjoins that are not settled, at most 20 of them, and writes what changed to the journal. Call it
   * after each reading of the chain. Rejects with a `ChainError` when the chain does not answer.
   */
  async look(signal?: AbortSignal): Promise<readonly FollowedCoinjoin[]> {
    const found: FollowedCoinjoin[] = [];
    const hashes = new Map<number, string | undefined>();
    for (const signed of this.#next()) {
      this.#last = signed.unsignedTxid;
      // oxlint-disable-next-line no-await-in-loop -- one at a time: each may read blocks
      const sighting = await this.#lookAt(signed, hashes, signal);
      found.push({ unsignedTxid: signed.unsignedTxid, kind: signed.kind, sighting });
    }
    return found;
  }

  #next(): readonly SignedTransaction[] {
    const all = this.#wallet.signedTransactions().filter(isFollowed);
    const behind = all.findIndex(({ unsignedTxid }) => unsignedTxid === this.#last) + 1;
    return [...all.slice(behind), ...all.slice(0, behind)].slice(0, MOST_LOOKED_AT);
  }

  async #lookAt(
    signed: SignedTransaction,
    hashes: Map<number, string | undefined>,
    signal: AbortSignal | undefined,
  ): Promise<CoinjoinSighting> {
    const { unsignedTxid } = signed;
    const { height } = this.#wallet;
    // Before the search: where blocks change meanwhile, the next look finds another hash.
    const hash = await this.#hashAt(height, hashes, signal);
    const from = await this.#searchFrom(signed, hashes, signal);
    const bytes = signed.bytes ?? signed.transaction;
    const state = await this.#chain.transactionState(bytes, from, signal);
    const sighting = await this.#judge(signed, state);
    this.#searched.set(unsignedTxid, { height, hash });
    const isSeen = sighting === 'mempool' || sighting === 'sent';
    // A confirmed one is settled by its block, and one that is lost is written as such.
    if (sighting !== 'confirmed' && sighting !== 'lost' && signed.seen !== isSeen) {
      await this.#wallet.markSeen(unsignedTxid, isSeen);
    }
    return sighting;
  }

  /** The first height to search. */
  async #searchFrom(
    { unsignedTxid, height: signedAt }: SignedTransaction,
    hashes: Map<number, string | undefined>,
    signal: AbortSignal | undefined,
  ): Promise<number> {
    const { height } = this.#wallet;
    const last = this.#searched.get(unsignedTxid);
    if (last !== undefined && (await this.#hashAt(last.height, hashes, signal)) !== last.hash) {
      // The searched blocks, and those before the signature, may have been replaced.
      return Math.max(0, Math.min(signedAt, height) - SEARCHED_BELOW) + 1;
    }
    const searched = Math.min(last?.height ?? signedAt, height);
    // Without a new block nothing is searched again: a taker may have named coins that do not exist, and the
    // search for their spending reads whole blocks.
    const again = searched < height ? SEARCHED_AGAIN : 0;
    return Math.max(signedAt, searched - again) + 1;
  }

  async #hashAt(
    height: number,
    hashes: Map<number, string | undefined>,
    signal: AbortSignal | undefined,
  ): Promise<string | undefined> {
    if (!hashes.has(height)) hashes.set(height, (await this.#chain.blockAt(height, signal))?.hash);
    return hashes.get(height);
  }

  async #judge(signed: SignedTransaction, state: TransactionState): Promise<CoinjoinSighting> {
    switch (state.state) {
      case 'mempool':
        return 'mempool';
      case 'confirmed':
        return 'confirmed';
      case 'conflict':
        return this.#judgeConflict(signed, state);
      case 'unknown':
        return this.#sendAgain(signed);
    }
  }

  /**
   * The transaction itself looks like a conflict when it has scripts in its inputs, which change its id. The
   * wallet knows it by the id without them once it has read the block; until then nothing is decided.
   */
  async #judgeConflict(
    { unsignedTxid, coins }: SignedTransaction,
    { outpoint, height }: TransactionState & { readonly state: 'conflict' },
  ): Promise<CoinjoinSighting> {
    if (height === undefined) return 'contested';
    const name = formatOutpoint(outpoint);
    // A block that spends a coin of the wallet settles the transaction when it is read.
    if (coins.some((coin) => formatOutpoint(coin) === name)) return 'contested';
    const isRead = this.#wallet.height >= height;
    const now = this.#wallet.signedTransactions().find((it) => it.unsignedTxid === unsignedTxid);
    if (!isRead || now === undefined || !isFollowed(now)) return 'contested';
    await this.#wallet.markLost(unsignedTxid, height);
    return 'lost';
  }

  /** Only a taker has the whole transaction. Its refusal changes nothing. */
  async #sendAgain({ bytes, state, peersOnly }: SignedTransaction): Promise<CoinjoinSighting> {
    if (bytes === undefined || state === 'abandoned' || peersOnly === true) return 'missing';
    try {
      await this.#chain.broadcast(bytes);
      return 'sent';
    } catch (error) {
      if (error instanceof BroadcastError) return 'missing';
      throw error;
    }
  }
}
