/**
 * Vectors of deployed wallets: addresses and private keys from seeds, and bonds. The keys come from the
 * libraries; scripts, addresses and locks from here.
 */
import { HDKey } from '@scure/bip32';
import { entropyToMnemonic, mnemonicToSeedSync } from '@scure/bip39';
import { wordlist } from '@scure/bip39/wordlists/english.js';
import { createBase58check } from '@scure/base';
import { sha256 } from '@noble/hashes/sha2.js';
import * as fc from 'fast-check';
import t from 'tap';
import { addressOf } from '../../src/bitcoin/address.js';
import {
  BOND_MONTHS,
  bondAddress,
  BondMonth,
  bondMonthFaultText,
  bondScriptPubKey,
  bondWitnessScript,
  isBondOpen,
  parseBondMonth,
  readBondScript,
} from '../../src/bitcoin/bond.js';
import { BITCOIN_NETWORKS } from '../../src/bitcoin/network.js';
import { nestedP2wpkh, p2wpkh } from '../../src/bitcoin/script.js';
import type { Network } from '../../src/protocol/constants.js';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

const ORIGINAL = entropyToMnemonic(
  Buffer.from('2e0339ba89b4a1272cdf78b27ee62669ee01992a59e836e2807051be128ca817', 'hex'),
  wordlist,
);
const ABANDON = `${'abandon '.repeat(11)}about`;

const masters = new Map<string, HDKey>();
function master(words: string, network: Network): HDKey {
  const { bip32 } = BITCOIN_NETWORKS[network];
  const name = `${network} ${words}`;
  const key = masters.get(name) ?? HDKey.fromMasterSeed(mnemonicToSeedSync(words), bip32);
  masters.set(name, key);
  return key;
}

function publicKeyOf(key: HDKey): Uint8Array {
  if (key.publicKey === null) throw new Error('no key');
  return key.publicKey;
}

function wif(key: HDKey, network: Network): string {
  if (key.privateKey === null) throw new Error('no key');
  const bytes = [BITCOIN_NETWORKS[network].wif, ...key.privateKey, 1];
  return createBase58check(sha256).encode(Uint8Array.from(bytes));
}

t.test('addresses and keys of the original wallet', (t) => {
  t.match(ORIGINAL, /^come border huge beach energy near recall/);
  const table = [
    [
      "m/49'/1'/0'/0/0",
      '2MzY5yyonUY7zpHspg7jB7WQs1uJxKafQe4',
      'cRAGLvPmhpzJNgdMT4W2gVwEW3fusfaDqdQWM2vnWLgXKzCWKtcM',
    ],
    [
      "m/49'/1'/0'/0/5",
      '2MsKvqPGStp3yXT8UivuAaGwfPzT7xYwSWk',
      'cSo3h7nRuV4fwhVPXeTDJx6cBCkjAzS9VM8APXViyjoSaMq85ZKn',
    ],
    [
      "m/49'/1'/0'/1/3",
      '2N7k6wiQqkuMaApwGhk3HKrifprUSDydqUv',
      'cTwq3UsZa8STVmwZR94dDphgqgdLFeuaRFD1Ea44qjbjFfKEb1n5',
    ],
    [
      "m/49'/1'/2'/1/2",
      '2MtE6gzHgmEXeWzKsmCJFEqkrpNuBDvoRnz',
      'cPV8FZuCvrRpk4RhmhpjnSucHhaQZUan4Vbyo1NVQtuAxurW9grb',
    ],
    [
      "m/84'/1'/0'/0/0",
      'bcrt1qz9mzxs5fx5n5xjtwa5pj55edxh4dqg9rtkg0w9',
      'cP6kMAqHCtUtNtMJnV7KkhNSCuDP1U2iMnNjcqnijdDrKvR542Ls',
    ],
    [
      "m/84'/1'/0'/0/5",
      'bcrt1q7kql3tcnu349l0r5grvkylq7h2xmn5vapq3lyw',
      'cUJRaLEZBUiFRGQvBP21uWyDgWsyabGrzVxk6GFynAAMcHLc9yJK',
    ],
    [
      "m/84'/1'/0'/1/3",
      'bcrt1qutzvvglvr5xypf8vdtmspryv7qt0av2rsygmh6',
      'cVbGdPuBxvAbSixtqKbeYQMR7wa9yKzKYrfTDKAF4AuRPJVjRZde',
    ],
    [
      "m/84'/1'/2'/1/2",
      'bcrt1q96nj0fyw5z20evtp7hvhfdheqseq9t28lrv6wx',
      'cQLCDz5peggmzARaawPamK39DLv3rKfUiT2d9QF4qsUqx4BxYxjt',
    ],
  ] as const;
  for (const [path, address, key] of table) {
    const child = master(ORIGINAL, 'regtest').derive(path);
    const make = path.startsWith("m/49'") ? nestedP2wpkh : p2wpkh;
    t.equal(addressOf(make(publicKeyOf(child)), 'regtest'), address, path);
    t.equal(wif(child, 'regtest'), key);
  }
  const burned = [
    [0, 'cVQbz7DB5JQ1TGsg9Dbm32VtJbXBHaj39Yc9QLkaGpRgXcibHTDH'],
    [9, 'cULqe2sYZ4z8jZTGybr2Bzf4EyiT5Ts6wAE3mvCUofRuTVsofR8N'],
    [50, 'cQNp7cQbrwjWuxmbkZF8ax9ogmTuWp3Ykb9LEpainhRTJXYc8Deu'],
  ] as const;
  for (const [n, key] of burned) {
    t.equal(wif(master(ORIGINAL, 'regtest').derive(`m/84'/1'/0'/3/${n}`), 'regtest'), key);
  }
  t.end();
});

