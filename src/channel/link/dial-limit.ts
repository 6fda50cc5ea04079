/**
 * Limits simultaneous dials: with many onion dials at once Tor itself refuses them. Directories have
 * priority, and dials of peers never take the last places.
 */
import type { ChannelLimits } from '../channel-settings.js';

export interface DialLimit {
  /**
   * Takes a place; the returned function frees it. Rejects with the signal's reason when aborted, or
   * with an error when too many peers wait.
   */
  enter(kind: DialKind, signal: AbortSignal): Promise<() => void>;
}

export type DialKind = 'directory' | 'peer';

interface Waiter {
  readonly kind: DialKind;
  readonly admit: () => void;
}

type Limits = Pick<ChannelLimits, 'pendingDials' | 'pendingPeerDials' | 'waitingDials'>;

export function createDialLimit(limits: Limits): DialLimit {
  const dialling = { directory: 0, peer: 0 };
  const waiting: Waiter[] = [];

  function hasRoom(kind: DialKind): boolean {
    const total = dialling.directory + dialling.peer;
    if (total >= limits.pendingDials) return false;
    return kind === 'directory' || dialling.peer < limits.pendingPeerDials;
  }

  function take(kind: DialKind): () => void {
    dialling[kind]++;
    let given = false;
    return () => {
      if (given) return;
      given = true;
      dialling[kind]--;
      admitNext();
    };
  }

  function admitNext(): void {
    const next =
      waiting.find(({ kind }) => kind === 'directory' && hasRoom(kind)) ??
      waiting.find(({ kind }) => hasRoom(kind));
    next?.admit();
  }

  return {
    async enter(kind, signal) {
      signal.throwIfAborted();
      if (hasRoom(kind)) return take(kind);
      const peers = waiting.filter((waiter) => waiter.kind === 'peer').length;
      if (kind === 'peer' && peers >= limits.waitingDials) {
        throw new Error('too many peers wait to be dialled');
      }
      return new Promise((resolve, reject) => {
        const leave = (): void => {
          waiting.splice(waiting.indexOf(waiter), 1);
          signal.removeEventListener('abort', aborted);
        };
        const aborted = (): void => {
          leave();
          reject(new Error('dial aborted', { cause: signal.reason }));
        };
        const waiter: Waiter = {
          kind,
          admit: () => {
            leave();
            resolve(take(kind));
          },
        };
        waiting.push(waiter);
        signal.addEventListener('abort', aborted, { once: true });
      });
    },
  };
}
