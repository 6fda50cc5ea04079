/** Payment requests as text: `bitcoin:ADDRESS?amount=0.1&label=...` (BIP21). */
import type { Network } from '../protocol/constants.js';
import { fail, ok, type Parsed } from '../protocol/result.js';
import { parseAddress, type AddressFault } from './address.js';
import { parseUriAmount, type AmountFault } from './amount.js';

/** The longest URI that is read. */
const MAX_CHARS = 4_000;
/** Longest label or message, in characters. */
const MAX_TEXT = 500;

/** What a payment request asks for. */
export interface PaymentUri {
  /** As it was written. */
  readonly address: string;
  /** The scriptPubKey, lower-case hex. */
  readonly script: string;
  /** Satoshi, from 1. */
  readonly amount?: number;
  /** Name of the receiver. Untrusted text: show it through `shownText`. */
  readonly label?: string;
  /** The purpose of the payment. Untrusted text. */
  readonly message?: string;
}

/** Why a text is not a payment request. */
export type UriFault =
  | AddressFault
  | AmountFault
  /** Not `bitcoin:` and an address. */
  | 'uri-form'
  /** A percent sign without two hex digits, or bytes that are not UTF-8. */
  | 'uri-encoding'
  /** The same parameter twice. */
  | 'uri-repeated'
  /** A parameter `req-...` that this program does not know: the payment must not be made without it. */
  | 'uri-required'
  | 'uri-length';

/** Whether a text is meant as such a request, so that the fault of `parsePaymentUri` is the right one to show. */
export const isPaymentUri = (text: string): boolean => /^bitcoin:/i.test(text);

/** Reads a request. Parameters that are not known, and not required, are ignored. */
export function parsePaymentUri(text: string, network: Network): Parsed<PaymentUri, UriFault> {
  if (text.length > MAX_CHARS) return fail('uri-length');
  const [matched, address = '', query = ''] = /^bitcoin:([^?#]*)(?:\?([^#]*))?$/i.exec(text) ?? [];
  if (matched === undefined || address === '') return fail('uri-form');
  const read = parseAddress(address, network);
  if (!read.ok) return read;
  const parameters = readParameters(query);
  if (!parameters.ok) return parameters;
  const { amount, label, message } = Object.fromEntries(parameters.value);
  if ([label, message].some((given) => given !== undefined && given.length > MAX_TEXT)) {
    return fail('uri-length');
  }
  const satoshi = amount === undefined ? undefined : parseUriAmount(amount);
  if (satoshi?.ok === false) return satoshi;
  return ok({
    address,
    script: read.value.script,
    ...(satoshi && { amount: satoshi.value }),
    ...(label !== undefined && { label }),
    ...(message !== undefined && { message }),
  });
}

/** The parameters that are known, decoded, by name. */
function readParameters(query: string): Parsed<ReadonlyMap<string, string>, UriFault> {
  const found = new Map<string, string>();
  for (const part of query.split('&').filter((pair) => pair !== '')) {
    const cut = part.includes('=') ? part.indexOf('=') : part.length;
    const name = decoded(part.slice(0, cut))?.toLowerCase();
    const value = decoded(part.slice(cut + 1));
    if (name === undefined || value === undefined) return fail('uri-encoding');
    if (name.startsWith('req-')) return fail('uri-required');
    if (found.has(name)) return fail('uri-repeated');
    found.set(name, value);
  }
  return ok(found);
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

const SENTENCES: Readonly<Record<Exclude<UriFault, AddressFault | AmountFault>, string>> = {
  'uri-form': 'a payment request has the form bitcoin:ADDRESS?amount=0.1',
  'uri-encoding': 'the payment request has a percent sign that is not followed by two hex digits',
  'uri-repeated': 'the payment request names a parameter twice',
  'uri-required':
    'the payment request requires something that this program does not know (req-...)',
  'uri-length': 'the payment request is too long',
};

/** The sentence of a fault of the request itself; undefined for faults of its address or amount. */
export function uriFaultText(fault: UriFault): string | undefined {
  return Object.entries(SENTENCES).find(([name]) => name === fault)?.[1];
}
