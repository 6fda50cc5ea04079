/**
 * Wallet commands and a node that a test plays: mainnet, a node that starts, a cookie that cannot be read;
 * and a wallet whose files are damaged.
 */
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { makeCheapWallet, walletPlace, WORDS, type Place } from '../../helpers/cheap-wallet.js';
import { runCli, type Ended } from '../../helpers/cli.js';
import { FAKE_HEIGHT, FakeNodeError, usualAnswer } from '../../helpers/fake-node-answers.js';
import { startFakeNode, type FakeNode } from '../../helpers/fake-node.js';
import { onTerminal } from '../../helpers/pty.js';
import { refused } from '../../helpers/wallet-cli.js';
import { jmdat } from '../../wallet/import/make-files.js';

type Network = 'regtest' | 'mainnet';

/** A node with a filter index that finds nothing, and a data directory that names it. */
async function place(
  t: Test,
  network: Network = 'regtest',
): Promise<Place & { readonly node: FakeNode }> {
  const node = await startFakeNode(t);
  node.results.set('getindexinfo', () => ({
    'basic block filter index': { synced: true, best_block_height: FAKE_HEIGHT },
  }));
  node.results.set('scanblocks', ([action, , from, to]) =>
    action === 'start'
      ? { from_height: from, to_height: to, relevant_blocks: [], completed: true }
      : null,
  );
  node.results.set('getblock', () => {
    throw new FakeNodeError(-1, 'Block not available (pruned data)');
  });
  node.results.set('getblockfilter', () => ({ filter: '00', header: '00'.repeat(32) }));
  if (network === 'mainnet') {
    node.results.set('getblockchaininfo', () => ({
      chain: 'main',
      blocks: FAKE_HEIGHT,
      headers: FAKE_HEIGHT,
      initialblockdownload: false,
      verificationprogress: 1,
      pruned: false,
    }));
  }
  const lines = [`rpc_port = ${node.port}`, 'rpc_user = joe', 'rpc_password = secret'];
  return { node, ...(await walletPlace(t, lines, network)) };
}

const run = (...args: readonly string[]): Promise<Ended> =>
  runCli(['wallet', ...args], { detached: true });

function starting(): never {
  throw new FakeNodeError(-28, 'Loading block index…');
}

const flipped = (bytes: Buffer, at: number): Buffer => {
  const copy = Buffer.from(bytes);
  copy[at] = (copy[at] ?? 0) ^ 1;
  return copy;
};

t.test('each way to a first wallet of mainnet says what its word means', async (t) => {
  const { datadir, options } = await place(t, 'mainnet');
  const notice =
    /This is a wallet for real bitcoin \(mainnet\)[^]*--mainnet-i-accept-the-risk\. The option means/;
  const words = join(datadir, 'words');
  await writeFile(words, WORDS);
  const recovered = await run('recover', 'r', '--words-file', words, ...options);
  t.equal(recovered.code, 0, recovered.stderr);
  t.match(recovered.stderr, notice);
  t.match(recovered.stderr, /no transaction was found/);

  const old = join(datadir, 'old.jmdat');
  const entropy = Buffer.alloc(16, 7);
  await writeFile(old, await jmdat({ network: 'mainnet', wallet_type: 2, entropy }, undefined));
  const imported = await run('import', old, ...options);
  t.equal(imported.code, 0, imported.stderr);
  t.match(imported.stderr, notice);

  const backup = join(datadir, 'backup');
  await makeCheapWallet(datadir, 'c', { network: 'mainnet' });
  t.equal((await run('backup', 'c', backup, ...options)).code, 0);
  const restored = await run('import', backup, 'copy', ...options);
  t.equal(restored.code, 0, restored.stderr);
  t.match(restored.stderr, notice);
  t.equal((await readdir(join(datadir, 'wallets'))).length, 4);
});

