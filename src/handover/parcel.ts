/**
 * What a running program hands to the process that takes its place: plain values, and sockets.
 */
import type { NativeHandle } from './native-handle.js';

/** One thing that is handed over. A key names it; the last parcel of a key counts. */
export interface Parcel {
  /** `listener`, `peer:17`: letters, digits, `-`, `.` and `:`, at most 64 characters. */
  readonly key: string;
  /** JSON. Comes from another process, maybe of another version: whoever opens it, validates it. */
  readonly value: unknown;
  readonly handle?: NativeHandle | undefined;
}

/** What has come, by key. */
export type Parcels = ReadonlyMap<string, Parcel>;

/** A part of a program that can go on in another process. */
export interface Movable {
  /**
   * Stops using what it hands over and says what that is. Rejects, with a text for the operator, when
   * it cannot be moved now; nothing has changed then.
   */
  hold(): Promise<readonly Parcel[]>;
  /** Nobody took it: goes on as if nothing had been. */
  release(): void;
}

/** Why something cannot be handed over, or was not; one line for the operator. */
export class HandoverError extends Error {
  override readonly name = 'HandoverError';
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
