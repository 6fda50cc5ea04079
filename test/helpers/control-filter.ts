/**
 * A filter in front of Tor's control port, as in Tails, Whonix and Qubes: it authenticates itself to Tor,
 * accepts every client, passes on what a table allows, may rewrite it, and refuses the rest. Each client has
 * a connection of its own to Tor.
 */
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { connect, createServer, type Socket } from 'node:net';
import type { ControlEndpoint } from '../../src/tor/control/endpoint.js';

/** The rules for the lines of a client. All texts are lines without their end. */
export interface FilterRules {
  /** The command that is passed on; undefined refuses it. */
  readonly command: (line: string) => string | undefined;
  /** The answer to a refused command; undefined closes the connection. */
  readonly refusal?: (line: string) => string | undefined;
  /** The line of a reply that is passed on; undefined drops it. */
  readonly reply?: (line: string) => string | undefined;
  /**
   * Events that may be requested, and each of their lines as passed on; undefined drops it. An
   * event that drops everything is suppressed: the client is told that it gets them.
   */
  readonly events?: Readonly<Record<string, (line: string) => string | undefined>>;
}

export interface ControlFilter {
  readonly port: number;
  /** Commands that were refused, in order. */
  readonly refused: readonly string[];
  /** Commands as Tor got them. */
  readonly passed: readonly string[];
  close(): Promise<void>;
}

export const FILTERED = '510 Command filtered';

/** Lines of a stream, CRLF or LF. */
function eachLine(socket: Socket, onLine: (line: string) => void): void {
  let rest = '';
  socket.on('data', (chunk: Buffer) => {
    const parts = (rest + chunk.toString('latin1')).split(/\r?\n/);
    rest = parts.pop() ?? '';
    for (const line of parts) onLine(line);
  });
}

/** Starts it. `host` is where it listens (default 127.0.0.1). */
export async function startControlFilter(
  tor: { readonly controlEndpoint: ControlEndpoint | undefined; readonly cookieFile: string },
  rules: FilterRules,
  host = '127.0.0.1',
): Promise<ControlFilter> {
  const { controlEndpoint: endpoint, cookieFile } = tor;
  if (endpoint?.kind !== 'tcp') throw new Error('this tor has no control port');
  const { refusal = () => FILTERED, reply = (line) => line, events = {} } = rules;
  const refused: string[] = [];
  const passed: string[] = [];
  const open = new Set<Socket>();

  async function serve(client: Socket): Promise<void> {
    const cookie = (await readFile(cookieFile)).toString('hex');
    const upstream = connect({
      host: endpoint?.kind === 'tcp' ? endpoint.host : '',
      port: endpoint?.kind === 'tcp' ? endpoint.port : 0,
    });
    for (const [one, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      open.add(one);
      one.on('error', () => {});
      one.on('close', () => {
        open.delete(one);
        other.destroy();
      });
    }
    const say = (line: string): void => {
      if (!client.destroyed) client.write(`${line}\r\n`, 'latin1');
    };
    /** Answers to commands of the filter itself are not passed to the client. */
    let own = 1;
    upstream.write(`AUTHENTICATE ${cookie}\r\n`);
    eachLine(upstream, (line) => {
      if (line.startsWith('650')) {
        const event = /^650.(\S+)/.exec(line)?.[1] ?? '';
        const shown = events[event]?.(line);
        if (shown !== undefined) say(shown);
      } else if (own > 0) own -= 1;
      else {
        const shown = reply(line);
        if (shown !== undefined) say(shown);
      }
    });
    const pass = (line: string): void => {
      passed.push(line);
      upstream.write(`${line}\r\n`, 'latin1');
    };
    const refuse = (line: string): void => {
      refused.push(line);
      const said = refusal(line);
      if (said === undefined) client.destroy();
      else say(said);
    };
    eachLine(client, (line) => {
      const [word = '', ...args] = line.split(' ');
      switch (word.toUpperCase()) {
        case 'PROTOCOLINFO':
          say(
            '250-PROTOCOLINFO 1\r\n250-AUTH METHODS=NULL\r\n250-VERSION Tor="0.4.9.11"\r\n250 OK',
          );
          return;
        case 'AUTHENTICATE':
          say('250 OK');
          return;
        case 'QUIT':
          say('250 closing connection');
          client.end();
          return;
        case 'SETEVENTS':
          if (args.every((event) => Object.hasOwn(events, event))) pass(line);
          else refuse(line);
          return;
        default: {
          const allowed = rules.command(line);
          if (allowed === undefined) refuse(line);
          else pass(allowed);
        }
      }
    });
  }

  const server = createServer((client) => {
    serve(client).catch(() => client.destroy());
  });
  server.listen(0, host);
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return {
    port: address.port,
    refused,
    passed,
    async close() {
      for (const socket of open) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

/** HS_DESC events as profiles for file-sharing programs rewrite them. */
export function redactedUploads(line: string): string | undefined {
  const [, , action = '', address = '', auth = ''] = line.split(' ');
  if (action === 'UPLOAD') return `650 HS_DESC UPLOAD ${address} ${auth} redacted redacted`;
  if (action === 'UPLOADED') return `650 HS_DESC UPLOADED ${address} ${auth} redacted`;
  return undefined;
}
