/** Shared by the commands that run a peer: overlay, message channel, and their log lines. */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { openChannels } from '../channel/channel-set.js';
import type { OnionMessageChannel } from '../channel/message-channel.js';
import type { Overlay } from '../channel/ports.js';
import { systemClock } from '../overlay/system-clock.js';
import { createNickKey } from '../protocol/nick.js';
import {
  EVIDENCE_FILE,
  startDirectoryAudit,
  type DirectoryAuditRole,
} from '../roles/directory-audit.js';
import type { DirectoryChoice } from '../roles/directories/directory-choice.js';
import { chosenDirectories, openChoice } from '../roles/directories/from-settings.js';
import { openOverlay } from '../overlay/factory/open-overlays.js';
import { openBondChain, type BondChain } from '../roles/bond-chain.js';
import { useFastCurves } from '../roles/fast-curves.js';
import type { Program } from './program.js';

export interface Peer {
  /** Closed together with the program. */
  readonly overlay: Overlay;
  readonly channel: OnionMessageChannel;
  /** Undefined: the directories of the settings are used. */
  readonly choice: DirectoryChoice | undefined;
  /** Rejects when serving failed before it ever succeeded; never resolves. */
  readonly failed: Promise<never>;
}

/** Starts the audit of a peer's directories; the evidence is stored in the data directory. */
export async function startAudit(
  { settings, log, shutdown }: Program,
  channel: OnionMessageChannel,
): Promise<DirectoryAuditRole> {
  const path = join(settings.datadir, EVIDENCE_FILE);
  const audit = await startDirectoryAudit({ channel, clock: systemClock, log, path });
  shutdown.onStop('directory audit', () => audit.close());
  return audit;
}

/** The bitcoin node of the settings, which values bonds; undefined without one. It may be down. */
export function openBonds({ settings, log, shutdown }: Program): BondChain | undefined {
  const chain = openBondChain({ settings, clock: systemClock, log });
  if (chain !== undefined) shutdown.onStop('bitcoin node', () => chain.close());
  return chain;
}

/**
 * Opens a peer with the directories of the settings. Rejects with the error of the overlay.
 * @param passive never opens direct links (a watcher)
 */
export async function openPeer(
  { settings, log, shutdown }: Program,
  serves: boolean,
  passive = false,
): Promise<Peer> {
  useFastCurves();
  const tools = { clock: systemClock, random: Math.random, log };
  const opened = await openOverlay({ settings, serves, ...tools, signal: shutdown.signal });
  shutdown.onStop('overlay', () => opened.close());
  const choice = await openChoice({ settings, ...tools, overlay: opened.overlay });
  if (choice) shutdown.onStop('choice of directories', () => choice.close());
  const chosen = chosenDirectories(settings, choice, serves);
  const channel = openChannels({
    network: settings.network,
    ...chosen.options,
    directoryCodes: settings.admission.directoryCodes,
    overlay: opened.overlay,
    newNickKey: () => createNickKey(randomBytes),
    sameNick: settings.onion.lokinet?.sameNick ?? false,
    serve: serves,
    passive,
    ...tools,
  });
  shutdown.onStop('message channel', () => channel.close());
  chosen.follow(channel);

  let served = false;
  channel.on('served', () => (served = true));
  const failed = new Promise<never>((_, reject) => {
    channel.on('serve-failed', ({ error }) => {
      if (!served) reject(error);
    });
  });
  // Without a listener a rejection would end the process.
  failed.catch(() => {});
  return { overlay: opened.overlay, channel, choice, failed };
}
