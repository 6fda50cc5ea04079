/** Each structure and message of LLARP v0 against bytes written by test/vectors/llarp/make-structure-vectors.py. */
import * as fc from 'fast-check';
import t, { type Test } from 'tap';
import { decode } from '../../src/bencode/decode.js';
import { encode } from '../../src/bencode/encode.js';
import { isDict, type BDict, type BValue } from '../../src/bencode/value.js';
import type { Field } from '../../src/llarp/codec/field.js';
import { verify } from '../../src/llarp/crypto.js';
import { DHT_MESSAGE } from '../../src/llarp/dht-messages.js';
import { serviceAddress } from '../../src/llarp/dht/introsets.js';
import { LINK_MESSAGE } from '../../src/llarp/link-messages.js';
import { readLlarp, writeLlarp } from '../../src/llarp/read.js';
import {
  HIDDEN_SERVICE_DATA,
  HIDDEN_SERVICE_FRAME,
  ROUTING_MESSAGE,
} from '../../src/llarp/routing-messages.js';
import { isSignedBy, signed } from '../../src/llarp/signed.js';
import { STATE_MESSAGE } from '../../src/llarp/state-messages.js';
import {
  ADDRESS_INFO,
  EXIT_INFO,
  EXIT_ROUTE,
  INTRODUCTION,
  INTROSET,
  PROOF_OF_WORK,
  RELAY_RECORD,
  ROUTER_CONTACT,
  SERVICE_INFO,
  TRAFFIC_POLICY,
  type RouterContact,
} from '../../src/llarp/structures.js';
import vectors from '../vectors/llarp/structures.json' with { type: 'json' };

const CODECS: Readonly<Record<string, Field<unknown>>> = {
  AI: ADDRESS_INFO,
  TP: TRAFFIC_POLICY,
  XI: EXIT_INFO,
  XR: EXIT_ROUTE,
  RC: ROUTER_CONTACT,
  SI: SERVICE_INFO,
  I: INTRODUCTION,
  IS: INTROSET,
  PoW: PROOF_OF_WORK,
  LRCR: RELAY_RECORD,
  HSD: HIDDEN_SERVICE_DATA,
  HSF: HIDDEN_SERVICE_FRAME,
  link: LINK_MESSAGE,
  state: STATE_MESSAGE,
  dht: DHT_MESSAGE,
  routing: ROUTING_MESSAGE,
};

const bytesOf = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex, 'hex'));
const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

function codecOf(name: string): Field<unknown> {
  const codec = CODECS[name];
  if (!codec) throw new Error(`no codec ${name}`);
  return codec;
}

function dictOf(bytes: Uint8Array): BDict {
  const decoded = decode(bytes);
  if (!decoded.ok || !isDict(decoded.value)) throw new Error('not a dictionary');
  return decoded.value;
}

for (const { row, codec, name, hex, signedBy } of vectors.examples) {
  t.test(`${row} ${name}`, (t) => {
    const field = codecOf(codec);
    const bytes = bytesOf(hex);
    const read = readLlarp(field, bytes);
    if (!read.ok) {
      t.fail(read.reason);
      t.end();
      return;
    }
    t.equal(hexOf(writeLlarp(field, read.value)), hex, 'written back byte for byte');
    if (signedBy !== undefined) checkSignature(t, bytes, signedBy);
    checkKeys(t, field, dictOf(bytes));
    t.end();
  });
}

/** The signature covers the structure with 64 zero bytes in its place. */
function checkSignature(t: Test, bytes: Uint8Array, signedBy: string): void {
  const dict = dictOf(bytes);
  const key = dict.has('z') ? 'z' : 'Z';
  const signature = dict.get(key);
  if (!(signature instanceof Uint8Array)) throw new Error('no signature');
  const zeroed = encode(new Map(dict).set(key, new Uint8Array(64)));
  t.ok(verify(bytesOf(signedBy), zeroed, signature), 'the signature of libsodium');
}

/** Each key: what is missing, of another kind, or unknown. */
function checkKeys(t: Test, field: Field<unknown>, dict: BDict): void {
  for (const [key, value] of dict) {
    const without = new Map(dict);
    without.delete(key);
    const read = field.read(without);
    if (read.ok) t.same(field.write(read.value), without, `without ${key}`);
    else t.match(read.reason, /missing|value|unknown-message/, `without ${key}: ${read.reason}`);
    const other: BValue = typeof value === 'bigint' ? new Uint8Array(3) : -5n;
    const changed = field.read(new Map(dict).set(key, other));
    // `w` of an introset and `s` of LISM are slots for anything; `r` of live router contacts is unknown.
    if (changed.ok) t.match(key, /^[rws]$/, `${key} takes any value`);
    else t.match(changed.reason, /: [a-z-]+$/, changed.reason);
  }
  const later = new Map(dict).set('later', [1n, Uint8Array.of(1)]);
  const read = field.read(later);
  t.ok(
    read.ok && encode(field.write(read.value)).length === encode(later).length,
    'unknown keys stay',
  );
}

