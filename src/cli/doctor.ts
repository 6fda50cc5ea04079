/** `onionmc doctor`: finds faults of a program and its machine, and names the fix. */
import { randomBytes } from 'node:crypto';
import { readdir, readFile, statfs } from 'node:fs/promises';
import { silentLog } from '../channel/log.js';
import type { NodeChain } from '../chain/node/node-chain.js';
import { ConfigError } from '../config/config-error.js';
import { walletsFolder } from '../config/data-files.js';
import { resolveDatadir } from '../config/paths.js';
import type { Settings } from '../config/settings.js';
import type { DoctorRole, Machine, Refusal, Space } from '../doctor/check.js';
import { checksOf } from '../doctor/checks.js';
import { findingLine, isWell, verdictLine } from '../doctor/format.js';
import { runChecks } from '../doctor/run-checks.js';
import { ExitCode } from '../ops/exit.js';
import { systemClock } from '../overlay/system-clock.js';
import { UsageError } from './errors.js';
import { DEFAULT_SIZE } from './defaults.js';
import { colorsOutput, print, printJson } from './print.js';
import { keepAlive } from '../kit/keep-alive.js';

interface DoctorOptions {
  readonly datadir?: string;
  readonly json?: boolean;
  readonly role: DoctorRole;
}

/** The hard limit: Node.js raises its soft limit to it at the start. */
async function openFiles(): Promise<number | undefined> {
  const text = await readFile('/proc/self/limits', 'latin1').catch(() => '');
  const limit = /^Max open files\s+\S+\s+(\S+)/m.exec(text)?.[1];
  if (limit === undefined) return undefined;
  return limit === 'unlimited' ? Infinity : Number(limit);
}

async function space(path: string): Promise<Space | undefined> {
  const stats = await statfs(path).catch(() => undefined);
  if (stats === undefined) return undefined;
  // Some file systems do not count files.
  const files = stats.files === 0 ? Infinity : stats.ffree;
  return { bytes: stats.bavail * stats.bsize, files };
}

/** Whether the data directory has the folder of a wallet; what is wrong with it is another check. */
async function hasWallet({ datadir }: Settings): Promise<boolean> {
  const names = await readdir(walletsFolder(datadir)).catch((): string[] => []);
  return names.length > 0;
}

/** Settings that `onionmc maker` refuses although each value is allowed. */
export async function makerRefusal(settings: Settings): Promise<Refusal | undefined> {
  const { network, configFile } = settings;
  if (network === 'mainnet') {
    // With a wallet the command line decides, which is not known here.
    if (await hasWallet(settings)) return undefined;
    return {
      text: 'network is mainnet, and this maker has no wallet: a start fails',
      fix: `set network = signet in [BLOCKCHAIN] of ${configFile}, or make a wallet for --wallet: onionmc wallet create NAME`,
    };
  }
  const { offerFromSettings } = await import('./maker-offers.js');
  try {
    offerFromSettings(settings, DEFAULT_SIZE);
    return undefined;
  } catch (error) {
    // A --size that is too small is not a fault of the file.
    if (error instanceof UsageError) return undefined;
    if (!(error instanceof ConfigError)) throw error;
    const { found, allowed } = error.fault;
    const place = error.message.slice(0, -`found ${found}; allowed: ${allowed}`.length);
    return { text: `${place}found ${found}`, fix: `write ${allowed}` };
  }
}

/** A node that starts may take minutes; the doctor says so in place of waiting. */
const STARTING_MS = 5_000;

async function nodeOf(settings: Settings, signal: AbortSignal): Promise<NodeChain> {
  const { openChain } = await import('../roles/open-chain.js');
  const tools = { clock: systemClock, log: silentLog };
  const chain = await openChain({ settings, ...tools, signal, startingMs: STARTING_MS });
  if (chain === undefined) throw new Error('the settings name no node');
  return chain;
}

function thisMachine(options: DoctorOptions, signal: AbortSignal): Machine {
  return {
    role: options.role,
    ...(options.role === 'maker' ? { refusal: makerRefusal } : {}),
    datadir: resolveDatadir(options.datadir),
    nodeVersion: process.versions.node,
    uid: process.geteuid?.(),
    openFiles,
    space,
    torProgram: 'tor',
    today: Date.now,
    openChain: nodeOf,
    clock: systemClock,
    randomBytes,
    signal,
  };
}

export async function runDoctor(options: DoctorOptions): Promise<void> {
  const stopped = new AbortController();
  const stop = (): void => stopped.abort(new Error('stopped'));
  process.once('SIGINT', stop).once('SIGTERM', stop);
  // The clock's timers do not keep the process alive.
  const letGo = keepAlive();
  const json = options.json === true;
  const color = colorsOutput();
  try {
    const findings = await runChecks(
      checksOf(options.role),
      thisMachine(options, stopped.signal),
      (finding) => {
        if (!json) print(findingLine(finding, color));
      },
    );
    const well = isWell(findings);
    if (json) printJson({ ok: well, checks: findings });
    else print(verdictLine(findings));
    if (!well || stopped.signal.aborted) process.exitCode = ExitCode.FAILED;
  } finally {
    letGo();
    process.off('SIGINT', stop).off('SIGTERM', stop);
  }
}
