/** The operator's commands: the list of peers, kicks and bans. */
import type { Clock } from '../../channel/ports.js';
import {
  formatLocation,
  ownHost,
  type DeclaredLocation,
  type LocationKind,
} from '../../protocol/location.js';
import { declaredHost, keyOf, type Ban, type Bans, type BanSubject } from './bans.js';
import type { Fanout } from '../fanout/fanout.js';
import { isServing, type Peer } from '../peer.js';
import type { Registry } from '../registry.js';
import type { CloseReason } from '../stats.js';

/** A ready peer, as its operator sees it. */
export interface PeerRow {
  /** The nick of its handshake. */
  readonly nick: string;
  /** Peers with a location are serving: makers. Takers and watchers are not. */
  readonly kind: 'serving' | 'not-serving';
  /** The location that it declared. */
  readonly location: DeclaredLocation;
  /** The features that it listed, sorted: untrusted text. */
  readonly features: readonly string[];
  /** Peers connect to a directory, never the other way. */
  readonly direction: 'in';
  /** Time since its connection was accepted, in milliseconds. */
  readonly connectedMs: number;
  /** Bytes that it has not taken yet. */
  readonly queuedBytes: number;
  /** Lines it sent on this connection, since the last upgrade. */
  readonly messagesIn: number;
  /** Lines sent or queued for it on this connection, since the last upgrade. */
  readonly messagesOut: number;
}

/** The peers that a kick means. */
export interface KickTarget {
  /** Whether `name` is a nick, or the kind of a location. */
  readonly by: 'nick' | LocationKind;
  /** The nick; the host of an onion, with any port; `host:port` where programs share hosts (loopback). */
  readonly name: string;
}

/** The result of a kick. */
export type KickResult =
  | {
      /** Whether it was carried out. */
      readonly done: true;
      /** The nicks of the peers that were closed. */
      readonly nicks: readonly string[];
      /** The subjects that are banned now. */
      readonly banned: readonly BanSubject[];
      /** Other peers with the host of the kicked one; because of them the host is not banned. */
      readonly sharedWith: number;
    }
  | {
      /** Whether it was carried out. */
      readonly done: false;
      /** No such peer is connected, or the list of bans is full. Nothing has changed. */
      readonly fault: 'unknown-peer' | 'too-many-bans';
    };

export interface OperatorOptions {
  readonly clock: Clock;
  readonly registry: Registry;
  readonly fanout: Fanout;
  readonly bans: Bans;
  /** Nicks of the canary, which no operator sees. */
  readonly ownNicks: ReadonlySet<string>;
  drop(peer: Peer, reason: CloseReason): void;
}

function isMeant({ by, name }: KickTarget, { nick, location }: Peer): boolean {
  if (by === 'nick') return nick === name;
  return location.kind === by && (ownHost(location) ?? formatLocation(location)) === name;
}

export class Operator {
  readonly #options: OperatorOptions;

  constructor(options: OperatorOptions) {
    this.#options = options;
  }

  /** Number of ready peers. */
  get peerCount(): number {
    return this.#peers().length;
  }

  /** Whether a ready peer has this nick. */
  hasPeer(nick: string): boolean {
    return this.#options.registry.byNick(nick) !== undefined;
  }

  /** Ready peers, the oldest connection first. @param most longest result */
  list(most: number): readonly PeerRow[] {
    const now = this.#options.clock.now();
    return this.#peers()
      .toSorted((a, b) => a.acceptedAt - b.acceptedAt)
      .slice(0, most)
      .map((peer) => this.#rowOf(peer, now));
  }

  /**
   * Closes the ready peers that are meant. The others are told that they left, as for every peer.
   * @param banMs refuse their nicks and hosts for so long; absent: they may connect again at once. The
   *   host of a peer kicked by its nick is not banned while other peers declare it, too.
   */
  kick(target: KickTarget, banMs?: number): KickResult {
    const { bans, fanout } = this.#options;
    const peers = this.#peers();
    const meant = peers.filter((peer) => isMeant(target, peer));
    if (meant.length === 0) return { done: false, fault: 'unknown-peer' };
    const nicks = meant.map(({ nick }) => nick);
    const hosts = hostsOf(meant);
    const declared = peers.filter((peer) => isDeclared(hosts, peer)).length;
    const sharedWith = target.by === 'nick' ? Math.max(0, declared - meant.length) : 0;
    const banned =
      banMs === undefined
        ? []
        : [
            ...nicks.map((name) => ({ kind: 'nick' as const, name })),
            ...(sharedWith > 0 ? [] : hosts.values()),
          ];
    // First, so that a newcomer that waits for the nick is refused.
    if (banMs !== undefined && !bans.add(banned, banMs)) {
      return { done: false, fault: 'too-many-bans' };
    }
    fanout.batch(() => {
      for (const peer of meant) this.#options.drop(peer, 'kicked');
    });
    return { done: true, nicks, banned, sharedWith };
  }

  /** The bans in force. */
  bans(): readonly Ban[] {
    return this.#options.bans.all();
  }

  /** Lifts the bans of a nick or of a host, or all of them; returns the lifted ones. */
  unban(name: string | undefined): readonly Ban[] {
    return this.#options.bans.lift(name);
  }

  /** Continues with the bans of another process. */
  restore(bans: readonly Ban[]): void {
    for (const { kind, name, leftMs } of bans) this.#options.bans.add([{ kind, name }], leftMs);
  }

  #peers(): readonly Peer[] {
    const { registry, ownNicks } = this.#options;
    return registry.ready.filter(({ nick }) => !ownNicks.has(nick));
  }

  #rowOf(peer: Peer, now: number): PeerRow {
    const { outboxes } = this.#options.fanout;
    return {
      nick: peer.nick,
      kind: isServing(peer) ? 'serving' : 'not-serving',
      location: peer.location,
      features: peer.features,
      direction: 'in',
      connectedMs: now - peer.acceptedAt,
      queuedBytes: outboxes.lag(peer.outbox),
      messagesIn: peer.linesIn,
      messagesOut: outboxes.lines(peer.outbox),
    };
  }
}

function isDeclared(hosts: ReadonlyMap<string, BanSubject>, peer: Peer): boolean {
  const host = declaredHost(peer);
  return host !== undefined && hosts.has(keyOf(host));
}

/** The hosts that peers declare, each once, by `keyOf`. */
function hostsOf(peers: readonly Peer[]): ReadonlyMap<string, BanSubject> {
  return new Map(
    peers.flatMap((peer) => declaredHost(peer) ?? []).map((host) => [keyOf(host), host]),
  );
}
