/** Sections 1 and 2 of docs/protocol.md: lines, envelopes, message numbers. */
import { createHash } from 'node:crypto';
import t from 'tap';
import {
  INTERNAL_ONLY_TYPES,
  MAX_LINE_BYTES,
  MAX_SENT_LINE_BYTES,
  MessageType,
} from '../../src/protocol/constants.js';
import {
  asciiJson,
  asciiJsonString,
  decodeEnvelope,
  encodeEnvelope,
  fitsOneLine,
} from '../../src/protocol/envelope.js';
import { createLineFramer } from '../../src/protocol/line-framer.js';
import vectors from '../vectors/protocol.json' with { type: 'json' };

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1');

interface Framed {
  readonly lines: readonly string[];
  /** The result of the last push. */
  readonly alive: boolean;
  readonly pending: number;
}

function frame(chunks: readonly Uint8Array[], maxBytes?: number): Framed {
  const framer = createLineFramer(maxBytes);
  const lines: string[] = [];
  let alive = true;
  for (const chunk of chunks) {
    alive = framer.push(chunk, (line) => {
      lines.push(Buffer.from(line).toString('latin1'));
    });
  }
  return { lines, alive, pending: framer.pendingBytes };
}

/** The same rules for a whole text at once, as the reference. */
function frameWhole(text: string, maxBytes: number): Framed {
  const pieces = text.split('\n');
  const tail = pieces.pop() ?? '';
  const lines: string[] = [];
  for (const piece of pieces) {
    const line = piece.endsWith('\r') ? piece.slice(0, -1) : piece;
    if (line.length > maxBytes) return { lines, alive: false, pending: 0 };
    lines.push(line);
  }
  const alive = (tail.endsWith('\r') ? tail.slice(0, -1) : tail).length <= maxBytes;
  return { lines, alive, pending: alive ? tail.length : 0 };
}

t.test('a line ends with LF, and one CR before it is dropped', async (t) => {
  const rows: readonly [string, string, readonly string[], number][] = [
    ['CRLF', 'a\r\nb\r\n', ['a', 'b'], 0],
    ['LF alone', 'a\nb\n', ['a', 'b'], 0],
    ['both', 'a\nb\r\nc\n', ['a', 'b', 'c'], 0],
    ['empty lines', '\r\n\n\r\n', ['', '', ''], 0],
    ['a CR inside a line stays', 'a\rb\r\n', ['a\rb'], 0],
    ['one of two CR is dropped', 'a\r\r\n', ['a\r'], 0],
    ['an unfinished line waits', 'a\r\nbc', ['a'], 2],
    ['a CR alone ends no line', 'a\r', [], 2],
    ['nothing', '', [], 0],
  ];
  for (const [name, text, lines, pending] of rows) {
    t.strictSame(frame([bytes(text)]), { lines, alive: true, pending }, name);
    t.strictSame(
      frame(text.split('').map(bytes)),
      { lines, alive: true, pending },
      `${name}, by byte`,
    );
  }
});

t.test('every text over {a, CR, LF} gives the same lines however it is cut in two', async (t) => {
  const MAX = 2;
  let texts = [''];
  const wrong: string[] = [];
  let compared = 0;
  for (let length = 0; length <= 7; length++) {
    for (const text of texts) {
      const expected = JSON.stringify(frameWhole(text, MAX));
      for (let cut = 0; cut <= text.length; cut++) {
        compared++;
        const got = frame([bytes(text.slice(0, cut)), bytes(text.slice(cut))], MAX);
        if (JSON.stringify(got) !== expected) wrong.push(JSON.stringify([text, cut, got]));
      }
    }
    texts = texts.flatMap((text) => [`${text}a`, `${text}\r`, `${text}\n`]);
  }
  t.strictSame(wrong, []);
  t.equal(compared, 24_604, 'texts of 0 to 7 bytes, each at every cut');
});

