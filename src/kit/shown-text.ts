/**
 * Text that a stranger may have written, as it may be shown: in a terminal, a log, an error or a page.
 * This is the one rule for it. Pure.
 *
 * Whatever does not stand for itself on a screen is written as `\uXXXX`, one for each UTF-16 unit:
 * control characters (C0, DEL, C1, so no ESC, OSC, CSI or BEL), bidirectional overrides and isolates,
 * zero-width and other format characters, line and paragraph separators, lone surrogates, code points
 * without a meaning, and combining marks that begin a text or follow four others. Every text is bounded.
 */

/** What cannot be seen, or acts on what stands around it. */
const UNSEEN = String.raw`[\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]`;
/** Marks that would stand on a character of ours, or pile up: no language needs more than four. */
const MARKS = String.raw`(?<=^|\p{M}{4})\p{M}`;

const NOT_IN_LINE = new RegExp(`${UNSEEN}|${MARKS}`, 'gu');
const NOT_IN_LINES = new RegExp(String.raw`(?!\n)(?:${UNSEEN}|${MARKS}|(?<=\n)\p{M})`, 'gu');
/** JSON.stringify has escaped the line feeds inside of strings; those left are its own. */
const NOT_IN_JSON = new RegExp(String.raw`(?!\n)(?:${UNSEEN}|${MARKS}|(?<=")\p{M})`, 'gu');
const PLAIN = /^[ -~]*$/;

/** Longest line that is shown unless its caller says otherwise. */
export const MAX_SHOWN_LINE = 500;
/** Longest text of several lines that is shown. */
export const MAX_SHOWN_TEXT = 2_000;

const CUT = '...';

function escaped(character: string): string {
  if (character === '\n') return String.raw`\n`;
  return character
    .split('')
    .map((unit) => String.raw`\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
    .join('');
}

/** At most `maxLength` units, never half of a character. */
function bounded(text: string, maxLength: number): string {
  if (text.length <= maxLength) return text;
  const kept = text.slice(0, Math.max(0, maxLength - CUT.length));
  return `${kept.replace(/[\ud800-\udbff]$/, '')}${CUT}`.slice(0, maxLength);
}

function shown(text: string, unfit: RegExp, maxLength: number): string {
  // One more unit than fits, so that the cut is seen; what is shown is never shorter than the text.
  const enough = text.length > maxLength ? text.slice(0, maxLength + 1) : text;
  return bounded(enough.replace(unfit, escaped), maxLength);
}

/**
 * A stranger's text on one line, line feeds as `\n`.
 * @param maxLength most UTF-16 units of the result; a longer one ends in `...`
 */
export function shownLine(text: string, maxLength: number = MAX_SHOWN_LINE): string {
  if (text.length <= maxLength && PLAIN.test(text)) return text;
  return shown(text, NOT_IN_LINE, maxLength);
}

/** A stranger's text of several lines: line feeds stay, tabs become blanks. */
export function shownLines(text: string, maxLength: number = MAX_SHOWN_TEXT): string {
  // Twice as much as is shown: a line end of two characters becomes one.
  const enough = text.slice(0, 2 * maxLength + 2).replace(/\r\n?/g, '\n');
  return shown(enough.replaceAll('\t', ' '), NOT_IN_LINES, maxLength);
}

/** A stranger's text on one line between double quotes, for an error that names what was found. */
export function quotedLine(text: string, maxLength = 80): string {
  const cut = text.length > maxLength ? `${text.slice(0, maxLength)}${CUT}` : text;
  return shownJson(cut);
}

/**
 * JSON that any terminal can print: the same value, with `\uXXXX` inside of its strings for whatever
 * the rule does not let through. As long as the value is.
 */
export function shownJson(value: unknown): string {
  return (JSON.stringify(value) ?? 'null').replace(NOT_IN_JSON, escaped);
}

/**
 * What an error says, on one line; also of what is thrown and is no error. Nothing but its message and
 * name is read, because libraries keep passwords and addresses in further properties.
 */
export function errorText(error: unknown, maxLength: number = MAX_SHOWN_LINE): string {
  if (error instanceof Error) {
    return shownLine(error.message === '' ? error.name : error.message, maxLength);
  }
  return shownLine(typeof error === 'string' ? error : `thrown: ${typeof error}`, maxLength);
}
