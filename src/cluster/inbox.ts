/**
 * Which packets count. A packet must be signed by the key of its node, be for this node, and have a higher
 * number than all before it. The numbers begin again with each start of a node, which has a new epoch. So a
 * packet of an unknown epoch may be one of an earlier life that somebody publishes again: its node is asked to
 * sign a random number, and only then its epoch counts. No clock is compared.
 */
import type { Clock } from '../kit/clock.js';
import type { ClusterTally } from './counters.js';
import { isSealedBy, openPacket, type Packet } from './packet.js';
import { parseClusterRecord, type ClusterRecord } from './record.js';
import type { Seals } from './seals.js';

/** Time between two questions to one node. */
const ASK_MS = 500;
/** A larger gap is none. */
const MAX_MISSING = 100_000;
/** Most questions of one node that are answered in a second. */
const ANSWERS_PER_SECOND = 20;
/** Earlier epochs of a node that are remembered. */
const MAX_ENDED = 64;

export interface InboxOptions {
  /** Name of the cluster and network. */
  readonly cluster: string;
  readonly node: string;
  /** The names of all nodes. */
  readonly nodes: Iterable<string>;
  readonly seals: Seals;
  readonly clock: Clock;
  readonly tally: ClusterTally;
  readonly randomHex: () => string;
  /** Sends a record to one node. */
  readonly send: (to: string, record: ClusterRecord) => void;
  /** The number of the last own packet to all. */
  readonly lastSeq: () => number;
}

export interface Received {
  readonly node: string;
  /** The first packet of this start of the node that counts. */
  readonly isNewLife: boolean;
  readonly records: readonly ClusterRecord[];
}

/** What is known of the packets of one node. */
interface Sender {
  epoch: string | undefined;
  /**
   * Epochs that a later one ended, the oldest first. They never count again: of two processes with the key of one node
   * the later one is heard, instead of each in turn.
   */
  readonly ended: Set<string>;
  toAll: number;
  toUs: number;
  nonce: string;
  askedAt: number;
  answersSince: number;
  answers: number;
}

/** Where a sender is, for another process. */
export interface SenderState {
  readonly epoch: string | undefined;
  readonly toAll: number;
  readonly toUs: number;
}

export class Inbox {
  readonly #options: InboxOptions;
  readonly #senders = new Map<string, Sender>();

