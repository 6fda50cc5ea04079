/** Which lists are valid, and why another one is refused (docs/directory-lists.md, sections 2 to 5). */
import { createPrivateKey, createPublicKey, sign, verify } from 'node:crypto';
import t from 'tap';
import { listHash, type DirectoryList } from '../../src/directory-lists/directory-list.js';
import { recordOf } from '../../src/kit/json-record.js';
import { sha256Hex } from '../../src/directory-lists/ed25519.js';
import { fingerprintOf } from '../../src/directory-lists/key-set.js';
import {
  formatDocument,
  parseDocument,
  type ListDocument,
} from '../../src/directory-lists/list-document.js';
import { verifyDocument, type VerifyContext } from '../../src/directory-lists/verify.js';
import {
  bytesOf,
  entryAt,
  newSigners,
  NOW,
  onionNumber,
  sampleList,
  trusting,
  type Signer,
} from './sample-lists.js';

const [A, B, C, D, E] = newSigners(5);
if (!A || !B || !C || !D || !E) throw new Error('five signers');
const KEYS = { threshold: 2, signers: [A, B, C] };
const FIRST = sampleList({ keys: KEYS, by: [A, C] });
const SECOND = sampleList({ before: FIRST, by: [B, C] });

/** The reason, or `ok`. */
function verdict(bytes: Uint8Array, context: VerifyContext): string {
  const parsed = parseDocument(bytes);
  if (!parsed.ok) return parsed.reason;
  const verified = verifyDocument(parsed.value, context);
  return verified.ok ? 'ok' : verified.reason;
}

function acceptedOf(document: ListDocument): VerifyContext['accepted'] {
  const verified = verifyDocument(document, trusting(document));
  if (!verified.ok) throw new Error(verified.reason);
  return verified.value.accepted;
}

const edited = (edit: (text: string) => string, document = FIRST): Uint8Array =>
  Buffer.from(edit(formatDocument(document)), 'latin1');

const withList = (list: Partial<DirectoryList>): ListDocument => ({
  ...FIRST,
  list: { ...FIRST.list, ...list },
});

const signaturesOf = (document: ListDocument, by: readonly Signer[]): ListDocument => ({
  ...document,
  signatures: document.signatures.filter(({ key }) => by.some((each) => each.key === key)),
});

t.test('a list that enough keys signed is valid', async (t) => {
  t.equal(verdict(bytesOf(FIRST), trusting(FIRST)), 'ok');
  t.equal(verdict(bytesOf(SECOND), trusting(FIRST)), 'ok');
  t.equal(verdict(bytesOf(SECOND), trusting(FIRST, { accepted: acceptedOf(FIRST) })), 'ok');
  t.equal(verdict(bytesOf(FIRST), trusting(FIRST, { accepted: acceptedOf(FIRST) })), 'ok');
});

