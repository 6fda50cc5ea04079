/** What the library exports; nothing else. */
import { openChannel } from './roles/library.js';
import { startDirectoryNode } from './roles/directory-node.js';
import type { OnionMessageChannel as Channel } from './channel/message-channel.js';
import type { DirectoryNode as Node } from './roles/directory-node.js';

/** A peer's side of the network: `OnionMessageChannel.open({ ... })`. */
export const OnionMessageChannel = { open: openChannel };
export type OnionMessageChannel = Channel;

/** A directory: `await DirectoryNode.start({ ... })`. */
export const DirectoryNode = { start: startDirectoryNode };
export type DirectoryNode = Node;

// Peers and directories
export { torOverlay, type ChannelOptions, type TorOptions } from './roles/library.js';
export { createLoopbackOverlay, type LoopbackOverlayOptions } from './overlay/loopback.js';
export { createTorOverlay, type TorOverlayOptions, type TorServing } from './overlay/tor.js';
export { systemClock } from './overlay/system-clock.js';
export { ChannelError } from './channel/message-channel.js';
export type {
  ChannelErrorCode,
  ChannelLimits,
  ChannelTimings,
  DirectoryDown,
  DirectoryInfo,
  DirectoryUp,
  MessageChannelEvents,
  MessageChannelOptions,
  PeerInfo,
  PublicMessage,
  ReceivedPrivateMessage,
  Route,
  SendResult,
} from './channel/message-channel.js';
export type { DirectoryNodeOptions } from './roles/directory-node.js';
export { DEFAULT_LIMITS, type DirectoryLimits } from './directory/limits.js';
export type { DirectoryStats } from './directory/stats.js';
export { startMaker, type Maker, type MakerOptions } from './roles/maker.js';
export {
  startTaker,
  NoAnswerError,
  type Answer,
  type Taker,
  type TakerOptions,
} from './roles/taker.js';
export {
  createOrderbook,
  type BookOffer,
  type Orderbook,
  type Provenance,
} from './orderbook/book.js';
export type * from './channel/ports.js';
export { silentLog, type Log, type LogFields } from './channel/log.js';

// Tor
export { connectControl, controlClientOver, type ControlClient } from './tor/control-client.js';
export { parseControlEndpoint, type ControlEndpoint } from './tor/control-endpoint.js';
export { startOnionService, type OnionIdentity, type OnionService } from './tor/onion-service.js';
export { loadOrCreateOnionKey, readOnionKey, type OnionKey } from './tor/key-folder.js';
export { startTorProcess, type TorProcess } from './tor/tor-process.js';
export { SocksError } from './tor/socks-error.js';
export { TorError } from './tor/tor-error.js';

// The protocol: bytes and strings in, typed values out
export * from './protocol/constants.js';
export * from './protocol/commands.js';
export * from './protocol/envelope.js';
export * from './protocol/handshake.js';
export * from './protocol/line-framer.js';
export * from './protocol/location.js';
export * from './protocol/message.js';
export * from './protocol/nick.js';
export * from './protocol/offer.js';
export * from './protocol/peerlist.js';
export * from './protocol/signature.js';
export type { Parsed } from './protocol/result.js';
