/**
 * The relay under test in a process of its own: `directory`, with the listener and the clock that
 * `onionmc directory` has, or `naive`. Rates are off, since one peer sends here what hundreds send.
 */
import { readdirSync } from 'node:fs';
import { silentLog } from '../../src/channel/log.js';
import type { Clock } from '../../src/channel/ports.js';
import { createDirectory, DEFAULT_LIMITS } from '../../src/directory/directory.js';
import { smallYoungGeneration } from '../../src/ops/young-generation.js';
import { createLoopbackOverlay } from '../../src/overlay/loopback.js';
import { systemClock } from '../../src/overlay/system-clock.js';
import { startNaiveRelay } from './naive-relay.js';
import { answerQuestions } from './process.js';

export type RelayKind = 'directory' | 'naive';

/** The report of a relay process. */
export interface RelayReport {
  readonly peers: number;
  /** Timers of the relay; undefined where it does not report them. */
  readonly timers: number | undefined;
  readonly descriptors: number;
  /** Of all its threads, since its start. */
  readonly cpuMicros: number;
  readonly rssBytes: number;
  readonly heapBytes: number;
}

interface Relay {
  readonly port: number;
  readonly peerCount: () => number;
  readonly timers: () => number | undefined;
}

async function startDirectory(): Promise<Relay> {
  smallYoungGeneration();
  let timers = 0;
  const clock: Clock = {
    now: () => systemClock.now(),
    after(ms, fn) {
      let open = true;
      const over = (): void => {
        if (open) timers--;
        open = false;
      };
      timers++;
      const cancel = systemClock.after(ms, () => {
        over();
        fn();
      });
      return () => {
        over();
        cancel();
      };
    },
  };
  const unlimited = Object.fromEntries(
    Object.keys(DEFAULT_LIMITS)
      .filter((key) => /Per(Second|Minute)$/.test(key))
      .map((key) => [key, 0]),
  );
  const overlay = createLoopbackOverlay({ host: '127.0.0.1', port: 0, clock });
  const directory = createDirectory({
    network: 'signet',
    nick: 'J5BenchDirectory',
    location: () => ({ kind: 'loopback', host: '127.0.0.1', port: 1 }),
    reachable: overlay.reachable,
    motd: () => 'bench',
    limits: { ...DEFAULT_LIMITS, ...unlimited },
    clock,
    random: Math.random,
    log: silentLog,
  });
  const { locations } = await overlay.serve(
    (connection) => {
      directory.accept(connection);
    },
    { signal: new AbortController().signal },
  );
  return { port: locations[0].port, peerCount: () => directory.peerCount, timers: () => timers };
}

const relay: Relay =
  process.argv[2] === 'naive'
    ? { ...(await startNaiveRelay()), timers: () => undefined }
    : await startDirectory();
let peakRss = 0;

function report(): RelayReport {
  const { user, system } = process.cpuUsage();
  const { rss, heapUsed } = process.memoryUsage();
  return {
    peers: relay.peerCount(),
    timers: relay.timers(),
    descriptors: readdirSync('/proc/self/fd').length,
    cpuMicros: user + system,
    rssBytes: rss,
    heapBytes: heapUsed,
  };
}

function collectGarbage(): void {
  globalThis.gc?.();
  globalThis.gc?.();
}

answerQuestions((name) => {
  switch (name) {
    case 'port':
      return relay.port;
    case 'report':
      return report();
    case 'collect':
      collectGarbage();
      return report();
    case 'watch':
      // Often enough not to miss a pile of unread bytes.
      peakRss = 0;
      setInterval(() => {
        peakRss = Math.max(peakRss, process.memoryUsage.rss());
      }, 2);
      return undefined;
    case 'peak':
      return peakRss;
    default:
      throw new Error(`unknown question ${name}`);
  }
});
