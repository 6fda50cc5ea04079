/** The engine: validity, binding, revocation, uses, sessions, rates; attempts at codes that a person chose. */
import { createHash } from 'node:crypto';
import * as fc from 'fast-check';
import t from 'tap';
import { REASON_TEXT, type AuditEntry, type Decision } from '../../src/admission/api.js';
import { Attempts } from '../../src/admission/attempts.js';
import { HashLines, hashLine, parseHashLines } from '../../src/admission/backends/hash-lines.js';
import { StaticList } from '../../src/admission/backends/static-list.js';
import { formatCodeFile, parseCodeFile } from '../../src/admission/code-record.js';
import { madeCodeId, MAX_CODE_BYTES } from '../../src/admission/code-text.js';
import { AdmissionEngine } from '../../src/admission/engine.js';
import { codeInHeader, pageDoor } from '../../src/admission/page-door.js';
import { bookOf, chosenCode, KEY, madeCode, NOW, request, SALT } from './sample.js';

const HOUR = 3_600_000;
const at = (decision: Decision | Promise<Decision>): Decision => {
  if (decision instanceof Promise) throw new Error('decided later');
  return decision;
};

t.test('each limit of a code that we make', (t) => {
  const OTHER = { address: 'other.loki' };
  const CASES = [
    ['valid', {}, {}, 'OKAY', 'admitted'],
    ['before its time', { notBefore: NOW + 1 }, {}, 'REJECT', 'not-yet'],
    ['from its time on', { notBefore: NOW }, {}, 'OKAY', 'admitted'],
    ['at its end', { notAfter: NOW }, {}, 'REJECT', 'expired'],
    ['until its end', { notAfter: NOW + 1 }, {}, 'OKAY', 'admitted'],
    ['revoked', { revoked: NOW - 1 }, {}, 'REJECT', 'revoked'],
    ['bound to another address', { addresses: ['client.loki'] }, OTHER, 'REJECT', 'other-address'],
    ['bound to this address', { addresses: ['x.loki', 'client.loki'] }, {}, 'OKAY', 'admitted'],
    [
      'bound to the location of a nick',
      { addresses: ['a.onion'] },
      { address: 'J5nick', aliases: ['A.onion'] },
      'OKAY',
      'admitted',
    ],
    [
      'bound to a nick in another case',
      { addresses: ['J5nick'] },
      { address: 'J5Nick' },
      'REJECT',
      'other-address',
    ],
  ] as const;
  for (const [name, terms, asked, verdict, reason] of CASES) {
    const { text, record, id } = madeCode(terms);
    const engine = new AdmissionEngine({ backend: bookOf([record]) });
    t.same(at(engine.decide(request(text, asked))), { verdict, reason, codeId: id }, name);
  }
  t.end();
});

t.test('PAYME where the operator wants it', (t) => {
  const { text, record } = madeCode({ notAfter: NOW });
  const engine = new AdmissionEngine({ backend: bookOf([record]), payme: true });
  t.match(at(engine.decide(request(text))), { verdict: 'PAYME', reason: 'expired' });
  t.end();
});

t.test('a wrong, foreign or malformed code', (t) => {
  const { record, id, text } = madeCode();
  const wrong = `${text.slice(0, -1)}${text.endsWith('a') ? 'b' : 'a'}`;
  const engine = new AdmissionEngine({ backend: bookOf([record]) });
  const CASES = [
    [wrong, 'unknown-code'],
    [`omc-${'a'.repeat(8)}-${'a'.repeat(26)}`, 'unknown-code'],
    ['', 'no-code'],
    ['password', 'unknown-code'],
    ['x'.repeat(MAX_CODE_BYTES + 1), 'malformed'],
  ] as const;
  for (const [code, reason] of CASES) {
    const decision = at(engine.decide(request(code)));
    t.match(decision, { verdict: 'REJECT', reason });
    t.equal(decision.codeId, undefined, 'an id that was only guessed is not named');
  }
  t.equal(at(engine.decide(request(text, { address: 'a b' }))).reason, 'malformed');
  t.equal(madeCodeId(Buffer.from(wrong)), id);
  t.end();
});

