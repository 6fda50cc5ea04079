/**
 * The face of the message channel: what the library exports of it and what roles are written against.
 */
import type { EventEmitter } from 'eventemitter3';
import type { Command, CommandName } from '../protocol/commands.js';
import type { Network } from '../protocol/constants.js';
import type { DeclaredLocation, Location } from '../protocol/location.js';
import type { PrivateMessage } from '../protocol/message.js';
import type { NickAuthMode } from '../protocol/nick-auth.js';
import type { NickKey } from '../protocol/nick.js';
import type { ChannelLimits, ChannelTimings } from './channel-settings.js';
import type { Log } from './log.js';
import type { Clock, Overlay, Random, ServiceState } from './ports.js';

/** The way a private message went: straight to the peer, or through a directory. */
export type Route =
  { readonly kind: 'direct' } | { readonly kind: 'directory'; readonly location: Location };

/**
 * A public message. Nothing proves who wrote it: `from` is the directory's word (docs/protocol.md,
 * section 7.4). `text` is what follows `from!PUBLIC!`, without a leading `!`.
 */
export interface PublicMessage {
  readonly from: string;
  readonly text: string;
  readonly commands: readonly Command[];
  /** The directory that delivered it first. */
  readonly directory: Location;
}

/** A private message to us; signature and nick were verified. */
export interface ReceivedPrivateMessage extends PrivateMessage {
  readonly route: Route;
}

/** An `!orderbook` over a direct link: only the other end of the link heard it. */
export interface OrderbookRequest {
  /** The peer's word. */
  readonly from: string;
  /**
   * Signs and sends one private message over that very link, whether its nick is proven or not. False
   * when the link does not take it. Throws ChannelError on misuse.
   */
  answer(command: CommandName, args: string): boolean;
}

/** One arrival of a message, copies included. */
export interface Arrival {
  readonly from: string;
  /** The directory it came through; undefined for a direct link. */
  readonly directory: Location | undefined;
  /** Signed by `from` and addressed to us; a public one is the directory's word. */
  readonly private: boolean;
  /** Stands for the payload, whichever way it comes. */
  readonly id: string;
  /** Undefined for a copy of a message that was told within the last 30 s. */
  readonly commands: readonly Command[] | undefined;
  /** The same payload was never heard before, as far as that is remembered. */
  readonly neverHeard: boolean;
}

/** Compares the ways messages come. Told before the events of the same message. */
export interface ChannelObserver {
  arrived(arrival: Arrival): void;
  /** A directory says that the nick left it. */
  left(nick: string, directory: Location): void;
}

/** Whether messages to `nick` should rather not go through this directory (`host:port`). */
export type AvoidDirectory = (directory: string, nick: string) => boolean;

export interface DirectoryUp {
  readonly location: Location;
  readonly nick: string;
  /** At most 2,000 characters; what could steer a terminal or page is written as `\uXXXX`, line feeds stay. */
  readonly motd: string;
  readonly features: readonly string[];
  /** From the start of the dial to the directory's 795, in milliseconds. */
  readonly tookMs: number;
}

export interface DirectoryDown {
  readonly location: Location;
  /** One line for a person: why the dial failed, or the connection ended. */
  readonly reason: string;
  /** Milliseconds until the next attempt; undefined when the channel is closing. */
  readonly retryInMs: number | undefined;
}

export interface MessageChannelEvents {
  /**
   * Fires once: when all directories are up, or after 60 s with at least one, or later (`late`) as
   * soon as the first one comes. `directories` are up now.
   */
  welcome: (info: { readonly directories: number; readonly late: boolean }) => void;
  /** A copy that came through a second directory is not told again. */
  pubmsg: (message: PublicMessage) => void;
  privmsg: (message: ReceivedPrivateMessage) => void;
  /** Every directory that showed this nick said it left, or is lost; and no direct link lives. */
  'peer-gone': (nick: string) => void;
  'directory-up': (info: DirectoryUp) => void;
  /** A session ended, or an attempt to begin one failed. */
  'directory-down': (info: DirectoryDown) => void;
  /** A peer asks for our offers over its direct link. */
  'orderbook-asked': (request: OrderbookRequest) => void;
  /** The nick is the peer's word until a message of it is verified. */
  'direct-up': (info: { readonly nick: string }) => void;
  /** The last direct link with this nick ended. */
  'direct-down': (info: { readonly nick: string }) => void;
  /** We accept connections at this location; directories are dialled from now on. */
  served: (location: Location) => void;
  'service-state': (state: ServiceState) => void;
  /** We could not begin to serve; tried again, unless the channel is closed. */
  'serve-failed': (info: { readonly error: Error; readonly retryInMs: number }) => void;
  /** `close` is done; no further event follows. */
  stopped: () => void;
}

export type MessageChannelEvent = keyof MessageChannelEvents;
export type MessageChannelListener<E extends MessageChannelEvent> = EventEmitter.EventListener<
  MessageChannelEvents,
  E
>;

