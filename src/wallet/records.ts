/**
 * The records of a wallet's journal: what happened, in the order in which it happened. `parseWalletRecord`
 * accepts exactly these; a record of a later version is refused, since a wallet that ignored it could spend
 * a coin twice. Hex is lower case, amounts are satoshi, times Unix seconds.
 */
import { isRecord } from '../kit/json-record.js';
import { fail, ok, type Parsed } from '../protocol/result.js';
import type { JournalValue } from './store/api.js';
import * as read from './record-fields.js';

/** A coin in a record: its txid and output number. */
export type CoinName = readonly [txid: string, vout: number];
/** A place in a record: mixdepth, branch, index; mixdepth -1 for a bond whose key is outside the wallet. */
export type PlaceName = readonly [mixdepth: number, branch: number, index: number];
/** An output that pays the wallet. */
export type OwnOutput = readonly [vout: number, place: PlaceName, value: number];

/** A transaction of a block, as far as it concerns the wallet. */
export interface TransactionRecord {
  readonly txid: string;
  /** Id without input scripts, where it is another one. */
  readonly unsigned?: string;
  /** Place in the block, from 0. */
  readonly at: number;
  /** Number of its inputs, and the wallet's coins among them. */
  readonly inputs: number;
  readonly spent: readonly CoinName[];
  /** Sum of all outputs. */
  readonly total: number;
  readonly own: readonly OwnOutput[];
  /** Where it has the shape of a coinjoin: the amount of its equal outputs. */
  readonly equal?: number;
}

export interface BlockRecord {
  readonly kind: 'block';
  readonly height: number;
  readonly hash: string;
  readonly time: number;
  readonly transactions: readonly TransactionRecord[];
}

/** The amounts of a coinjoin: see `CoinjoinTerms`. */
export interface CoinjoinRecord {
  readonly amount: number;
  readonly earned: number;
  readonly script: string;
  readonly fee?: number;
}

export interface SignedRecord {
  readonly kind: 'signed';
  readonly unsigned: string;
  readonly purpose: 'send' | 'coinjoin-maker' | 'coinjoin-taker' | 'redeem';
  /** The serialization without signatures. */
  readonly transaction: string;
  /** The whole one, where every input is the wallet's. */
  readonly whole?: { readonly txid: string; readonly bytes: string };
  readonly coins: readonly CoinName[];
  readonly own: readonly OwnOutput[];
  readonly time: number;
  readonly height: number;
  readonly lease?: string;
  readonly replaces?: string;
  readonly coinjoin?: CoinjoinRecord;
}

/** A coin of the set of unspent coins, for blocks that were not read. */
export interface UnspentRecord {
  readonly coin: CoinName;
  readonly place: PlaceName;
  readonly value: number;
  readonly height: number;
  readonly coinbase: boolean;
}

export type WalletRecord =
  /** Public keys and chain codes of the mixdepths' accounts, 65 bytes each. */
  | { readonly kind: 'accounts'; readonly keys: readonly string[] }
  /** Hashes of watched scripts of a branch, base64: 20 bytes each; for bonds 32, and their public keys. */
  | {
      readonly kind: 'scripts';
      readonly mixdepth: number;
      readonly branch: 0 | 1 | 2;
      readonly from: number;
      readonly hashes: string;
      readonly keys?: string;
    }
  /** An address was handed out. */
  | {
      readonly kind: 'address';
      readonly place: PlaceName;
      readonly purpose: 'deposit' | 'coinjoin' | 'change' | 'bond';
      readonly time: number;
    }
  /** Every index of a branch below `next` counts as handed out. */
  | {
      readonly kind: 'skip';
      readonly mixdepth: number;
      readonly branch: 0 | 1;
      readonly next: number;
    }
  /** A bond whose key is outside the wallet is watched. `index` is its month. */
  | { readonly kind: 'outside-bond'; readonly publicKey: string; readonly index: number }
  | BlockRecord
  /** Everything up to this block was read. */
  | {
      readonly kind: 'reached';
      readonly height: number;
      readonly hash: string;
      readonly time: number;
      readonly medianTime: number;
    }
  /** The blocks above this one are no longer in the best chain. */
  | { readonly kind: 'rewind'; readonly height: number; readonly hash: string }
  /** The chain is read again from this height. */
  | { readonly kind: 'rescan'; readonly from: number }
  /** Unspent coins of blocks that are not read. */
  | { readonly kind: 'unspent'; readonly coins: readonly UnspentRecord[] }
  | { readonly kind: 'freeze'; readonly coin: CoinName; readonly reason: 'user' | 'imported' }
  | { readonly kind: 'unfreeze'; readonly coin: CoinName }
  | {
      readonly kind: 'lease';
      readonly id: string;
      readonly owner: string;
      readonly coins: readonly CoinName[];
      readonly time: number;
      readonly until: number;
    }
  | { readonly kind: 'release'; readonly id: string }
  | SignedRecord
  /** A signed transaction was sent or seen, or is missing in the mempool. */
  | { readonly kind: 'seen'; readonly unsigned: string; readonly seen: boolean }
  /** A coin of another owner in it was spent otherwise, in a block of this height. */
  | { readonly kind: 'lost'; readonly unsigned: string; readonly height: number }
  | { readonly kind: 'abandoned'; readonly unsigned: string }
  /** A signed transaction has the signatures of all its inputs, also those of other owners. */
  | {
      readonly kind: 'whole';
      readonly unsigned: string;
      readonly txid: string;
      readonly bytes: string;
      /** Only peers may send it, never our own source of the chain (`tx_broadcast = not-self`). */
      readonly peersOnly?: true;
    }
  /** A commitment must not be given to another round; `coin` for one of the wallet's own. */
  | { readonly kind: 'reserved'; readonly commitment: string; readonly coin?: CoinName }
  /** A reserved commitment was not used. */
  | { readonly kind: 'freed'; readonly commitment: string }
  /** A commitment was used; `coin` for one of the wallet's own. */
  | { readonly kind: 'commitment'; readonly commitment: string; readonly coin?: CoinName }
  /** A label was set, or removed where it is empty. */
  | {
      readonly kind: 'label';
      readonly type: 'addr' | 'output' | 'tx';
      readonly reference: string;
      readonly label: string;
    }
  | {
      readonly kind: 'certificate';
      readonly coin: CoinName;
      readonly privateKey: string;
      readonly expiry: number;
      readonly signature?: string;
    };

