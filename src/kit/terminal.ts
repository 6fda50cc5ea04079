/** The terminal control sequences that this program sends. Pure. */
import { shownLines } from './shown-text.js';

const CODES = {
  strong: '1',
  faint: '2',
  bad: '31',
  good: '32',
  odd: '33',
  name: '36',
} as const;

export type Tone = keyof typeof CODES;

const PLAIN = '\u001b[0m';
const OWN_CODES = new RegExp(`(\u001b\\[(?:0|${Object.values(CODES).join('|')})m)`);

/** The first character of every control sequence. */
export const ESCAPE_CHARACTER = '\u001b';
/** Clears the screen and moves the cursor to its top. */
export const CLEAR_SCREEN = '\u001b[H\u001b[2J';
/** Moves to the start of the line and clears it. */
export const CLEAR_LINE = '\r\u001b[K';

/** Colours text if colours are on. The text comes from this program or from `shownLine`. */
export function painted(tone: Tone, words: string, color: boolean): string {
  return color ? `\u001b[${CODES[tone]}m${words}${PLAIN}` : words;
}

/**
 * The last filter before a terminal, after each field was cleaned: of all control sequences it lets
 * only our colours pass, and removes these too where colours are off.
 */
export function terminalText(text: string, color: boolean): string {
  if (!color) return shownLines(text, Infinity);
  return text
    .split(OWN_CODES)
    .map((part, i) => (i % 2 === 1 ? part : shownLines(part, Infinity)))
    .join('');
}
