/** Amounts, rates and coins as a person reads them. Pure. */
import type { CoinHold, FreezeReason, WalletCoin } from '../../wallet/api.js';

/** Satoshi per 1,000 virtual bytes as satoshi per virtual byte: `1500` is `1.5`. */
export function satPerVbyte(feePerKb: number): string {
  return String(feePerKb / 1_000);
}

/** The rate that a fee comes to, with two decimals. */
export function actualRate(fee: number, vsize: number): string {
  return (fee / vsize).toFixed(2);
}

/** A share in percent: two decimals below 10 %, none above. */
export function percent(part: number, whole: number): string {
  if (whole <= 0) return '-';
  const value = (100 * part) / whole;
  if (value > 0 && value < 0.01) return 'below 0.01 %';
  return `${value < 10 ? value.toFixed(2) : Math.round(value)} %`;
}

/** `2026-03-01 14:05` in UTC. */
export function dateTime(unixSeconds: number): string {
  return new Date(unixSeconds * 1_000).toISOString().slice(0, 16).replace('T', ' ');
}

/** `2026-03-01`, the day of a lock time, in UTC. */
export function day(unixSeconds: number): string {
  return new Date(unixSeconds * 1_000).toISOString().slice(0, 10);
}

const FREEZE_WORDS: Readonly<Record<FreezeReason, string>> = {
  user: 'frozen by you',
  reuse: 'frozen: its address was used before',
  imported: 'frozen by an import',
};

const HOLD_WORDS: Readonly<Record<Exclude<CoinHold, 'frozen'>, string>> = {
  unconfirmed: 'not in a block yet',
  immature: 'mined, with fewer than 100 confirmations',
  leased: 'in a coinjoin that runs',
  signed: 'spent by a signed transaction',
  locked: 'locked bond',
};

/**
 * Why a coin is not spent now, for a person; empty when it can be. A coin of a payment that was given up is
 * free, and the payment is named, because it may still confirm.
 */
export function holdWords({ hold, frozen, signedFor, lockTime }: WalletCoin): string {
  if (frozen !== undefined && (hold === 'frozen' || hold === undefined))
    return FREEZE_WORDS[frozen];
  if (hold === undefined) {
    return signedFor === undefined ? '' : `free; ${signedFor.slice(0, 16)}... may still spend it`;
  }
  if (hold === 'frozen') return 'frozen';
  if (hold === 'signed' && signedFor !== undefined) return `spent by ${signedFor.slice(0, 16)}...`;
  if (hold === 'locked' && lockTime !== undefined) return `locked until ${day(lockTime)}`;
  return HOLD_WORDS[hold];
}

/**
 * The same for a program: the reason of its freeze, or what holds it. `abandoned`: nothing holds it, and a
 * payment that was given up may still spend it.
 */
export function holdReason({ hold, frozen, signedFor }: WalletCoin): string | null {
  return frozen ?? hold ?? (signedFor === undefined ? null : 'abandoned');
}
