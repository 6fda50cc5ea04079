/** This directory, as the other nodes of a cluster see it. */
import type { Clock } from '../../channel/ports.js';
import type { Fanout } from '../fanout/fanout.js';
import type { DirectoryLimits } from '../limits.js';
import type {
  Claimant,
  ClaimAnswer,
  ClusterLimits,
  Delivery,
  ListedPeer,
  LocalPeer,
  LocalSide,
  Neighbours,
} from '../neighbours.js';
import type { Registry } from '../registry.js';
import type { RemoteRelay } from '../relay/remote-relay.js';
import type { Tally } from '../stats.js';
import type { Admission } from './admission.js';
import type { Connections } from './connections.js';
import type { Liveness } from './liveness.js';
import type { NickClaims } from './nick-claims.js';
import type { PlaceQueue } from './place-queue.js';
import type { RemoteClaims } from './remote-claims.js';

export interface LocalSideOptions {
  readonly clock: Clock;
  readonly registry: Registry;
  readonly fanout: Fanout;
  readonly remoteRelay: RemoteRelay;
  readonly admission: Admission;
  readonly connections: Connections;
  readonly liveness: Liveness;
  readonly nickClaims: NickClaims;
  readonly remoteClaims: RemoteClaims;
  readonly placeQueue: PlaceQueue;
  readonly neighbours: Neighbours | undefined;
  readonly limits: DirectoryLimits;
  readonly ownNicks: ReadonlySet<string>;
  readonly tally: Tally;
}

export class DirectoryLocalSide implements LocalSide {
  readonly #options: LocalSideOptions;

  constructor(options: LocalSideOptions) {
    this.#options = options;
  }

  batch<T>(work: () => T): T {
    return this.#options.fanout.batch(work);
  }

  get limits(): ClusterLimits {
    return this.#options.limits;
  }

  present(): readonly LocalPeer[] {
    const { registry, ownNicks } = this.#options;
    return registry.ready.filter(({ nick }) => !ownNicks.has(nick));
  }

  has(nick: string): boolean {
    return this.#options.registry.byNick(nick) !== undefined;
  }

  publish(from: string, payload: string): void {
    this.#options.remoteRelay.publish(from, payload);
  }

  deliver(from: string, to: string, payload: string): Delivery {
    return this.#options.remoteRelay.deliver(from, to, payload);
  }

  undelivered(from: string, to: string): void {
    this.#options.remoteRelay.undelivered(from, to);
  }

  gone(peer: Pick<ListedPeer, 'nick' | 'location'>): void {
    if (this.#options.registry.ready.length > 0) this.#options.fanout.announceLeave(peer);
  }

  relay(nick: string, payload: string): void {
    this.#options.remoteRelay.relay(nick, payload);
  }

  claimed(node: string, claimant: Claimant): void {
    const { registry, nickClaims, neighbours } = this.#options;
    const holder = registry.byNick(claimant.nick);
    if (holder) nickClaims.claimFrom(node, claimant, holder);
    else neighbours?.answer(node, claimant.nick, 'granted');
  }

  unclaimed(node: string, nick: string): void {
    this.#options.nickClaims.unclaimed(node, nick);
  }

  decided(nick: string, answer: ClaimAnswer): void {
    this.#options.remoteClaims.decided(nick, answer);
  }

  placesDecided(): void {
    this.#options.placeQueue.decided();
  }

  giveUp(nick: string): void {
    const { registry, nickClaims, connections, admission, tally } = this.#options;
    const peer = registry.byNick(nick);
    if (!peer) return;
    nickClaims.yield(peer);
    tally.messagesOut.handshake++;
    connections.dismiss(peer, admission.nickInUse(), 'nick-displaced');
  }

  probe(nick: string): void {
    const { registry, liveness } = this.#options;
    const peer = registry.byNick(nick);
    if (peer) liveness.probe(peer);
  }
}
