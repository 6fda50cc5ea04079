/** Client authorisation of Tor: for an onion of our own, and for onions of others. */
import { onionAuthFolder } from '../../config/data-files.js';
import type { Settings } from '../../config/settings.js';
import {
  authorizeClient,
  authorizedClients,
  readCredentials,
  revokeClient,
  storeCredential,
} from '../../tor/onion/authorized-clients.js';
import { newClientKey, type OnionCredential } from '../../tor/onion/client-keys.js';
import { TorError } from '../../tor/tor-error.js';

/** The client by which the directory reaches itself: the self-test, and the canary. */
export const SELF_CLIENT = 'onionmc-self';

/** Rejects with a TorError while nobody but the directory itself has a key. */
export async function checkClients(hiddenServiceDir: string): Promise<void> {
  const clients = await authorizedClients(hiddenServiceDir);
  if (clients.some(({ name }) => name !== SELF_CLIENT)) return;
  throw new TorError(
    'add-onion',
    'rejected',
    `[ADMISSION] private = true, and no Tor client has a key in ${hiddenServiceDir}/authorized_clients: every Tor could connect. Fix: onionmc admission tor-client add NAME, or tor_clients = false to rely on codes alone`,
    { remedy: 'configuration' },
  );
}

/** The public keys of now. */
export async function clientKeys(hiddenServiceDir: string): Promise<readonly string[]> {
  return (await authorizedClients(hiddenServiceDir)).map(({ publicKey }) => publicKey);
}

/**
 * Makes sure that this program can reach its own onion: a key of its own, on both sides. Rejects with a
 * TorError.
 */
export async function authorizeSelf(
  hiddenServiceDir: string,
  datadir: string,
  host: string,
): Promise<void> {
  const folder = onionAuthFolder(datadir);
  const mine = (await readCredentials(folder)).some((credential) => credential.host === host);
  const theirs = (await authorizedClients(hiddenServiceDir)).some(
    ({ name }) => name === SELF_CLIENT,
  );
  if (mine && theirs) return;
  const { publicKey, privateKey } = newClientKey();
  await revokeClient(hiddenServiceDir, SELF_CLIENT);
  await authorizeClient(hiddenServiceDir, { name: SELF_CLIENT, publicKey });
  await storeCredential(folder, SELF_CLIENT, { host, privateKey });
}

/** The keys of this program for onions with client authorisation. */
export function ownCredentials({
  datadir,
}: Pick<Settings, 'datadir'>): Promise<readonly OnionCredential[]> {
  return readCredentials(onionAuthFolder(datadir));
}
