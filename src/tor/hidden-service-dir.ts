/**
 * A service out of a HiddenServiceDir, set up over the control port: the only kind for which Tor says
 * over which circuit a stream came (ADD_ONION cannot ask for it). It belongs to the Tor process, not
 * to the control connection, so this is for a Tor of our own.
 */
import type { Log } from '../channel/log.js';
import { portArgument, type OnionTarget, type PowQueue } from './add-onion.js';
import type { ControlClient } from './control-client.js';
import { quote } from './control-values.js';
import { TorError } from './tor-error.js';

export interface HiddenServiceRequest {
  /** The key folder; Tor reads the key from it. */
  readonly dir: string;
  readonly virtualPort: number;
  readonly target: OnionTarget;
  readonly pow: PowQueue | undefined;
}

function settings(request: HiddenServiceRequest, pow: PowQueue | undefined): string {
  // `5222,unix:/path` there, `5222 unix:/path` here.
  const port = portArgument(request.virtualPort, request.target)
    .slice('Port='.length)
    .replace(',', ' ');
  const words = [
    'SETCONF',
    `HiddenServiceDir=${quote(request.dir)}`,
    `HiddenServicePort=${quote(port)}`,
    'HiddenServiceExportCircuitID=haproxy',
  ];
  if (pow !== undefined) {
    words.push(
      'HiddenServicePoWDefensesEnabled=1',
      `HiddenServicePoWQueueRate=${pow.rate}`,
      `HiddenServicePoWQueueBurst=${pow.burst}`,
    );
  }
  return words.join(' ');
}

/** Takes the service away, if there is one. */
export async function removeHiddenService(
  client: ControlClient,
  options: { readonly timeoutMs?: number } = {},
): Promise<void> {
  await client.command('RESETCONF HiddenServiceDir', options);
}

/**
 * Sets the service up, from the beginning where there was one; without proof-of-work defences where
 * Tor refuses them. Resolves to whether it has them. Rejects with a TorError (`add-onion`,
 * `rejected`), or of the control connection.
 */
export async function addHiddenService(
  client: ControlClient,
  request: HiddenServiceRequest,
  log: Log,
): Promise<{ readonly on: true } | { readonly on: false; readonly why: string }> {
  // So that its descriptors are uploaded anew, which is how we know that it can be reached.
  await removeHiddenService(client);
  try {
    await client.command(settings(request, request.pow));
    return request.pow === undefined ? { on: false, why: 'not asked for' } : { on: true };
  } catch (error) {
    if (!(error instanceof TorError) || error.reply === undefined) throw error;
    if (request.pow === undefined) throw refusal(error);
    log.debug('Tor refused the onion service with proof of work', { reply: error.reply.text });
  }
  try {
    await client.command(settings(request, undefined));
    return { on: false, why: 'this Tor refuses them' };
  } catch (error) {
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
