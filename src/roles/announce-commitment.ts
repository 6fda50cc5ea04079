/**
 * Publishes `!hp2` under a new nick over circuits without other traffic, so that the commitment cannot
 * be linked to the maker (docs/protocol.md, section 8.4).
 */
import { openMessageChannel } from '../channel/message-channel.js';
import type { MessageChannelOptions } from '../channel/channel-api.js';
import type { Overlay } from '../channel/ports.js';
import { silentLog } from '../channel/log.js';
import { bytesToHex } from '@noble/hashes/utils.js';
import type { RandomBytes } from '../protocol/encryption.js';
import { createNickKey } from '../protocol/nick.js';

/** Longest wait for the first directory; then the commitment is not published. */
const WAIT_MS = 180_000;

/** How the directories are reached; see `ChannelOptions` for each. */
export type AnnounceOptions = Pick<
  MessageChannelOptions,
  'network' | 'directories' | 'directoryCodes' | 'overlay' | 'clock' | 'random' | 'timings'
> & {
  /** The source of the new nick's key; must be a secure one. */
  readonly randomBytes: RandomBytes;
};

/** Directories that do not see from where else this machine connects; elsewhere a new nick hides nothing. */
function hiding({
  directories,
  overlay,
}: Pick<AnnounceOptions, 'directories' | 'overlay'>): AnnounceOptions['directories'] {
  return directories.filter(({ kind }) => overlay.oneSource?.has(kind) !== true);
}

/** Each dial gets circuits of its own. */
function isolated(overlay: Overlay, name: string): Overlay {
  return {
    ...overlay,
    dial: (location, options) =>
      overlay.dial(location, { ...options, isolation: `${name}:${options.isolation ?? ''}` }),
  };
}

/**
 * Resolves when all connected directories have it. Rejects when none connected in time, or with the
 * signal's reason. The caller closes the overlay.
 */
export async function announceCommitment(
  commitment: string,
  signal: AbortSignal,
  { randomBytes, ...options }: AnnounceOptions,
): Promise<void> {
  signal.throwIfAborted();
  const directories = hiding(options);
  if (directories.length === 0) {
    throw new Error(
      'each directory would see whose it is: this network has one source for all nicks',
    );
  }
  const channel = openMessageChannel({
    ...options,
    directories,
    overlay: isolated(options.overlay, `hp2:${bytesToHex(randomBytes(16))}`),
    nickKey: createNickKey(randomBytes),
    serve: false,
    passive: true,
    log: silentLog,
  });
  let cancel: (() => void) | undefined;
  const abort = new AbortController();
  try {
    await new Promise<void>((resolve, reject) => {
      cancel = options.clock.after(WAIT_MS, () =>
        reject(new Error(`no directory came up within ${WAIT_MS / 1000} s`)),
      );
      signal.addEventListener('abort', () => reject(new Error('stopped')), {
        once: true,
        signal: abort.signal,
      });
      channel.once('welcome', () => resolve());
    });
    channel.publish(`hp2 ${commitment}`);
  } finally {
    cancel?.();
    abort.abort();
    // Sends the queue first.
    await channel.close();
  }
}
