/**
 * The message channel of a peer: puts directories, direct links and routing together and tells the
 * owner what happens.
 */
import { keepAlive } from '../kit/keep-alive.js';
import { MessageType } from '../protocol/constants.js';
import type { Envelope } from '../protocol/envelope.js';
import { NEUTRINO_COMPAT } from '../protocol/features.js';
import {
  formatLocation,
  NOT_SERVING,
  sameLocation,
  type DeclaredLocation,
  type Location,
} from '../protocol/location.js';
import { parsePeerlist } from '../protocol/peerlist.js';
import type {
  AvoidDirectory,
  MessageChannelOptions,
  OnionMessageChannel,
  PeerInfo,
} from './channel-api.js';
import { ChannelError } from './channel-error.js';
import { createChannelEvents, guard } from './channel-events.js';
import { DEFAULT_LIMITS, DEFAULT_TIMINGS, type ChannelSettings } from './channel-settings.js';
import { createDialGate } from './dial-gate.js';
import { createDirectLinks } from './direct-links.js';
import { createDirectoryLink, type DirectoryLink } from './directory-link.js';
import { handshakeTerms } from './handshake-terms.js';
import { createInbox } from './inbox.js';
import { checkPubmsg, privmsgPayload } from './outgoing.js';
import { createObservers } from './observers.js';
import { createPeerBook, type KnownPeer } from './peer-book.js';
import { createRouter } from './router.js';
import { startServing } from './serving.js';
import { createTurns } from './turns.js';
import { createWelcome } from './welcome.js';

export type * from './channel-api.js';
export type { ChannelLimits, ChannelTimings } from './channel-settings.js';
export { ChannelError, type ChannelErrorCode } from './channel-error.js';

const DIRECT = 'direct';

function settingsOf(options: MessageChannelOptions): ChannelSettings {
  return {
    timings: { ...DEFAULT_TIMINGS, ...options.timings },
    limits: { ...DEFAULT_LIMITS, ...options.limits },
  };
}

function checkDirectories({ directories, overlay }: MessageChannelOptions): void {
  if (directories.length === 0) {
    throw new ChannelError('directories', 'a message channel needs at least one directory');
  }
  const unreachable = directories.find((location) => !overlay.reaches(location));
  if (unreachable) {
    throw new ChannelError(
      'directories',
      `the ${overlay.name} overlay cannot reach ${formatLocation(unreachable)}`,
    );
  }
}

