/**
 * The relay for comparison: a directory in its simplest form.
 * Each line is parsed, and for each recipient encoded and written on its own. It checks nothing, has
 * no limits and no liveness, so it does less work per message than any real directory.
 */
import { createServer, type Socket } from 'node:net';
import { createInterface } from 'node:readline';

interface Envelope {
  readonly type: number;
  readonly line: string;
}

export interface NaiveRelay {
  readonly port: number;
  readonly peerCount: () => number;
}

function encode(type: number, line: string): string {
  return JSON.stringify({ type, line }) + '\r\n';
}

export async function startNaiveRelay(): Promise<NaiveRelay> {
  const peers = new Map<string, Socket>();
  const server = createServer({ noDelay: true }, (socket) => {
    let nick = '';
    socket.on('error', () => {});
    socket.on('close', () => {
      if (!peers.delete(nick)) return;
      for (const peer of peers.values()) peer.write(encode(789, `${nick};NOT-SERVING-ONION;D`));
    });
    createInterface({ input: socket }).on('line', (text) => {
      const { type, line }: Envelope = JSON.parse(text);
      if (type === 793) {
        const hello: { nick: string } = JSON.parse(line);
        nick = hello.nick;
        peers.set(nick, socket);
        socket.write(encode(795, '{"accepted": true}'));
      } else if (type === 687) {
        for (const peer of peers.values()) if (peer !== socket) peer.write(encode(687, line));
      } else if (type === 685) {
        peers.get(line.split('!')[1] ?? '')?.write(encode(685, line));
      }
    });
  });
  await new Promise<void>((resolve) => {
    server.listen({ host: '127.0.0.1', port: 0, backlog: 1024 }, resolve);
  });
  const address = server.address();
  const port = address !== null && typeof address === 'object' ? address.port : 0;
  return { port, peerCount: () => peers.size };
}
