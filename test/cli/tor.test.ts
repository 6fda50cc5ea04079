import t, { type Test } from 'tap';
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startPrivateTorNetwork } from '../../src/lab/private-network/network.js';
import { runCli, startCli } from '../helpers/cli.js';
import { torConfig, type TorConfigOptions } from '../helpers/config.js';
import { freePort } from '../../src/lab/private-network/free-ports.js';

async function tempDir(t: Test): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'omct-'));
  t.teardown(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

async function datadirWith(t: Test, options: TorConfigOptions): Promise<string> {
  // A name with characters at which torrc would cut a line.
  const datadir = join(await tempDir(t), 'a #b');
  await mkdir(datadir, { mode: 0o700 });
  const text = torConfig({ waitSec: 3, ...options });
  await writeFile(join(datadir, 'joinmarket.cfg'), text, { mode: 0o600 });
  return datadir;
}

t.test('directory, maker and taker as three programs over real Tor', async (t) => {
  const network = await startPrivateTorNetwork();
  t.teardown(() => network.close());
  const [servers, takers] = await Promise.all([
    network.startTor({ controlPort: true }),
    network.startTor(),
  ]);

  // The directory starts a tor of its own, as on a machine without one.
  const torrc = join(await tempDir(t), 'extra.torrc');
  await writeFile(torrc, `${network.torrcLines.join('\n')}\n`);
  const env = { ONIONMC_TORRC_EXTRA: torrc };
  const datadir = await datadirWith(t, { mode: 'managed' });
  const announced = await runCli(['init', '--json', '--datadir', datadir]);
  const { address }: { address: string } = JSON.parse(announced.stdout);
  const directory = startCli(['directory', 'over Tor', '--datadir', datadir], { env });
  const [, nodes = ''] = await directory.shows('stdout', /^([a-z2-7]{56}\.onion:5222)\n/);
  t.equal(nodes, address, 'the address that init printed');
  await directory.shows('stderr', /onion service reachable/);

  const makerDir = await datadirWith(t, { mode: 'control', tor: servers, nodes });
  const maker = startCli(['maker', '--datadir', makerDir]);
  const [, nick = ''] = await maker.shows('stdout', /^(J5\w{14})\n/);
  await maker.shows('stderr', /offers announced/);
  await maker.shows('stderr', /onion service reachable/);

  const takerDir = await datadirWith(t, { mode: 'control', tor: takers, nodes });
  const book = await runCli(['taker', '--once', '--json', '--datadir', takerDir]);
  t.equal(book.code, 0, book.stderr);
  t.match(JSON.parse(book.stdout), {
    offers: [{ counterparty: nick, signed: true, directories: [nodes] }],
    directories: [{ location: nodes, up: true, motd: /\nover Tor$/ }],
  });

  t.test('the directory moves to another program with its key folder', async (t) => {
    directory.child.kill('SIGTERM');
    t.equal((await directory.ended).code, 0);
    const moved = await datadirWith(t, { mode: 'control', tor: servers });
    await cp(join(datadir, 'hidden_service'), join(moved, 'hidden_service'), { recursive: true });
    const successor = startCli(['directory', 'moved', '--datadir', moved]);
    await successor.shows('stdout', new RegExp(`^${nodes}\n`));
    await successor.shows('stderr', /onion service reachable/);
    const again = await runCli(['taker', '--once', '--json', '--wait', '1', '--datadir', takerDir]);
    t.match(JSON.parse(again.stdout), {
      directories: [{ location: nodes, up: true, motd: /\nmoved$/ }],
    });
    successor.child.kill('SIGTERM');
    t.equal((await successor.ended).code, 0);
  });

  maker.child.kill('SIGTERM');
  t.equal((await maker.ended).code, 0);
});

t.test('tor_mode = external: the torrc of the operator serves the onion', async (t) => {
  const network = await startPrivateTorNetwork();
  t.teardown(() => network.close());
  const folder = join(await tempDir(t), 'hs');
  const port = await freePort();
  const statusPort = await freePort();
  const tor = await network.startTor({
    extraTorrc: [`HiddenServiceDir ${folder}`, `HiddenServicePort 5222 127.0.0.1:${port}`],
  });
  const hostname = (await readFile(join(folder, 'hostname'), 'utf8')).trim();
  const datadir = await datadirWith(t, {
    mode: 'external',
    tor,
    port,
    statusPort,
    onion: `hidden_service_dir = ${folder}`,
  });
  const directory = startCli(['directory', '--datadir', datadir]);
  await directory.shows('stdout', new RegExp(`^${hostname}:5222\n`));
  await directory.shows('stderr', /directory node is up/);
  const page = `http://127.0.0.1:${statusPort}`;
  const early = await fetch(`${page}/healthz`);
  t.equal(early.status, 503);
  t.match(await early.json(), { reason: /not yet seen from outside/ });
  await directory.shows('stderr', /onion service reachable/);
  t.equal((await fetch(`${page}/healthz`)).status, 200, 'its onion was reached from outside');

  const taker = await network.startTor();
  const nodes = `${hostname}:5222`;
  const takerDir = await datadirWith(t, { mode: 'control', tor: taker, nodes });
  const live = startCli(['taker', '--datadir', takerDir]);
  await live.shows('stdout', new RegExp(`up +${hostname}`));
  for (const cli of [live, directory]) {
    cli.child.kill('SIGTERM');
    t.equal((await cli.ended).code, 0);
  }
});