t.test('BIP49 and BIP84', (t) => {
  const nested = master(ABANDON, 'testnet').derive("m/49'/1'/0'");
  t.equal(
    nested.privateExtendedKey,
    'tprv8gRrNu65W2Msef2BdBSUgFdRTGzC8EwVXnV7UGS3faeXtuMVtGfEdidVeGbThs4ELEoayCAzZQ4uUji9DUiAs7erdVskqju7hrBcDvDsdbY',
  );
  const first = nestedP2wpkh(publicKeyOf(nested.derive('m/0/0')));
  t.equal(first, 'a914336caa13e08b96080a32b5d818d59b4ab3b3674287');
  const root = master(ABANDON, 'mainnet');
  t.equal(root.fingerprint, 0x73c5_da0a);
  t.equal(
    root.derive("m/84'/0'/0'").publicExtendedKey,
    'xpub6CatWdiZiodmUeTDp8LT5or8nmbKNcuyvz7WyksVFkKB4RHwCD3XyuvPEbvqAQY3rAPshWcMLoP2fMFMKHPJ4ZeZXYVUhLv1VMrjPC7PW6V',
  );
  const table = [
    ["m/84'/0'/0'/0/0", 'bc1qcr8te4kr609gcawutmrza0j4xv80jy8z306fyu'],
    ["m/84'/0'/0'/1/0", 'bc1q8c6fshw2dlwun7ekn9qwf37cu2rn755upcp6el'],
    ["m/84'/0'/1'/0/0", 'bc1qku0qh0mc00y8tk0n65x2tqw4trlspak0fnjmfz'],
    ["m/84'/0'/2'/0/0", 'bc1qkljqd65ax6mdpyzm9c2r8scg8euymkfqauukae'],
    ["m/84'/0'/3'/0/0", 'bc1qzycgs5zetsgk7y664m5y9u2ak7zfxykxmr628r'],
    ["m/84'/0'/4'/0/0", 'bc1q8nxmfxqj5wkyssjd430twsh44sgg3chnzrey92'],
    ["m/84'/0'/1'/1/0", 'bc1qt0x83f5vmnapgl2gjj9r3d67rcghvjaqrvgpck'],
    ["m/84'/0'/2'/1/0", 'bc1q8nfzpmhhsuchpjdcuv7tyy5f95kwp0vudgmgwx'],
    ["m/84'/0'/3'/1/0", 'bc1qegauukq63waqctr3fym2l5th0tq9md443qj4pl'],
    ["m/84'/0'/4'/1/0", 'bc1q4weukw88mch53uvvh8k0vghjue4acar406gg6t'],
  ] as const;
  for (const [path, address] of table) {
    t.equal(addressOf(p2wpkh(publicKeyOf(root.derive(path))), 'mainnet'), address, path);
  }
  t.end();
});

