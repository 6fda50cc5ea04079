/** Offers (docs/protocol.md, section 8.2), validated as strictly as by the strictest deployed peer. */
import { isOfferType, type Command, type OfferType } from './commands.js';
import { ownText } from './own-text.js';
import { fail, ok, type Parsed } from './result.js';

/** All bitcoins that will ever exist, in satoshi. */
export const MAX_SATOSHI = 2_100_000_000_000_000;
/** Smaller sizes are raised to this, in satoshi. */
export const DUST_THRESHOLD = 27_300;

/** A maker's offer (docs/protocol.md, section 8.2). */
export interface Offer {
  /** The command of the offer: kind of addresses and of fee. */
  readonly type: OfferType;
  /** The maker's number of the offer, from 0. */
  readonly oid: number;
  /** Satoshi; at least the dust threshold. */
  readonly minsize: number;
  /** Satoshi. */
  readonly maxsize: number;
  /** The maker's contribution to the miner fee, in satoshi. */
  readonly txfee: number;
  /**
   * Satoshi for absolute offers (`500`), a decimal share of the amount for relative ones (`0.00002`).
   */
  readonly cjfee: string;
}

/** Which part of an offer is not valid. */
export type OfferFault =
  'offer-type' | 'offer-arity' | 'offer-oid' | 'offer-size' | 'offer-txfee' | 'offer-cjfee';

function parseInteger(text: string, max: number): number | undefined {
  if (!/^\d{1,16}$/.test(text)) return undefined;
  const value = Number(text);
  return value <= max ? value : undefined;
}

interface Decimal {
  readonly digits: bigint;
  /** value = digits / 10^scale */
  readonly scale: number;
}

/** A decimal with or without exponent, at most 32 digits, exponent within ±32, not negative. */
function parseDecimal(text: string): Decimal | undefined {
  const match = /^(\d{0,32})(?:\.(\d{0,32}))?(?:[eE]([+-]?\d{1,2}))?$/.exec(text);
  if (!match) return undefined;
  const whole = match[1] ?? '';
  const fraction = match[2] ?? '';
  const exponent = Number(match[3] ?? '0');
  const digits = whole + fraction;
  if (digits.length === 0 || digits.length > 32 || Math.abs(exponent) > 32) return undefined;
  const scale = fraction.length - exponent;
  return scale >= 0
    ? { digits: BigInt(digits), scale }
    : { digits: BigInt(digits) * 10n ** BigInt(-scale), scale: 0 };
}

/** Whether the fee of an offer of this type is a share of the amount. */
export function isRelative(type: OfferType): boolean {
  return type.endsWith('reloffer');
}

function isFee(type: OfferType, text: string): boolean {
  if (!isRelative(type)) return parseInteger(text, MAX_SATOSHI) !== undefined;
  const share = parseDecimal(text);
  return share !== undefined && share.digits < 10n ** BigInt(share.scale);
}

/**
 * The oid of an offer command or of a `cancel`, even when the rest of it is not valid: an offer with
 * this oid is then deleted (section 8.2).
 */
export function parseOid({ args }: Command): Parsed<number, 'offer-oid'> {
  const oid = parseInteger(args[0] ?? '', Number.MAX_SAFE_INTEGER);
  return oid === undefined ? fail('offer-oid') : ok(oid);
}

/** Reads an offer command; extra arguments are ignored. */
export function parseOffer(command: Command): Parsed<Offer, OfferFault> {
  const { name, args } = command;
  if (!isOfferType(name)) return fail('offer-type');
  const [oidText, minText, maxText, txfeeText, cjfee] = args;
  if (
    oidText === undefined ||
    minText === undefined ||
    maxText === undefined ||
    txfeeText === undefined ||
    cjfee === undefined
  ) {
    return fail('offer-arity');
  }
  const oid = parseOid(command);
  if (!oid.ok) return oid;
  const declaredMin = parseInteger(minText, MAX_SATOSHI);
  const maxsize = parseInteger(maxText, MAX_SATOSHI);
  if (declaredMin === undefined || maxsize === undefined) return fail('offer-size');
  const minsize = Math.max(declaredMin, DUST_THRESHOLD);
  if (maxsize < minsize) return fail('offer-size');
  const txfee = parseInteger(txfeeText, MAX_SATOSHI);
  if (txfee === undefined) return fail('offer-txfee');
  if (!isFee(name, cjfee)) return fail('offer-cjfee');
  return ok({ type: name, oid: oid.value, minsize, maxsize, txfee, cjfee: ownText(cjfee) });
}

/** Why peers would refuse this offer; undefined when they would accept it. */
export function offerFault(offer: Offer): OfferFault | undefined {
  const [, ...args] = formatOffer(offer).split(' ');
  const parsed = parseOffer({ name: offer.type, args });
  return parsed.ok ? undefined : parsed.reason;
}

/** `type oid minsize maxsize txfee cjfee`, without a leading `!`. */
export function formatOffer(offer: Offer): string {
  return `${offer.type} ${offer.oid} ${offer.minsize} ${offer.maxsize} ${offer.txfee} ${offer.cjfee}`;
}

/**
 * The fee in satoshi for an amount in satoshi: the absolute fee, or the share rounded half to even in
 * decimal arithmetic. Throws a RangeError when the fee of the offer was not validated.
 */
export function offerFee(offer: Offer, amount: number): number {
  if (!isRelative(offer.type)) return Number(offer.cjfee);
  const share = parseDecimal(offer.cjfee);
  if (share === undefined) throw new RangeError(`not a fee: ${offer.cjfee}`);
  const unit = 10n ** BigInt(share.scale);
  const product = share.digits * BigInt(amount);
  const quotient = product / unit;
  const twice = (product % unit) * 2n;
  const up = twice > unit || (twice === unit && quotient % 2n === 1n);
  return Number(up ? quotient + 1n : quotient);
}

/**
 * The share of an amount, rounded down, in decimal arithmetic: 0.0029 of 10,000 is 29. Throws a
 * RangeError unless `share` is between 0 and 1.
 */
export function shareOf(share: number, amount: number): number {
  // Less than one satoshi of all bitcoins.
  if (share >= 0 && share < 1e-16) return 0;
  const decimal = parseDecimal(String(share));
  if (decimal === undefined) throw new RangeError(`not a share: ${share}`);
  return Number((decimal.digits * BigInt(amount)) / 10n ** BigInt(decimal.scale));
}