t.test('the address info of the document', (t) => {
  const [example] = vectors.examples;
  t.equal(bytesOf(example?.hex ?? '').length, 91);
  const read = readLlarp(ADDRESS_INFO, bytesOf(example?.hex ?? ''));
  t.match(read, {
    value: { rank: 1n, dialect: 'wank', port: 1_234n, version: 0n },
  });
  const printed = bytesOf(vectors.printedAddressInfo);
  t.equal(printed.length, 99);
  t.same(readLlarp(ADDRESS_INFO, printed), { ok: false, reason: 'bencode: key-order' });
  t.end();
});

t.test('without a version it is 0, and another version is kept', (t) => {
  for (const { codec, name, hex } of vectors.examples) {
    const dict = new Map(dictOf(bytesOf(hex)));
    const key = dict.has('V') || dict.has('A') ? 'V' : 'v';
    for (const version of [undefined, 0n, 1n, 2n ** 64n - 1n]) {
      if (version === undefined) dict.delete(key);
      else dict.set(key, version);
      const bytes = encode(dict);
      const read = readLlarp(codecOf(codec), bytes);
      if (!read.ok) throw new Error(`${name}: ${read.reason}`);
      t.match(read.value, version === undefined ? {} : { version });
      t.equal(hexOf(writeLlarp(codecOf(codec), read.value)), hexOf(bytes));
    }
  }
  t.end();
});

t.test('a net address has 7 to 45 bytes', (t) => {
  const dict = dictOf(bytesOf(vectors.examples[0]?.hex ?? ''));
  const reads = (address: Uint8Array) => ADDRESS_INFO.read(new Map(dict).set('i', address)).ok;
  for (const address of ['1.2.3.4', '123.123.123.123', '::ffff:51.222.42.216']) {
    t.ok(reads(Uint8Array.from(Buffer.from(address))), address);
  }
  t.ok(reads(new Uint8Array(16)), '16 bytes of IPv6');
  for (const length of [0, 6, 46]) t.notOk(reads(new Uint8Array(length)), `${length} bytes`);
  t.end();
});

t.test('the address of a hidden service is the hash of its public keys', (t) => {
  const services = vectors.examples.filter(({ codec }) => codec === 'SI');
  t.same(
    services.map(({ hex }) => {
      const read = readLlarp(SERVICE_INFO, bytesOf(hex));
      return read.ok && hexOf(serviceAddress(read.value));
    }),
    vectors.addresses,
  );
  t.end();
});

t.test('a router contact is signed, and a changed one is not', (t) => {
  const example = vectors.examples.find(({ name }) => name === 'RC');
  const read = readLlarp(ROUTER_CONTACT, bytesOf(example?.hex ?? ''));
  if (!read.ok) throw new Error(read.reason);
  const contact: RouterContact = read.value;
  t.ok(isSignedBy(ROUTER_CONTACT, contact, contact.signingKey));
  t.notOk(isSignedBy(ROUTER_CONTACT, { ...contact, time: contact.time + 1n }, contact.signingKey));
  const seed = new Uint8Array(32).fill(7);
  const again = signed(ROUTER_CONTACT, contact, seed);
  t.notOk(isSignedBy(ROUTER_CONTACT, again, contact.signingKey), 'another signer');
  t.end();
});

t.test('any bytes and any bencode are read or refused, never an exception', (t) => {
  const leaf = fc.oneof(
    fc.bigInt({ min: -(2n ** 63n), max: 2n ** 64n - 1n }),
    fc.uint8Array({ maxLength: 40 }),
    fc.constantFrom(new Uint8Array(16), new Uint8Array(32), new Uint8Array(64)),
  );
  const key = fc.constantFrom(...'aAbBcCdDeEfFgGhHiIkKlLmMnNpPrRsStTuUvVwWxXyYzZ'.split(''));
  const { value } = fc.letrec<{ value: BValue }>((tie) => ({
    value: fc.oneof(
      { maxDepth: 3 },
      leaf,
      fc.array(tie('value'), { maxLength: 7 }),
      fc.array(fc.tuple(key, tie('value')), { maxLength: 9 }).map((pairs) => new Map(pairs)),
    ),
  }));
  const fields = Object.values(CODECS);
  fc.assert(
    fc.property(
      value,
      fc.uint8Array({ maxLength: 60 }),
      fc.constantFrom(...fields),
      (any, raw, field) => {
        const read = field.read(any);
        if (read.ok) t.strictSame(encode(field.write(read.value)), encode(any));
        readLlarp(field, raw);
      },
    ),
    { numRuns: 2_000 },
  );
  t.end();
});

t.test('an example with one byte changed is refused, or written back as it is', (t) => {
  fc.assert(
    fc.property(
      fc.constantFrom(...vectors.examples),
      fc.nat(),
      fc.integer({ min: 1, max: 255 }),
      ({ codec, hex }, at, flip) => {
        const bytes = bytesOf(hex);
        const index = at % bytes.length;
        bytes[index] = (bytes[index] ?? 0) ^ flip;
        const read = readLlarp(codecOf(codec), bytes);
        if (read.ok) t.equal(hexOf(writeLlarp(codecOf(codec), read.value)), hexOf(bytes));
      },
    ),
    { numRuns: 2_000 },
  );
  t.end();
});
