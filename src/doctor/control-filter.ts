/**
 * A filter in front of Tor's control port (Tails, Whonix, Qubes). What the filter refuses stays unknown
 * to the doctor; a refusal is not a fault of Tor or of this program.
 */
import type { Settings } from '../config/settings.js';
import { VIRTUAL_PORT } from '../protocol/constants.js';
import { portArgument } from '../tor/onion/add-onion.js';
import type { ControlClient } from '../tor/control/client.js';
import { onionTarget } from '../tor/onion/target.js';
import { isFiltered, isRefusal } from '../tor/tor-error.js';
import type { Verdict } from './check.js';

/** Every Tor answers this command, and no filter has a reason to allow it. */
const UNUSED_QUERY = 'GETINFO info/names';

/** Whether there is a filter in front of Tor. Rejects when the connection is lost. */
export async function isBehindFilter(control: ControlClient): Promise<boolean> {
  try {
    await control.command(UNUSED_QUERY);
    return false;
  } catch (error) {
    if (isRefusal(error)) return isFiltered(error);
    throw error;
  }
}

/** A command that the filter refused, and the lines that it must allow for it. */
export function filtered(...lines: readonly string[]): Verdict {
  return {
    status: 'skipped',
    text: 'a filter refuses this question',
    fix: `let the filter allow ${lines.join(', ')}`,
  };
}

/** The lines that a directory needs. Throws a TorError when Tor cannot reach the listener. */
export function neededLines({ onion }: Settings, { ends }: ControlClient): readonly string[] {
  const { serving, targetHost: explicit } = onion;
  const target = onionTarget({ ...serving, explicit, ends });
  // Port 0 becomes another port at each start.
  const port = portArgument(VIRTUAL_PORT, { ...target, port: target.port || VIRTUAL_PORT });
  const argument = target.port === 0 ? port.replace(/\d+$/, 'ANY-PORT') : port;
  return [`ADD_ONION ED25519-V3:KEY ${argument}`, 'DEL_ONION', 'SETEVENTS HS_DESC'];
}
