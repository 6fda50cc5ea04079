/**
 * The message channel of a peer: connects directories, direct links and routing, and reports events to
 * the owner.
 */
import { TurnBudget } from '../kit/cooperative-work.js';
import { keepAlive } from '../kit/keep-alive.js';
import type { CommandName } from '../protocol/commands.js';
import { MessageType } from '../protocol/constants.js';
import { NEUTRINO_COMPAT } from '../protocol/features.js';
import {
  kindsNamedOver,
  NOT_SERVING,
  sameOwner,
  type DeclaredLocation,
  type Location,
  type LocationKind,
} from '../protocol/location.js';
import type {
  AvoidDirectory,
  ChannelObserver,
  DirectoryInfo,
  MessageChannelOptions,
  OnionMessageChannel,
  PeerInfo,
  SendResult,
} from './channel-api.js';
import { ChannelWithEvents, guard } from './channel-events.js';
import { DEFAULT_LIMITS, DEFAULT_TIMINGS, type ChannelSettings } from './channel-settings.js';
import { createDialLimit, type DialLimit } from './link/dial-limit.js';
import { DirectLinks } from './direct/links.js';
import { validateDirectories, DirectorySet } from './directories/directory-set.js';
import { handshakeTerms, type HandshakeTerms } from './link/handshake-terms.js';
import { createInbox, type Inbox } from './messages/inbox.js';
import { IncomingMessages } from './messages/incoming.js';
import { checkPubmsg, privmsgPayload } from './messages/outgoing.js';
import { createObservers, type Observers } from './observers.js';
import { createPeerBook, type KnownPeer, type PeerBook } from './peer-book.js';
import { Router } from './messages/router.js';
import { startServing, type Serving } from './serving.js';

export type * from './channel-api.js';
export type { ChannelLimits, ChannelTimings } from './channel-settings.js';
export { ChannelError, type ChannelErrorCode } from './channel-error.js';

function settingsOf(options: MessageChannelOptions): ChannelSettings {
  return {
    timings: { ...DEFAULT_TIMINGS, ...options.timings },
    limits: { ...DEFAULT_LIMITS, ...options.limits },
  };
}

/** State that the parts of a channel share. */
type Common = Pick<MessageChannelOptions, 'overlay' | 'clock' | 'random' | 'log'> & {
  readonly settings: ChannelSettings;
  readonly dialLimit: DialLimit;
  readonly turns: TurnBudget;
  readonly terms: (via: LocationKind) => HandshakeTerms;
};

/** Returns at once and connects in the background. Throws ChannelError `directories`. */
export function openMessageChannel(options: MessageChannelOptions): OnionMessageChannel {
  validateDirectories(options.directories, options.overlay);
  return new MessageChannel(options);
}

class MessageChannel extends ChannelWithEvents implements OnionMessageChannel {
  readonly nick: string;
  readonly #options: MessageChannelOptions;
  readonly #settings: ChannelSettings;
  readonly #observers: Observers = createObservers(guard);
  readonly #book: PeerBook;
  readonly #inbox: Inbox;
  readonly #incoming: IncomingMessages;
  readonly #directories: DirectorySet;
  readonly #links: DirectLinks;
  readonly #router: Router;
  readonly #serving: Serving | undefined;
  readonly #turns: TurnBudget;
  /** Between two attempts there is no socket that would keep the process alive. */
  readonly #releaseProcess = keepAlive();
  #locations: readonly Location[] = [];
  #avoid: AvoidDirectory | undefined;
  #isClosing = false;
  #closed: Promise<void> | undefined;

