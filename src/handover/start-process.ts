/** Starts the new process of an upgrade, with the open connections of this one. */
import { spawn, type ChildProcess } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import type { Socket } from 'node:net';
import { errorText } from '../kit/error-text.js';
import { HandoverError } from '../kit/movable.js';
import { handleOf } from '../platform/native-socket.js';
import { FIRST_CARRIED, HANDOVER_FORMAT, HANDOVER_VARIABLE } from './message.js';

/** How the new process is started; by default like this one, so that a new build is used. */
export interface ProgramImage {
  readonly program: string;
  readonly args: readonly string[];
}

/** A connection that a new process gets at its start. */
export interface CarriedConnection {
  /** The key of its parcel. */
  readonly key: string;
  readonly stream: Socket;
}

/** A process, and the keys of the connections that it got, in the order of their descriptors. */
export interface StartedProcess {
  readonly child: ChildProcess;
  readonly carried: readonly string[];
}

/** Like this process: same program, options and arguments. A symbolic link is resolved again. */
export function ownImage(): ProgramImage {
  return { program: process.execPath, args: [...process.execArgv, ...process.argv.slice(1)] };
}

/**
 * The environment of the new process without the id of systemd's main process, so that the watchdog
 * applies to it.
 */
function successorEnvironment(): NodeJS.ProcessEnv {
  const { WATCHDOG_PID: _, ...env } = process.env;
  return { ...env, [HANDOVER_VARIABLE]: String(HANDOVER_FORMAT) };
}

/**
 * By descriptor, so that each one is copied to the same number or a lower one. libuv copies others
 * twice, which needs as many free descriptors again; only those below `FIRST_CARRIED` are such ones.
 */
function inOrder(carried: readonly CarriedConnection[]): readonly { key: string; fd: number }[] {
  const open = carried.flatMap(({ key, stream }) => {
    const fd = handleOf(stream)?.fd ?? -1;
    return fd < 0 ? [] : [{ key, fd }];
  });
  const sorted = open.toSorted((a, b) => a.fd - b.fd);
  const low = sorted.filter(({ fd }) => fd < FIRST_CARRIED).length;
  return [...sorted.slice(low), ...sorted.slice(0, low)];
}

/**
 * Throws a HandoverError when the program cannot be executed. This is checked before the start, because
 * libuv reports such an error on a descriptor that may have been replaced by a connection by then.
 */
function checkProgram({ program }: ProgramImage): void {
  try {
    accessSync(program, constants.X_OK);
  } catch (error) {
    throw new HandoverError(`the new program cannot be started: ${errorText(error)}`);
  }
}

/**
 * Starts the process with these connections as its descriptors from `FIRST_CARRIED` on; closed ones are
 * left out. Both processes have them then. The process reports a failed start by the event `error`.
 * Throws a HandoverError when the program cannot be executed.
 */
export function startProcess(
  image: ProgramImage,
  connections: readonly CarriedConnection[],
): StartedProcess {
  const carried = inOrder(connections);
  if (carried.length > 0) checkProgram(image);
  const descriptors = carried.map(({ fd }) => fd);
  const child = spawn(image.program, image.args, {
    stdio: ['inherit', 'inherit', 'inherit', 'ipc', ...descriptors],
    env: successorEnvironment(),
  });
  return { child, carried: carried.map(({ key }) => key) };
}
