/** Block headers, proof of work, merkle trees, and the transactions of a raw block. */
import { concatBytes } from '@noble/hashes/utils.js';
import { fail, ok, type Parsed } from '../protocol/result.js';
import { fromDisplay, sha256d, toDisplay } from './bytes.js';
import type { BitcoinNetwork } from './network.js';
import { FormError, Reader } from './reader.js';
import { readTransaction, type Transaction } from './transaction.js';

/** Bytes of a header. */
export const HEADER_BYTES = 80;
/** A block has at most 4,000,000 weight units, and so fewer bytes. */
export const MAX_BLOCK_BYTES = 4_000_000;
/** Bytes of the smallest transaction: one input and one output without scripts. */
const LEAST_TRANSACTION = 60;
/** Twice as deep as the tree of the block with the most transactions. */
const MAX_BRANCH = 32;

/** A header of 80 bytes. Hashes are in display order. */
export interface BlockHeader {
  /** The hash of the header. */
  readonly hash: string;
  readonly version: number;
  readonly previousHash: string;
  readonly merkleRoot: string;
  /** In Unix seconds. */
  readonly time: number;
  /** The target, in compact form. */
  readonly bits: number;
  readonly nonce: number;
}

/** Reads the first 80 bytes. The proof of work is not checked: see `hasProofOfWork`. */
export function parseHeader(bytes: Uint8Array): Parsed<BlockHeader, 'header-length'> {
  if (bytes.length < HEADER_BYTES) return fail('header-length');
  const header = bytes.subarray(0, HEADER_BYTES);
  const reader = new Reader(header);
  return ok({
    hash: toDisplay(sha256d(header)),
    version: reader.u32(),
    previousHash: toDisplay(reader.take(32)),
    merkleRoot: toDisplay(reader.take(32)),
    time: reader.u32(),
    bits: reader.u32(),
    nonce: reader.u32(),
  });
}

/** The target of the compact form; undefined when it is negative, zero, or above 256 bits. */
export function targetOfBits(bits: number): bigint | undefined {
  const exponent = bits >>> 24;
  const mantissa = bits & 0x7f_ffff;
  if ((bits & 0x80_0000) !== 0 || mantissa === 0 || exponent > 34) return undefined;
  const target =
    exponent <= 3
      ? BigInt(mantissa >>> (8 * (3 - exponent)))
      : BigInt(mantissa) << BigInt(8 * (exponent - 3));
  return target > 0n && target < 1n << 256n ? target : undefined;
}

/**
 * Whether the hash of the header is at most its target, and the target at most the easiest one of the
 * network. Whether it is the right target for its height is not known here.
 */
export function hasProofOfWork(
  { hash, bits }: Pick<BlockHeader, 'hash' | 'bits'>,
  { easiestBits }: Pick<BitcoinNetwork, 'easiestBits'>,
): boolean {
  const target = targetOfBits(bits);
  const easiest = targetOfBits(easiestBits);
  if (target === undefined || easiest === undefined || target > easiest) return false;
  return BigInt(`0x${hash}`) <= target;
}

const parent = (left: Uint8Array, right: Uint8Array): Uint8Array =>
  sha256d(concatBytes(left, right));

/** The next row of the tree, half as long. A last one without a neighbour is joined with itself. */
function nextRow(row: readonly Uint8Array[]): Uint8Array[] {
  const joined: Uint8Array[] = [];
  for (let n = 0; n < row.length; n += 2) {
    const left = row[n];
    if (left !== undefined) joined.push(parent(left, row[n + 1] ?? left));
  }
  return joined;
}

/**
 * The root of the tree over the txids of a block, in order; undefined without any, and when a row has two
 * equal neighbours: another list of transactions then has the same root (CVE-2012-2459).
 */
export function merkleRoot(txids: readonly string[]): string | undefined {
  let row = txids.map(fromDisplay);
  while (row.length > 1) {
    const names = row.map(toDisplay);
    if (names.some((name, n) => n % 2 === 1 && name === names[n - 1])) return undefined;
    row = nextRow(row);
  }
  return row[0] && toDisplay(row[0]);
}

