/** The parts of a node that know its peers and those of the others, and what it says to the others. */
import type { Log } from '../channel/log.js';
import type { Claimant, LocalSide } from '../directory/neighbours.js';
import type { Clock } from '../kit/clock.js';
import { formatLocation } from '../protocol/location.js';
import type { AllowanceFigures } from './allowance.js';
import { Caps } from './caps.js';
import { Claims } from './claims.js';
import { Conflicts } from './conflicts.js';
import { Copies } from './copies.js';
import type { ClusterTally } from './counters.js';
import type { NodeFacts } from './facts.js';
import { Heartbeat } from './heartbeat.js';
import { HeldRelay } from './held-relay.js';
import { Held } from './held.js';
import type { Received } from './inbox.js';
import { Incoming } from './incoming.js';
import { KeptPrivate } from './kept-private.js';
import type { Members } from './members.js';
import type { RecordOutbox } from './outbox.js';
import { Places } from './places.js';
import { isSamePeer, OwnPeers } from './own-peers.js';
import { Privates } from './privates.js';
import { ProofChecks } from './proof-checks.js';
import type { Entry } from './record.js';
import { RemoteView } from './remote-view.js';
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
  readonly privates: Privates;
  readonly caps: Caps;
  readonly heartbeat: Heartbeat;
  readonly #options: ExchangeOptions;
  readonly #sender: SnapshotSender;
  readonly #receiver: SnapshotReceiver;
  readonly #incoming: Incoming;
  readonly #heldRelay: HeldRelay;
  #local: LocalSide | undefined;
  #tidiedAt = -Infinity;

  constructor(options: ExchangeOptions) {
    const { node, clock, members, outbox } = options;
    const send = outbox.push.bind(outbox);
    this.#options = options;
    this.copies = new Copies(clock);
    this.held = new Held(clock);
    this.kept = new KeptPrivate(clock);
    this.proofs = new ProofChecks(clock, options.tally);
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
      total: () => this.#local?.limits.maxPeers ?? 0,
      own: () => this.own.size,
      announced: (other) => this.view.count(other),
      send,
      decided: () => this.#local?.placesDecided(),
    });
    const local = (): LocalSide | undefined => this.#local;
    const maySpeak = this.#maySpeak.bind(this);
    const shared = {
      clock,
      tally: options.tally,
      own: this.own,
      view: this.view,
      copies: this.copies,
      local,
      maySpeak,
      send,
    };
    this.privates = new Privates({ ...shared, twins: this.twins, kept: this.kept });
    this.#heldRelay = new HeldRelay({ ...shared, held: this.held });
    this.caps = new Caps({
      nodes: options.others,
      clock,
      log: options.log,
      tally: options.tally,
      figures: (other) => this.#figures(other),
      has: (other, nick) => this.view.has(other, nick),
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
    this.heartbeat = new Heartbeat({
      node,
      clock,
      version: options.version,
      facts: options.facts,
      own: this.own,
      view: this.view,
      members,
      places: this.places,
      outbox,
      want: (other) => this.#receiver.want(other),
    });
    this.#incoming = new Incoming({
      ...shared,
      privates: this.privates,
      claims: this.claims,
      conflicts: this.conflicts,
      places: this.places,
      caps: this.caps,
      sender: this.#sender,
      receiver: this.#receiver,
      onBeat: (from, beat) => this.heartbeat.receive(from, beat),
      onBye: (from) => members.bye(from),
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

  sweep(): void {
    const { clock, members } = this.#options;
    this.heartbeat.sweep();
    members.sweep();
    this.places.sweep();
    this.claims.sweep();
    this.caps.sweep();
    if (clock.now() - this.#tidiedAt >= TIDY_MS) this.#tidy();
  }

  stop(): void {
    this.#sender.stop();
  }

  /** A node is dead: its peers have left it. */
  died(node: string): void {
    this.#options.tally.deaths++;
    this.heartbeat.forget(node);
    this.#receiver.forget(node);
    this.copies.settle();
    const waited = this.privates.takeKept(node);
    this.view.clear(node);
    this.places.forget(node);
    this.privates.deliverKept(waited);
  }

  /** The bus is away: this node serves its own peers, and speaks for them. */
  cutOff(): void {
    this.#options.tally.cutOffs++;
    this.places.cutOff();
    this.claims.grantAll();
    this.#heldRelay.releaseAll();
  }

  connected(): void {
    this.copies.settle();
    this.places.connected();
    this.heartbeat.send();
    this.conflicts.checkAll();
  }

  receive(received: Received): void {
    this.#incoming.receive(received);
  }

  #tidy(): void {
    this.#tidiedAt = this.#options.clock.now();
    this.conflicts.sweep();
    this.copies.sweep();
    this.kept.sweep();
    this.#heldRelay.sweep();
  }

  #onSnapshot(node: string, entries: ReadonlyMap<string, Entry>): void {
    const { tally, clock } = this.#options;
    tally.snapshots++;
    this.view.replace(node, this.caps.takeList(node, entries), clock.now());
  }

  #figures(node: string): AllowanceFigures | undefined {
    if (!this.#local) return undefined;
    return {
      limits: this.#local.limits,
      demand: this.heartbeat.demands.get(this.#options.node) ?? [0, 0],
      peers: this.view.count(node),
      ownPeers: this.own.size,
    };
  }

  #maySpeak(node: string, nick: string): boolean {
    const presence = this.view.presences(nick).get(node);
    if (presence && this.twins.maySpeak(presence)) return true;
    this.#options.tally.dropped['not-its-peer']++;
    return false;
  }

  #changed(nick: string): void {
    this.claims.changed(nick);
    if (!this.own.get(nick)) return;
    if (this.twins.receivesHere(nick)) this.kept.take(nick);
    if (this.held.has(nick) && this.twins.isSpeaker(nick)) this.#heldRelay.release(nick);
    this.conflicts.check(nick);
  }

  #giveUp(nick: string): void {
    this.#options.tally.nicksLost++;
    this.#options.log.info('cluster: a peer here lost its nick to a peer of another node');
    this.#local?.giveUp(nick);
  }
}
