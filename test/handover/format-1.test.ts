/** A program of handover format 1 is upgraded to this one; its messages were recorded. */
import { spawn, type ChildProcess, type SendHandle } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { connect, createServer, Socket, type Server } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { handleOf, type NativeHandle } from '../../src/platform/native-socket.js';
import { encodeEnvelope } from '../../src/protocol/envelope.js';
import { loopbackConfig } from '../helpers/config.js';

const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const VECTOR = new URL('../vectors/handover-format-1.json', import.meta.url);

interface Recorded {
  readonly say: string;
  readonly key?: string;
}

interface Connected {
  readonly server: Server;
  /** The directory's end. */
  readonly socket: Socket;
  /** The peer's end. */
  readonly peer: Socket;
}

async function connected(t: Test): Promise<Connected> {
  const server = createServer({ pauseOnConnect: true }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const peer = connect(address !== null && typeof address === 'object' ? address.port : 0);
  const [socket]: unknown[] = await once(server, 'connection');
  if (!(socket instanceof Socket)) throw new Error('no connection');
  t.teardown(() => peer.destroy());
  return { server, socket, peer };
}

/** Resolves with the next message of that kind; rejects with what the program says instead of it. */
function heard(child: ChildProcess, say: string): Promise<void> {
  return new Promise((resolve, reject) => {
    child.on('message', (message: { readonly say: string; readonly why?: string }) => {
      if (message.say === say) resolve();
      else if (message.say === 'failed') reject(new Error(message.why));
    });
    child.once('exit', (code) => reject(new Error(`it ended (${code})`)));
  });
}

t.test('a peer of a program of format 1 is served by this one', async (t) => {
  const { messages }: { messages: readonly Recorded[] } = JSON.parse(
    await readFile(VECTOR, 'utf8'),
  );
  t.same(
    messages.map(({ say, key }) => key ?? say),
    ['begin', 'socket:0', 'past', 'listener', 'peer:0', 'directory', 'end'],
  );
  const { server, socket, peer } = await connected(t);
  const handles = new Map<string | undefined, NativeHandle | undefined>([
    ['listener', handleOf(server)],
    ['socket:0', handleOf(socket)],
  ]);
  const datadir = t.testdir();
  await writeFile(join(datadir, 'joinmarket.cfg'), loopbackConfig(), { mode: 0o600 });
  const child = spawn(process.execPath, [MAIN, 'directory', '--datadir', datadir], {
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    env: { ...process.env, ONIONMC_HANDOVER: '1' },
  });
  t.teardown(() => child.kill('SIGKILL'));
  const exited = once(child, 'exit');
  const said = (say: string): Promise<void> => heard(child, say);

  await said('hello');
  const ready = said('ready');
  for (const message of messages) {
    // Node's types do not name this kind of handle.
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- see above
    child.send(message, handles.get(message.key) as unknown as SendHandle);
  }
  await ready;
  const taken = said('taken');
  child.send({ say: 'commit' });
  await taken;
  server.close();
  socket.destroy();
  child.send({ say: 'bye' });

  peer.write(encodeEnvelope(791, ''));
  let answer = '';
  for await (const chunk of peer) {
    answer += String(chunk);
    if (answer.includes('\n')) break;
  }
  t.match(answer, /^\{"type": 789, /);
  child.kill('SIGTERM');
  t.same(await exited, [0, null]);
});
