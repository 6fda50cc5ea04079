/** Checks whether a peer is accepted by one of its directories. */
import { outcomeText, probeDirectory, type ProbeResult } from '../probe/probe.js';
import { formatLocation, type Location } from '../protocol/location.js';
import { createNickKey } from '../protocol/nick.js';
import { ok, skipped, wrong, type Check } from './check.js';
import { dialerFor } from './onion-checks.js';

/** Directories that are dialled at once. */
const AT_ONCE = 8;
/** A list may be long. When this many fail, the cause is on this machine. */
const MOST_ASKED = 24;
/** Longest time for all. */
const DEADLINE_MS = 180_000;
/** Number of results named in the text. */
const MAX_REPORTED = 3;

const SOCKS_NEEDED = 'it needs the SOCKS port (see the lines above)';

interface Asked {
  readonly reached: ProbeResult | undefined;
  readonly failed: readonly ProbeResult[];
}

/** Returns after the first directory that accepts us; the others are not awaited. */
async function firstOf(
  locations: readonly Location[],
  ask: (location: Location, signal: AbortSignal) => Promise<ProbeResult>,
  signal: AbortSignal,
): Promise<Asked> {
  const failed: ProbeResult[] = [];
  let reached: ProbeResult | undefined;
  const enough = new AbortController();
  const both = AbortSignal.any([signal, enough.signal]);
  const waiting = locations.slice(0, MOST_ASKED);
  async function askOn(): Promise<void> {
    for (let next = waiting.shift(); next !== undefined && !both.aborted; next = waiting.shift()) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      const result = await ask(next, both);
      if (result.outcome === 'accepted') {
        reached ??= result;
        enough.abort(new Error('one is enough'));
      } else failed.push(result);
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, askOn));
  return { reached, failed };
}

export const directoriesCheck: Check = {
  id: 'directories',
  title: 'directories',
  needs: ['settings'],
  gives: [],
  async run(facts, machine) {
    const dials = dialerFor(facts.get('settings').onion.overlays, facts, machine);
    if (dials === undefined) return skipped(SOCKS_NEEDED);
    const { network, onion, configFile, admission } = facts.get('settings');
    const { clock, randomBytes, probeDeadlines } = machine;
    const late = new AbortController();
    const cancel = clock.after(DEADLINE_MS, () => late.abort(new Error('too late')));
    const { reached, failed } = await firstOf(
      onion.directoryNodes,
      (location, signal) =>
        probeDirectory({
          dialer: dials,
          location,
          network,
          relay: 'none',
          peerlist: false,
          newNickKey: () => createNickKey(randomBytes),
          clock,
          signal,
          code: admission.directoryCodes.get(formatLocation(location)),
          ...(probeDeadlines === undefined ? {} : { deadlines: probeDeadlines }),
        }),
      AbortSignal.any([machine.signal, late.signal]),
    );
    cancel();
    const count = onion.directoryNodes.length;
    if (reached !== undefined) {
      const seconds = (reached.tookMs / 1000).toFixed(1);
      return ok(
        `${formatLocation(reached.location)} accepts us, after ${seconds} s; ${count} known`,
      );
    }
    if (machine.signal.aborted) return skipped('stopped');
    const told = failed
      .slice(0, MAX_REPORTED)
      .map((result) => `${formatLocation(result.location)} ${outcomeText(result)}`)
      .join('; ');
    const more = failed.length > MAX_REPORTED ? `; ${failed.length - MAX_REPORTED} more` : '';
    return wrong(
      `0 of ${count} directories in directory_nodes accept us: ${told}${more}`,
      `onionmc check shows more of each; correct directory_nodes and network in ${configFile}, or wait until one is back`,
    );
  },
};
