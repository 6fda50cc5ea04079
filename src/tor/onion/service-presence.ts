/** Asks a Tor whether it still has an onion service. */
import type { CommandOptions, ControlClient } from '../control/client.js';
import type { Reply } from '../control/reply.js';
import { infoValue, parseQuoted } from '../control/values.js';
import { isRefusal } from '../tor-error.js';

/**
 * `untold`: a filter in front of the control port refuses the command, or the answer has no meaning.
 */
export type Presence = 'there' | 'gone' | 'untold';

/** Before 0.4.3, Tor answered with an error when it had no onion service. */
const NO_ONIONS = 551;

async function ask(
  client: ControlClient,
  question: string,
  options: CommandOptions,
  read: (reply: Reply) => Presence,
): Promise<Presence> {
  try {
    return read(await client.command(question, options));
  } catch (error) {
    if (!isRefusal(error)) throw error;
    return error.reply?.code === NO_ONIONS ? 'gone' : 'untold';
  }
}

/**
 * Whether the service of this host (with `.onion`) is on this control connection. Rejects with the
 * TorError of a connection that has ended or does not answer.
 */
export function askForOnion(
  client: ControlClient,
  host: string,
  options: CommandOptions = {},
): Promise<Presence> {
  const id = host.replace(/\.onion$/, '');
  return ask(client, 'GETINFO onions/current', options, (reply) => {
    const onions = infoValue(reply, 'onions/current');
    if (onions === undefined) return 'untold';
    return onions.split(/[\s,]+/).includes(id) ? 'there' : 'gone';
  });
}

/** A path as GETCONF returns it, quoted when it has unusual characters. */
function pathOf(text: string): string {
  const quoted = parseQuoted(text);
  return quoted.ok ? Buffer.from(quoted.value.value).toString('utf8') : text;
}

/** The same for a service out of a HiddenServiceDir, on any control connection. */
export function askForFolder(
  client: ControlClient,
  dir: string,
  options: CommandOptions = {},
): Promise<Presence> {
  const name = 'HiddenServiceDir';
  return ask(client, `GETCONF ${name}`, options, ({ lines }) => {
    const values = lines
      .map(({ text }) => text)
      .filter((text) => text === name || text.startsWith(`${name}=`));
    if (values.length === 0) return 'untold';
    return values.some((text) => pathOf(text.slice(name.length + 1)) === dir) ? 'there' : 'gone';
  });
}
