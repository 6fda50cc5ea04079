/** The network side of a coinjoin: overlay, channel and offers, opened for one command and closed with it. */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { openMessageChannel } from '../../channel/message-channel.js';
import type { Log } from '../../channel/log.js';
import type { Settings } from '../../config/settings.js';
import { openOverlay } from '../../overlay/factory/open-overlays.js';
import { systemClock } from '../../overlay/system-clock.js';
import { createNickKey } from '../../protocol/nick.js';
import { CoinjoinTaker } from '../../roles/coinjoin.js';
import { EVIDENCE_FILE, startDirectoryAudit } from '../../roles/directory-audit.js';
import type { OnionMessageChannel } from '../../channel/message-channel.js';
import { unixTime, type Session } from '../wallet/session.js';

/** The opened parts. */
export interface TakerPeer {
  readonly taker: CoinjoinTaker;
  readonly channel: OnionMessageChannel;
}

/** Closes in the opposite order of opening; each is awaited, also after an error of another one. */
class Closers {
  readonly #closers: (() => void | Promise<void>)[] = [];

  add(close: () => void | Promise<void>): void {
    this.#closers.unshift(close);
  }

  async close(): Promise<void> {
    for (const close of this.#closers) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      await close();
    }
  }
}

/**
 * Opens overlay and channel, and begins to collect offers; closes them after `run`. `settings` are those of
 * a taker.
 */
export async function withTakerPeer<T>(
  { wallet, chain, signal }: Pick<Session, 'wallet' | 'chain' | 'signal'>,
  settings: Settings,
  log: Log,
  run: (peer: TakerPeer) => Promise<T>,
): Promise<T> {
  const closers = new Closers();
  const tools = { clock: systemClock, random: Math.random, log };
  try {
    const opened = await openOverlay({ settings, serves: false, ...tools, signal });
    closers.add(() => opened.close());
    const channel = openMessageChannel({
      network: settings.network,
      directories: settings.onion.directoryNodes,
      overlay: opened.overlay,
      nickKey: createNickKey(randomBytes),
      serve: false,
      ...tools,
    });
    closers.add(() => channel.close());
    const path = join(settings.datadir, EVIDENCE_FILE);
    const audit = await startDirectoryAudit({ channel, clock: systemClock, log, path });
    closers.add(() => audit.close());
    const taker = await CoinjoinTaker.open({
      wallet,
      chain,
      channel,
      settings,
      unixTime,
      randomBytes: (length) => randomBytes(length),
      audit,
      ...tools,
    });
    closers.add(() => taker.close());
    return await run({ taker, channel });
  } finally {
    await closers.close();
  }
}
