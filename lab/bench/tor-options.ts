/** The command line of `scripts/bench tor`. */
import { parseArgs } from 'node:util';
import type { TorBenchOptions } from './tor.js';

const FULL = [
  { peers: 150, rates: [5, 20, 50] },
  { peers: 300, rates: [5, 20] },
];
/** So that more than one of the clients that read can ping. */
const LEAST_PEERS = 24;
const QUICK = [{ peers: 40, rates: [5, 20] }];

const numbers = (text: string): readonly number[] => text.split(',').map(Number);
/** From what each IPv4 host must take to what the loopback has. */
const isMtu = (value: number): boolean =>
  Number.isInteger(value) && value >= 576 && value <= 65_536;
const isPositive = (value: number): boolean => Number.isFinite(value) && value > 0;

/** Undefined when the words cannot be understood. */
export function torBenchOptions(args: readonly string[]): TorBenchOptions | undefined {
  const text = { type: 'string' } as const;
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        quick: { type: 'boolean' },
        before: text,
        peers: text,
        rates: text,
        seconds: text,
        rounds: text,
        without: text,
        // Read by scripts/bench.
        mtu: text,
        'quick-acks': { type: 'boolean' },
      },
    });
    const quick = values.quick === true;
    const mtu = values.mtu === undefined ? undefined : Number(values.mtu);
    if (mtu !== undefined && !isMtu(mtu)) return undefined;
    const seconds = Number(values.seconds ?? (quick ? 5 : 10));
    const rounds = Number(values.rounds ?? (quick ? 1 : 3));
    const rates = values.rates === undefined ? undefined : numbers(values.rates);
    const peers = values.peers === undefined ? undefined : numbers(values.peers);
    const scales = (quick ? QUICK : FULL)
      .map((scale) => ({ ...scale, rates: rates ?? scale.rates }))
      .filter((scale) => peers === undefined || peers.includes(scale.peers));
    const others = (peers ?? [])
      .filter((each) => !scales.some((scale) => scale.peers === each))
      .map((each) => ({ peers: each, rates: rates ?? [5, 20] }));
    const all = [...scales, ...others];
    const given = [seconds, rounds, ...all.flatMap((scale) => [scale.peers, ...scale.rates])];
    if (!given.every(isPositive) || all.some((scale) => scale.peers < LEAST_PEERS))
      return undefined;
    return {
      scales: all,
      seconds,
      rounds,
      before: values.before,
      mtu,
      without: values.without?.split(',') ?? [],
    };
  } catch {
    return undefined;
  }
}
