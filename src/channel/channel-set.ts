/**
 * A peer in several networks, under a nick in each: one message channel for each network, which shares no nick,
 * link or record with the others, and all of them as one channel for the owner.
 */
import type { CommandName } from '../protocol/commands.js';
import {
  formatLocation,
  NOT_SERVING,
  type DeclaredLocation,
  type Location,
  type LocationKind,
} from '../protocol/location.js';
import type { NickKey } from '../protocol/nick.js';
import type {
  AvoidDirectory,
  ChannelObserver,
  DirectoryInfo,
  MessageChannelEvent,
  MessageChannelListener,
  MessageChannelOptions,
  OnionMessageChannel,
  PeerInfo,
  SendResult,
} from './channel-api.js';
import { ChannelWithEvents } from './channel-events.js';
import { openMessageChannel } from './message-channel.js';
import type { Overlay } from './ports.js';

/** Options of `openChannels`. */
export interface ChannelSetOptions extends Omit<MessageChannelOptions, 'nickKey'> {
  /** A new nick. It is called once for each network. */
  readonly newNickKey: () => NickKey;
  /** Whether the nick is the same in all networks, which links them (default false). */
  readonly sameNick?: boolean;
}

/**
 * The networks of an overlay that need a nick of their own: each kind with one source for all connections, and
 * all other kinds together.
 */
function networksOf({ reachable, oneSource }: Overlay): readonly ReadonlySet<LocationKind>[] {
  const alone = [...reachable].filter((kind) => oneSource?.has(kind));
  const others = [...reachable].filter((kind) => oneSource?.has(kind) !== true);
  return [others, ...alone.map((kind) => [kind])].map((kinds) => new Set(kinds));
}

/**
 * Opens the channel of a peer. With several networks and directories in more than one of them it is a set of
 * channels (`OnionMessageChannel.parts`), unless `sameNick`. Throws as `openMessageChannel`.
 */
export function openChannels(options: ChannelSetOptions): OnionMessageChannel {
  const { newNickKey, sameNick = false, ...given } = options;
  const { overlay, directories } = given;
  const open = (part: Overlay, nodes: readonly Location[]): OnionMessageChannel =>
    openMessageChannel({
      ...given,
      overlay: part,
      directories: nodes,
      serve: given.serve && part.dialsOnly !== true,
      nickKey: newNickKey(),
    });
  const { only } = overlay;
  const networks = sameNick || only === undefined ? [] : networksOf(overlay);
  const groups = networks.flatMap((kinds) => {
    const nodes = directories.filter(({ kind }) => kinds.has(kind));
    return nodes.length > 0 && only !== undefined ? [{ part: only(kinds), nodes }] : [];
  });
  const [first, ...others] = groups.length > 1 ? groups : [];
  if (first === undefined) return open(overlay, directories);
  return new ChannelSet([
    open(first.part, first.nodes),
    ...others.map(({ part, nodes }) => open(part, nodes)),
  ]);
}

/** Events that are passed on as they are. */
const PASSED = [
  'pubmsg',
  'privmsg',
  'directory-up',
  'directory-down',
  'orderbook-asked',
  'direct-up',
  'direct-down',
  'served',
  'service-state',
  'serve-failed',
] as const satisfies readonly MessageChannelEvent[];

class ChannelSet extends ChannelWithEvents implements OnionMessageChannel {
  readonly parts: readonly [OnionMessageChannel, ...OnionMessageChannel[]];
  #welcomed = false;
  #closed: Promise<void> | undefined;

  constructor(parts: ChannelSet['parts']) {
    super();
    this.parts = parts;
    for (const part of parts) this.#follow(part);
  }

  get nick(): string {
    return this.parts[0].nick;
  }

  get location(): DeclaredLocation {
    return this.locations[0] ?? NOT_SERVING;
  }

  get locations(): readonly Location[] {
    return this.parts.flatMap(({ locations }) => locations);
  }

  get welcomed(): boolean {
    return this.#welcomed;
  }

  nickTowards(peer: string): string {
    return this.#partOf(peer)?.nick ?? this.nick;
  }

  publish(text: string, to?: Location): { readonly sentTo: number } {
    const parts = to === undefined ? this.parts : [this.#partAt(to) ?? this.parts[0]];
    const sent = parts.map((part) => part.publish(text, to).sentTo);
    return { sentTo: sent.reduce((sum, each) => sum + each, 0) };
  }

  send(to: string, command: CommandName, args: string, by?: Location): SendResult {
    const part = (by && this.#partAt(by)) ?? this.#partOf(to) ?? this.parts[0];
    return part.send(to, command, args, by && this.#partAt(by) === part ? by : undefined);
  }

  sendThrough(
    to: string,
    command: CommandName,
    args: string,
    directories: readonly Location[],
  ): { readonly copies: number } {
    const sent = this.parts.map((part) => {
      const own = directories.filter((location) => this.#partAt(location) === part);
      return own.length === 0 ? 0 : part.sendThrough(to, command, args, own).copies;
    });
    return { copies: sent.reduce((sum, each) => sum + each, 0) };
  }

  async connectTo(to: string): Promise<boolean> {
    return (await this.#partOf(to)?.connectTo(to)) ?? false;
  }

  peers(): readonly PeerInfo[] {
    return this.parts.flatMap((part) => part.peers());
  }

  peer(nick: string): PeerInfo | undefined {
    return this.#partOf(nick)?.peer(nick);
  }

  /** The part whose overlays reach it connects to the directory. */
  addDirectory(location: Location): void {
    const [first] = this.parts;
    const part = this.parts.find((each) =>
      each.directories().some((known) => known.location.kind === location.kind),
    );
    (part ?? first).addDirectory(location);
  }

  async removeDirectory(location: Location): Promise<void> {
    await this.#partAt(location)?.removeDirectory(location);
  }

  observe(observer: ChannelObserver): () => void {
    const stops = this.parts.map((part) => part.observe(observer));
    return () => {
      for (const stop of stops) stop();
    };
  }

  avoidDirectories(avoid: AvoidDirectory | undefined): void {
    for (const part of this.parts) part.avoidDirectories(avoid);
  }

  directories(): readonly DirectoryInfo[] {
    return this.parts.flatMap((part) => part.directories());
  }

  close(): Promise<void> {
    this.#closed ??= this.#shutDown();
    return this.#closed;
  }

  async #shutDown(): Promise<void> {
    await Promise.all(this.parts.map((part) => part.close()));
    this.events.end();
  }

  #follow(part: OnionMessageChannel): void {
    const { emit } = this.events;
    const pass = (event: (typeof PASSED)[number]): void =>
      part.on(event, (...args: Parameters<MessageChannelListener<typeof event>>) =>
        emit(event, ...args),
      );
    for (const event of PASSED) pass(event);
    part.on('peer-gone', (nick) => {
      if (!this.parts.some((other) => other !== part && other.peer(nick))) emit('peer-gone', nick);
    });
    // A network that cannot be reached does not hold up the others.
    part.on('welcome', (info) => {
      if (this.#welcomed) return;
      this.#welcomed = true;
      emit('welcome', info);
    });
  }

  /** The channel that knows a peer; a direct link counts most. */
  #partOf(nick: string): OnionMessageChannel | undefined {
    const knowing = this.parts.filter((part) => part.peer(nick) !== undefined);
    return knowing.find((part) => part.peer(nick)?.direct) ?? knowing[0];
  }

  #partAt(directory: Location): OnionMessageChannel | undefined {
    const name = formatLocation(directory);
    return this.parts.find((part) =>
      part.directories().some(({ location }) => formatLocation(location) === name),
    );
  }
}
