/** Untrusted text, made safe to show. */
import * as fc from 'fast-check';
import t from 'tap';
import { quotedLine, shownJson, shownLine, shownLines } from '../../src/kit/shown-text.js';
import { unicodeText } from '../helpers/unicode-text.js';

/** Characters that act on a terminal or on the text around them, and how they are shown. */
const ODD: readonly (readonly [what: string, text: string, shown: string])[] = [
  ['NUL', '\0', String.raw`\u0000`],
  ['line feed', '\n', String.raw`\n`],
  ['carriage return', '\r', String.raw`\u000d`],
  ['tab', '\t', String.raw`\u0009`],
  ['BEL', '\x07', String.raw`\u0007`],
  ['ESC of a CSI', '\x1b[2J', String.raw`\u001b[2J`],
  ['an OSC ended by BEL', '\x1b]0;t\x07', String.raw`\u001b]0;t\u0007`],
  ['DEL', '\x7f', String.raw`\u007f`],
  ['C1 CSI', '\x9b2J', String.raw`\u009b2J`],
  ['next line', '\x85', String.raw`\u0085`],
  ['soft hyphen', '\xad', String.raw`\u00ad`],
  ['combining grapheme joiner', 'a\u034f', String.raw`a\u034f`],
  ['Arabic letter mark', '\u061c', String.raw`\u061c`],
  ['Hangul filler', '\u3164', String.raw`\u3164`],
  ['zero width space', '\u200b', String.raw`\u200b`],
  ['zero width joiner', '\u200d', String.raw`\u200d`],
  ['right-to-left mark', '\u200f', String.raw`\u200f`],
  ['line separator', '\u2028', String.raw`\u2028`],
  ['paragraph separator', '\u2029', String.raw`\u2029`],
  ['right-to-left override', '\u202e', String.raw`\u202e`],
  ['isolate', '\u2066', String.raw`\u2066`],
  ['end of an isolate', '\u2069', String.raw`\u2069`],
  ['variation selector', 'a\ufe0f', String.raw`a\ufe0f`],
  ['byte order mark', '\ufeff', String.raw`\ufeff`],
  ['interlinear annotation', '\ufff9', String.raw`\ufff9`],
  ['a noncharacter', '\uffff', String.raw`\uffff`],
  ['private use', '\ue000', String.raw`\ue000`],
  ['half of a pair', '\ud800', String.raw`\ud800`],
  ['the other half', '\udc00a', String.raw`\udc00a`],
  ['a tag', '\u{e0041}', String.raw`\udb40\udc41`],
  ['a mark that begins a text', '\u0338', String.raw`\u0338`],
];

/** Ordinary text of people. */
const PLAIN = [
  'J5xhR7Qw2mOOOOOO',
  'grüße, мир, 世界, שלום, नमस्ते, ไม่',
  'Việt Nam, Vie\u0323\u0302t',
  '𝒥 🚀',
  'C:\\temp "quoted" <b>&amp;</b>',
];

const UNSAFE = /[\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]|\p{M}{5}/u;

t.test('one line of text', async (t) => {
  for (const [what, text, shown] of ODD) {
    t.equal(shownLine(text), shown, what);
    if (text.startsWith('\u0338')) continue;
    t.equal(shownLine(`a${text}b`), `a${shown}b`, `${what} between others`);
  }
  for (const text of PLAIN) t.equal(shownLine(text), text);
  t.equal(
    shownLine(`a${'\u0301'.repeat(50)}b`),
    `a${'\u0301'.repeat(4)}${String.raw`\u0301`.repeat(46)}b`,
    'very many marks',
  );
});

t.test('the bound of a line', async (t) => {
  t.equal(shownLine('a'.repeat(500)).length, 500);
  t.equal(shownLine('a'.repeat(501)), `${'a'.repeat(497)}...`);
  t.equal(shownLine('\x1b'.repeat(1e6)).length, 500, 'the bound counts shown characters');
  t.equal(shownLine(`${'a'.repeat(6)}🚀bcd`, 10), 'aaaaaa...', 'a character is not cut in half');
  t.equal(shownLine('abcdef', 2), '..');
  fc.assert(
    fc.property(unicodeText({ maxLength: 300 }), fc.integer({ min: 0, max: 100 }), (text, max) => {
      const line = shownLine(text, max);
      return line.length <= max && !UNSAFE.test(line) && shownLine(line, max) === line;
    }),
  );
});

t.test('a text of several lines', async (t) => {
  for (const [what, text, shown] of ODD) {
    if (/^[\n\r\t\p{M}]/u.test(text)) continue;
    t.equal(shownLines(`a\n${text}b`), `a\n${shown}b`, what);
  }
  t.equal(shownLines('a\r\nb\rc\td\n\ne'), 'a\nb\nc d\n\ne');
  t.equal(shownLines('a\n\u0338b'), `a\n${String.raw`\u0338`}b`, 'a mark that begins a line');
  t.equal(shownLines('\r\n'.repeat(3_000)).length, 2_000);
  fc.assert(
    fc.property(unicodeText({ maxLength: 300 }), (text) => {
      const lines = shownLines(text, 100);
      return lines.length <= 100 && !UNSAFE.test(lines.replaceAll('\n', ''));
    }),
  );
});

t.test('JSON: the same value, in characters that any terminal can print', async (t) => {
  for (const [what, text] of ODD) {
    const json = shownJson({ [text]: text });
    t.notMatch(json, UNSAFE, what);
    t.same(JSON.parse(json), { [text]: text }, what);
  }
  for (const text of PLAIN) t.equal(shownJson(text), JSON.stringify(text));
  t.equal(shownJson(undefined), 'null');
  fc.assert(
    fc.property(fc.jsonValue(), unicodeText(), (value, text) => {
      const json = shownJson([value, text]);
      return (
        !UNSAFE.test(json) && JSON.stringify(JSON.parse(json)) === JSON.stringify([value, text])
      );
    }),
  );
});

t.test('a quotation', async (t) => {
  t.equal(quotedLine('say "a"\n\u202e'), String.raw`"say \"a\"\n\u202e"`);
  t.equal(quotedLine('a'.repeat(81)), `"${'a'.repeat(80)}..."`);
});
