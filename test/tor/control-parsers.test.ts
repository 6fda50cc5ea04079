import * as fc from 'fast-check';
import t from 'tap';
import { parseControlEndpoint, formatControlEndpoint } from '../../src/tor/control/endpoint.js';
import {
  controlReplyParser,
  type ControlMessage,
  type Reply,
} from '../../src/tor/control/reply.js';
import {
  infoValue,
  parseAddedOnion,
  parseAuthChallenge,
  parseBootstrap,
  parseHsDesc,
  parseKeywords,
  parseProtocolInfo,
  parseQuoted,
  parseQuotedList,
  parseTorVersion,
  quote,
} from '../../src/tor/control/values.js';
import { versionAtLeast } from '../../src/kit/version-numbers.js';
import { explainNoPermission } from '../../src/tor/control/cookie-file.js';
import { uploadWatch } from '../../src/tor/onion/descriptor-upload.js';
import { unicodeText } from '../helpers/unicode-text.js';

const bytes = (text: string) => Buffer.from(text, 'latin1');
const reply = (...texts: string[]): Reply => ({
  code: 250,
  lines: texts.map((text) => ({ text })),
});
const HOST = '2bflemtufo2kwoqtnc6umfpe43icesvxdiawxl4fecrtfslxq43yqmad.onion';

/** All messages of a text that is fed in pieces of `size` bytes. */
function parseInPieces(text: string, size: number): ControlMessage[] {
  const parser = controlReplyParser();
  const all = bytes(text);
  const messages: ControlMessage[] = [];
  for (let at = 0; at < all.length; at += size) {
    const pushed = parser.push(all.subarray(at, at + size));
    if (pushed.fault !== undefined) throw new Error(pushed.fault.code);
    messages.push(...pushed.messages);
  }
  return messages;
}

t.test('replies and events', async (t) => {
  const cases: readonly { name: string; text: string; messages: ControlMessage[] }[] = [
    {
      name: 'one line',
      text: '250 OK\r\n',
      messages: [{ kind: 'reply', reply: { code: 250, lines: [{ text: 'OK' }] } }],
    },
    {
      name: 'several lines',
      text: '250-version=0.4.9.11\r\n250 OK\r\n',
      messages: [
        {
          kind: 'reply',
          reply: { code: 250, lines: [{ text: 'version=0.4.9.11' }, { text: 'OK' }] },
        },
      ],
    },
    {
      name: 'a data block: dots unstuffed, lines that look like replies, blank lines',
      text: '250+onions/current=\r\naaa\r\n..bbb\r\n250 OK\r\n\r\n.\r\n250 OK\r\n',
      messages: [
        {
          kind: 'reply',
          reply: {
            code: 250,
            lines: [{ text: 'onions/current=', data: 'aaa\n.bbb\n250 OK\n' }, { text: 'OK' }],
          },
        },
      ],
    },
    {
      name: 'an event between two replies, and bare LF',
      text: '250 OK\n650 STATUS_CLIENT NOTICE ENOUGH_DIR_INFO\n510 no\n',
      messages: [
        { kind: 'reply', reply: { code: 250, lines: [{ text: 'OK' }] } },
        { kind: 'event', keyword: 'STATUS_CLIENT', text: 'NOTICE ENOUGH_DIR_INFO' },
        { kind: 'reply', reply: { code: 510, lines: [{ text: 'no' }] } },
      ],
    },
    {
      name: 'an event in the middle of a reply',
      text: '250-a=1\r\n650 HS_DESC x\r\n250 OK\r\n',
      messages: [
        { kind: 'event', keyword: 'HS_DESC', text: 'x' },
        { kind: 'reply', reply: { code: 250, lines: [{ text: 'a=1' }, { text: 'OK' }] } },
      ],
    },
    {
      name: 'an event of several lines with data',
      text: '650+HS_DESC_CONTENT a b\r\nl1\r\nl2\r\n.\r\n650 OK\r\n',
      messages: [{ kind: 'event', keyword: 'HS_DESC_CONTENT', text: 'a b\nl1\nl2\nOK' }],
    },
    {
      name: 'an event without text',
      text: '650 SIGNAL\r\n',
      messages: [{ kind: 'event', keyword: 'SIGNAL', text: '' }],
    },
    {
      name: 'an empty text',
      text: '250 \r\n',
      messages: [{ kind: 'reply', reply: { code: 250, lines: [{ text: '' }] } }],
    },
  ];
  for (const { name, text, messages } of cases) {
    for (const size of [1, 2, 3, 7, 1000]) {
      t.strictSame(parseInPieces(text, size), messages, `${name}, ${size} bytes at a time`);
    }
  }
});

