/** Certificates of bonds that are made here or elsewhere, and their list. No wallet, no chain. */
import { secp256k1 } from '@noble/curves/secp256k1.js';
import { bytesToHex } from '@noble/hashes/utils.js';
import { base64 } from '@scure/base';
import * as fc from 'fast-check';
import t from 'tap';
import { bondScriptPubKey, parseBondMonth } from '../../src/bitcoin/bond.js';
import {
  certifiedBond,
  certifiedKey,
  COLD_PERIODS,
  coldMessage,
  expiryAfter,
  lastValidHeight,
  MAX_PERIODS,
  newRequest,
  type BondCoin,
} from '../../src/bonds/certificate.js';
import { parseColdSignature } from '../../src/bonds/cold-signature.js';
import { listBonds, type BondListInput } from '../../src/bonds/bond-list.js';
import {
  certExpired,
  formatFidelityBond,
  parseFidelityBond,
  proveFidelityBond,
  signBondCertificate,
  verifyFidelityBond,
} from '../../src/protocol/fidelity-bond.js';
import { signedMessageHash } from '../../src/protocol/signature.js';
import type { BondPlace } from '../../src/wallet/requests.js';
import { paperBond, paperCoin, TIP } from '../helpers/wallet-coins.js';

const privateKey = secp256k1.utils.randomSecretKey();
const coin: BondCoin = {
  txid: 'ab'.repeat(32),
  vout: 1,
  publicKey: bytesToHex(secp256k1.getPublicKey(privateKey, true)),
  lockTime: 1_830_297_600,
};

/** A signature of a text with a header byte in front, as wallets write signed messages. */
function recoverable(text: string, key = privateKey, first = 27): Uint8Array {
  const bytes = secp256k1.sign(signedMessageHash(text), key, {
    prehash: false,
    format: 'recovered',
  });
  return Uint8Array.of((bytes[0] ?? 0) + first, ...bytes.subarray(1));
}

t.test('a hot certificate is accepted by the verifier of the protocol', async (t) => {
  const request = newRequest(coin, expiryAfter(900_000, 1));
  const signature = signBondCertificate(certifiedKey(request), request.expiry, privateKey);
  const bond = certifiedBond(request, signature);
  if (bond === undefined) throw new Error('not certified');
  const text = formatFidelityBond(proveFidelityBond(bond, 'J5maker', 'J5taker'));
  const parsed = parseFidelityBond(text);
  if (!parsed.ok) throw new Error(parsed.reason);
  t.ok(verifyFidelityBond(parsed.value, 'J5maker', 'J5taker').ok);
  t.not(certifiedKey(request), certifiedKey(newRequest(coin, 1)), 'each request has a fresh key');
});

t.test('validity in periods of 2,016 blocks', async (t) => {
  t.equal(expiryAfter(0, 1), 1);
  t.equal(expiryAfter(2_013, 1), 1);
  t.equal(expiryAfter(2_014, 1), 2, 'not one that ends in two blocks');
  t.equal(expiryAfter(900_000, 52), expiryAfter(900_000, 1) + 51);
  t.notOk(certExpired(expiryAfter(900_000, 1), lastValidHeight(expiryAfter(900_000, 1))));
  t.ok(certExpired(expiryAfter(900_000, 1), lastValidHeight(expiryAfter(900_000, 1)) + 1));
  t.ok(COLD_PERIODS <= MAX_PERIODS);
  for (const periods of [0, -1, 1.5, MAX_PERIODS + 1, Number.NaN]) {
    t.throws(() => expiryAfter(900_000, periods), /a certificate is valid for 1 to 260 periods/);
  }
});

t.test('a signature made elsewhere: DER, or 65 bytes, in base64', async (t) => {
  const request = newRequest(coin, 450);
  const message = coldMessage(request);
  t.match(message, /^fidelity-bond-cert\|0[23][0-9a-f]{64}\|450$/);
  const der = secp256k1.sign(signedMessageHash(message), privateKey, {
    prehash: false,
    format: 'der',
  });
  const texts = [
    base64.encode(der),
    ` ${base64.encode(der)}\r\n`,
    ...[27, 31, 35, 39].map((first) => base64.encode(recoverable(message, privateKey, first))),
  ];
  for (const text of texts) {
    const parsed = parseColdSignature(text);
    if (!parsed.ok) throw new Error(parsed.reason);
    t.ok(certifiedBond(request, parsed.value), 'it certifies');
  }
  const others: readonly (readonly [string, Uint8Array])[] = [
    ['of another message', recoverable(`${message} `)],
    ['of another key', recoverable(message, secp256k1.utils.randomSecretKey())],
  ];
  for (const [what, bytes] of others) {
    const parsed = parseColdSignature(base64.encode(bytes));
    t.ok(parsed.ok, `${what} has the form`);
    if (parsed.ok) t.notOk(certifiedBond(request, parsed.value), `${what} certifies nothing`);
  }
});

