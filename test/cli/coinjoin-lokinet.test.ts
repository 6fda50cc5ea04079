/**
 * A maker with a wallet that serves in Tor and in Lokinet at once, as a program: two takers, each in one of the
 * networks, mix with it. The private Tor network, the stand-in for Lokinet, a real node.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { startBitcoinNode } from '../helpers/bitcoin-node.js';
import { realNodeTest } from '../helpers/bitcoin-program.js';
import { runCli, startCli } from '../helpers/cli.js';
import { CoinSource } from '../helpers/coin-source.js';
import { torConfig, type TorConfigOptions } from '../helpers/config.js';
import { LokinetNetwork, type LokinetNode } from '../helpers/lokinet/network.js';
import { torNetworkFor } from '../helpers/tor-network.js';
import { rpcLines, WalletCli } from '../helpers/wallet-cli.js';

t.setTimeout(600_000);

const AMOUNT = 3_000_000;
const DEPOSIT = 9_000_000;
const MAKER_COIN = 20_000_000;

interface Mixed {
  readonly txid: string;
  readonly makers: readonly { readonly nick: string }[];
  readonly makerFees: number;
}

interface Shown {
  readonly total: number;
}

const lokinet = ({ dns }: LokinetNode, nodes = ''): string => `
[MESSAGING:lokinet]
type = lokinet
dns = 127.0.0.1:${dns.port}
${nodes === '' ? '' : `directory_nodes = ${nodes}`}
`;

realNodeTest(t, 'a maker in Tor and Lokinet: a coinjoin through each', async (t) => {
  const network = await torNetworkFor(t);
  const [servers, takers] = await Promise.all([
    network.startTor({ name: 'servers', controlPort: true }),
    network.startTor({ name: 'takers' }),
  ]);
  const lokinets = new LokinetNetwork();
  t.teardown(() => lokinets.close());
  const at = {
    directory: await lokinets.node(),
    maker: await lokinets.node(),
    taker: await lokinets.node(),
  };
  const node = await startBitcoinNode(t);
  const source = new CoinSource(node);
  await source.fill(6);

  const place = await mkdtemp(join(tmpdir(), 'onionmc-directory-'));
  t.teardown(() => rm(place, { recursive: true, force: true }));
  const config = torConfig({
    mode: 'control',
    tor: servers,
    blockchain: 'network = regtest\nblockchain_source = no-blockchain',
    extra: lokinet(at.directory),
  });
  await writeFile(join(place, 'joinmarket.cfg'), config);
  const directory = startCli(['directory', '--datadir', place]);
  const [, onion = ''] = await directory.shows('stdout', /^([a-z2-7]{56}\.onion:5222)\n/);
  const loki = `${at.directory.host}:5222`;
  await directory.shows('stdout', new RegExp(`^${loki}\n`, 'm'));
  await directory.shows('stderr', /onion service reachable/);

  /** A data directory with an empty wallet. */
  async function person(t: Test, wallet: string, options: TorConfigOptions): Promise<WalletCli> {
    const cli = await WalletCli.at(t, node);
    const blockchain = ['network = regtest', ...rpcLines(node)].join('\n');
    const extra = `[POLICY]\nminimum_makers = 1\n${options.extra ?? ''}`;
    const text = torConfig({ waitSec: 60, blockchain, ...options, extra });
    await writeFile(join(cli.datadir, 'joinmarket.cfg'), text);
    await cli.make(wallet);
    return cli;
  }

  const earner = await person(t, 'earner', {
    mode: 'control',
    tor: servers,
    nodes: onion,
    extra: lokinet(at.maker, loki),
  });
  const coins = [await earner.deposit(t, 'earner'), await earner.deposit(t, 'earner')];
  await source.pay(coins.map(({ script }) => ({ script, value: MAKER_COIN })));
  await node.mine(6);
  const maker = startCli(['maker', '--wallet', 'earner', ...earner.options], { detached: true });
  const [, inTor = '', inLokinet = ''] = await maker.shows(
    'stdout',
    /^(J5\w{14})\n(?:.*\n)*?(J5\w{14})\n/m,
  );
  t.not(inTor, inLokinet, 'a nick in each network');
  await maker.shows('stderr', /offers announced/);
  await maker.shows('stderr', /onion service reachable/);

  const earned: number[] = [];
  async function mix(t: Test, wallet: string, nick: string, spender: WalletCli): Promise<string> {
    // A directory in both networks relays between them, so each taker sees both nicks.
    const own = ['--makers', '1', '--pick', nick];
    const wish = [`${AMOUNT}sat`, 'INTERNAL', ...own, '--wait', '8', '--yes', '--json'];
    const mixed = await runCli(['coinjoin', wallet, ...wish, ...spender.options], {
      detached: true,
    });
    t.equal(mixed.code, 0, mixed.stderr);
    const json: Mixed = JSON.parse(mixed.stdout);
    t.match(json.makers, [{ nick }], 'the nick of this network');
    earned.push(json.makerFees);
    return json.txid;
  }

  let txids: readonly string[] = [];
  // Each person has a folder of its own test.
  await t.test('a taker in Tor', async (t) => {
    const torist = await person(t, 'torist', { mode: 'control', tor: takers, nodes: onion });
    const one = await torist.deposit(t, 'torist');
    await t.test('and one in Lokinet, at the same time', async (t) => {
      const more = { onion: 'overlays = lokinet', extra: lokinet(at.taker, loki) };
      const lokist = await person(t, 'lokist', { mode: 'control', ...more });
      const two = await lokist.deposit(t, 'lokist');
      await source.pay([one, two].map(({ script }) => ({ script, value: DEPOSIT })));
      await node.mine(6);
      txids = await Promise.all([
        mix(t, 'torist', inTor, torist),
        mix(t, 'lokist', inLokinet, lokist),
      ]);
      const pool = await node.rpc<readonly string[]>('getrawmempool');
      t.strictSame(pool.toSorted(), txids.toSorted(), 'both are in the network');
    });
  });
  await node.mine(1);
  maker.child.kill('SIGTERM');
  t.equal((await maker.ended).code, 0);
  const books = await earner.json<Shown>(t, 'show', 'earner');
  t.equal(
    books.total,
    2 * MAKER_COIN + (earned[0] ?? 0) + (earned[1] ?? 0),
    'both are in its books',
  );
  const history = await runCli(['maker', 'history', 'earner', '--json', ...earner.options], {
    detached: true,
  });
  for (const txid of txids) t.match(history.stdout, txid);
  t.notOk(
    at.maker.asked.some((name) => name.includes('.onion')),
    'no onion reaches Lokinet',
  );
  directory.child.kill('SIGTERM');
  t.equal((await directory.ended).code, 0);
});
