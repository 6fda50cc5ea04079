/** The files of a managed Tor: its folder, and the lines of its torrc. */
import { chmod, mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { TorError } from '../tor-error.js';
import { CONTROL_SOCKET, SOCKS_SOCKET } from './socket-folder.js';
import { torrcString } from './tor-program.js';

/**
 * The environment variable that names a file with more torrc lines for the managed Tor, for options
 * without a setting: bridges, a proxy, a test network.
 */
export const TORRC_EXTRA_VARIABLE = 'ONIONMC_TORRC_EXTRA';

/** The lines of the file in `ONIONMC_TORRC_EXTRA`; none if it is not set. */
export async function extraLines(path: string | undefined): Promise<readonly string[]> {
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

/** Creates the data folder if it is missing, for this user only. */
export async function privateFolder(dataDir: string): Promise<void> {
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

/** The built-in lines; the sockets are in this folder. */
export function torrcLines(sockets: string): readonly string[] {
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
