/** Counts unhandled rejections and uncaught exceptions, which a sound program never has. */
export interface Faults {
  readonly count: number;
}

/** Further faults are only counted. */
const MAX_PRINTED = 5;

/** The first ones are printed to standard error; the process continues, so that the run can report them. */
export function watchFaults(where: string): Faults {
  let count = 0;
  const note = (what: string) => (error: unknown) => {
    count++;
    if (count > MAX_PRINTED) return;
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    process.stderr.write(`soak: ${what} in the ${where} process: ${text}\n`);
  };
  process.on('unhandledRejection', note('unhandled rejection'));
  process.on('uncaughtException', note('uncaught exception'));
  return {
    get count() {
      return count;
    },
  };
}