t.test('the bound is 40,000 bytes without the terminator', async (t) => {
  t.equal(MAX_LINE_BYTES, 40_000);
  for (const size of [39_998, 39_999, 40_000, 40_001]) {
    for (const end of ['\n', '\r\n']) {
      const text = 'x'.repeat(size) + end;
      const fits = size <= 40_000;
      const name = `${size} bytes and ${end === '\n' ? 'LF' : 'CRLF'}`;
      const cuts: readonly [string, readonly string[]][] = [
        ['in one piece', [text]],
        ['cut in the middle', [text.slice(0, 20_000), text.slice(20_000)]],
        ['cut before the terminator', [text.slice(0, size), text.slice(size)]],
        ['cut before the LF', [text.slice(0, -1), '\n']],
        ['terminator byte by byte', [text.slice(0, size), ...end.split('')]],
        ['after another line', [`y\r\n${text}`]],
        ['byte by byte', text.split('')],
      ];
      for (const [how, pieces] of cuts) {
        const { lines, alive, pending } = frame(pieces.map(bytes));
        const sizes = lines.map((line) => line.length);
        const before = how === 'after another line' ? [1] : [];
        t.strictSame(
          { sizes, alive, pending },
          { sizes: fits ? [...before, size] : before, alive: fits, pending: 0 },
          `${name}, ${how}`,
        );
      }
    }
  }
});

t.test('an oversized line is refused at the first byte that makes it too long', async (t) => {
  const rows: readonly [string, string, boolean, number][] = [
    ['40,000 bytes wait', 'x'.repeat(40_000), true, 40_000],
    ['40,001 bytes do not', 'x'.repeat(40_001), false, 0],
    ['40,001 bytes wait when the last may be the CR', `${'x'.repeat(40_000)}\r`, true, 40_001],
    ['a byte after that CR', `${'x'.repeat(40_000)}\rx`, false, 0],
    ['a second CR after it', `${'x'.repeat(40_000)}\r\r`, false, 0],
    ['40,001 bytes with a CR elsewhere', `x\r${'x'.repeat(39_999)}`, false, 0],
  ];
  for (const [name, text, alive, pending] of rows) {
    t.strictSame(frame([bytes(text)]), { lines: [], alive, pending }, name);
    t.strictSame(
      frame([bytes(text.slice(0, 39_999)), ...text.slice(39_999).split('').map(bytes)]),
      { lines: [], alive, pending },
      `${name}, the end byte by byte`,
    );
  }
});

t.test('after an oversized line, a framer ignores all input', async (t) => {
  const framer = createLineFramer(4);
  const lines: string[] = [];
  const onLine = (line: Uint8Array): void => {
    lines.push(Buffer.from(line).toString('latin1'));
  };
  t.equal(framer.push(bytes('ab\ncdefg\nhi\n'), onLine), false);
  t.equal(framer.push(bytes('jk\n'), onLine), false);
  t.strictSame(lines, ['ab'], 'earlier lines were delivered');
  t.equal(framer.pendingBytes, 0);
});

t.test('the reader can stop in the middle of a chunk', async (t) => {
  const framer = createLineFramer();
  const lines: string[] = [];
  const alive = framer.push(bytes('a\nb\nc\nd'), (line) => {
    lines.push(Buffer.from(line).toString('latin1'));
    return lines.length < 2;
  });
  t.equal(alive, true, 'the line is not oversized');
  t.strictSame(lines, ['a', 'b']);
  t.equal(framer.pendingBytes, 0, 'the rest of the chunk is dropped');
});

