/** The Tor that a running program of ours has started: whether it answers, and where. */
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

/** A Tor is there, whether or not it lets us in. */
export function answered(tried: ControlClient | TorError): boolean {
  return !(tried instanceof TorError) || tried.step === 'authenticate';
}

/** Whether that Tor works in our folder: in the system's temporary one lie sockets of others too. */
async function worksIn(control: ControlClient | TorError, folder: string): Promise<boolean> {
  if (control instanceof TorError) return false;
  const value = infoValue(await control.command('GETCONF DataDirectory'), 'DataDirectory') ?? '';
  const quoted = parseQuoted(value);
  return (quoted.ok ? Buffer.from(quoted.value.value).toString('utf8') : value) === folder;
}

export interface FoundTor {
  /** Where its control socket is, for a person. */
  readonly at: string;
  /** The caller's to close, if it is one. */
  readonly tried: ControlClient | TorError;
  readonly socks: SocksEndpoint;
}

/** Undefined while none of ours answers. */
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
