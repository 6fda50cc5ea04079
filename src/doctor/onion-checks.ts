/** Checks of the running directory from outside: its descriptor, its onion, and its relay. */
import { hostAndPort } from '../kit/host-name.js';
import type { Overlay } from '../channel/ports.js';
import { overlayOf, type OverlayName } from '../config/overlays.js';
import { dialerThrough } from '../overlay/factory/dialers.js';
import { outcomeText, probeDirectory, type ProbeResult } from '../probe/probe.js';
import type { ControlClient } from '../tor/control/client.js';
import { parseHsDesc } from '../tor/control/values.js';
import { deferred } from '../kit/deferred.js';
import { isFiltered, TorError } from '../tor/tor-error.js';
import {
  note,
  ok,
  skipped,
  theProgram,
  wrong,
  type Check,
  type FactReader,
  type Machine,
  type Verdict,
} from './check.js';
import { filtered } from './control-filter.js';
import { announceOwnTest } from './own-test.js';

/** Longest time for one HSDir; Tor itself has no deadline. */
const FETCH_TIMEOUT_MS = 20_000;
/** Tor asks one HSDir at a time, and some may not have the descriptor, or not yet. */
const FETCH_TRIES = 6;

type Fetched = 'received' | 'filtered' | { readonly fault: string };
const NO_ANSWER = 'no answer';

/** Fetches the descriptor from one HSDir, as any client would. */
async function fetchOnce(
  control: ControlClient,
  host: string,
  { clock, signal }: Machine,
): Promise<Fetched> {
  const finished = deferred<Fetched>();
  const listening = control.onEvent('HS_DESC', (text) => {
    const event = parseHsDesc(text);
    if (!event.ok || event.value.host !== host) return;
    const { action, reason = 'no reason given' } = event.value;
    if (action === 'RECEIVED') finished.resolve('received');
    // Our own uploads fail with this reason.
    else if (action === 'FAILED' && reason !== 'UPLOAD_REJECTED') {
      finished.resolve({ fault: reason });
    }
  });
  const cancel = clock.after(FETCH_TIMEOUT_MS, () => finished.resolve({ fault: NO_ANSWER }));
  const abort = (): void => finished.resolve({ fault: 'stopped' });
  signal.addEventListener('abort', abort, { once: true });
  try {
    await listening;
    await control.command(`HSFETCH ${host.replace(/\.onion$/, '')}`, { signal });
    return await finished.promise;
  } catch (error) {
    if (isFiltered(error)) return 'filtered';
    if (error instanceof TorError) return { fault: error.message };
    throw error;
  } finally {
    cancel();
    signal.removeEventListener('abort', abort);
    await listening.then(
      (stopListening) => stopListening(),
      () => {},
    );
  }
}

/** Undefined when the descriptor was received, else the fault. */
async function fetchFault(
  control: ControlClient,
  host: string,
  machine: Machine,
  filter: boolean,
): Promise<{ readonly fault: string } | 'filtered' | undefined> {
  let last = '';
  for (let tries = 0; tries < FETCH_TRIES && !machine.signal.aborted; tries += 1) {
    // oxlint-disable-next-line no-await-in-loop -- the next HSDir only when this one does not have it
    const fetched = await fetchOnce(control, host, machine);
    if (fetched === 'received') return undefined;
    // A filter may also allow the command and suppress the answer.
    if (fetched === 'filtered' || (filter && fetched.fault === NO_ANSWER)) return 'filtered';
    last = fetched.fault;
  }
  return { fault: `${FETCH_TRIES} tries to fetch it failed (${last})` };
}

function waitOrRestart(machine: Machine): string {
  const unit = `onionmc-${machine.role}`;
  return `wait three minutes after a start; then restart ${theProgram(machine)} (sudo systemctl restart ${unit}) and look at its log (journalctl -u ${unit} -e)`;
}

export const publishedCheck: Check = {
  id: 'onion-published',
  title: 'onion published',
  needs: ['settings', 'running', 'location'],
  gives: [],
  async run(facts, machine) {
    const location = facts.get('location');
    if (location.kind !== 'onion') return skipped('there is no onion in loopback test mode');
    const { state, reason } = facts.get('running');
    if (state !== undefined && state !== 'reachable') {
      return wrong(`the directory says: ${reason ?? state}`, waitOrRestart(machine));
    }
    const control = facts.peek('control');
    const filter = facts.peek('filter') === true;
    if (control === undefined || (facts.peek('online') === undefined && !filter)) {
      return skipped('Tor cannot be asked for it (see the lines above)');
    }
    const fetched = await fetchFault(control, location.host, machine, filter);
    if (fetched === undefined) return ok('its descriptor was fetched back from the Tor network');
    return fetched === 'filtered'
      ? filtered('HSFETCH', 'SETEVENTS HS_DESC with its events RECEIVED and FAILED')
      : wrong(`its descriptor is not in the Tor network: ${fetched.fault}`, waitOrRestart(machine));
  },
};

