/**
 * Parsers of bytes from the network never throw. They return a typed value or a fault: a short, stable
 * name that is safe to log and count, and contains no text of the peer.
 */
export type Parsed<T, R extends string = string> =
  | {
      /** Whether the bytes were valid. */
      readonly ok: true;
      /** The value. */
      readonly value: T;
    }
  | {
      /** Whether the bytes were valid. */
      readonly ok: false;
      /** Why they were not. */
      readonly reason: R;
    };

export function ok<T>(value: T): { readonly ok: true; readonly value: T } {
  return { ok: true, value };
}

export function fail<R extends string>(reason: R): { readonly ok: false; readonly reason: R } {
  return { ok: false, reason };
}
