/**
 * The directory under test, in a process of its own: the role that `onionmc directory` runs, with
 * default limits on a loopback socket. Started by `main.ts` with --expose-gc.
 */
import { readdirSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { Log } from '../../src/channel/log.js';
import type { Clock } from '../../src/channel/ports.js';
import { createLoopbackOverlay } from '../../src/overlay/loopback.js';
import { systemClock } from '../../src/overlay/system-clock.js';
import { startDirectoryNode, type DirectoryNode } from '../../src/roles/directory-node.js';
import { watchFaults } from './faults.js';
import type { DirectoryOrder, DirectoryReport } from './reports.js';

interface CountedClock extends Clock {
  /** Timers that are set and have neither run nor been cancelled. */
  readonly pending: number;
}

function countTimers(clock: Clock): CountedClock {
  let pending = 0;
  return {
    now: () => clock.now(),
    after(ms, fn) {
      let open = true;
      pending++;
      const close = (): void => {
        if (open) pending--;
        open = false;
      };
      const cancel = clock.after(ms, () => {
        close();
        fn();
      });
      return () => {
        close();
        cancel();
      };
    },
    get pending() {
      return pending;
    },
  };
}

const faults = watchFaults('directory');
const clock = countTimers(systemClock);
const delay = monitorEventLoopDelay({ resolution: 10 });
let logLines = 0;
const countLine = (): void => {
  logLines++;
};
const log: Log = { debug() {}, info: countLine, warn: countLine, error: countLine };

function tell(report: DirectoryReport): void {
  process.send?.(report);
}

function sample({ directory }: DirectoryNode): void {
  globalThis.gc?.();
  const { rss, heapUsed, external } = process.memoryUsage();
  const { user, system } = process.cpuUsage();
  tell({
    kind: 'sample',
    rss,
    live: heapUsed + external,
    descriptors: readdirSync('/proc/self/fd').length,
    timers: clock.pending,
    cpuMs: (user + system) / 1000,
    loopDelayMs: delay.max / 1e6,
    logLines,
    faults: faults.count,
    stats: directory.stats(),
  });
  delay.reset();
}

const overlay = createLoopbackOverlay({ host: '127.0.0.1', port: 0, clock, log });
const node = await startDirectoryNode({ network: 'signet', overlay, clock, log });
delay.enable();

async function stop(): Promise<void> {
  await node.close();
  await overlay.close();
  delay.disable();
  if (process.connected) process.disconnect();
}

process.on('message', (order: DirectoryOrder) => {
  if (order === 'sample') sample(node);
  else void stop();
});
// The process that started this one has ended.
process.on('disconnect', () => process.exit(faults.count > 0 ? 1 : 0));
tell({ kind: 'listening', port: node.location.port });
