import { textTable } from '../../kit/text-table.js';
import { shownLine } from '../../kit/shown-text.js';
import { painted } from '../../kit/terminal.js';

/** The output of the demo: one line per event, with the time since the start and an aligned subject. */
export interface Screen {
  readonly say: (subject: string, text: string) => void;
  readonly heading: (text: string) => void;
  readonly table: (rows: readonly (readonly string[])[]) => void;
}

export interface ScreenOptions {
  /** One or several lines, without the final line feed. */
  readonly write: (text: string) => void;
  /** Colours, if the output is a terminal. */
  readonly color: boolean;
  /** Milliseconds since the start. */
  readonly elapsed: () => number;
}

const SUBJECT_WIDTH = 10;

export function createScreen({ write, color, elapsed }: ScreenOptions): Screen {
  return {
    say(subject, text) {
      const seconds = (elapsed() / 1000).toFixed(1).padStart(6);
      const name = painted('name', subject.padEnd(SUBJECT_WIDTH), color);
      write(`${painted('faint', `${seconds}s`, color)}  ${name} ${shownLine(text)}`);
    },
    heading(text) {
      write(`\n${painted('strong', text, color)}`);
    },
    table(rows) {
      for (const line of textTable([], rows)) write(`  ${line}`);
    },
  };
}
