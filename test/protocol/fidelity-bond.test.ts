/** Sections 8.5 and 11 of docs/protocol.md: fidelity bond proofs and the value of bonds. */
import { bondScriptPubKey } from '../../src/protocol/bond-script.js';
import { secp256k1 } from '@noble/curves/secp256k1.js';
import { bytesToHex, hexToBytes, utf8ToBytes } from '@noble/hashes/utils.js';
import * as fc from 'fast-check';
import t, { type Test } from 'tap';
import {
  bondCertificateId,
  bondValue,
  certExpired,
  certExpiryAt,
  formatFidelityBond,
  parseFidelityBond,
  proveFidelityBond,
  signBondCertificate,
  verifyBondCertificate,
  verifyBondNicks,
  verifyFidelityBond,
  type FidelityBondProof,
  type OwnBond,
} from '../../src/protocol/fidelity-bond.js';
import { signedMessageHash } from '../../src/protocol/signature.js';
import vectors from '../vectors/protocol.json' with { type: 'json' };
import { unicodeText } from '../helpers/unicode-text.js';

const [ours] = vectors.fidelityBonds;
if (ours?.certKey === undefined) throw new Error('vector missing');
const utxoKey = hexToBytes(ours.utxoKey);
const certKey = hexToBytes(ours.certKey);
const N = secp256k1.Point.CURVE().n;

function holds<T>(test: Test, name: string, property: fc.IProperty<T>, runs = 100): void {
  const message = fc.defaultReportMessage(fc.check(property, { numRuns: runs }));
  test.equal(message, undefined, name);
}

function parsed(text: string): FidelityBondProof {
  const read = parseFidelityBond(text);
  if (!read.ok) throw new Error(read.reason);
  return read.value;
}

/** The first vector's proof with some of its bytes replaced. */
function changed(at: number, bytes: Uint8Array | readonly number[]): string {
  const raw = Buffer.from(ours?.proof ?? '', 'base64');
  raw.set(bytes, at);
  return raw.toString('base64');
}

/** A signature in its padded place. */
const der = (hex: string): Uint8Array => {
  const field = new Uint8Array(72).fill(255);
  field.set(hexToBytes(hex), 72 - hex.length / 2);
  return field;
};

const bond: OwnBond = {
  certPrivateKey: certKey,
  certExpiry: ours.certExpiry,
  certSignature: signBondCertificate(ours.certPublicKey, ours.certExpiry, utxoKey),
  utxoPublicKeyHex: ours.utxoPublicKey,
  utxo: { txid: ours.txid, vout: ours.vout },
  lockTime: ours.lockTime,
};

t.test('proofs of the vectors', async (t) => {
  for (const {
    name,
    maker,
    taker,
    certExpiry,
    txid,
    vout,
    lockTime,
    proof,
  } of vectors.fidelityBonds) {
    const read = parsed(proof);
    t.match(read, { certExpiry, utxo: { txid, vout }, lockTime }, name);
    t.ok(verifyFidelityBond(read, maker, taker).ok, name);
    t.equal(formatFidelityBond(read), proof, 'written as it was read');
    t.strictSame(
      verifyFidelityBond(read, taker, maker),
      { ok: false, reason: 'bond-nick-signature' },
      'the nicks swapped',
    );
    t.equal(verifyBondNicks(read, maker, 'J5CkonlLuuapPSBM'), false, 'shown to another taker');
  }
  const { certPublicKey, utxoPublicKey, maker, taker, proof } = ours;
  t.match(parsed(proof), { certPublicKeyHex: certPublicKey, utxoPublicKeyHex: utxoPublicKey });
  t.equal(formatFidelityBond(proveFidelityBond(bond, maker, taker)), proof, 'made byte for byte');
});

