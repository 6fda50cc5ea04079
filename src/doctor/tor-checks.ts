/** Checks of Tor: SOCKS port, its network, and this machine's clock. */
import type { ControlClient } from '../tor/control/client.js';
import { infoValue, parseBootstrap } from '../tor/control/values.js';
import { formatSocksEndpoint } from '../tor/socks/dialer.js';
import { isFiltered, isRefusal, TorError } from '../tor/tor-error.js';
import {
  needsNoTor,
  note,
  ok,
  skipped,
  theProgram,
  wrong,
  type Check,
  type Verdict,
} from './check.js';
import { filtered } from './control-filter.js';
import { findOwnTor } from './own-tor.js';
import { socksFault, configuredSocks } from './tor-access.js';

const SOCKS_FIX =
  'correct socks5_host and socks5_port (Tor\'s usual port is 9050), or start Tor with "SocksPort 9050" in its torrc';

export const socksCheck: Check = {
  id: 'socks-port',
  title: 'SOCKS port',
  needs: ['settings'],
  gives: ['socks'],
  async run(facts, machine) {
    const settings = facts.get('settings');
    const { withoutTor, torMode } = settings.onion;
    if (withoutTor) return needsNoTor(facts.get('settings').onion);
    const own = facts.peek('socks');
    const startsLater =
      torMode === 'managed' || (torMode === 'auto' && !facts.peek('controlTried'));
    if (own === undefined && startsLater) {
      return skipped(`${theProgram(machine)}'s own Tor starts with it`);
    }
    const socks = own ?? configuredSocks(settings);
    const fault = await socksFault(socks, machine.signal);
    if (fault === undefined) return ok(`${formatSocksEndpoint(socks)} answers`, { socks });
    return wrong(fault, SOCKS_FIX);
  },
};

/**
 * For a program that only dials: it needs no control port, and starts a Tor only when no SOCKS port
 * answers.
 */
export const dialerSocksCheck: Check = {
  id: 'socks-port',
  title: 'SOCKS port',
  needs: ['settings'],
  gives: ['socks'],
  async run(facts, machine) {
    const settings = facts.get('settings');
    const { withoutTor, torMode } = settings.onion;
    if (withoutTor) return needsNoTor(facts.get('settings').onion);
    const configured = configuredSocks(settings);
    const fault = torMode === 'managed' ? undefined : await socksFault(configured, machine.signal);
    if (torMode !== 'managed' && fault === undefined) {
      return ok(`${formatSocksEndpoint(configured)} answers`, { socks: configured });
    }
    if (torMode === 'control' || torMode === 'external') return wrong(fault ?? '', SOCKS_FIX);
    const own = await findOwnTor(facts, machine);
    if (own !== undefined) {
      if (!(own.tried instanceof TorError)) own.tried.close();
      const { socks } = own;
      return ok(`${theProgram(machine)}'s own Tor: ${formatSocksEndpoint(socks)}`, { socks });
    }
    if (fault === undefined) return skipped(`${theProgram(machine)}'s own Tor starts with it`);
    if (facts.peek('torProgram') === undefined) {
      return wrong(
        `${fault}, and there is no tor program to start one of our own with: a start fails`,
        `sudo apt-get install tor, or ${SOCKS_FIX}`,
      );
    }
    return note(
      `${fault}: ${theProgram(machine)} will start a Tor of its own`,
      `if you do not want that: ${SOCKS_FIX}`,
    );
  },
};

async function getInfo(control: ControlClient, key: string): Promise<string | undefined> {
  try {
    return infoValue(await control.command(`GETINFO ${key}`), key);
  } catch (error) {
    // A command that this Tor does not know; not one that a filter refuses.
    if (isRefusal(error) && !isFiltered(error)) return undefined;
    throw error;
  }
}

const PHASE = 'status/bootstrap-phase';
const ESTABLISHED = 'status/circuit-established';
const FILTERED = Symbol('a filter refuses');

async function unlessFiltered<T>(ask: () => Promise<T>): Promise<T | typeof FILTERED> {
  try {
    return await ask();
  } catch (error) {
    if (isFiltered(error)) return FILTERED;
    throw error;
  }
}

/** Some filters allow only this command, and its answer does not tell a start from a fault. */
async function circuitVerdict(control: ControlClient): Promise<Verdict> {
  const told = await unlessFiltered(() => getInfo(control, ESTABLISHED));
  return told === '1'
    ? ok('Tor is connected', { online: true })
    : filtered(`GETINFO ${PHASE}`, 'GETINFO network-liveness');
}

export const torNetworkCheck: Check = {
  id: 'tor-network',
  title: 'Tor network',
  needs: ['control'],
  gives: ['online'],
  async run(facts) {
    const control = facts.get('control');
    const told = await unlessFiltered(() => getInfo(control, PHASE));
    if (told === FILTERED) return circuitVerdict(control);
    const phase = parseBootstrap(told ?? '');
    const liveness = await unlessFiltered(() => getInfo(control, 'network-liveness'));
    const live = liveness === FILTERED ? undefined : liveness;
    if (phase.ok && phase.value.progress === 100 && live !== 'down') {
      return ok('Tor is connected', { online: true });
    }
    const { progress, summary, warning } = phase.ok
      ? phase.value
      : { progress: 0, summary: 'unknown', warning: undefined };
    return wrong(
      progress === 100
        ? 'Tor has lost its network'
        : `Tor is not connected: ${progress} % (${warning ?? summary})`,
      'let outgoing TCP connections through the firewall, and read the log of Tor: journalctl -u tor@default -e (DisableNetwork 1 in torrc keeps it offline)',
    );
  },
};

const HOUR_MS = 3_600_000;

/** A time of Tor like `2026-11-21 08:00:00`, in milliseconds since 1970. */
function utc(text: string | undefined): number | undefined {
  if (text === undefined || !/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/.test(text)) return undefined;
  const ms = Date.parse(`${text.replace(' ', 'T')}Z`);
  return Number.isNaN(ms) ? undefined : ms;
}

const shownTime = (ms: number): string => new Date(ms).toISOString().slice(0, 16).replace('T', ' ');
const hours = (ms: number): string => `${(ms / HOUR_MS).toFixed(1)} h`;

export const clockCheck: Check = {
  id: 'clock',
  title: 'clock',
  needs: ['control'],
  gives: [],
  async run(facts, { today }) {
    const control = facts.get('control');
    const span = await unlessFiltered(async () => [
      utc(await getInfo(control, 'consensus/valid-after')),
      utc(await getInfo(control, 'consensus/valid-until')),
    ]);
    if (span === FILTERED) {
      return filtered('GETINFO consensus/valid-after', 'GETINFO consensus/valid-until');
    }
    const [after, until] = span;
    if (after === undefined || until === undefined) {
      return skipped('Tor has no consensus of its network yet');
    }
    const now = today();
    const shown = `${shownTime(after)} to ${shownTime(until)} UTC`;
    const set = 'sudo timedatectl set-ntp true, look at timedatectl, then restart Tor';
    if (now < after) {
      return wrong(
        `it says ${shownTime(now)} UTC, ${hours(after - now)} before Tor's consensus (${shown}): it is slow`,
        set,
      );
    }
    if (now > until) {
      return wrong(
        `it says ${shownTime(now)} UTC, ${hours(now - until)} after Tor's consensus (${shown}): it is fast, or Tor has been offline since`,
        set,
      );
    }
    return ok(`${shownTime(now)} UTC, within Tor's consensus (${shown})`);
  },
};