t.test('high S becomes low S, since some takers verify strictly', async (t) => {
  const bytes = recoverable(coldMessage(newRequest(coin, 450)));
  const { r, s } = secp256k1.Signature.fromBytes(bytes.subarray(1), 'compact');
  const high = new secp256k1.Signature(r, secp256k1.Point.Fn.ORDER - s);
  const parsed = parseColdSignature(base64.encode(high.toBytes('der')));
  if (!parsed.ok) throw new Error(parsed.reason);
  t.strictSame(secp256k1.Signature.fromBytes(parsed.value, 'der').s, s);
});

t.test('other texts are no signature', async (t) => {
  const long = recoverable('x');
  for (const bytes of [
    long.subarray(0, 64),
    Uint8Array.of(...long, 0),
    Uint8Array.of(26, ...long.subarray(1)),
    Uint8Array.of(43, ...long.subarray(1)),
    Uint8Array.of(27, ...new Uint8Array(64)),
    Uint8Array.of(0x30, 6, 2, 1, 0, 2, 1, 1),
  ]) {
    t.notOk(parseColdSignature(base64.encode(bytes)).ok, `${bytes.length} bytes`);
  }
  fc.assert(fc.property(fc.string(), (text) => !parseColdSignature(text).ok));
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
      const parsed = parseColdSignature(base64.encode(bytes));
      return !parsed.ok || (parsed.value.length <= 72 && parsed.value[0] === 0x30);
    }),
  );
});

t.test('the list says how far each bond is, and what to do', async (t) => {
  const month = parseBondMonth('2028-01');
  if (!month.ok) throw new Error(month.reason);
  const { index, lockTime } = month.value;
  const { publicKey } = coin;
  const script = bondScriptPubKey(lockTime, publicKey);
  const place: BondPlace = {
    mixdepth: 0,
    branch: 2,
    index,
    lockTime,
    publicKey,
    script,
    address: 'an address',
    path: `m/84'/1'/0'/2/${index}:${lockTime}`,
    handedOut: true,
  };
  const base: BondListInput = {
    coins: [],
    places: [{ ...place, handedOut: false, script: 'another' }, place],
    outside: [],
    certificates: [],
    tip: TIP,
    now: TIP.time,
  };
  const bond = paperBond(1_000_000, { lockTime, script });
  const outpoint = `${bond.txid}:0`;
  const certificate = {
    txid: bond.txid,
    vout: 0,
    certPrivateKey: '11'.repeat(32),
    certExpiry: 450,
    certSignature: '3006',
  };
  const row = (over: Partial<BondListInput>): readonly [string, string] => {
    const [only, ...more] = listBonds({ ...base, ...over });
    if (only === undefined || more.length > 0) throw new Error('one row');
    return [only.state, only.next];
  };
  t.strictSame(row({}), [
    'unfunded',
    'pay one coin to this address; a second coin would be a second bond, not a larger one',
  ]);
  t.match(row({ now: lockTime })[1], /its month has passed/);
  t.equal(row({ coins: [{ ...bond, confirmations: 0 }, paperCoin(1)] })[0], 'confirming');
  t.strictSame(row({ coins: [bond] }), [
    'uncertified',
    `let a maker prove it: bond certify ${outpoint}`,
  ]);
  t.match(row({ coins: [{ ...bond, outsideKey: publicKey }] })[1], `cold-message ${outpoint} FILE`);
  const unsigned = { ...certificate, certSignature: undefined };
  t.match(row({ coins: [bond], certificates: [unsigned] }), [
    'awaiting-signature',
    /bond cold-import FILE/,
  ]);
  t.strictSame(row({ coins: [bond], certificates: [certificate] }), [
    'certified',
    'locked until 2028-01-01 00:00 UTC',
  ]);
  const late = { ...TIP, height: 450 * 2_016 + 1 };
  t.equal(row({ coins: [bond], certificates: [certificate], tip: late })[0], 'certificate-expired');
  const atLock = { ...TIP, medianTime: lockTime };
  t.equal(row({ coins: [bond], tip: atLock })[0], 'uncertified', 'K10: not yet at the lock time');
  const beyond = { ...TIP, medianTime: lockTime + 1 };
  t.strictSame(row({ coins: [bond], tip: beyond }), [
    'open',
    `the lock is over: bond redeem ${outpoint} ADDRESS`,
  ]);
  t.match(row({ coins: [{ ...bond, hold: 'signed', signedFor: 'f00d' }], tip: beyond }), [
    'redeeming',
    /f00d spends it/,
  ]);
  const second = { ...bond, vout: 1, value: 5 };
  const both = listBonds({ ...base, coins: [second, bond] });
  t.strictSame(
    both.map(({ value }) => value),
    [1_000_000, 5],
    'one coin is one bond, the larger one first',
  );
  t.match(both[0]?.warnings[0], /1 other coin came to the same address: each coin is a bond/);
});
