/** Wallet commands and a node that cannot be used: one line, the right exit code, nothing written. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { freePort, startBitcoinNode } from '../../helpers/bitcoin-node.js';
import { realNodeTest } from '../../helpers/bitcoin-program.js';
import { makeCheapWallet, walletPlace } from '../../helpers/cheap-wallet.js';
import { takenPort } from '../../helpers/cli.js';
import { onTerminal } from '../../helpers/pty.js';
import { refused, WalletCli } from '../../helpers/wallet-cli.js';

t.test('Ctrl-C while the node does not answer', async (t) => {
  const silent = await takenPort();
  t.teardown(() => silent.close());
  const { datadir, options } = await walletPlace(t, [
    `rpc_port = ${silent.port}`,
    'rpc_user = joe',
    'rpc_password = secret',
  ]);
  await makeCheapWallet(datadir, 'w');
  const journal = await readFile(join(datadir, 'wallets', 'w', 'journal'));
  const screen = onTerminal(['wallet', 'show', 'w', ...options]);
  await silent.asked;
  screen.type('\u0003');
  t.equal(await screen.ended, 1);
  t.match(screen.text, /onionmc: stopped/);
  t.same(await readFile(join(datadir, 'wallets', 'w', 'journal')), journal, 'nothing was written');
});

realNodeTest(t, 'a node that cannot be used', async (t) => {
  const node = await startBitcoinNode(t, { rpcUser: 'joe', rpcPassword: 'secret' });
  await node.mine(3);
  const login = ['rpc_user = joe', 'rpc_password = secret'];
  const at = async (t: Test, lines: readonly string[], network = 'regtest'): Promise<WalletCli> => {
    const cli = await WalletCli.at(t, node);
    const text = [
      '[BLOCKCHAIN]',
      `network = ${network}`,
      ...lines,
      '[MESSAGING:onion]',
      'type = onion',
      '',
    ];
    await writeFile(join(cli.datadir, 'joinmarket.cfg'), text.join('\n'));
    await makeCheapWallet(cli.datadir, 'w');
    return cli;
  };
  const port = `rpc_port = ${node.rpcPort}`;
  const cookie = join(t.testdir({ cookie: '__cookie__:00' }), 'cookie');

  const cases: readonly (readonly [string, readonly string[], number, RegExp])[] = [
    [
      'nothing listens',
      [`rpc_port = ${await freePort()}`, ...login],
      3,
      /no bitcoin node answers at localhost:\d+/,
    ],
    ['a wrong password', [port, 'rpc_user = joe', 'rpc_password = wrong'], 2, /password/],
    ['a wrong cookie', [port, `rpc_cookie_file = ${cookie}`], 2, /cookie/],
    ['no cookie', [port, `rpc_cookie_file = ${cookie}-missing`], 2, /cookie/],
    ['no node', ['blockchain_source = no-blockchain'], 2, /no-blockchain/],
  ];
  for (const [name, lines, code, why] of cases) {
    // oxlint-disable-next-line no-await-in-loop -- one command after the other
    await t.test(name, async (t) => {
      const cli = await at(t, lines);
      const journal = join(cli.datadir, 'wallets', 'w', 'journal');
      const before = await readFile(journal);
      refused(t, await cli.run('address', 'w'), code, why);
      t.same(await readFile(journal), before, 'nothing was written');
    });
  }

  await t.test('without a node, the wallet shows what it knows', async (t) => {
    const cli = await at(t, [`rpc_port = ${await freePort()}`, ...login]);
    refused(t, await cli.run('show', 'w'), 3, /no bitcoin node answers at localhost:\d+/);
    const known = await cli.json(t, 'show', 'w', '--offline');
    t.match(known, { network: 'regtest', total: 0 });
  });

  await t.test('another network', async (t) => {
    const cli = await at(t, [port, ...login], 'signet');
    refused(t, await cli.run('show', 'w'), 2, /a wallet of regtest, and .*network = signet/);
    await makeCheapWallet(cli.datadir, 's', { network: 'signet' });
    refused(t, await cli.run('show', 's'), 2, /regtest/);
    const words = join(cli.datadir, 'words');
    await writeFile(
      words,
      'legal winner thank year wave sausage worth useful legal winner thank yellow',
    );
    refused(t, await cli.run('recover', 'r', '--words-file', words), 2, /regtest/);
    refused(t, await cli.run('show', 'r'), 2, /no wallet there/);
  });

  await t.test('a new wallet is born at the height of the node', async (t) => {
    const cli = await at(t, [port, ...login]);
    const made = await cli.run('create', 'new');
    t.equal(made.code, 0, made.stderr);
    t.notMatch(made.stderr, /the node was not asked/);
    t.match(await cli.json(t, 'rescan', 'new'), { from: 3, height: 3 });
  });
});
