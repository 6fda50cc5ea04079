/** The command line of `scripts/soak coinjoins`. */
import { parseArgs } from 'node:util';

export interface CoinjoinSoakOptions {
  readonly rounds: number;
  readonly seed: number;
  /** Number of the first round. */
  readonly first: number;
  readonly makers: number;
}

export const USAGE = `Usage: scripts/soak coinjoins [--rounds N] [--seed N] [--first N] [--makers N]

Coinjoins one after the other on a real node (regtest), over loopback sockets through a directory, with makers
of which some misbehave. An accountant that knows the seeds reads every block. Fails when a party has less than
agreed, when the books of a wallet differ from the chain, or when less than 99 % of the rounds that had enough
honest makers complete.

  --rounds N  how many (default 200)
  --seed N    of the choices and the wallets (default 1)
  --first N   number of the first round (default 1): the choices of a round depend on seed and number only
  --makers N  how many makers (default 12)`;

const LIMITS = { rounds: 100_000, first: 1_000_000, makers: 40 } as const;

function whole(name: string, text: string, most: number, least = 1): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= least && value <= most) return value;
  throw new Error(`--${name} ${text}: a whole number from ${least} to ${most} is expected`);
}

/** Throws an Error that says what is wrong with the arguments. */
export function readOptions(args: readonly string[]): CoinjoinSoakOptions | 'help' {
  const { values } = parseArgs({
    args: [...args],
    options: {
      rounds: { type: 'string', default: '200' },
      seed: { type: 'string', default: '1' },
      first: { type: 'string', default: '1' },
      makers: { type: 'string', default: '12' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return 'help';
  return {
    rounds: whole('rounds', values.rounds, LIMITS.rounds),
    seed: whole('seed', values.seed, Number.MAX_SAFE_INTEGER, 0),
    first: whole('first', values.first, LIMITS.first),
    makers: whole('makers', values.makers, LIMITS.makers, 4),
  };
}
