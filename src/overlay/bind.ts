/** Binds a listener to its address or its unix socket, and explains why it cannot. */
import { chmod, chown, lstat, rename, unlink } from 'node:fs/promises';
import type { Server } from 'node:net';
import { errorCode } from '../kit/error-text.js';
import { hostAndPort } from '../kit/host-name.js';
import { OverlayError } from './overlay-error.js';

/** Backlog of the listener: after a restart all peers reconnect at the same time. */
export const BACKLOG = 1024;

/** The listening address, as in `joinmarket.cfg`: `onion_serving_host`, `onion_serving_port`. */
export interface ListenAddress {
  /** An IP address or `localhost` (taken as 127.0.0.1, never resolved). */
  readonly host: string;
  /** 0 takes any free port. */
  readonly port: number;
}

/** A unix socket, instead of an address. */
export interface UnixSocket {
  readonly path: string;
  /** Every connection begins with a PROXY line and carries its circuit: only Tor can reach the socket. */
  readonly circuits: boolean;
  /** The group whose members may connect too; undefined: only this user. */
  readonly group: number | undefined;
}

/** The keys of the listener to which Tor forwards. */
const SERVING_KEYS = 'onion_serving_host and onion_serving_port';

/**
 * The error for a listener that could not be opened. It names the configuration keys of the address.
 */
function listenFault({ host, port }: ListenAddress, names: string, error: unknown): OverlayError {
  const at = hostAndPort(host, port);
  const keys = `${names} in joinmarket.cfg`;
  const code = errorCode(error) ?? 'unknown';
  switch (code) {
    case 'EADDRINUSE':
      return new OverlayError(
        'listen-failed',
        `cannot listen on ${at}: another program uses it; stop it, or choose another port (${keys})`,
        error,
      );
    case 'EACCES':
      return new OverlayError(
        'listen-failed',
        `cannot listen on ${at}: not allowed for this user; choose a port above 1023 (${keys})`,
        error,
      );
    case 'EADDRNOTAVAIL':
      return new OverlayError(
        'listen-failed',
        `cannot listen on ${at}: no interface of this machine has that address (${keys})`,
        error,
      );
    default:
      return new OverlayError('listen-failed', `cannot listen on ${at}: ${code} (${keys})`, error);
  }
}

function socketFault(path: string, error: unknown): OverlayError {
  const code = errorCode(error) ?? 'unknown';
  const fix =
    code === 'EACCES'
      ? '; this user needs a folder that it may write to (onion_serving_socket)'
      : '';
  return new OverlayError('listen-failed', `cannot listen on unix:${path}: ${code}${fix}`, error);
}

function groupFault({ path, group }: UnixSocket, error: unknown): OverlayError {
  const code = errorCode(error) ?? 'unknown';
  return new OverlayError(
    'listen-failed',
    `cannot open unix:${path} to group ${group ?? 'unknown'}: ${code}; run as a member of that group (Group= in the unit), or put the setgid bit on the folder (chmod g+s)`,
    error,
  );
}

const OWN_SOCKET_MODE = 0o600;
const GROUP_SOCKET_MODE = 0o660;
/**
 * A unix socket is bound under another name and then renamed: libuv removes the bound name when the
 * listener closes, and by then another process may listen there.
 */
const BOUND_SUFFIX = '~';

/** What a process that was killed left under this name; undefined when there is nothing. */
async function kindOf(path: string): Promise<'socket' | 'other' | undefined> {
  try {
    return (await lstat(path)).isSocket() ? 'socket' : 'other';
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw socketFault(path, error);
  }
}

/** Removes what a process left that was killed before the rename, and refuses to replace another file. */
async function makeRoom(path: string, bound: string): Promise<void> {
  if ((await kindOf(path)) === 'other') {
    throw new OverlayError(
      'listen-failed',
      `cannot listen on unix:${path}: there is a file that is not a socket; choose another path (onion_serving_socket)`,
    );
  }
  if ((await kindOf(bound)) === 'socket') await unlink(bound);
}

/** Opens the bound socket to its group and gives it its name. */
async function publish(bound: string, socket: UnixSocket): Promise<void> {
  const { path, group } = socket;
  // A process of that group, and a folder with the setgid bit, made it so; the sandbox of our units forbids chown.
  if (group !== undefined && (await lstat(bound)).gid !== group) {
    await chown(bound, process.geteuid?.() ?? -1, group).catch((error: unknown) => {
      throw groupFault(socket, error);
    });
  }
  try {
    await chmod(bound, group === undefined ? OWN_SOCKET_MODE : GROUP_SOCKET_MODE);
    await rename(bound, path);
  } catch (error) {
    throw socketFault(path, error);
  }
}

/**
 * Resolves when it listens. Rejects with an OverlayError `listen-failed`, or the signal's reason; nothing is open
 * then.
 */
export async function opened(
  server: Server,
  address: ListenAddress,
  socket: UnixSocket | undefined,
  { signal, keys = SERVING_KEYS }: { readonly signal: AbortSignal; readonly keys?: string },
): Promise<void> {
  signal.throwIfAborted();
  const bound = socket && `${socket.path}${BOUND_SUFFIX}`;
  if (socket !== undefined && bound !== undefined) await makeRoom(socket.path, bound);
  const where = bound === undefined ? { host: address.host, port: address.port } : { path: bound };
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ ...where, backlog: BACKLOG }, () => {
      server.off('error', reject);
      resolve();
    });
  }).catch((error: unknown) => {
    throw bound === undefined ? listenFault(address, keys, error) : socketFault(bound, error);
  });
  if (socket === undefined || bound === undefined) return;
  try {
    await publish(bound, socket);
  } catch (error) {
    // This also removes the bound name.
    server.close();
    throw error;
  }
}
