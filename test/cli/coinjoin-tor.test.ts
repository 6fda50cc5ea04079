/**
 * A maker with a wallet behind its onion and a taker that pays it, as programs: over a private Tor network, with
 * a real node.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { startBitcoinNode, type BitcoinNode } from '../helpers/bitcoin-node.js';
import { realNodeTest } from '../helpers/bitcoin-program.js';
import { runCli, startCli } from '../helpers/cli.js';
import { CoinSource } from '../helpers/coin-source.js';
import { torConfig, type TorConfigOptions } from '../helpers/config.js';
import { torNetworkFor } from '../helpers/tor-network.js';
import { rpcLines, WalletCli } from '../helpers/wallet-cli.js';

t.setTimeout(240_000);

const AMOUNT = 3_000_000;

/** A data directory with an empty wallet that reaches node and network. */
async function person(
  t: Test,
  node: BitcoinNode,
  wallet: string,
  options: TorConfigOptions,
): Promise<WalletCli> {
  const cli = await WalletCli.at(t, node);
  const blockchain = ['network = regtest', ...rpcLines(node)].join('\n');
  const extra = '[POLICY]\nminimum_makers = 1';
  const text = torConfig({ waitSec: 60, blockchain, extra, ...options });
  await writeFile(join(cli.datadir, 'joinmarket.cfg'), text);
  await cli.make(wallet);
  return cli;
}

interface Mixed {
  readonly txid: string;
  readonly makerFees: number;
  readonly minerFee: number;
}

interface Shown {
  readonly total: number;
}

realNodeTest(t, 'a coinjoin of two programs through Tor', async (t) => {
  const network = await torNetworkFor(t);
  const [servers, takers] = await Promise.all([
    network.startTor({ name: 'servers', controlPort: true }),
    network.startTor({ name: 'takers' }),
  ]);
  const node = await startBitcoinNode(t);
  const source = new CoinSource(node);
  await source.fill(4);

  const place = await mkdtemp(join(tmpdir(), 'onionmc-directory-'));
  t.teardown(() => rm(place, { recursive: true, force: true }));
  const alone = 'network = regtest\nblockchain_source = no-blockchain';
  const config = torConfig({ mode: 'control', tor: servers, blockchain: alone });
  await writeFile(join(place, 'joinmarket.cfg'), config);
  const directory = startCli(['directory', '--datadir', place]);
  const [, nodes = ''] = await directory.shows('stdout', /^([a-z2-7]{56}\.onion:5222)\n/);
  await directory.shows('stderr', /onion service reachable/);

  const earner = await person(t, node, 'earner', { mode: 'control', tor: servers, nodes });
  const { script } = await earner.deposit(t, 'earner');
  await source.pay([{ script, value: 20_000_000 }]);
  await node.mine(6);

  const maker = startCli(['maker', '--wallet', 'earner', ...earner.options], { detached: true });
  const [, nick = ''] = await maker.shows('stdout', /^(J5\w{14})\n/m);
  await maker.shows('stderr', /offers announced/);
  await maker.shows('stderr', /onion service reachable/);

  let fees = 0;
  let txid = '';
  // Each test has one folder of its own.
  await t.test('the taker', async (t) => {
    const spender = await person(t, node, 'spender', { mode: 'control', tor: takers, nodes });
    const to = await spender.deposit(t, 'spender');
    await source.pay([{ script: to.script, value: 9_000_000 }]);
    await node.mine(6);
    const wish = [`${AMOUNT}sat`, 'INTERNAL', '--makers', '1', '--wait', '8', '--yes', '--json'];
    const mixed = await runCli(['coinjoin', 'spender', ...wish, ...spender.options], {
      detached: true,
    });
    t.equal(mixed.code, 0, mixed.stderr);
    const json: Mixed = JSON.parse(mixed.stdout);
    t.match(json, { amount: AMOUNT, makers: [{ nick, fee: json.makerFees }], failed: [] });
    t.strictSame(await node.rpc('getrawmempool'), [json.txid]);
    await node.mine(1);
    const paid = await spender.json<Shown>(t, 'show', 'spender');
    t.equal(paid.total, 9_000_000 - json.makerFees - json.minerFee, 'to the satoshi');
    fees = json.makerFees;
    txid = json.txid;
  });
  // Its books have the coinjoin, whether it read the block or not.
  maker.child.kill('SIGTERM');
  t.equal((await maker.ended).code, 0);
  const earned = await earner.json<Shown>(t, 'show', 'earner');
  t.equal(earned.total, 20_000_000 + fees);
  const history = await runCli(['maker', 'history', 'earner', '--json', ...earner.options], {
    detached: true,
  });
  t.match(history.stdout, txid);
  directory.child.kill('SIGTERM');
  t.equal((await directory.ended).code, 0);
});
