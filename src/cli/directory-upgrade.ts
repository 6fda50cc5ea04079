/** SIGUSR2 and `onionmc upgrade`, in the running directory. */
import { readFileSync } from 'node:fs';
import { errorText } from '../kit/error-text.js';
import type { ProgramLog } from '../ops/log.js';
import type { Notifier } from '../ops/systemd-notifier.js';
import type { Shutdown } from '../ops/shutdown.js';
import { systemClock } from '../overlay/system-clock.js';
import type { UpgradeAnswer } from '../ops/request-socket.js';
import { handOverDirectory } from '../roles/directory-handover.js';
import type { DirectoryNode } from '../roles/directory-node.js';
import type { OpenedOverlay } from '../overlay/factory/open-overlays.js';

/** Longest time for parts that are not handed over to end by themselves. */
const LEAVE_MS = 3_000;

export interface UpgradeParts {
  readonly node: DirectoryNode;
  readonly opened: OpenedOverlay;
  readonly notifier: Notifier;
  readonly shutdown: Shutdown;
  readonly log: ProgramLog;
}

function refused(reason: string): UpgradeAnswer {
  return { done: false, why: reason };
}

/**
 * Programs that containers run as process 1. They end, and the container with them, when their child
 * ends.
 */
const CONTAINER_INITS: ReadonlySet<string> = new Set([
  'catatonit',
  'docker-init',
  'dumb-init',
  'podman-init',
  'tini',
]);

/** Facts about this process, for `upgradeObstacle`. */
export interface ProcessPlace {
  readonly pid: number;
  readonly ppid: number;
  /** The name of process 1; empty when it is not known. */
  readonly init: string;
  readonly env: NodeJS.ProcessEnv;
}

/** Why the new process would be ended together with this one; undefined when it would not. */
export function upgradeObstacle({ pid, ppid, init, env }: ProcessPlace): string | undefined {
  if (pid === 1) {
    return 'this directory is process 1, with which its container ends: restart it instead';
  }
  if (ppid === 1 && CONTAINER_INITS.has(init)) {
    return `this directory is what its container runs (under ${init}), which ends with it: restart it instead`;
  }
  // systemd.exec(5), since version 248: the main process of a service finds its own process id here.
  const isService = env['SYSTEMD_EXEC_PID'] === String(pid);
  if (isService && (env['NOTIFY_SOCKET'] ?? '') === '') {
    return 'this directory is the main process of a systemd service that does not accept another main process: restart it, with Type=notify and NotifyAccess=all in its unit, as in the shipped one';
  }
  return undefined;
}

function nameOfInit(): string {
  try {
    return readFileSync('/proc/1/comm', 'latin1').trim();
  } catch {
    return '';
  }
}

/**
 * Upgrades a running directory. Resolves with the result; after a success this process exits shortly
 * after. Signals that arrive meanwhile are acted on afterwards, in the process that continues.
 */
export function createUpgrade(parts: UpgradeParts): () => Promise<UpgradeAnswer> {
  const { node, opened, notifier, shutdown, log } = parts;
  let underWay = false;

  /** The last steps when another process is the directory. */
  async function leave(pid: number, signals: readonly NodeJS.Signals[]): Promise<void> {
    const closed = node.leave();
    // Before this process ends, because systemd would take its end for that of the service.
    await notifier.mainProcess(pid);
    await Promise.race([closed, new Promise((resolve) => setTimeout(resolve, LEAVE_MS))]);
    for (const signal of signals) process.kill(pid, signal);
    shutdown.leave();
  }

  async function upgrade(): Promise<UpgradeAnswer> {
    const { moving } = node;
    if (moving === undefined) return refused('this directory cannot be moved');
    const signals = shutdown.suspend();
    log.info('upgrade begins');
    notifier.reloading();
    try {
      const report = await handOverDirectory(
        { ...moving, parts: [...(opened.move ? [opened.move] : []), ...moving.parts] },
        { clock: systemClock, log },
      );
      log.info('upgrade done: the new process continues', { ...report });
      // After the answer to the caller was sent.
      setImmediate(() => {
        leave(report.pid, signals.came).catch(() => shutdown.leave());
      });
      const { pid, version, peers, heldMs } = report;
      return { done: true, pid, version, peers, heldMs };
    } catch (error) {
      const reason = errorText(error);
      log.error('upgrade failed; continuing as before', { reason });
      notifier.ready();
      signals.resume();
      underWay = false;
      return refused(reason);
    }
  }

  return () => {
    if (underWay) return Promise.resolve(refused('an upgrade is under way already'));
    if (shutdown.signal.aborted) return Promise.resolve(refused('the directory is stopping'));
    const { pid, ppid, env } = process;
    const obstacle = upgradeObstacle({ pid, ppid, init: nameOfInit(), env });
    if (obstacle !== undefined) return Promise.resolve(refused(obstacle));
    underWay = true;
    return upgrade();
  };
}
