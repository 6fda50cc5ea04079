/** The command line of a soak. */
import { parseArgs } from 'node:util';

export interface SoakOptions {
  readonly minutes: number;
  readonly seed: number;
}

export const USAGE = `Usage: scripts/soak [--minutes N] [--seed N]

Mixed honest and hostile traffic against a directory in its own process; prints a table and fails on
leak, loss, doubling, stall or an unhandled rejection.

  --minutes N  how long, decimals allowed (default 1)
  --seed N     of the random choices (default 1); the traffic is similar, not equal byte by byte`;

/** Throws an Error that says what is wrong with the arguments. */
export function readOptions(args: readonly string[]): SoakOptions | 'help' {
  const { values } = parseArgs({
    args: [...args],
    options: {
      minutes: { type: 'string', default: '1' },
      seed: { type: 'string', default: '1' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return 'help';
  const minutes = Number(values.minutes);
  if (!(minutes > 0 && minutes <= 10_080)) {
    throw new Error(`--minutes ${values.minutes}: a number above 0, at most 10080, is expected`);
  }
  const seed = Number(values.seed);
  if (!Number.isSafeInteger(seed)) {
    throw new Error(`--seed ${values.seed}: a whole number is expected`);
  }
  return { minutes, seed };
}