t.test('a node that starts is waited for, and the wait is said once', async (t) => {
  const { datadir, options, node } = await place(t);
  await makeCheapWallet(datadir, 'w', { isOpened: true });
  const facts = usualAnswer('getblockchaininfo', []);
  let asked = 0;
  node.results.set('getblockchaininfo', () => {
    asked += 1;
    return asked > 2 ? facts : starting();
  });
  const shown = await run('show', 'w', '--json', ...options);
  t.equal(shown.code, 0, shown.stderr);
  t.match(JSON.parse(shown.stdout), { network: 'regtest', height: FAKE_HEIGHT, total: 0 });
  const waits = shown.stderr.match(/is starting \(Loading block index.*\); waiting/g);
  t.equal(waits?.length, 1, shown.stderr);
  t.ok(asked > 2);

  node.results.set('getblockchaininfo', starting);
  const journal = () => readFile(join(datadir, 'wallets', 'w', 'journal'));
  const before = await journal();
  const screen = onTerminal(['wallet', 'address', 'w', ...options]);
  await screen.shows(/is starting \(Loading block index.*\); waiting/);
  screen.type('\u0003');
  t.equal(await screen.ended, 1);
  t.match(screen.text, /onionmc: stopped/);
  t.same(await journal(), before, 'nothing was written');
});

t.test('a cookie that cannot be read, and a file that holds no cookie', async (t) => {
  const node = await startFakeNode(t);
  node.respond = () => ({ status: 401, body: '' });
  const folder = t.testdir({ cookies: { text: 'no cookie at all\n' } });
  const cases: readonly (readonly [string, RegExp])[] = [
    // A folder cannot be read, whatever the rights of the reader are.
    ['', /cannot read rpc_cookie_file \S*cookies \(EISDIR\)/],
    ['missing', /cannot read rpc_cookie_file \S*missing \(ENOENT\)/],
    ['text', /cannot read rpc_cookie_file \S*text \(it is not a cookie file\)/],
  ];
  for (const [name, why] of cases) {
    const cookie = join(folder, 'cookies', name);
    const lines = [`rpc_port = ${node.port}`, `rpc_cookie_file = ${cookie}`];
    // oxlint-disable-next-line no-await-in-loop -- one command after the other
    await t.test(name === '' ? 'a folder' : name, async (t) => {
      const { datadir, options } = await walletPlace(t, lines);
      await makeCheapWallet(datadir, 'w');
      const journal = () => readFile(join(datadir, 'wallets', 'w', 'journal'));
      const before = await journal();
      refused(t, await run('address', 'w', ...options), 2, why);
      t.same(await journal(), before, 'nothing was written');
    });
  }
});

t.test('damaged files of a wallet: one line that says what to do', async (t) => {
  const { datadir, options } = await walletPlace(t, ['blockchain_source = no-blockchain']);
  await makeCheapWallet(datadir, 'w');
  const folder = join(datadir, 'wallets', 'w');
  const path = { wallet: join(folder, 'wallet'), journal: join(folder, 'journal') };
  const whole = { wallet: await readFile(path.wallet), journal: await readFile(path.journal) };
  const advice = /put a backup back, or recover the wallet from its seed words/;
  const cases: readonly (readonly ['wallet' | 'journal', Buffer, RegExp])[] = [
    ['wallet', Buffer.from('milk, eggs'), /no wallet of this program, or damaged; put a backup/],
    ['wallet', whole.wallet.subarray(0, 40), advice],
    [
      'wallet',
      flipped(whole.wallet, whole.wallet.length >> 1),
      /checksum is wrong\); put a backup/,
    ],
    [
      'journal',
      flipped(whole.journal, 3),
      /journal: .*its header is damaged, or of another wallet/,
    ],
    ['journal', Buffer.alloc(0), /journal: /],
  ];
  for (const [file, bytes, why] of cases) {
    // oxlint-disable no-await-in-loop -- one command after the other
    await writeFile(path[file], bytes);
    const names = await readdir(folder);
    refused(t, await run('seed', 'w', '--yes', ...options), 1, why);
    t.same(await readFile(path[file]), bytes, 'nothing was written');
    t.same(await readdir(folder), names);
    await writeFile(path[file], whole[file]);
    // oxlint-enable no-await-in-loop
  }
  t.equal((await run('seed', 'w', '--yes', ...options)).stdout, `${WORDS}\n`);
  await mkdir(join(datadir, 'wallets', 'empty'));
  refused(t, await run('seed', 'empty', '--yes', ...options), 2, /empty: no wallet there/);
});
