/** The interface of the message channel, for the library and for roles. */
import type { EventEmitter } from 'eventemitter3';
import type { Command, CommandName } from '../protocol/commands.js';
import type { Network } from '../protocol/constants.js';
import type { DeclaredLocation, Location, LocationKind } from '../protocol/location.js';
import type { PrivateMessage } from '../protocol/message.js';
import type { NickAuthMode } from '../protocol/nick-auth.js';
import type { NickKey } from '../protocol/nick.js';
import type { ChannelLimits, ChannelTimings } from './channel-settings.js';
import type { Log } from './log.js';
import type { Clock, Overlay, Random, ServiceState } from './ports.js';

/** The route of a private message: on a direct link, or through a directory. */
export type Route =
  | {
      /** Whether it went over a direct link or through a directory. */
      readonly kind: 'direct';
    }
  | {
      /** Whether it went over a direct link or through a directory. */
      readonly kind: 'directory';
      /** The directory. */
      readonly location: Location;
    };

/**
 * A public message. Its author is not proven: only the directory vouches for `from` (docs/protocol.md,
 * section 7.4). `text` is what follows `from!PUBLIC!`, without a leading `!`.
 */
export interface PublicMessage {
  /** Nick of the sender, as the directory says. */
  readonly from: string;
  /** The commands as they were sent. */
  readonly text: string;
  /** The same, parsed. */
  readonly commands: readonly Command[];
  /** The directory that delivered it first. */
  readonly directory: Location;
}

/** A private message to us; signature and nick were verified. */
export interface ReceivedPrivateMessage extends PrivateMessage {
  /** How it came. */
  readonly route: Route;
}

/** An `!orderbook` on a direct link: only this channel received it. */
export interface OrderbookRequest {
  /** The peer's nick, not proven. */
  readonly from: string;
  /**
   * Signs and sends one private message on that link, whether its nick is proven or not. False when the
   * link does not take it. Throws ChannelError on misuse.
   */
  answer(command: CommandName, args: string): boolean;
}

/** One arrival of a message; copies are arrivals too. */
export interface Arrival {
  /** The sender's nick. */
  readonly from: string;
  /** The directory it came through; undefined for a direct link. */
  readonly directory: Location | undefined;
  /** Signed by `from` and addressed to us; a public message is not proven. */
  readonly private: boolean;
  /** Identifies the payload, whichever way it came. */
  readonly id: string;
  /** Undefined for a copy of a message that was reported within the last 30 s. */
  readonly commands: readonly Command[] | undefined;
  /** The same payload was not received before, as far as remembered. */
  readonly neverHeard: boolean;
}

/** Observes the routes of messages. Called before the events of the same message. */
export interface ChannelObserver {
  /** A message arrived, possibly as a copy. */
  arrived(arrival: Arrival): void;
  /** A directory announces that the nick left it. */
  left(nick: string, directory: Location): void;
}

/** Whether messages to `nick` should avoid this directory (`host:port`). */
export type AvoidDirectory = (directory: string, nick: string) => boolean;

/** A directory accepted our handshake. */
export interface DirectoryUp {
  /** The directory. */
  readonly location: Location;
  /** Its nick. */
  readonly nick: string;
  /** At most 2,000 characters; unsafe characters are written as `\uXXXX`, line feeds stay. */
  readonly motd: string;
  /** The names of its features, sorted. */
  readonly features: readonly string[];
  /** From the start of the dial to the directory's 795, in milliseconds. */
  readonly tookMs: number;
}

/** A session with a directory ended, or an attempt to start one failed. */
export interface DirectoryDown {
  /** The directory. */
  readonly location: Location;
  /** One line for a person: why the dial failed or the connection ended. */
  readonly reason: string;
  /** Milliseconds until the next attempt; undefined when the channel is closing. */
  readonly retryInMs: number | undefined;
}

