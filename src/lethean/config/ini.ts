/**
 * The lines of client.ini. Keys may stand in sections (section 11.2) or without (sections 5.3, 6.3 and 8.1); the
 * reference ignores section headers, and so does this reader. Pure.
 */

/** One `key = value`, with its line from 1. */
export interface IniEntry {
  readonly line: number;
  readonly key: string;
  readonly value: string;
}

export type IniLines =
  | { readonly ok: true; readonly entries: readonly IniEntry[] }
  | { readonly ok: false; readonly line: number; readonly text: string };

/** Most entries; the table of options has about 70. */
const MAX_ENTRIES = 1_000;

function unquoted(value: string): string {
  const [, inner] = /^"(.*)"$/.exec(value) ?? /^'(.*)'$/.exec(value) ?? [];
  return inner ?? value;
}

/** Comments begin a line with `#` or `;`. A key may begin with `--`, as on the command line. */
export function readIni(text: string): IniLines {
  const entries: IniEntry[] = [];
  const lines = text.replace(/^\uFEFF/, '').split(/\r?\n/);
  for (const [i, whole] of lines.entries()) {
    const line = whole.trim();
    if (line === '' || /^[#;]/.test(line) || /^\[[^\]]*\]$/.test(line)) continue;
    const [, key = '', value = ''] = /^(?:--)?([A-Za-z][\w-]*)\s*=(.*)$/.exec(line) ?? [];
    if (key === '' || entries.length >= MAX_ENTRIES) return { ok: false, line: i + 1, text: line };
    entries.push({
      line: i + 1,
      key: key.toLowerCase().replaceAll('_', '-'),
      value: unquoted(value.trim()),
    });
  }
  return { ok: true, entries };
}