t.test('envelopes that are accepted', async (t) => {
  const rows: readonly [string, string, number, string][] = [
    ['as REF and NG write it', '{"type": 687, "line": "a!b!c"}', 687, 'a!b!c'],
    ['as RS writes it', vectors.rsLines.ping, 798, ''],
    ['keys in the other order', '{"line":"x","type":1}', 1, 'x'],
    ['raw UTF-8', '{"type":687,"line":"é€😀"}', 687, 'é€😀'],
    ['escaped', '{"type":687,"line":"\\u00e9\\u20ac\\ud83d\\ude00"}', 687, 'é€😀'],
    ['blanks around', ' \t{"type": 1, "line": "x"} \r', 1, 'x'],
    ['extra keys', '{"id": [1, {"a": null}], "type": 1, "line": "x"}', 1, 'x'],
    ['100 parts', `{"id": [${'1,'.repeat(96)}1], "type": 1, "line": "x"}`, 1, 'x'],
    [
      'commas and brackets inside a text are not parts',
      `{"type": 1, "line": "\\"${'[{,'.repeat(9_000)}"}`,
      1,
      `"${'[{,'.repeat(9_000)}`,
    ],
    ['duplicate keys: the last counts', '{"type":"x","line":1,"type":2,"line":"y"}', 2, 'y'],
    ['an unknown number', '{"type": 4294967296, "line": "x"}', 4_294_967_296, 'x'],
    ['a negative number', '{"type": -1, "line": "x"}', -1, 'x'],
    ['an integer written with a point', '{"type": 793.0, "line": "x"}', 793, 'x'],
    ['a key of the prototype', '{"__proto__": {}, "type": 1, "line": "x"}', 1, 'x'],
  ];
  for (const [name, text, type, line] of rows) {
    t.strictSame(decodeEnvelope(Buffer.from(text)), { ok: true, value: { type, line } }, name);
  }
});

t.test('lines that are not an envelope', async (t) => {
  const rows: readonly [string, string | readonly number[], string][] = [
    ['empty line', '', 'not-json'],
    ['blanks', '  ', 'not-json'],
    ['not JSON', 'hello', 'not-json'],
    ['Python literals', "{'type': 1, 'line': 'x'}", 'not-json'],
    ['half an object', '{"type": 1, "line": "x"', 'not-json'],
    ['two objects', '{"type": 1, "line": "x"}{"type": 1, "line": "x"}', 'not-json'],
    ['NaN', '{"type": NaN, "line": "x"}', 'not-json'],
    ['a raw line break in the text', '{"type": 1, "line": "a\nb"}', 'not-json'],
    ['byte order mark', '\ufeff{"type": 1, "line": "x"}', 'not-json'],
    ['array', '[1, "x"]', 'not-object'],
    ['string', '"x"', 'not-object'],
    ['number', '687', 'not-object'],
    ['null', 'null', 'not-object'],
    ['true', 'true', 'not-object'],
    ['101 parts', `{"id": [${'1,'.repeat(97)}1], "type": 1, "line": "x"}`, 'too-many-parts'],
    [
      'nested',
      `{"id": ${'['.repeat(98)}${']'.repeat(98)}, "type": 1, "line": "x"}`,
      'too-many-parts',
    ],
    [
      'parts after a quote in a text',
      `{"line": "\\\\", "id": [${'1,'.repeat(99)}1]}`,
      'too-many-parts',
    ],
    ['type missing', '{"line": "x"}', 'type'],
    ['type a string', '{"type": "793", "line": "x"}', 'type'],
    ['type a fraction', '{"type": 793.5, "line": "x"}', 'type'],
    ['type true', '{"type": true, "line": "x"}', 'type'],
    ['type false', '{"type": false, "line": "x"}', 'type'],
    ['type null', '{"type": null, "line": "x"}', 'type'],
    ['type an object', '{"type": {}, "line": "x"}', 'type'],
    ['type beyond exact integers', '{"type": 9007199254740992, "line": "x"}', 'type'],
    ['type infinite', '{"type": 1e999, "line": "x"}', 'type'],
    ['type only in the prototype', '{"__proto__": {"type": 1, "line": "x"}}', 'type'],
    ['line missing', '{"type": 793}', 'line'],
    ['line an object', '{"type": 793, "line": {}}', 'line'],
    ['line a number', '{"type": 793, "line": 5}', 'line'],
    ['line null', '{"type": 793, "line": null}', 'line'],
    ['a byte that is never UTF-8', [0xff], 'not-utf8'],
    ['overlong', [0x22, 0xc0, 0xaf, 0x22], 'not-utf8'],
    ['a surrogate', [0x22, 0xed, 0xa0, 0x80, 0x22], 'not-utf8'],
    ['cut short', [0x22, 0xe2, 0x82], 'not-utf8'],
    ['beyond Unicode', [0x22, 0xf4, 0x90, 0x80, 0x80, 0x22], 'not-utf8'],
  ];
  const good = Buffer.from('{"type": 1, "line": "é"}');
  for (const [name, content, reason] of rows) {
    const line = typeof content === 'string' ? Buffer.from(content) : Uint8Array.from(content);
    t.strictSame(decodeEnvelope(line), { ok: false, reason }, name);
    t.equal(decodeEnvelope(good).ok, true, `${name}: the next line is read as usual`);
  }
  for (const nested of ['['.repeat(40_000), '['.repeat(20_000) + ']'.repeat(20_000)]) {
    t.equal(decodeEnvelope(Buffer.from(nested)).ok, false, 'deep nesting does not throw');
  }
});

