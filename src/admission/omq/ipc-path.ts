/**
 * The path of an `ipc://` socket. ZeroMQ binds over anything: it would take the path of a server that runs,
 * and replace an ordinary file by a socket. So the path is looked at before.
 */
import { createConnection } from 'node:net';
import { lstat, unlink } from 'node:fs/promises';
import { errorCode } from '../../kit/error-text.js';

/** The path cannot be bound. */
export class IpcPathError extends Error {
  override readonly name = 'IpcPathError';
  /** Wrong usage or configuration. */
  readonly exitCode = 2;
}

const ANSWER_MS = 2_000;

function isServed(path: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = createConnection({ path, timeout: ANSWER_MS });
    const finish = (served: boolean): void => {
      socket.destroy();
      resolve(served);
    };
    socket.once('connect', () => finish(true));
    // A server whose queue is full answers late; it lives.
    socket.once('timeout', () => finish(true));
    socket.once('error', (error) => {
      const code = errorCode(error);
      if (code === 'ECONNREFUSED' || code === 'ENOENT') finish(false);
      else reject(error);
    });
  });
}

/** Rejects with an IpcPathError when a server runs at the path, or the path is no socket. */
export async function checkIpcPath(path: string): Promise<void> {
  let found;
  try {
    found = await lstat(path);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return;
    throw error;
  }
  if (!found.isSocket()) {
    throw new IpcPathError(`${path} is there and is not a socket: name another path, or remove it`);
  }
  if (await isServed(path)) {
    throw new IpcPathError(`another program serves ${path}: stop it, or name another path`);
  }
}

/** Identifies the socket that was bound, so that only it is removed later. */
export async function boundSocket(path: string): Promise<{ remove(): Promise<void> }> {
  const { ino } = await lstat(path);
  return {
    async remove() {
      try {
        if ((await lstat(path)).ino === ino) await unlink(path);
      } catch (error) {
        if (errorCode(error) !== 'ENOENT') throw error;
      }
    },
  };
}