t.test('both forms of the certificate', async (t) => {
  const text = `fidelity-bond-cert|${ours.certPublicKey}|${ours.certExpiry}`;
  const over = (message: string): FidelityBondProof => ({
    ...parsed(ours.proof),
    certSignature: secp256k1.sign(signedMessageHash(utf8ToBytes(message)), utxoKey, {
      prehash: false,
      format: 'der',
    }),
  });
  const asText = parsed(formatFidelityBond(over(text)));
  t.ok(verifyFidelityBond(asText, ours.maker, ours.taker).ok, 'over the hex of the key');
  for (const other of [text.toUpperCase(), `${text} `, text.replace('425', '0425'), `${text}0`]) {
    t.equal(verifyBondCertificate(over(other)), false, other);
  }
  t.not(bondCertificateId(asText), bondCertificateId(parsed(ours.proof)));
  const again = parsed(formatFidelityBond(proveFidelityBond(bond, ours.maker, 'J5somebodyElseOO')));
  t.equal(
    bondCertificateId(again),
    bondCertificateId(parsed(ours.proof)),
    'the same for all takers',
  );
});

t.test('texts that are not a proof', async (t) => {
  const { proof } = ours;
  const rows: readonly [string, string, string][] = [
    ['empty', '', 'bond-length'],
    ['one character short', proof.slice(1), 'bond-length'],
    ['one too many', `${proof}A`, 'bond-length'],
    ['251 bytes, padded', `${proof.slice(0, 335)}=`, 'bond-base64'],
    ['a blank', `${proof.slice(0, 335)} `, 'bond-base64'],
    ['a line end', `${proof.slice(0, 335)}\n`, 'bond-base64'],
    ['the alphabet of addresses', proof.replaceAll('/', '_').replaceAll('+', '-'), 'bond-base64'],
    ['a wide letter', `${proof.slice(0, 335)}Ａ`, 'bond-base64'],
    ['no header in the first', changed(0, new Uint8Array(72).fill(255)), 'bond-signature-header'],
    ['no header in the second', changed(72, new Uint8Array(72)), 'bond-signature-header'],
    ['a certified key of zeros', changed(144, new Uint8Array(33)), 'bond-key'],
    ['an uncompressed one', changed(144, [4]), 'bond-key'],
    ["a coin's key of zeros", changed(179, new Uint8Array(33)), 'bond-key'],
    ['all zeros', 'A'.repeat(336), 'bond-signature-header'],
    ['all ones', '/'.repeat(336), 'bond-signature-header'],
  ];
  for (const [name, text, reason] of rows) {
    t.strictSame(parseFidelityBond(text), { ok: false, reason }, name);
  }
  holds(
    t,
    'any text',
    fc.property(unicodeText({ maxLength: 400 }), (any) => !parseFidelityBond(any).ok),
  );
});

