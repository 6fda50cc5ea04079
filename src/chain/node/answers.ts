/** What a node answers, parsed into typed values. Everything else is a `ChainError`. Pure. */
import { hexToBytes } from '@noble/hashes/utils.js';
import { isRecord, type JsonRecord } from '../../kit/json-record.js';
import { MAX_SATOSHI } from '../../protocol/offer.js';
import { ChainError } from '../chain-error.js';
import type { BlockInfo, UnspentOutput } from '../ports.js';

const MAX_HEIGHT = 0x7fff_ffff;
const MAX_TIME = 0xffff_ffff;
const MAX_VOUT = 0xffff_ffff;
/** Hex digits of the longest script that an output can have in a block. */
const MAX_SCRIPT_DIGITS = 8_000_000;
const SATOSHI = 100_000_000;

/** The answer to a method is not what that method answers. */
export function unexpected(method: string, field: string): ChainError {
  return new ChainError('answer', `the bitcoin node answers ${method} without a valid ${field}`);
}

/** Reads the fields of one answer; each wrong one throws. */
export class Answer {
  readonly #method: string;
  readonly #fields: JsonRecord;

  constructor(method: string, value: unknown) {
    this.#method = method;
    if (!isRecord(value)) throw unexpected(method, 'object');
    this.#fields = value;
  }

  has(field: string): boolean {
    return this.#fields[field] !== undefined && this.#fields[field] !== null;
  }

  text(field: string): string {
    const value = this.#fields[field];
    if (typeof value !== 'string') throw this.#wrong(field);
    return value;
  }

  flag(field: string): boolean {
    const value = this.#fields[field];
    if (typeof value !== 'boolean') throw this.#wrong(field);
    return value;
  }

  whole(field: string, least: number, most: number): number {
    const value = this.#fields[field];
    if (
      typeof value !== 'number' ||
      !Number.isSafeInteger(value) ||
      value < least ||
      value > most
    ) {
      throw this.#wrong(field);
    }
    return value;
  }

  height(field: string): number {
    return this.whole(field, 0, MAX_HEIGHT);
  }

