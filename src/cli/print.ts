/** All output of the commands goes through here, to standard output and standard error. */
import { shownJson } from '../kit/shown-text.js';
import { CLEAR_LINE, CLEAR_SCREEN, terminalText } from '../kit/terminal.js';

/** Whether output to this stream is coloured. */
export function colorsOutput(stream: NodeJS.WriteStream = process.stdout): boolean {
  return stream.isTTY && (process.env['NO_COLOR'] ?? '') === '';
}

/** Prints a result: one line or several. */
export function print(text: string): void {
  process.stdout.write(`${terminalText(text, colorsOutput())}\n`);
}

/** Prints a result on a cleared screen; below the previous one when the output is not a terminal. */
export function printScreen(text: string): void {
  if (process.stdout.isTTY) process.stdout.write(CLEAR_SCREEN);
  print(text);
}

/** Prints a result for a program, on one line. */
export function printJson(value: unknown): void {
  process.stdout.write(`${shownJson(value)}\n`);
}

/** Prints a file that the user asked for, byte for byte. It contains no untrusted text. */
export function printFile(content: string): void {
  process.stdout.write(content);
}

/** Prints a message for the person at the terminal. */
export function printNote(text: string): void {
  process.stderr.write(`${terminalText(text, colorsOutput(process.stderr))}\n`);
}

/** A line that the next one replaces; terminals only. An empty line removes it. */
export function printProgress(text: string): void {
  if (!process.stderr.isTTY) return;
  const shown = terminalText(text, false).slice(0, (process.stderr.columns || 80) - 1);
  process.stderr.write(`${CLEAR_LINE}${shown}`);
}
