/**
 * Starts one `tor` process that lives exactly as long as this process holds it: its first control
 * connection is a socket pair that owns it (`__OwningControllerFD`). So tor exits when this process
 * ends for any reason, and no control port or cookie is needed.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Duplex } from 'node:stream';
import { controlClientOver, type ControlClient } from '../control/client.js';
import { infoValue, parseQuotedList } from '../control/values.js';
import { movable, STOP_GRACE_MS, type RunningTor, type TorExit } from './running-tor.js';
import { TorError } from '../tor-error.js';
import { listenTo, outputTail, type TorOutput } from './tor-output.js';

/** The file descriptor of the owning control connection in the child. */
const OWNING_FD = 3;
/** How long tor may take to answer its first command; waiting for a locked folder takes it 5 s. */
const START_TIMEOUT_MS = 30_000;

export interface LaunchTorOptions {
  /** The program; default `tor`, from the PATH. */
  readonly program?: string;
  /** Must exist, mode 0700. The file `torrc` in it is overwritten. */
  readonly dataDir: string;
  /** Options in addition to `DataDirectory`, the log and the owner, which are set here. */
  readonly torrc: readonly string[];
  readonly signal: AbortSignal;
  /**
   * Resolve as soon as tor prints a matching line, not when it answers: a relay binds its port long
   * before its keys are ready.
   */
  readonly readyLine?: RegExp;
  /** Called for each line that tor prints, without its time: `[warn] ...`. */
  readonly onOutput?: (line: string) => void;
}

function exitOf(child: ChildProcess, output: TorOutput): Promise<TorExit> {
  return new Promise((resolve) => {
    const done = (code: number | null, signal: string | null): void =>
      resolve({ code, signal, lastWarnings: output.lastWarnings() });
    // `close` follows `exit` when the last output has been read; `error` alone: it did not start.
    child.once('close', done);
    child.once('error', () => {
      if (child.pid === undefined) done(null, null);
    });
  });
}

function startFault(program: string, error: NodeJS.ErrnoException): TorError {
  if (error.code === 'ENOENT') {
    return new TorError(
      'process',
      'tor-missing',
      `the program "${program}" was not found: install it: apt-get install tor`,
      { remedy: 'unreachable', cause: error },
    );
  }
  return new TorError(
    'process',
    'tor-missing',
    `the program "${program}" cannot be started (${error.code ?? error.message}): is it tor, and executable?`,
    { remedy: 'unreachable', cause: error },
  );
}

function exitFault(exit: TorExit, dataDir: string): TorError {
  // Tor's last line after it has waited 5 s for the lock of the folder.
  if (/No, it's still there/.test(exit.lastWarnings)) {
    return new TorError(
      'process',
      'data-dir-busy',
      `another tor already uses the folder ${dataDir}: stop the other program, or choose another data directory`,
      { remedy: 'configuration' },
    );
  }
  const how = exit.signal === null ? `code ${exit.code ?? 'unknown'}` : exit.signal;
  const warnings = exit.lastWarnings === '' ? '' : `: ${exit.lastWarnings}`;
  return new TorError('process', 'tor-exited', `tor ended at its start (${how})${warnings}`);
}

/** The error of a tor that does not answer, or whose start was aborted. */
function unanswered(signal: AbortSignal, cause: unknown): TorError {
  const reason: unknown = signal.reason;
  const suffix = reason instanceof Error ? `: ${reason.message}` : '';
  return signal.aborted
    ? new TorError('process', 'aborted', `starting tor was cancelled${suffix}`, { cause })
    : new TorError(
        'process',
        'timeout',
        `tor was started but did not answer within ${START_TIMEOUT_MS / 1000} s; is the machine overloaded?`,
        { remedy: 'unreachable', cause },
      );
}

/** A torrc value in C style quotes, so that blanks and `#` are part of it. */
export function torrcString(value: string): string {
  return `"${value.replace(/[\\"]/g, (c) => `\\${c}`)}"`;
}

/**
 * The environment for tor, without the variables from systemd. Debian's tor sends READY and MAINPID to systemd,
 * and systemd accepts both, because the unit allows every process to send (`NotifyAccess=all`).
 */
function torEnvironment(): NodeJS.ProcessEnv {
  const { NOTIFY_SOCKET: _, WATCHDOG_USEC: _usec, WATCHDOG_PID: _pid, ...env } = process.env;
  return env;
}

