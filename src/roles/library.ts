/**
 * Shortcuts for developers: a channel or a directory with default parts. Every default can be replaced.
 */
import { randomBytes } from 'node:crypto';
import { silentLog } from '../channel/log.js';
import {
  openMessageChannel,
  type MessageChannelOptions,
  type OnionMessageChannel,
} from '../channel/message-channel.js';
import type { Overlay } from '../channel/ports.js';
import { systemClock } from '../overlay/system-clock.js';
import { openLiveBook, type LiveBookOptions, type OpenLiveBook } from '../orderbook/live-book.js';
import { createTorOverlay } from '../overlay/tor.js';
import { parseLocation, type Location } from '../protocol/location.js';
import { createNickKey } from '../protocol/nick.js';
import { connectControl } from '../tor/control/client.js';
import { parseControlEndpoint } from '../tor/control/endpoint.js';
import { loadOrCreateOnionKey } from '../tor/onion/key-folder.js';
import type { OnionIdentity } from '../tor/onion/service.js';
import { useFastCurves } from './fast-curves.js';

/** The options of `OnionMessageChannel.open`; only `network` and `directories` are required. */
export interface ChannelOptions
  extends
    Pick<MessageChannelOptions, 'network'>,
    Partial<Omit<MessageChannelOptions, 'network' | 'directories'>> {
  /** Directories to connect to, `host:port` each. */
  readonly directories: readonly (string | Location)[];
}

function locationOf(directory: string | Location): Location {
  if (typeof directory !== 'string') return directory;
  const parsed = parseLocation(directory);
  if (parsed.ok) return parsed.value;
  throw new RangeError(
    `not a directory's location: ${directory} (${parsed.reason}); give <56 characters>.onion:5222`,
  );
}

/**
 * Opens a message channel with a new nick. Without `overlay` it dials through Tor's SOCKS port at
 * 127.0.0.1:9050. To `serve`, pass an overlay that can (`torOverlay`). Throws a RangeError for an
 * invalid location, a ChannelError without directories.
 */
export function openChannel(options: ChannelOptions): OnionMessageChannel {
  useFastCurves();
  return openMessageChannel({
    ...options,
    directories: options.directories.map(locationOf),
    overlay: options.overlay ?? torOverlay(),
    nickKey: options.nickKey ?? createNickKey(randomBytes),
    serve: options.serve ?? false,
    clock: options.clock ?? systemClock,
    random: options.random ?? Math.random,
    log: options.log ?? silentLog,
  });
}

/** Where a running Tor is, and what it serves. */
export interface TorOptions {
  /** Tor's SOCKS port (default 127.0.0.1:9050). */
  readonly socks?: {
    /** Host of the SOCKS port. */
    readonly host: string;
    /** Port of the SOCKS port. */
    readonly port: number;
  };
  /** Tor's control port, or `unix:/path` as host; needed only to serve (default 127.0.0.1:9051). */
  readonly control?: {
    /** Host of the control port, or `unix:/path`. */
    readonly host: string;
    /** Port of the control port (default 9051). */
    readonly port?: number;
    /** The password whose hash is in Tor's `HashedControlPassword`. */
    readonly password?: string | undefined;
  };
  /**
   * The local listening address when serving; port 0 takes any free port (the default). With a Tor on
   * another machine it must be an address that Tor can reach, or `0.0.0.0`.
   */
  readonly listen?: {
    /** Address on which the program listens. */
    readonly host: string;
    /** Port on which the program listens; 0 takes any free one. */
    readonly port: number;
  };
  /** The host at which Tor reaches that listener; by default found out from the control connection. */
  readonly targetHost?: string | undefined;
  /**
   * Folder of the onion's key, created when missing. Without it the onion lives as long as the process.
   */
  readonly hiddenServiceDir?: string | undefined;
}

/** An overlay over a running Tor; serves through its control port. */
export function torOverlay(options: TorOptions = {}): Overlay {
  const { socks = { host: '127.0.0.1', port: 9050 }, hiddenServiceDir } = options;
  const { host, port = 9051, password } = options.control ?? { host: '127.0.0.1' };
  const endpoint = parseControlEndpoint(host, port);
  const overlayWith = (identity: OnionIdentity): Overlay =>
    createTorOverlay({
      socks: { kind: 'tcp', ...socks },
      serving: {
        kind: 'control',
        identity,
        listen: options.listen ?? { host: '127.0.0.1', port: 0 },
        targetHost: options.targetHost,
        selfTestRounds: true,
        connectControl: (signal) =>
          connectControl({ endpoint, signal, ...(password === undefined ? {} : { password }) }),
      },
    });
  const dialer = overlayWith({ kind: 'ephemeral' });
  if (hiddenServiceDir === undefined) return dialer;
  return {
    ...dialer,
    async serve(onConnection, serveOptions) {
      const { key } = await loadOrCreateOnionKey(hiddenServiceDir);
      return overlayWith({ kind: 'persistent', key }).serve(onConnection, serveOptions);
    },
  };
}

/**
 * Opens a live orderbook on a channel. It asks for offers as soon as directories are connected, and
 * again every ten minutes. `change` reports what was added and removed, at most four times a second. A
 * channel may have several books. Throws nothing; `close` ends the book and leaves the channel open.
 */
export function openLiveOrderbook(
  channel: OnionMessageChannel,
  options: Partial<Omit<LiveBookOptions, 'channel'>> = {},
): OpenLiveBook {
  return openLiveBook({
    channel,
    clock: systemClock,
    random: Math.random,
    log: silentLog,
    ...options,
  });
}
