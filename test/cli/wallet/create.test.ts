/**
 * `onionmc wallet create`, `seed`, `check`, `password` and `backup` at a terminal and in a pipe, without a
 * node. Nothing secret is in an argument or in the environment of any process.
 */
import { appendFile, chmod, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import t, { type Test } from 'tap';
import { runCli, type Ended } from '../../helpers/cli.js';
import { makeCheapWallet, PASSWORD, walletPlace, WORDS } from '../../helpers/cheap-wallet.js';
import { onTerminal, type Screen } from '../../helpers/pty.js';

const isHere = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  );

/** The seed words that the screen has shown, in order. */
function wordsOn({ text }: Screen): readonly string[] {
  const words = [...text.matchAll(/ ?(\d{1,2}) ([a-z]{3,8})(?=\s)/g)].map(
    ([, number, word = '']) => [Number(number), word] as const,
  );
  return words.toSorted(([a], [b]) => a - b).map(([, word]) => word);
}

async function answerBack(screen: Screen, words: readonly string[]): Promise<void> {
  for (let i = 0; i < 3; i += 1) {
    // oxlint-disable-next-line no-await-in-loop -- one question after the other
    const [, number] = await screen.shows(/word (\d+) on your paper: /);
    screen.type(`${words[Number(number) - 1] ?? ''}\n`);
  }
}

/** Without a terminal. */
const run = (...args: string[]): Promise<Ended> => runCli(['wallet', ...args], { detached: true });

/** One line on standard error, with this exit code. */
function refused(t: Test, { code, stdout, stderr }: Ended, exitCode: number, why: RegExp): void {
  t.equal(code, exitCode, stderr);
  t.match(stderr, why);
  t.match(stderr, /^onionmc: [^\n]*\n$/, 'one line');
  t.equal(stdout, '');
}

t.test('a wallet is made at a terminal', async (t) => {
  const { datadir } = await walletPlace(t);
  const wallet = (...args: string[]) => ['wallet', ...args, '--datadir', datadir];
  const screen = onTerminal(wallet('create', 'savings'));
  await screen.answer(/password of the wallet: /, PASSWORD);
  await screen.answer(/password of the wallet again: /, 'another one');
  await screen.shows(/the two are not the same; type both again/);
  await screen.answer(/password of the wallet: /, PASSWORD);
  await screen.answer(/password of the wallet again: /, PASSWORD);
  await screen.shows(/a person who has them can take all coins/);
  await screen.answer(/Press Enter when they are written down\. /, '');
  const words = wordsOn(screen);
  t.equal(words.length, 12);
  t.notOk(await isHere(join(datadir, 'wallets')), 'no wallet before the words are confirmed');
  await answerBack(screen, words);
  t.equal(await screen.ended, 0, screen.text);
  t.match(screen.text, /wallets\/savings: a wallet of regtest, fingerprint [0-9a-f]{8}/);
  t.notMatch(screen.text, PASSWORD, 'the password was not shown');

  const again = onTerminal(wallet('create', 'savings'));
  t.equal(await again.ended, 2);
  t.match(again.text, /there is a wallet already: choose another name/);

  const check = onTerminal(wallet('check', 'savings'));
  await check.answer(/password of the wallet: /, PASSWORD);
  await check.answer(/word 1: /, words.slice(0, 5).join(' '));
  await check.answer(/word 6: /, `abandonn ${words.slice(6).join(' ')}`);
  await check.answer(/word 13: /, '');
  await check.shows(/word 6, "abandonn", is not in the English list of BIP39; near: abandon/);
  await check.answer(/word 6 again: /, words[5] ?? '');
  t.equal(await check.ended, 0, check.text);
  t.match(check.text, /the backup is right: it gives the first address of savings, bcrt1q/);

  const seed = onTerminal(wallet('seed', 'savings'));
  await seed.answer(/password of the wallet: /, PASSWORD);
  await seed.answer(/Is the screen private: show them\? \[y\/N\] /, 'y');
  t.equal(await seed.ended, 0);
  t.match(wordsOn(seed), words);
});

