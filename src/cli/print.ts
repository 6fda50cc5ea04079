/** How commands write: the one way to standard output and standard error. */
import { shownJson } from '../kit/shown-text.js';
import { CLEAR_LINE, CLEAR_SCREEN, terminalText } from '../kit/terminal.js';

/** Whether results, or what goes to another stream, are coloured. */
export function colorsOutput(stream: NodeJS.WriteStream = process.stdout): boolean {
  return stream.isTTY && (process.env['NO_COLOR'] ?? '') === '';
}

/** A result: one line or several, the last one ended here. */
export function print(text: string): void {
  process.stdout.write(`${terminalText(text, colorsOutput())}\n`);
}

/** A result on an empty screen; below the one before where there is no screen. */
export function printScreen(text: string): void {
  if (process.stdout.isTTY) process.stdout.write(CLEAR_SCREEN);
  print(text);
}

/** A result for a program, on one line. */
export function printJson(value: unknown): void {
  process.stdout.write(`${shownJson(value)}\n`);
}

/** A file that the user asked for, byte for byte: nothing of a stranger is in it. */
export function printFile(content: string): void {
  process.stdout.write(content);
}

/** Something for the person, not for a program. */
export function printNote(text: string): void {
  process.stderr.write(`${terminalText(text, colorsOutput(process.stderr))}\n`);
}

/** A line that the next one replaces; terminals only. Empty: nothing is left of it. */
export function printProgress(text: string): void {
  if (!process.stderr.isTTY) return;
  const shown = terminalText(text, false).slice(0, (process.stderr.columns || 80) - 1);
  process.stderr.write(`${CLEAR_LINE}${shown}`);
}
