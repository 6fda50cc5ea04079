import type { Connection } from '../../src/channel/ports.js';

/** One end of a connection in a test: collects what arrives and lets the test await it. */
export interface ConnectionPeer {
  readonly connection: Connection;
  /** Bytes that have arrived so far, read ones included. */
  readonly received: number;
  /** How often `closed` was called, and whether data came after it. */
  readonly closeCount: number;
  readonly dataAfterClose: boolean;
  /** The next `count` bytes; rejects if the connection closes first. */
  read(count: number): Promise<Buffer>;
  /** Resolves when the connection is over, with its cause. */
  readonly closed: Promise<Error | undefined>;
  /** Everything that arrived and was not read. Complete once `closed` has resolved. */
  rest(): Buffer;
}

/** Attaches to the connection, in this turn. `onData` is called after each chunk was stored. */
export function connectionPeer(connection: Connection, onData?: () => void): ConnectionPeer {
  let chunks: Uint8Array[] = [];
  let unread = 0;
  let received = 0;
  let closeCount = 0;
  let dataAfterClose = false;
  let wake: (() => void) | undefined;
  let tellClosed: ((cause: Error | undefined) => void) | undefined;
  const closed = new Promise<Error | undefined>((resolve) => {
    tellClosed = resolve;
  });
  connection.attach({
    data(chunk) {
      if (closeCount > 0) dataAfterClose = true;
      chunks.push(chunk);
      unread += chunk.length;
      received += chunk.length;
      wake?.();
      onData?.();
    },
    closed(cause) {
      closeCount += 1;
      tellClosed?.(cause);
      wake?.();
    },
  });
  const take = (count: number): Buffer => {
    const all = Buffer.concat(chunks);
    chunks = [all.subarray(count)];
    unread = all.length - count;
    return all.subarray(0, count);
  };
  return {
    connection,
    closed,
    get received() {
      return received;
    },
    get closeCount() {
      return closeCount;
    },
    get dataAfterClose() {
      return dataAfterClose;
    },
    async read(count) {
      for (;;) {
        if (unread >= count) return take(count);
        if (closeCount > 0) throw new Error(`closed after ${unread} of ${count} bytes`);
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    },
    rest: () => take(unread),
  };
}

/** A listener's side: attaches to every connection at once and hands them out in order. */
export interface Acceptor {
  onConnection(connection: Connection): void;
  /** The next connection accepted, or one that waits already. */
  next(): Promise<ConnectionPeer>;
  readonly accepted: number;
}

/** `greet` runs right after each attach, in the same turn. */
export function acceptor(greet?: (peer: ConnectionPeer) => void): Acceptor {
  const ready: ConnectionPeer[] = [];
  const waiting: ((peer: ConnectionPeer) => void)[] = [];
  let accepted = 0;
  return {
    onConnection(connection) {
      accepted += 1;
      const peer = connectionPeer(connection);
      greet?.(peer);
      const next = waiting.shift();
      if (next === undefined) ready.push(peer);
      else next(peer);
    },
    next() {
      const peer = ready.shift();
      if (peer !== undefined) return Promise.resolve(peer);
      return new Promise((resolve) => waiting.push(resolve));
    },
    get accepted() {
      return accepted;
    },
  };
}
