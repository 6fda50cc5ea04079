/**
 * The managed Tor: a `tor` process started by this program, with a private folder that is kept between
 * runs (its guards and its directory documents). It ends with this program, and is restarted when it
 * ends by itself. It listens only on unix sockets, so that no other user of the machine can use it.
 */
import { chmod, mkdir, readFile } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import { errorText } from '../../kit/error-text.js';
import { isRecord } from '../../kit/json-record.js';
import type { Log } from '../../channel/log.js';
import type { Clock, Random } from '../../channel/ports.js';
import { keepAlive } from '../../kit/keep-alive.js';
import { HandoverError, type Movable, type Parcels } from '../../handover/parcel.js';
import { waitForBootstrap, type OnBootstrap } from './bootstrap.js';
import { connectControl, type ControlClient } from '../control/client.js';
import type { SocksEndpoint } from '../socks/dialer.js';
import { TorError } from '../tor-error.js';
import { adoptTor, type RunningTor, type TorExit } from './running-tor.js';
import { CONTROL_SOCKET, SOCKS_SOCKET, socketFolder } from './socket-folder.js';
import { ownTemporaryFolder } from './temporary-folder.js';
import { launchTor, torrcString, writeTorrc } from './tor-program.js';

/**
 * The environment variable that names a file with more torrc lines for the managed Tor, for options
 * without a setting: bridges, a proxy, a test network.
 */
export const TORRC_EXTRA_VARIABLE = 'ONIONMC_TORRC_EXTRA';

const FIRST_RESTART_MS = 1_000;
/** So that the onions answer again within two minutes, however often Tor ends. */
const LONGEST_RESTART_MS = 30_000;
/** After a Tor ran this long, the next restart waits the shortest time again. */
const STABLE_MS = 60_000;

/** What a tor program needs. */
export interface TorProcessOptions {
  /** Created with mode 0700 if missing; kept. */
  readonly dataDir: string;
  /** Default `tor`, from the PATH. */
  readonly program?: string;
  /**
   * More torrc lines, after the built-in ones and before those of the file in `ONIONMC_TORRC_EXTRA`.
   */
  readonly extraTorrc?: readonly string[];
  /** Aborts the start; afterwards use `close`. */
  readonly signal: AbortSignal;
  /** Receives the log lines of the program. */
  readonly log: Log;
  /** The time of all timers. */
  readonly clock: Clock;
  /** For random waits between restarts. */
  readonly random: Random;
  /** Tor's progress, at the first start and after each restart. */
  readonly onBootstrap?: OnBootstrap;
  /** Continues with the tor of another process. */
  readonly inherited?: Parcels | undefined;
  /** Default `process.env`. */
  readonly env?: Readonly<Record<string, string | undefined>>;
}

/** A running tor program of our own. */
export interface TorProcess {
  /** The owning connection of the current Tor. Throws a TorError while there is none. */
  control(): ControlClient;
  /**
   * A new control connection to the current Tor; waits while Tor is being restarted. Fits
   * `startOnionService`: when Tor ends the connection is lost, and the next call gets the new Tor.
   */
  connectControl(signal: AbortSignal): Promise<ControlClient>;
  /** Stays the same over restarts. */
  readonly socks: SocksEndpoint;
  /** A folder for sockets that only this user and this Tor can reach; removed by `close`. */
  readonly socketFolder: string;
  /**
   * Writes these lines after the built-in ones in the torrc, replacing those of the previous call, so
   * that the service they describe survives a reload (SIGHUP) of the current Tor; Tor itself is not
   * told. A restarted Tor begins without them. Rejects with a TorError (`process`, `io`).
   */
  keepInTorrc(lines: readonly string[]): Promise<void>;
  /** Process id of the current Tor. */
  readonly pid: number | undefined;
  /** Resolves when the current Tor is connected to its network. */
  bootstrapped(signal: AbortSignal): Promise<void>;
  /** How another process takes it over. */
  readonly move: Movable;
  /** Ends Tor and waits for its end. */
  close(): Promise<void>;
}

/** The key of the parcel with the place of our tor's sockets. */
const TOR_FOLDER = 'tor-folder';

