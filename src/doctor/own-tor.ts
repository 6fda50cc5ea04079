/** Finds the Tor that a running onionmc program has started: whether it answers, and where. */
import { ownTorFolder } from '../config/data-files.js';
import { connectControl, type ControlClient } from '../tor/control/client.js';
import { formatControlEndpoint, type ControlEndpoint } from '../tor/control/endpoint.js';
import { infoValue, parseQuoted } from '../tor/control/values.js';
import type { SocksEndpoint } from '../tor/socks/dialer.js';
import { TorError } from '../tor/tor-error.js';
import type { FactReader, Machine } from './check.js';
import { ownTors } from './tor-access.js';

export async function tryControl(
  endpoint: ControlEndpoint,
  password: string | undefined,
  signal: AbortSignal,
): Promise<ControlClient | TorError> {
  try {
    return await connectControl({
      endpoint,
      signal,
      ...(password === undefined ? {} : { password }),
    });
  } catch (error) {
    if (error instanceof TorError) return error;
    throw error;
  }
}

/** A Tor exists, whether or not it accepts us. */
export function answered(tried: ControlClient | TorError): boolean {
  return !(tried instanceof TorError) || tried.step === 'authenticate';
}

/** Whether that Tor works in our folder: the system's temporary folder also has sockets of others. */
async function worksIn(control: ControlClient | TorError, folder: string): Promise<boolean> {
  if (control instanceof TorError) return false;
  const value = infoValue(await control.command('GETCONF DataDirectory'), 'DataDirectory') ?? '';
  const quoted = parseQuoted(value);
  return (quoted.ok ? Buffer.from(quoted.value.value).toString('utf8') : value) === folder;
}

export interface FoundTor {
  /** The address of its control socket, for a person. */
  readonly at: string;
  /** Closed by the caller, if there is one. */
  readonly tried: ControlClient | TorError;
  readonly socks: SocksEndpoint;
}

/** Undefined while no such Tor answers. */
export async function findOwnTor(
  facts: FactReader,
  { role, signal }: Machine,
): Promise<FoundTor | undefined> {
  const owner = facts.peek('owner');
  if (owner === undefined) return undefined;
  const folder = ownTorFolder(facts.get('settings').datadir, role);
  for (const { control, socks, inside } of await ownTors(folder, owner)) {
    // oxlint-disable no-await-in-loop -- the first that answers is the one
    const tried = await tryControl(control, undefined, signal);
    if (!answered(tried)) continue;
    if (!inside && !(await worksIn(tried, folder))) {
      if (!(tried instanceof TorError)) tried.close();
      continue;
    }
    // oxlint-enable no-await-in-loop
    return { at: formatControlEndpoint(control), tried, socks };
  }
  return undefined;
}
