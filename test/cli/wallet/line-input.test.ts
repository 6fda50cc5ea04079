/** What a person types at a question that is not shown. */
import * as fc from 'fast-check';
import t from 'tap';
import { LineInput, MAX_TYPED } from '../../../src/cli/wallet/line-input.js';

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);

/** All that was typed, as short texts. */
function typed(input: LineInput): readonly string[] {
  const seen: string[] = [];
  for (let next = input.next(); next !== undefined; next = input.next()) {
    seen.push(next.kind === 'line' ? `=${next.text}` : next.kind);
  }
  return seen;
}

function typing(text: string): readonly string[] {
  const input = new LineInput();
  input.add(bytesOf(text));
  return typed(input);
}

t.test('keys', async (t) => {
  const cases: readonly (readonly [string, string, readonly string[]])[] = [
    ['Enter ends a line', 'hunter2\r', ['=hunter2']],
    ['a pasted line feed, too', 'hunter2\n', ['=hunter2']],
    ['CR LF is one line end', 'a\r\nb\r\n', ['=a', '=b']],
    ['no end, no line', 'hunter2', []],
    ['backspace', 'hunx\u007fter2\n', ['=hunter2']],
    ['the other backspace', 'hunx\u0008ter2\n', ['=hunter2']],
    ['backspace at the start', '\u007f\u007fa\n', ['=a']],
    ['backspace removes a whole letter', 'a\u{1f600}\u007f\n', ['=a']],
    ['with its marks', 'ae\u0301\u007f\n', ['=a']],
    ['Ctrl-U', 'wrong\u0015right\n', ['=right']],
    ['Ctrl-W', 'one two \u0017three\n', ['=one three']],
    ['Ctrl-C', 'half\u0003', ['stop']],
    ['a line after Ctrl-C', 'half\u0003new\n', ['stop', '=new']],
    ['Ctrl-\\', '\u001c', ['stop']],
    ['Ctrl-D on an empty line', '\u0004', ['end']],
    ['Ctrl-D in a line does nothing', 'ab\u0004c\n', ['=abc']],
    ['blanks stay', '  a b \n', ['=  a b ']],
    ['an empty line', '\n', ['=']],
    ['arrow keys', 'a\u001b[Db\u001b[1;5C\u001bOAc\n', ['=abc']],
    ['a pasted text with its marks', '\u001b[200~hunter2\u001b[201~\n', ['=hunter2']],
    ['Escape alone', 'a\u001bb\n', ['=ab']],
    ['other control characters', 'a\u0001\u001ab\n', ['=ab']],
    ['UTF-8', 'pässwörd \u{1f511}\n', ['=pässwörd \u{1f511}']],
  ];
  for (const [name, text, wanted] of cases) t.same(typing(text), wanted, name);
});

t.test('any division of the bytes gives the same lines', async (t) => {
  const key = fc.oneof(
    fc.string({ unit: 'grapheme', maxLength: 5 }),
    fc.constantFrom(
      '\u007f',
      '\u0015',
      '\u0017',
      '\u001b[A',
      '\u001bOB',
      '\u001b[200~',
      '\n',
      '\r',
    ),
  );
  fc.assert(
    fc.property(fc.array(key), fc.infiniteStream(fc.integer({ min: 1, max: 4 })), (keys, sizes) => {
      const text = `${keys.join('')}\u0003`;
      // A carriage return at the end of a piece may be followed by its line feed in the next one.
      if (/\r\n/.test(text)) return;
      const bytes = bytesOf(text);
      const input = new LineInput();
      const seen: string[] = [];
      for (let at = 0; at < bytes.length;) {
        const size = sizes.next().value ?? 1;
        input.add(bytes.subarray(at, at + size));
        seen.push(...typed(input));
        at += size;
      }
      t.same(seen, typing(text));
    }),
  );
});

t.test('a line above the bound is refused, the next one is read', async (t) => {
  const input = new LineInput();
  input.add(bytesOf(`${'x'.repeat(MAX_TYPED + 1)}\nnext\n`));
  t.same(typed(input), ['long', '=next']);
});
