/** Seed words, and the keys behind them: the vectors of other wallets, and what a person mistypes. */
import { HDKey } from '@scure/bip32';
import { secp256k1 } from '@noble/curves/secp256k1.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { createBase58check } from '@scure/base';
import { bytesToHex, hexToBytes } from '@noble/hashes/utils.js';
import * as fc from 'fast-check';
import { inspect } from 'node:util';
import t from 'tap';
import { addressOf } from '../../src/bitcoin/address.js';
import { BRANCH, WalletError, type Branch, type KeyPlace } from '../../src/wallet/api.js';
import { identifySeed, WalletKeys, type KeySource } from '../../src/wallet/keys.js';
import { bondLockTime, pathOf } from '../../src/wallet/places.js';
import { generateSeed, readSeedWords, seedFaultText, seedOf } from '../../src/wallet/seed.js';
import { verifyText } from '../../src/protocol/signature.js';
import { verifyPodle } from '../../src/protocol/podle.js';
import vectors from '../vectors/wallet.json' with { type: 'json' };

const ABANDON = vectors.bip39[0]?.words ?? '';
const ZERO = '00'.repeat(16);

const source = (terms: Partial<KeySource>): KeySource => ({
  network: 'regtest',
  entropy: ZERO,
  kind: 'native',
  mixdepths: 5,
  ...terms,
});

/** `m/84'/1'/0'/0/5` as a place. */
function placeOf(path: string): KeyPlace {
  const [mixdepth = 0, branch = 0, index = 0] = path.split('/').slice(3).map(Number.parseFloat);
  const branches: readonly Branch[] = [BRANCH.external, BRANCH.internal, BRANCH.bond];
  return { mixdepth, branch: branches[branch] ?? BRANCH.external, index };
}

/** The public key of a private one in base58 with a check. */
function publicKeyOfWif(wif: string): string {
  const bytes = createBase58check(sha256).decode(wif);
  return bytesToHex(secp256k1.getPublicKey(bytes.subarray(1, 33), true));
}

t.test('BIP39: words, bytes and seeds of the 24 vectors', async (t) => {
  t.equal(new Set(vectors.bip39.map(({ entropy }) => entropy)).size, 24);
  for (const { entropy, words, seed } of vectors.bip39) {
    const read = readSeedWords(words);
    t.same(read, { ok: true, value: { words, entropy } }, words);
    t.same(seedOf(entropy), { words, entropy });
    const keys = await WalletKeys.derive(source({ entropy, mixdepths: 1 }), 'TREZOR');
    const { fingerprint } = HDKey.fromMasterSeed(hexToBytes(seed));
    t.equal(keys.fingerprint, fingerprint.toString(16).padStart(8, '0'));
    keys.close();
  }
});

t.test('addresses and public keys of JoinMarket', async (t) => {
  const { entropy, words, addresses, bonds } = vectors.joinmarket;
  t.same(readSeedWords(words), { ok: true, value: { words, entropy } });
  for (const [purpose, kind] of [
    ['84', 'native'],
    ['49', 'nested'],
  ] as const) {
    const terms = source({ entropy, kind });
    const keys = await WalletKeys.derive(terms);
    for (const { path, address, wif } of addresses.filter((it) =>
      it.path.includes(`m/${purpose}'`),
    )) {
      const place = placeOf(path);
      // JoinMarket's nested addresses are of the test network, with the same bytes on regtest.
      t.equal(addressOf(keys.scriptOf(place), 'regtest'), address, path);
      t.equal(pathOf(terms, place), path);
      t.equal(keys.signAuth(place, 'x').publicKey, publicKeyOfWif(wif), `the key of ${path}`);
    }
    keys.close();
  }
  const keys = await WalletKeys.derive(source({ entropy }));
  for (const { index, lockTime, address, publicKey, wif } of bonds) {
    const place = { mixdepth: 0, branch: BRANCH.bond, index };
    t.equal(bondLockTime(index), lockTime);
    t.equal(addressOf(keys.scriptOf(place), 'regtest'), address);
    t.equal(keys.signAuth(place, 'x').publicKey, publicKey);
    t.equal(publicKey, publicKeyOfWif(wif));
    t.equal(pathOf(source({}), place), `m/84'/1'/0'/2/${index}:${lockTime}`);
  }
});

