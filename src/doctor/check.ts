/** What a check of `onionmc doctor` is, and what it may know. */
import type { Clock } from '../channel/ports.js';
import type { Role, Settings } from '../config/settings.js';
import type { ProbeDeadlines, ProbeResult } from '../probe/probe.js';
import type { Location } from '../protocol/location.js';
import type { NickKey } from '../protocol/nick.js';
import type { ControlClient } from '../tor/control/client.js';
import type { SocksEndpoint } from '../tor/socks/dialer.js';
import type { TorError } from '../tor/tor-error.js';

/** `note`: worth knowing, nothing wrong. `skipped`: could not be looked at; the text says why. */
export type Status = 'ok' | 'note' | 'wrong' | 'skipped';

/** Texts are one line each, for a person. */
export interface Verdict {
  readonly status: Status;
  readonly text: string;
  /** Exactly what to do; where something was skipped: so that it can be looked at. */
  readonly fix?: string;
  /** What later checks build on. */
  readonly found?: Partial<Facts>;
}

/** The programs that can be looked at. */
export type DoctorRole = Exclude<Role, 'check'>;

/** What a person calls them. */
const NAMES: Readonly<Record<DoctorRole, string>> = {
  directory: 'directory',
  maker: 'maker',
  taker: 'taker',
  'ob-watcher': 'watcher',
};

/** `the directory`, `the maker`, ... */
export const theProgram = ({ role }: Pick<Machine, 'role'>): string => `the ${NAMES[role]}`;

/** The command that starts it. */
export const startCommand = ({ role, datadir }: Pick<Machine, 'role' | 'datadir'>): string =>
  `onionmc ${role} --datadir ${JSON.stringify(datadir)}`;

/** Why a program does not start with its settings, and the fix. */
export interface Refusal {
  readonly text: string;
  readonly fix: string;
}

/** What the running program says of itself, where it has a status page. */
export interface RunningProgram {
  /** Undefined: it has no status page, so nothing is known. */
  readonly state: string | undefined;
  /** Why it is not healthy, in its own words. */
  readonly trouble: string | undefined;
}

/** What checks find out for those after them. */
export interface Facts {
  /** User id that owns the data directory, and so runs the directory. */
  readonly owner: number;
  readonly settings: Settings;
  /** Where peers reach our directory. */
  readonly location: Location;
  readonly running: RunningProgram;
  /** A program of ours runs about which no more can be said; its port is in use. */
  readonly holdsPort: true;
  /** What the running directory listens on for its onion: `host:port`, or `unix:/path`. */
  readonly listensOn: string;
  /** The key folder holds no key: the next start would make one, and so another address. */
  readonly keyless: string;
  /** There is a program to start a Tor of our own with. */
  readonly torProgram: true;
  /** A Tor answers at its control port; whether it lets us in is for the next check. */
  readonly controlTried: ControlClient | TorError;
  readonly control: ControlClient;
  /** A filter stands in front of Tor's control port, and may refuse or rewrite anything. */
  readonly filter: true;
  readonly socks: SocksEndpoint;
  /** Tor is connected to its network. */
  readonly online: true;
  readonly probe: ProbeResult;
}

export type FactName = keyof Facts;

export interface FactReader {
  /** A fact in `needs`, which is there whenever the check runs. */
  get<K extends FactName>(name: K): Facts[K];
  /** Any fact, if it is known. */
  peek<K extends FactName>(name: K): Facts[K] | undefined;
}

/** What a disk has room for. */
export interface Space {
  readonly bytes: number;
  /** Files that can still be made. */
  readonly files: number;
}

/** The machine that is looked at; tests put another one in its place. */
export interface Machine {
  readonly role: DoctorRole;
  /** Absolute. */
  readonly datadir: string;
  /** Like `20.19.0`. */
  readonly nodeVersion: string;
  /** Our user id; undefined where there is none. */
  readonly uid: number | undefined;
  /** Most files a process started here may have open; undefined where that is not told. */
  readonly openFiles: () => Promise<number | undefined>;
  /** What is left of the disk for this user; undefined where that is not told. */
  readonly space: (path: string) => Promise<Space | undefined>;
  /** The program `tor`. */
  readonly torProgram: string;
  /** The time of day, in milliseconds since 1970. */
  readonly today: () => number;
  readonly clock: Clock;
  readonly newNickKey: () => NickKey;
  /** What the program refuses in its settings besides values that are not allowed; undefined: nothing. */
  readonly refusal?: (settings: Settings) => Refusal | undefined;
  readonly probeDeadlines?: ProbeDeadlines;
  readonly signal: AbortSignal;
}

export interface Check {
  /** Stable, for programs. */
  readonly id: string;
  /** A word or three, for a person. */
  readonly title: string;
  /** Without these it is skipped. */
  readonly needs: readonly FactName[];
  /** What it may find out. */
  readonly gives: readonly FactName[];
  /** Rejects only when the check itself is at fault. */
  readonly run: (facts: FactReader, machine: Machine) => Promise<Verdict>;
}

export const ok = (text: string, found: Partial<Facts> = {}): Verdict => ({
  status: 'ok',
  text,
  found,
});
export const wrong = (text: string, fix: string, found: Partial<Facts> = {}): Verdict => ({
  status: 'wrong',
  text,
  fix,
  found,
});
export const note = (text: string, fix: string, found: Partial<Facts> = {}): Verdict => ({
  status: 'note',
  text,
  fix,
  found,
});
export const skipped = (text: string): Verdict => ({ status: 'skipped', text });

const FIX = /\.? Fix: (.*?)(?=\. [A-Z]{4,}: |$)/g;

/** An error of ours says its fix behind `Fix:`; this takes the two apart. */
export function wrongAs(error: Error, otherwise: string): Verdict {
  const message = error.message.replaceAll('\n', ' ');
  const fixes = [...message.matchAll(FIX)].map(([, fix = '']) => fix);
  return wrong(message.replace(FIX, ''), fixes.length === 0 ? otherwise : fixes.join('; or '));
}