/** The neighbours on the way from a transaction to the root; undefined for a place outside the block. */
export function merkleBranch(
  txids: readonly string[],
  index: number,
): readonly string[] | undefined {
  if (!Number.isInteger(index) || index < 0 || index >= txids.length) return undefined;
  const branch: string[] = [];
  let place = index;
  for (let row = txids.map(fromDisplay); row.length > 1; row = nextRow(row)) {
    const neighbour = row[place % 2 === 0 ? place + 1 : place - 1] ?? row[place];
    if (neighbour !== undefined) branch.push(toDisplay(neighbour));
    place = Math.floor(place / 2);
  }
  return branch;
}

/**
 * Whether a branch leads from a transaction at this place of a block to the root. A peer's branch may be
 * of any length and may hold any text. `txid` must be that of a transaction that was read: 64 bytes inside
 * the tree look like one otherwise.
 */
export function branchLeadsTo(
  root: string,
  { txid, index, branch }: { txid: string; index: number; branch: readonly string[] },
): boolean {
  if (branch.length > MAX_BRANCH || !Number.isInteger(index) || index < 0) return false;
  if (index >= 2 ** branch.length || ![txid, ...branch].every((hash) => isHash(hash))) return false;
  let place = index;
  let hash = fromDisplay(txid);
  for (const neighbour of branch.map(fromDisplay)) {
    hash = place % 2 === 0 ? parent(hash, neighbour) : parent(neighbour, hash);
    place = Math.floor(place / 2);
  }
  return toDisplay(hash) === root;
}

const isHash = (text: string): boolean => /^[0-9a-f]{64}$/.test(text);

/** Why bytes are not a block. */
export type BlockFault =
  | 'block-size'
  /** Cut off, or with a length that is not in its shortest form. */
  | 'block-form'
  /** One of its transactions is not valid. */
  | 'block-transaction'
  /** Bytes behind its last transaction. */
  | 'block-end';

/** A block whose header was read. Its transactions are read while they are iterated. */
export interface RawBlock {
  readonly header: BlockHeader;
  /** At least 1. */
  readonly transactionCount: number;
  /**
   * Its transactions in order, as views of the bytes of the block; the last element is a fault when the
   * bytes are not valid there. A caller that keeps one for long should copy it. One step takes microseconds, so
   * the caller can pause between steps.
   */
  transactions(): Generator<Parsed<Transaction, BlockFault>, void, undefined>;
}

/**
 * Reads the header and the number of transactions of a raw block. That the transactions are those of the
 * header is not checked: see `merkleRoot`.
 */
export function parseBlock(bytes: Uint8Array): Parsed<RawBlock, BlockFault> {
  if (bytes.length > MAX_BLOCK_BYTES) return fail('block-size');
  const header = parseHeader(bytes);
  if (!header.ok) return fail('block-form');
  const reader = new Reader(bytes, HEADER_BYTES);
  const transactionCount = countOf(reader);
  if (transactionCount === 0 || transactionCount * LEAST_TRANSACTION > reader.left) {
    return fail('block-form');
  }
  const from = reader.at;
  return ok({
    header: header.value,
    transactionCount,
    transactions: () => readTransactions(bytes, from, transactionCount),
  });
}

/** 0 when the count cannot be read: no block is without transactions. */
function countOf(reader: Reader): number {
  try {
    return reader.length();
  } catch (error) {
    if (error instanceof FormError) return 0;
    throw error;
  }
}

function* readTransactions(
  bytes: Uint8Array,
  from: number,
  count: number,
): Generator<Parsed<Transaction, BlockFault>, void, undefined> {
  const reader = new Reader(bytes, from);
  for (let n = 0; n < count; n++) {
    const transaction = nextTransaction(reader);
    yield transaction;
    if (!transaction.ok) return;
  }
  if (reader.left > 0) yield fail('block-end');
}

function nextTransaction(reader: Reader): Parsed<Transaction, BlockFault> {
  try {
    const transaction = readTransaction(reader);
    return transaction.ok ? transaction : fail('block-transaction');
  } catch (error) {
    if (error instanceof FormError) return fail('block-form');
    throw error;
  }
}