t.test('a nested account (BIP49), and a native wallet of joinmarket-ng', async (t) => {
  const nested = await WalletKeys.derive(source({ network: 'testnet', kind: 'nested' }));
  const tprv = HDKey.fromExtendedKey(vectors.bip49.account, {
    public: 0x0435_87cf,
    private: 0x0435_8394,
  });
  t.same(nested.accounts()[0]?.publicKey, tprv.publicKey);
  const first = nested.scriptOf({ mixdepth: 0, branch: BRANCH.external, index: 0 });
  t.equal(first, `a914${vectors.bip49.firstScriptHash}87`);

  const { fingerprint, account, external, internal, bonds } = vectors.ng;
  const keys = await WalletKeys.derive(source({ network: 'mainnet' }));
  t.equal(keys.fingerprint, fingerprint);
  const xpub = HDKey.fromExtendedKey(account);
  t.same(keys.accounts()[0]?.publicKey, xpub.publicKey);
  t.same(keys.accounts()[0]?.chainCode, xpub.chainCode);
  const address = (place: KeyPlace): string | undefined =>
    addressOf(keys.scriptOf(place), 'mainnet');
  for (let mixdepth = 0; mixdepth < 5; mixdepth++) {
    t.equal(address({ mixdepth, branch: BRANCH.external, index: 0 }), external[mixdepth]);
    t.equal(address({ mixdepth, branch: BRANCH.internal, index: 0 }), internal[mixdepth]);
  }
  for (const bond of bonds) {
    t.equal(address({ mixdepth: 0, branch: BRANCH.bond, index: bond.index }), bond.address);
  }
});

t.test('words as persons type them', async (t) => {
  const same = { ok: true, value: { words: ABANDON, entropy: ZERO } };
  const forms = {
    'upper case': ABANDON.toUpperCase(),
    'line ends': `  ${ABANDON.replaceAll(' ', '\n')}\r\n`,
    'tabs and double blanks': ABANDON.replaceAll(' ', ' \t '),
    'no-break and ideographic blanks': ABANDON.replace(' ', '\u00a0').replace(' ', '\u3000'),
    'wide letters': ABANDON.replace('about', '\uff41\uff42\uff4f\uff55\uff54'),
    'byte order mark': `\ufeff${ABANDON}`,
  };
  for (const [name, text] of Object.entries(forms)) t.same(readSeedWords(text), same, name);
});

t.test('words that are refused, with the reason', (t) => {
  const eleven = ABANDON.replace(' about', '');
  const rows: readonly (readonly [string, string])[] = [
    [
      ABANDON.replace('about', 'abuot'),
      'word 12, "abuot", is not in the English list of BIP39; near: about',
    ],
    [
      ABANDON.replace('abandon', 'aban'),
      'word 1, "aban", is not in the English list of BIP39; near: abandon',
    ],
    [
      ABANDON.replace('about', 'xylophonist'),
      'word 12, "xylophonist", is not in the English list of BIP39',
    ],
    [
      ABANDON.replace('about', 'z\u001b[31m'),
      String.raw`word 12, "z\u001b[31m", is not in the English list of BIP39`,
    ],
    [eleven, 'a seed has 12, 15, 18, 21 or 24 words of the English list, not 11'],
    ['', 'a seed has 12, 15, 18, 21 or 24 words of the English list, not 0'],
    ['hello there', 'a seed has 12, 15, 18, 21 or 24 words of the English list, not 2'],
    [
      `${eleven} abandon`,
      'every word is in the list, but the checksum is wrong: a word is another one, or the order is',
    ],
  ];
  for (const [text, reason] of rows) {
    const read = readSeedWords(text);
    t.equal(read.ok ? 'accepted' : seedFaultText(read.reason), reason);
  }
  t.end();
});

