/** Parses the values of options and arguments: a typed value, or an error that says what is allowed. */
import { InvalidArgumentError } from 'commander';
import { amountFaultText, parseAmount } from '../bitcoin/amount.js';
import { LOG_LEVELS, type LogLevelName } from '../config/log-level.js';
import { MAX_BAN_MS } from '../directory/entry/bans.js';
import { hostInUse } from '../kit/host-name.js';
import { MAX_SATOSHI } from '../protocol/offer.js';
import { DEFAULT_STATUS_URL, INTERVAL_SECONDS } from './defaults.js';

const MAX_SECONDS = 86_400;
const MAX_PORT = 65_535;

/** An empty path comes from an unset variable, and does not mean the current directory. */
export function parseDatadir(text: string): string {
  if (text === '') throw new InvalidArgumentError('It is empty; give a directory.');
  return text;
}

export function parseLevel(text: string): LogLevelName {
  const level = LOG_LEVELS.find((name) => name === text.toUpperCase());
  if (level === undefined) {
    throw new InvalidArgumentError(`Allowed choices are ${LOG_LEVELS.join(', ')}.`);
  }
  return level;
}

export function parseSatoshi(text: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value === 0 || value > MAX_SATOSHI) {
    throw new InvalidArgumentError(`a whole number of satoshi, from 1 to ${MAX_SATOSHI}.`);
  }
  return value;
}

/** Amounts of an option that may be repeated, in satoshi. */
export function collectAmount(text: string, before: readonly number[] = []): readonly number[] {
  const amount = parseAmount(text);
  if (!amount.ok) throw new InvalidArgumentError(`${amountFaultText(text, amount.reason)}.`);
  return [...before, amount.value];
}

const isDecimal = (text: string): boolean => /^\d+(\.\d+)?$/.test(text);

export function parseSeconds(text: string): number {
  const value = Number(text);
  if (!isDecimal(text) || value <= 0 || value > MAX_SECONDS) {
    throw new InvalidArgumentError(`a number of seconds, at most ${MAX_SECONDS}.`);
  }
  return value;
}

const BAN_UNITS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3_600, d: 86_400 };

/** The length of a ban in milliseconds. */
export function parseBanTime(text: string): number {
  const [, digits, unit = ''] = /^(\d{1,7})([smhd])$/.exec(text) ?? [];
  const ms = Number(digits) * (BAN_UNITS[unit] ?? 0) * 1_000;
  if (!(ms > 0 && ms <= MAX_BAN_MS)) {
    throw new InvalidArgumentError('a time such as 30m, 1h or 7d; at most 30d.');
  }
  return ms;
}

export function parseInterval(text: string): number {
  const value = Number(text);
  const { least, most } = INTERVAL_SECONDS;
  if (!isDecimal(text) || value < least || value > most) {
    throw new InvalidArgumentError(`a number of seconds from ${least} to ${most}.`);
  }
  return value;
}

export function parseSocks(text: string): { host: string; port: number } {
  const colon = text.lastIndexOf(':');
  const host = text.slice(0, Math.max(colon, 0)).replace(/^\[(.*)\]$/, '$1');
  const port = Number(text.slice(colon + 1));
  if (host === '' || /\s/.test(text) || !Number.isInteger(port) || port < 1 || port > MAX_PORT) {
    throw new InvalidArgumentError('host:port of the SOCKS port of Tor, e.g. 127.0.0.1:9050.');
  }
  return { host, port };
}

export function parseHost(text: string): string {
  const host = hostInUse(text);
  if (host === undefined) {
    throw new InvalidArgumentError('a host name or an IP address; the port goes into --port.');
  }
  return host;
}

export function parsePort(text: string): number {
  const value = Number(text);
  if (!/^\d{1,5}$/.test(text) || value > MAX_PORT) {
    throw new InvalidArgumentError(`a port number, at most ${MAX_PORT} (0 = any that is free).`);
  }
  return value;
}

export function parseUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol !== 'http:') {
    throw new InvalidArgumentError(`an address such as ${DEFAULT_STATUS_URL.origin}.`);
  }
  return url;
}
