/** What the commands that run a peer share: overlay, message channel, and what is said about them. */
import { randomBytes } from 'node:crypto';
import { openMessageChannel, type OnionMessageChannel } from '../channel/message-channel.js';
import { systemClock } from '../overlay/system-clock.js';
import { createNickKey } from '../protocol/nick.js';
import { openOverlay } from '../roles/open-overlay.js';
import type { Program } from './program.js';

export interface Peer {
  readonly channel: OnionMessageChannel;
  /** Rejects when serving failed before it ever worked; never resolves. */
  readonly failed: Promise<never>;
}

/** Opens a peer on the directories of the settings. Rejects with what the overlay says. */
export async function openPeer(
  { settings, log, shutdown }: Program,
  serves: boolean,
): Promise<Peer> {
  const tools = { clock: systemClock, random: Math.random, log };
  const opened = await openOverlay({ settings, serves, ...tools, signal: shutdown.signal });
  shutdown.onStop('overlay', () => opened.close());
  const channel = openMessageChannel({
    network: settings.network,
    directories: settings.onion.directoryNodes,
    overlay: opened.overlay,
    nickKey: createNickKey(randomBytes),
    serve: serves,
    ...tools,
  });
  shutdown.onStop('message channel', () => channel.close());

  let served = false;
  channel.on('served', () => (served = true));
  const failed = new Promise<never>((_, reject) => {
    channel.on('serve-failed', ({ error }) => {
      if (!served) reject(error);
    });
  });
  // Whoever does not race it still must not crash on it.
  failed.catch(() => {});
  return { channel, failed };
}
