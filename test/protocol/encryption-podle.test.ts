/** Sections 9.2, 9.5 and 10 of docs/protocol.md: boxes, outpoints, PoDLE. */
import { createHash } from 'node:crypto';
import { secp256k1 } from '@noble/curves/secp256k1.js';
import { bytesToHex, hexToBytes } from '@noble/hashes/utils.js';
import * as fc from 'fast-check';
import t, { type Test } from 'tap';
import { decodeBase64 } from '../../src/protocol/base64-text.js';
import {
  boxKeyPair,
  createBoxKeyPair,
  openBoxSession,
  type BoxKeyPair,
  type BoxSession,
} from '../../src/protocol/encryption.js';
import { formatFeatures, parseFeatures } from '../../src/protocol/features.js';
import { formatNamedOutpoint, formatOutpoint, parseOutpoint } from '../../src/protocol/outpoint.js';
import {
  createPodle,
  formatCommitment,
  formatRevelation,
  numsPoint,
  parseBareCommitment,
  parseCommitment,
  parseRevelation,
  PODLE_RETRIES,
  verifyPodle,
  type PodleRevelation,
} from '../../src/protocol/podle.js';
import vectors from '../vectors/protocol.json' with { type: 'json' };
import { unicodeText } from '../helpers/unicode-text.js';

const N = secp256k1.Point.CURVE().n;
const hex32 = (n: bigint): string => n.toString(16).padStart(64, '0');
const sha256Hex = (hex: string): string =>
  createHash('sha256').update(Buffer.from(hex, 'hex')).digest('hex');

function holds<T>(test: Test, name: string, property: fc.IProperty<T>, runs = 100): void {
  const message = fc.defaultReportMessage(fc.check(property, { numRuns: runs }));
  test.equal(message, undefined, name);
}

const counting = (count: number): Uint8Array => Uint8Array.from({ length: count }, (_, i) => i);

function session(own: BoxKeyPair, theirPublicKey: string): BoxSession {
  const opened = openBoxSession(own, theirPublicKey);
  if (!opened.ok) throw new Error(opened.reason);
  return opened.value;
}

const boxA = boxKeyPair(hexToBytes(vectors.box.secretA));
const boxB = boxKeyPair(hexToBytes(vectors.box.secretB));
const fromA = session(boxA, boxB.publicKeyHex);
const fromB = session(boxB, boxA.publicKeyHex);

t.test('base64 as peers write it', async (t) => {
  const rows: readonly [string, string | undefined][] = [
    ['AQID', '010203'],
    ['AQI=', '0102'],
    ['AQI', '0102'],
    ['AQ==', '01'],
    ['AQ', '01'],
    ['AQ=', '01'],
    ['', undefined],
    ['=', undefined],
    ['A', undefined],
    ['AQIDA', undefined],
    ['AR==', undefined],
    ['AQJ=', undefined],
    ['AQ=I', undefined],
    ['AQID===', undefined],
    ['AQ I', undefined],
    ['AQI\n', undefined],
    ['_-_-', undefined],
    ['ＡＱ==', undefined],
    ['AAAAAAAAA', undefined],
  ];
  for (const [text, hex] of rows) {
    const bytes = decodeBase64(text, 8);
    t.equal(bytes && bytesToHex(bytes), hex, JSON.stringify(text));
  }
});

t.test('boxes', async (t) => {
  t.equal(boxA.publicKeyHex, vectors.box.publicA);
  t.equal(boxB.publicKeyHex, vectors.box.publicB);
  t.equal(fromA.encrypt(vectors.box.plaintext, counting), vectors.box.wire);
  t.strictSame(fromB.decrypt([vectors.box.wire]), { ok: true, value: vectors.box.plaintext });
  t.strictSame(fromA.decrypt([vectors.box.wire]), { ok: true, value: vectors.box.plaintext });
  t.equal(fromA.theirPublicKeyHex, boxB.publicKeyHex);
  const upper = session(boxA, boxB.publicKeyHex.toUpperCase());
  t.equal(upper.theirPublicKeyHex, boxB.publicKeyHex, 'upper-case hex names the same key');
  t.equal(upper.encrypt('x', counting), fromA.encrypt('x', counting));
  const drawn: number[] = [];
  const made = createBoxKeyPair((count) => {
    drawn.push(count);
    return counting(count);
  });
  t.strictSame([drawn, made.secretKey], [[32], counting(32)]);
  for (const length of [0, 31, 33]) t.throws(() => boxKeyPair(new Uint8Array(length)), RangeError);
  for (const text of ['', 'é', 'a\n', '\u{1f600}']) {
    t.throws(() => fromA.encrypt(text, counting), RangeError, JSON.stringify(text));
  }
});

