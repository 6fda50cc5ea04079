/** A directory in memory that sends the lines of a script, on the clock of the test. */
import { setImmediate } from 'node:timers/promises';
import type { Connection, ConnectionHandler, Dialer } from '../../src/channel/ports.js';
import { decodeEnvelope, encodeEnvelope, type Envelope } from '../../src/protocol/envelope.js';
import type { TestClock } from '../helpers/test-clock.js';

/** The directory's end of one connection. */
export interface Guest {
  /** The nick in its 793; empty before. */
  readonly nick: string;
  /** Number of the dial, from 1. */
  readonly dial: number;
  say(type: number, payload: string): void;
  /** Bytes as they are. */
  raw(bytes: string | Uint8Array): void;
  hangUp(): void;
}

export interface ScriptedDirectory extends Dialer {
  /** Names under which streams were isolated, in the order of the dials. */
  readonly isolations: readonly (string | undefined)[];
  /** Connections that are open. */
  readonly open: number;
  /** Those that have sent a 793. */
  readonly guests: readonly Guest[];
}

export type Script = (guest: Guest, said: Envelope, all: readonly Guest[]) => void;

/** @param refuse the dials that fail, by number; `pending` never answers until it is aborted */
export function scriptedDirectory(
  script: Script,
  refuse: (dial: number) => Error | 'pending' | undefined = () => undefined,
): ScriptedDirectory {
  const isolations: (string | undefined)[] = [];
  const guests: Guest[] = [];
  let open = 0;

  function connect(dial: number): Connection {
    let handler: ConnectionHandler | undefined;
    let closed = false;
    let nick = '';
    open++;
    const close = (): void => {
      if (closed) return;
      closed = true;
      open--;
      queueMicrotask(() => handler?.closed());
    };
    const guest: Guest = {
      dial,
      get nick() {
        return nick;
      },
      say: (type, payload) => guest.raw(encodeEnvelope(type, payload)),
      raw(bytes) {
        queueMicrotask(() => {
          if (!closed) handler?.data(typeof bytes === 'string' ? Buffer.from(bytes) : bytes);
        });
      },
      hangUp: close,
    };
    return {
      remote: 'script',
      via: 'loopback',
      queuedBytes: 0,
      get closed() {
        return closed;
      },
      attach(newHandler) {
        handler = newHandler;
      },
      write(bytes, done) {
        if (closed) return;
        queueMicrotask(() => done?.());
        const line = decodeEnvelope(bytes);
        if (!line.ok) throw new Error(`the probe wrote a malformed envelope: ${line.reason}`);
        if (line.value.type === 793) {
          const { nick: named }: { nick: string } = JSON.parse(line.value.line);
          nick = named;
          guests.push(guest);
        }
        queueMicrotask(() => {
          if (!closed) script(guest, line.value, guests);
        });
      },
      pause() {},
      resume() {},
      end: close,
      destroy: close,
    };
  }

  return {
    isolations,
    guests,
    get open() {
      return open;
    },
    async dial(_location, { signal, isolation }) {
      isolations.push(isolation);
      const dial = isolations.length;
      const refusal = refuse(dial);
      if (refusal === undefined) return connect(dial);
      if (refusal !== 'pending') throw refusal;
      return new Promise((_, reject) => {
        signal.addEventListener('abort', () => reject(new Error('aborted')), { once: true });
      });
    },
  };
}

/** Moves the clock on in small steps until the promise is settled. */
export async function soon<T>(clock: TestClock, promise: Promise<T>, stepMs = 50): Promise<T> {
  let settled = false;
  const end = (): boolean => (settled = true);
  promise.then(end, end);
  for (let steps = 0; steps < 100_000; steps++) {
    // oxlint-disable-next-line no-await-in-loop -- all that happens between two steps is in order
    await setImmediate();
    if (settled) return promise;
    clock.advance(stepMs);
  }
  throw new Error('not settled in a long time of the test clock');
}
