/** `onionmc admission tor-client`: Tor's client authorisation for the onion of a private directory. */
import { join } from 'node:path';
import { onionAuthFolder } from '../../config/data-files.js';
import { loadSettings, type Settings } from '../../config/settings.js';
import { errorText } from '../../kit/error-text.js';
import { shownJson } from '../../kit/shown-text.js';
import { sendRequest } from '../../ops/request-socket.js';
import { SELF_CLIENT } from '../../overlay/factory/restricted.js';
import {
  authorizeClient,
  authorizedClients,
  MAX_CLIENTS,
  revokeClient,
  storeCredential,
} from '../../tor/onion/authorized-clients.js';
import { addCredential } from '../../tor/onion/client-credentials.js';
import {
  authorizedLine,
  credentialLine,
  newClientKey,
  parseCredential,
} from '../../tor/onion/client-keys.js';
import { connectControl } from '../../tor/control/client.js';
import { loadOrCreateOnionKey, readOnionHostname } from '../../tor/onion/key-folder.js';
import { textTable } from '../../kit/text-table.js';
import { UsageError } from '../errors.js';
import { print, printJson, printNote } from '../print.js';
import { firstLineOfInput } from './input.js';

interface ClientOptions {
  readonly datadir?: string;
  readonly json?: boolean;
}

/** The onion of the directory, and its folder. */
async function onionOf({ onion }: Settings): Promise<{ dir: string; host: string }> {
  const { hiddenServiceDir: dir, torMode, withoutTor } = onion;
  if (withoutTor || dir === undefined) throw new UsageError('this directory has no onion');
  const host =
    torMode === 'external'
      ? await readOnionHostname(dir)
      : (await loadOrCreateOnionKey(dir)).key.host;
  return { dir, host };
}

/** Tells a running directory; whether there was one that took it. */
async function applyNow(datadir: string): Promise<boolean> {
  try {
    const answer: unknown = JSON.parse(
      await sendRequest(datadir, shownJson({ ask: 'tor-clients' }), {
        waitMs: 10_000,
        maxChars: 1_000,
      }),
    );
    return (
      typeof answer === 'object' && answer !== null && 'done' in answer && answer.done === true
    );
  } catch {
    return false;
  }
}

/** How a change takes effect. */
async function effectOf({ onion, datadir }: Settings): Promise<string> {
  if (onion.torMode === 'external') return 'reload Tor to apply it: systemctl reload tor';
  return (await applyNow(datadir))
    ? 'the running directory serves its onion anew, which takes some seconds'
    : 'it applies from the next start of the directory';
}

/** Makes a key, authorises it, and prints the client's side once. */
export async function runClientAdd(name: string, options: ClientOptions): Promise<void> {
  const { settings } = await loadSettings({ role: 'directory', datadir: options.datadir });
  const { dir, host } = await onionOf(settings);
  if ((await authorizedClients(dir)).length >= MAX_CLIENTS) {
    throw new UsageError(`the onion has ${MAX_CLIENTS} clients already; revoke some first`);
  }
  const { publicKey, privateKey } = newClientKey();
  const path = join(dir, 'authorized_clients', `${name}.auth`);
  let written = true;
  try {
    await authorizeClient(dir, { name, publicKey });
  } catch (error) {
    // The folder of an operator's Tor may belong to Tor's own user.
    if (settings.onion.torMode !== 'external') throw error;
    written = false;
    printNote(`onionmc: ${errorText(error)}`);
    printNote(
      `onionmc: as the user of Tor, write ${path} (mode 0600) with this line: ${authorizedLine(publicKey).trim()}`,
    );
  }
  const effect = written ? await effectOf(settings) : 'then reload Tor: systemctl reload tor';
  const credential = credentialLine({ host, privateKey }).trim();
  if (options.json === true) {
    printJson({ name, onion: host, publicKey, credential, file: path, written, effect });
    return;
  }
  print(credential);
  printNote(
    `client ${name}: the line above is its key, shown only now; the client runs "onionmc admission tor-client use ${name}" and enters it`,
  );
  printNote(effect);
}

export async function runClientRevoke(name: string, options: ClientOptions): Promise<void> {
  const { settings } = await loadSettings({ role: 'directory', datadir: options.datadir });
  const { dir } = await onionOf(settings);
  if (!(await revokeClient(dir, name))) {
    throw new UsageError(`no client ${name} in ${join(dir, 'authorized_clients')}`);
  }
  const effect = await effectOf(settings);
  const open =
    'open connections of this client stay: restart the directory, or close them with "onionmc kick"';
  if (options.json === true) printJson({ revoked: name, effect, open });
  else {
    print(`revoked ${name}: ${effect}`);
    printNote(open);
  }
}

export async function runClientList(options: ClientOptions): Promise<void> {
  const { settings } = await loadSettings({ role: 'directory', datadir: options.datadir });
  const { dir, host } = await onionOf(settings);
  const clients = await authorizedClients(dir);
  if (options.json === true) printJson({ onion: host, clients });
  else if (clients.length === 0)
    printNote(`no client has a key for ${host}: every Tor can find it`);
  else {
    const rows = clients.map(({ name, publicKey }) => [
      name,
      publicKey,
      name === SELF_CLIENT ? 'the directory itself' : '',
    ]);
    print(textTable([{ heading: 'NAME' }, { heading: 'PUBLIC KEY' }, {}], rows).join('\n'));
  }
}

/** Adds the key to an operator's Tor now, so that programs that run can use it. */
async function addNow(
  settings: Settings,
  credential: NonNullable<ReturnType<typeof parseCredential>>,
) {
  const { control, controlPassword } = settings.onion;
  const client = await connectControl({
    endpoint: control,
    signal: AbortSignal.timeout(10_000),
    ...(controlPassword === undefined ? {} : { password: controlPassword }),
  });
  try {
    return await addCredential(client, credential);
  } finally {
    client.close();
  }
}

/** The client's side: stores the key that the operator gave, and hands it to Tor. */
export async function runClientUse(name: string, options: ClientOptions): Promise<void> {
  const text = await firstLineOfInput();
  const credential = parseCredential(text.trim());
  if (!credential) {
    throw new UsageError(
      'standard input must be the line that the operator gave: ONION:descriptor:x25519:KEY',
    );
  }
  const { settings } = await loadSettings({ role: 'wallet', datadir: options.datadir });
  const folder = onionAuthFolder(settings.datadir);
  const file = await storeCredential(folder, name, credential);
  const { torMode } = settings.onion;
  let effect = 'programs of this data directory use it from their next start';
  if (torMode === 'external') {
    effect = `put this file into the ClientOnionAuthDir of your torrc, or add "ClientOnionAuthDir ${folder}" there if Tor can read it, and reload Tor`;
  } else if (torMode !== 'managed') {
    try {
      await addNow(settings, credential);
      effect = 'it was added to Tor; programs add it again when they start';
    } catch (error) {
      printNote(`onionmc: it could not be added to a running Tor now (${errorText(error)})`);
    }
  }
  if (options.json === true) printJson({ name, onion: credential.host, file, effect });
  else print(`stored ${file}: ${effect}`);
}
