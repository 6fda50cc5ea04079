/** What a cluster needs for so many peers, from figures of one machine. Pure. */

/** Measured by `scripts/bench cluster`, and by `scripts/bench tor` for Tor. */
export interface Costs {
  /** CPU of a relay for one delivery, microseconds. */
  readonly relayMicros: number;
  /** CPU of the Tor that serves it, microseconds. */
  readonly torMicros: number;
  /** Bytes on the bus for one public message, sent once to NATS. */
  readonly busBytesPerMessage: number;
  /** Bytes on the bus for one peer that joins, sent once to NATS. */
  readonly busBytesPerJoin: number;
  /** Heartbeats of a node, bytes per second. */
  readonly beatBytesPerSecond: number;
}

export interface Load {
  readonly peers: number;
  /** Public messages per second of all peers together. */
  readonly messagesPerSecond: number;
  /** Peers that join per second; each gets the whole list. */
  readonly joinsPerSecond: number;
}

export interface Needs {
  readonly deliveriesPerSecond: number;
  /** Cores for relays and Tors together. */
  readonly cores: number;
  /** Nodes of two cores, used at 60 %. */
  readonly nodes: number;
  /** Megabits per second that NATS receives; it sends this to each other node. */
  readonly busMegabits: number;
  /** Bytes of the list of all peers. */
  readonly listBytes: number;
  /** Megabits per second of lists for newcomers, over all nodes. */
  readonly listMegabits: number;
  /** Megabits per second of public messages to peers, over all nodes. */
  readonly peerMegabits: number;
}

/** An entry of a list: nick, onion with port, three features, and its share of the envelope. */
export const LIST_ENTRY_BYTES = 132;
/** A usual offer as one line. */
const MESSAGE_BYTES = 180;
const CORES_PER_NODE = 2;
const USED = 0.6;
const BITS = 8 / 1e6;

export function needsOf(costs: Costs, { peers, messagesPerSecond, joinsPerSecond }: Load): Needs {
  const deliveriesPerSecond = messagesPerSecond * peers;
  const cores = (deliveriesPerSecond * (costs.relayMicros + costs.torMicros)) / 1e6;
  const nodes = Math.max(1, Math.ceil(cores / (CORES_PER_NODE * USED)));
  const listBytes = peers * LIST_ENTRY_BYTES;
  const busBytes =
    messagesPerSecond * costs.busBytesPerMessage +
    joinsPerSecond * costs.busBytesPerJoin +
    nodes * costs.beatBytesPerSecond;
  return {
    deliveriesPerSecond,
    cores,
    nodes,
    busMegabits: busBytes * BITS,
    listBytes,
    listMegabits: joinsPerSecond * listBytes * BITS,
    peerMegabits: deliveriesPerSecond * MESSAGE_BYTES * BITS,
  };
}