  hash(field: string): string {
    return hashIn(this.#method, this.#fields[field]);
  }

  script(field: string): string {
    const value = this.text(field);
    if (value.length > MAX_SCRIPT_DIGITS || !/^(?:[0-9a-f]{2})*$/.test(value))
      throw this.#wrong(field);
    return value;
  }

  /** An amount in bitcoin, or a fee rate in bitcoin per 1,000 virtual bytes, in satoshi. */
  satoshi(field: string): number {
    const value = this.#fields[field];
    if (typeof value !== 'number') throw this.#wrong(field);
    const satoshi = toSatoshi(value);
    if (satoshi === undefined) throw this.#wrong(field);
    return satoshi;
  }

  inner(field: string): Answer {
    return new Answer(this.#method, this.#fields[field]);
  }

  list(field: string): readonly unknown[] {
    const value = this.#fields[field];
    if (!Array.isArray(value)) throw this.#wrong(field);
    return value;
  }

  #wrong(field: string): ChainError {
    return unexpected(this.#method, field);
  }
}

/**
 * Whole satoshi of a number in bitcoin. JSON numbers are doubles: exact to less than a satoshi for every
 * amount that can exist. Undefined for an amount that cannot exist.
 */
export function toSatoshi(bitcoin: number): number | undefined {
  const satoshi = Math.round(bitcoin * SATOSHI);
  if (!Number.isSafeInteger(satoshi) || satoshi < 0 || satoshi > MAX_SATOSHI) return undefined;
  return Object.is(satoshi, -0) ? 0 : satoshi;
}

export function hashIn(method: string, value: unknown): string {
  if (typeof value !== 'string' || !/^[0-9a-f]{64}$/.test(value)) throw unexpected(method, 'hash');
  return value;
}

export function bytesIn(method: string, value: unknown): Uint8Array {
  if (typeof value !== 'string' || !/^[0-9a-f]+$/.test(value) || value.length % 2 !== 0) {
    throw unexpected(method, 'hex');
  }
  return hexToBytes(value);
}

/** `getblockheader`, verbose. */
export interface HeaderAnswer {
  readonly info: BlockInfo;
  /** Undefined for the genesis block. */
  readonly previous: string | undefined;
  /** Whether the block is in the best chain. */
  readonly best: boolean;
}

export function readHeader(value: unknown): HeaderAnswer {
  const answer = new Answer('getblockheader', value);
  return {
    info: {
      height: answer.height('height'),
      hash: answer.hash('hash'),
      time: answer.whole('time', 0, MAX_TIME),
      medianTime: answer.whole('mediantime', 0, MAX_TIME),
    },
    previous: answer.has('previousblockhash') ? answer.hash('previousblockhash') : undefined,
    best: answer.whole('confirmations', -1, MAX_HEIGHT) >= 0,
  };
}

/** `gettxout`; undefined for an output that does not exist or is spent. */
export interface OutputAnswer {
  readonly script: string;
  readonly value: number;
  readonly confirmations: number;
  /** Whether a coinbase transaction made it. */
  readonly coinbase: boolean;
  /** The best block of the answer, by which the confirmations are counted. */
  readonly bestBlock: string;
}

export function readOutput(value: unknown): OutputAnswer | undefined {
  if (value === null) return undefined;
  const answer = new Answer('gettxout', value);
  return {
    script: answer.inner('scriptPubKey').script('hex'),
    value: answer.satoshi('value'),
    confirmations: answer.whole('confirmations', 0, MAX_HEIGHT),
    coinbase: answer.has('coinbase') && answer.flag('coinbase'),
    bestBlock: answer.hash('bestblock'),
  };
}

/** `scantxoutset start`. */
export function readUnspent(value: unknown): {
  readonly complete: boolean;
  readonly bestBlock: string;
  readonly outputs: readonly UnspentOutput[];
} {
  const method = 'scantxoutset';
  const answer = new Answer(method, value);
  const outputs = answer.list('unspents').map((entry) => {
    const output = new Answer(method, entry);
    return {
      txid: output.hash('txid'),
      vout: output.whole('vout', 0, MAX_VOUT),
      script: output.script('scriptPubKey'),
      value: output.satoshi('amount'),
      height: output.height('height'),
      coinbase: output.has('coinbase') && output.flag('coinbase'),
    };
  });
  return { complete: answer.flag('success'), bestBlock: answer.hash('bestblock'), outputs };
}

/** `scanblocks start`: hashes of blocks that may concern the scripts. */
export function readMatches(value: unknown): {
  readonly complete: boolean;
  readonly hashes: readonly string[];
} {
  const method = 'scanblocks';
  const answer = new Answer(method, value);
  return {
    // Absent before version 26.
    complete: !answer.has('completed') || answer.flag('completed'),
    hashes: answer.list('relevant_blocks').map((hash) => hashIn(method, hash)),
  };
}

/** `scantxoutset status` and `scanblocks status`: the share that is done; undefined when no scan runs. */
export function readProgress(method: string, value: unknown): number | undefined {
  if (value === null) return undefined;
  const percent = new Answer(method, value).whole('progress', 0, 100);
  return percent / 100;
}

/** `gettxspendingprevout`: one txid or undefined for each coin, in the order of the request. */
export function readSpenders(value: unknown, count: number): readonly (string | undefined)[] {
  const method = 'gettxspendingprevout';
  if (!Array.isArray(value) || value.length !== count) throw unexpected(method, 'list');
  return value.map((entry: unknown) => {
    const answer = new Answer(method, entry);
    return answer.has('spendingtxid') ? answer.hash('spendingtxid') : undefined;
  });
}

/** `estimatesmartfee`: satoshi per 1,000 virtual bytes; undefined without an estimate. */
export function readFeeEstimate(value: unknown): number | undefined {
  const answer = new Answer('estimatesmartfee', value);
  return answer.has('feerate') ? answer.satoshi('feerate') : undefined;
}

/** `getmempoolinfo`: the least fee rate that is relayed now, in satoshi per 1,000 virtual bytes. */
export function readMinimumFee(value: unknown): number {
  const answer = new Answer('getmempoolinfo', value);
  return Math.max(answer.satoshi('mempoolminfee'), answer.satoshi('minrelaytxfee'));
}

/** `testmempoolaccept` of one transaction: undefined when it would be taken, else the reason. */
export function readTestAccept(value: unknown): string | undefined {
  const method = 'testmempoolaccept';
  if (!Array.isArray(value)) throw unexpected(method, 'list');
  const answer = new Answer(method, value[0]);
  // Entries of a package that is not judged have no `allowed` at all.
  if (answer.has('allowed') && answer.flag('allowed')) return undefined;
  if (answer.has('reject-reason')) return answer.text('reject-reason');
  return answer.has('package-error') ? answer.text('package-error') : 'the node gives no reason';
}
