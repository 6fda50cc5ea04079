/** Wallet commands with a real node: receive, show, freeze, send, bump, history, labels, recover. */
import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { generateSeed } from '../../../src/wallet/seed.js';
import { startBitcoinNode } from '../../helpers/bitcoin-node.js';
import { realNodeTest } from '../../helpers/bitcoin-program.js';
import { CoinSource } from '../../helpers/coin-source.js';
import { onTerminal } from '../../helpers/pty.js';
import { makeCheapWallet, PASSWORD } from '../../helpers/cheap-wallet.js';
import { refused, WalletCli } from '../../helpers/wallet-cli.js';

interface Coin {
  readonly outpoint: string;
  readonly value: number;
  readonly address: string;
  readonly path: string;
  readonly mixdepth: number;
  readonly confirmations: number;
  readonly frozen: boolean;
  readonly reason: string | null;
  readonly origin: string;
}

interface Summary {
  readonly network: string;
  readonly height: number;
  readonly total: number;
  readonly available: number;
  readonly mixdepths: readonly {
    readonly mixdepth: number;
    readonly balance: number;
    readonly available: number;
    readonly frozen: number;
    readonly pending: number;
  }[];
  readonly bonds: readonly unknown[];
}

interface Sent {
  readonly txid: string;
  readonly outcome: string;
  readonly amount: number;
  readonly fee: number;
  readonly change: number | null;
  readonly warnings: readonly string[];
  readonly inputs: readonly { readonly outpoint: string; readonly value: number }[];
}

const receiver = 'bcrt1qz9mzxs5fx5n5xjtwa5pj55edxh4dqg9rtkg0w9';

