/** Section 7.6 of docs/protocol.md (JMP-0005): proofs of a nick's key. */
import { createHash } from 'node:crypto';
import { secp256k1 } from '@noble/curves/secp256k1.js';
import { hexToBytes } from '@noble/hashes/utils.js';
import { base64 } from '@scure/base';
import * as fc from 'fast-check';
import t, { type Test } from 'tap';
import {
  createNickChallenge,
  directoryId,
  formatNickChallenge,
  formatNickProof,
  formatNickResult,
  NICK_AUTH_CODES,
  parseNickChallenge,
  parseNickProof,
  parseNickResult,
  proveNick,
  verifyNickProof,
  type NickAuthChallenge,
} from '../../src/protocol/nick-auth.js';
import { createNickKey, nickKey, nickOf } from '../../src/protocol/nick.js';
import { signText } from '../../src/protocol/signature.js';
import vectors from '../vectors/protocol.json' with { type: 'json' };
import { unicodeText } from '../helpers/unicode-text.js';

const vector = vectors.nickAuth;
const key = nickKey(hexToBytes(vector.key));
const asked: NickAuthChallenge = { challenge: vector.challenge, directoryId: vector.directoryId };
const hello = vector.handshake;
const proof = proveNick(key, asked, hello);
const N = secp256k1.Point.CURVE().n;

function holds<T>(test: Test, name: string, property: fc.IProperty<T>, runs = 100): void {
  const message = fc.defaultReportMessage(fc.check(property, { numRuns: runs }));
  test.equal(message, undefined, name);
}

/** The payload of a captured line. */
function lineOf(json: string): string {
  const { line }: { line: string } = JSON.parse(json);
  return line;
}

t.test('the vector', async (t) => {
  t.equal(createHash('sha256').update(hello).digest('hex'), vector.handshakeHash);
  t.equal(key.nick, vector.nick);
  t.strictSame(proof, { publicKeyHex: key.publicKeyHex, signature: vector.signature });
  t.equal(verifyNickProof(proof, asked, hello, key.nick), true);
  t.strictSame(parseNickProof(formatNickProof(proof)), { ok: true, value: proof });
  const challenge = parseNickChallenge(lineOf(vectors.ngLines.nickAuthChallenge));
  t.match(challenge, { ok: true, value: { directoryId: 'test:dir' } });
  if (challenge.ok) {
    t.equal(formatNickChallenge(challenge.value), lineOf(vectors.ngLines.nickAuthChallenge));
  }
  t.strictSame(parseNickResult(lineOf(vectors.ngLines.nickAuthResult)), { ok: true, value: 'ok' });
  t.equal(formatNickResult('ok'), lineOf(vectors.ngLines.nickAuthResult));
});

t.test('challenges are random and name the directory', async (t) => {
  const drawn: number[] = [];
  const made = createNickChallenge('d:1', (count) => {
    drawn.push(count);
    return new Uint8Array(count).fill(0xab);
  });
  t.strictSame([drawn, made], [[32], { challenge: 'ab'.repeat(32), directoryId: 'd:1' }]);
  const host = vector.directoryId.slice(0, -':5222'.length);
  t.equal(directoryId({ kind: 'onion', host, port: 5222 }), vector.directoryId);
  t.equal(directoryId({ kind: 'onion', host: host.toUpperCase(), port: 1 }), `${host}:1`);
});

