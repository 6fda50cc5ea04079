/** The progress texts of a vanity search. Pure. */

export interface VanityProgress {
  readonly prefix: string;
  /** Average number of tries until a key fits. */
  readonly expectedTries: number;
  readonly tried: number;
  /** Time since the search began. */
  readonly elapsedMs: number;
}

const BAR = 20;
const UNITS: readonly (readonly [seconds: number, name: string])[] = [
  [365.25 * 86_400, 'years'],
  [86_400, 'days'],
  [3_600, 'h'],
  [60, 'min'],
];
/** A search has no memory: the share of searches that end within this multiple of the average. */
const HALF = Math.LN2;
const NINETEEN_OF_TWENTY = Math.log(20);

const count = (value: number): string => Math.round(value).toLocaleString('en-US');

/** `2.4 min`; seconds below a minute. */
export function duration(seconds: number): string {
  for (const [unit, name] of UNITS) {
    if (seconds >= unit) {
      const value = seconds / unit;
      return `${value < 10 ? value.toFixed(1) : count(value)} ${name}`;
    }
  }
  return seconds < 1 ? 'a second' : `${Math.round(seconds)} s`;
}

function rateOf({ tried, elapsedMs }: VanityProgress): number {
  return tried / Math.max(elapsedMs / 1000, 0.001);
}

/** The estimate for the measured rate. */
export function estimateLine(progress: VanityProgress): string {
  const rate = rateOf(progress);
  const within = (share: number): string => duration((share * progress.expectedTries) / rate);
  return (
    `${progress.prefix}: ${count(progress.expectedTries)} keys to try on average, ${count(rate)} a second here; ` +
    `half of such searches end within ${within(HALF)}, 19 of 20 within ${within(NINETEEN_OF_TWENTY)}`
  );
}

/** One line with a bar: the share of all such searches that would have ended by now. */
export function progressLine(progress: VanityProgress): string {
  const ended = 1 - Math.exp(-progress.tried / progress.expectedTries);
  const full = Math.min(BAR, Math.floor(ended * BAR));
  const bar = '#'.repeat(full) + '-'.repeat(BAR - full);
  const left = duration((HALF * progress.expectedTries) / rateOf(progress));
  return `[${bar}] ${count(progress.tried)} keys, ${count(rateOf(progress))}/s; an even chance within the next ${left}`;
}
