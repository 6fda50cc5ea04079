/**
 * Scripts of fidelity bonds, and the months that they can be locked until (docs/protocol.md, section 11.3).
 * A bond is a p2wsh coin; its key is the child of its month on branch 2 of mixdepth 0.
 */
import { bondScriptPubKey } from '../protocol/bond-script.js';
import type { Network } from '../protocol/constants.js';
import { fail, ok, type Parsed } from '../protocol/result.js';
import { addressOf } from './address.js';
import { readPushedNumber } from './script.js';
import type { InputKind } from './size.js';

export { bondScriptPubKey, bondWitnessScript } from '../protocol/bond-script.js';

/** Months from January 2020 to December 2099. */
export const BOND_MONTHS = 960;
const FIRST_YEAR = 2020;
const MAX_U32 = 0xffff_ffff;
/** From here on a lock time needs 5 bytes in a script: the fourth would show a sign. */
const FIVE_BYTES_FROM = 0x8000_0000;

const CHECKLOCKTIMEVERIFY = 0xb1;
const DROP = 0x75;
const CHECKSIG = 0xac;

/** A month that a bond can be locked until. Only months from 0 to 959 exist. */
export class BondMonth {
  /** Months since January 2020; also the number of the key. */
  readonly index: number;

  private constructor(index: number) {
    this.index = index;
  }

  static ofIndex(index: number): BondMonth | undefined {
    const exists = Number.isInteger(index) && index >= 0 && index < BOND_MONTHS;
    return exists ? new BondMonth(index) : undefined;
  }

  /** The month that begins at this time (Unix seconds); undefined for any other time. */
  static ofLockTime(lockTime: number): BondMonth | undefined {
    const date = new Date(lockTime * 1_000);
    const index = (date.getUTCFullYear() - FIRST_YEAR) * 12 + date.getUTCMonth();
    const month = BondMonth.ofIndex(index);
    return month?.lockTime === lockTime ? month : undefined;
  }

  /** All of them, in order. */
  static *all(): Generator<BondMonth, void, undefined> {
    for (let index = 0; index < BOND_MONTHS; index++) yield new BondMonth(index);
  }

  get year(): number {
    return FIRST_YEAR + Math.floor(this.index / 12);
  }

  /** 1 to 12. */
  get month(): number {
    return (this.index % 12) + 1;
  }

  /** Midnight UTC of the first day, in Unix seconds. */
  get lockTime(): number {
    return Date.UTC(this.year, this.month - 1) / 1_000;
  }

  /** `2026-02`. */
  toString(): string {
    return `${this.year}-${String(this.month).padStart(2, '0')}`;
  }
}

/** Why a text is not a month of a bond. */
export type BondMonthFault = 'month-form' | 'month-range';

/** Reads `2026-02`. */
export function parseBondMonth(text: string): Parsed<BondMonth, BondMonthFault> {
  const [matched, year, month] = /^(\d{4})-(0[1-9]|1[0-2])$/.exec(text) ?? [];
  if (matched === undefined) return fail('month-form');
  const found = BondMonth.ofIndex((Number(year) - FIRST_YEAR) * 12 + Number(month) - 1);
  return found === undefined ? fail('month-range') : ok(found);
}

/** What is wrong with a month, and what to write instead. */
export const bondMonthFaultText = (fault: BondMonthFault): string =>
  fault === 'month-form'
    ? 'a month is written as YYYY-MM, for example 2027-06'
    : 'a bond can be locked until a month from 2020-01 to 2099-12';

/** The lock time and the key of a witness script; undefined when it is not that of a bond. */
export function readBondScript(
  script: Uint8Array,
): { readonly lockTime: number; readonly publicKey: Uint8Array } | undefined {
  const pushed = readPushedNumber(script, 0);
  if (pushed === undefined || pushed.value > MAX_U32) return undefined;
  const [verify, drop, length, ...rest] = script.subarray(pushed.end);
  if (verify !== CHECKLOCKTIMEVERIFY || drop !== DROP || length !== 33) return undefined;
  if (rest.length !== 34 || rest[33] !== CHECKSIG || (rest[0] !== 2 && rest[0] !== 3)) {
    return undefined;
  }
  return { lockTime: pushed.value, publicKey: Uint8Array.from(rest.slice(0, 33)) };
}

/** The address of `bondScriptPubKey`. Throws a RangeError for a lock time outside u32. */
export function bondAddress(lockTime: number, utxoPublicKeyHex: string, network: Network): string {
  const address = addressOf(bondScriptPubKey(lockTime, utxoPublicKeyHex), network);
  if (address === undefined) throw new Error('a p2wsh script without an address');
  return address;
}

/** How the size of a transaction counts an input that spends this bond. */
export const bondInputKind = (lockTime: number): InputKind =>
  lockTime < FIVE_BYTES_FROM ? 'bond' : 'bond-5';

/**
 * Whether a bond can be spent in the next block: the median time of the best block is beyond its lock time.
 * At equal times nodes still refuse.
 */
export const isBondOpen = (lockTime: number, medianTime: number): boolean => medianTime > lockTime;