  constructor(options: MessageChannelOptions) {
    super();
    this.#options = options;
    const { overlay, clock, random, log } = options;
    this.nick = options.nickKey.nick;
    const settings = settingsOf(options);
    this.#settings = settings;
    this.#book = createPeerBook(settings.limits.knownPeers, {
      kindOf: (key) => this.#directories.byKey.get(key)?.location.kind,
      reachable: overlay.reachable,
    });
    this.#inbox = createInbox(this.nick, settings, clock);
    this.#turns = TurnBudget.shared(clock, settings.timings.checksTurnMs);
    const common: Common = {
      settings,
      overlay,
      dialLimit: createDialLimit(settings.limits),
      turns: this.#turns,
      clock,
      random,
      log,
      terms: this.#handshakeTerms(),
    };
    this.#directories = this.#createDirectories(common);
    this.#links = this.#createLinks(common);
    this.#router = new Router({
      settings,
      clock,
      random,
      links: this.#links,
      directories: this.#directories.byKey,
      book: this.#book,
      avoid: (key, peer) => this.#avoid?.(key, peer) ?? false,
    });
    this.#incoming = new IncomingMessages({
      nick: this.nick,
      inbox: this.#inbox,
      book: this.#book,
      observers: this.#observers,
      directories: this.#directories.byKey,
      emit: this.events.emit,
      onLeft: (nick, directory) => this.#router.peerLeft(nick, directory),
      onGone: (nick) => this.#goneEverywhere(nick),
    });
    this.#serving = options.serve ? this.#serve() : undefined;
    if (!this.#serving) this.#directories.start();
  }

  get location(): DeclaredLocation {
    return this.#locations[0] ?? NOT_SERVING;
  }

  get locations(): readonly Location[] {
    return this.#locations;
  }

  get welcomed(): boolean {
    return this.#directories.welcomed;
  }

  publish(text: string, to?: Location): { readonly sentTo: number } {
    checkPubmsg(this.nick, text);
    const took = this.#directories.chosen(to).filter((directory) => directory.publish(text));
    return { sentTo: took.length };
  }

  send(to: string, command: CommandName, args: string, by?: Location): SendResult {
    const payload = privmsgPayload(this.#options.nickKey, to, command, args);
    const [first] = by === undefined ? [] : this.#directories.chosen(by);
    if (this.#isClosing) return { sent: false, reason: 'closed' };
    if (to === this.nick) return { sent: false, reason: 'self' };
    const route = this.#router.send(to, payload, first?.key);
    if (route?.kind !== 'direct') {
      const location = this.#dialable(to);
      if (location) this.#links.dialSoon(to, location);
    }
    return route ? { sent: true, route } : { sent: false, reason: 'no-route' };
  }

  sendThrough(
    to: string,
    command: CommandName,
    args: string,
    locations: readonly Location[],
  ): { readonly copies: number } {
    const payload = privmsgPayload(this.#options.nickKey, to, command, args);
    const links = new Set(locations.flatMap((location) => this.#directories.chosen(location)));
    if (this.#isClosing || to === this.nick) return { copies: 0 };
    const took = [...links].filter((link) => link.send(MessageType.PRIVMSG, payload));
    return { copies: took.length };
  }

  async connectTo(to: string): Promise<boolean> {
    const location = this.#dialable(to);
    return location !== undefined && this.#links.dial(to, location);
  }

  peers(): readonly PeerInfo[] {
    return this.#book.all().map((peer) => this.#describe(peer));
  }

  peer(nick: string): PeerInfo | undefined {
    const peer = this.#book.get(nick);
    return peer && this.#describe(peer);
  }

  observe(observer: ChannelObserver): () => void {
    return this.#observers.add(observer);
  }

  avoidDirectories(avoid: AvoidDirectory | undefined): void {
    this.#avoid = avoid;
  }

  directories(): readonly DirectoryInfo[] {
    return this.#directories.info();
  }

  addDirectory(location: Location): void {
    validateDirectories([location], this.#options.overlay);
    this.#directories.add(location);
  }

  removeDirectory(location: Location): Promise<void> {
    return this.#directories.remove(location);
  }

  close(): Promise<void> {
    this.#closed ??= this.#shutDown();
    return this.#closed;
  }

  #handshakeTerms(): (via: LocationKind) => HandshakeTerms {
    const { network, overlay, neutrinoCompat, passive } = this.#options;
    const features = (neutrinoCompat ?? passive !== true) ? [NEUTRINO_COMPAT] : [];
    return (via) => {
      const kinds = kindsNamedOver(via, overlay.reachable);
      const location = this.#locationNamedBy(kinds);
      return handshakeTerms({ nick: this.nick, network, location }, kinds, features);
    };
  }

  /** Our location of the first of these kinds that we serve. The other side learns no other one. */
  #locationNamedBy(kinds: ReadonlySet<LocationKind>): DeclaredLocation {
    const ours = [...kinds].flatMap((kind) => this.#locations.filter((each) => each.kind === kind));
    return ours[0] ?? NOT_SERVING;
  }

  #createLinks(common: Common): DirectLinks {
    const { emit } = this.events;
    return new DirectLinks({
      ...common,
      nick: this.nick,
      onPrivmsg: (nick, payload, heard) => this.#incoming.receiveDirect({ nick, heard }, payload),
      onUnconfirmed: (peer, payload) => this.#router.copy(peer, payload),
      onOrderbook: (peer, payload, send) => this.#onOrderbook(peer, payload, send),
      onUp: (nick) => emit('direct-up', { nick }),
      onDown: (nick) => {
        emit('direct-down', { nick });
        if (!this.#isClosing && !this.#book.get(nick)) emit('peer-gone', nick);
      },
      onUnsent: (peer, payloads) => {
        for (const payload of payloads) this.#router.send(peer, payload);
      },
    });
  }

  #onOrderbook(peer: string, payload: string, send: (payload: string) => boolean): boolean {
    if (!this.#inbox.asksOrderbook(payload, peer)) return false;
    this.events.emit('orderbook-asked', {
      from: peer,
      answer: (command, args) => send(privmsgPayload(this.#options.nickKey, peer, command, args)),
    });
    return true;
  }

  #createDirectories(common: Common): DirectorySet {
    const { emit } = this.events;
    const {
      nickKey,
      nickAuth = 'prefer_verified',
      directories,
      serve,
      welcomeAtFirst,
    } = this.#options;
    return new DirectorySet({
      ...common,
      codes: this.#options.directoryCodes ?? new Map(),
      checks: common.turns,
      nickKey,
      nickAuth,
      locations: directories,
      readyAtFirst: welcomeAtFirst,
      wantsPeerlist: !serve,
      onUp: (info) => emit('directory-up', info),
      onDown: ({ key }, info, wasUp) => {
        if (wasUp && !this.#isClosing) {
          this.#router.directoryLost(key);
          for (const nick of this.#book.directoryLost(key)) this.#goneEverywhere(nick);
        }
        emit('directory-down', info);
      },
      onEnvelope: (link, envelope) => this.#incoming.receive(link, envelope),
      onReady: (info) => emit('welcome', info),
    });
  }

  /** No directory shows the nick any more. */
  #goneEverywhere(nick: string): void {
    if (!this.#links.lastResort(nick)) this.events.emit('peer-gone', nick);
  }

  /** A location of our own, or another port of our onion. */
  #isOwn(location: Location): boolean {
    return this.#locations.some((own) => sameOwner(own, location));
  }

  /** The location of a peer that we can dial, if it has one. */
  #dialable(nick: string): Location | undefined {
    const { passive = false, overlay } = this.#options;
    if (passive) return undefined;
    const location = this.#book
      .get(nick)
      ?.locations.find(({ kind }) => overlay.reachable.has(kind));
    return location && !this.#isOwn(location) ? location : undefined;
  }

  #describe(peer: KnownPeer): PeerInfo {
    const link = this.#links.usable(peer.nick);
    return {
      nick: peer.nick,
      location: peer.location,
      features: [...new Set([...peer.features, ...(link?.features ?? [])])].toSorted(),
      directories: peer.shownBy.flatMap((key) => this.#directories.byKey.get(key)?.location ?? []),
      direct: link !== undefined,
    };
  }

  #serve(): Serving {
    const { overlay, clock, random, log } = this.#options;
    const { emit } = this.events;
    return startServing({
      overlay,
      timings: this.#settings.timings,
      clock,
      random,
      log,
      onConnection: (connection) => this.#links.accept(connection),
      onServed: (locations) => {
        this.#locations = locations;
        for (const location of locations) emit('served', location);
        this.#directories.start();
      },
      onState: (state, kind) => {
        // When our onion is reachable, Tor works again: earlier dials failed because it did not.
        if (state.state === 'reachable') this.#directories.dialNow(kind);
        emit('service-state', state, kind);
      },
      onFailed: (error, retryInMs) => emit('serve-failed', { error, retryInMs }),
    });
  }

  async #shutDown(): Promise<void> {
    this.#isClosing = true;
    await Promise.all([this.#serving?.close(), this.#links.close(), this.#directories.close()]);
    this.#turns.close();
    this.events.end();
    this.#releaseProcess();
  }
}