/** The events of a message channel; each type is that of the listener. */
export interface MessageChannelEvents {
  /**
   * The channel is ready. Fires once: when all directories are connected, after 60 s with at least one,
   * or later (`late`) with the first one. `directories` is the number connected now.
   */
  welcome: (info: { readonly directories: number; readonly late: boolean }) => void;
  /** A copy from a second directory is not reported again. */
  pubmsg: (message: PublicMessage) => void;
  /** A private message to us, verified. A copy of it is not reported again. */
  privmsg: (message: ReceivedPrivateMessage) => void;
  /**
   * Every directory that showed this nick announced its leave or is lost, and there is no direct link.
   */
  'peer-gone': (nick: string) => void;
  /** A directory accepted our handshake. */
  'directory-up': (info: DirectoryUp) => void;
  /** A session ended, or an attempt failed. */
  'directory-down': (info: DirectoryDown) => void;
  /** A peer asks for our offers on its direct link. */
  'orderbook-asked': (request: OrderbookRequest) => void;
  /** The nick is not proven until a message signed with its key arrives. */
  'direct-up': (info: { readonly nick: string }) => void;
  /** The last direct link with this nick ended. */
  'direct-down': (info: { readonly nick: string }) => void;
  /**
   * Connections are accepted at this location; directories are dialled from now on. Once for each
   * location.
   */
  served: (location: Location) => void;
  /** The state of our own location of this kind changed. */
  'service-state': (state: ServiceState, kind: LocationKind) => void;
  /** Serving failed; it is tried again, unless the channel is closing. */
  'serve-failed': (info: { readonly error: Error; readonly retryInMs: number }) => void;
  /** `close` has finished; no further event follows. */
  stopped: () => void;
}

export type MessageChannelEvent = keyof MessageChannelEvents;
export type MessageChannelListener<E extends MessageChannelEvent> = EventEmitter.EventListener<
  MessageChannelEvents,
  E
>;

export interface MessageChannelOptions {
  /** The bitcoin network; directories and peers of another one are refused. */
  readonly network: Network;
  /** Directories to connect to; duplicates are ignored. */
  readonly directories: readonly Location[];
  /**
   * Whether `welcome` fires with the first connected directory instead of waiting for all of them (default
   * false): for a caller that adds and removes directories.
   */
  readonly welcomeAtFirst?: boolean;
  /**
   * Not closed by the channel. With a set of overlays (`createOverlaySet`) the nick is the same in each
   * of them. A directory and a direct link learn our location in their own overlay only.
   */
  readonly overlay: Overlay;
  /** The key of our nick; a new one for each run. */
  readonly nickKey: NickKey;
  /** Whether to prove our nick to directories that ask for it (default `prefer_verified`). */
  readonly nickAuth?: NickAuthMode;
  /**
   * Codes for private directories, by `host:port` in lower case. Each is sent to its directory only, in
   * our handshake.
   */
  readonly directoryCodes?: ReadonlyMap<string, string>;
  /** Whether peers can connect to us: a maker serves, a taker or watcher does not. */
  readonly serve: boolean;
  /** A watcher: never opens direct links. */
  readonly passive?: boolean;
  /**
   * Whether our handshakes offer `neutrino_compat`: scripts and heights of coins are sent and read in
   * coinjoins. Default true, except for a passive peer, which takes part in none.
   */
  readonly neutrinoCompat?: boolean;
  /** The time of all timers. */
  readonly clock: Clock;
  /** For random waits and for the choice among directories; not for keys. */
  readonly random: Random;
  /** Receives the log lines of the channel. */
  readonly log: Log;
  /** Times that differ from the defaults, in milliseconds. */
  readonly timings?: Partial<ChannelTimings>;
  /** Limits that differ from the defaults. */
  readonly limits?: Partial<ChannelLimits>;
}

/** Whether a private message was sent, and how, or why not. */
export type SendResult =
  | {
      /**
       * The connection took it. A message on a direct link that may not have arrived (the link died, or
       * its end was not proven within 3 s) is also sent through a directory.
       */
      readonly sent: true;
      /** How it went. */
      readonly route: Route;
    }
  | {
      /** Not given to any connection. */
      readonly sent: false;
      /** Why not. */
      readonly reason: SendRefusal;
    };

/** Why a private message was not sent. */
export type SendRefusal =
  /** The nick is the channel's own. */
  | 'self'
  /** There is no direct link, and no connected directory has shown the nick. */
  | 'no-route'
  /** The channel is closed or closing. */
  | 'closed';

/** A peer according to directories and handshakes. Nothing in it is proven. */
export interface PeerInfo {
  /** The peer's nick. */
  readonly nick: string;
  /** Undefined until a directory reports it; with several overlays, the first that is reported. */
  readonly location: DeclaredLocation | undefined;
  /** Features from a peer list, or from the handshake on a usable direct link; sorted. */
  readonly features: readonly string[];
  /** Connected directories that relayed a message of it or list it. */
  readonly directories: readonly Location[];
  /** Whether the next message to it uses a direct link. */
  readonly direct: boolean;
}

