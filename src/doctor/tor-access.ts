/** Access to the Tor of a program: the operator's, or the one that the program started. */
import { createConnection } from 'node:net';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Settings } from '../config/settings.js';
import type { ControlEndpoint } from '../tor/control/endpoint.js';
import { TEMPORARY_PREFIX, temporaryBase } from '../tor/process/socket-folder.js';
import { formatSocksEndpoint, type SocksEndpoint } from '../tor/socks/dialer.js';

/** The sockets of a Tor that a running program has started. */
export interface OwnTor {
  readonly control: ControlEndpoint & { readonly kind: 'unix' };
  readonly socks: SocksEndpoint;
  /** They are in its DataDirectory. Others may belong to another program's Tor. */
  readonly inside: boolean;
}

/** The place where `tor-process` creates them. */
const places = (folder: string): readonly (readonly [folder: string, prefix: string])[] => [
  [folder, 'run-'],
  [temporaryBase(), TEMPORARY_PREFIX],
];
const CONTROL = 'control.sock';
const SOCKS = 'socks.sock';
const PROBE_TIMEOUT_MS = 5_000;

/** Sockets that may belong to a Tor with this DataDirectory and owner, the newest first. */
export async function ownTors(dataDirectory: string, owner: number): Promise<readonly OwnTor[]> {
  const found: { readonly tor: OwnTor; readonly at: number }[] = [];
  for (const [folder, prefix] of places(dataDirectory)) {
    // oxlint-disable-next-line no-await-in-loop -- two folders
    const names = await readdir(folder).catch(() => []);
    for (const name of names.filter((entry) => entry.startsWith(prefix))) {
      const path = join(folder, name, CONTROL);
      // oxlint-disable-next-line no-await-in-loop -- as many as runs that crashed, few
      const stats = await stat(path).catch(() => undefined);
      if (stats?.isSocket() !== true || stats.uid !== owner) continue;
      const socks: SocksEndpoint = { kind: 'unix', path: join(folder, name, SOCKS) };
      const inside = folder === dataDirectory;
      found.push({ tor: { control: { kind: 'unix', path }, socks, inside }, at: stats.mtimeMs });
    }
  }
  return found.toSorted((a, b) => b.at - a.at).map(({ tor }) => tor);
}

/** The operator's Tor, as the configuration names it. */
export function configuredSocks({ onion }: Settings): SocksEndpoint {
  return { kind: 'tcp', ...onion.socks };
}

/** RFC 1928: version 5, one method: no authentication. */
const GREETING = Uint8Array.of(5, 1, 0);

/** Why the SOCKS port cannot be used; undefined when a SOCKS5 proxy answers there. */
export function socksFault(socks: SocksEndpoint, signal: AbortSignal): Promise<string | undefined> {
  const at = formatSocksEndpoint(socks);
  return new Promise((resolve) => {
    const socket = createConnection(
      socks.kind === 'unix' ? { path: socks.path } : { host: socks.host, port: socks.port },
    );
    const finish = (fault: string | undefined): void => {
      signal.removeEventListener('abort', abort);
      socket.destroy();
      resolve(fault);
    };
    const abort = (): void => finish('stopped');
    signal.addEventListener('abort', abort, { once: true });
    socket.setTimeout(PROBE_TIMEOUT_MS, () =>
      finish(`what listens at ${at} does not answer as a SOCKS proxy`),
    );
    socket.once('connect', () => socket.write(GREETING));
    socket.once('data', (answer: Uint8Array) =>
      finish(answer[0] === 5 ? undefined : `what listens at ${at} is not a SOCKS5 proxy`),
    );
    socket.once('end', () =>
      finish(`what listens at ${at} closes at once: it is not a SOCKS5 proxy`),
    );
    socket.on('error', (error) => {
      const code = 'code' in error ? String(error.code) : error.message;
      finish(
        code === 'ECONNREFUSED' || code === 'ENOENT'
          ? `nothing listens at Tor's SOCKS port ${at}`
          : `Tor's SOCKS port ${at} cannot be reached (${code})`,
      );
    });
  });
}