t.test('well-formed proofs: which signature is wrong', async (t) => {
  const { maker, taker } = ours;
  const nick = 'bond-nick-signature';
  const cert = 'bond-certificate';
  const byte = (at: number, turn: number): string => {
    const raw = Buffer.from(ours.proof, 'base64');
    return changed(at, [(raw[at] ?? 0) ^ turn]);
  };
  const twin = (signature: Uint8Array): Uint8Array => {
    const { r, s } = secp256k1.Signature.fromBytes(signature, 'der');
    return new secp256k1.Signature(r, N - s).toBytes('der');
  };
  const read = parsed(ours.proof);
  const s32 = '02207fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0';
  const rows: readonly [string, string, string | undefined][] = [
    ['as it is', ours.proof, undefined],
    ['another padding', changed(0, [0]), undefined],
    ['nick signature changed', byte(60, 1), nick],
    ['nick signature of zeros', changed(0, der('3006020100020100')), nick],
    ['r of zero', changed(0, der(`3025020100${s32}`)), nick],
    ['s of zero', changed(0, der(`3025${s32}020100`)), nick],
    ['a header and nothing', changed(0, [...new Uint8Array(71).fill(255), 0x30]), nick],
    ['a header too early', changed(0, [0x30]), nick],
    ['another certified key', changed(144, hexToBytes(ours.utxoPublicKey)), nick],
    ['a certified key off the curve', changed(144, hexToBytes(`02${'00'.repeat(31)}05`)), nick],
    ['a certified key above the field', changed(144, hexToBytes(`02${'ff'.repeat(32)}`)), nick],
    ['certificate changed', byte(140, 1), cert],
    ['another expiry', byte(177, 1), cert],
    ["another coin's key", changed(179, hexToBytes(ours.certPublicKey)), cert],
    ["a coin's key off the curve", changed(179, hexToBytes(`02${'00'.repeat(31)}05`)), cert],
    ['another coin', byte(212, 1), undefined],
    ['another lock time', byte(248, 1), undefined],
  ];
  for (const [name, text, reason] of rows) {
    const result = verifyFidelityBond(parsed(text), maker, taker);
    t.equal(result.ok ? undefined : result.reason, reason, name);
  }
  const highS = { ...read, nickSignature: twin(read.nickSignature) };
  t.ok(verifyFidelityBond(highS, maker, taker).ok, 'high S, as the original accepts it');
  const badForms: readonly [string, Partial<FidelityBondProof>][] = [
    ['expiry above u16', { certExpiry: 0x10000 }],
    ['negative expiry', { certExpiry: -1 }],
    ['half an output', { utxo: { txid: ours.txid, vout: 0.5 } }],
    ['lock time above u32', { lockTime: 2 ** 32 }],
    ['lock time NaN', { lockTime: NaN }],
    ['short transaction id', { utxo: { txid: 'aa', vout: 0 } }],
    ['short key', { certPublicKeyHex: '02' }],
    ['long signature', { nickSignature: new Uint8Array(73).fill(0x30) }],
    ['no signature', { certSignature: new Uint8Array(0) }],
  ];
  for (const [name, change] of badForms) {
    t.throws(() => formatFidelityBond({ ...read, ...change }), RangeError, name);
  }
  t.throws(() => signBondCertificate(ours.certPublicKey, 0x10000, utxoKey), RangeError);
  holds(
    t,
    'any byte changed outside the unsigned fields and the padding',
    fc.property(fc.integer({ min: 2, max: 211 }), fc.integer({ min: 1, max: 255 }), (at, turn) => {
      if (at === 72) return true; // padding
      const result = parseFidelityBond(byte(at, turn));
      return !result.ok || !verifyFidelityBond(result.value, maker, taker).ok;
    }),
    60,
  );
  holds(
    t,
    'made, written, read, verified',
    fc.property(
      fc.bigInt({ min: 1n, max: N - 1n }),
      fc.integer({ min: 0, max: 0xffff }),
      fc.integer({ min: 0, max: 0xffffffff }),
      fc.integer({ min: 0, max: 0xffffffff }),
      (key, certExpiry, vout, lockTime) => {
        const secret = hexToBytes(key.toString(16).padStart(64, '0'));
        const own: OwnBond = {
          certPrivateKey: certKey,
          certExpiry,
          certSignature: signBondCertificate(ours.certPublicKey, certExpiry, secret),
          utxoPublicKeyHex: bytesToHex(secp256k1.getPublicKey(secret, true)),
          utxo: { txid: ours.txid, vout },
          lockTime,
        };
        const text = formatFidelityBond(proveFidelityBond(own, maker, taker));
        const back = parsed(text);
        return (
          verifyFidelityBond(back, maker, taker).ok &&
          back.certExpiry === certExpiry &&
          back.utxo.vout === vout &&
          back.lockTime === lockTime
        );
      },
    ),
    15,
  );
});

t.test('certificates expire', async (t) => {
  const rows: readonly [number, number][] = [
    [0, 1],
    [2013, 1],
    [2014, 2],
    [4030, 3],
    [840_000, 417],
  ];
  for (const [height, expiry] of rows) {
    t.equal(certExpiryAt(height), expiry, `made at ${height}`);
    t.equal(certExpired(expiry, expiry * 2016), false, 'valid up to the last block');
    t.equal(certExpired(expiry, expiry * 2016 + 1), true, 'expired one block later');
  }
});

t.test('the output script of a bond', async (t) => {
  const key = ours.utxoPublicKey;
  t.equal(bondScriptPubKey(ours.lockTime, key), vectors.bondScript.scriptPubKey);
  const { createHash } = await import('node:crypto');
  // Script numbers: minimal pushes, a sign byte where the highest bit is set.
  const rows: readonly [number, string][] = [
    [0, '00'],
    [1, '51'],
    [16, '60'],
    [17, '0111'],
    [127, '017f'],
    [128, '028000'],
    [255, '02ff00'],
    [256, '020001'],
    [500_000_000, '040065cd1d'],
    [2 ** 31, '050000008000'],
    [2 ** 32 - 1, '05ffffffff00'],
  ];
  for (const [lockTime, push] of rows) {
    const script = Buffer.from(`${push}b17521${key}ac`, 'hex');
    const hash = createHash('sha256').update(script).digest('hex');
    t.equal(bondScriptPubKey(lockTime, key), `0020${hash}`, `lock time ${lockTime}`);
  }
  for (const bad of [-1, 2 ** 32, 0.5, NaN]) t.throws(() => bondScriptPubKey(bad, key), RangeError);
});