  constructor(options: InboxOptions) {
    this.#options = options;
    for (const name of options.nodes) {
      this.#senders.set(name, {
        epoch: undefined,
        ended: new Set(),
        toAll: 0,
        toUs: 0,
        nonce: '',
        askedAt: -Infinity,
        answersSince: -Infinity,
        answers: 0,
      });
    }
  }

  /**
   * The records of a packet that counts; none of an own one. Undefined for all others, which are
   * counted. Never throws.
   */
  receive(bytes: Uint8Array): Received | undefined {
    const { cluster, node, seals, tally } = this.#options;
    const packet = openPacket(bytes);
    if (!packet) return this.#drop('malformed');
    if (packet.cluster !== cluster || (packet.to !== undefined && packet.to !== node)) {
      return this.#drop('misdirected');
    }
    const sender = this.#senders.get(packet.node);
    if (!sender) return this.#drop('unknown-node');
    if (packet.node === node) return this.#echo(packet, sender);
    if (!isSealedBy(bytes, packet.node, seals)) return this.#drop('signature');
    tally.packetsIn++;
    tally.bytesIn += bytes.length;
    return this.#accept(packet, sender);
  }

  /** Packets of this epoch count for the own node, for the echo. */
  adoptOwn(epoch: string, lastSeq: number): void {
    this.restore(this.#options.node, { epoch, toAll: lastSeq, toUs: 0 });
  }

  stateOf(node: string): SenderState | undefined {
    const sender = this.#senders.get(node);
    return sender && { epoch: sender.epoch, toAll: sender.toAll, toUs: sender.toUs };
  }

  restore(node: string, { epoch, toAll, toUs }: SenderState): void {
    const sender = this.#senders.get(node);
    if (sender) Object.assign(sender, { epoch, toAll, toUs });
  }

  #drop(reason: keyof ClusterTally['dropped']): undefined {
    this.#options.tally.dropped[reason]++;
    return undefined;
  }

  /**
   * An own packet that came back: whoever reaches the bus can send it again, but only while the bus works. It
   * has no records.
   */
  #echo({ node, epoch, to, seq }: Packet, sender: Sender): Received | undefined {
    if (epoch !== sender.epoch) return this.#drop('epoch');
    if (to !== undefined || seq > this.#options.lastSeq() || seq <= sender.toAll) {
      return this.#drop('replayed');
    }
    sender.toAll = seq;
    return { node, isNewLife: false, records: [] };
  }

  #accept(packet: Packet, sender: Sender): Received | undefined {
    const { tally } = this.#options;
    const records = this.#read(packet);
    // A question that is sent again is not answered: it would use up the answers to later ones.
    const isRepeated = packet.epoch === sender.epoch && packet.seq <= sender.toUs;
    if (!isRepeated && !sender.ended.has(packet.epoch)) this.#answer(packet.node, sender, records);
    if (packet.epoch !== sender.epoch) return this.#newEpoch(packet, sender, records);
    const before = packet.to === undefined ? sender.toAll : sender.toUs;
    if (packet.seq <= before) return this.#drop('replayed');
    const missing = packet.seq - before - 1;
    // A process that continues another one leaves out very many numbers.
    if (missing < MAX_MISSING) tally.lost += missing;
    if (packet.to === undefined) sender.toAll = packet.seq;
    else sender.toUs = packet.seq;
    return { node: packet.node, isNewLife: false, records };
  }

  /** Accepts an epoch whose node answered the question; asks it otherwise. */
  #newEpoch(
    packet: Packet,
    sender: Sender,
    records: readonly ClusterRecord[],
  ): Received | undefined {
    if (sender.ended.has(packet.epoch)) return this.#drop('epoch');
    const proof = records.find((record) => record.type === 'prove');
    if (packet.to === undefined || !proof || proof.nonce !== sender.nonce || sender.nonce === '') {
      // Our own question counts as no answer of an unknown life, but is not a fault either.
      if (!records.some((record) => record.type === 'ask')) this.#drop('epoch');
      this.#ask(packet.node, sender);
      return undefined;
    }
    if (sender.epoch !== undefined) {
      sender.ended.add(sender.epoch);
      const [oldest] = sender.ended;
      if (oldest !== undefined && sender.ended.size > MAX_ENDED) sender.ended.delete(oldest);
    }
    Object.assign(sender, {
      epoch: packet.epoch,
      toAll: proof.seq,
      toUs: packet.seq,
      nonce: '',
      askedAt: -Infinity,
    });
    return { node: packet.node, isNewLife: true, records };
  }

  #ask(node: string, sender: Sender): void {
    const { clock, randomHex, send } = this.#options;
    const now = clock.now();
    if (now - sender.askedAt < ASK_MS) return;
    sender.askedAt = now;
    // The same one, so that a slow answer counts.
    if (sender.nonce === '') sender.nonce = randomHex();
    send(node, { type: 'ask', nonce: sender.nonce });
  }

  #answer(node: string, sender: Sender, records: readonly ClusterRecord[]): void {
    const { clock, send, lastSeq } = this.#options;
    for (const record of records) {
      if (record.type !== 'ask') continue;
      const now = clock.now();
      if (now - sender.answersSince >= 1_000) {
        sender.answersSince = now;
        sender.answers = 0;
      }
      if (++sender.answers > ANSWERS_PER_SECOND) return;
      send(node, { type: 'prove', nonce: record.nonce, seq: lastSeq() });
    }
  }

  #read({ records }: Packet): readonly ClusterRecord[] {
    const read: ClusterRecord[] = [];
    for (const value of records) {
      const record = parseClusterRecord(value);
      if (record === undefined) this.#drop('record');
      else if (record !== 'unknown') read.push(record);
    }
    return read;
  }
}
