/** Parses the values of options of `onionmc admission`. */
import { InvalidArgumentError } from 'commander';
import {
  addressForm,
  isAddress,
  MAX_ADDRESSES,
  MAX_NAME_CHARS,
} from '../../admission/code-record.js';
import { isCodeId } from '../../admission/code-text.js';
import {
  BIND_FORMS,
  parseBindAddress,
  type BindAddress,
} from '../../admission/omq/bind-address.js';

const UNITS: Readonly<Record<string, number>> = { m: 60, h: 3_600, d: 86_400 };
const MAX_DAYS = 36_500;

/** A moment as Unix milliseconds: a date, a date with a time, or a span from now such as 30d. */
export function parseMoment(text: string): number {
  const [, digits, unit = ''] = /^(\d{1,7})([mhd])$/.exec(text) ?? [];
  const span = Number(digits) * (UNITS[unit] ?? 0) * 1_000;
  if (span > 0 && span <= MAX_DAYS * 86_400_000) return Date.now() + span;
  const isDate = /^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2})?Z)?$/.test(text);
  const moment = isDate ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(moment) || moment < 0) {
    throw new InvalidArgumentError(
      'a span such as 12h or 30d, or 2027-01-31, or 2027-01-31T12:00Z.',
    );
  }
  return moment;
}

export function parseCount(text: string): number {
  const value = Number(text);
  if (!/^\d{1,6}$/.test(text) || value < 1 || value > 100_000) {
    throw new InvalidArgumentError('a whole number from 1 to 100000.');
  }
  return value;
}

/** Addresses of an option that may be repeated. */
export function collectAddress(text: string, before: readonly string[] = []): readonly string[] {
  if (!isAddress(text)) throw new InvalidArgumentError('a .loki address, an onion, or a nick.');
  if (before.length >= MAX_ADDRESSES) {
    throw new InvalidArgumentError(`at most ${MAX_ADDRESSES} addresses.`);
  }
  return [...before, addressForm(text)];
}

export function parseName(text: string): string {
  if (text.length > MAX_NAME_CHARS || !/^[\x20-\x7e]*$/.test(text)) {
    throw new InvalidArgumentError(`at most ${MAX_NAME_CHARS} printable ASCII characters.`);
  }
  return text;
}

export function parseId(text: string): string {
  if (!isCodeId(text))
    throw new InvalidArgumentError('eight letters or digits, as "list" shows them.');
  return text;
}

/** Name of a Tor client, and of its file. */
export function parseClientName(text: string): string {
  if (!/^[a-z0-9][a-z0-9_-]{0,31}$/.test(text)) {
    throw new InvalidArgumentError('up to 32 lower-case letters, digits, "-" and "_".');
  }
  return text;
}

export function parseBind(text: string): BindAddress {
  const address = parseBindAddress(text);
  if (address.ok) return address.value;
  throw new InvalidArgumentError(
    `one of ${BIND_FORMS}, with an IP address (${address.reason} is wrong).`,
  );
}

export function parsePath(text: string): string {
  if (text === '') throw new InvalidArgumentError('It is empty; give a file.');
  return text;
}

/** The name of a method of OxenMQ. */
export function parseMethod(text: string): string {
  if (!/^[a-z0-9_]{1,40}\.[a-z0-9_]{1,40}$/.test(text)) {
    throw new InvalidArgumentError('CATEGORY.NAME, as auth-lmq-method of the endpoint has it.');
  }
  return text;
}