t.test('most uses, most at a time, most requests in a minute', (t) => {
  const uses = madeCode({ maxUses: 2 });
  const atOnce = madeCode({ maxConcurrent: 1 });
  const rate = madeCode({ perMinute: 3 });
  const engine = new AdmissionEngine({
    backend: bookOf([uses.record, atOnce.record, rate.record], { sessionMs: HOUR }),
  });
  const ask = (text: string, address: string, now = NOW): string =>
    at(engine.decide(request(text, { address, now }))).reason;
  t.equal(ask(uses.text, 'a'), 'admitted');
  t.equal(ask(uses.text, 'a', NOW + 1), 'admitted', 'a session that asks again is no second use');
  t.equal(ask(uses.text, 'b'), 'admitted');
  t.equal(ask(uses.text, 'c'), 'used-up');
  t.equal(ask(uses.text, 'a', NOW + 2 * HOUR), 'used-up', 'after its end it would be a new use');

  t.equal(ask(atOnce.text, 'a'), 'admitted');
  t.equal(ask(atOnce.text, 'b'), 'concurrent');
  engine.left({ door: 'lokinet', session: 'a', codeId: atOnce.id });
  t.equal(ask(atOnce.text, 'b'), 'admitted', 'after the end of the first');
  t.equal(ask(atOnce.text, 'c', NOW + HOUR + 1), 'admitted', 'a silent session ends by itself');
  t.equal(ask(atOnce.text, 'd', NOW + HOUR + 2), 'concurrent');
  t.ok(engine.stays({ door: 'lokinet', session: 'c', codeId: atOnce.id }, NOW + 1.9 * HOUR));
  t.equal(ask(atOnce.text, 'd', NOW + 2.5 * HOUR), 'concurrent', 'a session that lasts is counted');

  for (let i = 0; i < 3; i++) t.equal(ask(rate.text, 'a'), 'admitted');
  t.equal(ask(rate.text, 'a'), 'rate');
  t.equal(ask(rate.text, 'a', NOW + 60_000), 'admitted');
  t.end();
});

t.test('who may stay: not after a revocation, an end, or a removal', (t) => {
  const { record, id } = madeCode({ notAfter: NOW + HOUR });
  const book = bookOf([record]);
  const held = { door: 'handshake', session: 'J5nick', codeId: id } as const;
  t.ok(book.stays(held, NOW));
  t.notOk(book.stays(held, NOW + HOUR), 'expired');
  book.replace({ key: KEY, salt: SALT, codes: [{ ...record, revoked: NOW }] });
  t.notOk(book.stays(held, NOW), 'revoked');
  book.replace({ key: KEY, salt: SALT, codes: [] });
  t.notOk(book.stays(held, NOW), 'removed');
  t.notOk(book.stays({ ...held, codeId: undefined }, NOW), 'never had one');
  t.end();
});

t.test(
  'chosen codes: scrypt, attempts by address and in total, no scrypt for a client that is known',
  async (t) => {
    const record = await chosenCode('correct horse');
    const made = madeCode();
    const log: AuditEntry[] = [];
    const engine = new AdmissionEngine({
      backend: bookOf([record, made.record]),
      attempts: { burst: 2, everySec: 60, totalBurst: 4, totalPerSec: 0.001 },
      onDecision: (entry) => log.push(entry),
    });
    const ask = async (code: string, address: string, now = NOW): Promise<string> =>
      (await engine.decide(request(code, { address, now }))).reason;
    t.equal(await ask('correct horse', 'a'), 'admitted');
    t.equal(
      at(engine.decide(request('correct horse', { address: 'a' }))).reason,
      'admitted',
      'at once',
    );
    t.equal(await ask('wrong code 1', 'b'), 'unknown-code');
    t.equal(await ask('wrong code 2', 'b'), 'unknown-code');
    t.equal(await ask('correct horse', 'b'), 'attempts', 'also a right one is not tried');
    t.equal(await ask('wrong code 3', 'b', NOW + 60_000), 'unknown-code', 'one more each minute');
    t.equal(await ask('wrong code 4', 'c'), 'unknown-code');
    t.equal(await ask('wrong code 5', 'd'), 'attempts', 'the total is used up');
    t.equal(await ask(made.text, 'd'), 'admitted', 'codes that we make are not affected');
    t.equal(await ask('correct horse', 'a'), 'admitted', 'nor is a client that is known');
    t.notMatch(JSON.stringify(log), /horse|wrong code|omc-/, 'the audit has no code');
  },
);

t.test('the cost of a flood of wrong chosen codes is bounded', async (t) => {
  const engine = new AdmissionEngine({
    backend: bookOf([await chosenCode('correct horse')]),
    attempts: { burst: 5, everySec: 60, totalBurst: 50, totalPerSec: 0.001 },
  });
  const answers = await Promise.all(
    Array.from({ length: 500 }, async (_, i) =>
      engine.decide(request(`wrong ${i}`, { address: `a${i}` })),
    ),
  );
  const count = (reason: string): number => answers.filter((each) => each.reason === reason).length;
  t.equal(count('attempts'), 450, 'over the total');
  t.equal(count('busy'), 18, 'over the queue of scrypt');
  t.equal(count('unknown-code'), 32, 'the queue of scrypt');
});

t.test('attempts never exceed the limits, whatever the order', (t) => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ address: fc.constantFrom('a', 'b', 'c'), wait: fc.nat(5_000) }), {
        maxLength: 60,
      }),
      (asks) => {
        const limits = { burst: 3, everySec: 10, totalBurst: 5, totalPerSec: 0.2 };
        const attempts = new Attempts(limits);
        let now = NOW;
        const taken: string[] = [];
        for (const { address, wait } of asks) {
          now += wait;
          if (attempts.take(address, now)) taken.push(address);
        }
        const seconds = (now - NOW) / 1_000;
        const own = (name: string) => taken.filter((each) => each === name).length;
        return (
          taken.length <= limits.totalBurst + seconds * limits.totalPerSec + 1 &&
          ['a', 'b', 'c'].every((name) => own(name) <= limits.burst + seconds / limits.everySec + 1)
        );
      },
    ),
  );
  t.end();
});

