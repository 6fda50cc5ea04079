/** Bytes of a terminal in raw mode become lines. Pure. */
import { ESCAPE_CHARACTER } from '../../kit/terminal.js';

/** What a person did. */
export type Typed =
  | { readonly kind: 'line'; readonly text: string }
  /** Ctrl-C or Ctrl-\. */
  | { readonly kind: 'stop' }
  /** Ctrl-D on an empty line, or the terminal was closed. */
  | { readonly kind: 'end' }
  /** A line above the bound. */
  | { readonly kind: 'long' };

/** Longest line, in UTF-16 units. */
export const MAX_TYPED = 4_096;

const CTRL_C = '\u0003';
const CTRL_D = '\u0004';
const BACKSPACES: ReadonlySet<string> = new Set(['\u0008', '\u007f']);
const CTRL_U = '\u0015';
const CTRL_W = '\u0017';
const CTRL_BACKSLASH = '\u001c';
/** Behind `ESC`: arrow keys, function keys, and the marks that some terminals put around pasted text. */
const ESCAPE = /\[[0-9;?]*[ -/]*[@-~]|O[ -~]/y;
const ESCAPE_START = /(?:\[[0-9;?]*[ -/]*|O)?$/y;
/** Longest start of an escape sequence that waits for its end. */
const MAX_ESCAPE = 32;

/** The last letter with the combining marks that belong to it. */
const LAST_LETTER = /(?:\P{M}\p{M}*|\p{M}+)$/u;

/**
 * A line under construction. Backspace removes a letter, Ctrl-W a word, Ctrl-U all. Keys without a letter
 * do nothing. Pasted text counts as typed, without the marks that some terminals put around it.
 */
export class LineInput {
  readonly #decoder = new TextDecoder('utf-8');
  #waiting = '';
  #line = '';
  #isTooLong = false;

  /** Bytes of the terminal, in pieces of any size. */
  add(bytes: Uint8Array): void {
    this.#waiting += this.#decoder.decode(bytes, { stream: true });
  }

  /** What was typed next; undefined while a line is not complete. */
  next(): Typed | undefined {
    let at = 0;
    const text = this.#waiting;
    while (at < text.length) {
      if (text[at] === ESCAPE_CHARACTER) {
        const length = escapeLength(text, at);
        if (length === undefined) break;
        at += length;
        continue;
      }
      const letter = String.fromCodePoint(text.codePointAt(at) ?? 0);
      at += letter.length;
      const typed = this.#type(letter);
      if (typed === undefined) continue;
      // The line feed of a pasted CR LF belongs to this line.
      if (letter === '\r' && text[at] === '\n') at += 1;
      this.#waiting = text.slice(at);
      return typed;
    }
    this.#waiting = text.slice(at);
    return undefined;
  }

  #type(letter: string): Typed | undefined {
    switch (letter) {
      case '\r':
      case '\n': {
        const text = this.#line;
        const isLong = this.#isTooLong;
        this.#line = '';
        this.#isTooLong = false;
        return isLong ? { kind: 'long' } : { kind: 'line', text };
      }
      case CTRL_C:
      case CTRL_BACKSLASH:
        this.#line = '';
        return { kind: 'stop' };
      case CTRL_D:
        return this.#line === '' ? { kind: 'end' } : undefined;
      case CTRL_U:
        this.#line = '';
        return undefined;
      case CTRL_W:
        this.#line = this.#line.replace(/\S*\s*$/u, '');
        return undefined;
      default:
        if (BACKSPACES.has(letter)) this.#line = this.#line.replace(LAST_LETTER, '');
        else if (letter === '\t' || !/\p{Cc}/u.test(letter)) this.#append(letter);
        return undefined;
    }
  }

  #append(letter: string): void {
    if (this.#line.length + letter.length > MAX_TYPED) this.#isTooLong = true;
    else this.#line += letter;
  }
}

function matchAt(pattern: RegExp, text: string, at: number): number | undefined {
  pattern.lastIndex = at;
  return pattern.exec(text)?.[0].length;
}

/** Length of the escape sequence at a place, with its `ESC`; undefined while its end has not arrived. */
function escapeLength(text: string, at: number): number | undefined {
  const whole = matchAt(ESCAPE, text, at + 1);
  if (whole !== undefined) return whole + 1;
  const part = matchAt(ESCAPE_START, text, at + 1);
  return part !== undefined && part <= MAX_ESCAPE ? undefined : 1;
}
