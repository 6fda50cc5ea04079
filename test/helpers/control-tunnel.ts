/** Programs between this one and Tor's control port: a filter, a tunnel, another machine. */
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import type { Test } from 'tap';
import { connectControl, type ControlClient, type Reply } from '../../src/tor/control/client.js';
import type { ControlEndpoint } from '../../src/tor/control/endpoint.js';
import { TorError } from '../../src/tor/tor-error.js';

export interface ControlTunnelOptions {
  readonly target: ControlEndpoint;
  /**
   * The client's connection stays open when Tor's end is closed. `silent`: a line has no answer then.
   * `again`: the tunnel connects to Tor again, and passes on its answers.
   */
  readonly whenTorIsGone: 'silent' | 'again';
  /** A line that is answered here and never reaches Tor. */
  readonly refuses?: RegExp;
}

export interface ControlTunnel {
  readonly endpoint: ControlEndpoint;
  /** Lines that were refused. */
  readonly refused: readonly string[];
}

const { signal } = new AbortController();

function textOf({ code, lines }: Reply): string {
  return lines
    .map(({ text, data }, i) => {
      if (data !== undefined) return `${code}+${text}\r\n${data.split('\n').join('\r\n')}\r\n.\r\n`;
      return `${code}${i === lines.length - 1 ? ' ' : '-'}${text}\r\n`;
    })
    .join('');
}

async function connectAnew(target: ControlEndpoint): Promise<ControlClient> {
  for (;;) {
    try {
      return await connectControl({ endpoint: target, signal });
    } catch (error) {
      if (!(error instanceof TorError)) throw error;
      // Tor is still away.
      await pause(20);
    }
  }
}

/** The answer of a Tor to a line on a new connection, as soon as one can be made. */
async function askAnew(target: ControlEndpoint, line: string): Promise<string> {
  const client = await connectAnew(target);
  try {
    return textOf(await client.command(line));
  } catch (error) {
    const reply = error instanceof TorError ? error.reply : undefined;
    return reply === undefined ? '' : `${reply.code} ${reply.text}\r\n`;
  } finally {
    client.close();
  }
}

/** Closed at the end of the test. */
export async function controlTunnel(
  t: Test,
  options: ControlTunnelOptions,
): Promise<ControlTunnel> {
  const { target, whenTorIsGone, refuses } = options;
  const refused: string[] = [];
  const open = new Set<Socket>();

  function carry(ours: Socket): void {
    const tors =
      target.kind === 'tcp'
        ? connect({ host: target.host, port: target.port })
        : connect({ path: target.path });
    let torIsGone = false;
    /** The last line sent to Tor that has no answer yet. */
    let unanswered: string | undefined;
    let rest = '';
    for (const socket of [ours, tors]) {
      open.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => open.delete(socket));
    }
    function tellAnew(line: string): void {
      if (whenTorIsGone === 'again') {
        void askAnew(target, line).then((answer) => ours.write(answer));
      }
    }
    tors.on('data', (chunk) => {
      if (/^[2-5]\d\d /m.test(chunk.toString('latin1'))) unanswered = undefined;
      ours.write(chunk);
    });
    tors.on('close', () => {
      torIsGone = true;
      if (unanswered !== undefined && !ours.destroyed) tellAnew(unanswered);
    });
    ours.on('close', () => tors.destroy());
    ours.on('data', (chunk) => {
      const lines = (rest + chunk.toString('latin1')).split('\r\n');
      rest = lines.pop() ?? '';
      for (const line of lines) {
        if (refuses?.test(line) === true) {
          refused.push(line);
          ours.write('510 Command filtered\r\n');
        } else if (!torIsGone) {
          unanswered = line;
          tors.write(`${line}\r\n`, 'latin1');
        } else if (line === 'QUIT') ours.end();
        else tellAnew(line);
      }
    });
  }

  const server = createServer(carry);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    for (const socket of open) socket.destroy();
    server.close();
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return { endpoint: { kind: 'tcp', host: '127.0.0.1', port: address.port }, refused };
}
