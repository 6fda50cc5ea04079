/**
 * Reports the state of the service to systemd (`Type=notify`). Node has no datagram unix sockets, so
 * each message is sent by the program `systemd-notify`; because that is a child process, the unit needs
 * `NotifyAccess=all`. All functions do nothing outside systemd (`NOTIFY_SOCKET` unset).
 */
import { execFile } from 'node:child_process';
import type { Log } from '../channel/log.js';
import type { Clock } from '../channel/ports.js';
import { shownLine } from '../kit/shown-text.js';
import { errorFields } from '../kit/error-text.js';

export interface Notifier {
  /** The service is ready: peers can be served. */
  ready(status?: string): void;
  /** One line for `systemctl status`. */
  status(text: string): void;
  /** A reload begins; call `ready` when it is done. */
  reloading(): void;
  /** Another process is the service from now on; resolves when systemd has read the message. */
  mainProcess(pid: number): Promise<void>;
  /** The service is stopping. */
  stopping(): void;
  /** Sends no further watchdog messages; resolves when all requested messages were sent. */
  close(): Promise<void>;
}

export interface NotifierOptions {
  readonly log: Log;
  readonly clock: Clock;
  /** Default `process.env`. */
  readonly env?: NodeJS.ProcessEnv;
}

const PROGRAM = 'systemd-notify';
const WATCHDOG = 'WATCHDOG=1';
/**
 * `systemd-notify` waits until systemd has read the message. That takes milliseconds on most machines and seconds
 * on a machine under heavy load; a service there must not be taken for one that hangs.
 */
const SEND_TIMEOUT_MS = 20_000;
/** The maximum number of waiting messages. The queue grows only while systemd hangs. */
const MAX_WAITING = 16;

const silentNotifier: Notifier = {
  ready() {},
  status() {},
  reloading() {},
  stopping() {},
  mainProcess: () => Promise.resolve(),
  close: () => Promise.resolve(),
};

/**
 * Interval of `WATCHDOG=1`: half of systemd's timeout; undefined without a watchdog
 * (sd_watchdog_enabled(3)).
 */
function watchdogInterval(env: NodeJS.ProcessEnv): number | undefined {
  const micros = Number(env['WATCHDOG_USEC'] ?? '');
  const pid = env['WATCHDOG_PID'];
  if (!Number.isFinite(micros) || micros <= 0) return undefined;
  if (pid !== undefined && pid !== String(process.pid)) return undefined;
  return Math.max(1000, micros / 2000);
}

/** Sends one message after the other. */
class SystemdNotifier implements Notifier {
  readonly #log: Log;
  readonly #clock: Clock;
  readonly #env: NodeJS.ProcessEnv;
  /** Waiting messages, each of one assignment or more. */
  readonly #waiting: (readonly string[])[] = [];
  #sending: Promise<void> | undefined;
  #cancelWatchdog: (() => void) | undefined;
  #closed = false;
  #complained = false;

  constructor({ log, clock, env = process.env }: NotifierOptions) {
    this.#log = log;
    this.#clock = clock;
    this.#env = env;
  }

  ready(status?: string): void {
    const interval = watchdogInterval(this.#env);
    this.#send(
      'READY=1',
      ...(status === undefined ? [] : [`STATUS=${shownLine(status)}`]),
      // After an upgrade the last message of the old process may be almost as old as systemd's timeout.
      ...(interval === undefined ? [] : [WATCHDOG]),
    );
    if (interval !== undefined && this.#cancelWatchdog === undefined) this.#feedWatchdog(interval);
  }

  status(text: string): void {
    // Replaces a status that is still waiting.
    const last = this.#waiting.at(-1);
    if (last?.length === 1 && last[0]?.startsWith('STATUS=')) this.#waiting.pop();
    this.#send(`STATUS=${shownLine(text)}`);
  }

  reloading(): void {
    this.#send('RELOADING=1');
  }

  mainProcess(pid: number): Promise<void> {
    // The new process feeds the watchdog.
    this.#cancelWatchdog?.();
    this.#send(`MAINPID=${pid}`, 'READY=1');
    return this.#sent();
  }

  stopping(): void {
    this.#send('STOPPING=1');
  }

  close(): Promise<void> {
    this.#closed = true;
    this.#cancelWatchdog?.();
    return this.#sent();
  }

  #feedWatchdog(ms: number): void {
    this.#cancelWatchdog = this.#clock.after(ms, () => {
      // It has a deadline, so it goes before everything that waits.
      if (this.#waiting[0]?.[0] !== WATCHDOG) this.#waiting.unshift([WATCHDOG]);
      this.#sending ??= this.#sendAll();
      this.#feedWatchdog(ms);
    });
  }

  #send(...assignments: readonly string[]): void {
    if (this.#closed || this.#waiting.length >= MAX_WAITING) return;
    this.#waiting.push(assignments);
    this.#sending ??= this.#sendAll();
  }

  #sent(): Promise<void> {
    return this.#sending ?? Promise.resolve();
  }

  async #sendAll(): Promise<void> {
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
      // One after the other: systemd applies them in the order of arrival.
      // oxlint-disable-next-line no-await-in-loop
      await this.#deliver(next);
    }
    this.#sending = undefined;
  }

  #deliver(assignments: readonly string[]): Promise<void> {
    const options = { env: this.#env, timeout: SEND_TIMEOUT_MS };
    return new Promise((resolve) => {
      execFile(PROGRAM, [...assignments], options, (error) => {
        if (error !== null && !this.#complained) {
          this.#complained = true;
          this.#log.warn(
            'the state of the service could not be reported to systemd',
            errorFields(error),
          );
        }
        resolve();
      });
    });
  }
}

/**
 * Connects to systemd as the environment says. With a watchdog (`WatchdogSec=`), each `ready` sends `WATCHDOG=1`,
 * and from the first one on a timer of the event loop does: when the loop hangs, systemd restarts the service.
 */
export function createNotifier(options: NotifierOptions): Notifier {
  const { env = process.env } = options;
  if (env['NOTIFY_SOCKET'] === undefined || env['NOTIFY_SOCKET'] === '') return silentNotifier;
  return new SystemdNotifier(options);
}
