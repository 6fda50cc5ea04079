/** The cryptography of LLARP v0 against vectors of libsodium (test/vectors/llarp/make-crypto-vectors.py). */
import { randomBytes } from 'node:crypto';
import * as fc from 'fast-check';
import t from 'tap';
import {
  cipher,
  clientKey,
  longHash,
  longKeyedHash,
  newExchangeKeys,
  newSigningKeys,
  serverKey,
  shortHash,
  shortKeyedHash,
  sign,
  verify,
} from '../../src/llarp/crypto.js';
import { FRAME_OVERHEAD_BYTES, openFrame, sealFrame } from '../../src/llarp/frame.js';
import { passHop, unwrapDownstream, wrapUpstream, type Layered } from '../../src/llarp/onion.js';
import vectors from '../vectors/llarp/crypto.json' with { type: 'json' };

const bytes = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex, 'hex'));
const hex = (value: Uint8Array | undefined): string | undefined =>
  value && Buffer.from(value).toString('hex');

t.test('hashes, cipher and signatures of libsodium', (t) => {
  for (const { x, k, H, HS, MD, MDS } of vectors.hashes) {
    t.equal(hex(longHash(bytes(x))), H);
    t.equal(hex(shortHash(bytes(x))), HS);
    t.equal(hex(longKeyedHash(bytes(x), bytes(k))), MD);
    t.equal(hex(shortKeyedHash(bytes(x), bytes(k))), MDS);
  }
  for (const { key, nonce, x, y } of vectors.cipher) {
    t.equal(hex(cipher(bytes(key), bytes(nonce), bytes(x))), y);
    t.equal(hex(cipher(bytes(key), bytes(`${nonce}0102`), bytes(y))), x, 'a longer nonce is cut');
  }
  const { seed, public: publicKey, x, signature } = vectors.signature;
  t.equal(hex(newSigningKeys(() => bytes(seed)).publicKey), publicKey);
  t.equal(hex(sign(bytes(seed), bytes(x))), signature);
  t.ok(verify(bytes(publicKey), bytes(x), bytes(signature)));
  t.notOk(verify(bytes(publicKey), bytes(`${x}00`), bytes(signature)));
  t.notOk(verify(bytes(publicKey).subarray(1), bytes(x), bytes(signature)), 'a short key');
  t.notOk(verify(bytes(publicKey), bytes(x), bytes(signature).subarray(1)), 'a short signature');
  t.notOk(
    verify(new Uint8Array(32).fill(255), bytes(x), bytes(signature)),
    'bytes that are no key',
  );
  t.end();
});

t.test('client and server get the same key, that of libsodium', (t) => {
  const { clientSecret, clientPublic, serverSecret, serverPublic, nonce, key } = vectors.exchange;
  const parties = { client: bytes(clientPublic), server: bytes(serverPublic) };
  t.equal(hex(newExchangeKeys(() => bytes(clientSecret)).publicKey), clientPublic);
  t.equal(hex(clientKey(parties, bytes(clientSecret), bytes(nonce))), key);
  t.equal(hex(serverKey(parties, bytes(serverSecret), bytes(nonce))), key);
  const swapped = { client: parties.server, server: parties.client };
  t.not(
    hex(clientKey(swapped, bytes(serverSecret), bytes(nonce))),
    key,
    'the order of the keys counts',
  );
  const zero = { client: parties.client, server: new Uint8Array(32) };
  t.equal(clientKey(zero, bytes(clientSecret), bytes(nonce)), undefined, 'a point of low order');
  t.end();
});

t.test('a frame of libsodium is opened, and the same bytes are made', (t) => {
  const { routerSecret, routerPublic, record, senderSecret, nonce, frame } = vectors.frame;
  const router = { secretKey: bytes(routerSecret), publicKey: bytes(routerPublic) };
  t.equal(hex(openFrame(bytes(frame), router)), record);
  const drawn = [bytes(senderSecret), bytes(nonce)];
  t.equal(hex(sealFrame(bytes(record), router.publicKey, () => drawn.shift() ?? bytes(''))), frame);
  for (let at = 0; at < bytes(frame).length; at++) {
    const changed = bytes(frame);
    changed[at] = (changed[at] ?? 0) ^ 1;
    t.equal(openFrame(changed, router), undefined, `byte ${at} changed`);
  }
  t.equal(openFrame(bytes(frame), newExchangeKeys(randomBytes)), undefined, 'another router');
  t.equal(
    openFrame(bytes(frame).subarray(0, FRAME_OVERHEAD_BYTES - 1), router),
    undefined,
    'too short',
  );
  t.equal(
    sealFrame(bytes(record), new Uint8Array(32), randomBytes),
    undefined,
    'a key of low order',
  );
  t.end();
});

t.test('three hops: each state of a message of libsodium, in both directions', (t) => {
  const { hopKeys, message, upstream, downstream } = vectors.onion;
  const keys = hopKeys.map(bytes);
  const [first] = upstream;
  let up = wrapUpstream(bytes(message), keys, bytes(first?.y ?? ''));
  for (const [i, key] of keys.entries()) {
    t.same([hex(up.x), hex(up.y)], [upstream[i]?.x, upstream[i]?.y], `before hop ${i}`);
    up = passHop(up, key);
  }
  t.equal(hex(up.x), message, 'the farthest hop reads the message');
  let down: Layered = { x: bytes(downstream[0]?.x ?? ''), y: bytes(downstream[0]?.y ?? '') };
  for (const [i, key] of keys.toReversed().entries()) {
    down = passHop(down, key);
    t.same([hex(down.x), hex(down.y)], [downstream[i + 1]?.x, downstream[i + 1]?.y]);
  }
  t.equal(hex(unwrapDownstream(down, keys)), message, 'the creator reads the message');
  t.end();
});

t.test('frames and layers of any length give back what was put in', (t) => {
  const anyBytes = fc.uint8Array({ maxLength: 600 });
  const key = fc.uint8Array({ minLength: 32, maxLength: 32 });
  const router = newExchangeKeys(randomBytes);
  fc.assert(
    fc.property(anyBytes, fc.array(key, { maxLength: 8 }), key, (message, keys, y) => {
      const frame = sealFrame(message, router.publicKey, randomBytes);
      t.strictSame(frame && openFrame(frame, router), message);
      let layered = wrapUpstream(message, keys, y);
      for (const each of keys) layered = passHop(layered, each);
      t.strictSame(layered.x, message);
      let down: Layered = { x: message, y };
      for (const each of keys.toReversed()) down = passHop(down, each);
      t.strictSame(unwrapDownstream(down, keys), message);
    }),
    { numRuns: 60 },
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (frame) => {
      t.equal(openFrame(frame, router), undefined);
    }),
    { numRuns: 100 },
  );
  t.end();
});
