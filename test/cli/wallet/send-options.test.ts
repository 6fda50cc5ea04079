/** The options of `send` and `bump` with a real node: named coins, PSBT, fees; and a node that has pruned too much. */
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { startBitcoinNode } from '../../helpers/bitcoin-node.js';
import { realNodeTest } from '../../helpers/bitcoin-program.js';
import { makeCheapWallet } from '../../helpers/cheap-wallet.js';
import { CoinSource } from '../../helpers/coin-source.js';
import { refused, WalletCli } from '../../helpers/wallet-cli.js';

interface Planned {
  readonly txid: string | null;
  readonly outcome: string;
  readonly amount: number;
  readonly fee: number;
  readonly change: number | null;
  readonly replaces: string | null;
  readonly inputs: readonly { readonly outpoint: string; readonly value: number }[];
  readonly warnings: readonly string[];
}

interface Coin {
  readonly outpoint: string;
  readonly mixdepth: number;
  readonly reason: string | null;
}

const RECEIVER = 'bcrt1qz9mzxs5fx5n5xjtwa5pj55edxh4dqg9rtkg0w9';

realNodeTest(t, 'the options of a payment', async (t) => {
  const args = ['-prune=1', '-fastprune'];
  const node = await startBitcoinNode(t, { filterIndex: false, args });
  const source = new CoinSource(node);
  await source.fill(1);
  const cli = await WalletCli.at(t, node);
  await cli.make('w');
  const values = [100_000, 200_000, 300_000];
  const outputs: { script: string; value: number }[] = [];
  for (const value of values) {
    // oxlint-disable-next-line no-await-in-loop -- one address after the other
    outputs.push({ script: (await cli.deposit(t, 'w')).script, value });
  }
  outputs.push({ script: (await cli.deposit(t, 'w', 1)).script, value: 400_000 });
  const paid = await source.pay(outputs);
  await node.mine();
  const names = paid.map(({ txid, vout }) => `${txid}:${vout}`);
  const [small = '', middle = '', large = '', other = ''] = names;
  const send = ['send', 'w', '0.0005', RECEIVER] as const;
  const coins = () => cli.json<readonly Coin[]>(t, 'coins', 'w');

  await t.test('the named coins, and no others', async (t) => {
    const named = ['--coin', small, '--coin', large, '--fee-rate', '1.5'];
    const plan = await cli.json<Planned>(t, ...send, ...named, '--dry-run');
    t.same(plan.inputs.map(({ outpoint }) => outpoint).toSorted(), [small, large].toSorted());
    t.equal(plan.change, 400_000 - 50_000 - plan.fee);
    const mixed = ['--coin', small, '--coin', other, '--fee-rate', '1', '--yes'];
    refused(t, await cli.run(...send, ...mixed), 2, /a payment spends coins of one mixdepth only/);
    const twice = ['--coin', small, '--coin', small, '--fee-rate', '1', '--yes'];
    refused(t, await cli.run(...send, ...twice), 2, /named twice/);
    const missing = ['--coin', `${'00'.repeat(32)}:0`, '--fee-rate', '1', '--yes'];
    refused(t, await cli.run(...send, ...missing), 2, /the wallet has no coin 0{64}:0/);
  });

  await t.test('a PSBT: nothing is sent, and no coin is held', async (t) => {
    const file = join(cli.datadir, 'payment.psbt');
    const psbt = [
      'send',
      'w',
      'all',
      RECEIVER,
      '--coin',
      middle,
      '--fee-rate',
      '2',
      '--psbt',
      file,
    ];
    const made = await cli.json<Planned & { file: string }>(t, ...psbt);
    t.match(made, { txid: null, outcome: 'psbt', file, change: null, amount: 200_000 - made.fee });
    t.equal((await stat(file)).mode & 0o777, 0o600);
    const decoded = await node.rpc<{ fee: number; tx: { vin: { txid: string }[] } }>(
      'decodepsbt',
      (await readFile(file)).toString('base64'),
    );
    t.match(decoded, { fee: made.fee / 1e8, tx: { vin: [{ txid: middle.split(':')[0] }] } });
    t.same(await node.rpc('getrawmempool'), []);
    t.ok((await coins()).every(({ reason }) => reason === null));
    refused(t, await cli.run(...psbt), 2, /payment\.psbt cannot be written \(EEXIST\)/);
  });

  await t.test(
    'an absurd fee needs its word; a rate and a number of blocks exclude each other',
    async (t) => {
      const absurd = [...send, '--fee-rate', '400'] as const;
      refused(t, await cli.run(...absurd, '--yes'), 2, /absurd_fee_per_kb.*--accept-absurd-fee/);
      const plan = await cli.json<Planned>(t, ...absurd, '--accept-absurd-fee', '--dry-run');
      t.match(plan.warnings.join(), /above the limit, which you chose to ignore/);
      const both = await cli.run(...send, '--fee-rate', '2', '--blocks', '6');
      t.equal(both.code, 2);
      t.match(both.stderr, /--fee-rate.* cannot be used with option '--blocks/);
    },
  );

  await t.test('a label of the payment request, and a bump that is only shown', async (t) => {
    const link = `bitcoin:${RECEIVER}?amount=0.0005&label=rent%20May`;
    const sent = await cli.json<Planned>(t, 'send', 'w', link, '--fee-rate', '2', '--yes');
    t.match(sent, { outcome: 'sent', amount: 50_000 });
    const txid = sent.txid ?? '';
    const history = await cli.json<readonly { txid: string; label: string | null }[]>(
      t,
      'history',
      'w',
    );
    t.match(history.at(-1), { txid, label: 'rent May' });
    const bump = await cli.json<Planned>(t, 'bump', 'w', txid, '--fee-rate', '9', '--dry-run');
    t.match(bump, { txid: null, outcome: 'dry-run', replaces: txid, amount: 50_000 });
    t.ok(bump.fee > sent.fee);
    const kept = await cli.run('reclaim', 'w', txid, '--yes');
    t.not(kept.code, 0);
    t.match(kept.stderr, /is no coinjoin that may still confirm/);
    t.same(await node.rpc('getrawmempool'), [txid], 'nothing was replaced');
    await node.mine();
  });

  await t.test('a node that has pruned blocks which the wallet needs', async (t) => {
    await node.mine(1_000);
    await node.rpc('pruneblockchain', 700);
    await makeCheapWallet(cli.datadir, 'old', { isOpened: true });
    const journal = () => readFile(join(cli.datadir, 'wallets', 'old', 'journal'));
    const before = await journal();
    const why =
      /the node has pruned the blocks below (\d+), .* or onionmc wallet rescan NAME --from \1$/m;
    const shown = await cli.run('show', 'old');
    refused(t, shown, 1, why);
    refused(t, await cli.run('rescan', 'old'), 1, /the node has pruned the blocks below/);
    t.same(await journal(), before, 'nothing was written');
    const first = why.exec(shown.stderr)?.[1] ?? '';
    const rescanned = await cli.run('rescan', 'old', '--from', first);
    t.equal(rescanned.code, 0, rescanned.stderr);
    t.match(rescanned.stderr, /100 addresses of each branch were skipped/);
    // The receiver of the payment is this wallet, and its block is pruned.
    t.match(await cli.json(t, 'show', 'old'), { total: 50_000, available: 50_000 });
  });
});