/** Whether the parcels of another process include a tor. */
export function hasInheritedTor(parcels: Parcels): boolean {
  return parcels.has(TOR_FOLDER);
}

function inheritedFolder(parcels: Parcels): string {
  const value = parcels.get(TOR_FOLDER)?.value;
  const path = isRecord(value) ? value['sockets'] : undefined;
  if (typeof path !== 'string' || !isAbsolute(path)) {
    throw new HandoverError('no folder of tor was handed over');
  }
  return path;
}

/** The lines of the file in `ONIONMC_TORRC_EXTRA`; none if it is not set. */
async function extraLines(path: string | undefined): Promise<readonly string[]> {
  if (path === undefined || path === '') return [];
  try {
    return (await readFile(path, 'utf8')).split(/\r?\n/).filter((line) => line.trim() !== '');
  } catch (error) {
    throw new TorError(
      'process',
      'bad-torrc',
      `cannot read ${path}, the file named by ${TORRC_EXTRA_VARIABLE}: ${String(error)}`,
      { remedy: 'configuration', cause: error },
    );
  }
}

async function privateFolder(dataDir: string): Promise<void> {
  try {
    await mkdir(dataDir, { recursive: true, mode: 0o700 });
    await chmod(dataDir, 0o700);
  } catch (error) {
    throw new TorError('process', 'io', `cannot make the folder ${dataDir}: ${String(error)}`, {
      remedy: 'configuration',
      cause: error,
    });
  }
}

function torrcLines(sockets: string): readonly string[] {
  return [
    `SocksPort unix:${torrcString(join(sockets, SOCKS_SOCKET))} ExtendedErrors`,
    `ControlPort unix:${torrcString(join(sockets, CONTROL_SOCKET))}`,
    'CookieAuthentication 1',
    'ClientOnly 1',
    'AvoidDiskWrites 1',
    // Countries are not used; saves 35 MB.
    'GeoIPFile /dev/null',
    'GeoIPv6File /dev/null',
  ];
}

/**
 * Starts Tor and resolves when it answers, which is before it is connected to its network (onions can
 * be added already; see `bootstrapped`). Rejects with a TorError (`process`): `tor-missing`,
 * `tor-exited` with tor's own words, `data-dir-busy`, `bad-torrc`, `io`, `timeout`, `aborted`.
 */