/** The torrc of a tor with this data folder. */
const torrcIn = (dataDir: string): string => join(dataDir, 'torrc');

/**
 * Writes the torrc that tor reads at its start and at every reload (SIGHUP): the built-in lines, then
 * `lines`. Atomic: a tor that reads it meanwhile gets the old or the new one. Rejects with a TorError
 * (`process`, `io`).
 */
export async function writeTorrc(dataDir: string, lines: readonly string[]): Promise<void> {
  const path = torrcIn(dataDir);
  const beside = `${path}.new`;
  const torrc = [
    `DataDirectory ${torrcString(dataDir)}`,
    `__OwningControllerFD ${OWNING_FD}`,
    'Log notice stdout',
    ...lines,
  ];
  try {
    await writeFile(beside, `${torrc.join('\n')}\n`, { mode: 0o600 });
    await rename(beside, path);
  } catch (error) {
    throw new TorError('process', 'io', `cannot write ${path}: ${String(error)}`, {
      remedy: 'configuration',
      cause: error,
    });
  }
}

/**
 * Starts tor and waits until it answers. Rejects with a TorError (`process`): `tor-missing`,
 * `tor-exited` (with tor's last warnings), `data-dir-busy`, `timeout`, `aborted`, `io`; nothing is left
 * running then.
 */
export async function launchTor(options: LaunchTorOptions): Promise<RunningTor> {
  const { program = 'tor', dataDir, signal, onOutput } = options;
  if (signal.aborted) throw unanswered(signal, signal.reason);
  await writeTorrc(dataDir, options.torrc);

  const child = spawn(program, ['--defaults-torrc', '/dev/null', '-f', torrcIn(dataDir)], {
    stdio: ['ignore', 'pipe', 'ignore', 'pipe'],
    env: torEnvironment(),
    // A process group of its own, because this program handles Ctrl-C and tor must still withdraw its
    // onions.
    detached: true,
  });
  let lineSeen: (() => void) | undefined;
  const ready = new Promise<void>((resolve) => {
    lineSeen = resolve;
  });
  const output = outputTail((line) => {
    if (options.readyLine?.test(line) === true) lineSeen?.();
    onOutput?.(line);
  });
  const exited = exitOf(child, output);
  const spawned = new Promise<NodeJS.ErrnoException | undefined>((resolve) => {
    child.once('spawn', () => resolve(undefined)).once('error', resolve);
  });
  listenTo(child.stdout, output);
  const startError = await spawned;
  const { pid } = child;
  const stream = child.stdio[OWNING_FD];
  if (startError !== undefined || pid === undefined) {
    throw startFault(program, startError ?? new Error('no process'));
  }
  if (!(stream instanceof Duplex)) throw startFault(program, new Error('no control connection'));

  const control = controlClientOver(stream, `tor (process ${pid})`);

  const end = async (first: NodeJS.Signals): Promise<void> => {
    child.kill(first);
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_GRACE_MS);
    await exited;
    clearTimeout(timer);
  };
  const stop = (): Promise<void> => end('SIGTERM');
  const kill = (): Promise<void> => end('SIGKILL');

  try {
    const answer = control.command('GETINFO version', { signal, timeoutMs: START_TIMEOUT_MS });
    await Promise.race([ready, answer]);
    answer.catch(() => {});
  } catch (error) {
    if (child.exitCode !== null || child.signalCode !== null || control.closed) {
      const gone = await Promise.race([exited, kill().then(() => exited)]);
      throw signal.aborted ? unanswered(signal, error) : exitFault(gone, dataDir);
    }
    await kill();
    throw unanswered(signal, error);
  }
  const move = movable(pid, control, child.stdout);
  return { pid, control, exited, move, stop, kill };
}

/**
 * The addresses of `GETINFO net/listeners/...`: `127.0.0.1:9050`, `unix:/path`; none if they cannot be
 * parsed.
 */
export async function listenersOf(
  control: ControlClient,
  kind: 'socks' | 'control',
): Promise<readonly string[]> {
  const key = `net/listeners/${kind}`;
  const reply = await control.command(`GETINFO ${key}`);
  const addresses = parseQuotedList(infoValue(reply, key) ?? '');
  return addresses.ok ? addresses.value : [];
}
