/** What a node says to the others and does with what they say. */
import type { Log } from '../channel/log.js';
import type { Claimant, LocalSide } from '../directory/neighbours.js';
import type { Clock } from '../kit/clock.js';
import { parseRoute } from '../protocol/message.js';
import { formatLocation, parseDeclaredLocation } from '../protocol/location.js';
import { Claims } from './claims.js';
import { Conflicts } from './conflicts.js';
import { Copies } from './copies.js';
import type { ClusterTally } from './counters.js';
import { differences, type NodeFacts } from './facts.js';
import { Held } from './held.js';
import { KeptPrivate, type KeptMessage } from './kept-private.js';
import type { Received } from './inbox.js';
import { BEAT_MS, type Members } from './members.js';
import type { RecordOutbox } from './outbox.js';
import { Places } from './places.js';
import { isSamePeer, OwnPeers } from './own-peers.js';
import { ProofChecks } from './proof-checks.js';
import type { ClusterRecord, Entry } from './record.js';
import { RemoteView } from './remote-view.js';
import { Demand } from './shares.js';
import { SnapshotReceiver, SnapshotSender } from './snapshots.js';
import { Twins } from './twins.js';

export interface ExchangeOptions {
  readonly node: string;
  /** The other nodes. */
  readonly others: readonly string[];
  readonly clock: Clock;
  readonly log: Log;
  readonly version: string;
  /** What this node says of itself now. */
  readonly facts: () => NodeFacts;
  readonly tally: ClusterTally;
  readonly members: Members;
  readonly outbox: RecordOutbox;
}

/** Interval of what need not be punctual. */
const TIDY_MS = 1_000;

/** The demand for the two shared budgets. */
export type Demands = readonly [deliveries: number, requests: number];

export class Exchange {
  readonly own = new OwnPeers();
  readonly view: RemoteView;
  readonly copies: Copies;
  readonly held: Held;
  readonly kept: KeptPrivate;
  readonly claims: Claims;
  readonly conflicts: Conflicts;
  readonly proofs: ProofChecks;
  readonly twins: Twins;
  readonly places: Places;
  readonly demand: { readonly deliveries: Demand; readonly requests: Demand };
  /** What each node stated last, the own one included. */
  readonly demands = new Map<string, Demands>();
  readonly #options: ExchangeOptions;
  readonly #sender: SnapshotSender;
  readonly #receiver: SnapshotReceiver;
  #local: LocalSide | undefined;
  #beatAt = -Infinity;
  #tidiedAt = -Infinity;

