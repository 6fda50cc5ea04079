/**
 * A service out of a HiddenServiceDir, set up over the control port. Only for this kind does Tor report
 * the circuit of a stream (ADD_ONION has no such option). It belongs to the Tor process, not to the
 * control connection, so it is used only with a Tor that the program started. A reload (SIGHUP) removes
 * services that are not in the torrc, so the service is written there too.
 */
import { errorText } from '../../kit/error-text.js';
import type { Log } from '../../channel/log.js';
import { portArgument, type OnionTarget, type PowQueue } from './add-onion.js';
import type { ControlClient } from '../control/client.js';
import { quote } from '../control/values.js';
import { readOnionKey } from './key-folder.js';
import { TorError } from '../tor-error.js';
import { torrcString } from '../process/tor-program.js';

/** A key folder, and access to the torrc of the Tor that serves it. */
export interface ServedFolder {
  /** The key folder; Tor reads the key from it. */
  readonly dir: string;
  /** Writes these lines to the torrc, replacing those of the previous call. */
  readonly keepInTorrc: (lines: readonly string[]) => Promise<void>;
}

export interface HiddenServiceRequest {
  readonly folder: ServedFolder;
  /** The onion whose key must be in the folder. */
  readonly host: string;
  readonly virtualPort: number;
  readonly target: OnionTarget;
  readonly pow: PowQueue | undefined;
}

/** Names and values of torrc; the folder must be first. */
type Settings = readonly (readonly [name: string, value: string])[];

function settings(request: HiddenServiceRequest, pow: PowQueue | undefined): Settings {
  // `5222,unix:/path` for ADD_ONION, `5222 unix:/path` in torrc.
  const port = portArgument(request.virtualPort, request.target)
    .slice('Port='.length)
    .replace(',', ' ');
  const service: Settings = [
    ['HiddenServiceDir', request.folder.dir],
    ['HiddenServicePort', port],
    ['HiddenServiceExportCircuitID', 'haproxy'],
  ];
  if (pow === undefined) return service;
  return [
    ...service,
    ['HiddenServicePoWDefensesEnabled', '1'],
    ['HiddenServicePoWQueueRate', String(pow.rate)],
    ['HiddenServicePoWQueueBurst', String(pow.burst)],
  ];
}

const isWord = (value: string): boolean => /^\w+$/.test(value);

const commandOf = (service: Settings): string =>
  [
    'SETCONF',
    ...service.map(([name, value]) => `${name}=${isWord(value) ? value : quote(value)}`),
  ].join(' ');

const torrcOf = (service: Settings): readonly string[] =>
  service.map(([name, value]) => `${name} ${isWord(value) ? value : torrcString(value)}`);

/** In an empty folder Tor would make a new key, and so another address. */
async function checkKey({ folder, host }: HiddenServiceRequest): Promise<void> {
  if ((await readOnionKey(folder.dir))?.host === host) return;
  throw new TorError(
    'key-folder',
    'mismatch',
    `${folder.dir} does not hold the key of ${host}. Fix: put the folder back where it was`,
    { remedy: 'configuration' },
  );
}

/** A full disk must not prevent the service: it then lives until the next reload. */
async function keep({ keepInTorrc }: ServedFolder, service: Settings, log: Log): Promise<void> {
  try {
    await keepInTorrc(torrcOf(service));
  } catch (error) {
    const reason = errorText(error);
    log.warn('the torrc of our Tor could not be changed: a reload loses the onion', { reason });
  }
}

/** In the torrc first, so that a reload at any time finds the service. */
async function set(
  client: ControlClient,
  { folder }: HiddenServiceRequest,
  service: Settings,
  log: Log,
): Promise<void> {
  await keep(folder, service, log);
  await client.command(commandOf(service));
}

/** Removes the service, if there is one; from the torrc first, so that no reload brings it back. */
export async function removeHiddenService(
  client: ControlClient,
  folder: ServedFolder,
  log: Log,
  options: { readonly timeoutMs?: number } = {},
): Promise<void> {
  await keep(folder, [], log);
  await client.command('RESETCONF HiddenServiceDir', options);
}

/**
 * Sets the service up again from the start; without proof-of-work defences if Tor refuses them.
 * Resolves to whether it has them. Rejects with a TorError (`add-onion`, `rejected`; `key-folder` when
 * the folder does not contain the key), or of the control connection.
 */
export async function addHiddenService(
  client: ControlClient,
  request: HiddenServiceRequest,
  log: Log,
): Promise<{ readonly on: true } | { readonly on: false; readonly reason: string }> {
  await checkKey(request);
  // So that Tor uploads its descriptors again, which shows when it is reachable.
  await removeHiddenService(client, request.folder, log);
  try {
    await set(client, request, settings(request, request.pow), log);
    return request.pow === undefined ? { on: false, reason: 'not asked for' } : { on: true };
  } catch (error) {
    if (!(error instanceof TorError) || error.reply === undefined) throw error;
    // A torrc that Tor refuses would end it at the next reload.
    await keep(request.folder, [], log);
    if (request.pow === undefined) throw refusal(error);
    log.debug('Tor refused the onion service with proof of work', { reply: error.reply.text });
  }
  try {
    await set(client, request, settings(request, undefined), log);
    return { on: false, reason: 'this Tor refuses them' };
  } catch (error) {
    await keep(request.folder, [], log);
    throw error instanceof TorError && error.reply !== undefined ? refusal(error) : error;
  }
}

function refusal(error: TorError): TorError {
  const { reply } = error;
  return new TorError(
    'add-onion',
    'rejected',
    `Tor refused the onion service: ${reply?.code ?? ''} ${reply?.text ?? ''}`,
    { remedy: 'configuration', cause: error, ...(reply === undefined ? {} : { reply }) },
  );
}
