/**
 * The moment between the file of ssh's proxy and its listening: a stand-in for `ssh` stays there until the test
 * tells it to go on, over the connection to the gate, which ssh has as its standard input and output.
 */
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { chmod, writeFile } from 'node:fs/promises';
import { createConnection, createServer, type Socket } from 'node:net';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import t, { type Test } from 'tap';
import { errorCode } from '../../src/kit/error-text.js';
import type { Tunnel } from '../../src/lethean/ports.js';
import { SshTransport } from '../../src/lethean/transport/ssh-transport.js';
import { echoed, faultOf, tunnelTarget } from '../helpers/lethean-exit.js';

/** `bind` makes the file; connections are refused until `listen`. Then a SOCKS5 proxy that is also every destination. */
const STAND_IN = `#!/usr/bin/python3
import os, socket, sys
path = sys.argv[sys.argv.index('-D') + 1]
listener = socket.socket(socket.AF_UNIX)
listener.bind(path)
print(os.getpid(), path, flush=True)
if sys.stdin.readline().strip() != 'listen':
    sys.exit('tunnel@gate: Permission denied (publickey).')
listener.listen()
while True:
    client = listener.accept()[0]
    if client.recv(512) == b'':
        continue
    client.sendall(b'\\x05\\x00')
    client.recv(512)
    client.sendall(b'\\x05\\x00\\x00\\x01' + bytes(6))
    while data := client.recv(512):
        client.sendall(data)
    client.close()
`;
/** Not of any gate: the stand-in does not read it. */
const HOST_KEY = `ssh-ed25519 ${'A'.repeat(68)}`;
/** Each takes several turns of the event loop, so that a tunnel which does not wait is there before the last one. */
const REFUSED_TIMES = 20;

/** How a connection to a unix socket ends: `connected`, or the code of the error. */
function attempt(path: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = createConnection({ path });
    socket.once('connect', () => resolve('connected'));
    socket.once('error', (error) => resolve(errorCode(error) ?? 'error'));
  });
}

/** A start whose ssh has made the file of its socket and does not listen. */
interface Start {
  readonly opening: Promise<Tunnel | string>;
  /** Standard input of the stand-in. */
  readonly gate: Socket;
  readonly pid: number;
  readonly socket: string;
  /** Aborts the opening. */
  readonly controller: AbortController;
}

async function bound(t: Test, timeoutMs?: number): Promise<Start> {
  const program = join(t.testdir(), 'ssh');
  await writeFile(program, STAND_IN);
  await chmod(program, 0o755);
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => void server.close());
  const address = server.address();
  const port = address !== null && typeof address === 'object' ? address.port : 0;
  const transport = new SshTransport({
    program,
    hostKeys: () => [HOST_KEY],
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
  });
  const ssh = { key: 'key', certificate: '', reversePort: undefined };
  const controller = new AbortController();
  const connected = once(server, 'connection');
  let settled: unknown;
  const opening = transport
    .open(tunnelTarget('ssh', { port }, { ssh }), controller.signal)
    .catch(faultOf);
  void opening.then((value) => (settled = value));
  t.teardown(async () => {
    controller.abort();
    const tunnel = await opening;
    if (typeof tunnel !== 'string') await tunnel.close();
  });
  /** An opening that ends too early fails the test, which would wait without an end. */
  const early = opening.then((end) =>
    Promise.reject(new Error(`it ended early: ${typeof end === 'string' ? end : 'a tunnel'}`)),
  );
  const [gate]: Socket[] = await Promise.race([connected, early]);
  if (gate === undefined) throw new Error('no connection');
  gate.on('error', () => {});
  const [line]: string[] = await Promise.race([once(createInterface(gate), 'line'), early]);
  const [pid = '', socket = ''] = (line ?? '').split(' ');
  for (let times = 0; times < REFUSED_TIMES; times++) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    t.equal(await attempt(socket), 'ECONNREFUSED');
  }
  t.equal(settled, undefined, 'a tunnel whose proxy does not listen is not ready');
  return { opening, gate, pid: Number(pid), socket, controller };
}

/** The fault of the opening. A tunnel that should not be there is closed, so that the test ends. */
async function faultAt({ opening }: Start): Promise<string> {
  const end = await opening;
  if (typeof end === 'string') return end;
  await end.close();
  return 'a tunnel';
}

function nothingLeft(t: Test, { pid, socket, gate }: Start): void {
  t.throws(() => process.kill(pid, 0), { code: 'ESRCH' }, 'no process');
  t.notOk(existsSync(dirname(socket)), 'no folder');
  t.ok(gate.readableEnded || gate.destroyed, 'no connection');
}

t.test('a proxy that listens late', async (t) => {
  const start = await bound(t);
  start.gate.write('listen\n');
  const tunnel = await start.opening;
  if (typeof tunnel === 'string') throw new Error(tunnel);
  const stream = await tunnel.connect('a.test', 80, new AbortController().signal);
  t.equal((await echoed(stream, Buffer.from('late'))).toString(), 'late');
  const closed = once(start.gate, 'close');
  await tunnel.close();
  await closed;
  nothingLeft(t, start);
});

t.test('a proxy that never listens', async (t) => {
  const start = await bound(t, 2_000);
  const closed = once(start.gate, 'close');
  t.equal(await faultAt(start), 'timeout');
  await closed;
  nothingLeft(t, start);
});

t.test('an ssh that ends before it listens', async (t) => {
  const start = await bound(t);
  const closed = once(start.gate, 'close');
  start.gate.write('end\n');
  t.equal(await faultAt(start), 'credentials');
  await closed;
  nothingLeft(t, start);
});

t.test('a start that is cancelled before the proxy listens', async (t) => {
  const start = await bound(t);
  const closed = once(start.gate, 'close');
  start.controller.abort();
  t.equal(await faultAt(start), 'aborted');
  await closed;
  nothingLeft(t, start);
});
