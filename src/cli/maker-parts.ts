/** What makers with and without a wallet share. */
import { randomBytes } from 'node:crypto';
import type { Overlay } from '../channel/ports.js';
import { makerLockPath } from '../config/data-files.js';
import {
  createCommitmentRelay,
  type CommitmentRelay,
} from '../negotiation/maker/commitment-relay.js';
import { LockedError, lockInstance, type InstanceLock } from '../ops/instance-lock.js';
import { systemClock } from '../overlay/system-clock.js';
import { announceCommitment } from '../roles/announce-commitment.js';
import type { DirectoryChoice } from '../roles/directories/directory-choice.js';
import { directoriesNow } from '../roles/directories/from-settings.js';
import { UsageError } from './errors.js';
import type { Program } from './program.js';

/** Two makers would share the file of used commitments, and later a wallet. */
export async function onlyMaker(datadir: string): Promise<InstanceLock> {
  try {
    return await lockInstance(makerLockPath(datadir));
  } catch (error) {
    if (!(error instanceof LockedError)) throw error;
    const who = error.pid === undefined ? 'another container' : `process ${error.pid}`;
    const dead = error.pid === undefined ? `; if none runs, remove ${error.path}` : '';
    throw new UsageError(
      `a maker runs with the data directory ${datadir} already (${who}): stop it first, or give this one another --datadir${dead}`,
      { cause: error },
    );
  }
}

/** Announces used commitments under nicks of their own; stops with the program. */
export function openRelay(
  { settings, log, shutdown }: Program,
  overlay: Overlay,
  choice: DirectoryChoice | undefined,
): CommitmentRelay {
  const relay = createCommitmentRelay({
    announce: (commitment, signal) =>
      announceCommitment(commitment, signal, {
        network: settings.network,
        directories: directoriesNow(settings, choice),
        directoryCodes: settings.admission.directoryCodes,
        overlay,
        clock: systemClock,
        random: Math.random,
        randomBytes,
      }),
    clock: systemClock,
    log,
  });
  shutdown.onStop('commitment relay', () => relay.close());
  return relay;
}
