/** Checks of Tor's control port: whether one answers, and whether it accepts us. */
import type { Settings } from '../config/settings.js';
import type { ControlClient } from '../tor/control/client.js';
import { formatControlEndpoint } from '../tor/control/endpoint.js';
import { parseProtocolInfo } from '../tor/control/values.js';
import { TorError } from '../tor/tor-error.js';
import {
  note,
  ok,
  needsNoTor,
  skipped,
  theProgram,
  wrong,
  wrongAs,
  type Check,
  type FactReader,
  type Machine,
  type Verdict,
} from './check.js';
import { isBehindFilter, neededLines } from './control-filter.js';
import { torVersionFault } from './machine-checks.js';
import { answered, findOwnTor, tryControl } from './own-tor.js';

const START_TOR =
  'start Tor (sudo systemctl start tor), with "ControlPort 9051" and "CookieAuthentication 1" in /etc/tor/torrc';

async function ownTorVerdict(facts: FactReader, machine: Machine): Promise<Verdict | undefined> {
  const found = await findOwnTor(facts, machine);
  if (found === undefined) return undefined;
  const { at, tried, socks } = found;
  return ok(`${theProgram(machine)}'s own Tor, at ${at}`, { controlTried: tried, socks });
}

export const controlCheck: Check = {
  id: 'control-port',
  title: 'control port',
  needs: ['settings'],
  gives: ['controlTried'],
  async run(facts, machine) {
    const { withoutTor, torMode, control, controlPassword } = facts.get('settings').onion;
    if (withoutTor) return needsNoTor(facts.get('settings').onion);
    if (torMode === 'managed') {
      return (
        (await ownTorVerdict(facts, machine)) ??
        skipped(`${theProgram(machine)}'s own Tor (tor_mode = managed) starts with it`)
      );
    }
    const at = formatControlEndpoint(control);
    const tried = await tryControl(control, controlPassword, machine.signal);
    if (torMode === 'external' && tried instanceof TorError && answered(tried)) {
      return note(
        `tor_mode = external needs no control port; the Tor at ${at} refuses us, so the lines about Tor's network and clock are not checked`,
        `no fix is needed; to have them checked, give this user access: ${wrongAs(tried, 'set a control password').fix ?? ''}`,
      );
    }
    if (answered(tried)) return ok(`a Tor answers at ${at}`, { controlTried: tried });
    if (torMode === 'external') {
      return skipped(`tor_mode = external needs no control port, and no Tor answers at ${at}`);
    }
    const isNotListening =
      tried instanceof TorError && ['refused', 'no-socket', 'timeout'].includes(tried.code);
    if (torMode === 'auto' && isNotListening) {
      const own = await ownTorVerdict(facts, machine);
      if (own === undefined && facts.peek('torProgram') === undefined) {
        return wrong(
          `nothing at ${at}, and no tor program to start one of our own with: a start fails`,
          'sudo apt-get install tor',
        );
      }
      return (
        own ??
        note(
          `nothing at ${at}: ${theProgram(machine)} will start a Tor of its own`,
          `if you do not want that: ${START_TOR}`,
        )
      );
    }
    if (!(tried instanceof TorError)) throw new Error('a Tor that answers was not taken');
    return connectVerdict(tried);
  },
};

/**
 * A message such as `nothing listens at ...: start Tor ...` has its fix after the last colon and blank.
 */
function connectVerdict(error: TorError): Verdict {
  const cut = error.message.indexOf(': start Tor');
  if (cut >= 0) return wrong(error.message.slice(0, cut), error.message.slice(cut + 2));
  const group = error.message.indexOf(': add this user');
  if (group >= 0) return wrong(error.message.slice(0, group), error.message.slice(group + 2));
  return wrongAs(error, START_TOR);
}

function linesFor(settings: Settings, control: ControlClient): readonly string[] | TorError {
  try {
    return neededLines(settings, control);
  } catch (error) {
    if (error instanceof TorError) return error;
    throw error;
  }
}

export const authenticationCheck: Check = {
  id: 'control-access',
  title: 'control access',
  needs: ['settings', 'controlTried'],
  gives: ['control', 'filter'],
  async run(facts, machine) {
    const { uid } = machine;
    const tried = facts.get('controlTried');
    if (tried instanceof TorError) {
      return wrongAs(tried, 'add "CookieAuthentication 1" to torrc, and restart Tor');
    }
    const info = parseProtocolInfo(await tried.command('PROTOCOLINFO 1'));
    const found = { control: tried };
    const settings = facts.get('settings');
    const needed = linesFor(settings, tried);
    if (needed instanceof TorError) return { ...wrongAs(needed, ''), found };
    if (!info.ok) return ok('Tor accepts us', found);
    const { methods, torVersion = 'of unknown version' } = info.value;
    if (await isBehindFilter(tried)) {
      return note(
        `a filter in front of Tor ${torVersion} accepts us`,
        `${theProgram(machine)} needs it to allow ${needed.join(', ')} (docs/troubleshooting.md, "control filter")`,
        { ...found, filter: true },
      );
    }
    if (methods.includes('NULL')) {
      return note(
        `Tor ${torVersion} accepts every program of this machine`,
        'add "CookieAuthentication 1" to torrc, and restart Tor',
        found,
      );
    }
    const fault = torVersionFault(torVersion);
    if (fault !== undefined) return { ...fault, found };
    const owner = facts.peek('owner') ?? 0;
    const asRoot =
      uid === 0 && owner !== 0
        ? `; checked as root, which may read any cookie: ${theProgram(machine)} is user id ${owner}`
        : '';
    return ok(`Tor ${torVersion} accepts us; it offers ${methods.join(', ')}${asRoot}`, found);
  },
};