t.test('a line that is not a reply is a fault, after the messages before it', async (t) => {
  for (const line of ['HTTP/1.0 501 Tor', '250', '250=x', '', '25 OK', '050 no', 'x'.repeat(300)]) {
    const parser = controlReplyParser();
    const pushed = parser.push(bytes(`250 OK\r\n${line}\r\n250 OK\r\n`));
    t.equal(pushed.messages.length, 1, JSON.stringify(line.slice(0, 20)));
    t.strictSame(pushed.fault, { code: 'malformed-line', excerpt: line.slice(0, 80) });
    t.strictSame(
      parser.push(bytes('250 OK\r\n')),
      { messages: [], fault: pushed.fault },
      'and stays one',
    );
  }
});

const lineOf = (length: number) => '250 '.padEnd(length, 'x');

t.test('bounds', async (t) => {
  const limits = { maxLineBytes: 100, maxReplyBytes: 1_000 };
  t.equal(controlReplyParser(limits).push(bytes(`${lineOf(100)}\n`)).messages.length, 1);
  t.equal(controlReplyParser(limits).push(bytes(`${lineOf(101)}\n`)).fault?.code, 'line-too-long');
  const endless = controlReplyParser(limits);
  t.equal(endless.push(bytes('9'.repeat(100))).fault, undefined);
  t.equal(endless.push(bytes('9')).fault?.code, 'line-too-long', 'a line that never ends');
  for (const prefix of ['250-x\r\n', '650-x\r\n', '250+x=\r\n', '650+x=\r\n']) {
    const parser = controlReplyParser(limits);
    const more = prefix.includes('+') ? 'data\r\n' : prefix;
    let fault = parser.push(bytes(prefix)).fault;
    let pushes = 0;
    for (; fault === undefined && pushes < 1_000; pushes++) fault = parser.push(bytes(more)).fault;
    t.equal(fault?.code, 'reply-too-large', `${JSON.stringify(prefix)} without an end`);
    t.ok(pushes < 250, `after ${pushes}`);
  }
});

t.test('any bytes in any pieces: no throw, and the same result for all cuts', async (t) => {
  const piece = fc.oneof(
    fc.constantFrom(
      '250 OK\r\n',
      '250-a=b\r\n',
      '250+d=\r\n',
      '.\r\n',
      '650 X y\r\n',
      '\n',
      '..z\r\n',
    ),
    unicodeText({ maxLength: 20 }).map((text) => text.replace(/[^\0-\xff]/g, '?')),
  );
  const limits = { maxLineBytes: 60, maxReplyBytes: 300 };
  fc.assert(
    fc.property(
      fc.array(piece, { maxLength: 30 }),
      fc.integer({ min: 1, max: 9 }),
      (parts, size) => {
        const all = bytes(parts.join(''));
        const whole = controlReplyParser(limits).push(all);
        const parser = controlReplyParser(limits);
        const messages: ControlMessage[] = [];
        let fault: string | undefined;
        for (let at = 0; at < all.length; at += size) {
          const pushed = parser.push(all.subarray(at, at + size));
          messages.push(...pushed.messages);
          fault ??= pushed.fault?.code;
        }
        t.strictSame(messages, whole.messages);
        return fault === whole.fault?.code;
      },
    ),
    { numRuns: 300 },
  );
});

