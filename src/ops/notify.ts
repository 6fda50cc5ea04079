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
/** systemd-notify waits until systemd has read the message, which is quick. */
const SEND_TIMEOUT_MS = 5000;
/** Most messages in the queue; more come only when systemd hangs. */
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

/**
 * Connects to systemd as the environment says. With a watchdog (`WatchdogSec=`), a timer of the event
 * loop sends `WATCHDOG=1` from the first `ready` on: when the loop hangs, systemd restarts the service.
 */
export function createNotifier({ log, clock, env = process.env }: NotifierOptions): Notifier {
  if (env['NOTIFY_SOCKET'] === undefined || env['NOTIFY_SOCKET'] === '') return silentNotifier;
  const interval = watchdogInterval(env);
  let queue: Promise<void> = Promise.resolve();
  let waiting = 0;
  let cancelWatchdog: (() => void) | undefined;
  let closed = false;
  let complained = false;

  const deliver = (assignments: readonly string[]): Promise<void> =>
    new Promise((resolve) => {
      const options = { env, timeout: SEND_TIMEOUT_MS };
      execFile(PROGRAM, [...assignments], options, (error) => {
        if (error !== null && !complained) {
          complained = true;
          log.warn('systemd cannot be told how the service is', errorFields(error));
        }
        resolve();
      });
    });

  const send = (...assignments: readonly string[]): void => {
    if (closed || waiting >= MAX_WAITING) return;
    waiting += 1;
    queue = queue
      .then(() => deliver(assignments))
      .finally(() => {
        waiting -= 1;
      });
  };

  const feedWatchdog = (ms: number): void => {
    cancelWatchdog = clock.after(ms, () => {
      send('WATCHDOG=1');
      feedWatchdog(ms);
    });
  };

  return {
    ready(status) {
      send('READY=1', ...(status === undefined ? [] : [`STATUS=${shownLine(status)}`]));
      if (interval !== undefined && cancelWatchdog === undefined) feedWatchdog(interval);
    },
    status: (text) => send(`STATUS=${shownLine(text)}`),
    reloading: () => send('RELOADING=1'),
    mainProcess(pid) {
      // The new process sends the watchdog messages.
      cancelWatchdog?.();
      send(`MAINPID=${pid}`, 'READY=1');
      return queue;
    },
    stopping: () => send('STOPPING=1'),
    close() {
      closed = true;
      cancelWatchdog?.();
      return queue;
    },
  };
}