t.test('bonds of the original wallet', (t) => {
  const table = [
    [
      0,
      1_577_836_800,
      '033a2534aabf0e693b91e91964f3cef5d495421b60dbb9d00c2e4d8f27714a15b0',
      '0400e10b5e',
      'bcrt1qgysu2eynn6klarz200ctgev7gqhhp7hwsdaaec3c7h0ltmc3r68q87c2d3',
      'cVASAS6bpC5yctGmnsKaDz7D8CxEwccUtpjSNBQzeV2fw8ox8RR9',
    ],
    [
      1,
      1_580_515_200,
      '02869e705d78290af84169759125eaee9f5ca5311b6b819736b49e80acb5b499bf',
      '0480bf345e',
      'bcrt1q26vw0q28rz2r2ktehp8w5yfzkzskrc4fxqdhzjy0f88kzhjvlfrs7fyas6',
      'cU8G1YAAxGZMqNsXxApBAahb8pbxhxryDshFdX5eRT9FV4gHNVXT',
    ],
    [
      50,
      1_709_251_200,
      '035fad1bc2aae65b2dedcff3dd7978b7bd1b93896378b5589f754c8f1032f05d8c',
      '04801ae165',
      'bcrt1q0cnscj0hlf6xqzlqwk7swngd3kmvd6unn49j9h4zgg68kg8fd7gq0r87lf',
      'cMtnaLzC2EW3URnmAapRnPQECGwGruxqXJpAnuRjKup3pkWfrxRE',
    ],
    [
      959,
      4_099_766_400,
      '02ea620c5e7d427621d5737e1ce8c42e75f17e68d643d656173b800720408f13d3',
      '0580785df400',
      'bcrt1qghkue3nm355nwttkfqr6vk040e60rwk8gj90rurheqpqrrjs9tysfgvc2c',
      'cNcLdX7MtAj9ttBUYt6ER2KKhHwFJCjBWeQuxfEsGtQ7p5rEMp8G',
    ],
  ] as const;
  for (const [index, lockTime, publicKey, push, address, key] of table) {
    const month = BondMonth.ofIndex(index);
    t.equal(month?.lockTime, lockTime, `month ${index}`);
    const child = master(ORIGINAL, 'regtest').derive(`m/84'/1'/0'/2/${index}`);
    t.equal(hex(publicKeyOf(child)), publicKey);
    t.equal(wif(child, 'regtest'), key);
    const script = bondWitnessScript(lockTime, publicKeyOf(child));
    t.equal(hex(script), `${push}b17521${publicKey}ac`);
    t.strictSame(readBondScript(script), { lockTime, publicKey: publicKeyOf(child) });
    t.equal(bondAddress(lockTime, publicKey, 'regtest'), address);
  }
  const others = [
    [73, 'bc1qam86pvzjv4znx4x4nvwleel4p7myqy73tndmj0yvv97dar3f6j6s3akzy8'],
    [0, 'bc1qhhhf29f4nlyalyfrrpfrknxj9uwqk4qsyvkujsa7w0ulfur78xkspsqn84'],
    [50, 'bc1qszga2rwd8dw54knrhp8rhg0dvdsqsgf88jlldf458myjf0wfxquqqzwwms'],
  ] as const;
  for (const [index, address] of others) {
    const child = publicKeyOf(master(ABANDON, 'mainnet').derive(`m/84'/0'/0'/2/${index}`));
    const lockTime = BondMonth.ofIndex(index)?.lockTime ?? 0;
    t.equal(
      bondAddress(lockTime, hex(child), 'mainnet'),
      address,
      `month ${index} of another wallet`,
    );
  }
  t.equal(
    bondAddress(
      1_769_904_000,
      '0330d54fd0dd420a6e5f8d3624f5f3482cae350f79d5f0753bf5beef9c2d91af3c',
      'mainnet',
    ),
    'bc1qrd0yehles4ppg66tl823yylw654ksfftsy9y79d2uqk59jtlqjhqd7zpam',
    'a key outside the wallet',
  );
  t.end();
});