t.test('quoted strings', async (t) => {
  const cases: readonly [string, string, string][] = [
    ['"plain"', 'plain', ''],
    ['"" rest', '', ' rest'],
    ['"a\\"b\\\\c" x', 'a"b\\c', ' x'],
    ['"\\303\\244\\n\\t\\r\\x41\\q"', '\xc3\xa4\n\t\rAq', ''],
  ];
  for (const [text, value, rest] of cases) {
    const parsed = parseQuoted(text);
    t.ok(parsed.ok, text);
    if (!parsed.ok) continue;
    t.equal(Buffer.from(parsed.value.value).toString('latin1'), value);
    t.equal(parsed.value.rest, rest);
  }
  for (const text of ['', 'x', '"', '"a', '"a\\"', '"a\\']) t.notOk(parseQuoted(text).ok, text);
  fc.assert(
    fc.property(fc.string({ unit: 'binary-ascii' }), (text) => {
      const parsed = parseQuoted(quote(text));
      return parsed.ok && Buffer.from(parsed.value.value).toString('latin1') === text;
    }),
  );
  t.strictSame(parseQuotedList('"127.0.0.1:1" "unix:/d/s.sock"'), {
    ok: true,
    value: ['127.0.0.1:1', 'unix:/d/s.sock'],
  });
  t.strictSame(parseQuotedList(''), { ok: true, value: [] });
  t.notOk(parseQuotedList('"a" b').ok);
});

t.test('keywords', async (t) => {
  const parsed = parseKeywords('AUTH A=1 junk B="x y" C= D-E_f=g"h');
  t.ok(parsed.ok);
  if (parsed.ok) {
    t.strictSame(
      [...parsed.value],
      [
        ['A', '1'],
        ['B', 'x y'],
        ['C', ''],
        ['D-E_f', 'g"h'],
      ],
    );
  }
  t.notOk(parseKeywords('A="open').ok);
  t.notOk(parseKeywords(Array.from({ length: 300 }, (_, i) => `k${i}=1`).join(' ')).ok, 'bounded');
});

t.test('PROTOCOLINFO', async (t) => {
  const parsed = parseProtocolInfo(
    reply(
      'PROTOCOLINFO 1',
      'AUTH METHODS=COOKIE,SAFECOOKIE COOKIEFILE="/a \\"b\\"/\\303\\244/c"',
      'VERSION Tor="0.4.9.11"',
      'OK',
    ),
  );
  t.strictSame(parsed, {
    ok: true,
    value: {
      methods: ['COOKIE', 'SAFECOOKIE'],
      cookieFile: Buffer.from('/a "b"/ä/c'),
      torVersion: '0.4.9.11',
    },
  });
  t.strictSame(parseProtocolInfo(reply('PROTOCOLINFO 1', 'AUTH METHODS=NULL', 'OK')), {
    ok: true,
    value: { methods: ['NULL'], cookieFile: undefined, torVersion: undefined },
  });
  for (const bad of [
    reply('OK'),
    reply('PROTOCOLINFO 1', 'OK'),
    reply('PROTOCOLINFO 1', 'AUTH METHODS=', 'OK'),
    reply('PROTOCOLINFO 1', 'AUTH METHODS=COOKIE COOKIEFILE="/x', 'OK'),
    reply('AUTH METHODS=NULL', 'OK'),
  ]) {
    t.notOk(parseProtocolInfo(bad).ok);
  }
});