/** The way to dial in these overlays; undefined when one of them cannot be used. */
export function dialerFor(
  names: readonly OverlayName[],
  facts: FactReader,
  { clock }: Machine,
): Overlay | undefined {
  const { onion } = facts.get('settings');
  return dialerThrough(names, { onion, socks: facts.peek('socks'), clock });
}

/** The answer of a private directory to a peer without a code. */
const isPrivate = (motd: string): boolean => motd.includes('this directory is private');

const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;

/** How a Tor that the program does not control gets a key for the onion of a private directory. */
const KEY_FOR_TOR =
  'give that Tor a key, since it finds a private directory only with one: onionmc admission tor-client add NAME, and the printed line in its ClientOnionAuthDir (docs/admission-tor.md)';

/** `target`: the address to which the onion service must lead. */
function reachVerdict(result: ProbeResult, target: string, machine: Machine): Verdict {
  switch (result.outcome) {
    case 'stopped':
      return skipped('stopped');
    case 'unreachable':
      return wrong(
        outcomeText(result),
        `${waitOrRestart(machine)}; let no second service use the same key`,
      );
    case 'no-answer':
    case 'unfit':
      return wrong(outcomeText(result), `let the onion service lead to the directory: ${target}`);
    case 'refused':
      return isPrivate(result.greeting.motd)
        ? note(
            'it answers, and asks for a code, since it is private; the relay was not tested',
            'run the doctor as the user of the directory, or as root: the directory lets that in',
          )
        : wrong(outcomeText(result), 'see max_peers in [DIRECTORY], and the log of the directory');
    case 'accepted':
    case 'accepts-only':
    case 'relay-untested':
    case 'relays-in-part':
    case 'relays':
      return ok(
        `connected in ${seconds(result.dialMs)}, greeted in ${seconds(result.handshakeMs)}`,
        { probe: result },
      );
  }
}

export const reachableCheck: Check = {
  id: 'onion-reachable',
  title: 'onion reachable',
  needs: ['settings', 'running', 'location'],
  gives: ['probe'],
  async run(facts, machine) {
    const overlay = overlayOf(facts.get('location').kind);
    const dialer = overlay && dialerFor([overlay], facts, machine);
    if (dialer === undefined) return skipped('it needs the SOCKS port (see the lines above)');
    const { network, onion, admission } = facts.get('settings');
    const { clock, signal, probeDeadlines } = machine;
    const location = facts.get('location');
    const result = await probeDirectory({
      dialer,
      location,
      network,
      relay: 'private',
      peerlist: false,
      ...(await announceOwnTest(machine)),
      clock,
      signal,
      ...(probeDeadlines === undefined ? {} : { deadlines: probeDeadlines }),
    });
    const target =
      onion.torMode === 'external'
        ? `HiddenServicePort ${location.port} ${hostAndPort(onion.serving.host, onion.serving.port)} in torrc`
        : 'stop the other service with its key (another machine, a HiddenServiceDir in torrc), and restart the directory';
    if (result.outcome === 'unreachable' && facts.get('running').state === undefined) {
      return skipped('it does not answer, and it is unknown whether the directory runs');
    }
    const verdict = reachVerdict(result, target, machine);
    const needsKey = admission.private && admission.torClients && onion.torMode === 'external';
    return needsKey && result.outcome === 'unreachable'
      ? wrong(verdict.text, KEY_FOR_TOR)
      : verdict;
  },
};

export const relayCheck: Check = {
  id: 'relay',
  title: 'relay',
  needs: ['probe'],
  gives: [],
  run: (facts) => {
    const probe = facts.get('probe');
    if (probe.outcome === 'relays') {
      const slowest = Math.max(0, ...Object.values(probe.legs).map((ms) => ms ?? 0));
      return Promise.resolve(
        ok(`private messages between two nicks arrive both ways, within ${seconds(slowest)}`),
      );
    }
    return Promise.resolve(
      wrong(
        `the directory ${outcomeText(probe)}`,
        'look at dropped_total in its /metrics and at its log; restart it, and report it if that does not help',
      ),
    );
  },
};
