/**
 * A private directory on two nodes: each decides with its own file of codes. A copy of the file admits the same codes at
 * both; a node that is open beside a private one is reported.
 */
import { once } from 'node:events';
import { copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { freePort } from '../../src/lab/private-network/free-ports.js';
import { joinMany, type Mass } from '../directory/many.js';
import { parseLine, until } from '../directory/wire.js';
import { runCli, startCli } from '../helpers/cli.js';
import { loopbackConfig } from '../helpers/config.js';
import { startNatsServer } from '../helpers/nats-server.js';

t.setTimeout(120_000);

interface Node {
  readonly datadir: string;
  readonly port: number;
  readonly statusPort: number;
}

async function newDatadir(t: Test): Promise<{ readonly datadir: string; readonly key: string }> {
  const datadir = await mkdtemp(join(tmpdir(), 'onionmc-private-node-'));
  t.teardown(() => rm(datadir, { recursive: true, force: true }));
  const { stdout } = await runCli(['cluster', 'key', '--datadir', datadir]);
  return { datadir, key: stdout.trim() };
}

/** Two nodes of one directory; `isPrivate` for each. */
async function twoNodes(
  t: Test,
  datadirs: readonly { readonly datadir: string; readonly key: string }[],
  isPrivate: readonly boolean[],
): Promise<readonly Node[]> {
  const server = await startNatsServer(t);
  const nodes = datadirs.map(({ key }, i) => `n${i}:${key}`).join(',');
  return Promise.all(
    datadirs.map(async ({ datadir }, i) => {
      const statusPort = await freePort();
      const admission = isPrivate[i] === true ? '[ADMISSION]\nprivate = true\n' : '';
      const cluster = `[CLUSTER]\nnats = ${server.url}\nname = club\nnode = n${i}\nnodes = ${nodes}\n`;
      await writeFile(
        join(datadir, 'joinmarket.cfg'),
        loopbackConfig({ statusPort, extra: `getpeerlist_per_minute = 0\n${cluster}${admission}` }),
        { mode: 0o600 },
      );
      const cli = startCli(['directory', '--datadir', datadir]);
      t.teardown(async () => {
        if (cli.child.exitCode !== null) return;
        cli.child.kill('SIGTERM');
        await once(cli.child, 'close');
      });
      const [, port = ''] = await cli.shows('stdout', /^127\.0\.0\.1:(\d+)\n/);
      return { datadir, port: Number(port), statusPort };
    }),
  );
}

async function newCode({ datadir }: Pick<Node, 'datadir'>): Promise<string> {
  const { stdout } = await runCli(['admission', 'code', 'add', '--datadir', datadir]);
  return /omc-\S+/.exec(stdout)?.[0] ?? '';
}

const codesOf = ({ datadir }: Pick<Node, 'datadir'>) => join(datadir, 'admission', 'codes.json');

const withCode = (admission: string) => ({ with: { admission } });

/** Joins until the node admits the peer: it notices a change of its codes within a second. */
async function admitted(port: number, nick: string, code: string): Promise<Mass> {
  for (let i = 0; i < 100; i++) {
    const peer = joinMany(port, nick, undefined, withCode(code));
    // oxlint-disable-next-line no-await-in-loop -- one attempt after the other
    if (await peer.accepted) return peer;
    // The node looks at its file every second, and nobody else sees when.
    // oxlint-disable-next-line no-await-in-loop
    await Promise.all([peer.closed, setTimeout(100)]);
  }
  throw new Error(`${nick} was not admitted`);
}

t.test(
  'the codes of a copied file are good at both nodes; each node decides by its own',
  async (t) => {
    const datadirs = await Promise.all([newDatadir(t), newDatadir(t)]);
    const [first, second] = datadirs;
    if (!first || !second) throw new Error('two folders');
    const shared = await newCode(first);
    await mkdir(join(second.datadir, 'admission'), { mode: 0o700 });
    await copyFile(codesOf(first), codesOf(second));
    const [a, b] = await twoNodes(t, datadirs, [true, true]);
    if (!a || !b) throw new Error('two nodes');

    for (const { port } of [a, b]) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      t.notOk(await joinMany(port, 'J5StrangerOOOOOO').accepted, 'a stranger');
    }
    const seen = new Set<string>();
    const observer = joinMany(
      b.port,
      'J5ObserverOOOOOO',
      (line) => {
        const { type, line: payload } = parseLine(line.toString('latin1'));
        if (type !== 789) return;
        for (const entry of payload.split(',')) {
          const [nick = ''] = entry.split(';');
          if (entry.endsWith(';D')) seen.delete(nick);
          else seen.add(nick);
        }
      },
      withCode(shared),
    );
    t.ok(await observer.accepted, 'the copied code');
    const alice = joinMany(a.port, 'J5AliceOOOOOOOOO', undefined, withCode(shared));
    t.ok(await alice.accepted);
    const ask = setInterval(() => observer.send(791, ''), 300);
    t.teardown(() => clearInterval(ask));
    await until(() => seen.has(alice.nick));

    const own = await newCode(a);
    const bob = await admitted(a.port, 'J5BobOOOOOOOOOOO', own);
    await until(() => seen.has(bob.nick));
    t.notOk(
      await joinMany(b.port, 'J5CarolOOOOOOOOO', undefined, withCode(own)).accepted,
      'not copied',
    );

    const [, id = ''] = /omc-(\w+)-/.exec(shared) ?? [];
    const revoked = await runCli(['admission', 'code', 'revoke', id, '--datadir', a.datadir]);
    t.equal(revoked.code, 0, revoked.stderr);
    await alice.closed;
    await until(() => !seen.has(alice.nick));
    t.notOk(observer.socket.destroyed, 'the other node has not heard of it');
    await copyFile(codesOf(a), codesOf(b));
    await observer.closed;
    t.ok(await admitted(b.port, 'J5CarolOOOOOOOOO', own), 'after the copy the new code is good');
  },
);

t.test('an open node beside a private one is reported as one with other limits', async (t) => {
  const datadirs = await Promise.all([newDatadir(t), newDatadir(t)]);
  const [first] = datadirs;
  if (first) await newCode(first);
  const [a] = await twoNodes(t, datadirs, [true, false]);
  if (!a) throw new Error('two nodes');
  let stdout = '';
  for (let i = 0; i < 40 && !/other limits/.test(stdout); i++) {
    // oxlint-disable-next-line no-await-in-loop -- the nodes hear of each other within seconds
    ({ stdout } = await runCli(['doctor', '--datadir', a.datadir]));
  }
  t.match(stdout, /other limits than here/);
});
