/** How this program identifies itself to a node: a cookie file, or a user name and a password. */
import { open } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { BITCOIN_NETWORKS } from '../../bitcoin/network.js';
import { errorCodeOrText } from '../../kit/error-text.js';
import type { Network } from '../../protocol/constants.js';

/** The cookie has 75 bytes; a file that is much longer is another one. */
const MAX_COOKIE_BYTES = 1_000;

/** Data folders of nodes as they are usually installed, without that of the network. */
const USUAL_FOLDERS = [
  '/var/lib/bitcoind',
  '/var/lib/bitcoin',
  '/home/bitcoin/.bitcoin',
  '/mnt/hdd/bitcoin',
  '/data/bitcoin',
] as const;

export interface CredentialSettings {
  readonly network: Network;
  /** `rpc_user` and `rpc_password`. */
  readonly user: string;
  readonly password: string;
  /** `rpc_cookie_file`; undefined when it is not set. */
  readonly cookieFile?: string | undefined;
  /** Whether the node is on this machine, so that its cookie may be found. */
  readonly local: boolean;
  /** The folders in which a cookie is looked for; for tests. */
  readonly folders?: readonly string[];
}

/** What the original writes into a new configuration file. They stand for "not configured". */
const isDefault = ({ user, password }: CredentialSettings): boolean =>
  (user === 'bitcoin' && password === 'password') || (user === '' && password === '');

function usualFolders(): readonly string[] {
  const home = homedir();
  return [
    join(home, '.bitcoin'),
    join(home, 'Library', 'Application Support', 'Bitcoin'),
    ...USUAL_FOLDERS,
  ];
}

/** Where the cookie of a node of this network may be. */
export function cookiePlaces(
  network: Network,
  folders: readonly string[] = usualFolders(),
): readonly string[] {
  const { nodeFolder } = BITCOIN_NETWORKS[network];
  // Both testnets are `testnet` here.
  const names = network === 'testnet' ? ['testnet4', nodeFolder] : [nodeFolder];
  return folders.flatMap((folder) => names.map((name) => join(folder, name, '.cookie')));
}

type CookieRead =
  | { readonly kind: 'cookie'; readonly text: string }
  | { readonly kind: 'unread'; readonly why: string };

async function readStart(path: string): Promise<string> {
  const file = await open(path, 'r');
  try {
    const { bytesRead, buffer } = await file.read(Buffer.alloc(MAX_COOKIE_BYTES), 0);
    return buffer.subarray(0, bytesRead).toString('utf8');
  } finally {
    await file.close();
  }
}

async function readCookie(path: string): Promise<CookieRead> {
  try {
    const text = (await readStart(path)).trim();
    if (/^[^:\s]+:[^\s]+$/.test(text)) return { kind: 'cookie', text };
    return { kind: 'unread', why: 'it is not a cookie file' };
  } catch (error) {
    return { kind: 'unread', why: errorCodeOrText(error) };
  }
}

export interface CredentialChoice {
  /** Values of the header `Authorization`, the best one first. */
  readonly headers: readonly string[];
  /** For the message when the node refuses all of them: what was tried, and what could not be read. */
  readonly tried: string;
}

const basic = (text: string): string => `Basic ${Buffer.from(text, 'utf8').toString('base64')}`;

/**
 * Reads the cookie anew at each call: a node writes another one at each start, and leaves an old one
 * after a crash. A configured cookie file wins over a password, as in the original; the default password
 * of the original gives way to a cookie that is found.
 */
export async function readCredentials(settings: CredentialSettings): Promise<CredentialChoice> {
  const { network, user, password, cookieFile, local, folders } = settings;
  const byPassword = basic(`${user}:${password}`);
  if (cookieFile !== undefined) {
    const read = await readCookie(cookieFile);
    return read.kind === 'cookie'
      ? { headers: [basic(read.text)], tried: `the cookie in ${cookieFile}` }
      : { headers: [], tried: `cannot read rpc_cookie_file ${cookieFile} (${read.why})` };
  }
  if (!isDefault(settings)) return { headers: [byPassword], tried: 'rpc_user and rpc_password' };
  if (!local) return { headers: [byPassword], tried: 'the default rpc_user and rpc_password' };
  const places = cookiePlaces(network, folders);
  const reads = await Promise.all(places.map(readCookie));
  const headers = reads.flatMap((read) => (read.kind === 'cookie' ? [basic(read.text)] : []));
  const denied = places.filter((_, i) => {
    const read = reads[i];
    return read?.kind === 'unread' && read.why !== 'ENOENT' && read.why !== 'ENOTDIR';
  });
  const found = places.filter((_, i) => reads[i]?.kind === 'cookie');
  const seen = found.length > 0 ? `the cookie in ${found.join(' and ')}` : 'no cookie was found';
  const unread = denied.length > 0 ? `; cannot read ${denied.join(' and ')}` : '';
  return {
    headers: [...headers, byPassword],
    tried: `${seen}${unread}, and the default rpc_password`,
  };
}