/** The state of the link to a directory. */
export type DirectoryState =
  /** Not dialled yet, or waiting for the next attempt. */
  'waiting' | 'connecting' | 'handshaking' | 'up';

/** The state of one directory of the channel. */
export interface DirectoryInfo {
  /** The directory. */
  readonly location: Location;
  /** The state of our link to it. */
  readonly state: DirectoryState;
  /** From the last accepting 795; kept while the directory is down. */
  readonly nick: string | undefined;
  /** The message of the day in the last accepted handshake; empty before the first one. */
  readonly motd: string;
  /** The features in the last accepted handshake. */
  readonly features: readonly string[];
  /** Duration of the current session, in milliseconds. */
  readonly upForMs: number | undefined;
  /** Milliseconds until the next attempt, while waiting. */
  readonly retryInMs: number | undefined;
  /** Why the last session or attempt ended. */
  readonly lastReason: string | undefined;
}

/**
 * A peer's connections: directories, direct links and routing. It keeps the process alive until
 * `close`, also while no directory can be reached.
 */
export interface OnionMessageChannel {
  /** With several nicks (`parts`), the first. */
  readonly nick: string;
  /** The channels of which it consists, each in a network of its own under its own nick; absent for one. */
  readonly parts?: readonly OnionMessageChannel[];
  /** The nick under which a peer knows us; absent where that is always `nick`. */
  nickTowards?(peer: string): string;
  /** The first of `locations`; NOT_SERVING until `served`. */
  readonly location: DeclaredLocation;
  /** Where peers reach us: one for each overlay of a set. Empty until `served`. */
  readonly locations: readonly Location[];
  /** Whether `welcome` has fired. */
  readonly welcomed: boolean;
  /**
   * Listeners run synchronously. An error thrown by a listener becomes an uncaught exception and does
   * not affect the channel.
   */
  on<E extends MessageChannelEvent>(event: E, listener: MessageChannelListener<E>): void;
  once<E extends MessageChannelEvent>(event: E, listener: MessageChannelListener<E>): void;
  off<E extends MessageChannelEvent>(event: E, listener: MessageChannelListener<E>): void;
  /**
   * Publishes `text` (public commands without a leading `!`, e.g. `orderbook`) through every connected
   * directory. Paced per directory below the limits of deployed directories: further messages wait in a
   * bounded queue, also while a directory is away for up to 10 minutes (1 for an `orderbook`). With
   * `to`, one of the channel's directories, only through that one. `sentTo` is the number of
   * directories that took it. Throws ChannelError on misuse.
   */
  publish(text: string, to?: Location): { readonly sentTo: number };
  /**
   * Signs and sends one private message. `args` is everything after the command word; it may contain
   * further commands (`0 1 2!tbond x`). What a direct link cannot take at once goes through a
   * directory, so the order of two messages may change. Receivers report the same text within 30 s
   * once. `by`, one of the channel's directories, is tried first if it shows the nick: an answer then
   * goes where the question came from, since another peer may use the same nick elsewhere. Throws
   * ChannelError on misuse.
   */
  send(nick: string, command: CommandName, args: string, by?: Location): SendResult;
  /**
   * Signs one private message and sends it through each of these directories that is connected, so that
   * a single one cannot withhold it; receivers report it once. `copies` is the number of directories
   * that took it; a directory that did not is not replaced. Throws ChannelError on misuse.
   */
  sendThrough(
    nick: string,
    command: CommandName,
    args: string,
    directories: readonly Location[],
  ): { readonly copies: number };
  /** Opens a direct link now. False when that fails; never rejects. */
  connectTo(nick: string): Promise<boolean>;
  peers(): readonly PeerInfo[];
  /** One of them. */
  peer(nick: string): PeerInfo | undefined;
  /**
   * Adds an observer; returns a function that removes it. An error that it throws becomes an uncaught
   * exception.
   */
  observe(observer: ChannelObserver): () => void;
  /**
   * Directories for which this is true are used only when no other one shows the nick. Replaces the
   * previous function; `undefined` removes it.
   */
  avoidDirectories(avoid: AvoidDirectory | undefined): void;
  directories(): readonly DirectoryInfo[];
  /**
   * Connects to one more directory; nothing happens when the channel has it. Throws ChannelError
   * `directories` when the overlay cannot reach it.
   */
  addDirectory(location: Location): void;
  /** Leaves a directory for good; resolves when its connection has ended. */
  removeDirectory(location: Location): Promise<void>;
  /** Ends every connection and withdraws the service. May be called twice; never rejects. */
  close(): Promise<void>;
}
