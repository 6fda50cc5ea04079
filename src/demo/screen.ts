/** What the demo shows: one line per event, with the time since the start and an aligned subject. */
export interface Screen {
  readonly say: (subject: string, text: string) => void;
  readonly heading: (text: string) => void;
  readonly table: (rows: readonly (readonly string[])[]) => void;
}

const DIM = 2;
const BOLD = 1;
const CYAN = 36;

export interface ScreenOptions {
  readonly write: (text: string) => void;
  /** Colours, for a terminal. */
  readonly color: boolean;
  /** Milliseconds since the start. */
  readonly elapsed: () => number;
}

const SUBJECT_WIDTH = 10;

export function createScreen({ write, color, elapsed }: ScreenOptions): Screen {
  const paint = (code: number, text: string): string =>
    color ? `\u001b[${code}m${text}\u001b[0m` : text;
  return {
    say(subject, text) {
      const seconds = (elapsed() / 1000).toFixed(1).padStart(6);
      const name = paint(CYAN, subject.padEnd(SUBJECT_WIDTH));
      write(`${paint(DIM, `${seconds}s`)}  ${name} ${text}\n`);
    },
    heading(text) {
      write(`\n${paint(BOLD, text)}\n`);
    },
    table(rows) {
      const widths: number[] = [];
      for (const row of rows) {
        row.forEach((cell, i) => (widths[i] = Math.max(widths[i] ?? 0, cell.length)));
      }
      for (const row of rows) {
        const cells = row.map((cell, i) => cell.padEnd(widths[i] ?? 0));
        write(`  ${cells.join('  ').trimEnd()}\n`);
      }
    },
  };
}
