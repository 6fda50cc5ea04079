/** Coins: transactions, blocks, addresses, payment requests, amounts, descriptors, bencode, bond scripts. */
import { bytesToHex } from '@noble/hashes/utils.js';
import { addressOf, parseAddress } from '../../../src/bitcoin/address.js';
import { formatBtc, parseAmount } from '../../../src/bitcoin/amount.js';
import { BencodeDict, formatBencode, parseBencode } from '../../../src/bitcoin/bencode.js';
import { parsePaymentUri } from '../../../src/bitcoin/bip21.js';
import { HEADER_BYTES, parseBlock } from '../../../src/bitcoin/block.js';
import { bondWitnessScript, readBondScript } from '../../../src/bitcoin/bond.js';
import { checkDescriptor, rawDescriptor, withChecksum } from '../../../src/bitcoin/descriptor.js';
import { formatSatPerVbyte, parseSatPerVbyte } from '../../../src/bitcoin/fee.js';
import { scriptKind } from '../../../src/bitcoin/script.js';
import { parseTransaction, serializeTransaction } from '../../../src/bitcoin/transaction.js';
import { MAX_SATOSHI } from '../../../src/protocol/offer.js';
import { must, mustEqual, payloadOf, type Target } from '../target.js';

const KEY = Uint8Array.from({ length: 33 }, () => 2);
const ADDRESS = 'bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4';
const MAX_BYTES = 2_000;

const TRANSACTION = serializeTransaction({
  version: 2,
  lockTime: 800_000,
  inputs: [
    { txid: 'ab'.repeat(32), vout: 1, sequence: 0xffff_fffd, witness: [KEY, KEY] },
    { txid: 'cd'.repeat(32), vout: 0, sequence: 0, scriptSig: Uint8Array.of(1, 2) },
  ],
  outputs: [
    { script: `0014${'00'.repeat(20)}`, value: 100_000 },
    { script: `6a04${'00'.repeat(4)}`, value: 0 },
  ],
});
const BLOCK = Buffer.concat([
  new Uint8Array(HEADER_BYTES),
  Uint8Array.of(2),
  TRANSACTION,
  TRANSACTION,
]);
const DICT = new BencodeDict([
  [Buffer.from('list'), [1, -2, Buffer.from('text')]],
  [Buffer.from('a'), new BencodeDict([[Uint8Array.of(255), 0]])],
]);

const seeds: readonly (string | Uint8Array)[] = [
  TRANSACTION,
  BLOCK,
  bondWitnessScript(1_577_836_800, KEY),
  bondWitnessScript(4_099_766_400, KEY),
  formatBencode(DICT),
  ADDRESS,
  'tb1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3q0sl5k7',
  'bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0',
  '1BgGZ9tcN4rm9KBzDn7KprQz87SZ26SAMH',
  '3JvL6Ymt8MVWiCNHC7oWU6nLeHNJKLZGLN',
  `bitcoin:${ADDRESS}?amount=0.1&label=a%20shop&message=x`,
  `bitcoin:${ADDRESS}?req-other=1`,
  '0.1btc',
  '10000000 sat',
  '1,000.5',
  '12.125',
  rawDescriptor('0014'),
];

function* transaction(input: Uint8Array): Iterable<string> {
  const parsed = parseTransaction(input);
  if (!parsed.ok) return yield parsed.reason;
  const { version, lockTime, inputs, outputs, bytes, weight, segwit } = parsed.value;
  const written = serializeTransaction({ version, lockTime, inputs, outputs });
  mustEqual(bytesToHex(written), bytesToHex(input), 'one encoding');
  mustEqual(bytesToHex(bytes), bytesToHex(input), 'its own bytes');
  must(weight <= input.length * 4 && weight >= input.length, 'weight and bytes');
  must(outputs.reduce((sum, { value }) => sum + value, 0) <= MAX_SATOSHI, 'no more than all coins');
  mustEqual([...parsed.value.pays()], outputs, 'the same outputs one by one');
  const named = inputs.map(({ txid, vout }) => ({ txid, vout }));
  mustEqual([...parsed.value.spends()], named, 'the same coins one by one');
  for (const { script } of outputs) scriptKind(script);
  yield segwit ? 'tx-segwit' : 'tx-legacy';
}

function* block(input: Uint8Array): Iterable<string> {
  const parsed = parseBlock(input);
  if (!parsed.ok) return yield parsed.reason;
  let length = HEADER_BYTES;
  for (const item of parsed.value.transactions()) {
    if (!item.ok) return yield item.reason;
    length += item.value.bytes.length;
  }
  must(length < input.length, 'its transactions are inside');
  yield 'block';
}

function* texts(text: string): Iterable<string> {
  const address = parseAddress(text, 'mainnet');
  if (address.ok) {
    const again = addressOf(address.value.script, 'mainnet');
    must(again === text || again === text.toLowerCase(), 'one address of a script');
  }
  yield address.ok ? address.value.kind : address.reason;
  const uri = parsePaymentUri(text, 'mainnet');
  if (uri.ok) must((uri.value.amount ?? 1) > 0, 'an amount is positive');
  yield uri.ok ? 'uri' : uri.reason;
  const amount = parseAmount(text);
  if (amount.ok) {
    must(amount.value > 0 && amount.value <= MAX_SATOSHI, 'an amount in range');
    mustEqual(parseAmount(formatBtc(amount.value)), amount, 'decode(encode(x)) = x');
  }
  yield amount.ok ? 'amount' : amount.reason;
  const rate = parseSatPerVbyte(text);
  if (rate.ok) mustEqual(parseSatPerVbyte(formatSatPerVbyte(rate.value)), rate, 'one rate');
  yield rate.ok ? 'rate' : rate.reason;
  const descriptor = checkDescriptor(text);
  if (descriptor.ok) mustEqual(withChecksum(descriptor.value), text, 'one checksum');
  yield descriptor.ok ? 'descriptor' : descriptor.reason;
}

export function bitcoinTarget(): Target {
  return {
    name: 'bitcoin',
    seeds: seeds.map((seed) => Buffer.from(seed)),
    words: [
      'bitcoin:',
      '?',
      '&',
      'amount=',
      'req-',
      '%20',
      'btc',
      'sat',
      '.',
      '#',
      'i0e',
      'de',
      '1',
    ],
    maxBytes: MAX_BYTES,
    *run(input) {
      yield* transaction(input);
      yield* block(input);
      const bencode = parseBencode(input);
      if (bencode.ok) {
        mustEqual(bytesToHex(formatBencode(bencode.value)), bytesToHex(input), 'one encoding');
      }
      yield bencode.ok ? 'bencode' : bencode.reason;
      const bond = readBondScript(input);
      if (bond !== undefined) {
        const written = bondWitnessScript(bond.lockTime, bond.publicKey);
        mustEqual(bytesToHex(written), bytesToHex(input), 'one encoding');
        yield 'bond';
      }
      yield* texts(payloadOf(input));
    },
  };
}
