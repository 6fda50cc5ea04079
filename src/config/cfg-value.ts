/**
 * The kinds of values: one small parser for each kind, with the text that tells a person what is
 * allowed. Numbers and booleans are read as Python's `getint`, `getfloat` and `getboolean` do.
 */

import { canonicalHost, hostInUse, isLoopbackHost, portInside } from '../kit/host-name.js';
import { isLokinetName } from '../protocol/loki-address.js';

/** How one key is read. */
export interface ValueSpec<T> {
  /** The built-in default, as text of the file. */
  readonly fallback: string;
  /** For the message of a bad value. */
  readonly allowed: string;
  /** Never shown in messages. */
  readonly secret: boolean;
  /** A short remark on a text that is not allowed, appended to the message, if there is one. */
  readonly remark?: (text: string) => string | undefined;
  /** Undefined when the text is not allowed. */
  parse(text: string): T | undefined;
}

interface Range {
  readonly min: number;
  readonly max: number;
}

function spec<T>(
  fallback: string,
  allowed: string,
  parse: (text: string) => T | undefined,
): ValueSpec<T> {
  return { fallback, allowed, secret: false, parse };
}

function inRange(value: number, { min, max }: Range): number | undefined {
  return Number.isFinite(value) && value >= min && value <= max ? value : undefined;
}

function parseWhole(text: string): number {
  return /^[+-]?\d+(_\d+)*$/.test(text) ? Number(text.replaceAll('_', '')) : Number.NaN;
}

function parseDecimal(text: string): number {
  const plain = text.replace(/(?<=\d)_(?=\d)/g, '');
  return /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(plain) ? Number(plain) : Number.NaN;
}

/** A whole number. */
export function whole(fallback: number, range: Range, unit = 'a whole number'): ValueSpec<number> {
  return spec(String(fallback), `${unit}, ${range.min} to ${range.max}`, (text) =>
    inRange(parseWhole(text), range),
  );
}

/** A value that may be empty; null then. */
export function optional<T>(inner: ValueSpec<T>): ValueSpec<T | null> {
  return {
    ...inner,
    fallback: '',
    allowed: `${inner.allowed}, or nothing`,
    parse: (text) => (text.trim() === '' ? null : inner.parse(text)),
  };
}

/** A whole number that limits something; 0 = no limit. */
export function limit(fallback: number, max: number): ValueSpec<number> {
  return whole(fallback, { min: 0, max }, 'a whole number (0 = no limit)');
}

/** A finite number, decimals allowed. */
export function decimal(fallback: string, range: Range): ValueSpec<number> {
  return spec(fallback, `a number, ${range.min} to ${range.max}`, (text) =>
    inRange(parseDecimal(text), range),
  );
}

/** Longest time that can be configured: a week, well below the limit of a timer. */
const MAX_SECONDS = 604_800;

/** Seconds, decimals allowed; 0 = off. */
export function seconds(fallback: number): ValueSpec<number> {
  const allowed = `seconds, 0 to ${MAX_SECONDS}, decimals allowed (0 = off)`;
  return spec(String(fallback), allowed, (text) =>
    inRange(parseDecimal(text), { min: 0, max: MAX_SECONDS }),
  );
}

/** Seconds that cannot be 0. */
export function positiveSeconds(fallback: number): ValueSpec<number> {
  const allowed = `seconds, more than 0 and at most ${MAX_SECONDS}, decimals allowed`;
  return spec(String(fallback), allowed, (text) =>
    inRange(parseDecimal(text), { min: 0.001, max: MAX_SECONDS }),
  );
}

const TRUE_WORDS: ReadonlySet<string> = new Set(['1', 'yes', 'true', 'on']);
const FALSE_WORDS: ReadonlySet<string> = new Set(['0', 'no', 'false', 'off']);

export function yesNo(fallback: boolean): ValueSpec<boolean> {
  return spec(String(fallback), 'true or false (also yes, no, on, off, 1, 0)', (text) => {
    const word = text.toLowerCase();
    if (TRUE_WORDS.has(word)) return true;
    return FALSE_WORDS.has(word) ? false : undefined;
  });
}

/** One of a few words, case-sensitive. */
export function oneOf<const W extends string>(fallback: W, words: readonly W[]): ValueSpec<W> {
  return spec(fallback, words.join(', '), (text) => words.find((word) => word === text));
}

/** One of a few words, case-insensitive. */
export function oneOfAnyCase<const W extends string>(
  fallback: W,
  words: readonly W[],
): ValueSpec<W> {
  return spec(fallback, words.join(', '), (text) =>
    words.find((word) => word.toLowerCase() === text.toLowerCase()),
  );
}