t.test('a seed is read as it was made, and no text makes the reader throw', (t) => {
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 32, maxLength: 32 }),
      fc.constantFrom(12, 24),
      (b, n) => {
        const seed = generateSeed(n === 12 ? 12 : 24, (bytes) => b.subarray(0, bytes));
        const read = readSeedWords(seed.words);
        return read.ok && read.value.entropy === seed.entropy;
      },
    ),
  );
  const words = fc.array(fc.oneof(fc.string(), fc.constantFrom(...ABANDON.split(' '))), {
    maxLength: 30,
  });
  fc.assert(
    fc.property(words, (list) => {
      const read = readSeedWords(list.join(' '));
      return read.ok || seedFaultText(read.reason).length < 300;
    }),
  );
  t.end();
});

t.test(
  'the passphrase: another one gives another wallet, in any Unicode form the same',
  async (t) => {
    const made = await identifySeed(source({}), 'caf\u00e9');
    t.same(await identifySeed(source({}), 'cafe\u0301'), made);
    t.not((await identifySeed(source({}), 'cafe')).fingerprint, made.fingerprint);
    t.not(
      (await identifySeed(source({}), ' ')).fingerprint,
      (await identifySeed(source({}), '')).fingerprint,
    );
    const secret = {
      ...source({}),
      fingerprint: made.fingerprint,
      hasPassphrase: true,
      birthHeight: 0,
      created: 0,
    };
    const keys = await WalletKeys.open(secret, 'cafe\u0301');
    t.equal(keys.fingerprint, made.fingerprint);
    await t.rejects(
      WalletKeys.open(secret, 'cafe'),
      new WalletError(
        'passphrase',
        'this passphrase gives another wallet: type the one that belongs to the seed words',
      ),
    );
    await t.rejects(
      WalletKeys.open({ ...secret, fingerprint: '73c5da0a', hasPassphrase: false }, 'x'),
      {
        fault: 'passphrase',
        message: 'this wallet has no passphrase: leave it out',
      },
    );
  },
);

t.test('messages are signed by the key of a coin', async (t) => {
  const keys = await WalletKeys.derive(source({}));
  const place = { mixdepth: 1, branch: BRANCH.internal, index: 7 };
  const box = 'ab'.repeat(32);
  const { publicKey, signature } = keys.signAuth(place, box);
  t.ok(verifyText(box, publicKey, signature));
  const podle = keys.podle(place, { txid: '11'.repeat(32), vout: 1 }, 2);
  t.same(verifyPodle(podle.revelation, podle.commitment), { ok: true, value: 2 });
  t.equal(podle.revelation.p, publicKey);
  t.throws(
    () => keys.certify(place, publicKey, 400),
    new WalletError('coin', 'this coin is not a bond'),
  );
});

t.test('nothing shows a key, and closed keys do nothing', async (t) => {
  const { entropy } = vectors.joinmarket;
  const keys = await WalletKeys.derive(source({ entropy }), '');
  const place = { mixdepth: 0, branch: BRANCH.external, index: 0 };
  keys.scriptOf(place);
  const shown = [
    JSON.stringify(keys),
    inspect(keys, { showHidden: true, depth: 20, getters: true }),
    Object.getOwnPropertyNames(keys).join(),
  ].join('\n');
  const account = keys.accounts()[0];
  for (const secret of [
    entropy,
    'prv',
    'HDKey',
    bytesToHex(account?.chainCode ?? new Uint8Array()),
  ]) {
    t.notOk(shown.includes(secret), 'no private value is shown');
  }
  keys.close();
  t.throws(() => keys.scriptOf(place), { message: 'the keys of the wallet were overwritten' });
  t.throws(() => keys.signAuth(place, 'x'));
});