t.test('AUTHCHALLENGE, ADD_ONION, GETINFO', async (t) => {
  const hash = 'aB'.repeat(32);
  const challenge = parseAuthChallenge(
    reply(`AUTHCHALLENGE SERVERHASH=${hash} SERVERNONCE=${'0'.repeat(64)}`),
  );
  t.strictSame(challenge, {
    ok: true,
    value: { serverHash: Buffer.from(hash, 'hex'), serverNonce: Buffer.alloc(32) },
  });
  for (const text of [
    `AUTHCHALLENGE SERVERHASH=${hash}`,
    `AUTHCHALLENGE SERVERHASH=${hash}00 SERVERNONCE=${hash}`,
    `AUTHCHALLENGE SERVERHASH=zz SERVERNONCE=${hash}`,
    `SERVERHASH=${hash} SERVERNONCE=${hash}`,
    '',
  ]) {
    t.notOk(parseAuthChallenge(reply(text)).ok, text);
  }

  const id = HOST.slice(0, 56);
  const privateKey = `ED25519-V3:${'A'.repeat(86)}==`;
  t.strictSame(parseAddedOnion(reply(`ServiceID=${id}`, `PrivateKey=${privateKey}`, 'OK')), {
    ok: true,
    value: { host: HOST, privateKey },
  });
  t.strictSame(parseAddedOnion(reply(`ServiceID=${id}`, 'OK')), {
    ok: true,
    value: { host: HOST, privateKey: undefined },
  });
  t.strictSame(parseAddedOnion(reply('OK')), { ok: false, reason: 'service-id' });
  t.strictSame(parseAddedOnion(reply(`ServiceID=${id.replace('2', '3')}`, 'OK')), {
    ok: false,
    reason: 'service-id',
  });
  t.strictSame(parseAddedOnion(reply(`ServiceID=${id}`, 'PrivateKey=RSA1024:x', 'OK')), {
    ok: true,
    value: { host: HOST, privateKey: undefined },
  });
  t.equal(infoValue(reply('a=1', 'b=x=y', 'OK'), 'b'), 'x=y');
  t.equal(infoValue({ code: 250, lines: [{ text: 'b=', data: 'l1\nl2' }] }, 'b'), 'l1\nl2');
  t.equal(infoValue(reply('OK'), 'b'), undefined);
});

t.test('HS_DESC', async (t) => {
  const address = HOST.slice(0, 56);
  const base = { host: HOST, reason: undefined, descriptorId: undefined };
  const cases: readonly [string, object][] = [
    [
      `CREATED ${address} UNKNOWN UNKNOWN idid`,
      { ...base, action: 'CREATED', hsDir: 'UNKNOWN', descriptorId: 'idid' },
    ],
    [
      `UPLOAD ${address} UNKNOWN $AB~r3 idid HSDIR_INDEX=77`,
      { ...base, action: 'UPLOAD', hsDir: '$AB~r3', descriptorId: 'idid' },
    ],
    [`UPLOADED ${address} UNKNOWN $AB~r3`, { ...base, action: 'UPLOADED', hsDir: '$AB~r3' }],
    [
      `FAILED ${address} NO_AUTH $AB~r3 idid REASON=UPLOAD_REJECTED`,
      {
        ...base,
        action: 'FAILED',
        hsDir: '$AB~r3',
        descriptorId: 'idid',
        reason: 'UPLOAD_REJECTED',
      },
    ],
    [
      `FAILED ${address} NO_AUTH $AB~r3 REASON=X`,
      { ...base, action: 'FAILED', hsDir: '$AB~r3', reason: 'X' },
    ],
  ];
  for (const [text, value] of cases) t.strictSame(parseHsDesc(text), { ok: true, value }, text);
  for (const text of ['', 'NOPE a b c', 'UPLOADED', 'UPLOADED a b']) t.notOk(parseHsDesc(text).ok);
});

t.test('bootstrap and versions', async (t) => {
  t.strictSame(
    parseBootstrap('NOTICE BOOTSTRAP PROGRESS=5 TAG=conn SUMMARY="Connecting to a relay"'),
    {
      ok: true,
      value: { progress: 5, tag: 'conn', summary: 'Connecting to a relay', warning: undefined },
    },
  );
  const warned = parseBootstrap(
    'WARN BOOTSTRAP PROGRESS=10 TAG=x SUMMARY="S" WARNING="Network is down"',
  );
  t.equal(warned.ok && warned.value.warning, 'Network is down');
  t.strictSame(parseBootstrap('NOTICE CIRCUIT_ESTABLISHED'), { ok: false, reason: 'other' });
  t.strictSame(parseBootstrap('NOTICE BOOTSTRAP PROGRESS=101 TAG=x'), {
    ok: false,
    reason: 'bootstrap',
  });
  const versions: readonly [string, boolean | undefined][] = [
    ['0.4.9.11', true],
    ['0.4.9.2-alpha (git-1234)', true],
    ['0.4.9.1-alpha', false],
    ['0.4.8.17', false],
    ['1.0.0.0', true],
    ['0.4.9', undefined],
    ['garbage', undefined],
    ['0.4.9.2.1', undefined],
  ];
  for (const [text, expected] of versions) {
    const numbers = parseTorVersion(text);
    t.equal(numbers && versionAtLeast(numbers, [0, 4, 9, 2]), expected, text);
  }
});

