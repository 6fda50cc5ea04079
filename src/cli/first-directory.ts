/** The wait of a command for its first directory. */
import type { OnionMessageChannel } from '../channel/message-channel.js';
import { systemClock } from '../overlay/system-clock.js';
import { UnreachableError } from './errors.js';
import { directoryLines } from './orderbook-view.js';

/** Longest wait for the first directory: the channel itself gives its directories 60 s. */
const WELCOME_TIMEOUT_MS = 65_000;

/**
 * Resolves when the first directory is connected; rejects with an UnreachableError that names each
 * directory.
 */
export function firstDirectory(channel: OnionMessageChannel): Promise<void> {
  if (upCount(channel) > 0) return Promise.resolve();
  return new Promise((resolve, reject) => {
    const cancel = systemClock.after(WELCOME_TIMEOUT_MS, () => {
      const each = directoryLines(channel.directories()).join('; ');
      reject(new UnreachableError(`no directory could be reached: ${each}`));
    });
    channel.once('directory-up', () => {
      cancel();
      resolve();
    });
  });
}

/** Resolves after that time. */
export const pause = (ms: number): Promise<void> =>
  new Promise((resolve) => void systemClock.after(ms, resolve));

/** Number of directories that are connected. */
export const upCount = (channel: OnionMessageChannel): number =>
  channel.directories().filter(({ state }) => state === 'up').length;