const CASES: readonly (readonly [string, Uint8Array, Partial<VerifyContext>?])[] = [
  ['oversize', new Uint8Array(524_289).fill(0x20)],
  ['not-json', Buffer.from('{')],
  ['not-json', Buffer.from('[]')],
  ['unknown-format', edited((text) => text.replace('joinmarket-directory-list', 'other'))],
  ['unknown-version', edited((text) => text.replace('"version":1', '"version":2'))],
  ['unknown-version', edited((text) => text.replace('"version":1', '"version":"1"'))],
  ['malformed', edited((text) => text.replace('"sequence":1', '"sequence":0'))],
  ['malformed', edited((text) => text.replace('"sequence":1', '"sequence":1.5'))],
  ['malformed', edited((text) => text.replace('"threshold":2', '"threshold":4'))],
  ['malformed', edited((text) => text.replace('"note":"second"', '"note":7'))],
  ['malformed', edited((text) => text.replace('.onion:5222', '.onion:0'))],
  ['malformed', edited((text) => text.replace('["ping"]', '["Ping"]'))],
  ['not-canonical', edited((text) => ` ${text}`)],
  ['not-canonical', edited((text) => text.replace(',"version"', ', "version"'))],
  ['not-canonical', edited((text) => `${text}\n\n`)],
  ['not-canonical', edited((text) => text.replace('second', String.raw`\u0073econd`))],
  ['malformed', edited((text) => text.replace('second', String.raw`s\u00e4cond`))],
  ['not-canonical', edited((text) => text.replace('"version":1', '"version":1,"x":1'))],
  ['not-canonical', edited((text) => text.replace('"version":1', '"version":1,"version":1'))],
  ['not-canonical', edited((text) => text.replace('"sequence":1,', '"sequence":1e0,'))],
  [
    'too-many',
    bytesOf(withList({ entries: Array.from({ length: 1001 }, (_, i) => entryAt(onionNumber(i))) })),
  ],
  ['duplicate-entry', bytesOf(withList({ entries: [1, 1].map((n) => entryAt(onionNumber(n))) }))],
  ['duplicate-key', edited((text) => text.replaceAll(A.key, B.key))],
  [
    'duplicate-signature',
    bytesOf({ ...FIRST, signatures: [...FIRST.signatures, ...FIRST.signatures] }),
  ],
  ['other-network', bytesOf(FIRST), { network: 'mainnet' }],
  ['unknown-keys', bytesOf(FIRST), { pinned: 'ab'.repeat(32) }],
  ['wrong-keys', bytesOf(withList({ keys: 'ab'.repeat(32) }))],
  ['below-threshold', bytesOf(signaturesOf(FIRST, [A]))],
  ['below-threshold', bytesOf(signaturesOf(FIRST, []))],
  [
    'unknown-signer',
    bytesOf({
      ...FIRST,
      signatures: [...FIRST.signatures, { key: D.key, signature: '0'.repeat(128) }],
    }),
  ],
  [
    'bad-signature',
    bytesOf({
      ...FIRST,
      signatures: [...FIRST.signatures, { key: B.key, signature: '0'.repeat(128) }],
    }),
  ],
  ['bad-signature', bytesOf(withList({ entries: [entryAt(onionNumber(9))] }))],
  ['bad-signature', bytesOf(withList({ expires: FIRST.list.expires + 1 }))],
  ['rolled-back', bytesOf(FIRST), { accepted: acceptedOf(SECOND) }],
  [
    'forked',
    bytesOf(sampleList({ before: FIRST, by: [A, B], entries: [] })),
    { accepted: acceptedOf(SECOND) },
  ],
  ['not-yet-valid', bytesOf(FIRST), { now: NOW - 2 * 3_600 - 1 }],
  ['expired', bytesOf(FIRST), { now: FIRST.list.expires }],
];

for (const [reason, bytes, context] of CASES) {
  t.test(`refused: ${reason}`, async (t) => {
    t.equal(verdict(bytes, trusting(FIRST, context)), reason);
  });
}

t.test('the clock of a reader may be two hours late', async (t) => {
  t.equal(verdict(bytesOf(FIRST), trusting(FIRST, { now: NOW - 2 * 3_600 })), 'ok');
  t.equal(verdict(bytesOf(FIRST), trusting(FIRST, { now: FIRST.list.expires - 1 })), 'ok');
});

t.test('keys are replaced by the keys before them', async (t) => {
  const rotated = sampleList({
    before: SECOND,
    keys: { threshold: 2, signers: [B, C, D] },
    by: [B, C],
  });
  const twice = sampleList({
    before: rotated,
    keys: { threshold: 2, signers: [C, D, E] },
    by: [C, D],
  });
  const fork = sampleList({
    before: sampleList({ before: SECOND, keys: { threshold: 1, signers: [E] }, by: [A, B, E] }),
    by: [E],
  });
  const third = sampleList({ before: twice, by: [D, E] });

  t.test('a peer that was off during two rotations follows them', async (t) => {
    t.equal(verdict(bytesOf(twice), trusting(FIRST, { accepted: acceptedOf(FIRST) })), 'ok');
    t.equal(verdict(bytesOf(third), trusting(FIRST)), 'ok');
  });
  t.test('a user who pins the newest key set needs no older one', async (t) => {
    const pinned = fingerprintOf(twice.keySets[2]?.keySet ?? FIRST.keySets[0].keySet);
    t.equal(verdict(bytesOf(third), trusting(FIRST, { pinned })), 'ok');
    t.equal(verdict(bytesOf(rotated), trusting(FIRST, { pinned })), 'unknown-keys');
  });
  t.test('too few old keys, wrong signatures, keys out of order', async (t) => {
    const [root, rotation] = rotated.keySets;
    if (!rotation) throw new Error('a rotation');
    const one = { ...rotation, signatures: rotation.signatures.slice(1) };
    const wrong = {
      ...rotation,
      signatures: rotation.signatures.map(({ key }) => ({ key, signature: '0'.repeat(128) })),
    };
    const skipped = { ...rotation, keySet: { ...rotation.keySet, sequence: 3 } };
    const document = (second: typeof rotation): Uint8Array =>
      bytesOf({ ...rotated, keySets: [root, second] });
    t.equal(verdict(document(one), trusting(FIRST)), 'rotation-below-threshold');
    t.equal(verdict(document(wrong), trusting(FIRST)), 'bad-signature');
    t.equal(verdict(document(skipped), trusting(FIRST)), 'broken-chain');
  });
  t.test('old keys cannot take back a rotation that was accepted', async (t) => {
    const accepted = acceptedOf(twice);
    t.equal(verdict(bytesOf(rotated), trusting(FIRST, { accepted })), 'keys-rolled-back');
    const longer = sampleList({
      before: fork,
      keys: { threshold: 1, signers: [E] },
      by: [E],
    });
    t.equal(verdict(bytesOf(longer), trusting(FIRST, { accepted })), 'forked-keys');
  });
});