realNodeTest(t, 'a wallet receives, shows, sends and is recovered', async (t) => {
  const node = await startBitcoinNode(t);
  const source = new CoinSource(node);
  await source.fill(4);
  const cli = await WalletCli.at(t, node);
  const words = await cli.make('w');
  const journal = () => readFile(join(cli.datadir, 'wallets', 'w', 'journal'));
  const pay = (amount: string, to: string, ...more: string[]) =>
    cli.run('send', 'w', amount, to, '--yes', ...more);
  const show = () => cli.json<Summary>(t, 'show', 'w');
  const coins = () => cli.json<readonly Coin[]>(t, 'coins', 'w');

  await t.test('receive', async (t) => {
    const [a, b] = [await cli.deposit(t, 'w'), await cli.deposit(t, 'w')];
    t.not(a.address, b.address, 'each address is handed out once');
    const [paid] = await source.pay([
      { script: a.script, value: 1_000_000 },
      { script: b.script, value: 300_000 },
      { script: (await cli.deposit(t, 'w', 1)).script, value: 500_000 },
    ]);
    await node.mine();
    const summary = await show();
    t.same(Object.keys(summary), ['network', 'height', 'total', 'available', 'mixdepths', 'bonds']);
    t.match(summary, { network: 'regtest', total: 1_800_000, available: 1_800_000, bonds: [] });
    t.equal(summary.height, await node.rpc('getblockcount'));
    const empty = { balance: 0, available: 0, frozen: 0, pending: 0 };
    t.same(summary.mixdepths, [
      { ...empty, mixdepth: 0, balance: 1_300_000, available: 1_300_000 },
      { ...empty, mixdepth: 1, balance: 500_000, available: 500_000 },
      ...[2, 3, 4].map((mixdepth) => ({ ...empty, mixdepth })),
    ]);
    const [first] = await coins();
    t.same(first, {
      outpoint: `${paid?.txid}:0`,
      value: 1_000_000,
      address: a.address,
      path: "m/84'/1'/0'/0/0",
      mixdepth: 0,
      confirmations: 1,
      frozen: false,
      reason: null,
      origin: 'deposit',
    });
    const one = await cli.json<Summary>(t, 'show', 'w', '--mixdepth', '1');
    t.same(one.mixdepths, [summary.mixdepths[1]]);
    refused(
      t,
      await cli.run('show', 'w', '--mixdepth', '9'),
      2,
      /--mixdepth 9: the wallet has the mixdepths 0 to 4/,
    );
    const people = await cli.run('show', 'w');
    t.match(people.stdout, /^w: regtest, block \d+; amounts in BTC\n/);
    t.match(people.stdout, /\n +1 +0\.00500000 +0\.00500000 +0\.00000000 +0\.00000000\n/);
  });

  await t.test('freeze', async (t) => {
    const [large] = await coins();
    const name = large?.outpoint ?? '';
    t.match(await cli.run('freeze', 'w', name), { code: 0, stdout: '1 coin frozen\n' });
    t.match((await coins())[0], { frozen: true, reason: 'user' });
    t.match(await show(), { total: 1_800_000, available: 800_000 });
    t.match((await cli.run('coins', 'w')).stdout, /frozen by you/);
    const address = (await cli.deposit(t, 'w', 2)).address;
    refused(
      t,
      await cli.run('send', 'w', '0.005', address, '--fee-rate', '1', '--yes'),
      1,
      /frozen/,
    );
    const named = ['send', 'w', '0.001', address, '--coin', name, '--fee-rate', '1', '--yes'];
    refused(t, await cli.run(...named), 1, /frozen/);
    t.match(await cli.json(t, 'unfreeze', 'w', name), [{ outpoint: name, frozen: false }]);
    t.match(await show(), { available: 1_800_000 });
    refused(t, await cli.run('freeze', 'w', `${'00'.repeat(32)}:0`), 2, /no .*coin/);
    refused(t, await cli.run('freeze', 'w', 'x:0'), 2, /TXID:NUMBER/);
  });

  let sent: Sent | undefined;
  await t.test('send', async (t) => {
    const send = ['send', 'w', '0.002', receiver, '--fee-rate', '2'];
    const dry = await cli.json<Sent>(t, ...send, '--dry-run');
    t.match(dry, { txid: null, outcome: 'dry-run', amount: 200_000, change: /^\d+$/ });
    t.same(
      dry.inputs,
      [{ outpoint: dry.inputs[0]?.outpoint, value: 300_000 }],
      'the smallest that suffices',
    );
    t.same(await node.rpc('getrawmempool'), [], 'nothing was sent');
    refused(t, await cli.run(...send), 2, /no terminal to ask for a yes.*--yes/s);

    const screen = onTerminal(['wallet', ...send, '--datadir', cli.datadir]);
    await screen.answer(/password of the wallet: /, PASSWORD);
    await screen.shows(/spends +0\.00300000 .*deposit, mixdepth 0/);
    await screen.shows(/pays +0\.00200000 +bcrt1qz9mzxs5fx5n5xjtwa5pj55edxh4dqg9rtkg0w9/);
    await screen.shows(/change +0\.000997\d\d +a fresh address of mixdepth 0/);
    await screen.shows(/fee +0\.000002\d\d +2\d\d sat, 2\.0\d sat\/vB, 0\.1\d % of the payment/);
    await screen.answer(/Send it\? \[y\/N\] /, 'n');
    t.equal(await screen.ended, 1);
    t.match(screen.text, /nothing was signed or sent/);
    t.same(await node.rpc('getrawmempool'), [], 'nothing was sent');

    sent = await cli.json<Sent>(t, ...send, '--yes');
    t.match(sent, { outcome: 'sent', amount: 200_000, change: 100_000 - (sent?.fee ?? 0) });
    t.same(await node.rpc('getrawmempool'), [sent?.txid]);
    t.match(
      (await coins()).find(({ outpoint }) => outpoint === sent?.inputs[0]?.outpoint),
      {
        reason: 'signed',
      },
    );
  });

  await t.test('what is refused before anything is written', async (t) => {
    await show();
    const before = await journal();
    refused(t, await pay('1btc', receiver, '--fee-rate', '1'), 1, /100 000 000 sat .*more than/);
    refused(t, await pay('1', receiver), 2, /could be satoshi or BTC/);
    refused(
      t,
      await pay('0.001', 'bc1qcr8te4kr609gcawutmrza0j4xv80jy8z306fyu'),
      2,
      /address .* \(this wallet is of regtest\)/,
    );
    refused(t, await pay('0.001', receiver, '--fee-rate', '5000'), 2, /--accept-absurd-fee/);
    refused(
      t,
      await pay('0.001', receiver, '--fee-rate', '0.5', '--mixdepth', '1'),
      2,
      /relays from/,
    );
    refused(t, await pay('0.001', receiver), 1, /no estimate .* give --fee-rate/);
    refused(t, await pay('0.001', receiver, '--mixdepth', '7', '--fee-rate', '1'), 2, /mixdepth/);
    t.same(await journal(), before, 'nothing was written');
  });

  await t.test('bump', async (t) => {
    const txid = sent?.txid ?? '';
    refused(t, await cli.run('bump', 'w', txid, '--fee-rate', '2', '--yes'), 2, /--fee-rate/);
    const bumped = await cli.json<Sent>(t, 'bump', 'w', txid, '--yes');
    t.not(bumped.txid, txid);
    t.same(await node.rpc('getrawmempool'), [bumped.txid], 'it replaced the first one');
    t.same(bumped.inputs, sent?.inputs);
    t.ok(bumped.fee > (sent?.fee ?? 0));
    t.same(bumped.warnings, [], 'the same payment is no second one');
    await node.mine();
    const entries = await cli.json<readonly Record<string, unknown>[]>(t, 'history', 'w');
    const states = Object.fromEntries(entries.map(({ txid: id, state }) => [id, state]));
    t.match(states, { [bumped.txid]: 'confirmed' });
    t.match(
      entries.find((entry) => entry['txid'] === bumped.txid),
      {
        txid: bumped.txid,
        kind: 'send',
        change: -200_000 - bumped.fee,
        fee: bumped.fee,
      },
    );
    refused(t, await cli.run('bump', 'w', bumped.txid, '--yes'), 2, /is in a block already/);
    const csv = await cli.run('history', 'w', '--csv');
    t.match(csv.stdout, /^time,txid,kind,state,height,change_sat,/);
    t.match(csv.stdout, `,${bumped.txid},send,confirmed,`);
    t.match((await cli.run('history', 'w')).stdout, /time \(UTC\) +kind +state/);
  });

  await t.test('labels', async (t) => {
    const { outpoint, address } = (await coins())[0] ?? { outpoint: '', address: '' };
    const file = join(cli.datadir, 'labels.jsonl');
    const lines = [
      { type: 'addr', ref: address, label: 'rent, May' },
      { type: 'output', ref: outpoint, spendable: false },
      { type: 'output', ref: `${'00'.repeat(32)}:0`, label: 'of another wallet' },
    ];
    await writeFile(file, `${lines.map((line) => JSON.stringify(line)).join('\n')}\nno JSON\n`);
    const taken = await cli.json<{ taken: number; refused: unknown[] }>(
      t,
      'labels',
      'w',
      'import',
      file,
    );
    t.ok(taken.taken >= 2);
    t.ok(taken.refused.length >= 1);
    t.match((await coins())[0], { frozen: true, reason: 'imported' });
    const out = join(cli.datadir, 'out.jsonl');
    t.equal((await cli.run('labels', 'w', 'export', out)).code, 0);
    const text = await readFile(out, 'utf8');
    t.match(text, '"rent, May"');
    t.match(text, '"spendable":false');
    refused(t, await cli.run('labels', 'w', 'export', out), 2, /cannot be written \(EEXIST\)/);
    await cli.run('unfreeze', 'w', outpoint);
  });

  await t.test('one writer, many readers', async (t) => {
    const screen = onTerminal([
      'wallet',
      'send',
      'w',
      '0.001',
      receiver,
      '--fee-rate',
      '1',
      ...cli.options,
    ]);
    await screen.shows(/Send it\? \[y\/N\] /);
    refused(t, await cli.run('address', 'w'), 2, /process \d+ uses the wallet/);
    const beside = await show();
    t.equal(beside.network, 'regtest');
    t.equal((await cli.run('history', 'w')).code, 0);
    screen.type('\u0003');
    t.equal(await screen.ended, 1);
    t.same(await show(), beside);
  });

  await t.test('a passphrase is needed for keys, and not to look', async (t) => {
    const { words: seed } = generateSeed(12, (length) => randomBytes(length));
    await makeCheapWallet(cli.datadir, 'p', {
      words: seed,
      passphrase: 'TREZOR',
      isOpened: true,
    });
    const files = { right: join(cli.datadir, 'right'), wrong: join(cli.datadir, 'wrong') };
    await writeFile(files.right, 'TREZOR\n', { mode: 0o600 });
    await writeFile(files.wrong, 'trezor\n', { mode: 0o600 });
    t.match(await cli.json(t, 'show', 'p'), { total: 0 });
    refused(t, await cli.run('address', 'p'), 2, /no terminal .*--passphrase-file FILE/);
    const withFile = (path: string) => cli.run('address', 'p', '--passphrase-file', path);
    refused(t, await withFile(files.wrong), 2, /this passphrase gives another wallet/);
    t.match((await withFile(files.right)).stdout, /^bcrt1q/);
    refused(t, await cli.run('address', 'w', '--mixdepth', '5'), 2, /mixdepths 0 to 4/);
  });

  await t.test('backup and recovery give the same coins', async (t) => {
    const before = await show();
    const backup = join(cli.datadir, 'w.backup');
    t.equal((await cli.run('backup', 'w', backup)).code, 0);
    t.match(await cli.json(t, 'import', backup, 'copy'), { name: 'copy', kind: 'backup' });
    t.same(await cli.json(t, 'show', 'copy'), before);
    const address = await cli.json<{ path: string }>(t, 'address', 'copy');
    t.match(address.path, /^m\/84'\/1'\/0'\/0\/[2-9]/, 'used addresses are not handed out again');

    const file = join(cli.datadir, 'words');
    await writeFile(file, words);
    const recovered = await cli.run('recover', 'again', '--words-file', file);
    t.equal(recovered.code, 0, recovered.stderr);
    t.match(
      recovered.stderr,
      /give a wallet with the fingerprint [0-9a-f]{8} and the first address bcrt1q/,
    );
    t.match(recovered.stderr, /read the blocks 0 to \d+ for 5 mixdepths/);
    t.match(recovered.stdout, /^again: \d+ transactions, 0\.01\d{6} BTC, 0 bonds\n$/);
    t.match(await cli.json(t, 'show', 'again'), { total: before.total });
    t.match(await cli.json(t, 'rescan', 'again', '--from', '0'), {
      from: 0,
      height: before.height,
    });
    refused(
      t,
      await cli.run('recover', 'again', '--words-file', file),
      2,
      /there is a wallet already/,
    );
  });
});
