/** How the texts of settings become values, each with the words for what is allowed. Pure. */
import { isAbsolute } from 'node:path';
import { parseAmount } from '../amount.js';

/** One way to read a text; undefined: not allowed. */
export interface Kind<T> {
  /** `a port from 1 to 65535`. */
  readonly allowed: string;
  readonly read: (text: string) => T | undefined;
}

export const text: Kind<string> = {
  allowed: 'a text without control characters',
  // oxlint-disable-next-line no-control-regex -- these are what is refused
  read: (value) => (/[\x00-\x1f\x7f]/.test(value) || value.length > 4_096 ? undefined : value),
};

export function matching(allowed: string, pattern: RegExp): Kind<string> {
  return { allowed, read: (value) => (pattern.test(value) ? value : undefined) };
}

export function choice<T extends string>(...names: readonly T[]): Kind<T> {
  return {
    allowed: `one of ${names.join(', ')}`,
    read: (value) => names.find((name) => name.toLowerCase() === value.toLowerCase()),
  };
}

/** 0 or 1, as in the options; also the words of a file. */
export const flag: Kind<boolean> = {
  allowed: '0 or 1',
  read: (value) => {
    const word = value.toLowerCase();
    if (['1', 'true', 'yes', 'on'].includes(word)) return true;
    return ['0', 'false', 'no', 'off'].includes(word) ? false : undefined;
  },
};

export function whole(unit: string, least: number, most: number): Kind<number> {
  return {
    allowed: `a whole number of ${unit} from ${least} to ${most}`,
    read: (value) => {
      const number = Number(value);
      return /^\d{1,9}$/.test(value) && number >= least && number <= most ? number : undefined;
    },
  };
}

export const port: Kind<number> = {
  ...whole('port', 0, 65_535),
  allowed: 'a port from 0 to 65535',
};

/** Atomic units of a decimal number of LTHN. */
export const lthn: Kind<bigint> = {
  allowed: 'a decimal number of LTHN with at most 8 decimals, such as 0.5',
  read: parseAmount,
};

/** `~` at the start means the home folder; it was replaced before. */
export const path: Kind<string> = {
  allowed: 'an absolute path, or one that begins with ~/',
  read: (value) => (isAbsolute(value) && !value.includes('\0') ? value : undefined),
};

/** The name of a program on the PATH, or its path. */
export const program: Kind<string> = {
  allowed: 'the name of a program, or its absolute path',
  read: (value) => (/^[\w.+-]+$/.test(value) || isAbsolute(value) ? value : undefined),
};

const LOOPBACK = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/;

export const isLoopbackHost = (host: string): boolean => LOOPBACK.test(host);

/** http only to this machine: what passes could be changed on the way. */
export const serviceUrl: Kind<URL> = {
  allowed: 'a URL with https://, or with http:// to this machine',
  read: (value) => {
    if (!URL.canParse(value)) return undefined;
    const url = new URL(value);
    if (url.username !== '' || url.password !== '') return undefined;
    if (url.protocol === 'https:') return url;
    return url.protocol === 'http:' && isLoopbackHost(url.hostname) ? url : undefined;
  },
};

/** Pages of this program and its local proxy are for this machine only. */
export const loopback: Kind<string> = {
  allowed: 'an address of this machine: 127.0.0.1 or ::1',
  read: (value) => (isLoopbackHost(value) || value === '::1' ? value : undefined),
};

/** `gate1,wg0`: which gate has which device or key. */
export interface GateValue {
  readonly gate: string;
  readonly value: string;
}

export function gateValue(allowed: string, pattern: RegExp): Kind<GateValue> {
  return {
    allowed,
    read: (value) => {
      const at = value.indexOf(',');
      const gate = value.slice(0, at).trim();
      const rest = value.slice(at + 1).trim();
      return at > 0 && /^[\w.:-]{1,200}$/.test(gate) && pattern.test(rest)
        ? { gate, value: rest }
        : undefined;
    },
  };
}

/** A key that may be there several times; each time adds to the list. */
export function listOf<T>({ allowed, read }: Kind<T>, most: number): Kind<readonly T[]> {
  return {
    allowed: `at most ${most} times ${allowed}`,
    read: (value) => {
      const all = value.split('\n').filter((each) => each.trim() !== '');
      const values = all.map((each) => read(each.trim())).filter((each) => each !== undefined);
      return values.length === all.length && all.length <= most ? values : undefined;
    },
  };
}
