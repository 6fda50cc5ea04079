/**
 * A unix socket between a directory and the operator's Tor, instead of TCP: a write to it costs half. The
 * folder is open to Tor's group only. Where Tor cannot use one, the directory listens on TCP as before.
 */
import { chmod, chown, mkdir, readFile, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { errorCode, errorText } from '../kit/error-text.js';
import type { Log } from '../channel/log.js';
import { MAX_SOCKET_PATH_BYTES } from '../kit/socket-path.js';
import type { ControlClient } from '../tor/control/client.js';
import { infoValue, parseProtocolInfo } from '../tor/control/values.js';
import { isThisMachine } from '../tor/onion/target.js';
import { TorError } from '../tor/tor-error.js';
import type { UnixSocket } from './listen.js';
import { OverlayError } from './overlay-error.js';

const NAME = 'onion.sock';
/** Others may pass neither the folder nor the socket. */
const FOLDER_MODE = 0o710;
const PRIVATE_FOLDER_MODE = 0o700;
/** The listener is bound under a name that is one byte longer. */
const MAX_PATH_BYTES = MAX_SOCKET_PATH_BYTES - 1;
const APPARMOR_ON = '/sys/module/apparmor/parameters/enabled';
/** Debian's profile of its tor.service, and the operator's additions. */
const TOR_PROFILES = ['/etc/apparmor.d/system_tor', '/etc/apparmor.d/local/system_tor'];

/** Where the socket may be. */
export interface SocketPlace {
  /** `unix:/path` of `onion_serving_socket`; undefined: the program chooses. */
  readonly path: string | undefined;
  /** A folder that the system made for this run (`RuntimeDirectory=` of systemd). */
  readonly runtimeFolder: string | undefined;
  /** A folder of this program, which only its own user can reach. */
  readonly ownFolder: string;
  /** The unix socket of Tor's control port. */
  readonly controlSocket: string | undefined;
}

/** The reason why there is no socket. */
class Unusable extends Error {}

/** A path that ADD_ONION can express and the system can bind. */
function checkedPath(path: string): string {
  if (!/^\/[^\s"\\]*$/.test(path)) throw new Unusable(`${path} has a blank or a quote`);
  if (Buffer.byteLength(path) > MAX_PATH_BYTES) throw new Unusable(`${path} is too long`);
  return path;
}

/** The user of the Tor process; undefined when it does not say. */
async function userOf(client: ControlClient): Promise<number | undefined> {
  try {
    const uid = infoValue(await client.command('GETINFO process/uid'), 'process/uid') ?? '';
    return /^\d+$/.test(uid) ? Number(uid) : undefined;
  } catch (error) {
    // A filter may refuse it.
    if (error instanceof TorError && error.reply !== undefined) return undefined;
    throw error;
  }
}

/** The group that may use Tor's control socket, or read its cookie. */
async function groupOf(
  client: ControlClient,
  controlSocket: string | undefined,
): Promise<number | undefined> {
  if (controlSocket !== undefined) return (await stat(controlSocket)).gid;
  const info = parseProtocolInfo(await client.command('PROTOCOLINFO 1'));
  const cookie = info.ok ? info.value.cookieFile : undefined;
  return cookie && (await stat(Buffer.from(cookie))).gid;
}

/** Empty when it cannot be read. */
async function textOf(path: string): Promise<string> {
  return readFile(path, 'utf8').catch(() => '');
}

/** Throws when a profile confines Debian's Tor and does not mention the folder. */
async function checkConfinement(folder: string): Promise<void> {
  if ((await textOf(APPARMOR_ON)).trim() !== 'Y') return;
  const profiles = await Promise.all(TOR_PROFILES.map(textOf));
  if (profiles[0] === '' || profiles.some((text) => text.includes(folder))) return;
  throw new Unusable(
    `AppArmor keeps Tor from ${folder}: add "${folder}/* rw," to ${TOR_PROFILES[1] ?? ''}`,
  );
}

/** Opens the folder to Tor's group. */
async function openToGroup(folder: string, gid: number): Promise<void> {
  const { uid, gid: before } = await stat(folder);
  if (before !== gid) await chown(folder, uid, gid);
  await chmod(folder, FOLDER_MODE);
}

/** A socket in a folder of the operator, open to the group of the folder. Rejects when there is none. */
export async function groupSocket(path: string, circuits = false): Promise<UnixSocket> {
  const { gid } = await stat(dirname(path)).catch((error: unknown) => {
    throw new OverlayError(
      'listen-failed',
      `cannot listen on unix:${path}: ${errorCode(error) ?? 'unknown'}; make the folder (onion_serving_socket in joinmarket.cfg)`,
      error,
    );
  });
  return { path, circuits, group: gid };
}

async function prepared(client: ControlClient, place: SocketPlace): Promise<UnixSocket> {
  const { ends } = client;
  if (ends !== undefined && !isThisMachine(ends)) throw new Unusable('Tor is on another machine');
  const uid = await userOf(client);
  const isOurs = uid === process.geteuid?.() || uid === 0;
  const { path, runtimeFolder } = place;
  if (path !== undefined) return groupSocket(checkedPath(path));
  if (isOurs) {
    const folder = place.ownFolder;
    const own = checkedPath(join(folder, NAME));
    await mkdir(folder, { recursive: true, mode: PRIVATE_FOLDER_MODE });
    await chmod(folder, PRIVATE_FOLDER_MODE);
    return { path: own, circuits: false, group: undefined };
  }
  if (runtimeFolder === undefined) {
    throw new Unusable('there is no folder that Tor can reach (RuntimeDirectory= of systemd)');
  }
  const shared = checkedPath(join(runtimeFolder, NAME));
  const group = await groupOf(client, place.controlSocket);
  if (group === undefined) throw new Unusable("Tor's group is not known");
  await checkConfinement(runtimeFolder);
  await openToGroup(runtimeFolder, group);
  return { path: shared, circuits: false, group };
}

/** The one notice that there is no unix socket. */
export function noteTcp(log: Log, error: unknown): void {
  log.info('Tor forwards over TCP, not over a unix socket', { reason: errorText(error) });
}

/**
 * The socket to which this Tor can forward, with its folder prepared; undefined where it cannot, which is
 * logged. Rejects with the error of the control connection.
 */
export async function socketForTor(
  client: ControlClient,
  place: SocketPlace,
  log: Log,
): Promise<UnixSocket | undefined> {
  try {
    return await prepared(client, place);
  } catch (error) {
    if (error instanceof TorError) throw error;
    noteTcp(log, error);
    return undefined;
  }
}
