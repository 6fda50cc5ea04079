/**
 * A service out of a HiddenServiceDir, set up over the control port: the only kind for which Tor says
 * over which circuit a stream came (ADD_ONION cannot ask for it). It belongs to the Tor process, not
 * to the control connection, so this is for a Tor of our own. A reload (SIGHUP) takes away what is not
 * in the torrc, so the service is written there, too.
 */
import type { Log } from '../../channel/log.js';
import { portArgument, type OnionTarget, type PowQueue } from './add-onion.js';
import type { ControlClient } from '../control/client.js';
import { quote } from '../control/values.js';
import { readOnionKey } from './key-folder.js';
import { TorError } from '../tor-error.js';
import { torrcString } from '../process/tor-program.js';

/** A key folder to be served out of, by a Tor whose torrc is ours. */
export interface ServedFolder {
  /** The key folder; Tor reads the key from it. */
  readonly dir: string;
  /** Puts these lines into the torrc, in place of those of the call before. */
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

/** Names and values of torrc; the folder must be the first. */
type Settings = readonly (readonly [name: string, value: string])[];

function settings(request: HiddenServiceRequest, pow: PowQueue | undefined): Settings {
  // `5222,unix:/path` there, `5222 unix:/path` here.
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

/** Tor makes a new key, and so another address, in a folder that has none. */
async function checkKey({ folder, host }: HiddenServiceRequest): Promise<void> {
  if ((await readOnionKey(folder.dir))?.host === host) return;
  throw new TorError(
    'key-folder',
    'mismatch',
    `${folder.dir} does not hold the key of ${host}. Fix: put the folder back where it was`,
    { remedy: 'configuration' },
  );
}

/** A full disk must not keep the service away: it then lives until the next reload. */
async function keep({ keepInTorrc }: ServedFolder, service: Settings, log: Log): Promise<void> {
  try {
    await keepInTorrc(torrcOf(service));
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    log.warn('the torrc of our Tor could not be changed: a reload loses the onion', { why });
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

/** Takes the service away, if there is one; out of the torrc first, so that no reload brings it back. */
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
 * Sets the service up, from the beginning where there was one; without proof-of-work defences where
 * Tor refuses them. Resolves to whether it has them. Rejects with a TorError (`add-onion`,
 * `rejected`; `key-folder`, where the folder does not hold the key), or of the control
 * connection.
 */
export async function addHiddenService(
  client: ControlClient,
  request: HiddenServiceRequest,
  log: Log,
): Promise<{ readonly on: true } | { readonly on: false; readonly why: string }> {
  await checkKey(request);
  // So that its descriptors are uploaded anew, which is how we know that it can be reached.
  await removeHiddenService(client, request.folder, log);
  try {
    await set(client, request, settings(request, request.pow), log);
    return request.pow === undefined ? { on: false, why: 'not asked for' } : { on: true };
  } catch (error) {
    if (!(error instanceof TorError) || error.reply === undefined) throw error;
    // A torrc that Tor refuses would end it at the next reload.
    await keep(request.folder, [], log);
    if (request.pow === undefined) throw refusal(error);
    log.debug('Tor refused the onion service with proof of work', { reply: error.reply.text });
  }
  try {
    await set(client, request, settings(request, undefined), log);
    return { on: false, why: 'this Tor refuses them' };
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
