/**
 * Tells systemd how the service is (`Type=notify`). Node has no datagram unix sockets, so each message
 * goes through the program `systemd-notify`; as that is a child, the unit needs `NotifyAccess=all`.
 * Everything here is a no-op outside systemd (`NOTIFY_SOCKET` unset).
 */
import { execFile } from 'node:child_process';
import type { Log } from '../channel/log.js';
import type { Clock } from '../channel/ports.js';
import { shownLine } from '../kit/shown-text.js';
import { errorFields } from '../kit/error-text.js';

export interface Notifier {
  /** The service does its work: peers can be served. */
  ready(status?: string): void;
  /** One line for `systemctl status`. */
  status(text: string): void;
  /** A reload begins; call `ready` when it is done. */
  reloading(): void;
  /** Another process is the service from now on; resolves when systemd has read it. */
  mainProcess(pid: number): Promise<void>;
  /** The service is on its way down. */
  stopping(): void;
  /** Sends nothing more of its own accord; resolves when what was asked for has been sent. */
  close(): Promise<void>;
}

export interface NotifierOptions {
  readonly log: Log;
  readonly clock: Clock;
  /** Default `process.env`. */
  readonly env?: NodeJS.ProcessEnv;
}

const PROGRAM = 'systemd-notify';
/** systemd-notify waits until systemd has read the message; it never should take longer. */
const SEND_TIMEOUT_MS = 5000;
/** Messages waiting for their turn; more come only when systemd hangs. */
const MAX_WAITING = 16;

const silentNotifier: Notifier = {
  ready() {},
  status() {},
  reloading() {},
  stopping() {},
  mainProcess: () => Promise.resolve(),
  close: () => Promise.resolve(),
};

/** How often `WATCHDOG=1` is due: half of what systemd waits; undefined when it does not (sd_watchdog_enabled(3)). */
function watchdogInterval(env: NodeJS.ProcessEnv): number | undefined {
  const micros = Number(env['WATCHDOG_USEC'] ?? '');
  const pid = env['WATCHDOG_PID'];
  if (!Number.isFinite(micros) || micros <= 0) return undefined;
  if (pid !== undefined && pid !== String(process.pid)) return undefined;
  return Math.max(1000, micros / 2000);
}

/**
 * Connects to systemd as its environment says. While a watchdog is asked for (`WatchdogSec=`), it is
 * fed from the first `ready` on, by a timer of the event loop: when that hangs, systemd restarts us.
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
      // The new one feeds the watchdog.
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