/** Several of a few words, case-sensitive, with commas between; at least one, in the order given here. */
export function someOf<const W extends string>(
  fallback: W,
  words: readonly W[],
): ValueSpec<readonly W[]> {
  return spec(fallback, `${words.join(', ')}, or several with commas between`, (text) => {
    const written = text.split(',').map((word) => word.trim());
    const isKnown = written.every((word) => words.some((known) => known === word));
    return isKnown ? words.filter((word) => written.includes(word)) : undefined;
  });
}

/** Control characters other than tab and newline. */
// oxlint-disable-next-line no-control-regex -- control characters are what it looks for
const CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u2028\u2029]/;

/** Free text, possibly empty, possibly of several lines. */
export function freeText(fallback: string, maxLength: number): ValueSpec<string> {
  const allowed = `at most ${maxLength} characters, no control characters`;
  return spec(fallback, allowed, (value) =>
    value.length <= maxLength && !CONTROL.test(value) ? value : undefined,
  );
}

/**
 * A host name or IP address. `portKey` is the key for its port, if there is one. No name of Lokinet: the
 * system's resolver would be asked for it.
 */
export function host(fallback: string, portKey?: string): ValueSpec<string> {
  return {
    ...spec(fallback, 'a host name or an IP address', (text) =>
      isLokinetName(text) ? undefined : hostInUse(text),
    ),
    remark(text) {
      if (isLokinetName(text)) return 'a name of Lokinet, which only its overlay may look up';
      if (portInside(text) === undefined) return undefined;
      return portKey === undefined
        ? 'a host with a port, which does not belong here'
        : `a host with a port, which belongs into ${portKey}`;
    },
  };
}

/** A host of this machine that other machines cannot reach. */
export function loopbackHost(fallback: string, portKey: string): ValueSpec<string> {
  const inner = host(fallback, portKey);
  return {
    ...inner,
    allowed: 'an address of this machine only: 127.0.0.1, ::1 or localhost',
    parse(text) {
      const written = inner.parse(text);
      return written !== undefined && isLoopbackHost(written) ? written : undefined;
    },
  };
}

/** An IPv4 address with its port. */
export interface AddressAndPort {
  readonly host: string;
  readonly port: number;
}

const PRIVATE_IPV4 = /^(?:127\.|10\.|192\.168\.|172\.(?:1[6-9]|2\d|3[01])\.)/;

/** An IPv4 address of this machine or of a private network, with or without a port. */
export function nearAddress(fallback: string, usualPort: number): ValueSpec<AddressAndPort> {
  const allowed = 'an IPv4 address of this machine or of a private network, with or without :port';
  return spec(fallback, allowed, (text) => {
    const [, address = '', written] = /^([\d.]{7,15})(?::([1-9]\d{0,4}))?$/.exec(text) ?? [];
    const number = written === undefined ? usualPort : Number(written);
    const isNear = canonicalHost(address) === address && PRIVATE_IPV4.test(address);
    return isNear && number <= 65_535 ? { host: address, port: number } : undefined;
  });
}

/** The address of a ZeroMQ socket on this machine, or nothing. */
export function localSocket(): ValueSpec<string> {
  const allowed = 'tcp://127.0.0.1:PORT or ipc:///PATH, or nothing';
  return spec('', allowed, (text) => {
    const tcpPort = /^tcp:\/\/127\.0\.0\.\d{1,3}:([1-9]\d{0,4})$/.exec(text)?.[1];
    const isTcp = tcpPort !== undefined && Number(tcpPort) <= 65_535;
    return text === '' || isTcp || /^ipc:\/\/\/[^\0\n]{1,100}$/.test(text) ? text : undefined;
  });
}

/** Most names in one list. */
const MAX_HOSTS = 64;

/**
 * Names and addresses with commas between, possibly empty; returned in the form in which they are
 * compared.
 */
export function hosts(): ValueSpec<readonly string[]> {
  const allowed = `host names or IP addresses with commas between, at most ${MAX_HOSTS}; no port, no scheme, no path, no *`;
  return spec('', allowed, (value) => {
    const written = value.split(',').map((one) => one.trim());
    if (written.length === 1 && written[0] === '') return [];
    const names = written.flatMap((one) => canonicalHost(one) ?? []);
    return names.length === written.length && names.length <= MAX_HOSTS ? names : undefined;
  });
}

export function port(fallback: number): ValueSpec<number> {
  return whole(fallback, { min: 1, max: 65_535 }, 'a port number');
}

/**
 * A path, or empty. The reader of the settings resolves `~` and relative paths. A leading quote is
 * refused: it would become part of the path.
 */
export function path(fallback: string): ValueSpec<string> {
  return spec(fallback, 'a path on one line, without quotes around it', (value) =>
    value.length <= 4096 && !/[\n\0]|^["']/.test(value) ? value : undefined,
  );
}

/** A value that no message shows. */
export function secret(maxLength: number): ValueSpec<string> {
  return { ...freeText('', maxLength), secret: true };
}