export type RecordKind = WalletRecord['kind'];

/** Most coins, outputs or transactions in one record. */
export const MANY = 100_000;
const MAX_TRANSACTION_DIGITS = 8_000_000;

const coin: read.Reader<CoinName> = read.tuple2(read.hex(64), read.integer());
const place: read.Reader<PlaceName> = (value) => {
  const parts = read.list(read.integer(-1), 3)(value);
  const [mixdepth, branch, index] = parts ?? [];
  if (parts?.length !== 3 || mixdepth === undefined || branch === undefined) return undefined;
  return index === undefined || branch > 2 ? undefined : [mixdepth, branch, index];
};
const ownOutput: read.Reader<OwnOutput> = read.tuple3(read.integer(), place, read.integer());
const coins = read.list(coin, MANY);
const own = read.list(ownOutput, MANY);

const transaction = read.record<TransactionRecord>({
  txid: read.hex(64),
  unsigned: read.optional(read.hex(64)),
  at: read.integer(),
  inputs: read.integer(),
  spent: coins,
  total: read.integer(),
  own,
  equal: read.optional(read.integer()),
});

const unspent = read.record<UnspentRecord>({
  coin,
  place,
  value: read.integer(),
  height: read.integer(),
  coinbase: read.boolean,
});

const height = read.integer(-1);
const hash = read.hex(64);
const time = read.integer();
const unsigned = read.hex(64);
const branch = read.oneOf(0, 1, 2);

/** A reader for the fields of each kind. */
const READERS: { readonly [K in RecordKind]: read.FieldsOf<Extract<WalletRecord, { kind: K }>> } = {
  accounts: { keys: read.list(read.hex(130), 1_000) },
  scripts: {
    mixdepth: read.integer(),
    branch,
    from: read.integer(),
    hashes: read.text(2_000_000),
    keys: read.optional(read.text(2_000_000)),
  },
  address: { place, purpose: read.oneOf('deposit', 'coinjoin', 'change', 'bond'), time },
  skip: { mixdepth: read.integer(), branch: read.oneOf(0, 1), next: read.integer() },
  'outside-bond': { publicKey: read.hex(66), index: read.integer() },
  block: { height, hash, time, transactions: read.list(transaction, MANY) },
  reached: { height, hash, time, medianTime: time },
  rewind: { height, hash },
  rescan: { from: read.integer() },
  unspent: { coins: read.list(unspent, MANY) },
  freeze: { coin, reason: read.oneOf('user', 'imported') },
  unfreeze: { coin },
  lease: { id: read.text(100), owner: read.text(200), coins, time, until: time },
  release: { id: read.text(100) },
  signed: {
    unsigned,
    purpose: read.oneOf('send', 'coinjoin-maker', 'coinjoin-taker', 'redeem'),
    transaction: read.hexText(MAX_TRANSACTION_DIGITS),
    whole: read.optional(
      read.record({ txid: read.hex(64), bytes: read.hexText(MAX_TRANSACTION_DIGITS) }),
    ),
    coins,
    own,
    time,
    height,
    lease: read.optional(read.text(100)),
    replaces: read.optional(read.hex(64)),
    coinjoin: read.optional(
      read.record<CoinjoinRecord>({
        amount: read.integer(),
        earned: read.integer(Number.MIN_SAFE_INTEGER),
        script: read.hexText(2_000),
        fee: read.optional(read.integer(Number.MIN_SAFE_INTEGER)),
      }),
    ),
  },
  seen: { unsigned, seen: read.boolean },
  lost: { unsigned, height },
  abandoned: { unsigned },
  whole: {
    unsigned,
    txid: read.hex(64),
    bytes: read.hexText(MAX_TRANSACTION_DIGITS),
    peersOnly: read.optional(read.yes),
  },
  reserved: { commitment: read.hex(64), coin: read.optional(coin) },
  freed: { commitment: read.hex(64) },
  commitment: { commitment: read.hex(64), coin: read.optional(coin) },
  label: {
    type: read.oneOf('addr', 'output', 'tx'),
    reference: read.text(200),
    label: read.text(2_000),
  },
  certificate: {
    coin,
    privateKey: read.hex(64),
    expiry: read.integer(),
    signature: read.optional(read.hexText(200)),
  },
};

/** A reader for the whole record of each kind. */
const RECORDS: ReadonlyMap<unknown, read.Reader<object>> = new Map(
  Object.entries(READERS).map(([kind, fields]) => [
    kind,
    read.record<object>({ kind: read.oneOf(kind), ...fields }),
  ]),
);

/**
 * Reads a record. `record-kind`: a kind that this version does not know; `record-form`: a field is missing,
 * has another type, or is not known.
 */
export function parseWalletRecord(
  value: JournalValue,
): Parsed<WalletRecord, 'record-kind' | 'record-form'> {
  if (!isRecord(value)) return fail('record-form');
  const reader = RECORDS.get(value['kind']);
  if (reader === undefined) return fail('record-kind');
  const parsed = reader(value);
  if (parsed === undefined) return fail('record-form');
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the reader of the kind read the fields
  return ok(parsed as WalletRecord);
}
