/** What `onionmc wallet send` pays: an amount, and an address or a payment request (BIP21). */
import { addressFaultText, parseAddress, type AddressFault } from '../../bitcoin/address.js';
import { amountFaultText, parseAmount, type AmountFault } from '../../bitcoin/amount.js';
import {
  isPaymentUri,
  parsePaymentUri,
  uriFaultText,
  type PaymentUri,
  type UriFault,
} from '../../bitcoin/bip21.js';
import { quotedLine, shownLine } from '../../kit/shown-text.js';
import type { Network } from '../../protocol/constants.js';
import { UsageError } from '../errors.js';

/** What is paid, and to which script. */
export interface PaymentTarget {
  readonly amount: number | 'all';
  readonly address: string;
  /** The scriptPubKey, hex. */
  readonly script: string;
  /** What the payment request says about itself, safe for a terminal. */
  readonly label: string | undefined;
}

/** Longest label of a request that is kept. */
const MAX_LABEL = 100;

/** An amount, or `all`. Throws a `UsageError` that says how to write it. */
export function amountOf(text: string): number | 'all' {
  if (text.toLowerCase() === 'all') return 'all';
  const parsed = parseAmount(text);
  if (parsed.ok) return parsed.value;
  throw new UsageError(
    `amount ${quotedLine(text, 40)}: ${amountFaultText(shownLine(text, 40), parsed.reason)}`,
  );
}

/** The script of an address of the network. Throws a `UsageError` with the reason. */
export function scriptOfAddress(text: string, network: Network): string {
  const parsed = parseAddress(text, network);
  if (parsed.ok) return parsed.value.script;
  throw new UsageError(
    `address ${quotedLine(text, 100)}: ${addressFaultText(parsed.reason)} (this wallet is of ${network})`,
  );
}

const isAmountFault = (fault: UriFault): fault is AmountFault => fault.startsWith('amount-');
const isAddressFault = (fault: UriFault): fault is AddressFault =>
  !isAmountFault(fault) && uriFaultText(fault) === undefined;

/** In a request an amount is a number of BTC without a unit. */
const requestAmountText = (fault: AmountFault): string =>
  fault === 'amount-form'
    ? 'its amount is not a number of BTC such as 0.1'
    : amountFaultText('its amount', fault);

function requestOf(text: string, network: Network): PaymentUri {
  const parsed = parsePaymentUri(text, network);
  if (parsed.ok) return parsed.value;
  const fault = parsed.reason;
  const own = uriFaultText(fault) ?? '';
  const said = isAmountFault(fault)
    ? requestAmountText(fault)
    : isAddressFault(fault)
      ? `its address: ${addressFaultText(fault)} (this wallet is of ${network})`
      : own;
  throw new UsageError(`payment request ${quotedLine(text, 60)}: ${said}`);
}

function targetOfRequest(amount: number | 'all' | undefined, request: PaymentUri): PaymentTarget {
  const { address, script, amount: asked, label, message } = request;
  if (asked !== undefined && amount !== undefined && amount !== asked) {
    throw new UsageError(
      `the payment request asks for ${asked} sat: give that amount, or no amount`,
    );
  }
  const value = amount ?? asked;
  if (value === undefined) {
    throw new UsageError('the payment request has no amount: give one before it');
  }
  const said = label ?? message;
  const shown = said === undefined ? undefined : shownLine(said, MAX_LABEL);
  return { amount: value, address, script, label: shown };
}

/**
 * Reads `AMOUNT ADDRESS`, `AMOUNT REQUEST`, or a request with its amount alone. Throws a `UsageError` in
 * one line.
 */
export function paymentTarget(
  first: string,
  second: string | undefined,
  network: Network,
): PaymentTarget {
  if (second === undefined) {
    if (isPaymentUri(first)) return targetOfRequest(undefined, requestOf(first, network));
    throw new UsageError('give an amount and an address: onionmc wallet send NAME 0.1 ADDRESS');
  }
  const amount = amountOf(first);
  if (isPaymentUri(second)) return targetOfRequest(amount, requestOf(second, network));
  return { amount, address: second, script: scriptOfAddress(second, network), label: undefined };
}
