/**
 * An orderbook watcher: a passive peer that keeps the orderbook and shows it on a page. It serves no
 * onion, opens no direct link, and sends only `!orderbook`.
 */
import type { Log } from '../channel/log.js';
import type { OnionMessageChannel } from '../channel/message-channel.js';
import type { Clock, Random } from '../channel/ports.js';
import type { PageAccess } from '../http/page.js';
import type { Health } from '../http/health.js';
import type { BondChainView, LiveBook } from '../orderbook/book-api.js';
import { openLiveBook, type BookAudit } from '../orderbook/live-book.js';
import type { Network } from '../protocol/constants.js';
import type { BondPolicy } from '../protocol/fidelity-bond.js';
import { startOrderbookServer } from '../web/server.js';

/** Options of an orderbook watcher. */
export interface WatcherOptions {
  /** Must be open with `passive: true` and `serve: false`. The caller closes it. */
  readonly channel: OnionMessageChannel;
  /** Shown on the page. */
  readonly network: Network;
  /** The address of the page; port 0 = any free port. */
  readonly page: {
    /** Address on which the page is served. */
    readonly host: string;
    /** Port of the page; 0 takes any free one. */
    readonly port: number;
    /** Further names of the page, as `canonicalHost` gives them. */
    readonly hosts?: readonly string[];
    /** Who may read it, by the Authorization header; absent = everybody who reaches the address. */
    readonly door?: PageAccess | undefined;
  };
  /** The time of all timers. */
  readonly clock: Clock;
  /** For random waits. */
  readonly random: Random;
  /** Receives the log lines of the watcher. */
  readonly log: Log;
  /** A bitcoin node; without one, bonds have no value. */
  readonly chain?: BondChainView | undefined;
  /** How bonds are valued; default as in deployed peers. */
  readonly bondPolicy?: BondPolicy;
  /** Compares directories; the caller closes it. */
  readonly audit?: BookAudit;
}

/** A running orderbook watcher. */
export interface Watcher {
  /** The orderbook that the page shows. */
  readonly book: LiveBook;
  /** Address of the page. */
  readonly url: string;
  /** Ok while a directory is connected. */
  health(): Health;
  /** Closes the page and the book. */
  stop(): Promise<void>;
}

/** Rejects with a PageAddressError when the page's address is taken or unusable. */
export async function startWatcher(options: WatcherOptions): Promise<Watcher> {
  const { channel, network, page, clock, random, log, chain, bondPolicy, audit } = options;
  const book = openLiveBook({
    channel,
    clock,
    random,
    log,
    ...(chain && { chain }),
    ...(bondPolicy && { bondPolicy }),
    ...(audit && { audit }),
  });
  const health = (): Health =>
    channel.directories().some(({ state }) => state === 'up')
      ? { ok: true }
      : { ok: false, reason: 'no directory is up' };
  try {
    const server = await startOrderbookServer({
      ...page,
      book,
      network,
      health,
      clock,
      log,
    });
    return {
      book,
      url: server.url,
      health,
      async stop() {
        book.close();
        await server.close();
      },
    };
  } catch (error) {
    book.close();
    throw error;
  }
}
