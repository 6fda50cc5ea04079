/**
 * Places of `max_peers`, which the nodes divide. A node has no more peers than the places that it holds, and all nodes
 * together hold no more than the limit, so the limit is exact while they hear each other.
 *
 * A node holds a part of the free places in advance, so that a newcomer far from the limit does not wait. To hold more
 * it asks all living nodes, and each answers with what it holds. Only one node at a time counts these answers: the
 * order is that of Lamport clocks, and a node that comes first answers the others when it is done (Ricart and Agrawala,
 * "An Optimal Algorithm for Mutual Exclusion in Computer Networks", 1981). Where the places do not suffice, the node
 * asks again, and the others give back what they do not use.
 *
 * A node that is cut off uses an equal share. Nodes that were not heard yet count with theirs, after a moment in which
 * they can be heard.
 */
import type { PlaceAnswer } from '../directory/neighbours.js';
import type { Clock } from '../kit/clock.js';
import type { Members } from './members.js';
import { PlacesHeld } from './places-held.js';
import type { ClusterRecord } from './record.js';

/** Time after which a question is repeated to the nodes that did not answer. */
const AGAIN_MS = 500;
/** A living node that does not answer for this long counts with what it stated last. */
const ANSWER_MS = 3_000;
/** Where a question brought nothing although there is room, the next one waits for this long. */
const REFUSED_MS = 1_000;
/** After a start and after a cut-off, newcomers wait for this long until the other nodes are heard. */
const START_MS = 1_500;
/** A Lamport clock that is further ahead than this is not followed: the node lies. */
const MAX_AHEAD = 1_000_000_000;

export interface PlacesOptions {
  readonly node: string;
  readonly others: readonly string[];
  readonly clock: Clock;
  readonly members: Pick<Members, 'connected' | 'since' | 'get'>;
  /** The limit; 0: there is none. */
  readonly total: () => number;
  /** Peers here. */
  readonly own: () => number;
  /** Peers that another node announced. */
  readonly announced: (node: string) => number;
  readonly send: (to: string, record: ClusterRecord) => void;
  /** `ask` may have another answer now. */
  readonly decided: () => void;
}

/** What a node says in its heartbeats. */
export interface PlacesStatement {
  readonly held: number;
  /** Its Lamport clock. */
  readonly clock: number;
}

/** The own question. */
interface Question {
  readonly clock: number;
  /** Newcomers that wait for it. */
  readonly newcomers: number;
  /** Places asked for. */
  readonly wanted: number;
  /** Whether the others give back what they do not use. */
  readonly isShort: boolean;
  readonly since: number;
  sentAt: number;
  readonly answered: Set<string>;
}

interface Deferred {
  readonly clock: number;
  readonly isShort: boolean;
}

export class Places {
  readonly #options: PlacesOptions;
  readonly #others: PlacesHeld;
  #held = 0;
  #clock = 0;
  /** The limit at the last look. */
  #total = 0;
  /** Newcomers since the question was sent. */
  #asking = 0;
  #question: Question | undefined;
  #refusedUntil = -Infinity;
  #noSpareUntil = -Infinity;
  readonly #startedAt: number;
  #wasConnected = false;
  /** Questions that are answered after the own one, by node. */
  readonly #deferred = new Map<string, Deferred>();

  constructor(options: PlacesOptions) {
    this.#options = options;
    this.#startedAt = options.clock.now();
    this.#others = new PlacesHeld(options.others);
  }

