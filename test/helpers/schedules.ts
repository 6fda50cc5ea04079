/** Schedules for tests: addresses, steps, arbitraries, and a random source with a seed. */
import * as fc from 'fast-check';
import { addressOf } from '../../src/bitcoin/address.js';
import type { Network } from '../../src/protocol/constants.js';
import type { Random } from '../../src/channel/ports.js';
import type { ScheduleStep, StepDestination } from '../../src/schedule/api.js';

/** Numbers from 0 to below 1 that depend on the seed alone (mulberry32). */
export function seeded(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** The p2wpkh address number `n` of a network. */
export function addressNumber(
  n: number,
  network: Network = 'regtest',
): { readonly address: string; readonly script: string } {
  const script = `0014${n.toString(16).padStart(40, '0')}`;
  const address = addressOf(script, network);
  if (address === undefined) throw new Error(`no address of ${script}`);
  return { address, script };
}

export const payTo = (n: number, network?: Network): StepDestination => ({
  kind: 'address',
  ...addressNumber(n, network),
});

/** An open sweep of mixdepth 0 with 4 makers and no wait. */
export function step(changes: Partial<ScheduleStep> = {}): ScheduleStep {
  return {
    mixdepth: 0,
    amount: { kind: 'sweep' },
    makers: 4,
    destination: { kind: 'internal' },
    waitMinutes: 0,
    rounding: 16,
    completed: { kind: 'open' },
    ...changes,
  };
}

export const fraction = (value: number): ScheduleStep['amount'] => ({ kind: 'fraction', value });
export const satoshi = (value: number): ScheduleStep['amount'] => ({ kind: 'satoshi', value });

const hex64 = fc.stringMatching(/^[0-9a-f]{64}$/);

/** Any step that a line can express. */
export const anyStep = (network: Network = 'regtest'): fc.Arbitrary<ScheduleStep> =>
  fc.record(
    {
      mixdepth: fc.integer({ min: 0, max: 999 }),
      amount: fc.oneof(
        fc.constant({ kind: 'sweep' } as const),
        fc.integer({ min: 1, max: 2_100_000_000_000_000 }).map(satoshi),
        fc
          .double({
            min: 0.000_001,
            max: 1,
            maxExcluded: true,
            noNaN: true,
            noDefaultInfinity: true,
          })
          .map(fraction),
      ),
      makers: fc.integer({ min: 1, max: 99 }),
      destination: fc.oneof(
        fc.constant({ kind: 'internal' } as const),
        fc.constant({ kind: 'ask' } as const),
        fc.integer({ min: 0, max: 1e9 }).map((n) => payTo(n, network)),
      ),
      waitMinutes: fc.oneof(
        fc.integer({ min: 0, max: 525_600 }),
        fc.double({ min: 0, max: 525_600, noNaN: true }).map((wait) => (wait === 0 ? 0 : wait)),
      ),
      rounding: fc.integer({ min: 1, max: 16 }),
      completed: fc.oneof(
        fc.constant({ kind: 'open' } as const),
        fc.constant({ kind: 'done' } as const),
        hex64.map((txid) => ({ kind: 'sent', txid }) as const),
      ),
    },
    { noNullPrototype: true },
  );
