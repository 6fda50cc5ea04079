/** The messages between the two sides of a coinjoin, before and inside their box. */
import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex, hexToBytes } from '@noble/hashes/utils.js';
import {
  formatFill,
  formatIoAuth,
  formatTransactionText,
  MAX_COINS,
  parseFill,
  parseIoAuth,
  parseSignatureText,
  parseTransactionText,
  shownText,
} from '../../../src/negotiation/payloads.js';
import { buildUnsigned, parseUnsigned, signedIds } from '../../../src/negotiation/transaction.js';
import { MAX_LINE_BYTES } from '../../../src/protocol/constants.js';
import { boxKeyPair, openBoxSession } from '../../../src/protocol/encryption.js';
import { MAX_SATOSHI } from '../../../src/protocol/offer.js';
import { formatOutpoint } from '../../../src/protocol/outpoint.js';
import {
  createPodle,
  formatCommitment,
  formatRevelation,
  parseBareCommitment,
  parseRevelation,
  verifyPodle,
} from '../../../src/protocol/podle.js';
import { must, mustEqual, payloadOf, type Target } from '../target.js';

const OWN_KEYS = boxKeyPair(new Uint8Array(32).fill(1));
const PEER_KEYS = boxKeyPair(new Uint8Array(32).fill(2));
const TXID = 'ab'.repeat(32);
const PODLE = createPodle(new Uint8Array(32).fill(3), { txid: TXID, vout: 0 }, 0);
const WEAK_KEY = '00'.repeat(32);

/** Seeds: a text of each kind, and a box of it. */
function seeds(): readonly string[] {
  const input = { txid: TXID, vout: 1, sequence: 0xffff_fffe };
  const output = { script: `0014${'cd'.repeat(20)}`, value: 1_000_000 };
  const unsigned = buildUnsigned([input], [output], 0);
  if (!unsigned.ok) throw new Error(unsigned.reason);
  const session = openBoxSession(PEER_KEYS, OWN_KEYS.publicKeyHex);
  if (!session.ok) throw new Error(session.reason);
  const commitment = formatCommitment(PODLE.commitment);
  const signature = Buffer.concat([
    Uint8Array.of(71),
    Buffer.alloc(71, 0x30),
    Uint8Array.of(33),
    Buffer.alloc(33, 2),
  ]);
  return [
    `0 1000000 ${PEER_KEYS.publicKeyHex} ${commitment}`,
    `3 5 ${WEAK_KEY} ${commitment} further`,
    PODLE.commitment,
    OWN_KEYS.publicKeyHex,
    WEAK_KEY,
    formatRevelation(PODLE.revelation),
    formatRevelation({ ...PODLE.revelation, s: '00'.repeat(32) }),
    formatRevelation({ ...PODLE.revelation, p: `02${'ff'.repeat(32)}` }),
    formatRevelation(PODLE.revelation).replace(':0|', `:0:0014${'cd'.repeat(20)}:800000|`),
    `${TXID}:0,${TXID}:7:0014${'cd'.repeat(20)}:800000 02${'11'.repeat(32)} tb1qa tb1qb c2ln`,
    formatTransactionText(unsigned.value.bytes),
    signature.toString('base64'),
    session.value.encrypt('something', (count) => new Uint8Array(count)),
  ];
}

function* fill(text: string): Iterable<string> {
  const parsed = parseFill(text.split(' '));
  if (!parsed.ok) return yield parsed.reason;
  const { amount, oid } = parsed.value;
  must(amount > 0 && amount <= MAX_SATOSHI && Number.isSafeInteger(oid), 'numbers in range');
  mustEqual(parseFill(formatFill(parsed.value).split(' ')), parsed, 'decode(encode(x)) = x');
  yield 'fill';
}

function* auth(text: string): Iterable<string> {
  const bare = parseBareCommitment(text);
  if (bare.ok) {
    mustEqual(parseBareCommitment(bare.value), bare, 'a commitment is canonical');
    yield 'commitment';
  }
  const parsed = parseRevelation(text);
  if (!parsed.ok) return yield parsed.reason;
  const { utxo, ...proof } = parsed.value;
  const plain = { utxo: { txid: utxo.txid, vout: utxo.vout }, ...proof };
  const again = parseRevelation(formatRevelation(parsed.value));
  mustEqual(again, { ok: true, value: plain }, 'decode(encode(x)) = x');
  const extended = parseRevelation(formatRevelation(parsed.value, 'extended'));
  mustEqual(extended, parsed, 'the same in the extended form');
  const verified = verifyPodle(plain, bytesToHex(sha256(hexToBytes(plain.p2))));
  if (verified.ok) mustEqual(proof, { ...PODLE.revelation, utxo: undefined }, 'the proof is true');
  yield verified.ok ? 'podle' : verified.reason;
}

function* ioauth(text: string): Iterable<string> {
  const parsed = parseIoAuth(text);
  if (!parsed.ok) return yield parsed.reason;
  const { coins } = parsed.value;
  must(coins.length > 0 && coins.length <= MAX_COINS, 'the number of coins is bounded');
  must(new Set(coins.map(formatOutpoint)).size === coins.length, 'all coins differ');
  mustEqual(parseIoAuth(formatIoAuth(parsed.value)), parsed, 'decode(encode(x)) = x');
  yield 'ioauth';
}

function* transaction(text: string): Iterable<string> {
  const bytes = parseTransactionText(text);
  if (bytes === undefined) return yield 'tx-base64';
  const ids = signedIds(bytes);
  const parsed = parseUnsigned(bytes);
  if (!parsed.ok) return yield parsed.reason;
  const { inputs, outputs, lockTime, version, txid } = parsed.value;
  const total = outputs.reduce((sum, { value }) => sum + value, 0);
  must(total <= MAX_SATOSHI, 'no more than all coins');
  mustEqual(ids?.unsignedTxid, txid, 'it has one id');
  if (version === 2) {
    mustEqual(buildUnsigned(inputs, outputs, lockTime), parsed, 'decode(encode(x)) = x');
  }
  yield 'tx';
}

function* box(text: string): Iterable<string> {
  const parsed = openBoxSession(OWN_KEYS, text);
  yield parsed.ok ? 'box-key' : parsed.reason;
  const session = openBoxSession(OWN_KEYS, PEER_KEYS.publicKeyHex);
  must(session.ok, 'a valid key is accepted');
  const opened = session.value.decrypt(text.split(' '));
  if (opened.ok) mustEqual(opened.value, 'something', 'only a sealed text is opened');
  yield opened.ok ? 'box' : opened.reason;
}

export function negotiationTarget(): Target {
  return {
    name: 'negotiation',
    seeds: seeds().map((text) => Buffer.from(text)),
    words: [' ', '|', ',', ':', ':0', TXID, `P${TXID}`, '4294967295', 'AAAA', '02', '03', '00'],
    maxBytes: MAX_LINE_BYTES,
    *run(input) {
      const text = payloadOf(input);
      yield* fill(text);
      yield* auth(text);
      yield* ioauth(text);
      yield* transaction(text);
      yield* box(text);
      const signature = parseSignatureText(text);
      yield signature.ok ? 'sig' : signature.reason;
      must(/^\P{C}{0,200}$/u.test(shownText(text)), 'shown text is printable and bounded');
    },
  };
}