t.test('no value parser throws, for any text', async (t) => {
  const text = unicodeText({ maxLength: 200 });
  const nearly = fc.tuple(
    fc.constantFrom(
      'AUTH METHODS=',
      'CREATED ',
      'NOTICE BOOTSTRAP ',
      'AUTHCHALLENGE SERVERHASH=',
      'ServiceID=',
    ),
    text,
  );
  fc.assert(
    fc.property(
      fc.oneof(
        text,
        nearly.map(([head, tail]) => head + tail),
      ),
      (line) => {
        for (const parse of [
          parseQuoted,
          parseQuotedList,
          parseKeywords,
          parseHsDesc,
          parseBootstrap,
          parseTorVersion,
        ]) {
          parse(line);
        }
        const asReply = reply('PROTOCOLINFO 1', line);
        for (const parse of [parseProtocolInfo, parseAuthChallenge, parseAddedOnion])
          parse(asReply);
        parseAuthChallenge(reply(line));
      },
    ),
  );
  t.pass('300 lines');
});

t.test('control endpoints', async (t) => {
  const good: readonly [string, number | undefined, string][] = [
    ['127.0.0.1', 9051, '127.0.0.1:9051'],
    ['localhost', 1, 'localhost:1'],
    ['::1', 65_535, '[::1]:65535'],
    ['[::1]', 9051, '[::1]:9051'],
    ['unix:/run/tor/control', undefined, 'unix:/run/tor/control'],
    [' unix:/run/tor/control ', 9051, 'unix:/run/tor/control'],
    ['unix:///run/tor/control', undefined, 'unix:/run/tor/control'],
    ['fe80::1%eth0', 9051, '[fe80::1%eth0]:9051'],
  ];
  for (const [host, port, text] of good) {
    t.equal(formatControlEndpoint(parseControlEndpoint(host, port)), text);
  }
  const bad: readonly [string, number | undefined][] = [
    ['127.0.0.1', undefined],
    ['127.0.0.1', 0],
    ['127.0.0.1', 65_536],
    ['127.0.0.1', 90.5],
    ['', 9051],
    ['a b', 9051],
    ['/run/tor/control', 9051],
    ['unix:run/tor', undefined],
    ['127.0.0.1:9051', 9051],
    ['[::1]:9051', 9051],
    ['[tor]', 9051],
    [`unix:/${'x'.repeat(107)}`, undefined],
  ];
  for (const [host, port] of bad) {
    t.throws(() => parseControlEndpoint(host, port), {
      code: 'bad-endpoint',
      remedy: 'configuration',
    });
  }
});

t.test('a cookie without read permission: the fix matches the owner and the mode', async (t) => {
  const us = { user: 'joe', groups: ['joe', 'users'] };
  const cookie = '/run/tor/control.authcookie';
  const cookieOf = (mode: number, group = 'debian-tor') => ({
    path: cookie,
    owner: 'debian-tor',
    group,
    mode,
  });
  const groupReadable = explainNoPermission(cookie, cookieOf(0o100640), us);
  t.match(
    groupReadable,
    'owned by debian-tor, group debian-tor, mode 0640; we are user joe in groups joe, users',
  );
  t.match(groupReadable, 'Fix: add the user to group debian-tor: sudo usermod -aG debian-tor joe');
  t.notMatch(groupReadable, 'CookieAuthFileGroupReadable');
  t.match(
    explainNoPermission(cookie, cookieOf(0o100600), us),
    'add "CookieAuthFileGroupReadable 1" to torrc',
  );
  t.match(explainNoPermission(cookie, cookieOf(0o100640, 'users'), us), 'Fix: log in again');
  const folder = { path: '/var/lib/tor', owner: 'debian-tor', group: 'debian-tor', mode: 0o42700 };
  t.match(
    explainNoPermission('/var/lib/tor/control_auth_cookie', folder, us),
    /\/var\/lib\/tor is owned by debian-tor, group debian-tor, mode 2700.*CookieAuthFile \/run\/tor/,
  );
  t.match(
    explainNoPermission(cookie, undefined, us),
    `no permission to read the cookie file ${cookie}; we are user joe`,
  );
});

