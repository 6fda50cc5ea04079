/**
 * `onionmc`: peers, directories, the orderbook and the settings of a program that runs them. Each name is
 * exported by one entry only; the others are `onionmc/protocol`,
 * `onionmc/negotiation`, `onionmc/coinjoin` and `onionmc/tor`.
 */
import { openChannel } from './roles/library.js';
import { startDirectoryNode } from './roles/directory-node.js';
import type { OnionMessageChannel as Channel } from './channel/channel-api.js';
import type { DirectoryNode as Node } from './roles/directory-node.js';

/** A peer's side of the network: `OnionMessageChannel.open({ ... })`. */
export const OnionMessageChannel = {
  /** Opens a channel; see `ChannelOptions`. Throws a RangeError or a ChannelError for wrong options. */
  open: openChannel,
};
export type OnionMessageChannel = Channel;

/** A directory: `await DirectoryNode.start({ ... })`. */
export const DirectoryNode = {
  /** Starts a directory; see `DirectoryNodeOptions`. Rejects when it cannot be served. */
  start: startDirectoryNode,
};
export type DirectoryNode = Node;

// A peer's message channel
export type { ChannelOptions } from './roles/library.js';
export { ChannelError, type ChannelErrorCode } from './channel/channel-error.js';
export type { ChannelLimits, ChannelTimings } from './channel/channel-settings.js';
export type {
  Arrival,
  ChannelObserver,
  DirectoryDown,
  DirectoryInfo,
  DirectoryState,
  DirectoryUp,
  MessageChannelEvents,
  PeerInfo,
  PublicMessage,
  ReceivedPrivateMessage,
  Route,
  SendRefusal,
  SendResult,
} from './channel/channel-api.js';

// How bytes travel, and what else comes from outside
export { torOverlay, type TorOptions } from './roles/library.js';
export { createOverlaySet } from './overlay/overlay-set.js';
export { createLoopbackOverlay, type LoopbackOverlayOptions } from './overlay/loopback.js';
export { systemClock } from './overlay/system-clock.js';
export { silentLog, type Log } from './channel/log.js';
export type {
  Clock,
  Connection,
  ConnectionHandler,
  DialOptions,
  Overlay,
  Random,
  Served,
  ServeOptions,
  ServiceState,
} from './channel/ports.js';

// A directory
export type { DirectoryNodeOptions } from './roles/directory-node.js';
export { DEFAULT_LIMITS, type DirectoryLimits } from './directory/limits.js';
export type { DirectoryStats } from './directory/stats.js';
export type { Health } from './http/health.js';

// A maker and a taker
export {
  startMaker,
  type Maker,
  type MakerBond,
  type MakerCoinjoins,
  type MakerOptions,
} from './roles/maker.js';
export { BondFileError, readBondFile, type BondFileFault } from './ops/bond-file.js';
export {
  NoAnswerError,
  startTaker,
  type Answer,
  type Taker,
  type TakerEvents,
  type TakerOptions,
} from './roles/taker.js';

// The orderbook, and the page that shows it
export { openLiveOrderbook } from './roles/library.js';
export { openBondChain, type BondChain, type BondChainOptions } from './roles/bond-chain.js';
export type { LiveBookOptions, OpenLiveBook } from './orderbook/live-book.js';
export type {
  BondChainView,
  BondOutput,
  BondState,
  BookBond,
  BookChange,
  BookEntry,
  BookSnapshot,
  BookStatistics,
  DirectoryReport,
  LiveBook,
  LiveBookEvents,
} from './orderbook/book-api.js';
export { startWatcher, type Watcher, type WatcherOptions } from './roles/watcher.js';
export { PageAddressError } from './web/server.js';
export type { ChangeJson, OrderbookJson, StatisticsJson } from './web/book-json.js';

// The audit: which directory withholds messages
export { createAudit, type Audit, type AuditOptions } from './audit/audit.js';
export type { AuditFlag, DirectoryAudit, EvidenceRecord } from './orderbook/book-api.js';
export {
  startDirectoryAudit,
  type DirectoryAuditOptions,
  type DirectoryAuditRole,
} from './roles/directory-audit.js';

// The settings of a joinmarket.cfg
export {
  loadSettings,
  peekSettings,
  type Loaded,
  type LoadOptions,
  type Role,
  type Settings,
} from './config/settings.js';
export { ConfigError, type ConfigFault } from './config/config-error.js';