export interface MessageChannelOptions {
  readonly network: Network;
  /** Directories to connect to; doubles are ignored. */
  readonly directories: readonly Location[];
  /** Stays the caller's to close. */
  readonly overlay: Overlay;
  readonly nickKey: NickKey;
  /** Whether we prove our nick to directories that ask for it (default `prefer_verified`). */
  readonly nickAuth?: NickAuthMode;
  /** Whether peers can connect to us; a maker serves, a taker or watcher does not. */
  readonly serve: boolean;
  /** A watcher: never opens direct links. */
  readonly passive?: boolean;
  /**
   * Whether our handshakes offer `neutrino_compat`: coinjoins of this nick tell and take scripts and
   * heights of coins. By default every peer offers it but a passive one, which takes part in none.
   */
  readonly neutrinoCompat?: boolean;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly timings?: Partial<ChannelTimings>;
  readonly limits?: Partial<ChannelLimits>;
}

export type SendResult =
  | {
      /**
       * Given to the connection. What went straight and may not have arrived (the link died, or in
       * 3 s nothing proved whose it is) goes by a directory too.
       */
      readonly sent: true;
      readonly route: Route;
    }
  | { readonly sent: false; readonly reason: SendRefusal };

export type SendRefusal =
  /** The nick is our own. */
  | 'self'
  /** No direct link, and no connected directory has shown the nick. */
  | 'no-route'
  /** The channel is closed or closing. */
  | 'closed';

/** What is known of a peer. Nothing of it is proven. */
export interface PeerInfo {
  readonly nick: string;
  /** Undefined until a directory told it. */
  readonly location: DeclaredLocation | undefined;
  /** Names that a directory listed, or that its handshake on a usable direct link offered; sorted. */
  readonly features: readonly string[];
  /** Connected directories that relayed a message of it or list it. */
  readonly directories: readonly Location[];
  /** Whether the next message to it goes straight. */
  readonly direct: boolean;
}

export type DirectoryState =
  /** Not dialled yet, or waiting for the next attempt. */
  'waiting' | 'connecting' | 'handshaking' | 'up';

export interface DirectoryInfo {
  readonly location: Location;
  readonly state: DirectoryState;
  /** Of the last accepted handshake; kept while the directory is down. */
  readonly nick: string | undefined;
  readonly motd: string;
  readonly features: readonly string[];
  /** How long the current session has been up, in milliseconds. */
  readonly upForMs: number | undefined;
  /** Milliseconds until the next attempt, while waiting. */
  readonly retryInMs: number | undefined;
  /** Why the last session or attempt ended. */
  readonly lastReason: string | undefined;
}

/**
 * One peer's side of the network: directories, direct links and routing. It keeps the process alive
 * until `close`, also while no directory can be reached.
 */
export interface OnionMessageChannel {
  readonly nick: string;
  /** NOT_SERVING until `served`. */
  readonly location: DeclaredLocation;
  /** Whether `welcome` was told. */
  readonly welcomed: boolean;
  /**
   * Listeners run synchronously. What a listener throws surfaces as an uncaught exception and never
   * disturbs the channel.
   */
  on<E extends MessageChannelEvent>(event: E, listener: MessageChannelListener<E>): void;
  once<E extends MessageChannelEvent>(event: E, listener: MessageChannelListener<E>): void;
  off<E extends MessageChannelEvent>(event: E, listener: MessageChannelListener<E>): void;
  /**
   * Says `text` (public commands, no leading `!`, e.g. `orderbook`) to everybody, through every
   * directory that is up. Paced per directory below the limits of deployed directories: what is
   * above waits in a bounded queue, also through a directory's absence of up to 10 minutes (1 for an
   * `orderbook`). With `to`, one of the channel's directories, only through that one. `sentTo` counts
   * the directories that took it. Throws ChannelError on misuse.
   */
  publish(text: string, to?: Location): { readonly sentTo: number };
  /**
   * Signs and sends one private message. `args` is all behind the command word; it may hold further
   * commands (`0 1 2!tbond x`). What a direct link cannot take at once goes by a directory, so two
   * messages may change places. Receivers tell the same text within 30 s only once. `by`, one of the
   * channel's directories, is tried first where it shows the nick: to answer there what the nick said
   * there, since somebody else may call itself so elsewhere. Throws ChannelError on misuse.
   */
  send(nick: string, command: CommandName, args: string, by?: Location): SendResult;
  /**
   * Signs one private message and sends it through each of these directories of the channel, where it
   * is up, so that none alone can withhold it; receivers tell it once. `copies` counts the directories
   * that took it; none of them is replaced by another way. Throws ChannelError on misuse.
   */
  sendThrough(
    nick: string,
    command: CommandName,
    args: string,
    directories: readonly Location[],
  ): { readonly copies: number };
  /** Opens a direct link now. False when that is not possible; never rejects. */
  connectTo(nick: string): Promise<boolean>;
  peers(): readonly PeerInfo[];
  /** One of them. */
  peer(nick: string): PeerInfo | undefined;
  /** Adds an observer; returns its removal. What it throws surfaces as an uncaught exception. */
  observe(observer: ChannelObserver): () => void;
  /**
   * From now on, directories for which this is true are used only where no other shows the nick.
   * Replaces what was set before; `undefined` ends it.
   */
  avoidDirectories(avoid: AvoidDirectory | undefined): void;
  directories(): readonly DirectoryInfo[];
  /** Ends every connection and withdraws the service. Safe to call twice; never rejects. */
  close(): Promise<void>;
}