t.test(
  'Ctrl-C at any question: nothing is written, and the terminal shows what is typed',
  async (t) => {
    const { datadir } = await walletPlace(t);
    const steps: readonly (readonly [RegExp, string])[] = [
      [/password of the wallet: /, `${PASSWORD}\n`],
      [/password of the wallet again: /, `${PASSWORD}\n`],
      [/written down\. /, '\n'],
      [/on your paper: /, ''],
    ];
    for (let stop = 0; stop < steps.length; stop += 1) {
      const screen = onTerminal(['wallet', 'create', 'w', '--datadir', datadir], {
        after: 'echo "code $?"; stty -a',
      });
      for (const [question, keys] of steps.slice(0, stop)) {
        // oxlint-disable-next-line no-await-in-loop -- one question after the other
        await screen.shows(question);
        screen.type(keys);
      }
      const [question = /never/] = steps[stop] ?? [];
      await screen.shows(question);
      screen.type('half\u0003');
      await screen.ended;
      t.match(screen.text, /onionmc: stopped at a question\r\ncode 1\r\n/);
      t.match(screen.text, /isig icanon iexten echo /, 'echo is on again');
      t.notOk(await isHere(join(datadir, 'wallets')), 'nothing was written');
    }
  },
);

t.test('create in a pipe, on mainnet', async (t) => {
  const { datadir, options } = await walletPlace(
    t,
    ['blockchain_source = no-blockchain'],
    'mainnet',
  );
  refused(
    t,
    await run('create', 'w', '--datadir', datadir),
    2,
    /no terminal .* give --password-file FILE \(or, in a unit, LoadCredential=wallet-password:FILE\)/,
  );
  t.notOk(await isHere(join(datadir, 'wallets')), 'nothing was written');
  const made = await run('create', 'w', '--words', '24', '--json', ...options);
  t.equal(made.code, 0, made.stderr);
  t.match(JSON.parse(made.stdout), {
    name: 'w',
    network: 'mainnet',
    fingerprint: /^[0-9a-f]{8}$/,
    firstAddress: /^bc1q/,
    words: { length: 24 },
  });
  t.match(made.stderr, /the node was not asked for the height/);
  t.match(
    made.stderr,
    /The option means: a fault of this program may lose the coins, and you\naccept that/,
  );
  const address = 'bc1qcr8te4kr609gcawutmrza0j4xv80jy8z306fyu';
  for (const args of [
    ['send', 'w', '0.1', address],
    ['bump', 'w', '00'.repeat(32)],
    ['reclaim', 'w', '00'.repeat(32)],
    ['bond', 'w', 'redeem', `${'00'.repeat(32)}:0`, address],
  ]) {
    // oxlint-disable-next-line no-await-in-loop -- one command after the other
    refused(t, await run(...args, '--yes', ...options), 2, /give --mainnet-i-accept-the-risk/);
  }
});

