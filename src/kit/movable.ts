/**
 * A part of a program that can continue in another process: it stops, describes itself as JSON values
 * and open sockets, and is built from them again.
 */

/** One unit of a handover, named by a key. The last parcel of a key counts. */
export interface Parcel {
  /** `listener`, `peer:17`: letters, digits, `-`, `.` and `:`, at most 64 characters. */
  readonly key: string;
  /** JSON. It comes from another process, perhaps of another version, so the reader validates it. */
  readonly value: unknown;
  /** An open connection, a `Socket` of `node:net`. It arrives paused and unread. */
  readonly stream?: object | undefined;
  /** A listener, a `Server` of `node:net`. It arrives as what `Server.listen` takes. */
  readonly listener?: object | undefined;
}

/** The received parcels, by key. */
export type Parcels = ReadonlyMap<string, Parcel>;

/** A part of a program that can continue in another process. */
export interface Movable {
  /**
   * Stops using the streams and state that it hands over, and returns them as parcels. The caller stops
   * reading the streams in the same turn of the event loop. Rejects with a HandoverError when the part
   * cannot be moved now; nothing has changed then.
   */
  hold(): Promise<readonly Parcel[]>;
  /** The handover did not happen: continues as before. The caller starts reading the streams again. */
  release(): void;
}

/** The reason why a part cannot be handed over, or was not; one line for the operator. */
export class HandoverError extends Error {
  override readonly name = 'HandoverError';
}
