/**
 * A bond that is funded and mined on a real node: its value in the watcher's JSON and page, in the taker and in
 * the library; and the same programs when the node cannot be reached.
 */
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { bondAddress } from '../../src/bitcoin/bond.js';
import { silentLog } from '../../src/channel/log.js';
import { peekSettings } from '../../src/config/settings.js';
import { systemClock } from '../../src/overlay/system-clock.js';
import { bondScriptPubKey } from '../../src/protocol/bond-script.js';
import { bondValue, type OwnBond } from '../../src/protocol/fidelity-bond.js';
import { formatBondFile } from '../../src/protocol/own-bond.js';
import { openBondChain } from '../../src/roles/bond-chain.js';
import { startBitcoinNode, freePort, type BitcoinNode } from '../helpers/bitcoin-node.js';
import { realNodeTest } from '../helpers/bitcoin-program.js';
import { launchBrowser, watchSite } from '../helpers/browser.js';
import { runCli, startCli } from '../helpers/cli.js';
import { CoinSource } from '../helpers/coin-source.js';
import { loopbackConfig } from '../helpers/config.js';
import { ownBond } from '../orderbook/make-bond.js';

t.setTimeout(180_000);

const SATOSHI = 100_000_000;
const UNFUNDED = ownBond(2);

const nodeLines = (node: BitcoinNode): string => `network = regtest
rpc_host = 127.0.0.1
rpc_port = ${node.rpcPort}
rpc_cookie_file = ${node.cookieFile}`;

interface Site {
  readonly blockchain: string;
  readonly nodes?: string;
  readonly bond?: OwnBond;
}

/** A data directory; with a bond, the configuration names its file. */
async function datadirOf(t: Test, { blockchain, nodes = '', bond }: Site): Promise<string> {
  const datadir = await mkdtemp(join(tmpdir(), 'onionmc-values-'));
  t.teardown(() => rm(datadir, { recursive: true, force: true }));
  const extra = bond && '[YIELDGENERATOR]\nbond_file = bond.json\n';
  const text = loopbackConfig({ blockchain, nodes, waitSec: 2, ...(extra && { extra }) });
  await writeFile(join(datadir, 'joinmarket.cfg'), text, { mode: 0o600 });
  if (bond) {
    const file = formatBondFile({ network: 'regtest', bond });
    await writeFile(join(datadir, 'bond.json'), file, { mode: 0o600 });
  }
  return datadir;
}

interface Book {
  readonly offers: readonly {
    readonly fidelity_bond_value: number;
    readonly bond: { readonly state: string } | null;
  }[];
  readonly fidelitybonds: readonly {
    readonly bond_value: number;
    readonly amount: number;
    readonly locktime: number;
    readonly address: string;
    readonly utxo_confirmation_timestamp: number;
  }[];
  readonly statistics: { readonly chain: string };
}

