/** The output of a tor: passes each line on, and keeps the last ones to explain its end. */
import type { Readable } from 'node:stream';

const KEPT_OUTPUT_LINES = 50;
const KEPT_LINE_CHARS = 500;
/** Most lines of a failing tor in the error. */
const SHOWN_LINES = 3;

export interface TorOutput {
  feed(chunk: string): void;
  lastWarnings(): string;
}

/** Keeps the last lines of tor's output; bounded. */
export function outputTail(onLine: (line: string) => void): TorOutput {
  const lines: string[] = [];
  let rest = '';
  function add(raw: string): void {
    // `Nov 21 10:41:27.000 [warn] text` without the time.
    const line = raw.replace(/^.*?(?=\[(?:debug|info|notice|warn|err)\])/, '').trim();
    if (line === '') return;
    lines.push(line.slice(0, KEPT_LINE_CHARS));
    if (lines.length > KEPT_OUTPUT_LINES) lines.shift();
    onLine(line);
  }
  return {
    feed(chunk) {
      const parts = (rest + chunk).split('\n');
      rest = (parts.pop() ?? '').slice(0, KEPT_LINE_CHARS);
      for (const part of parts) add(part);
    },
    lastWarnings() {
      const bad = lines.filter((line) => /^\[(warn|err)\]/.test(line));
      return bad
        .slice(-SHOWN_LINES)
        .map((line) => line.replace(/^\[\w+\] /, ''))
        .join(' / ');
    },
  };
}

/** Connects a stream, if there is one. */
export function listenTo(stream: Readable | null, output: TorOutput): void {
  stream?.setEncoding('utf8').on('data', (chunk: string) => output.feed(chunk));
}
