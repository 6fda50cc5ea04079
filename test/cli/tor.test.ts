import t, { type Test } from 'tap';
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startPrivateTorNetwork } from '../../src/tor/private-network/network.js';
import type { PrivateTor } from '../../src/tor/private-network/client.js';
import { runCli, startCli } from '../helpers/cli.js';
import { freePort } from '../../src/tor/private-network/free-ports.js';

async function tempDir(t: Test): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'omct-'));
  t.teardown(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

interface Config {
  readonly mode: 'control' | 'managed' | 'external';
  readonly tor?: PrivateTor | undefined;
  readonly nodes?: string;
  readonly port?: number;
  readonly extra?: string;
}

async function datadirWith(t: Test, { mode, tor, nodes = '', port = 0, extra = '' }: Config) {
  // A name that holds what torrc would cut a line at.
  const datadir = join(await tempDir(t), 'a #b');
  await mkdir(datadir, { mode: 0o700 });
  const control = tor?.controlEndpoint;
  const text = `
[BLOCKCHAIN]
network = signet
[MESSAGING:onion]
type = onion
tor_mode = ${mode}
socks5_host = 127.0.0.1
socks5_port = ${tor?.socks.port ?? 1}
tor_control_host = 127.0.0.1
tor_control_port = ${control?.kind === 'tcp' ? control.port : 1}
onion_serving_port = ${port}
directory_nodes = ${nodes}
${extra}
[TIMEOUT]
maker_timeout_sec = 3
[DIRECTORY]
status_port = 0
`;
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

t.test('tor_mode = external: the torrc of the operator serves us', async (t) => {
  const network = await startPrivateTorNetwork();
  t.teardown(() => network.close());
  const folder = join(await tempDir(t), 'hs');
  const port = await freePort();
  const tor = await network.startTor({
    extraTorrc: [`HiddenServiceDir ${folder}`, `HiddenServicePort 5222 127.0.0.1:${port}`],
  });
  const hostname = (await readFile(join(folder, 'hostname'), 'utf8')).trim();
  const datadir = await datadirWith(t, {
    mode: 'external',
    tor,
    port,
    extra: `hidden_service_dir = ${folder}\n`,
  });
  const directory = startCli(['directory', '--datadir', datadir]);
  await directory.shows('stdout', new RegExp(`^${hostname}:5222\n`));

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
