/** A tor process that this program owns, and its handover to another process. */
import type { Readable } from 'node:stream';
import { Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { isRecord } from '../../kit/json-record.js';
import { HandoverError, type Movable, type Parcels } from '../../kit/movable.js';
import { controlClientOver, type ControlClient } from '../control/client.js';
import { listenTo, outputTail } from './tor-output.js';

/** How long a tor may take to end by itself before it is killed. */
export const STOP_GRACE_MS = 2_000;

export interface TorExit {
  readonly code: number | null;
  readonly signal: string | null;
  /** The last warnings of tor, for an error text; may be empty. */
  readonly lastWarnings: string;
}

export interface RunningTor {
  readonly pid: number;
  /** The owning control connection. Closing it ends tor. */
  readonly control: ControlClient;
  readonly exited: Promise<TorExit>;
  /** Only while nothing waits for its bootstrap. */
  readonly move: Movable;
  /** Asks tor to end, kills it after 2 s; resolves when it has ended. */
  stop(): Promise<void>;
  /** Kills it, as a crash would. */
  kill(): Promise<void>;
}

/** Keys of the parcels with the owning connection and tor's output. */
const TOR = 'tor-program';
const TOR_OUTPUT = 'tor-output';
/** Most tries, and their interval in milliseconds, to find the control connection idle. */
const HOLD_TRIES = 50;
const HOLD_RETRY_MS = 20;

/** Hands over a tor, with its owning connection and output. */
export function movable(pid: number, control: ControlClient, stdout: Readable | null): Movable {
  return {
    async hold() {
      for (let tries = 0; ; tries++) {
        const stream = control.hold();
        if (stream !== undefined) {
          // While tor's output is not read, it waits in its pipe.
          const output = stdout === null ? [] : [{ key: TOR_OUTPUT, value: null, stream: stdout }];
          return [{ key: TOR, value: { pid }, stream }, ...output];
        }
        if (tries >= HOLD_TRIES || control.closed) {
          throw new HandoverError(
            'our tor is still starting; try again when the onion is reachable',
          );
        }
        // oxlint-disable-next-line no-await-in-loop -- each try needs the one before
        await delay(HOLD_RETRY_MS);
      }
    },
    release: () => control.release(),
  };
}

/** Interval at which a tor that is not our child is checked, in milliseconds. */
const CHECK_MS = 20;

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/**
 * A tor that another process started and owned. It is not our child, so its end shows by the end of its
 * control connection. Held until `move.release`. Throws a HandoverError.
 */
export function adoptTor(parcels: Parcels, onOutput?: (line: string) => void): RunningTor {
  const { value, stream } = parcels.get(TOR) ?? {};
  const pid = isRecord(value) ? value['pid'] : undefined;
  if (
    !(stream instanceof Socket) ||
    typeof pid !== 'number' ||
    !Number.isSafeInteger(pid) ||
    pid < 2
  ) {
    throw new HandoverError('no tor was handed over');
  }
  const output = outputTail((line) => onOutput?.(line));
  const printed = parcels.get(TOR_OUTPUT)?.stream;
  const stdout = printed instanceof Socket ? printed : null;
  stdout?.on('error', () => {});
  const control = controlClientOver(stream, `tor (process ${pid})`, true);

  const gone = async (): Promise<TorExit> => {
    await control.lost;
    const deadline = Date.now() + STOP_GRACE_MS;
    // oxlint-disable-next-line no-await-in-loop -- there is no event for the end of a process that is not our child
    while (isAlive(pid) && Date.now() < deadline) await delay(CHECK_MS);
    return { code: null, signal: null, lastWarnings: output.lastWarnings() };
  };
  const exited = gone();
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    // Once the connection has ended, the process id may belong to another process.
    if (!control.closed && isAlive(pid)) process.kill(pid, signal);
    const deadline = Date.now() + STOP_GRACE_MS;
    // oxlint-disable-next-line no-await-in-loop -- as above
    while (isAlive(pid) && Date.now() < deadline) await delay(CHECK_MS);
    if (!control.closed && isAlive(pid)) process.kill(pid, 'SIGKILL');
    control.close();
    await exited;
  };
  const move = movable(pid, control, stdout);
  return {
    pid,
    control,
    exited,
    move: {
      hold: () => move.hold(),
      release() {
        if (stdout?.listenerCount('data') === 0) listenTo(stdout, output);
        stdout?.resume();
        move.release();
      },
    },
    stop: () => end('SIGTERM'),
    kill: () => end('SIGKILL'),
  };
}
