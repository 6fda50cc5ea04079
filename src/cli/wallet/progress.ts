/**
 * The progress of a long step, on standard error: one line that changes on a terminal, otherwise a line
 * now and then.
 */
import { performance } from 'node:perf_hooks';
import { printNote, printProgress } from '../print.js';

/** How often the line changes, and how often a new one is written where it cannot change. Milliseconds. */
const REDRAW_MS = 100;
const LINE_MS = 10_000;

export interface ProgressOutput {
  /** Whether a line can change. */
  readonly isLive: boolean;
  now(): number;
  redraw(text: string): void;
  line(text: string): void;
}

const STANDARD_ERROR: ProgressOutput = {
  get isLive() {
    return process.stderr.isTTY;
  },
  now: () => performance.now(),
  redraw: printProgress,
  line: printNote,
};

/** A step that runs. */
export interface Progress {
  /** The share that is done, 0 to 1. */
  update(done: number): void;
  /** Removes the line. */
  end(): void;
}

/** Begins a step: `reading the block chain`. */
export function startProgress(what: string, output: ProgressOutput = STANDARD_ERROR): Progress {
  // Where lines cannot change, a short step is not mentioned.
  let shownAt = output.isLive ? -Infinity : output.now();
  const show = (done: number | undefined): void => {
    const share =
      done === undefined ? '' : ` ${Math.floor(100 * Math.min(1, Math.max(0, done)))} %`;
    const now = output.now();
    if (now - shownAt < (output.isLive ? REDRAW_MS : LINE_MS)) return;
    shownAt = now;
    if (output.isLive) output.redraw(`${what} ...${share}`);
    else output.line(`${what} ...${share}`);
  };
  show(undefined);
  return {
    update: (done) => show(Number.isFinite(done) ? done : undefined),
    end: () => {
      if (output.isLive) output.redraw('');
    },
  };
}

/** Runs a step with its progress line. */
export async function withProgress<T>(
  what: string,
  run: (update: (done: number) => void) => Promise<T>,
): Promise<T> {
  const progress = startProgress(what);
  try {
    return await run((done) => progress.update(done));
  } finally {
    progress.end();
  }
}
