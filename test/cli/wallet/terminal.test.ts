/**
 * The wallet commands with a real node at a terminal: their questions, wrong answers and progress. At the end,
 * the folder of the wallet shows nothing of what it knows.
 */
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { ESCAPE_CHARACTER } from '../../../src/kit/terminal.js';
import { readSeedWords } from '../../../src/wallet/seed.js';
import { startBitcoinNode } from '../../helpers/bitcoin-node.js';
import { realNodeTest } from '../../helpers/bitcoin-program.js';
import { PASSWORD, WORDS } from '../../helpers/cheap-wallet.js';
import { runCli } from '../../helpers/cli.js';
import { CoinSource } from '../../helpers/coin-source.js';
import { laterMonth } from '../../helpers/later-month.js';
import { onTerminal, type Screen } from '../../helpers/pty.js';
import { scriptAt, WalletCli } from '../../helpers/wallet-cli.js';
import { ngMnemonic } from '../../wallet/import/make-files.js';

const RECEIVER = 'bcrt1qz9mzxs5fx5n5xjtwa5pj55edxh4dqg9rtkg0w9';
const LABEL = 'rent of the blue house';
const PASSWORD_QUESTION = /password of the wallet: /;
const TXID = /\b[0-9a-f]{64}\b/;

/** It ends with this code, and the screen has shown none of these. */
async function ends(
  t: Test,
  screen: Screen,
  code: number,
  secrets: readonly string[] = [PASSWORD],
): Promise<void> {
  t.equal(await screen.ended, code, screen.text);
  for (const secret of secrets) t.notMatch(screen.text, secret, 'a secret is not shown');
}

/** Each form in which a folder could show an identifier of 32 bytes or other bytes. */
function formsOf(bytes: Buffer): readonly Buffer[] {
  const both = [bytes, Buffer.from(bytes.toReversed())];
  return both.flatMap((one) => [
    one,
    Buffer.from(one.toString('hex')),
    Buffer.from(one.toString('hex').toUpperCase()),
    // Base64 of the bytes at each of the three places in a longer text.
    ...[0, 1, 2].map((shift) => {
      const text = Buffer.concat([Buffer.alloc(shift), one]).toString('base64');
      return Buffer.from(text.slice(shift === 0 ? 0 : 4, -4));
    }),
  ]);
}