t.test('two of three keys are lost', async (t) => {
  const replaced = { threshold: 2, signers: [A, D, E] };
  t.test('at once, with two needed: the third key cannot replace them', async (t) => {
    const alone = sampleList({ before: SECOND, keys: replaced, by: [A, D, E] });
    t.equal(verdict(bytesOf(alone), trusting(FIRST)), 'rotation-below-threshold');
    t.test('a new first key set is pinned instead, and goes on with the numbers', async (t) => {
      const entries = SECOND.list.entries;
      const anew = sampleList({ keys: replaced, by: [D, E], entries });
      t.equal(verdict(bytesOf(anew), trusting(FIRST)), 'unknown-keys');
      t.equal(verdict(bytesOf(anew), trusting(anew)), 'ok');
    });
  });
  t.test('one after the other: each loss is repaired by the two that are left', async (t) => {
    const first = sampleList({
      before: SECOND,
      keys: { threshold: 2, signers: [A, B, D] },
      by: [A, B],
    });
    const second = sampleList({ before: first, keys: replaced, by: [A, D] });
    t.equal(verdict(bytesOf(second), trusting(FIRST, { accepted: acceptedOf(SECOND) })), 'ok');
  });
  t.test('at once, with one needed: the third key replaces them', async (t) => {
    const loose = sampleList({ keys: { threshold: 1, signers: [A, B, C] }, by: [A] });
    const rescued = sampleList({ before: loose, keys: replaced, by: [A, D] });
    t.equal(verdict(bytesOf(rescued), trusting(loose)), 'ok');
  });
});

t.test(
  'the signed bytes are those of the page: computed again with the cryptography of Node',
  async (t) => {
    // PKCS#8 and SPKI of ed25519 are these bytes and then the key (RFC 8410).
    const privateKey = createPrivateKey({
      key: Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), A.seed]),
      format: 'der',
      type: 'pkcs8',
    });
    const publicKey = createPublicKey(privateKey);
    const raw = publicKey.export({ format: 'der', type: 'spki' }).subarray(12);
    t.equal(raw.toString('hex'), A.key);
    const value: unknown = JSON.parse(formatDocument(FIRST));
    const sorted = (part: unknown): unknown => {
      if (Array.isArray(part)) return part.map(sorted);
      if (typeof part !== 'object' || part === null) return part;
      return Object.fromEntries(
        Object.entries(part)
          .toSorted(([a], [b]) => (a < b ? -1 : 1))
          .map(([name, member]) => [name, sorted(member)]),
      );
    };
    t.equal(JSON.stringify(sorted(value)), formatDocument(FIRST), 'members in order');
    const { list, keysets } = recordOf(value);
    const [root] = Array.isArray(keysets) ? keysets.map(recordOf) : [];
    const message = Buffer.from(`joinmarket-directory-list-v1\n${JSON.stringify(list)}`);
    const signature = FIRST.signatures.find(({ key }) => key === A.key)?.signature ?? '';
    t.ok(verify(null, message, publicKey, Buffer.from(signature, 'hex')));
    t.equal(sign(null, message, privateKey).toString('hex'), signature, 'ed25519 is deterministic');
    t.equal(sha256Hex(message), listHash(FIRST.list));
    const keys = Buffer.from(`joinmarket-directory-keys-v1\n${JSON.stringify(root?.['keyset'])}`);
    t.equal(sha256Hex(keys), fingerprintOf(FIRST.keySets[0].keySet));
  },
);