t.test('a proof holds for one directory, one connection and one nick claim', async (t) => {
  const other = nickKey(new Uint8Array(32).fill(9));
  const der = base64.decode(proof.signature);
  const { r, s } = secp256k1.Signature.fromBytes(der, 'der');
  const highS = base64.encode(new secp256k1.Signature(r, N - s).toBytes('der'));
  const text = `${vector.challenge}|${vector.directoryId}|${vector.handshakeHash}`;
  const over = (message: string) => ({ ...proof, signature: signText(message, key.privateKey) });
  const rows: readonly [string, boolean][] = [
    ['as it is', verifyNickProof(proof, asked, hello, key.nick)],
    [
      'another challenge',
      verifyNickProof(proof, { ...asked, challenge: '3'.repeat(64) }, hello, key.nick),
    ],
    [
      'another directory',
      verifyNickProof(proof, { ...asked, directoryId: 'd:1' }, hello, key.nick),
    ],
    ['another handshake', verifyNickProof(proof, asked, `${hello} `, key.nick)],
    ['another nick', verifyNickProof(proof, asked, hello, other.nick)],
    [
      "another's key",
      verifyNickProof({ ...proof, publicKeyHex: other.publicKeyHex }, asked, hello, key.nick),
    ],
    [
      "another's key and nick",
      verifyNickProof({ ...proof, publicKeyHex: other.publicKeyHex }, asked, hello, other.nick),
    ],
    [
      "another's proof for this nick",
      verifyNickProof(proveNick(other, asked, hello), asked, hello, key.nick),
    ],
    ['a malformed nick', verifyNickProof(proof, asked, hello, 'J5')],
    ['a nick with a line end', verifyNickProof(proof, asked, hello, `${key.nick}\n`)],
    ['high S', verifyNickProof({ ...proof, signature: highS }, asked, hello, key.nick)],
    [
      'a key off the curve',
      verifyNickProof(
        { ...proof, publicKeyHex: `02${'0'.repeat(63)}5` },
        asked,
        hello,
        nickOf(`02${'0'.repeat(63)}5`),
      ),
    ],
    ['no signature', verifyNickProof({ ...proof, signature: '' }, asked, hello, key.nick)],
    [
      'without its domain',
      verifyNickProof(
        over(`nick-auth|${text}|${key.nick}|${key.publicKeyHex}`),
        asked,
        hello,
        key.nick,
      ),
    ],
    [
      'as a private message',
      verifyNickProof(
        over(`nick-auth|${text}|${key.nick}|${key.publicKeyHex}onion-network`),
        asked,
        hello,
        key.nick,
      ),
    ],
  ];
  for (const [name, holdsTrue] of rows) t.equal(holdsTrue, name === 'as it is', name);
});