t.test('keys that are refused for a box', async (t) => {
  const key = boxB.publicKeyHex;
  const rows: readonly [string, string, string][] = [
    ['empty', '', 'box-key-form'],
    ['short', key.slice(1), 'box-key-form'],
    ['long', `${key}0`, 'box-key-form'],
    ['odd letter', `g${key.slice(1)}`, 'box-key-form'],
    ['blank', ` ${key.slice(1)}`, 'box-key-form'],
    ['line end', `${key}\n`, 'box-key-form'],
    ['digits of another script', `\u0661${key.slice(1)}`, 'box-key-form'],
    ['a point of order 4', '00'.repeat(32), 'box-key-weak'],
    ['a point of order 1', `01${'00'.repeat(31)}`, 'box-key-weak'],
    [
      'a point of order 8',
      'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
      'box-key-weak',
    ],
    [
      'another of order 8',
      '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
      'box-key-weak',
    ],
    ['p - 1', `ec${'ff'.repeat(30)}7f`, 'box-key-weak'],
    ['p, which is 0 in another form', `ed${'ff'.repeat(30)}7f`, 'box-key-weak'],
    ['p + 1, which is 1', `ee${'ff'.repeat(30)}7f`, 'box-key-weak'],
  ];
  for (const [name, text, reason] of rows) {
    t.strictSame(openBoxSession(boxA, text), { ok: false, reason }, name);
  }
});