t.test("the guide's lines of SHA-256", async (t) => {
  const code = Buffer.from('code goes here');
  const line = createHash('sha256')
    .update(`${code.toString('base64')}\n`)
    .digest('hex');
  t.equal(hashLine(code), line);
  const { hashes, ignored } = parseHashLines(`${line}\n${'b'.repeat(64)}  -\n# no hash\n\n`);
  t.equal(hashes.size, 2);
  t.equal(ignored, 1);
  const lines = new HashLines(hashes);
  const engine = new AdmissionEngine({
    backend: lines,
    attempts: { burst: 2, everySec: 60, totalBurst: 9, totalPerSec: 1 },
  });
  const ask = async (text: string, address: string) =>
    (await engine.decide(request(text, { address }))).reason;
  t.equal(await ask('code goes here', 'a'), 'admitted');
  t.equal(await ask('other', 'b'), 'unknown-code');
  t.equal(await ask('other too', 'b'), 'unknown-code');
  t.equal(await ask('code goes here', 'b'), 'attempts', 'guessing is limited');
  t.equal(await ask('code goes here', 'a'), 'admitted');
  lines.replace(new Set());
  t.equal(await ask('code goes here', 'a'), 'unknown-code', 'after the line was removed');
});

t.test('a fixed list of codes and addresses', async (t) => {
  const engine = new AdmissionEngine({
    backend: new StaticList({ codes: ['one', 'two'], addresses: ['friend.loki'] }),
  });
  const ask = async (text: string, address: string) =>
    (await engine.decide(request(text, { address }))).reason;
  t.equal(await ask('', 'friend.loki'), 'admitted');
  t.equal(await ask('', 'x.loki'), 'no-code');
  t.equal(await ask('two', 'x.loki'), 'admitted');
  t.equal(await ask('three', 'x.loki'), 'unknown-code');
});

t.test('a code file is read back, and anything else is a fault', (t) => {
  const { record } = madeCode({ maxUses: 3, notAfter: NOW, addresses: ['a.loki'] });
  const content = { key: KEY, salt: SALT, codes: [record] };
  const text = formatCodeFile(content);
  const read = parseCodeFile(text);
  t.ok(read.ok);
  if (read.ok) {
    t.match(read.value.codes, [record]);
    t.same(parseCodeFile(formatCodeFile(read.value)), read);
  }
  const FAULTS = [
    ['{', 'json'],
    ['{"version": 2}', 'version'],
    [text.replace(record.hash, 'zz'), 'hash'],
    [text.replace('"maxUses": 3', '"maxUses": 0'), 'number'],
    [text.replace('"made"', '"other"'), 'kind'],
    [text.replace('a.loki', 'a b'), 'addresses'],
    [formatCodeFile({ ...content, codes: [record, record] }), 'twice'],
    [text.replace(/"key": ".{4}/, '"key": "'), 'key'],
  ] as const;
  for (const [bad, reason] of FAULTS) t.same(parseCodeFile(bad), { ok: false, reason });
  fc.assert(fc.property(fc.json(), (json) => typeof parseCodeFile(json).ok === 'boolean'));
  t.end();
});

const basic = (pair: string): string => `Basic ${Buffer.from(pair).toString('base64')}`;
const shown = (header: string | undefined): string | undefined => {
  const code = codeInHeader(header);
  return code && Buffer.from(code).toString();
};

t.test('the code of a page comes in an Authorization header only', async (t) => {
  t.equal(shown('Bearer abc'), 'abc');
  t.equal(shown('bearer  abc'), 'abc');
  t.equal(shown(basic('anyone:a:b')), 'a:b');
  t.equal(shown(basic(':abc')), 'abc');
  for (const bad of [
    undefined,
    '',
    'Bearer',
    'Bearer ',
    'Digest abc',
    basic('abc'),
    basic('a:'),
    'Basic !!',
    `Bearer ${'x'.repeat(2_000)}`,
  ]) {
    t.equal(shown(bad), undefined);
  }
  const { text, record } = madeCode();
  const door = pageDoor(new AdmissionEngine({ backend: bookOf([record]) }), () => NOW);
  t.equal(door(`Bearer ${text}`, '::1'), true);
  t.equal(door(`Bearer ${text.slice(0, -1)}${text.endsWith('a') ? 'b' : 'a'}`, '::1'), false);
  t.equal(door(undefined, '::1'), false);
});

t.test('every reason has a text', (t) => {
  for (const text of Object.values(REASON_TEXT)) t.match(text, /^[\x20-\x7e]+$/);
  t.end();
});