t.test('payloads: the faults of malformed ones', async (t) => {
  const { pubkey, signature }: Record<string, string> = JSON.parse(formatNickProof(proof));
  const c = vector.challenge;
  const json = 'nick-auth-json';
  const keys = 'nick-auth-keys';
  const values = 'nick-auth-values';
  const unpadded = signature?.replace(/=+$/, '');
  const challenges: readonly [string, string | undefined][] = [
    [`{"challenge":"${c}","directory-id":"d"}`, undefined],
    [` { "directory-id" : "d:1" , "challenge" : "${c}" } `, undefined],
    ['', json],
    ['null', json],
    ['7', json],
    ['"x"', json],
    ['{', json],
    [`{"challenge":"${c}","directory-id":"d"}${' '.repeat(1000)}`, json],
    [`{"challenge":NaN,"directory-id":"d"}`, json],
    ['[]', keys],
    ['{}', keys],
    [`{"challenge":"${c}"}`, keys],
    [`{"challenge":"${c}","directory-id":"d","kind":"challenge"}`, keys],
    [`{"challenge":"${c}","directory_id":"d"}`, keys],
    [`{"challenge":"x","challenge":"${c}","directory-id":"d"}`, keys],
    [`{"directory-id":1,"challenge":"${c}","directory-id":"d"}`, keys],
    [`{"__proto__":1,"challenge":"${c}"}`, keys],
    [`{"challenge":"${c.slice(1)}","directory-id":"d"}`, values],
    [`{"challenge":"${c}2","directory-id":"d"}`, values],
    [`{"challenge":"${'A'.repeat(64)}","directory-id":"d"}`, values],
    [`{"challenge":22,"directory-id":"d"}`, values],
    [`{"challenge":"${c}","directory-id":""}`, values],
    [`{"challenge":"${c}","directory-id":"-d"}`, values],
    [`{"challenge":"${c}","directory-id":"D"}`, values],
    [`{"challenge":"${c}","directory-id":"a|b"}`, values],
    [`{"challenge":"${c}","directory-id":"${'d'.repeat(256)}"}`, values],
    [`{"challenge":"${c}","directory-id":null}`, values],
  ];
  for (const [payload, reason] of challenges) {
    const read = parseNickChallenge(payload);
    t.equal(read.ok ? undefined : read.reason, reason, payload.slice(0, 120));
  }
  const proofs: readonly [string, string | undefined][] = [
    [`{"pubkey":"${pubkey}","signature":"${signature}"}`, undefined],
    [`{"pubkey":"${pubkey}","signature":"${signature}","challenge":"${c}"}`, keys],
    [`{"pubkey":"${pubkey}","pubkey":"${pubkey}","signature":"${signature}"}`, keys],
    [`{"pubkey":"${pubkey?.toUpperCase()}","signature":"${signature}"}`, values],
    [`{"pubkey":"04${pubkey?.slice(2)}","signature":"${signature}"}`, values],
    [`{"pubkey":"${pubkey?.slice(2)}","signature":"${signature}"}`, values],
    [`{"pubkey":"${'00'.repeat(33)}","signature":"${signature}"}`, values],
    [`{"pubkey":"${pubkey}","signature":"${unpadded}"}`, values],
    [`{"pubkey":"${pubkey}","signature":""}`, values],
    [`{"pubkey":"${pubkey}","signature":"${'A'.repeat(96)}"}`, undefined],
    [`{"pubkey":"${pubkey}","signature":"${'A'.repeat(100)}"}`, values],
    [`{"pubkey":"${pubkey}","signature":"AB=="}`, values],
    [`{"pubkey":"${pubkey}","signature":"a b="}`, values],
    [`{"pubkey":"${pubkey}","signature":7}`, values],
  ];
  for (const [payload, reason] of proofs) {
    const read = parseNickProof(payload);
    t.equal(read.ok ? undefined : read.reason, reason, payload.slice(0, 120));
    if (read.ok && read.value.signature !== proof.signature) {
      t.equal(verifyNickProof(read.value, asked, hello, key.nick), false);
    }
  }
  const results: readonly [string, string | undefined][] = [
    ['{"code":"policy","verified":false}', undefined],
    ['{"code":"ok","verified":false}', values],
    ['{"code":"invalid","verified":true}', values],
    ['{"code":"ok","verified":"true"}', values],
    ['{"code":"ok","verified":1}', values],
    ['{"code":"OK","verified":true}', values],
    ['{"code":"","verified":false}', values],
    ['{"code":"ok"}', keys],
    ['{"code":"expired","code":"ok","verified":true}', keys],
    ['{"verified":false,"code":"ok","verified":true}', keys],
    ['{"code":"ok","verified":true,"x":1}', keys],
  ];
  for (const [payload, reason] of results) {
    const read = parseNickResult(payload);
    t.equal(read.ok ? undefined : read.reason, reason, payload);
  }
  for (const code of NICK_AUTH_CODES) {
    t.strictSame(parseNickResult(formatNickResult(code)), { ok: true, value: code });
  }
  const any = fc.oneof(unicodeText(), fc.json());
  for (const parse of [parseNickChallenge, parseNickProof, parseNickResult]) {
    holds(
      t,
      `${parse.name} of any text`,
      fc.property(any, (text) => !parse(text).ok),
    );
  }
});

t.test('a proof is made, written, read and verified', async (t) => {
  const bytes = fc.uint8Array({ minLength: 32, maxLength: 32 });
  holds(
    t,
    'any key, challenge and handshake',
    fc.property(bytes, bytes, fc.string({ unit: 'grapheme' }), (secret, random, handshake) => {
      const own = createNickKey(() => secret);
      const challenge = createNickChallenge('d:1', () => random);
      const made = proveNick(own, challenge, handshake);
      const read = parseNickProof(formatNickProof(made));
      const again = parseNickChallenge(formatNickChallenge(challenge));
      return read.ok && again.ok && verifyNickProof(read.value, again.value, handshake, own.nick);
    }),
    20,
  );
  const rounds = 40;
  const before = process.cpuUsage().user;
  for (let i = 0; i < rounds; i++) verifyNickProof(proof, asked, hello, key.nick);
  const cost = (process.cpuUsage().user - before) / rounds / 1000;
  t.comment(`CPU ms per verification: ${cost.toFixed(2)}`);
});
