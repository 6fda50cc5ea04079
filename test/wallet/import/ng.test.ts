/** Wallet files of joinmarket-ng: words, Fernet under PBKDF2, and Fernet under Argon2id. */
import { argon2id } from '@noble/hashes/argon2.js';
import t from 'tap';
import {
  foreignFormOf,
  readForeignWallet,
} from '../../../src/wallet/import/read-foreign-wallet.js';
import { openFernetToken } from '../../../src/wallet/import/fernet.js';
import { cheapKey, faultOf, ngDaemon, ngMnemonic } from './make-files.js';

const WORDS = `${'abandon '.repeat(11)}about`;
const ENTROPY = '00'.repeat(16);
const PASSWORD = 'correct horse';

t.test('the vector of the Fernet specification', async (t) => {
  const key = Buffer.from('cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=', 'base64url');
  const token =
    'gAAAAAAdwJ6wAAECAwQFBgcICQoLDA0ODy021cpGVWKZ_eEwCGM4BLLF_5CV9dOPmrhuVUPgJobwOz7JcbmrR64jVmpU4IwqDA==';
  t.equal(openFernetToken(Buffer.from(token), key).toString(), 'hello');
  const changed = token.replace('LLF', 'LLG');
  t.throws(() => openFernetToken(Buffer.from(changed), key), { message: 'the password is wrong' });
});

t.test('a file of plain words', async (t) => {
  for (const text of [
    WORDS,
    `${WORDS}\n`,
    ` ${WORDS.replaceAll(' ', '\n')} `,
    WORDS.toUpperCase(),
  ]) {
    const bytes = Buffer.from(text);
    t.strictSame(foreignFormOf(bytes), {
      program: 'joinmarket-ng',
      encrypted: false,
      isSlow: false,
    });
    // oxlint-disable-next-line no-await-in-loop
    t.match(await readForeignWallet(bytes, undefined), {
      program: 'joinmarket-ng',
      entropy: ENTROPY,
      passphrase: undefined,
      networks: ['mainnet', 'testnet', 'signet', 'regtest'],
      kind: 'native',
      mixdepths: 5,
      birthHeight: undefined,
    });
  }
  await t.rejects(readForeignWallet(Buffer.from(WORDS.replace('about', 'abuot')), undefined), {
    fault: 'damaged',
    message: /word 12, "abuot", is not in the English list of BIP39; near: about/,
  });
  await t.rejects(readForeignWallet(Buffer.from(WORDS.replace('about', 'abandon')), undefined), {
    fault: 'damaged',
    message: /checksum/,
  });
});

const read = (meta: string) =>
  readForeignWallet(Buffer.from(WORDS), undefined, { meta: Buffer.from(meta) });

t.test('the file beside it names the height and the fingerprint', async (t) => {
  t.match(await read('{"creation_height": 800000, "fingerprint": "73C5DA0A"}\n'), {
    birthHeight: 800_000,
    fingerprint: '73c5da0a',
  });
  for (const meta of ['', '[]', '{"creation_height": -1}', '{"creation_height": 1e99}', '\u0000']) {
    // oxlint-disable-next-line no-await-in-loop
    t.equal((await read(meta)).birthHeight, undefined, meta);
  }
});

t.test('an encrypted file of words', async (t) => {
  const bytes = ngMnemonic(WORDS, PASSWORD);
  t.match(foreignFormOf(bytes), { program: 'joinmarket-ng', encrypted: true });
  t.equal((await readForeignWallet(bytes, PASSWORD)).entropy, ENTROPY);
  t.equal(await faultOf(readForeignWallet(bytes, 'wrong')), 'password');
  t.equal(await faultOf(readForeignWallet(bytes, undefined)), 'password-needed');
  const record = { mnemonic: WORDS, wallet_type: 'sw-fb', creation_height: 7 };
  const old = ngMnemonic(JSON.stringify(record), PASSWORD);
  t.match(await readForeignWallet(old, PASSWORD), { entropy: ENTROPY, birthHeight: 7 });
});

t.test('a file of the daemon, with real Argon2id', async (t) => {
  const record = { mnemonic: WORDS, wallet_type: 'sw-legacy', creation_height: 123 };
  const cost = { m: 64, t: 2, p: 1 };
  const bytes = await ngDaemon(record, PASSWORD, cost, async (_kind, password, salt) =>
    argon2id(password, salt, { ...cost, dkLen: 32, version: 0x13 }),
  );
  t.match(foreignFormOf(bytes), { program: 'joinmarket-ng', encrypted: true, isSlow: true });
  const wallet = await readForeignWallet(bytes, PASSWORD);
  t.match(wallet, { entropy: ENTROPY, birthHeight: 123, kind: 'native' });
  t.match(wallet.notes[1], /sw-legacy/);
  t.equal(await faultOf(readForeignWallet(bytes, 'wrong')), 'password');
});

t.test('a file asks for bounded work only', async (t) => {
  const record = { mnemonic: WORDS };
  for (const [cost, fault] of [
    [{ m: 19_456, t: 2, p: 1 }, undefined],
    [{ m: 262_144, t: 8, p: 4 }, undefined],
    [{ m: 262_145, t: 1, p: 1 }, 'damaged'],
    [{ m: 0xffff_ffff, t: 1, p: 1 }, 'damaged'],
    [{ m: 1_000, t: 1_001, p: 1 }, 'damaged'],
    [{ m: 1_000, t: 0xffff_ffff, p: 1 }, 'damaged'],
    [{ m: 262_144, t: 9, p: 1 }, 'damaged'],
    [{ m: 1_000, t: 0, p: 1 }, 'damaged'],
    [{ m: 1_000, t: 1, p: 0 }, 'damaged'],
    [{ m: 1_000, t: 1, p: 17 }, 'damaged'],
    [{ m: 7, t: 1, p: 1 }, 'damaged'],
  ] as const) {
    // oxlint-disable-next-line no-await-in-loop
    const reading = readForeignWallet(await ngDaemon(record, PASSWORD, cost), PASSWORD, {
      derive: cheapKey,
    });
    // oxlint-disable-next-line no-await-in-loop
    if (fault === undefined) t.equal((await reading).entropy, ENTROPY);
    // oxlint-disable-next-line no-await-in-loop
    else t.equal(await faultOf(reading), fault, JSON.stringify(cost));
  }
});

t.test('files of the daemon that are not as they should be', async (t) => {
  const open = (bytes: Uint8Array) => readForeignWallet(bytes, PASSWORD, { derive: cheapKey });
  const bytes = await ngDaemon({ mnemonic: WORDS }, PASSWORD);
  t.equal(await faultOf(open(bytes.subarray(0, 20))), 'damaged');
  t.equal(await faultOf(open(bytes.subarray(0, 60))), 'password');
  const later = Buffer.from(bytes);
  later[4] = 2;
  await t.rejects(open(later), { fault: 'unsupported', message: /a later version/ });
  t.equal(await faultOf(open(await ngDaemon({}, PASSWORD))), 'damaged');
  t.equal(await faultOf(open(await ngDaemon({ mnemonic: 7 }, PASSWORD))), 'damaged');
  t.equal(await faultOf(open(await ngDaemon({ mnemonic: 'a b c' }, PASSWORD))), 'damaged');
});
