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
export {
  openLiveOrderbook,
  torOverlay,
  type ChannelOptions,
  type TorOptions,
} from './roles/library.js';
export { createLoopbackOverlay, type LoopbackOverlayOptions } from './overlay/loopback.js';
export { createTorOverlay, type TorOverlayOptions, type TorServing } from './overlay/tor.js';
export { systemClock } from './overlay/system-clock.js';
export { ChannelError } from './channel/message-channel.js';
export type {
  Arrival,
  AvoidDirectory,
  ChannelErrorCode,
  ChannelLimits,
  ChannelObserver,
  ChannelTimings,
  DirectoryDown,
  DirectoryInfo,
  DirectoryState,
  DirectoryUp,
  MessageChannelEvents,
  MessageChannelOptions,
  PeerInfo,
  PublicMessage,
  ReceivedPrivateMessage,
  Route,
  SendRefusal,
  SendResult,
} from './channel/message-channel.js';
export type { DirectoryNodeOptions } from './roles/directory-node.js';
export { DEFAULT_LIMITS, type DirectoryLimits } from './directory/limits.js';
export type {
  CloseReason,
  Counters,
  DirectoryStats,
  DropReason,
  MessageClass,
  RejectionReason,
} from './directory/stats.js';
export {
  startMaker,
  type Maker,
  type MakerBond,
  type MakerCoinjoins,
  type MakerOptions,
} from './roles/maker.js';
export {
  BondFileError,
  readBondFile,
  type BondFileFault,
  type BondFileOptions,
} from './ops/bond-file.js';
export {
  startTaker,
  NoAnswerError,
  type Answer,
  type Taker,
  type TakerEvents,
  type TakerOptions,
} from './roles/taker.js';

export { startWatcher, type Watcher, type WatcherOptions } from './roles/watcher.js';
export { PageAddressError } from './web/server.js';
export type * from './web/book-json.js';
export type { Health } from './ops/status-server.js';

// The orderbook, and what its directories make of it
export {
  createOrderbook,
  type BookLimits,
  type BookOffer,
  type BookWatcher,
  type Orderbook,
  type Provenance,
} from './orderbook/book.js';
export {
  openLiveBook,
  type BookAudit,
  type LiveBookOptions,
  type OpenLiveBook,
} from './orderbook/live-book.js';
export type { BondLimits } from './orderbook/bonds.js';
export type * from './orderbook/book-api.js';
export { createAudit, type Audit, type AuditLimits, type AuditOptions } from './audit/audit.js';
export {
  startDirectoryAudit,
  type DirectoryAuditOptions,
  type DirectoryAuditRole,
} from './roles/directory-audit.js';

// The seams
export type * from './channel/ports.js';
export { silentLog, type Log, type LogFields } from './channel/log.js';

// What a joinmarket.cfg says: settings, and what each part makes of them
export {
  CONFIG_FILE_NAME,
  loadSettings,
  peekSettings,
  type Loaded,
  type LoadOptions,
  type Peeked,
  type Role,
  type Settings,
} from './config/settings.js';
export { ConfigError, type ConfigFault } from './config/config-error.js';
export {
  blacklistOptions,
  bondFilePath,
  bondPolicy,
  choicePolicy,
  commitmentListPath,
  doorLimits,
  makerPolicy,
  sessionLimits,
  takerPolicy,
} from './roles/negotiation-settings.js';

// Coinjoins: give a wallet and a chain, get a transaction
export {
  runCoinjoin,
  type CoinjoinOptions,
  type RoundProgress,
} from './negotiation/taker/coinjoin.js';
export {
  chooseMakers,
  DEFAULT_BONDLESS_MAKERS_ALLOWANCE,
  type ChoicePolicy,
  type MakerChoice,
  type OfferOfMaker,
} from './negotiation/taker/choose-makers.js';
export type * from './negotiation/ports.js';
export { DEFAULT_FEE_POLICY, feeFor, makerCost, type FeePolicy } from './negotiation/taker/fees.js';
export { TAKER_DUST } from './negotiation/taker/transaction.js';
export {
  DEFAULT_TAKER_POLICY,
  type Candidate,
  type LegFailure,
  type LegFault,
  type LegStep,
  type MakerReport,
  type RoundFault,
  type RoundResult,
  type TakerPolicy,
} from './negotiation/taker/api.js';
export {
  DEFAULT_MAKER_POLICY,
  type MakerFault,
  type MakerOutcome,
  type MakerPolicy,
  type MakerStep,
} from './negotiation/maker/api.js';
export { DEFAULT_DOOR_LIMITS, type DoorLimits } from './negotiation/maker/request-limits.js';
export { DEFAULT_SESSION_LIMITS, type SessionLimits } from './negotiation/maker/sessions.js';
export type { BlacklistOptions } from './negotiation/maker/blacklist.js';
export {
  createCommitmentRelay,
  DEFAULT_RELAY_LIMITS,
  type CommitmentRelay,
  type CommitmentRelayOptions,
  type RelayLimits,
} from './negotiation/maker/commitment-relay.js';
export { announceCommitment, type AnnounceOptions } from './roles/announce-commitment.js';
export { openCommitmentFile, type CommitmentFile } from './ops/commitment-file.js';
export {
  addressScript,
  parseUnsigned,
  signatureFits,
  type InputSignature,
  type SpentOutput,
  type TransactionFault,
  type TransactionInput,
  type TransactionOutput,
  type UnsignedTransaction,
} from './negotiation/transaction.js';

// Tor
export {
  connectControl,
  controlClientOver,
  type CommandOptions,
  type ConnectControlOptions,
  type ControlClient,
} from './tor/control/client.js';
export type { Reply } from './tor/control/reply.js';
export type { SocksEndpoint } from './tor/socks/dialer.js';
export type { PowQueue } from './tor/onion/add-onion.js';
export type { ListenAddress } from './overlay/listen.js';
export { parseControlEndpoint, type ControlEndpoint } from './tor/control/endpoint.js';
export {
  startOnionService,
  type OnionIdentity,
  type OnionService,
  type OnionServiceOptions,
} from './tor/onion/service.js';
export {
  loadOrCreateOnionKey,
  readOnionKey,
  type KeyOwner,
  type OnionKey,
} from './tor/onion/key-folder.js';
export {
  startTorProcess,
  type TorProcess,
  type TorProcessOptions,
} from './tor/process/tor-process.js';
export { SocksError, type SocksErrorCode } from './tor/socks/error.js';
export {
  TorError,
  type TorErrorDetails,
  type TorFault,
  type TorRemedy,
  type TorStep,
} from './tor/tor-error.js';

// The protocol: bytes and strings in, typed values out
export * from './protocol/constants.js';
export * from './protocol/commands.js';
export * from './protocol/encryption.js';
export * from './protocol/envelope.js';
export * from './protocol/fidelity-bond.js';
export * from './protocol/own-bond.js';
export * from './protocol/handshake.js';
export * from './protocol/line-framer.js';
export * from './protocol/location.js';
export * from './protocol/message.js';
export * from './protocol/nick.js';
export * from './protocol/nick-auth.js';
export * from './protocol/offer.js';
export * from './protocol/outpoint.js';
export * from './protocol/peerlist.js';
export * from './protocol/podle.js';
export * from './protocol/signature.js';
export type { Parsed } from './protocol/result.js';
