/** What a running program hands over to the process that replaces it: values and sockets. */
import type { NativeHandle } from './native-handle.js';

/** One unit of a handover, named by a key. The last parcel of a key counts. */
export interface Parcel {
  /** `listener`, `peer:17`: letters, digits, `-`, `.` and `:`, at most 64 characters. */
  readonly key: string;
  /** JSON. It comes from another process, perhaps of another version, so the reader validates it. */
  readonly value: unknown;
  readonly handle?: NativeHandle | undefined;
}

/** The received parcels, by key. */
export type Parcels = ReadonlyMap<string, Parcel>;

/** A part of a program that can continue in another process. */
export interface Movable {
  /**
   * Stops using what it hands over and returns it as parcels. Rejects with a text for the operator when
   * it cannot be moved now; nothing has changed then.
   */
  hold(): Promise<readonly Parcel[]>;
  /** The handover did not happen: continues as before. */
  release(): void;
}

/** Why something cannot be handed over, or was not; one line for the operator. */
export class HandoverError extends Error {
  override readonly name = 'HandoverError';
}
