/** What steers a terminal: the only sequences that we send to one. Pure. */
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
const OURS = new RegExp(`(\u001b\\[(?:0|${Object.values(CODES).join('|')})m)`);

/** Empties the screen and begins at its top. */
export const CLEAR_SCREEN = '\u001b[H\u001b[2J';
/** Back to the begin of the line, which is emptied. */
export const CLEAR_LINE = '\r\u001b[K';

/** Words of ours, or of a stranger as `shownLine` gives them, in a colour if there is any. */
export function painted(tone: Tone, words: string, color: boolean): string {
  return color ? `\u001b[${CODES[tone]}m${words}${PLAIN}` : words;
}

/**
 * The last guard in front of a terminal, behind the rule for each field: of all that steers one only
 * our own colours pass, and none of those where no colour is wanted.
 */
export function terminalText(text: string, color: boolean): string {
  if (!color) return shownLines(text, Infinity);
  return text
    .split(OURS)
    .map((part, i) => (i % 2 === 1 ? part : shownLines(part, Infinity)))
    .join('');
}
