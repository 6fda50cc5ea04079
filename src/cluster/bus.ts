/** The carrier of packets between nodes. `nats/` implements it; tests have one in memory. */

/** Whether the bus carries packets now. */
export interface BusState {
  readonly connected: boolean;
  /** Why not, for a person. */
  readonly detail?: string;
}

export interface BusHandler {
  /** A packet that somebody published; the callee must not keep it. Called in the order of each sender. */
  packet(bytes: Uint8Array): void;
  /** The connection was lost or came back. */
  state(state: BusState): void;
}

export interface Bus {
  /**
   * Connects, and reconnects for ever. Resolves without waiting for a connection; rejects with a
   * ClusterError when there will never be one.
   * @param prefix subjects begin with it
   * @param node the own name; packets for it and for all are received, own ones too
   */
  open(prefix: string, node: string, handler: BusHandler): Promise<void>;
  /** Publishes to one node, or to all. False: it was not sent. Never throws. */
  publish(to: string | undefined, bytes: Uint8Array): boolean;
  /** Sends what is pending, within a second, and closes. Never rejects. */
  close(): Promise<void>;
}
