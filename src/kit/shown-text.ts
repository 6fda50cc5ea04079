/**
 * Untrusted text, made safe for a terminal, a log, an error text or a page. All code uses this one
 * rule. Pure.
 *
 * Characters that a screen does not show as themselves are written as `\uXXXX`, once for each UTF-16
 * unit: control characters (C0, DEL, C1, so no ESC, OSC, CSI or BEL), bidirectional overrides and
 * isolates, zero-width and other format characters, line and paragraph separators, lone surrogates,
 * unassigned code points, and combining marks that begin a text or follow four others. Every result is
 * bounded.
 */

/** Characters that are invisible or change how their neighbours are shown. */
const UNSEEN = String.raw`[\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]`;
/** Combining marks at the start of a text, or after four others. No language needs more than four. */
const MARKS = String.raw`(?<=^|\p{M}{4})\p{M}`;

const NOT_IN_LINE = new RegExp(`${UNSEEN}|${MARKS}`, 'gu');
const NOT_IN_LINES = new RegExp(String.raw`(?!\n)(?:${UNSEEN}|${MARKS}|(?<=\n)\p{M})`, 'gu');
/** JSON.stringify has escaped the line feeds inside strings. The remaining ones are layout. */
const NOT_IN_JSON = new RegExp(String.raw`(?!\n)(?:${UNSEEN}|${MARKS}|(?<=")\p{M})`, 'gu');
const PLAIN = /^[ -~]*$/;

/** Longest line shown, unless the caller gives another bound. */
export const MAX_SHOWN_LINE = 500;
/** Longest multi-line text shown. */
export const MAX_SHOWN_TEXT = 2_000;

const CUT = '...';

function escaped(character: string): string {
  if (character === '\n') return String.raw`\n`;
  return character
    .split('')
    .map((unit) => String.raw`\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
    .join('');
}

/** Cuts to at most `maxLength` units, never inside a surrogate pair. */
function bounded(text: string, maxLength: number): string {
  if (text.length <= maxLength) return text;
  const kept = text.slice(0, Math.max(0, maxLength - CUT.length));
  return `${kept.replace(/[\ud800-\udbff]$/, '')}${CUT}`.slice(0, maxLength);
}

function shown(text: string, unfit: RegExp, maxLength: number): string {
  // One unit more than fits, so that the cut is noticed. The shown text is never shorter than the text.
  const enough = text.length > maxLength ? text.slice(0, maxLength + 1) : text;
  return bounded(enough.replace(unfit, escaped), maxLength);
}

/**
 * Untrusted text on one line, line feeds as `\n`.
 * @param maxLength most UTF-16 units of the result; a longer one ends in `...`
 */
export function shownLine(text: string, maxLength: number = MAX_SHOWN_LINE): string {
  if (text.length <= maxLength && PLAIN.test(text)) return text;
  return shown(text, NOT_IN_LINE, maxLength);
}

/** Untrusted text of several lines. Line feeds stay, tabs become blanks. */
export function shownLines(text: string, maxLength: number = MAX_SHOWN_TEXT): string {
  // Twice the shown length, because a line end of two characters becomes one.
  const enough = text.slice(0, 2 * maxLength + 2).replace(/\r\n?/g, '\n');
  return shown(enough.replaceAll('\t', ' '), NOT_IN_LINES, maxLength);
}

/** Untrusted text on one line in double quotes, for an error that quotes it. */
export function quotedLine(text: string, maxLength = 80): string {
  const cut = text.length > maxLength ? `${text.slice(0, maxLength)}${CUT}` : text;
  return shownJson(cut);
}

/**
 * JSON that is safe for a terminal: the same value, with `\uXXXX` inside strings for the characters
 * that the rule escapes. Not bounded: as long as the value.
 */
export function shownJson(value: unknown): string {
  return (JSON.stringify(value) ?? 'null').replace(NOT_IN_JSON, escaped);
}