realNodeTest(t, 'wallet commands at a terminal', async (t) => {
  const node = await startBitcoinNode(t);
  const source = new CoinSource(node);
  await source.fill(2);
  const cli = await WalletCli.at(t, node);
  const words = await cli.make('w');
  const at = (...args: readonly string[]): Screen =>
    onTerminal(['wallet', ...args, '--datadir', cli.datadir]);
  /** The password is asked for, and given. */
  const opened = async (...args: readonly string[]): Promise<Screen> => {
    const screen = at(...args);
    await screen.answer(PASSWORD_QUESTION, PASSWORD);
    return screen;
  };
  const secrets: string[] = [];
  let coin = '';

  await t.test('progress: the key, the addresses, the chain', async (t) => {
    const screen = await opened('address', 'w');
    await screen.shows(/deriving the key from the password \.\.\./);
    await screen.shows(/deriving the addresses \.\.\./);
    await screen.shows(/reading the block chain \.\.\./);
    const [address] = await screen.shows(/bcrt1q\w{38}/);
    await ends(t, screen, 0);
    const [paid] = await source.pay([
      { script: scriptAt(address), value: 2_000_000 },
      { script: scriptAt(RECEIVER), value: 900_000 },
    ]);
    await node.mine();
    coin = `${paid?.txid}:0`;
    secrets.push(address);

    // A pipe gets a line every ten seconds: here its clock is fast.
    const fast =
      'const now = performance.now.bind(performance); performance.now = () => now() * 20_000;';
    const env = { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(fast)}` };
    const args = ['wallet', 'rescan', 'w', '--from', '0', ...cli.options];
    const { code, stdout, stderr } = await runCli(args, { env, detached: true });
    t.equal(code, 0, stderr);
    t.match(stderr, /^reading the block chain from block 0 \.\.\. \d+ %$/m);
    t.notOk(stderr.includes(ESCAPE_CHARACTER) || stderr.includes('\r'), 'whole lines');
    t.match(stdout, /^read the blocks 0 to \d+: /);
    const rescan = await opened('rescan', 'w', '--from', '0');
    await rescan.shows(/reading the block chain from block 0 \.\.\./);
    await rescan.shows(/read the blocks 0 to \d+: .* total 2000000 sat/);
    await ends(t, rescan, 0);
  });

  await t.test('a wrong password; freeze and unfreeze', async (t) => {
    const wrong = at('freeze', 'w', coin);
    await wrong.answer(PASSWORD_QUESTION, 'not this one');
    await wrong.shows(/onionmc: .*the password is wrong/);
    await ends(t, wrong, 2, ['not this one']);
    const freeze = await opened('freeze', 'w', coin);
    await freeze.shows(/1 coin frozen/);
    await ends(t, freeze, 0);
    t.match(await cli.json(t, 'coins', 'w'), [{ outpoint: coin, frozen: true, reason: 'user' }]);
    const unfreeze = await opened('unfreeze', 'w', coin);
    await unfreeze.shows(/1 coin can be spent again/);
    await ends(t, unfreeze, 0);
    t.match(await cli.json(t, 'coins', 'w'), [{ outpoint: coin, frozen: false, reason: null }]);
  });

  await t.test('send and bump: an unclear answer is asked again, and Enter is a no', async (t) => {
    const link = `bitcoin:${RECEIVER}?amount=0.005&label=${encodeURIComponent(LABEL)}`;
    const send = await opened('send', 'w', link, '--fee-rate', '2');
    await send.answer(/Send it\? \[y\/N\] /, 'perhaps');
    await send.shows(/type y or n/);
    await send.answer(/Send it\? \[y\/N\] /, 'YES');
    const [txid] = await send.shows(TXID);
    await ends(t, send, 0);
    t.same(await node.rpc('getrawmempool'), [txid]);

    const kept = await opened('bump', 'w', txid, '--fee-rate', '5');
    await kept.shows(/fee +0\.0000\d{4} +\d+ sat, 5\.0\d sat\/vB/);
    await kept.answer(/Send it\? \[y\/N\] /, '');
    await kept.shows(/nothing was signed or sent/);
    await ends(t, kept, 1);
    t.same(await node.rpc('getrawmempool'), [txid]);
    const bump = await opened('bump', 'w', txid, '--fee-rate', '5');
    await bump.answer(/Send it\? \[y\/N\] /, 'y');
    const [next] = await bump.shows(TXID);
    await ends(t, bump, 0);
    t.same(await node.rpc('getrawmempool'), [next]);
    await node.mine();
    secrets.push(txid, next, LABEL);
  });

  await t.test('a bond: address, certificate, redemption', async (t) => {
    const month = laterMonth();
    const made = await opened('bond', 'w', 'address', month.toString());
    const [address] = await made.shows(/^bcrt1q\w{58}/m);
    await ends(t, made, 0);
    const [paid] = await source.pay([{ script: scriptAt(address), value: 5_000_000 }]);
    await node.mine();
    const bond = `${paid?.txid}:0`;
    secrets.push(address);
    const certify = await opened('bond', 'w', 'certify', bond);
    await certify.shows(/bond_file = /);
    await ends(t, certify, 0);
    await node.rpc('setmocktime', month.lockTime + 7_200);
    await node.mine(11);
    const redeem = () => opened('bond', 'w', 'redeem', bond, RECEIVER, '--fee-rate', '2');
    const no = await redeem();
    await no.shows(/pays +0\.0499\d{4} +bcrt1qz9mz/);
    await no.answer(/Send it\? \[y\/N\] /, 'no');
    await no.shows(/nothing was signed or sent/);
    await ends(t, no, 1);
    t.same(await node.rpc('getrawmempool'), []);
    const yes = await redeem();
    await yes.answer(/Send it\? \[y\/N\] /, 'y');
    const [txid] = await yes.shows(TXID);
    await ends(t, yes, 0);
    t.same(await node.rpc('getrawmempool'), [txid]);
    await node.mine();
    secrets.push(txid);
  });

  await t.test('password: typed twice, and not empty', async (t) => {
    const next = 'the password after it';
    const screen = await opened('password', 'w');
    await screen.answer(/new password: /, '');
    await screen.shows(/it is empty; type one, or press Ctrl-C/);
    await screen.answer(/new password: /, next);
    await screen.answer(/new password again: /, 'mistyped');
    await screen.shows(/the two are not the same; type both again/);
    await screen.answer(/new password: /, next);
    await screen.answer(/new password again: /, next);
    await screen.shows(/w: the password was changed; backups made before/);
    await ends(t, screen, 0, [PASSWORD, next, 'mistyped']);
    const old = await opened('show', 'w', '--offline');
    await old.shows(/the password is wrong/);
    await ends(t, old, 2);
    const shown = at('show', 'w', '--offline');
    await shown.answer(PASSWORD_QUESTION, next);
    await ends(t, shown, 0, [next]);
  });

  await t.test('the folder shows no address, transaction, label or word', async (t) => {
    const files = join(cli.datadir, 'wallets', 'w');
    const names = await readdir(files);
    const folder = Buffer.concat([
      Buffer.from(names.join('\n')),
      ...(await Promise.all(names.map((name) => readFile(join(files, name))))),
    ]);
    const seed = readSeedWords(words);
    if (!seed.ok) throw new Error('the words of the test');
    const searched = [
      ...secrets,
      coin.slice(0, 64),
      RECEIVER,
      words,
      ...words.split(' '),
      PASSWORD,
    ];
    t.ok(searched.length > 20);
    for (const text of searched) {
      const isTxid = TXID.test(text) && text.length === 64;
      const isAddress = text.startsWith('bcrt1');
      const forms = [
        Buffer.from(text),
        Buffer.from(text.toUpperCase()),
        ...(isTxid ? formsOf(Buffer.from(text, 'hex')) : []),
        // The script, and the hash in it.
        ...(isAddress ? formsOf(Buffer.from(scriptAt(text), 'hex')) : []),
        ...(isAddress ? formsOf(Buffer.from(scriptAt(text).slice(4), 'hex')) : []),
        // A word is too short for the other forms: three letters may be there by chance.
        ...(text.length > 12 && !isTxid ? formsOf(Buffer.from(text)) : []),
      ];
      // A word of three letters may be there by chance.
      const long = forms.filter(({ length }) => length > 4);
      t.notOk(
        long.some((form) => folder.includes(form)),
        text,
      );
    }
    for (const form of formsOf(Buffer.from(seed.value.entropy, 'hex'))) {
      t.notOk(folder.includes(form), 'the seed');
    }
  });

  await t.test('recover: words, passphrase, password', async (t) => {
    const list = WORDS.split(' ');
    const screen = at('recover', 'again', '--from', '100');
    await screen.answer(/word 1: /, list.slice(0, 12).join('  '));
    await screen.answer(/word 13: /, `${list[12]}x ${list.slice(13).join(' ')}`);
    await screen.shows(/word 13, "themex", is not in the English list of BIP39/);
    await screen.answer(/word 13 again: /, list[12] ?? '');
    await screen.answer(/Does a passphrase belong to the words\? \[y\/N\] /, 'what');
    await screen.shows(/type y or n/);
    await screen.answer(/Does a passphrase belong to the words\? \[y\/N\] /, 'n');
    await screen.shows(/the first address bcrt1qz9mzxs5fx5n5xjtwa5pj55edxh4dqg9rtkg0w9/);
    await screen.answer(PASSWORD_QUESTION, PASSWORD);
    await screen.answer(/password of the wallet again: /, PASSWORD);
    await screen.shows(/deriving the key from the password \.\.\./);
    await screen.shows(/reading the block chain from block 100 \.\.\./);
    await screen.shows(/again: \d+ transactions, 0\.06\d{6} BTC, 0 bonds/);
    await ends(t, screen, 0);
  });

  await t.test('import: the password of the file, and a new one', async (t) => {
    const file = join(cli.datadir, 'ng.mnemonic');
    await writeFile(file, ngMnemonic(WORDS, 'hunter2'), { mode: 0o600 });
    const wrong = at('import', file);
    await wrong.answer(/password of the file: /, 'hunter3');
    await wrong.shows(/onionmc: .*ng\.mnemonic: the password is wrong/);
    await ends(t, wrong, 2, ['hunter3']);
    t.notOk((await readdir(join(cli.datadir, 'wallets'))).includes('ng'), 'nothing was written');
    const screen = at('import', file, '--from', '100');
    await screen.answer(/password of the file: /, 'hunter2');
    await screen.answer(/Does a passphrase belong to the seed words of this wallet\? /, 'n');
    await screen.shows(
      /a wallet of joinmarket-ng, fingerprint [0-9a-f]{8}, first address bcrt1qz9/,
    );
    await screen.answer(PASSWORD_QUESTION, PASSWORD);
    await screen.answer(/password of the wallet again: /, PASSWORD);
    await screen.shows(/ng: \d+ transactions, 0\.06\d{6} BTC, 0 bonds/);
    await ends(t, screen, 0, [PASSWORD, 'hunter2']);
  });
});
