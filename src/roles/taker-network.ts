/** The network side of a taker with a wallet, as the settings have it: overlay, channel, audit, offers. */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { openChannels } from '../channel/channel-set.js';
import type { OnionMessageChannel } from '../channel/message-channel.js';
import type { Log } from '../channel/log.js';
import type { Chain } from '../chain/ports.js';
import type { Settings } from '../config/settings.js';
import { openOverlay } from '../overlay/factory/open-overlays.js';
import { systemClock } from '../overlay/system-clock.js';
import { createNickKey } from '../protocol/nick.js';
import type { Wallet } from '../wallet/wallet.js';
import { CoinjoinTaker } from './coinjoin.js';
import { chosenDirectories, openChoice } from './directories/from-settings.js';
import { EVIDENCE_FILE, startDirectoryAudit } from './directory-audit.js';
import { useFastCurves } from './fast-curves.js';

/** What it needs. The caller closes wallet and chain afterwards. */
export interface TakerNetworkOptions {
  readonly wallet: Wallet;
  readonly chain: Chain;
  /** Those of a taker. */
  readonly settings: Settings;
  readonly log: Log;
  /** Unix seconds. */
  readonly unixTime: () => number;
  /** Aborts the opening only. */
  readonly signal: AbortSignal;
  /** Whether coinjoins of earlier runs are continued. Default true; a dry run does not. */
  readonly resumes?: boolean | undefined;
}

/** The opened parts. */
export interface TakerNetwork {
  readonly taker: CoinjoinTaker;
  readonly channel: OnionMessageChannel;
  /** Leaves the network. */
  close(): Promise<void>;
}

/** Opens overlay and channel under a fresh nick, and begins to collect offers. Nothing stays open on failure. */
export async function openTakerNetwork(options: TakerNetworkOptions): Promise<TakerNetwork> {
  const { wallet, chain, settings, log, unixTime, signal, resumes } = options;
  const closers: (() => void | Promise<void>)[] = [];
  const close = async (): Promise<void> => {
    for (const each of closers.splice(0).toReversed()) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      await each();
    }
  };
  useFastCurves();
  const tools = { clock: systemClock, random: Math.random, log };
  try {
    const opened = await openOverlay({ settings, serves: false, ...tools, signal });
    closers.push(() => opened.close());
    signal.throwIfAborted();
    const choice = await openChoice({ settings, overlay: opened.overlay, ...tools });
    if (choice) closers.push(() => choice.close());
    const chosen = chosenDirectories(settings, choice, false);
    const channel = openChannels({
      network: settings.network,
      ...chosen.options,
      directoryCodes: settings.admission.directoryCodes,
      overlay: opened.overlay,
      newNickKey: () => createNickKey(randomBytes),
      sameNick: settings.onion.lokinet?.sameNick ?? false,
      serve: false,
      ...tools,
    });
    closers.push(() => channel.close());
    chosen.follow(channel);
    const path = join(settings.datadir, EVIDENCE_FILE);
    const audit = await startDirectoryAudit({ channel, clock: systemClock, log, path });
    closers.push(() => audit.close());
    const taker = await CoinjoinTaker.open({
      wallet,
      chain,
      channel,
      settings,
      unixTime,
      randomBytes: (length) => randomBytes(length),
      audit,
      resumes,
      ...tools,
    });
    closers.push(() => taker.close());
    return { taker, channel, close };
  } catch (error) {
    await close();
    throw error;
  }
}