t.test('malformed and forged boxes', async (t) => {
  const wire = vectors.box.wire;
  const bytes = Buffer.from(wire, 'base64');
  const otherKeys = boxKeyPair(new Uint8Array(32).fill(3));
  const sealed = (text: string): string => fromA.encrypt(text, counting);
  const rows: readonly [string, readonly string[], string][] = [
    ['no argument', [], 'box-form'],
    ['empty', [''], 'box-form'],
    ['not base64', ['!!!!'], 'box-form'],
    ['39 bytes', [bytes.subarray(0, 39).toString('base64')], 'box-form'],
    ['40 bytes', [bytes.subarray(0, 40).toString('base64')], 'box-forged'],
    ['more than a line holds', ['A'.repeat(40_004)], 'box-form'],
    ['cut', [bytes.subarray(0, -1).toString('base64')], 'box-forged'],
    ['longer', [Buffer.concat([bytes, bytes]).toString('base64')], 'box-forged'],
    [
      'of another key',
      [session(otherKeys, boxB.publicKeyHex).encrypt('x', counting)],
      'box-forged',
    ],
  ];
  for (const [name, args, reason] of rows) {
    t.strictSame(fromB.decrypt(args), { ok: false, reason }, name);
  }
  for (let bit = 0; bit < bytes.length * 8; bit += 7) {
    const turned = Buffer.from(bytes);
    turned[bit >> 3] = (turned[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    const read = fromB.decrypt([turned.toString('base64')]);
    if (read.ok) t.fail(`read with bit ${bit} flipped`);
  }
  t.strictSame(fromB.decrypt([wire.slice(0, 20), wire.slice(20)]).ok, true, 'arguments are joined');
  t.strictSame(fromB.decrypt([wire.replace(/=+$/, '')]).ok, true, 'padding may be missing');
  const long = 'x'.repeat(20_000);
  t.strictSame(fromB.decrypt([sealed(long)]), { ok: true, value: long });
  const { default: nacl } = await import('tweetnacl');
  for (const raw of [[], [0xff], [0x41, 0x0a], [0x00]]) {
    const key = nacl.box.before(hexToBytes(boxA.publicKeyHex), boxB.secretKey);
    const box = nacl.box.after(Uint8Array.from(raw), counting(24), key);
    const made = Buffer.concat([counting(24), box]).toString('base64');
    t.strictSame(fromB.decrypt([made]), { ok: false, reason: 'box-text' }, `bytes ${raw.join()}`);
  }
  holds(
    t,
    'any arguments',
    fc.property(fc.array(unicodeText()), (args) => !fromB.decrypt(args).ok),
  );
  holds(
    t,
    'round trip',
    fc.property(
      fc.string({ minLength: 1, maxLength: 300 }),
      fc.uint8Array({ minLength: 24, maxLength: 24 }),
      (text, nonce) => {
        const read = fromB.decrypt([fromA.encrypt(text, () => nonce)]);
        return read.ok && read.value === text;
      },
    ),
  );
});

t.test('the cost of boxes', async (t) => {
  const rounds = 20;
  const cost = (run: () => void): string => {
    const before = process.cpuUsage().user;
    for (let i = 0; i < rounds; i++) run();
    return ((process.cpuUsage().user - before) / rounds / 1000).toFixed(2);
  };
  const opening = cost(() => session(boxA, boxB.publicKeyHex));
  const reading = cost(() => fromB.decrypt([vectors.box.wire]));
  t.comment(`CPU ms: session ${opening}, box read ${reading}`);
  t.equal(fromB.decrypt([vectors.box.wire]).ok, true);
});

t.test('outpoints', async (t) => {
  const txid = 'ab'.repeat(32);
  const good: readonly [string, unknown][] = [
    [`${txid}:0`, { txid, vout: 0 }],
    [`${txid.toUpperCase()}:4294967295`, { txid, vout: 4294967295 }],
    [
      `${txid}:1:0014${'CD'.repeat(20)}:840000`,
      {
        txid,
        vout: 1,
        metadata: { scriptPubKeyHex: `0014${'cd'.repeat(20)}`, blockHeight: 840000 },
      },
    ],
  ];
  for (const [text, value] of good) t.strictSame(parseOutpoint(text), { ok: true, value });
  const bad: readonly string[] = [
    '',
    ':',
    txid,
    `${txid}:`,
    `:0`,
    `${txid}:-1`,
    `${txid}:+1`,
    `${txid}:01`,
    `${txid}:0x1`,
    `${txid}:1e1`,
    `${txid}: 1`,
    `${txid}:1.0`,
    `${txid}:4294967296`,
    `${txid}:${'9'.repeat(400)}`,
    `${txid}:\u0661`,
    `${txid.slice(1)}:0`,
    `${txid}a:0`,
    `${txid.slice(1)}g:0`,
    `${txid}:0:`,
    `${txid}:0:0014`,
    `${txid}:0::1`,
    `${txid}:0:001:1`,
    `${txid}:0:00zz:1`,
    `${txid}:0:0014:-1`,
    `${txid}:0:0014:4294967296`,
    `${txid}:0:${'00'.repeat(521)}:1`,
    `${txid}:0:0014:1:2`,
    `${txid}:0:0014:1:`,
  ];
  for (const text of bad) {
    t.strictSame(parseOutpoint(text), { ok: false, reason: 'outpoint-form' }, text.slice(0, 90));
  }
  holds(
    t,
    'round trip',
    fc.property(
      fc.uint8Array({ minLength: 32, maxLength: 32 }),
      fc.integer({ min: 0, max: 0xffffffff }),
      (bytes, vout) => {
        const read = parseOutpoint(formatOutpoint({ txid: bytesToHex(bytes), vout }));
        return read.ok && read.value.txid === bytesToHex(bytes) && read.value.vout === vout;
      },
    ),
  );
  holds(
    t,
    'round trip of the extended form, and a cut form is never the same coin',
    fc.property(
      fc.uint8Array({ minLength: 32, maxLength: 32 }),
      fc.integer({ min: 0, max: 0xffffffff }),
      fc.uint8Array({ minLength: 1, maxLength: 520 }),
      fc.integer({ min: 0, max: 0xffffffff }),
      fc.nat(),
      (bytes, vout, script, blockHeight, cut) => {
        const metadata = { scriptPubKeyHex: bytesToHex(script), blockHeight };
        const coin = { txid: bytesToHex(bytes), vout, metadata };
        const text = formatNamedOutpoint(coin);
        t.strictSame(parseOutpoint(text), { ok: true, value: coin });
        t.strictSame(parseOutpoint(text.toUpperCase()), { ok: true, value: coin });
        // A cut text is refused or is a shorter outpoint, never this coin with other metadata.
        const part = parseOutpoint(text.slice(0, cut % text.length));
        return !part.ok || formatNamedOutpoint(part.value).length < text.length;
      },
    ),
  );
  holds(
    t,
    'any text',
    fc.property(unicodeText(), (text) => !parseOutpoint(text).ok),
  );
  holds(
    t,
    'any text after an outpoint',
    fc.property(unicodeText(), (text) => {
      const read = parseOutpoint(`${txid}:1${text}`);
      return !read.ok || /^\d*$|^:[0-9a-f]+:\d+$/i.test(text);
    }),
  );
});

t.test('the features after a key', (t) => {
  const table: readonly (readonly [string, readonly string[]])[] = [
    ['features=neutrino_compat', ['neutrino_compat']],
    ['features=a,neutrino_compat', ['a', 'neutrino_compat']],
    ['other features=a features=b', ['a']],
    ['features=', []],
    ['features=A,b c,,d+e,f', ['f']],
    ['Features=a', []],
    ['neutrino_compat', []],
    ['', []],
    [`features=${'a,'.repeat(40)}neutrino_compat`, Array.from({ length: 32 }, () => 'a')],
    ['features=b!a', []],
  ];
  for (const [text, names] of table) {
    const args = text.replace('b c', 'b;c').split(' ');
    t.strictSame(parseFeatures(args), names, text);
  }
  t.equal(formatFeatures([]), '');
  t.equal(formatFeatures(['b', 'a']), 'features=a,b');
  holds(
    t,
    'round trip',
    fc.property(
      fc.uniqueArray(fc.stringMatching(/^[a-z0-9_]{1,64}$/), { maxLength: 32 }),
      (names) => {
        t.strictSame(parseFeatures([formatFeatures(names)]), names.toSorted());
      },
    ),
  );
  holds(
    t,
    'any arguments',
    fc.property(fc.array(unicodeText()), (args) =>
      parseFeatures([...args, `features=${args.join(',')}`]).every((name) =>
        /^[a-z0-9_]{1,64}$/.test(name),
      ),
    ),
  );
  t.end();
});

const negated = (point: string): string => (point.startsWith('02') ? '03' : '02') + point.slice(2);

const coin = { txid: 'aa'.repeat(32), vout: 7 };
const coinKey = hexToBytes(vectors.podle.key);

/** The revelation of a vector row, made with a random nonce by another implementation. */
function revealed(row: (typeof vectors.podle.rows)[number]): PodleRevelation {
  const text = [vectors.podle.utxo, vectors.podle.p, row.p2, row.s, row.e].join('|');
  const read = parseRevelation(text);
  if (!read.ok) throw new Error(read.reason);
  t.equal(formatRevelation(read.value), text);
  return read.value;
}

t.test('NUMS points', async (t) => {
  for (const [index, point] of vectors.podle.nums) {
    if (typeof index === 'number') t.equal(numsPoint(index), point, `point ${index}`);
  }
  t.equal(new Set(Array.from({ length: 256 }, (_, i) => numsPoint(i))).size, 256);
  for (const index of [-1, 256, 0.5, NaN]) t.throws(() => numsPoint(index), RangeError);
});

t.test('PoDLE of the vectors', async (t) => {
  for (const row of vectors.podle.rows) {
    const revelation = revealed(row);
    t.strictSame(verifyPodle(revelation, row.commitment), { ok: true, value: row.index });
    if (row.index > 0) {
      const narrow = verifyPodle(revelation, row.commitment, row.index);
      t.strictSame(narrow, { ok: false, reason: 'podle-proof' }, `not among ${row.index} points`);
    }
    const made = createPodle(coinKey, coin, row.index);
    t.equal(made.commitment, row.commitment);
    t.equal(made.revelation.p, vectors.podle.p);
    t.equal(made.revelation.p2, row.p2);
    t.not(made.revelation.s, row.s, 'with another nonce');
    t.strictSame(verifyPodle(made.revelation, made.commitment), { ok: true, value: row.index });
  }
  // The commitment is of the key and the index alone.
  const commitments = [
    '8fbe8cd0007a3f7074bba3dca8cfe7876428ade0305f90c697a0117b6dd18806',
    'fd868e05c14072c422812804f12e653527c802f74097f1f8fb6f5f14e7a76639',
    'ad36aab7cc6fd16947f4604962e8a436196b0f74bce31b975f2d7086c0a04428',
  ];
  for (const [number, commitment] of commitments.entries()) {
    const { revelation, ...other } = createPodle(new Uint8Array(32).fill(0xaa), coin, number);
    t.equal(other.commitment, commitment);
    t.equal(revelation.p, '026a04ab98d9e4774ad806e302dddeb63bea16b5cb5f223ee77478e861bb583eb3');
  }
  const { key, txid, vout, index, commitment, s, e } = vectors.podle.deterministic;
  const made = createPodle(hexToBytes(key), { txid, vout }, index);
  t.match(made, { commitment, index, revelation: { s, e, utxo: { txid, vout } } });
  t.strictSame(createPodle(hexToBytes(key), { txid, vout }, index), made, 'deterministic');
  const nonces = new Set(
    [0, 1, 2].flatMap((i) =>
      [0, 1].map((output) => createPodle(coinKey, { ...coin, vout: output }, i).revelation.e),
    ),
  );
  t.equal(nonces.size, 6, 'each coin and index has its own challenge');
  const beyond = createPodle(coinKey, coin, PODLE_RETRIES);
  t.equal(verifyPodle(beyond.revelation, beyond.commitment).ok, false, 'a fourth use is refused');
  for (const bad of [0, 31, 33]) {
    t.throws(() => createPodle(new Uint8Array(bad).fill(1), coin, 0), RangeError);
  }
  for (const bad of [0n, N, 2n ** 256n - 1n]) {
    t.throws(() => createPodle(hexToBytes(hex32(bad)), coin, 0), RangeError);
  }
  t.throws(() => createPodle(coinKey, coin, 256), RangeError);
});

t.test('commitments', async (t) => {
  const digits = 'ab'.repeat(32);
  t.strictSame(parseCommitment(formatCommitment(digits)), { ok: true, value: digits });
  t.strictSame(parseCommitment(`P${digits.toUpperCase()}`), { ok: true, value: digits });
  t.strictSame(parseBareCommitment(digits.toUpperCase()), { ok: true, value: digits });
  const rows: readonly [string, string][] = [
    ['', 'commitment-type'],
    [digits, 'commitment-type'],
    [`p${digits}`, 'commitment-type'],
    ['P', 'commitment-form'],
    [`P${digits.slice(1)}`, 'commitment-form'],
    [`P${digits}0`, 'commitment-form'],
    [`P${digits.slice(1)}g`, 'commitment-form'],
    [`PP${digits.slice(1)}`, 'commitment-form'],
    [`P${digits}\n`, 'commitment-form'],
    [`P0x${digits.slice(2)}`, 'commitment-form'],
  ];
  for (const [text, reason] of rows) {
    t.strictSame(parseCommitment(text), { ok: false, reason }, JSON.stringify(text));
  }
  t.equal(parseBareCommitment(`P${digits}`).ok, false);
});

t.test('malformed and false revelations', async (t) => {
  const made = createPodle(coinKey, coin, 0);
  const text = formatRevelation(made.revelation);
  const fields = text.split('|');
  const withField = (index: number, value: string): string =>
    fields.map((field, i) => (i === index ? value : field)).join('|');
  const read = parseRevelation(text.toUpperCase());
  t.strictSame(read, { ok: true, value: made.revelation }, 'upper-case hex');
  const p = made.revelation.p;
  const badForms: readonly string[] = [
    '',
    '||||',
    fields.slice(0, 4).join('|'),
    `${text}|`,
    `${text}|00`,
    `${text}\n`,
    ` ${text}`,
    withField(0, 'aa'),
    withField(0, `${coin.txid}:99999999999`),
    withField(1, p.slice(2)),
    withField(1, `04${p.slice(2)}`),
    withField(1, `00${p.slice(2)}`),
    withField(1, `${p}00`),
    withField(1, secp256k1.Point.BASE.toHex(false)),
    withField(2, '00'),
    withField(2, '00'.repeat(33)),
    withField(3, fields[3]?.slice(1) ?? ''),
    withField(3, `${fields[3]}00`),
    withField(3, `0x${fields[3]?.slice(2)}`),
    withField(3, `-${fields[3]?.slice(1)}`),
    withField(4, ''),
    withField(4, 'zz'.repeat(32)),
  ];
  for (const bad of badForms) {
    t.strictSame(parseRevelation(bad), { ok: false, reason: 'revelation-form' }, bad.slice(0, 200));
  }

  const other = createPodle(new Uint8Array(32).fill(5), coin, 0).revelation;
  const second = createPodle(coinKey, coin, 1).revelation;
  const offCurve = `02${hex32(5n)}`;
  // x = 1 is on the curve; here it is written as 1 + p.
  const overField = `02${hex32(secp256k1.Point.CURVE().p + 1n)}`;
  const hostile: readonly [string, Partial<PodleRevelation>, string][] = [
    ['s of zero', { s: hex32(0n) }, 'podle-scalar'],
    ['s of N', { s: hex32(N) }, 'podle-scalar'],
    ['s above N', { s: 'ff'.repeat(32) }, 'podle-scalar'],
    ['e of zero', { e: hex32(0n) }, 'podle-scalar'],
    ['e of N', { e: hex32(N) }, 'podle-scalar'],
    ['e above N', { e: 'ff'.repeat(32) }, 'podle-scalar'],
    ['P off the curve', { p: offCurve }, 'podle-point'],
    ['P above the field', { p: overField }, 'podle-point'],
    ['P2 off the curve', { p2: offCurve }, 'podle-point'],
    ['P2 above the field', { p2: overField }, 'podle-point'],
    ['s of one', { s: hex32(1n) }, 'podle-proof'],
    ['s of N - 1', { s: hex32(N - 1n) }, 'podle-proof'],
    ['e of one', { e: hex32(1n) }, 'podle-proof'],
    ['another key', { p: other.p }, 'podle-proof'],
    ['the proof for another key', { s: other.s, e: other.e }, 'podle-proof'],
    ['the proof for another index', { s: second.s, e: second.e }, 'podle-proof'],
    ['the point for another index', { p2: second.p2 }, 'podle-proof'],
    ['-P', { p: negated(p) }, 'podle-proof'],
    ['-P2', { p2: negated(made.revelation.p2) }, 'podle-proof'],
    ['P is G', { p: secp256k1.Point.BASE.toHex(true) }, 'podle-proof'],
    ['P2 is P', { p2: p }, 'podle-proof'],
    // With P = G and s = e the point KG would be infinity; with P2 = J0 so would KJ.
    [
      'KG at infinity',
      { p: secp256k1.Point.BASE.toHex(true), s: hex32(9n), e: hex32(9n) },
      'podle-proof',
    ],
    ['KJ at infinity', { p2: numsPoint(0), s: hex32(9n), e: hex32(9n) }, 'podle-proof'],
  ];
  for (const [name, change, reason] of hostile) {
    const revelation = { ...made.revelation, ...change };
    const commitment = sha256Hex(revelation.p2);
    t.strictSame(verifyPodle(revelation, commitment), { ok: false, reason }, name);
  }
  for (const commitment of ['', '00'.repeat(32), made.commitment.toUpperCase(), sha256Hex(p)]) {
    const result = verifyPodle(made.revelation, commitment);
    t.strictSame(result, { ok: false, reason: 'podle-commitment' }, commitment);
  }
  t.equal(verifyPodle(made.revelation, made.commitment, 0).ok, false, 'no retries allowed');

  holds(
    t,
    'any text',
    fc.property(unicodeText(), (any) => !parseRevelation(any).ok),
  );
  const scalar = fc.bigInt({ min: 1n, max: N - 1n });
  const digits = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => bytesToHex(bytes));
  holds(
    t,
    'well-formed fields without a proof',
    fc.property(fc.boolean(), digits, digits, digits, digits, (odd, x, x2, s, e) => {
      const revelation = { utxo: coin, p: `02${x}`, p2: `0${odd ? 3 : 2}${x2}`, s, e };
      const parsed = parseRevelation(formatRevelation(revelation));
      return parsed.ok && !verifyPodle(parsed.value, sha256Hex(revelation.p2)).ok;
    }),
  );
  holds(
    t,
    'made, written, read, verified',
    fc.property(scalar, digits, fc.nat(0xffff), fc.nat(2), (x, txid, vout, index) => {
      const podle = createPodle(hexToBytes(hex32(x)), { txid, vout }, index);
      const parsed = parseRevelation(formatRevelation(podle.revelation));
      if (!parsed.ok) return false;
      const verified = verifyPodle(parsed.value, podle.commitment);
      return verified.ok && verified.value === index;
    }),
    20,
  );

  const rounds = 40;
  const before = process.cpuUsage().user;
  for (let i = 0; i < rounds; i++) verifyPodle(made.revelation, made.commitment);
  const between = process.cpuUsage().user;
  const failing = { ...made.revelation, e: other.e };
  for (let i = 0; i < rounds; i++) verifyPodle(failing, made.commitment);
  const perValid = (between - before) / rounds / 1000;
  const perFailing = (process.cpuUsage().user - between) / rounds / 1000;
  t.comment(`CPU ms per verification: ${perValid.toFixed(2)}, refused ${perFailing.toFixed(2)}`);
});