t.test('months of bonds', (t) => {
  const table = [
    [0, '2020-01', 1_577_836_800],
    [50, '2024-03', 1_709_251_200],
    [73, '2026-02', 1_769_904_000],
    [216, '2038-01', 2_145_916_800],
    [217, '2038-02', 2_148_595_200],
    [300, '2045-01', 2_366_841_600],
    [959, '2099-12', 4_099_766_400],
  ] as const;
  for (const [index, text, lockTime] of table) {
    const parsed = parseBondMonth(text);
    if (!parsed.ok) throw new Error(parsed.reason);
    t.match(parsed.value, { index, lockTime }, text);
    t.equal(String(parsed.value), text);
    t.equal(BondMonth.ofLockTime(lockTime)?.index, index);
  }
  const wrong = [
    ['2026-13', 'month-form'],
    ['2026-00', 'month-form'],
    ['2026-2', 'month-form'],
    ['26-02', 'month-form'],
    ['2026-02-01', 'month-form'],
    ['', 'month-form'],
    ['2019-12', 'month-range'],
    ['2100-01', 'month-range'],
  ] as const;
  for (const [text, reason] of wrong) {
    t.strictSame(parseBondMonth(text), { ok: false, reason }, text);
    t.match(bondMonthFaultText(reason), /^a /);
  }
  for (const index of [-1, 960, 0.5, Number.NaN]) t.equal(BondMonth.ofIndex(index), undefined);
  for (const time of [0, 1_577_836_801, 1e20, -1, Number.NaN]) {
    t.equal(BondMonth.ofLockTime(time), undefined);
  }
  const all = [...BondMonth.all()];
  t.equal(all.length, BOND_MONTHS);
  t.ok(all.every((month) => BondMonth.ofLockTime(month.lockTime)?.index === month.index));
  t.ok(
    all.every(
      (month) =>
        new Date(month.lockTime * 1_000).toISOString() === `${month.toString()}-01T00:00:00.000Z`,
    ),
  );
  t.end();
});

t.test('scripts of bonds', (t) => {
  const key = `02${'79'.repeat(32)}`;
  t.throws(() => bondScriptPubKey(-1, key), RangeError);
  t.throws(() => bondScriptPubKey(2 ** 32, key), RangeError);
  fc.assert(
    fc.property(fc.nat(0xffff_ffff), (lockTime) => {
      const script = bondWitnessScript(lockTime, Buffer.from(key, 'hex'));
      return readBondScript(script)?.lockTime === lockTime;
    }),
  );
  const real = bondWitnessScript(1_577_836_800, Buffer.from(key, 'hex'));
  fc.assert(
    fc.property(fc.nat(real.length), fc.nat(255), (at, byte) => {
      const changed = Uint8Array.from([...real.slice(0, at), byte, ...real.slice(at + 1)]);
      const read = readBondScript(changed);
      // What is read, is written the same.
      return (
        read === undefined || hex(bondWitnessScript(read.lockTime, read.publicKey)) === hex(changed)
      );
    }),
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (any) => {
      const read = readBondScript(any);
      return (
        read === undefined || hex(bondWitnessScript(read.lockTime, read.publicKey)) === hex(any)
      );
    }),
  );
  t.notOk(isBondOpen(1_000, 1_000), 'at its lock time nodes still refuse');
  t.ok(isBondOpen(1_000, 1_001));
  t.end();
});