t.test('captured lines come out of the encoder byte for byte', async (t) => {
  for (const [name, line] of [
    ...Object.entries(vectors.refLines),
    ...Object.entries(vectors.ngLines),
    ['fill', vectors.privmsgFill.line] as const,
  ]) {
    const envelope = decodeEnvelope(Buffer.from(line));
    if (!envelope.ok) {
      t.fail(`${name}: ${envelope.reason}`);
      continue;
    }
    t.equal(encodeEnvelope(envelope.value.type, envelope.value.line), `${line}\r\n`, name);
  }
});

t.test('JSON is written as Python writes it', async (t) => {
  const { strings, values, envelopes, everyCodeUnit } = vectors.pythonJson;
  for (const { name, text, json } of strings) t.equal(asciiJsonString(text), json, name);
  for (const json of values) t.equal(asciiJson(JSON.parse(json)), json, json);
  for (const { type, line, json } of envelopes) {
    t.equal(encodeEnvelope(type, line), `${json}\r\n`, json);
  }
  const units = Array.from({ length: 0x10000 }, (_, unit) => String.fromCharCode(unit)).join('');
  const all = asciiJsonString(units);
  t.equal(all.length, everyCodeUnit.length);
  t.equal(createHash('sha256').update(all, 'latin1').digest('hex'), everyCodeUnit.sha256);
});

t.test('a sent line has at most 39,998 bytes and CRLF', async (t) => {
  t.equal(MAX_SENT_LINE_BYTES, 39_998);
  const frameBytes = '{"type": 687, "line": ""}'.length;
  const rows: readonly [string, string, boolean][] = [
    ['39,998 bytes', 'x'.repeat(39_998 - frameBytes), true],
    ['39,999 bytes', 'x'.repeat(39_999 - frameBytes), false],
    ['40,000 bytes', 'x'.repeat(40_000 - frameBytes), false],
    ['escapes count', 'é'.repeat(6_662) + 'x', true],
    ['one escape too many', 'é'.repeat(6_662) + 'xx', false],
    ['quotes count twice', '"'.repeat(19_986), true],
    ['one quote too many', '"'.repeat(19_987), false],
  ];
  for (const [name, line, fits] of rows) {
    const encoded = encodeEnvelope(687, line);
    t.equal(fitsOneLine(encoded), fits, `${name} (${Buffer.byteLength(encoded)} with CRLF)`);
    t.equal(Buffer.byteLength(encoded), encoded.length, `${name}: one byte per character`);
  }
});

t.test('message numbers', async (t) => {
  t.strictSame(MessageType, {
    PRIVMSG: 685,
    PUBMSG: 687,
    PEERLIST: 789,
    GETPEERLIST: 791,
    HANDSHAKE: 793,
    DN_HANDSHAKE: 795,
    PING: 798,
    PONG: 799,
    DISCONNECT: 801,
    NICK_AUTH_CHALLENGE: 803,
    NICK_AUTH_PROOF: 805,
    NICK_AUTH_RESULT: 807,
    GETDIRLIST: 841,
    DIRLIST: 843,
  });
  t.strictSame([...INTERNAL_ONLY_TYPES], [785, 787, 797]);
});