t.test('seed words from a file, and what is wrong with them', async (t) => {
  const { datadir, options } = await walletPlace(t);
  const first = await makeCheapWallet(datadir, 'w');
  const file = join(datadir, 'words');
  const check = async (words: string) => {
    await writeFile(file, words);
    const args = ['wallet', 'check', 'w', '--words-file', file, '--json', ...options];
    return runCli(args, { detached: true });
  };
  const right = await check(`${WORDS.toUpperCase().replaceAll(' ', '\n')}\n`);
  t.same(JSON.parse(right.stdout), { ok: true, address: first }, right.stderr);
  const other = 'legal winner thank year wave sausage worth useful legal winner thank yellow';
  refused(t, await check(other), 2, /these words give another wallet \(first address bcrt1q/);
  refused(
    t,
    await check(other.replace('sausage', 'sausages')),
    2,
    /word 6, "sausages", .* near: sausage/,
  );
  refused(t, await check(other.replace('sausage', 'worth')), 2, /checksum is wrong/);
  refused(t, await check('legal winner'), 2, /12, 15, 18, 21 or 24 words .* not 2/);
  refused(t, await check('x'.repeat(10_000)), 2, /--words-file .* more than 4096 bytes/);
});

t.test('passwords, and what is wrong with them', async (t) => {
  const { datadir, options, passwordFile } = await walletPlace(t);
  const none = /x: no wallet there; there is no wallet yet: "onionmc wallet create x" makes one\n/;
  refused(t, await run('show', 'x', ...options), 2, none);
  await makeCheapWallet(datadir, 'w');
  refused(t, await run('seed', 'w', ...options), 2, /no terminal to ask for a yes/);
  t.equal((await run('seed', 'w', '--yes', ...options)).stdout, `${WORDS}\n`);
  refused(t, await run('show', 'x', ...options), 2, /wallets\/x: no wallet there; there are w\n/);
  refused(t, await run('show', '../w', ...options), 2, /a name of letters, digits/);

  const next = join(datadir, 'next');
  await writeFile(next, 'another password\n', { mode: 0o600 });
  const withNext = ['--datadir', datadir, '--password-file', next];
  refused(t, await run('seed', 'w', '--yes', ...withNext), 2, /the password is wrong/);
  await chmod(passwordFile, 0o644);
  const open = await run('seed', 'w', '--yes', ...options);
  t.match(open.stderr, /^warning: other users may read /);
  await chmod(passwordFile, 0o600);

  const file = join(datadir, 'backup');
  const backup = await run('backup', 'w', file, ...options);
  t.equal(backup.code, 0, backup.stderr);
  t.equal((await stat(file)).mode & 0o777, 0o600);
  refused(t, await run('backup', 'w', file, ...options), 2, /there is a file already/);

  await appendFile(join(datadir, 'wallets', 'w', 'journal'), 'half a record');
  const changed = await run('password', 'w', ...options, '--new-password-file', next);
  t.equal(changed.code, 0, changed.stderr);
  t.match(
    changed.stderr,
    /^note: .* interrupted the last write; its 13 bytes were moved to journal\.cut-/,
  );
  refused(t, await run('seed', 'w', '--yes', ...options), 2, /the password is wrong/);
  t.equal((await run('seed', 'w', '--yes', ...withNext)).stdout, `${WORDS}\n`);
});

t.test('a credential of systemd is the password', async (t) => {
  const { datadir } = await walletPlace(t);
  await makeCheapWallet(datadir, 'w');
  const credentials = join(datadir, 'credentials');
  await mkdir(credentials);
  await writeFile(join(credentials, 'wallet-password'), PASSWORD);
  const env = { CREDENTIALS_DIRECTORY: credentials };
  const args = ['wallet', 'seed', 'w', '--yes', '--datadir', datadir];
  t.equal((await runCli(args, { env, detached: true })).stdout, `${WORDS}\n`);
});

t.test('a passphrase is not stored, and another one is refused', async (t) => {
  const { datadir, options } = await walletPlace(t);
  await makeCheapWallet(datadir, 'w', { passphrase: 'TREZOR' });
  const files = {
    right: join(datadir, 'right'),
    wrong: join(datadir, 'other'),
    words: join(datadir, 'words'),
  };
  await writeFile(files.right, 'TREZOR\n', { mode: 0o600 });
  await writeFile(files.wrong, 'trezor\n', { mode: 0o600 });
  await writeFile(files.words, WORDS);
  const check = (...args: string[]) =>
    runCli(['wallet', 'check', 'w', '--words-file', files.words, ...options, ...args], {
      detached: true,
    });
  refused(t, await check(), 2, /no terminal to ask for the passphrase .* --passphrase-file FILE/);
  t.equal((await check('--passphrase-file', files.right)).code, 0);
  refused(
    t,
    await check('--passphrase-file', files.wrong),
    2,
    /the words are right, and this passphrase gives another wallet/,
  );
});

t.test('no secret is in an argument or in the environment of a process', async (t) => {
  const { datadir } = await walletPlace(t);
  // flock(1) is the one program that a wallet command starts.
  const bin = join(datadir, 'bin');
  const seen = join(datadir, 'seen');
  await mkdir(bin);
  await writeFile(
    join(bin, 'flock'),
    `#!/bin/bash\ncat /proc/$$/cmdline /proc/$$/environ /proc/$PPID/cmdline /proc/$PPID/environ >>'${seen}'\nexec /usr/bin/flock "$@"\n`,
    { mode: 0o755 },
  );
  const env = { PATH: `${bin}${delimiter}${process.env['PATH'] ?? ''}` };
  const screen = onTerminal(['wallet', 'create', 'w', '--passphrase', '--datadir', datadir], {
    env,
  });
  await screen.answer(/password of the wallet: /, PASSWORD);
  await screen.answer(/again: /, PASSWORD);
  await screen.answer(/passphrase of the seed words: /, 'TREZOR');
  await screen.answer(/again: /, 'TREZOR');
  await screen.answer(/written down\. /, '');
  const words = wordsOn(screen);
  await answerBack(screen, words);
  t.equal(await screen.ended, 0, screen.text);
  const text = await readFile(seen, 'latin1');
  t.match(text, /main\.js/, 'the child was seen, and its parent');
  for (const secret of [PASSWORD, 'TREZOR', words.join(' ')]) t.notMatch(text, secret);

  const folder = join(datadir, 'wallets', 'w');
  for (const name of await readdir(folder)) {
    const bytes = await readFile(join(folder, name), 'latin1');
    for (const secret of [PASSWORD, 'TREZOR', words[0] ?? '', 'bcrt1'])
      t.notMatch(bytes, secret, name);
    t.equal((await stat(join(folder, name))).mode & 0o077, 0, name);
  }
  t.equal((await stat(folder)).mode & 0o777, 0o700);
});
