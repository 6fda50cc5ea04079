/** Probes several directories, a few at a time. */
import { randomBytes } from 'node:crypto';
import { isOurs } from '../kit/error-text.js';
import type { Clock, Dialer } from '../channel/ports.js';
import { probeDirectory, type ProbeOptions, type ProbeResult } from '../probe/probe.js';
import type { Network } from '../protocol/constants.js';
import type { Location } from '../protocol/location.js';
import { createNickKey } from '../protocol/nick.js';

/** More simultaneous dials slow Tor down and distort the times. */
const AT_ONCE = 4;

export interface CheckOptions {
  readonly dialer: Dialer;
  readonly locations: readonly Location[];
  readonly network: Network;
  /** Also send messages between the two nicks of a probe, in private and in public. */
  readonly relay: boolean;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly deadlines?: ProbeOptions['deadlines'];
  /** The code for a private directory; default: none. */
  readonly codeOf?: (location: Location) => string | undefined;
}

/** The dial failed on this machine, so it says nothing about the directory. */
export function failedLocally(result: ProbeResult): boolean {
  if (result.outcome !== 'unreachable') return false;
  return isOurs(result.error);
}

/** One result for each location, in their order. Never rejects. */
export async function checkDirectories(options: CheckOptions): Promise<readonly ProbeResult[]> {
  const { dialer, locations, network, relay, clock, signal, deadlines, codeOf } = options;
  const results = new Map<Location, ProbeResult>();
  const left = locations.values();
  const work = async (): Promise<void> => {
    // All workers share the iterator: each takes the next location.
    for (const location of left) {
      // oxlint-disable-next-line no-await-in-loop -- so many at once and no more
      const result = await probeDirectory({
        dialer,
        location,
        network,
        relay: relay ? 'all' : 'none',
        peerlist: true,
        newNickKey: () => createNickKey(randomBytes),
        clock,
        signal,
        code: codeOf?.(location),
        ...(deadlines === undefined ? {} : { deadlines }),
      });
      results.set(location, result);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return locations.flatMap((location) => results.get(location) ?? []);
}
