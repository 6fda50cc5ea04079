/** A control port with the answers of a test, for cases that a real tor never shows. */
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';

export interface FakeControl {
  readonly port: number;
  /** Every line received, of all connections in order, prefixed by the number of the connection (from 1). */
  readonly lines: readonly string[];
  /** Resolves when no connection is open; rejects if one still is after 60 s. */
  allClosed(): Promise<void>;
  close(): Promise<void>;
}

/** `answer` is called for each line; its result is sent, undefined sends nothing. */
export async function fakeControl(
  answer: (line: string, socket: Socket, connection: number) => string | undefined,
): Promise<FakeControl> {
  const lines: string[] = [];
  const open = new Set<Socket>();
  let connections = 0;
  const server = createServer((socket) => {
    const connection = ++connections;
    open.add(socket);
    socket.on('close', () => open.delete(socket));
    socket.on('error', () => {});
    let rest = '';
    socket.on('data', (chunk) => {
      const parts = (rest + chunk.toString('latin1')).split('\r\n');
      rest = parts.pop() ?? '';
      for (const line of parts) {
        lines.push(`${connection} ${line}`);
        const text = answer(line, socket, connection);
        if (text !== undefined && !socket.destroyed) socket.write(text, 'latin1');
      }
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return {
    port: address.port,
    lines,
    async allClosed() {
      const signal = AbortSignal.timeout(60_000);
      await Promise.all([...open].map((socket) => once(socket, 'close', { signal })));
    },
    async close() {
      for (const socket of open) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
