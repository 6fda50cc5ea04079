/**
 * The managed Tor: a `tor` process started by this program, with a private folder that is kept between
 * runs (its guards and its directory documents). It ends with this program, and is restarted when it
 * ends by itself. It listens only on unix sockets, so that no other user of the machine can use it.
 */
import { isAbsolute, join } from 'node:path';
import { errorText } from '../../kit/error-text.js';
import { isRecord } from '../../kit/json-record.js';
import type { Log } from '../../channel/log.js';
import type { Clock, Random } from '../../channel/ports.js';
import { keepAlive } from '../../kit/keep-alive.js';
import { HandoverError, type Movable, type Parcel, type Parcels } from '../../kit/movable.js';
import { waitForBootstrap, type OnBootstrap } from './bootstrap.js';
import { connectControl, type ControlClient } from '../control/client.js';
import type { SocksEndpoint } from '../socks/dialer.js';
import { TorError } from '../tor-error.js';
import { adoptTor, type RunningTor, type TorExit } from './running-tor.js';
import { CONTROL_SOCKET, SOCKS_SOCKET, socketFolder, type SocketFolder } from './socket-folder.js';
import { ownTemporaryFolder } from './temporary-folder.js';
import { launchTor, writeTorrc } from './tor-program.js';
import { extraLines, privateFolder, torrcLines, TORRC_EXTRA_VARIABLE } from './torrc.js';

const FIRST_RESTART_MS = 1_000;
/** So that the onions answer again within two minutes, however often Tor ends. */
const LONGEST_RESTART_MS = 30_000;
/** After a Tor ran this long, the next restart waits the shortest time again. */
const STABLE_MS = 60_000;

/** Options of a tor program. */
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

class ManagedTor implements TorProcess {
  readonly socks: SocksEndpoint;
  readonly move: Movable;
  readonly #options: TorProcessOptions;
  readonly #sockets: SocketFolder;
  readonly #torrc: readonly string[];
  readonly #closing = new AbortController();
  /** Callers that wait for the next Tor. */
  readonly #waiting = new Set<() => void>();
  #running: RunningTor | undefined;
  #startedAt = 0;
  #restartMs = FIRST_RESTART_MS;
  #cancelRestart: (() => void) | undefined;
  #restarting: Promise<void> | undefined;
  /** The end of the chain of torrc changes, so that they run in order. */
  #torrcWritten: Promise<void> = Promise.resolve();
  #closed: Promise<void> | undefined;