  get statement(): PlacesStatement {
    return { held: this.#claimed, clock: this.#clock };
  }

  /** A newcomer needs a place. `asked`: `decided` is called later. */
  ask(): PlaceAnswer {
    const { own, members, clock } = this.#options;
    this.#look();
    if (!members.connected) {
      if (!this.#isStarting) return own() < this.#share ? 'free' : 'full';
      this.#asking++;
      return 'asked';
    }
    if (this.#free <= 0) return 'full';
    if (own() < this.#held) return 'free';
    if (clock.now() < this.#refusedUntil) return 'full';
    this.#asking++;
    if (this.#question) return 'asked';
    this.#begin(false);
    if (this.#question) return 'asked';
    return own() < this.#held ? 'free' : 'full';
  }

  /** A peer became ready here. */
  entered(): void {
    this.#held = Math.max(this.#held, this.#options.own());
    this.#topUp();
  }

  /** From now on the other nodes are asked; nothing is held in advance yet. */
  connected(): void {
    this.#wasConnected = true;
    this.#held = this.#options.own();
    if (this.#asking > 0) this.#options.decided();
  }

  /** The other nodes cannot be asked. */
  cutOff(): void {
    this.#question = undefined;
    this.#deferred.clear();
    this.#asking = 0;
    this.#others.forgetHeld();
    this.#options.decided();
  }

  /** A node is dead, or began again. */
  forget(node: string): void {
    if (!this.#others.has(node)) return;
    this.#others.forget(node);
    this.#deferred.delete(node);
    this.#settle();
  }

  /** A heartbeat; undefined: of a version that states nothing. */
  stated(node: string, statement: PlacesStatement | undefined): void {
    if (!this.#others.has(node)) return;
    this.#others.stated(node, statement?.held);
    this.#hear(statement?.clock ?? 0);
    this.#settle();
  }

  /** A node wants to hold more. */
  reserve(node: string, clock: number, isShort: boolean): void {
    this.#hear(clock);
    const question = this.#question;
    const isFirst =
      question &&
      (question.clock < clock || (question.clock === clock && this.#options.node < node));
    if (isFirst) this.#deferred.set(node, { clock, isShort });
    else this.#answer(node, { clock, isShort });
  }

  /** The answer of a node. */
  reserved(node: string, clock: number, held: number): void {
    if (!this.#others.has(node)) return;
    this.#others.answered(node, held);
    if (this.#question?.clock !== clock) return;
    this.#question.answered.add(node);
    this.#settle();
  }

  sweep(): void {
    const { clock, members } = this.#options;
    const now = clock.now();
    const question = this.#question;
    this.#look();
    if (!members.connected) {
      if (this.#asking === 0 || this.#isStarting) return;
      this.#asking = 0;
      this.#options.decided();
      return;
    }
    if (!question) {
      this.#topUp();
      return;
    }
    const missing = this.#missing(question);
    if (now - question.since >= ANSWER_MS) {
      for (const name of missing) this.#others.silence(name);
    } else if (now - question.sentAt >= AGAIN_MS) {
      question.sentAt = now;
      this.#sendTo(missing, question);
    }
    this.#settle();
  }

  #look(): void {
    const { total, own } = this.#options;
    // What was held of a larger limit may be too much.
    if (total() < this.#total) this.#held = own();
    this.#total = total();
  }

  /** Whether the bus may be there in a moment. */
  get #isStarting(): boolean {
    return !this.#wasConnected && this.#options.clock.now() - this.#startedAt < START_MS;
  }

  /** What the others must count for this node. */
  get #claimed(): number {
    const { own, members } = this.#options;
    return Math.max(this.#held, own(), members.connected ? 0 : this.#share);
  }

  get #share(): number {
    return Math.max(1, Math.floor(this.#total / (this.#options.others.length + 1)));
  }

  /** Places without a peer at any node. */
  get #free(): number {
    const { own, others, announced } = this.#options;
    return others.reduce((left, name) => left - announced(name), this.#total - own());
  }

  /** Places to hold in advance: the nodes together hold no more than half of what is free. */
  get #spare(): number {
    return Math.max(0, Math.floor(this.#free / (2 * (this.#options.others.length + 1))));
  }

  get #unused(): number {
    return Math.max(0, this.#held - this.#options.own());
  }

  #topUp(): void {
    const { clock, members } = this.#options;
    const spare = this.#spare;
    if (!members.connected || this.#question || clock.now() < this.#noSpareUntil) return;
    if (spare > 0 && this.#unused * 2 < spare) this.#begin(false);
  }

  #hear(clock: number): void {
    if (clock - this.#clock <= MAX_AHEAD) this.#clock = Math.max(this.#clock, clock);
  }

  /** Asks all living nodes; decides at once when there are none. */
  #begin(isShort: boolean): void {
    const now = this.#options.clock.now();
    this.#clock = Math.min(Number.MAX_SAFE_INTEGER, this.#clock + 1);
    const newcomers = this.#asking;
    const wanted = newcomers + Math.max(0, this.#spare - this.#unused);
    this.#asking = 0;
    const question: Question = {
      clock: this.#clock,
      newcomers,
      wanted,
      isShort: isShort || wanted > this.#room,
      since: now,
      sentAt: now,
      answered: new Set(),
    };
    this.#question = question;
    // Also to nodes that do not answer, so that they can again.
    this.#sendTo(this.#asked, question);
    if (this.#missing(question).length === 0) this.#count(question);
  }

  #sendTo(nodes: readonly string[], { clock, isShort }: Question): void {
    for (const node of nodes) this.#options.send(node, { type: 'reserve', clock, isShort });
  }

  /** The nodes that can answer. */
  get #asked(): readonly string[] {
    const { others, members, clock } = this.#options;
    const isNew = clock.now() - members.since < START_MS;
    return others.filter((name) => {
      const life = members.get(name)?.life;
      const isThere = life === 'alive' || (life === 'unknown' && isNew);
      return isThere && this.#others.canAnswer(name);
    });
  }

  /** The nodes whose answers are waited for. */
  #missing({ answered }: Question): readonly string[] {
    return this.#asked.filter((name) => !this.#others.isSilent(name) && !answered.has(name));
  }

  /** Places that no node holds, as far as is known. */
  get #room(): number {
    const { own, others, members, announced } = this.#options;
    let room = this.#total - Math.max(this.#held, own());
    for (const name of others) {
      const life = members.get(name)?.life;
      room -= this.#others.by(name, { life, announced: announced(name), share: this.#share });
    }
    return room;
  }

  /** All answers are here: holds what there is. */
  #count({ wanted, newcomers, isShort }: Question): void {
    this.#question = undefined;
    const granted = Math.max(0, Math.min(wanted, this.#room));
    this.#held = Math.max(this.#held, this.#options.own()) + granted;
    if (granted === 0) this.#noSpareUntil = this.#options.clock.now() + REFUSED_MS;
    const unserved = newcomers + this.#asking - this.#unused;
    if (unserved <= 0 || this.#free <= this.#unused) return;
    if (isShort && granted === 0) {
      this.#refusedUntil = this.#options.clock.now() + REFUSED_MS;
      return;
    }
    this.#asking = unserved;
    this.#begin(true);
  }

  /** Counts when all answers are here. */
  #settle(): void {
    const question = this.#question;
    if (!question || this.#missing(question).length > 0) return;
    this.#count(question);
    this.#options.decided();
    // The newcomers that wait on asked again, and are part of the next question already.
    this.#asking = 0;
    const deferred = [...this.#deferred];
    this.#deferred.clear();
    for (const [node, asked] of deferred) this.#answer(node, asked);
  }

  #answer(node: string, { clock, isShort }: Deferred): void {
    const { own, send, clock: time } = this.#options;
    if (!this.#others.mayAnswer(node, time.now())) return;
    this.#held = isShort ? own() : Math.max(this.#held, own());
    send(node, { type: 'reserved', clock, held: this.#claimed });
  }
}