  constructor(options: ExchangeOptions) {
    const { node, clock, members, outbox } = options;
    const send = outbox.push.bind(outbox);
    const now = clock.now();
    this.#options = options;
    this.copies = new Copies(clock);
    this.held = new Held(clock);
    this.kept = new KeptPrivate(clock);
    this.proofs = new ProofChecks(clock, options.tally);
    this.demand = { deliveries: new Demand(now), requests: new Demand(now) };
    this.view = new RemoteView({
      isLocal: (nick) => this.own.get(nick) !== undefined,
      onGone: (nick, location) => this.#local?.gone({ nick, location }),
      onChange: (nick) => this.#changed(nick),
    });
    this.twins = new Twins({
      node,
      own: this.own,
      view: this.view,
      proofs: this.proofs,
      members,
    });
    this.claims = new Claims({
      clock,
      holders: (claimant) => this.holders(claimant),
      send,
      decided: (nick, answer) => this.#local?.decided(nick, answer),
    });
    this.conflicts = new Conflicts({
      node,
      clock,
      own: this.own,
      view: this.view,
      proofs: this.proofs,
      inSync: (other) => members.connected && members.get(other)?.inSync === true,
      send,
      giveUp: (nick) => this.#giveUp(nick),
    });
    this.places = new Places({
      node,
      others: options.others,
      clock,
      members,
      total: () => this.#local?.maxPeers ?? 0,
      own: () => this.own.size,
      announced: (other) => this.view.count(other),
      send,
      decided: () => this.#local?.placesDecided(),
    });
    this.#sender = new SnapshotSender({
      clock,
      entries: () => this.own.entries(clock.now()),
      send,
    });
    this.#receiver = new SnapshotReceiver({
      clock,
      send,
      onSnapshot: (from, entries) => this.#onSnapshot(from, entries),
    });
  }

  get local(): LocalSide | undefined {
    return this.#local;
  }

  attach(local: LocalSide): void {
    this.#local = local;
  }

  /** Peers of all nodes, each nick once. */
  get peerCount(): number {
    return this.own.size + this.view.peers.length;
  }

  /** The nodes whose peers of this nick are not the same peer. */
  holders({ nick, location, provenKey }: Claimant): readonly string[] {
    const identity = { location: formatLocation(location), key: provenKey };
    return [...this.view.presences(nick).values()]
      .filter(({ entry }) => !isSamePeer(identity, entry))
      .map(({ node }) => node);
  }

  /** Sends a heartbeat now. */
  beat(): void {
    const { clock, version, node, outbox, facts } = this.#options;
    const now = clock.now();
    this.#beatAt = now;
    const demand: Demands = [this.demand.deliveries.read(now), this.demand.requests.read(now)];
    this.demands.set(node, demand);
    const { size: count, digest } = this.own;
    outbox.push(undefined, {
      type: 'beat',
      count,
      digest,
      demand,
      version,
      facts: facts(),
      places: this.places.statement,
    });
    outbox.flushSoon();
  }

  sweep(): void {
    const { clock, members } = this.#options;
    if (clock.now() - this.#beatAt >= BEAT_MS) this.beat();
    members.sweep();
    this.places.sweep();
    this.claims.sweep();
    if (clock.now() - this.#tidiedAt >= TIDY_MS) this.#tidy();
  }

  stop(): void {
    this.#sender.stop();
  }

  /** A node is dead: its peers have left it. */
  died(node: string): void {
    this.#options.tally.deaths++;
    this.demands.delete(node);
    this.#receiver.forget(node);
    this.copies.settle();
    const waited = this.kept
      .nicks()
      .filter((nick) => this.view.has(node, nick))
      .map((nick) => [nick, this.kept.take(nick)] as const);
    this.view.clear(node);
    this.places.forget(node);
    for (const [nick, messages] of waited) this.#deliverKept(nick, messages);
  }

  /** The bus is away: this node serves its own peers, and speaks for them. */
  cutOff(): void {
    this.#options.tally.cutOffs++;
    this.places.cutOff();
    this.claims.grantAll();
    for (const nick of this.held.nicks()) this.#release(nick);
  }

  connected(): void {
    this.copies.settle();
    this.places.connected();
    this.beat();
    this.conflicts.checkAll();
  }

  receive({ node, isNewLife, records }: Received): void {
    if (isNewLife) {
      this.#receiver.forget(node);
      this.#receiver.want(node);
      this.places.forget(node);
    }
    for (const record of records) this.#record(node, record);
  }

  #tidy(): void {
    const { clock, outbox } = this.#options;
    this.#tidiedAt = clock.now();
    this.conflicts.sweep();
    this.copies.sweep();
    this.kept.sweep();
    this.held.sweep(
      (nick, { payload, ordinal }) => this.copies.isRelayed(nick, payload, ordinal),
      (nick) => {
        for (const node of this.view.presences(nick).keys()) {
          outbox.push(node, { type: 'probe', nick });
        }
      },
    );
  }

  #record(node: string, record: ClusterRecord): void {
    switch (record.type) {
      case 'beat':
        this.#onBeat(node, record);
        break;
      case 'bye':
        this.#options.members.bye(node);
        break;
      case 'join':
        this.#join(node, record.entry);
        break;
      case 'leave':
        this.#receiver.changed(node, record.nick, undefined);
        this.view.delete(node, record.nick);
        break;
      case 'public':
        this.#onPublic(node, record.payload);
        break;
      case 'private':
        this.#onPrivate(node, record.payload);
        break;
      case 'undelivered':
        this.#local?.undelivered(record.from, record.to);
        break;
      case 'want':
        this.#sender.start(node, record.id);
        break;
      case 'chunk':
        this.#receiver.chunk(node, record);
        break;
      case 'claim':
        this.#onClaim(node, record);
        break;
      case 'unclaim':
        this.#local?.unclaimed(node, record.nick);
        break;
      case 'answer':
        this.claims.answered(node, record.nick, record.granted);
        break;
      case 'yield':
        this.conflicts.yielded(node, record.nick);
        break;
      case 'probe':
        if (this.view.has(node, record.nick)) this.#local?.probe(record.nick);
        break;
      case 'reserve':
        this.places.reserve(node, record.clock, record.isShort);
        break;
      case 'reserved':
        this.places.reserved(node, record.clock, record.held);
        break;
      case 'ask':
      case 'prove':
        // See `inbox.ts`.
        break;
    }
  }

  #onBeat(node: string, beat: Extract<ClusterRecord, { readonly type: 'beat' }>): void {
    const { count, digest, demand, version, facts } = beat;
    this.demands.set(node, demand);
    const inSync = this.view.count(node) === count && this.view.digest(node) === digest;
    this.#options.members.beat(node, {
      version,
      inSync,
      differences: differences(this.#options.facts(), facts),
    });
    this.places.stated(node, beat.places);
    if (!inSync) this.#receiver.want(node);
  }

  #join(node: string, entry: Entry): void {
    const { clock, tally } = this.#options;
    this.#receiver.changed(node, entry.nick, entry);
    if (!this.view.has(node, entry.nick)) this.copies.fresh(entry.nick, node);
    if (!this.view.set(node, entry, clock.now())) tally.dropped.record++;
  }

  #onSnapshot(node: string, entries: ReadonlyMap<string, Entry>): void {
    const { tally, clock } = this.#options;
    tally.snapshots++;
    this.view.replace(node, entries, clock.now());
  }

  #onPublic(node: string, payload: string): void {
    const route = parseRoute(payload);
    if (!route.ok || route.value.to !== undefined) {
      this.#options.tally.dropped.record++;
      return;
    }
    const { from } = route.value;
    if (!this.#isPeerOf(node, from)) return;
    if (this.own.get(from)) this.copies.relayed(from, payload);
    this.#local?.publish(from, payload);
  }

  #onPrivate(node: string, payload: string): void {
    const { tally, outbox } = this.#options;
    const route = parseRoute(payload);
    if (!route.ok || route.value.to === undefined) {
      tally.dropped.record++;
      return;
    }
    const { from, to } = route.value;
    if (!this.#isPeerOf(node, from)) return;
    if (!this.twins.receivesHere(to)) {
      this.kept.add(to, { from, payload, node });
      return;
    }
    if (!this.isNew(from, payload, node)) return;
    const result = this.#local?.deliver(from, to, payload);
    // At another node it may have arrived.
    if (result === 'delivered' || result === 'dropped' || this.view.presences(to).size > 0) return;
    outbox.push(node, { type: 'undelivered', from, to });
  }

  /** The node that had the first connection of a peer is dead. */
  #deliverKept(to: string, messages: readonly KeptMessage[]): void {
    if (!this.twins.receivesHere(to)) return;
    for (const { from, payload, node } of messages) {
      if (this.isNew(from, payload, node)) this.#local?.deliver(from, to, payload);
    }
  }

  /** Whether a private message, which each node sends that has a connection of its peer, is none of a copy. */
  isNew(nick: string, payload: string, node: string): boolean {
    const connections = this.view.presences(nick).size + (this.own.get(nick) ? 1 : 0);
    if (connections <= 1 && !this.copies.knows(nick)) return true;
    if (this.copies.take(nick, payload, node) === 'new') return true;
    this.#options.tally.copies++;
    return false;
  }

  #onClaim(node: string, claim: Extract<ClusterRecord, { readonly type: 'claim' }>): void {
    const { nick } = claim;
    const location = parseDeclaredLocation(claim.location);
    if (!this.#local?.has(nick)) {
      this.#options.outbox.push(node, { type: 'answer', nick, granted: true });
    } else if (!location.ok) {
      this.#options.outbox.push(node, { type: 'answer', nick, granted: false });
    } else {
      this.#local.claimed(node, { nick, location: location.value, provenKey: claim.key });
    }
  }

  #isPeerOf(node: string, nick: string): boolean {
    const presence = this.view.presences(nick).get(node);
    if (presence && this.twins.maySpeak(presence)) return true;
    this.#options.tally.dropped['not-its-peer']++;
    return false;
  }

  #changed(nick: string): void {
    this.claims.changed(nick);
    if (!this.own.get(nick)) return;
    if (this.twins.receivesHere(nick)) this.kept.take(nick);
    if (this.held.has(nick) && this.twins.isSpeaker(nick)) this.#release(nick);
    this.conflicts.check(nick);
  }

  /** Relays what waited for the node that spoke for a peer. */
  #release(nick: string): void {
    for (const { payload, ordinal } of this.held.take(nick)) {
      if (this.copies.isRelayed(nick, payload, ordinal)) continue;
      this.copies.relayed(nick, payload);
      this.#local?.relay(nick, payload);
    }
  }

  #giveUp(nick: string): void {
    this.#options.tally.nicksLost++;
    this.#options.log.info('cluster: a peer here lost its nick to a peer of another node');
    this.#local?.giveUp(nick);
  }
}
