/** `onionmc wallet bond` with a real node: addresses, certificates made here and elsewhere, redemption. */
import { secp256k1 } from '@noble/curves/secp256k1.js';
import { bytesToHex } from '@noble/hashes/utils.js';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { signText } from '../../../src/protocol/signature.js';
import { startBitcoinNode } from '../../helpers/bitcoin-node.js';
import { realNodeTest } from '../../helpers/bitcoin-program.js';
import { signBondPsbt } from '../../helpers/bond-signer.js';
import { CoinSource } from '../../helpers/coin-source.js';
import { laterMonth } from '../../helpers/later-month.js';
import { refused, scriptAt, WalletCli } from '../../helpers/wallet-cli.js';

interface Row {
  readonly outpoint: string | null;
  readonly state: string;
  readonly value: number;
  readonly address: string;
  readonly locktime: number;
  readonly next: string;
}

realNodeTest(t, 'bonds', async (t) => {
  const node = await startBitcoinNode(t);
  const source = new CoinSource(node);
  await source.fill(4);
  const cli = await WalletCli.at(t, node);
  await cli.make('w');
  const month = laterMonth();
  const text = month.toString();
  const list = () => cli.json<readonly Row[]>(t, 'bond', 'w', 'list');
  const receiver = 'bcrt1qz9mzxs5fx5n5xjtwa5pj55edxh4dqg9rtkg0w9';

  await t.test('arguments', async (t) => {
    refused(
      t,
      await cli.run('bond', 'w', 'address'),
      2,
      /bond address takes YYYY-MM, not 0 arguments/,
    );
    refused(t, await cli.run('bond', 'w', 'address', '2027-13'), 2, /written as YYYY-MM/);
    refused(t, await cli.run('bond', 'w', 'address', '2020-01'), 2, /2020-01 has passed/);
    refused(t, await cli.run('bond', 'w', 'certify', 'x'), 2, /TXID:NUMBER/);
    refused(t, await cli.run('bond', 'w', 'list', '--dry-run'), 2, /belongs to bond redeem/);
    refused(t, await cli.run('bond', 'w', 'sell'), 2, /Allowed choices are list, address/);
    t.match(
      (await cli.run('bond', 'w', 'list')).stdout,
      /^no bonds; "onionmc wallet bond NAME address/,
    );
  });

  let bond: Row | undefined;
  await t.test('an address, a coin, a certificate', async (t) => {
    const made = await cli.json<{ address: string; path: string }>(t, 'bond', 'w', 'address', text);
    t.equal(made.path, `m/84'/1'/0'/2/${month.index}:${month.lockTime}`);
    t.match(await list(), [{ state: 'unfunded', outpoint: null, address: made.address }]);
    await source.pay([{ script: scriptAt(made.address), value: 10_000_000 }]);
    await node.mine();
    [bond] = await list();
    t.match(bond, { state: 'uncertified', value: 10_000_000, locktime: month.lockTime });
    const summary = await cli.json<{ total: number; bonds: unknown[] }>(t, 'show', 'w');
    t.match(summary, { total: 0, bonds: [{ outpoint: bond?.outpoint, reason: 'locked' }] });

    const name = bond?.outpoint ?? '';
    const certified = await cli.json<{ file: string; lastHeight: number }>(
      t,
      'bond',
      'w',
      'certify',
      name,
    );
    const file: unknown = JSON.parse(await readFile(certified.file, 'utf8'));
    t.match(file, { network: 'regtest', utxo: name, lock_time: month.lockTime });
    t.equal((await stat(certified.file)).mode & 0o777, 0o600);
    t.match(await list(), [{ state: 'certified', certifiedUntil: certified.lastHeight }]);
    const again = await cli.run('bond', 'w', 'certify', name, '--periods', '26');
    t.equal(again.stdout, `${certified.file}\n`, 'a renewal takes the place of the file');
    refused(
      t,
      await cli.run('bond', 'w', 'redeem', name, receiver, '--fee-rate', '1', '--yes'),
      1,
      /is locked until .* median time/,
    );
    refused(
      t,
      await cli.run('send', 'w', '0.01', receiver, '--fee-rate', '1', '--yes'),
      1,
      /mixdepth 0 has 0 sat available/,
    );
  });

  const key = secp256k1.utils.randomSecretKey();
  let outside = '';
  await t.test('a key outside the wallet', async (t) => {
    const publicKey = bytesToHex(secp256k1.getPublicKey(key, true));
    const made = await cli.json<{ address: string }>(
      t,
      'bond',
      'w',
      'address',
      text,
      '--public-key',
      publicKey,
    );
    const [paid] = await source.pay([{ script: scriptAt(made.address), value: 20_000_000 }]);
    await node.mine();
    const name = `${paid?.txid}:0`;
    outside = name;
    const message = join(cli.datadir, 'message');
    t.equal((await cli.run('bond', 'w', 'cold-message', name, message)).code, 0);
    const signed = await readFile(message, 'utf8');
    t.match(signed, /^fidelity-bond-cert\|0[23][0-9a-f]{64}\|\d+$/);
    const signature = join(cli.datadir, 'signature');
    await writeFile(signature, `${signText(`${signed} `, key)}\n`);
    refused(
      t,
      await cli.run('bond', 'w', 'cold-import', signature),
      2,
      /is not by the key of a bond/,
    );
    await writeFile(signature, `${signText(signed, key)}\n`);
    const imported = await cli.json(t, 'bond', 'w', 'cold-import', signature);
    t.match(imported, { outpoint: name, file: /bond-[0-9a-f]{16}-0\.json$/ });
    const row = (await list()).find(({ outpoint }) => outpoint === name);
    t.match(row, { state: 'certified', outside: true, value: 20_000_000 });
  });

  await t.test('redeemed after the lock', async (t) => {
    const name = bond?.outpoint ?? '';
    await node.rpc('setmocktime', month.lockTime + 7_200);
    await node.mine(11);
    t.match(
      (await list()).find(({ outpoint }) => outpoint === name),
      {
        state: 'open',
        next: /the lock is over: bond redeem/,
      },
    );
    const absurd = ['bond', 'w', 'redeem', name, receiver, '--fee-rate', '400', '--dry-run'];
    refused(t, await cli.run(...absurd), 2, /absurd_fee_per_kb.*--accept-absurd-fee/);
    t.match(await cli.json(t, ...absurd, '--accept-absurd-fee'), { outcome: 'dry-run' });
    const redeem = ['bond', 'w', 'redeem', name, receiver, '--fee-rate', '2'];
    const dry = await cli.run(...redeem, '--dry-run');
    t.match(dry.stdout, /pays +0\.0999\d{4} +bcrt1qz9mz/, dry.stderr);
    const sent = await cli.json<{ txid: string; outcome: string }>(t, ...redeem, '--yes');
    t.equal(sent.outcome, 'sent');
    t.same(await node.rpc('getrawmempool'), [sent.txid]);
    await node.mine();
    t.notOk((await list()).some(({ outpoint }) => outpoint === name));
  });

  await t.test('redeemed by the key outside, with a PSBT', async (t) => {
    const redeem = ['bond', 'w', 'redeem', outside, receiver, '--fee-rate', '2'];
    refused(t, await cli.run(...redeem, '--yes'), 2, /outside the wallet.*--psbt/);
    const file = join(cli.datadir, 'redeem.psbt');
    const made = await cli.json<{ fee: number; amount: number }>(t, ...redeem, '--psbt', file);
    t.match(made, { txid: null, outcome: 'psbt', file, amount: 20_000_000 - made.fee });
    t.equal((await stat(file)).mode & 0o777, 0o600);
    t.same(await node.rpc('getrawmempool'), [], 'nothing was sent');
    const bytes = signBondPsbt(await readFile(file), key);
    const txid = await node.rpc<string>('sendrawtransaction', bytesToHex(bytes));
    await node.mine();
    t.notOk((await list()).some(({ outpoint }) => outpoint === outside));
    const entries = await cli.json<readonly { txid: string }[]>(t, 'history', 'w');
    t.match(
      entries.find((entry) => entry.txid === txid),
      { kind: 'bond', state: 'confirmed', change: 0 },
    );
  });
});