t.test('the value of bonds', async (t) => {
  for (const { value, integer, ...terms } of vectors.bondValues) {
    const worth = bondValue(terms);
    t.ok(Math.abs(worth - value) <= Math.abs(value) * 4 * Number.EPSILON, `${worth} is ${value}`);
    t.equal(Math.trunc(worth), integer);
  }
  // The first three are of the original's documentation. Satoshi, confirmation, lock, now, value.
  const seconds = 1_655_400_566.849_274;
  const rows: readonly (readonly [number, number, number, number, number])[] = [
    [1e8, seconds, 1_656_633_600, seconds, 1_579_529.387_352_751],
    [1e8, seconds, 1_659_312_000, seconds, 7_090_170.573_224_746],
    [1e8, seconds, 1_661_990_400, seconds, 13_980_293.343_489_392],
    [1e8, 1_640_995_200, 1_672_531_200, 1_650_000_000, 107_840_156.021_131_2],
    [1e8, 1_640_995_200, 1_672_531_200, 1_680_000_000, 76_065_044.899_140_28],
    [5e8, 1_640_995_200, 1_767_225_600, 1_700_000_000, 5_461_246_071.177_06],
    [1e8, 1_640_995_200, 4_099_766_400, 1_700_000_000, 25_118_864_315.095_82],
    [6e8, 1_640_995_200, 1_767_225_600, 1_769_904_000, 6_737_127_558.671_07],
    [1e6, 1_640_995_200, 1_767_225_600, 1_893_456_000, 0],
  ];
  for (const [satoshi, confirmationTime, lockTime, now, value] of rows) {
    const worth = bondValue({ satoshi, confirmationTime, lockTime, now });
    t.ok(Math.abs(worth - value) <= value * 1e-12, `${worth} is ${value}`);
  }
  const base = { satoshi: 1e8, confirmationTime: 1.6e9, lockTime: 1.8e9, now: 1.7e9 };
  const worth = bondValue(base);
  t.equal(bondValue({ ...base, interestRate: 0.015, exponent: 1.3 }), worth, 'the defaults');
  const plain = bondValue({ ...base, exponent: 1 });
  t.ok(Math.abs(plain ** 1.3 - worth) < worth * 1e-12, 'another exponent');
  t.equal(bondValue({ ...base, interestRate: 0 }), 0, 'no interest');
  t.equal(bondValue({ ...base, lockTime: 1.5e9 }), 0, 'locked until before it was confirmed');
  const time = fc.integer({ min: 0, max: 0xffffffff });
  holds(
    t,
    'finite, not negative, not higher for a smaller amount',
    fc.property(fc.integer({ min: 0, max: 21e14 }), time, time, time, (satoshi, a, b, now) => {
      const terms = { satoshi, confirmationTime: a, lockTime: b, now };
      const full = bondValue(terms);
      const half = bondValue({ ...terms, satoshi: satoshi / 2 });
      return Number.isFinite(full) && full >= 0 && half <= full && full <= satoshi ** 1.3;
    }),
  );
});

t.test('the cost of a check', async (t) => {
  const { maker, taker } = ours;
  const rounds = 40;
  const cost = (run: () => void): string => {
    const before = process.cpuUsage().user;
    for (let i = 0; i < rounds; i++) run();
    return ((process.cpuUsage().user - before) / rounds / 1000).toFixed(2);
  };
  const read = parsed(ours.proof);
  const parse = cost(() => parsed(ours.proof));
  const nicks = cost(() => verifyBondNicks(read, maker, taker));
  const cert = cost(() => verifyBondCertificate(read));
  const worst = cost(() => verifyBondCertificate({ ...read, certExpiry: 1 }));
  t.comment(`CPU ms: parse ${parse}, nicks ${nicks}, certificate ${cert}, refused one ${worst}`);
  t.ok(verifyFidelityBond(read, maker, taker).ok);
});
