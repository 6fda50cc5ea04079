/** `onionmc wallet import`: files of the original and of joinmarket-ng, with the same addresses. */
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { startBitcoinNode } from '../../helpers/bitcoin-node.js';
import { realNodeTest } from '../../helpers/bitcoin-program.js';
import { CoinSource } from '../../helpers/coin-source.js';
import { WORDS } from '../../helpers/cheap-wallet.js';
import { refused, scriptAt, WalletCli } from '../../helpers/wallet-cli.js';
import { jmdat, ngMnemonic } from '../../wallet/import/make-files.js';

/** The vectors of the original for these words: m/84'/1'/0'/0/0 and m/84'/1'/0'/0/5 of regtest. */
const FIRST = 'bcrt1qz9mzxs5fx5n5xjtwa5pj55edxh4dqg9rtkg0w9';
const SIXTH = 'bcrt1q7kql3tcnu349l0r5grvkylq7h2xmn5vapq3lyw';
const ENTROPY = Buffer.from(
  '2e0339ba89b4a1272cdf78b27ee62669ee01992a59e836e2807051be128ca817',
  'hex',
);

realNodeTest(t, 'wallets of other programs', async (t) => {
  const node = await startBitcoinNode(t);
  const source = new CoinSource(node);
  await source.fill(1);
  const [paid] = await source.pay([{ script: scriptAt(FIRST), value: 700_000 }]);
  await node.mine();
  const cli = await WalletCli.at(t, node);
  const file = async (name: string, content: Uint8Array | string): Promise<string> => {
    const path = join(cli.datadir, name);
    await writeFile(path, content, { mode: 0o600 });
    return path;
  };

  await t.test('of the original', async (t) => {
    const path = await file(
      'old.jmdat',
      await jmdat(
        {
          network: 'testnet',
          wallet_type: 2,
          created: '2024/01/31 12:00:00',
          entropy: ENTROPY,
          index_cache: { 0: { 0: 5, 1: 0 } },
          meta: {
            [`${Buffer.from(paid?.txid ?? '', 'hex').toString('latin1')}0`]: { disabled: 1 },
          },
          addr_labels: { [FIRST]: 'from the old wallet' },
        },
        undefined,
      ),
    );
    const imported = await cli.run('import', path);
    t.equal(imported.code, 0, imported.stderr);
    t.match(
      imported.stderr,
      /a wallet of joinmarket, fingerprint [0-9a-f]{8}, first address bcrt1qz9mz/,
    );
    t.match(imported.stderr, /the history of the original is not taken over/);
    t.match(imported.stdout, /^old: 1 transaction, 0\.00700000 BTC, 0 bonds\n$/);
    t.match(await cli.json(t, 'coins', 'old'), [
      { address: FIRST, value: 700_000, frozen: true, reason: 'imported' },
    ]);
    t.match(
      await cli.json(t, 'address', 'old'),
      { address: SIXTH },
      'after those it had handed out',
    );
    refused(t, await cli.run('import', path), 2, /there is a wallet already/);
  });

  await t.test('of joinmarket-ng', async (t) => {
    const path = await file('ng.mnemonic', ngMnemonic(WORDS, 'hunter2'));
    refused(t, await cli.run('import', path), 2, /no terminal .*--file-password-file FILE/);
    const wrong = await file('wrong', 'hunter3\n');
    const withWrong = await cli.run('import', path, '--file-password-file', wrong);
    refused(t, withWrong, 2, /ng\.mnemonic: the password is wrong/);
    const right = await file('right', 'hunter2\n');
    const imported = await cli.json(t, 'import', path, 'ng', '--file-password-file', right);
    t.match(imported, { name: 'ng', network: 'regtest', total: 700_000 });
  });

  await t.test('what cannot be imported', async (t) => {
    const wallets = () => readdir(join(cli.datadir, 'wallets'));
    const before = await wallets();
    const text = await file('notes.txt', 'milk, eggs');
    refused(
      t,
      await cli.run('import', text, 'x'),
      2,
      /notes\.txt: no wallet file that this program knows/,
    );
    refused(
      t,
      await cli.run('import', join(cli.datadir, 'none'), 'x'),
      2,
      /cannot be read \(ENOENT\)/,
    );
    const strange = await file('-.jmdat', '');
    refused(t, await cli.run('import', strange), 2, /its name cannot be that of a wallet/);
    const main = await file(
      'main.jmdat',
      await jmdat({ network: 'mainnet', wallet_type: 2, entropy: ENTROPY }, undefined),
    );
    refused(
      t,
      await cli.run('import', main),
      2,
      /a wallet of mainnet, and \[BLOCKCHAIN\] network is regtest/,
    );
    const cut = await file('cut', 'OMCBACKU and then nothing');
    refused(t, await cli.run('import', cut, 'x'), 1, /cut/);
    t.same(await wallets(), before, 'nothing was written');
  });
});
