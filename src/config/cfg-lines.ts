/**
 * The line rules of Python's `ConfigParser(strict=False)` (docs/protocol.md, section 13.1): which lines
 * are headers, which are keys, and which continue the value above them.
 *
 * - a line is a comment when its first non-blank character is `#` or `;`; there are no inline comments
 * - `[NAME]` opens a section, whatever follows the last `]`
 * - the first `=` or `:` of a line ends the key; keys are lower-cased
 * - a line indented deeper than its key continues the value; blank lines inside a value are kept
 */

/** A section header or an entry, with the line number (from 1) where it starts. */
export type CfgItem =
  | { readonly kind: 'section'; readonly line: number; readonly name: string }
  | {
      readonly kind: 'entry';
      readonly line: number;
      readonly name: string;
      /** Continuation lines are joined with `\n`; blanks at the ends are cut. */
      readonly value: string;
    };

/** Why a file cannot be read: the first bad line, trimmed. */
export interface CfgSyntaxFault {
  readonly fault: 'no-section' | 'no-delimiter' | 'no-key';
  readonly line: number;
  readonly text: string;
}

/** The blanks of Python's `str.isspace`. JavaScript's `\s` differs in U+001C-1F, U+0085 and U+FEFF. */
const BLANKS =
  '\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000';
const NON_BLANK = new RegExp(`[^${BLANKS}]`);
const BLANK = new RegExp(`[${BLANKS}]`);

function stripEnd(text: string): string {
  let end = text.length;
  while (end > 0 && BLANK.test(text.charAt(end - 1))) end -= 1;
  return text.slice(0, end);
}

/** Python's `str.strip()`. */
export function strip(text: string): string {
  const start = text.search(NON_BLANK);
  return start < 0 ? '' : stripEnd(text.slice(start));
}

/** The name in `[NAME]`, up to the last `]` of the line. */
function headerName(text: string): string | undefined {
  const end = text.lastIndexOf(']');
  return text.startsWith('[') && end >= 2 ? text.slice(1, end) : undefined;
}

interface OpenEntry {
  readonly line: number;
  readonly name: string;
  readonly values: string[];
}

/**
 * Splits a file into sections and entries, in the order of the file, duplicates included. Line ends may
 * be LF, CRLF or CR. Returns the first fault if there is one.
 */
export function readItems(text: string): readonly CfgItem[] | CfgSyntaxFault {
  const items: CfgItem[] = [];
  let inSection = false;
  let open: OpenEntry | undefined;
  let indent = 0;

  const closeEntry = (): void => {
    if (open === undefined) return;
    const { line, name, values } = open;
    items.push({ kind: 'entry', line, name, value: stripEnd(values.join('\n')) });
    open = undefined;
  };

  for (const [index, rawLine] of text.split(/\r\n|\n|\r/).entries()) {
    const line = index + 1;
    const content = strip(rawLine);
    if (content.startsWith('#') || content.startsWith(';')) continue;
    if (content === '') {
      open?.values.push('');
      continue;
    }
    const lineIndent = rawLine.search(NON_BLANK);
    if (open !== undefined && lineIndent > indent) {
      open.values.push(content);
      continue;
    }
    indent = lineIndent;
    closeEntry();
    const section = headerName(content);
    if (section !== undefined) {
      items.push({ kind: 'section', line, name: section });
      inSection = true;
      continue;
    }
    if (!inSection) return { fault: 'no-section', line, text: content };
    const delimiter = content.search(/[=:]/);
    if (delimiter < 0) return { fault: 'no-delimiter', line, text: content };
    const name = stripEnd(content.slice(0, delimiter)).toLowerCase();
    if (name === '') return { fault: 'no-key', line, text: content };
    open = { line, name, values: [strip(content.slice(delimiter + 1))] };
  }
  closeEntry();
  return items;
}