export async function startTorProcess(options: TorProcessOptions): Promise<TorProcess> {
  const { dataDir, log, clock, random, onBootstrap } = options;
  const extra = [
    ...(options.extraTorrc ?? []),
    ...(await extraLines((options.env ?? process.env)[TORRC_EXTRA_VARIABLE])),
  ];
  await privateFolder(dataDir);
  const { inherited } = options;
  const sockets = await socketFolder(dataDir, inherited && inheritedFolder(inherited));
  const closing = new AbortController();
  const socks: SocksEndpoint = { kind: 'unix', path: join(sockets.path, SOCKS_SOCKET) };

  let running: RunningTor | undefined;
  let restartMs = FIRST_RESTART_MS;
  let startedAt = clock.now();
  /** Callers that wait for the next Tor. */
  const waiting = new Set<() => void>();
  let cancelRestart: (() => void) | undefined;
  let restarting: Promise<void> | undefined;

  function onOutput(line: string): void {
    if (line.startsWith('[warn]') || line.startsWith('[err]')) log.warn(`tor: ${line}`);
  }

  function own(tor: RunningTor): void {
    running = tor;
    startedAt = clock.now();
    void tor.exited.then((exit) => died(tor, exit));
  }

  const torrc = [...torrcLines(sockets.path), ...extra];
  /** The end of the chain of torrc changes, so that they run in order. */
  let torrcWritten: Promise<void> = Promise.resolve();

  function keepInTorrc(lines: readonly string[]): Promise<void> {
    const written = torrcWritten.then(() => writeTorrc(dataDir, [...torrc, ...lines]));
    torrcWritten = written.catch(() => {});
    return written;
  }

  async function start(signal: AbortSignal): Promise<void> {
    await torrcWritten;
    const tor = await launchTor({
      dataDir,
      torrc,
      signal,
      onOutput,
      ...(options.program === undefined ? {} : { program: options.program }),
    });
    own(tor);
    // A failure here means that this Tor has ended, which `died` handles.
    waitForBootstrap(tor.control, closing.signal, onBootstrap).catch(() => {});
    for (const wake of waiting) wake();
  }

  function died(tor: RunningTor, exit: TorExit): void {
    if (running !== tor) return;
    running = undefined;
    if (closing.signal.aborted) return;
    if (clock.now() - startedAt >= STABLE_MS) restartMs = FIRST_RESTART_MS;
    const why = exit.complaint === '' ? '' : `: ${exit.complaint}`;
    log.warn(`our Tor ended (${exit.signal ?? `code ${exit.code ?? 'unknown'}`})${why}`);
    restartLater();
  }

  function restartLater(): void {
    const delay = restartMs * (0.75 + random() / 2);
    restartMs = Math.min(restartMs * 2, LONGEST_RESTART_MS);
    // Before that there is no Tor and no socket.
    const letGo = keepAlive();
    const cancel = clock.after(delay, () => {
      letGo();
      restarting = start(closing.signal).then(
        () => log.info('our Tor was started again'),
        (error: unknown) => {
          if (closing.signal.aborted) return;
          log.error(`cannot start our Tor again: ${errorText(error)}`);
          restartLater();
        },
      );
    });
    cancelRestart = () => {
      letGo();
      cancel();
    };
  }

  function nothingRuns(): TorError {
    return closing.signal.aborted
      ? new TorError('process', 'closed', 'our Tor was stopped')
      : new TorError('lost', 'lost', 'our Tor is not running now; it is being started again', {
          remedy: 'unreachable',
        });
  }

  /** The current Tor, or the next one. */
  async function current(signal: AbortSignal): Promise<RunningTor> {
    // A Tor that is ending loses its connection before its end is known.
    if (running !== undefined && !running.control.closed) return running;
    const either = AbortSignal.any([signal, closing.signal]);
    await new Promise<void>((resolve) => {
      const wake = (): void => {
        waiting.delete(wake);
        either.removeEventListener('abort', wake);
        resolve();
      };
      waiting.add(wake);
      either.addEventListener('abort', wake, { once: true });
      if (either.aborted) wake();
    });
    if (closing.signal.aborted) throw nothingRuns();
    signal.throwIfAborted();
    return current(signal);
  }

  try {
    if (inherited !== undefined) own(adoptTor(inherited, onOutput));
    else {
      sockets.endWithProcess(true);
      await start(options.signal);
      await sockets.removeOthers();
    }
  } catch (error) {
    closing.abort();
    await running?.kill();
    if (inherited === undefined) await sockets.remove();
    throw error;
  }

  let closed: Promise<void> | undefined;
  async function shutDown(): Promise<void> {
    closing.abort();
    cancelRestart?.();
    await restarting;
    // Our connections to Tor are open already. A Tor that is slow to end leaves nothing behind.
    const stopped = running?.stop();
    await sockets.remove();
    await stopped;
  }

  const move: Movable = {
    async hold() {
      if (running === undefined)
        throw new HandoverError('our tor is being started again; try later');
      const parcels = await running.move.hold();
      sockets.endWithProcess(false);
      return [{ key: TOR_FOLDER, value: { sockets: sockets.path } }, ...parcels];
    },
    release() {
      // A process that was to continue may have taken the folder.
      void ownTemporaryFolder(sockets.path).catch(() => {});
      sockets.endWithProcess(true);
      running?.move.release();
    },
  };

  return {
    socks,
    move,
    socketFolder: sockets.path,
    keepInTorrc,
    get pid() {
      return running?.pid;
    },
    control() {
      if (running === undefined) throw nothingRuns();
      return running.control;
    },
    async connectControl(signal) {
      await current(signal);
      const endpoint = { kind: 'unix', path: join(sockets.path, CONTROL_SOCKET) } as const;
      return connectControl({ endpoint, signal });
    },
    async bootstrapped(signal) {
      await waitForBootstrap((await current(signal)).control, signal);
    },
    close() {
      closed ??= shutDown();
      return closed;
    },
  };
}