/**
 * A short notation: `C1` created, `U1a` upload of 1 to a, `+a` accepted by a, `-1a` refused, `?1a` not
 * found at a by a client. The directory and the descriptor `r` are rewritten by a filter.
 */
function afterEvents(events: string): string {
  const watch = uploadWatch();
  for (const word of events.split(' ').filter((part) => part !== '')) {
    const [kind = '', ...names] = word;
    const [second = '', third = ''] = names.map((name) => (name === 'r' ? 'redacted' : `$${name}`));
    const event = { host: HOST, reason: undefined };
    if (kind === 'C')
      watch.note({ ...event, action: 'CREATED', hsDir: 'UNKNOWN', descriptorId: second });
    if (kind === 'U')
      watch.note({ ...event, action: 'UPLOAD', hsDir: third, descriptorId: second });
    if (kind === '+')
      watch.note({ ...event, action: 'UPLOADED', hsDir: second, descriptorId: undefined });
    if (kind === '-')
      watch.note({ ...event, action: 'FAILED', hsDir: third, descriptorId: second });
    if (kind === '?') {
      const reason = 'NOT_FOUND';
      watch.note({ ...event, action: 'FAILED', hsDir: third, descriptorId: second, reason });
    }
  }
  const { complete, partly } = watch.progress();
  return complete ? 'complete' : partly ? 'partly' : 'waiting';
}

t.test('when the descriptors of an onion service are published', async (t) => {
  const cases: readonly [string, string][] = [
    ['', 'waiting'],
    ['C1 C2', 'waiting'],
    ['C1 C2 U1a U1b +a +b', 'waiting'],
    ['C1 C2 U1a U1b U2a +a +b', 'waiting'],
    ['C1 C2 U1a U1b U2a +a +b +a', 'complete'],
    ['C1 C2 U1a U1b U2c +a +c', 'partly'],
    ['C1 C2 U1a U1b U2c +a +c -1b', 'complete'],
    ['C1 C2 U1a U1b U2c +a -1b -2c', 'waiting'],
    ['C1 C2 U1a U2a +a -1a', 'waiting'],
    ['C1 C2 U1a U2a U1b +a -1a +b', 'complete'],
    ['C1 C2 U1a U2a U1b -2a +a +b', 'waiting'],
    ['C1 U1a +a', 'complete'],
    ['C1 U1a +a U1a', 'waiting'],
    ['C1 U1a +a U1a +a', 'complete'],
    ['C1 U1a U1a +a', 'complete'],
    ['C1 +a -1a -9z', 'waiting'],
    ['C1 U1a ?1a', 'waiting'],
    ['C1 U1a ?1a +a', 'complete'],
    // A filter drops CREATED, or rewrites the ids, so the uploads cannot be told apart.
    ['U1a U1b', 'waiting'],
    ['U1a U1b +a +b', 'partly'],
    ['Urr Urr', 'waiting'],
    ['Urr +r', 'partly'],
    ['Cr Urr +r Urr +r', 'partly'],
    ['+r', 'partly'],
    ['Urr -1b', 'waiting'],
  ];
  for (const [events, expected] of cases) t.equal(afterEvents(events), expected, events);
  const ids = Array.from({ length: 2_000 }, (_, i) => String.fromCharCode(0x100 + i));
  const flood = ids.map((id) => `C${id}`);
  const uploads = ids.slice(0, 16).map((id) => `U${id}${id} +${id}`);
  t.equal(afterEvents([...flood, ...uploads].join(' ')), 'complete', 'only the first 16 are kept');
});