/** Reads the book until it holds what is wanted. */
async function bookWith(url: string, wanted: (book: Book) => boolean): Promise<Book> {
  for (;;) {
    // oxlint-disable-next-line no-await-in-loop -- the book reports no event for one bond
    const answer = await fetch(`${url}orderbook.json`);
    // oxlint-disable-next-line no-await-in-loop, typescript/no-unsafe-type-assertion
    const book = (await answer.json()) as Book;
    if (wanted(book)) return book;
    // oxlint-disable-next-line no-await-in-loop
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** Ends programs as a service manager does. */
async function end(
  t: Test,
  ...programs: readonly ReturnType<typeof startCli>[]
): Promise<string[]> {
  for (const { child } of programs) child.kill('SIGTERM');
  const ended = await Promise.all(programs.map((program) => program.ended));
  for (const { code } of ended) t.equal(code, 0);
  return ended.map(({ stderr }) => stderr);
}

async function fundedBond(node: BitcoinNode): Promise<OwnBond> {
  const source = new CoinSource(node);
  await source.fill(2);
  const bond = ownBond(1);
  const script = bondScriptPubKey(bond.lockTime, bond.utxoPublicKeyHex);
  const [coin] = await source.pay([{ script, value: SATOSHI }]);
  if (coin === undefined) throw new Error('nothing was paid');
  await node.mine();
  return { ...bond, utxo: { txid: coin.txid, vout: coin.vout } };
}

realNodeTest(t, 'a real node values bonds', async (t) => {
  const node = await startBitcoinNode(t);
  const bond = await fundedBond(node);
  const directoryDir = await datadirOf(t, { blockchain: 'network = regtest\nrpc_port = no port' });
  const directory = startCli(['directory', '--datadir', directoryDir]);
  const [nodes = ''] = await directory.shows('stdout', /^127\.0\.0\.1:\d+/);
  const blockchain = nodeLines(node);
  const tip = await node.rpc<{ time: number; mediantime: number }>(
    'getblockheader',
    await node.rpc('getbestblockhash'),
  );
  const value = bondValue({
    satoshi: SATOSHI,
    confirmationTime: tip.time,
    lockTime: bond.lockTime,
    now: tip.mediantime,
  });
  const maker = startCli(['maker', '--datadir', await datadirOf(t, { blockchain, nodes, bond })]);
  await maker.shows('stdout', /^J5\w+/);

  await t.test('the watcher, its JSON and its page', async (t) => {
    const datadir = await datadirOf(t, { blockchain, nodes });
    const watcher = startCli(['ob-watcher', '--datadir', datadir, '--port', '0']);
    const [url = ''] = await watcher.shows('stdout', /http:\/\/127\.0\.0\.1:\d+\//);
    const book = await bookWith(url, ({ fidelitybonds }) => fidelitybonds.length > 0);
    t.match(book.fidelitybonds, [
      {
        bond_value: value,
        amount: SATOSHI,
        locktime: bond.lockTime,
        address: bondAddress(bond.lockTime, bond.utxoPublicKeyHex, 'regtest'),
        utxo_confirmation_timestamp: tip.time,
      },
    ]);
    t.match(book.offers, [{ fidelity_bond_value: value, bond: { state: 'valued' } }]);
    t.equal(book.statistics.chain, 'up');

    const browser = await launchBrowser();
    t.teardown(() => browser.close());
    const { open, check } = await watchSite(t, browser, url);
    const page = await open();
    const cell = page.locator('tbody tr[role=row] td.col-bond');
    await cell.waitFor();
    t.match(await cell.textContent(), /^\d[\d.,]*[KMBT]?$/, 'the value, not the month of the lock');
    check();
    const [stderr = ''] = await end(t, watcher);
    t.notMatch(stderr, /bonds have no value/);
  });

  await t.test('the taker', async (t) => {
    const datadir = await datadirOf(t, { blockchain, nodes });
    const { code, stdout } = await runCli(['taker', '--datadir', datadir, '--once', '--json']);
    t.equal(code, 0);
    t.match(JSON.parse(stdout), {
      offers: [{ fidelity_bond_value: value, bond: { state: 'valued', amount: SATOSHI } }],
    });
  });

  await t.test('the library', async (t) => {
    const datadir = await datadirOf(t, { blockchain, nodes });
    const { settings } = await peekSettings({ datadir, role: 'taker' });
    const chain = openBondChain({ settings, clock: systemClock, log: silentLog });
    if (chain === undefined) throw new Error('the settings name a node');
    t.match(await chain.tip(), { height: 103, medianTime: tip.mediantime });
    t.match(await chain.output(bond.utxo.txid, bond.utxo.vout), {
      found: true,
      amount: SATOSHI,
      confirmedAt: tip.time,
    });
    t.strictSame(await chain.output(bond.utxo.txid, 9), { found: false });
    await node.restart();
    t.match(await chain.tip(), { height: 103 }, 'after a restart, which changes the cookie');
    await chain.close();
  });

  await t.test('the default password gives way to a cookie that is found', async (t) => {
    const home = await mkdtemp(join(tmpdir(), 'onionmc-home-'));
    t.teardown(() => rm(home, { recursive: true, force: true }));
    await symlink(node.datadir, join(home, '.bitcoin'));
    const found = `network = regtest
rpc_host = 127.0.0.1
rpc_port = ${node.rpcPort}
rpc_user = bitcoin
rpc_password = password`;
    const datadir = await datadirOf(t, { blockchain: found, nodes });
    const args = ['taker', '--datadir', datadir, '--once', '--json'];
    const { code, stdout } = await runCli(args, { env: { HOME: home } });
    t.equal(code, 0);
    t.match(JSON.parse(stdout), { offers: [{ fidelity_bond_value: value }] });
  });

  await t.test('a bond without its coin', async (t) => {
    const datadir = await datadirOf(t, { blockchain, nodes, bond: UNFUNDED });
    const { code, stdout, stderr } = await runCli(['maker', '--datadir', datadir]);
    t.equal(code, 2);
    t.equal(stdout, '');
    t.match(stderr, /bond_file: .*is not an unspent, confirmed coin on the chain of the node/);
  });

  const [stderr = ''] = await end(t, maker, directory);
  t.match(stderr, /the coin of the bond is locked and confirmed/);
});

t.test('a file that names a node which cannot be reached', async (t) => {
  const directory = startCli([
    'directory',
    '--datadir',
    await datadirOf(t, { blockchain: 'network = regtest' }),
  ]);
  const [nodes = ''] = await directory.shows('stdout', /^127\.0\.0\.1:\d+/);
  const blockchain = `network = regtest
blockchain_source = bitcoin-rpc
rpc_host = 127.0.0.1
rpc_port = ${await freePort()}
rpc_user = bitcoin
rpc_password = password`;

  await t.test('a bondless maker and the watcher start, with one notice each', async (t) => {
    const maker = startCli(['maker', '--datadir', await datadirOf(t, { blockchain, nodes })]);
    await maker.shows('stdout', /^J5\w+/);
    await maker.shows('stderr', /the maker goes on without a bitcoin node: /);
    const datadir = await datadirOf(t, { blockchain, nodes });
    const watcher = startCli(['ob-watcher', '--datadir', datadir, '--port', '0']);
    const [url = ''] = await watcher.shows('stdout', /http:\/\/127\.0\.0\.1:\d+\//);
    const book = await bookWith(url, ({ offers }) => offers.length > 0);
    t.match(book.offers, [{ fidelity_bond_value: 0 }]);
    await watcher.shows('stderr', /bonds have no value until the bitcoin node answers: /);
    for (const stderr of await end(t, maker, watcher)) {
      t.equal(stderr.split('\n').filter((line) => line.includes('bitcoin node')).length, 1, stderr);
    }
  });

  await t.test('the taker prints the offers', async (t) => {
    const datadir = await datadirOf(t, { blockchain, nodes });
    const { code, stderr } = await runCli(['taker', '--datadir', datadir, '--once']);
    t.equal(code, 0);
    t.equal(stderr.match(/bonds have no value/g)?.length, 1, 'one notice');
  });

  await t.test('a maker with a bond does not start: exit code 3', async (t) => {
    const datadir = await datadirOf(t, { blockchain, nodes, bond: ownBond(1) });
    const { code, stdout, stderr } = await runCli(['maker', '--datadir', datadir]);
    t.equal(code, 3);
    t.equal(stdout, '');
    t.match(stderr, /the bond cannot be checked: .*no-blockchain/);
  });
  await end(t, directory);
});