  constructor(options: TorProcessOptions, sockets: SocketFolder, extra: readonly string[]) {
    this.#options = options;
    this.#sockets = sockets;
    this.#torrc = [...torrcLines(sockets.path), ...extra];
    this.socks = { kind: 'unix', path: join(sockets.path, SOCKS_SOCKET) };
    this.move = { hold: () => this.#hold(), release: () => this.#release() };
  }

  get socketFolder(): string {
    return this.#sockets.path;
  }

  get pid(): number | undefined {
    return this.#running?.pid;
  }

  /** Starts Tor, or continues with the inherited one. Leaves nothing running when it rejects. */
  async open(): Promise<void> {
    const { inherited, signal } = this.#options;
    const sockets = this.#sockets;
    try {
      if (inherited !== undefined) this.#own(adoptTor(inherited, this.#onOutput));
      else {
        sockets.endWithProcess(true);
        await this.#start(signal);
        await sockets.removeOthers();
      }
    } catch (error) {
      this.#closing.abort();
      await this.#running?.kill();
      if (inherited === undefined) await sockets.remove();
      throw error;
    }
  }

  control(): ControlClient {
    if (this.#running === undefined) throw this.#notRunning();
    return this.#running.control;
  }

  async connectControl(signal: AbortSignal): Promise<ControlClient> {
    await this.#current(signal);
    const endpoint = { kind: 'unix', path: join(this.#sockets.path, CONTROL_SOCKET) } as const;
    return connectControl({ endpoint, signal });
  }

  keepInTorrc(lines: readonly string[]): Promise<void> {
    const { dataDir } = this.#options;
    const written = this.#torrcWritten.then(() => writeTorrc(dataDir, [...this.#torrc, ...lines]));
    this.#torrcWritten = written.catch(() => {});
    return written;
  }

  async bootstrapped(signal: AbortSignal): Promise<void> {
    await waitForBootstrap((await this.#current(signal)).control, signal);
  }

  close(): Promise<void> {
    this.#closed ??= this.#shutDown();
    return this.#closed;
  }

  readonly #onOutput = (line: string): void => {
    if (!line.startsWith('[warn]') && !line.startsWith('[err]')) return;
    this.#options.log.warn(`tor: ${line}`);
  };

  #own(tor: RunningTor): void {
    this.#running = tor;
    this.#startedAt = this.#options.clock.now();
    void tor.exited.then((exit) => this.#died(tor, exit));
  }

  async #start(signal: AbortSignal): Promise<void> {
    const { dataDir, program, onBootstrap } = this.#options;
    await this.#torrcWritten;
    const tor = await launchTor({
      dataDir,
      torrc: this.#torrc,
      signal,
      onOutput: this.#onOutput,
      ...(program === undefined ? {} : { program }),
    });
    this.#own(tor);
    // A failure here means that this Tor has ended, which `#died` handles.
    waitForBootstrap(tor.control, this.#closing.signal, onBootstrap).catch(() => {});
    for (const wake of this.#waiting) wake();
  }

  #died(tor: RunningTor, exit: TorExit): void {
    const { clock, log } = this.#options;
    if (this.#running !== tor) return;
    this.#running = undefined;
    if (this.#closing.signal.aborted) return;
    if (clock.now() - this.#startedAt >= STABLE_MS) this.#restartMs = FIRST_RESTART_MS;
    const reason = exit.lastWarnings === '' ? '' : `: ${exit.lastWarnings}`;
    log.warn(`our Tor ended (${exit.signal ?? `code ${exit.code ?? 'unknown'}`})${reason}`);
    this.#restartLater();
  }

  #restartLater(): void {
    const { clock, random } = this.#options;
    const delay = this.#restartMs * (0.75 + random() / 2);
    this.#restartMs = Math.min(this.#restartMs * 2, LONGEST_RESTART_MS);
    // Before that there is no Tor and no socket.
    const letGo = keepAlive();
    const cancel = clock.after(delay, () => {
      letGo();
      this.#restarting = this.#restart();
    });
    this.#cancelRestart = () => {
      letGo();
      cancel();
    };
  }

  async #restart(): Promise<void> {
    const { log } = this.#options;
    const { signal } = this.#closing;
    try {
      await this.#start(signal);
      log.info('our Tor was started again');
    } catch (error) {
      if (signal.aborted) return;
      log.error(`cannot start our Tor again: ${errorText(error)}`);
      this.#restartLater();
    }
  }

  #notRunning(): TorError {
    return this.#closing.signal.aborted
      ? new TorError('process', 'closed', 'our Tor was stopped')
      : new TorError('lost', 'lost', 'our Tor is not running now; it is being started again', {
          remedy: 'unreachable',
        });
  }

  /** The current Tor, or the next one. */
  async #current(signal: AbortSignal): Promise<RunningTor> {
    const running = this.#running;
    // A Tor that is ending loses its connection before its end is known.
    if (running !== undefined && !running.control.closed) return running;
    const either = AbortSignal.any([signal, this.#closing.signal]);
    await new Promise<void>((resolve) => {
      const wake = (): void => {
        this.#waiting.delete(wake);
        either.removeEventListener('abort', wake);
        resolve();
      };
      this.#waiting.add(wake);
      either.addEventListener('abort', wake, { once: true });
      if (either.aborted) wake();
    });
    if (this.#closing.signal.aborted) throw this.#notRunning();
    signal.throwIfAborted();
    return this.#current(signal);
  }

  async #shutDown(): Promise<void> {
    this.#closing.abort();
    this.#cancelRestart?.();
    await this.#restarting;
    // Our connections to Tor are open already. A Tor that is slow to end leaves nothing behind.
    const stopped = this.#running?.stop();
    await this.#sockets.remove();
    await stopped;
  }

  async #hold(): Promise<readonly Parcel[]> {
    if (this.#running === undefined) {
      throw new HandoverError('our tor is being started again; try later');
    }
    const parcels = await this.#running.move.hold();
    this.#sockets.endWithProcess(false);
    return [{ key: TOR_FOLDER, value: { sockets: this.#sockets.path } }, ...parcels];
  }

  #release(): void {
    // A process that was to continue may have taken the folder.
    void ownTemporaryFolder(this.#sockets.path).catch(() => {});
    this.#sockets.endWithProcess(true);
    this.#running?.move.release();
  }
}

/**
 * Starts Tor and resolves when it answers, which is before it is connected to its network (onions can
 * be added already; see `bootstrapped`). Rejects with a TorError (`process`): `tor-missing`,
 * `tor-exited` with tor's own words, `data-dir-busy`, `bad-torrc`, `io`, `timeout`, `aborted`.
 */
export async function startTorProcess(options: TorProcessOptions): Promise<TorProcess> {
  const { dataDir, inherited, env = process.env } = options;
  const extra = [...(options.extraTorrc ?? []), ...(await extraLines(env[TORRC_EXTRA_VARIABLE]))];
  await privateFolder(dataDir);
  const sockets = await socketFolder(dataDir, inherited && inheritedFolder(inherited));
  const tor = new ManagedTor(options, sockets, extra);
  await tor.open();
  return tor;
}
