/** The types of a check of `onionmc doctor`, and of the facts it uses. */
import type { Clock } from '../channel/ports.js';
import type { NodeChain } from '../chain/node/node-chain.js';
import type { NodeFacts } from '../chain/node/node-facts.js';
import type { BlockInfo } from '../chain/ports.js';
import type { ClusterSettings } from '../config/cluster-settings.js';
import type { LokinetSettings } from '../config/lokinet-settings.js';
import type { Role, Settings } from '../config/settings.js';
import type { ProbeDeadlines, ProbeResult } from '../probe/probe.js';
import type { Location } from '../protocol/location.js';
import type { RandomBytes } from '../protocol/encryption.js';
import type { ControlClient } from '../tor/control/client.js';
import type { SocksEndpoint } from '../tor/socks/dialer.js';
import type { TorError } from '../tor/tor-error.js';

/** `note`: worth knowing, not a fault. `skipped`: could not be checked; the text says why. */
export type Status = 'ok' | 'note' | 'wrong' | 'skipped';

/** Texts are one line each, for a person. */
export interface Verdict {
  readonly status: Status;
  readonly text: string;
  /** The exact fix; for a skipped check, a way to make it possible. */
  readonly fix?: string;
  /** The facts that later checks need. */
  readonly found?: Partial<Facts>;
}

/** The programs that the doctor can check. */
export type DoctorRole = Exclude<Role, 'check'>;

/** Their names in texts. */
const NAMES: Readonly<Record<DoctorRole, string>> = {
  directory: 'directory',
  maker: 'maker',
  taker: 'taker',
  'ob-watcher': 'watcher',
  wallet: 'wallet',
};

/** `the directory`, `the maker`, ... */
export const theProgram = ({ role }: Pick<Machine, 'role'>): string => `the ${NAMES[role]}`;

/** The command that starts the program. */
export const startCommand = ({ role, datadir }: Pick<Machine, 'role' | 'datadir'>): string =>
  `onionmc ${role === 'wallet' ? 'wallet create NAME' : role} --datadir ${JSON.stringify(datadir)}`;

/** Why the program refuses to start with its settings, and the fix. */
export interface Refusal {
  readonly text: string;
  readonly fix: string;
}

/** State and reason on the status page of the running program, if there is one. */
export interface RunningProgram {
  /** Undefined: there is no status page, so the state is unknown. */
  readonly state: string | undefined;
  /** Why it is not healthy, from its status page. */
  readonly reason: string | undefined;
}

/** The facts that checks find for later checks. */
export interface Facts {
  /** User id that owns the data directory, and so runs the program. */
  readonly owner: number;
  readonly settings: Settings;
  /** `[CLUSTER]`, when this directory is a node of a cluster. */
  readonly cluster: ClusterSettings;
  /** The section with `type = lokinet`, when the program uses Lokinet. */
  readonly lokinet: LokinetSettings;
  /** Names of the wallets in the data directory. */
  readonly wallets: readonly string[];
  /** The location of our directory. */
  readonly location: Location;
  readonly running: RunningProgram;
  /** A program without a status page runs; its port is in use. */
  readonly holdsPort: true;
  /** The address on which the running directory listens for its onion: `host:port`, or `unix:/path`. */
  readonly listensOn: string;
  /** The key folder contains no key: the next start would create one, and so another address. */
  readonly keyless: string;
  /** The program `tor` exists, so that a Tor can be started. */
  readonly torProgram: true;
  /** A Tor answers at its control port. The next check finds out whether it accepts us. */
  readonly controlTried: ControlClient | TorError;
  readonly control: ControlClient;
  /** A filter stands in front of Tor's control port, and may refuse or rewrite any command. */
  readonly filter: true;
  readonly socks: SocksEndpoint;
  /** Tor is connected to its network. */
  readonly online: true;
  readonly probe: ProbeResult;
  /** What the bitcoin node says about itself and its best block. */
  readonly chain: { readonly facts: NodeFacts; readonly tip: BlockInfo };
}

export type FactName = keyof Facts;

export interface FactReader {
  /** A fact in `needs`, which exists whenever the check runs. */
  get<K extends FactName>(name: K): Facts[K];
  /** Any fact, if known. */
  peek<K extends FactName>(name: K): Facts[K] | undefined;
}

/** The free space of a disk. */
export interface Space {
  readonly bytes: number;
  /** Number of files that can still be created. */
  readonly files: number;
}

/** The machine that is checked; tests replace it. */
export interface Machine {
  readonly role: DoctorRole;
  /** Absolute. */
  readonly datadir: string;
  /** For example `20.19.0`. */
  readonly nodeVersion: string;
  /** Our user id; undefined on systems without one. */
  readonly uid: number | undefined;
  /** Most open files of a process started here; undefined when unknown. */
  readonly openFiles: () => Promise<number | undefined>;
  /** Free space of the disk for this user; undefined when unknown. */
  readonly space: (path: string) => Promise<Space | undefined>;
  /** The program `tor`. */
  readonly torProgram: string;
  /** Wall-clock time, in milliseconds since 1970. */
  readonly today: () => number;
  /** Opens the bitcoin node of the settings, if they name one. Rejects with a `ChainError`. */
  readonly openChain: (
    settings: Settings,
    signal: AbortSignal,
  ) => Promise<Pick<NodeChain, 'facts' | 'tip' | 'close'>>;
  readonly clock: Clock;
  readonly randomBytes: RandomBytes;
  /** A combination of settings that the program refuses although each value is allowed; undefined without one. */
  readonly refusal?: (settings: Settings) => Promise<Refusal | undefined>;
  readonly probeDeadlines?: ProbeDeadlines;
  readonly signal: AbortSignal;
}

export interface Check {
  /** A stable id, for programs. */
  readonly id: string;
  /** One to three words, for a person. */
  readonly title: string;
  /** The check is skipped without these facts. */
  readonly needs: readonly FactName[];
  /** Without this fact the check does not apply, and is left out. */
  readonly onlyWith?: FactName;
  /** The facts that it may find. */
  readonly gives: readonly FactName[];
  /** Rejects only for a bug in the check. */
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

/** The verdict of a check of Tor for a program without Tor. */
export const needsNoTor = ({ overlays }: Settings['onion']): Verdict =>
  skipped(
    overlays.includes('lokinet')
      ? 'this program uses Lokinet alone and needs no Tor'
      : 'loopback test mode (regtest_count) needs no Tor',
  );

const FIX = /\.? Fix: (.*?)(?=\. [A-Z]{4,}: |$)/g;

/** Our error texts have their fix after `Fix:`; this splits the two. */
export function wrongAs(error: Error, otherwise: string): Verdict {
  const message = error.message.replaceAll('\n', ' ');
  const fixes = [...message.matchAll(FIX)].map(([, fix = '']) => fix);
  return wrong(message.replace(FIX, ''), fixes.length === 0 ? otherwise : fixes.join('; or '));
}
