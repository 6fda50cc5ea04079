/** `onionmc demo`: directory, makers and taker on a private Tor network on this machine, or without Tor. */
import { performance } from 'node:perf_hooks';
import { createScreen, type Screen } from '../lab/demo/screen.js';
import { runDemo, type DemoNetwork, type DemoResult } from '../lab/demo/steps.js';
import { createLog } from '../ops/log.js';
import { createShutdown } from '../ops/shutdown.js';
import { ExitCode } from '../ops/exit.js';
import { setActive } from './lifecycle.js';
import { colorsOutput, print, printJson, printNote } from './print.js';

interface DemoCommandOptions {
  readonly seconds?: number;
  readonly overlay?: DemoNetwork;
  readonly loopback?: boolean;
  readonly json?: boolean;
}

function median(values: readonly number[]): string {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted[Math.floor(sorted.length / 2)];
  return middle === undefined ? '-' : `${middle.toFixed(1)} ms`;
}

function seconds(ms: number | undefined): string {
  return ms === undefined ? 'not reached' : `${(ms / 1000).toFixed(1)} s`;
}

function summarise(screen: Screen, result: DemoResult): void {
  const rtts = (kind: 'directory' | 'direct'): number[] =>
    result.messages.filter((m) => m.sentBy === kind && m.answeredBy === kind).map((m) => m.rttMs);
  const warning = result.network === 'llarp' ? ', over a laboratory that gives nobody privacy' : '';
  screen.heading(`What was shown${warning}`);
  screen.table([
    ['', 'first after', 'answers', 'median round trip'],
    [
      'by the directory',
      seconds(result.firstRelayedMs),
      String(rtts('directory').length),
      median(rtts('directory')),
    ],
    [
      'over direct links',
      seconds(result.firstDirectMs),
      String(rtts('direct').length),
      median(rtts('direct')),
    ],
  ]);
}

export async function runDemoCommand(options: DemoCommandOptions): Promise<void> {
  const began = performance.now();
  const screen = createScreen({
    // With --json only the result goes to standard output.
    write: options.json === true ? printNote : print,
    color: colorsOutput(options.json === true ? process.stderr : process.stdout),
    elapsed: () => performance.now() - began,
  });
  const ended = new AbortController();
  let finished: Promise<DemoResult | undefined> = Promise.resolve(undefined);
  const shutdown = createShutdown({
    log: createLog({ level: 'WARNING' }),
    onStopping: () => ended.abort(),
    // The demo cleans up in one step of its own.
    stepMs: 4_400,
  });
  let shown = false;
  setActive(shutdown, () => {
    if (shown) return ExitCode.OK;
    printNote('onionmc: the output was closed before the demo had shown a coinjoin');
    return ExitCode.FAILED;
  });
  shutdown.onStop('demo', async () => {
    await finished;
  });
  const timer =
    options.seconds === undefined
      ? undefined
      : setTimeout(() => ended.abort(), options.seconds * 1000);
  const demo = runDemo({
    network: options.loopback === true ? 'loopback' : (options.overlay ?? 'tor'),
    screen,
    signal: ended.signal,
    onCoinjoin: () => (shown = true),
  });
  const finish = async (): Promise<DemoResult | undefined> => {
    try {
      const result = await demo;
      summarise(screen, result);
      if (options.json === true) printJson(result);
      return result;
    } catch (error) {
      // Stopped during the start: not a failure.
      if (ended.signal.aborted) return undefined;
      throw error;
    }
  };
  finished = finish();
  const result = await finished;
  clearTimeout(timer);
  shutdown.close();
  if (result?.coinjoin === undefined && options.seconds !== undefined) {
    printNote(
      `onionmc: the demo ended after ${options.seconds} s, before a coinjoin was complete: give it more --seconds`,
    );
    process.exitCode = ExitCode.FAILED;
  }
}
