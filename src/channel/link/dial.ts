/** One dial: its place in the queue, its deadline and its cancellation. */
import { errorText, isOurs } from '../../kit/error-text.js';
import type { Location } from '../../protocol/location.js';
import type { DialLimit, DialKind } from './dial-limit.js';
import type { Clock, Connection, Overlay } from '../ports.js';

export interface DialRequest {
  readonly overlay: Overlay;
  readonly dialLimit: DialLimit;
  readonly clock: Clock;
  readonly location: Location;
  readonly kind: DialKind;
  /** The nick that dials: streams of two nicks never share a Tor circuit. */
  readonly nick: string;
  /** The purpose: streams of different names never share a Tor circuit. */
  readonly name: string;
  /** Longest time of the dial itself, without the wait for a place. */
  readonly withinMs: number;
  /** For this attempt only; its owner aborts it to stop the dial. */
  readonly attempt: AbortController;
}

export type Dialled<T> =
  | { readonly ok: true; readonly value: T }
  /** `ours`: the fault is on this machine, and the location was not asked. */
  | { readonly ok: false; readonly reason: string; readonly ours: boolean };

/** Kind and nick contain no colon, so different nicks or names give different texts. */
function isolationOf({ kind, nick, name }: DialRequest): string {
  return `${kind}:${nick}:${name}`;
}

/**
 * Passes the connection to `use` in the turn in which the overlay hands it over, or returns one line
 * with the reason of the failure. Never rejects.
 */
export async function dialWithin<T>(
  request: DialRequest,
  use: (connection: Connection) => T,
): Promise<Dialled<T>> {
  const { overlay, dialLimit, clock, location, kind, withinMs, attempt } = request;
  const { signal } = attempt;
  let leave: (() => void) | undefined;
  let cancelDeadline: (() => void) | undefined;
  let late = false;
  try {
    leave = await dialLimit.enter(kind, signal);
    cancelDeadline = clock.after(withinMs, () => {
      late = true;
      attempt.abort();
    });
    const connection = await overlay.dial(location, { signal, isolation: isolationOf(request) });
    if (!signal.aborted) return { ok: true, value: use(connection) };
    connection.destroy();
  } catch (error) {
    if (!signal.aborted) {
      const reason = errorText(error);
      return { ok: false, reason, ours: isOurs(error) };
    }
  } finally {
    cancelDeadline?.();
    leave?.();
  }
  const reason = late ? `no connection within ${Math.round(withinMs / 1_000)} s` : 'stopped';
  return { ok: false, reason, ours: false };
}