/** Returns at once; connects in the background. Throws ChannelError `directories`. */
export function openMessageChannel(options: MessageChannelOptions): OnionMessageChannel {
  checkDirectories(options);
  const { network, overlay, nickKey, clock, random, log } = options;
  const { nick } = nickKey;
  const settings = settingsOf(options);
  const events = createChannelEvents();
  const { tell } = events;
  const book = createPeerBook(settings.limits.knownPeers);
  const inbox = createInbox(nick, settings, clock);
  const gate = createDialGate(settings.limits);
  const checks = createTurns(clock, settings.timings.checksTurnMs);
  const directories = new Map<string, DirectoryLink>();
  const acceptLoopback = overlay.reaches({ kind: 'loopback', host: '127.0.0.1', port: 1 });
  const observers = createObservers(guard);
  let avoid: AvoidDirectory | undefined;
  let ownLocation: DeclaredLocation = NOT_SERVING;
  let closing = false;
  let closed: Promise<void> | undefined;
  // Between two attempts to reach anybody there is no socket that would do it.
  const letGo = keepAlive();

  const offered = (options.neutrinoCompat ?? options.passive !== true) ? [NEUTRINO_COMPAT] : [];
  const terms = () =>
    handshakeTerms({ nick, network, location: ownLocation }, acceptLoopback, offered);
  const common = { settings, overlay, gate, clock, random, log, terms };

  const links = createDirectLinks({
    ...common,
    nick,
    onPrivmsg: (from, payload, heard) => receivePrivmsg(payload, DIRECT, { nick: from, heard }),
    onDoubt: (peer, payload) => router.copy(peer, payload),
    onOrderbook(peer, payload, send) {
      if (!inbox.asksOrderbook(payload, peer)) return false;
      tell('orderbook-asked', {
        from: peer,
        answer: (command, args) => send(privmsgPayload(nickKey, peer, command, args)),
      });
      return true;
    },
    onUp: (peer) => tell('direct-up', { nick: peer }),
    onDown(peer) {
      tell('direct-down', { nick: peer });
      if (!closing && !book.get(peer)) tell('peer-gone', peer);
    },
    onUnsent(peer, payloads) {
      for (const payload of payloads) router.send(peer, payload);
    },
  });
  const router = createRouter({
    settings,
    clock,
    random,
    links,
    directories,
    book,
    avoid: (key, peer) => avoid?.(key, peer) ?? false,
  });
  const countUp = (): number => [...directories.values()].filter(({ up }) => up).length;

  for (const location of options.directories) {
    const key = formatLocation(location);
    if (directories.has(key)) continue;
    const link: DirectoryLink = createDirectoryLink({
      ...common,
      nickKey,
      nickAuth: options.nickAuth ?? 'prefer_verified',
      location,
      checks,
      wantsPeerlist: !options.serve,
      onUp(info) {
        tell('directory-up', info);
        welcome.directoryUp();
      },
      onDown(info, wasUp) {
        if (wasUp && !closing) {
          router.directoryLost(key);
          book.directoryLost(key).forEach(goneEverywhere);
        }
        tell('directory-down', info);
      },
      onEnvelope: (envelope) => receive(link, envelope),
    });
    directories.set(key, link);
  }

  const welcome = createWelcome({
    clock,
    waitMs: settings.timings.welcomeMs,
    total: directories.size,
    countUp,
    onWelcome: (info) => tell('welcome', info),
  });

  /** No directory shows the nick any more. */
  function goneEverywhere(peer: string): void {
    if (!links.lastResort(peer)) tell('peer-gone', peer);
  }

  function receive(directory: DirectoryLink, { type, line }: Envelope): void {
    if (type === MessageType.PEERLIST) return receivePeerlist(directory, line);
    if (type === MessageType.PRIVMSG) return void receivePrivmsg(line, directory);
    const judged = inbox.public(line, directory.key);
    if (judged.verdict === 'junk') return;
    book.relayed(judged.from, directory.key);
    observers.publicly(judged, directory.location);
    if (judged.verdict === 'copy') return;
    tell('pubmsg', { ...judged.message, directory: directory.location });
  }

  /**
   * False when the message means nothing.
   * @param owner whose direct link it came over: that nick may only speak for itself, and the link is
   *   told of each message that it signed, and whether it was never heard before
   */
  function receivePrivmsg(
    payload: string,
    way: DirectoryLink | typeof DIRECT,
    owner?: { readonly nick: string; readonly heard: (isNew: boolean) => void },
  ): boolean {
    const judged = inbox.private(payload, way === DIRECT ? DIRECT : way.key, owner?.nick);
    if (judged.verdict === 'junk') return false;
    if (way !== DIRECT) {
      book.relayed(judged.from, way.key);
    }
    // First the link, so that an answer given at once goes back the same way.
    owner?.heard(judged.verdict === 'fresh' && judged.neverHeard);
    observers.privately(judged, way === DIRECT ? undefined : way.location);
    if (judged.verdict === 'copy') return true;
    const { message } = judged;
    const route =
      way === DIRECT
        ? { kind: DIRECT as typeof DIRECT }
        : { kind: 'directory' as const, location: way.location };
    tell('privmsg', { ...message, route });
    return true;
  }

  function receivePeerlist(directory: DirectoryLink, payload: string): void {
    for (const entry of parsePeerlist(payload).entries) {
      if (entry.nick === nick || directories.has(formatLocation(entry.location))) continue;
      if (!entry.left) {
        book.listed(entry, directory.key);
        continue;
      }
      const goneNow = book.left(entry.nick, directory.key);
      observers.left(entry.nick, directory.location);
      router.notThere(entry.nick, directory.key);
      if (goneNow) goneEverywhere(entry.nick);
    }
  }

  /** Our own location, or another port of our onion. */
  function isOurs(location: Location): boolean {
    if (ownLocation.kind === 'onion' && location.host === ownLocation.host) return true;
    return sameLocation(location, ownLocation);
  }

  /** Where a peer can be dialled, if anywhere. */
  function dialable(peer: KnownPeer | undefined): Parameters<typeof links.dial>[1] | undefined {
    const location = peer?.location;
    if (options.passive || !location || location.kind === 'not-serving') return undefined;
    return overlay.reaches(location) && !isOurs(location) ? location : undefined;
  }

  /** All directories, or the one that is named. */
  function chosen(only: Location | undefined): readonly DirectoryLink[] {
    if (only === undefined) return [...directories.values()];
    const directory = directories.get(formatLocation(only));
    if (directory) return [directory];
    throw new ChannelError(
      'directories',
      `${formatLocation(only)} is no directory of this channel; give one of its directories()`,
    );
  }

  function describe(peer: KnownPeer): PeerInfo {
    const link = links.usable(peer.nick);
    return {
      nick: peer.nick,
      location: peer.location,
      features: [...new Set([...peer.features, ...(link?.features ?? [])])].toSorted(),
      directories: peer.shownBy.flatMap((key) => directories.get(key)?.location ?? []),
      direct: link !== undefined,
    };
  }

  function connect(): void {
    welcome.start();
    for (const directory of directories.values()) directory.start();
  }

  const serving = options.serve
    ? startServing({
        overlay,
        timings: settings.timings,
        clock,
        random,
        log,
        onConnection: (connection) => links.accept(connection),
        onServed(location) {
          ownLocation = location;
          tell('served', location);
          connect();
        },
        onState(state) {
          // Where strangers reach us, we reach directories: what failed before was for want of Tor.
          if (state.state === 'reachable') for (const link of directories.values()) link.hurry();
          tell('service-state', state);
        },
        onFailed: (error, retryInMs) => tell('serve-failed', { error, retryInMs }),
      })
    : undefined;
  if (!serving) connect();

  async function shutDown(): Promise<void> {
    closing = true;
    welcome.close();
    await Promise.all([
      serving?.close(),
      links.close(),
      ...[...directories.values()].map((directory) => directory.close()),
    ]);
    events.end();
    letGo();
  }

  return {
    nick,
    get location() {
      return ownLocation;
    },
    on: (event, listener) => events.on(event, listener),
    once: (event, listener) => events.once(event, listener),
    off: (event, listener) => events.off(event, listener),
    get welcomed() {
      return welcome.told;
    },
    publish(text, to) {
      checkPubmsg(nick, text);
      const took = chosen(to).filter((directory) => directory.publish(text));
      return { sentTo: took.length };
    },
    send(to, command, args, by) {
      const payload = privmsgPayload(nickKey, to, command, args);
      const [first] = by === undefined ? [] : chosen(by);
      if (closing) return { sent: false, reason: 'closed' };
      if (to === nick) return { sent: false, reason: 'self' };
      const route = router.send(to, payload, first?.key);
      if (route?.kind !== DIRECT) {
        const location = dialable(book.get(to));
        if (location) links.dialSoon(to, location);
      }
      return route ? { sent: true, route } : { sent: false, reason: 'no-route' };
    },
    sendThrough(to, command, args, locations) {
      const payload = privmsgPayload(nickKey, to, command, args);
      const ways = new Set(locations.flatMap(chosen));
      if (closing || to === nick) return { copies: 0 };
      const took = [...ways].filter((way) => way.send(MessageType.PRIVMSG, payload));
      return { copies: took.length };
    },
    async connectTo(to) {
      const location = dialable(book.get(to));
      return location !== undefined && links.dial(to, location);
    },
    peers: () => book.all().map(describe),
    peer(peerNick) {
      const peer = book.get(peerNick);
      return peer && describe(peer);
    },
    observe: (observer) => observers.add(observer),
    avoidDirectories(predicate) {
      avoid = predicate;
    },
    directories: () => [...directories.values()].map((directory) => directory.info()),
    close() {
      closed ??= shutDown();
      return closed;
    },
  };
}
