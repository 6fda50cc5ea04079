/**
 * Runs the built command line on a pseudo-terminal, as a person sees it: script(1) of Debian's package
 * bsdutils makes it the controlling terminal. Output and echo come in one text, as on a screen.
 */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import t from 'tap';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

export interface Screen {
  /** Everything that the screen has shown, with control sequences. */
  readonly text: string;
  /** Resolves with the match in what was shown since the last one; rejects when the program ends first. */
  shows(pattern: RegExp): Promise<RegExpExecArray>;
  /** Presses keys: `\n` is Enter, `\u0003` is Ctrl-C. */
  type(keys: string): void;
  /** Waits for a question and answers it. */
  answer(question: RegExp, line: string): Promise<void>;
  /** The exit code. */
  readonly ended: Promise<number | null>;
}

export interface ScreenOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** Shell text that runs after the program on the same terminal: `stty -a`. */
  readonly after?: string;
}

export const quoted = (word: string): string => `'${word.replaceAll("'", String.raw`'\''`)}'`;

/** `onionmc` with arguments. */
export function onTerminal(args: readonly string[], options: ScreenOptions = {}): Screen {
  const command = [process.execPath, MAIN, ...args].map(quoted).join(' ');
  return shellOnTerminal(
    options.after === undefined ? `exec ${command}` : `${command}; ${options.after}`,
    options.env,
  );
}

const nothing = (): void => {};

/** A shell command on a terminal of its own. */
export function shellOnTerminal(
  command: string,
  env: Readonly<Record<string, string>> = {},
): Screen {
  const child = spawn('script', ['--quiet', '--return', '--command', command, '/dev/null'], {
    cwd: ROOT,
    env: { ...process.env, SHELL: '/bin/bash', NO_COLOR: '1', TERM: 'xterm', ...env },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const kill = (): void => void child.kill('SIGKILL');
  t.teardown(kill);
  // After a time-out there is no teardown.
  process.once('exit', kill);
  let text = '';
  let read = 0;
  let over = false;
  let wake = nothing;
  child.stdout.setEncoding('utf8').on('data', (more: string) => {
    text += more;
    wake();
  });
  // The program may end before it has read everything.
  child.stdin.on('error', () => {});
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => {
      over = true;
      process.off('exit', kill);
      wake();
      resolve(code);
    });
  });
  const shows = async (pattern: RegExp): Promise<RegExpExecArray> => {
    for (;;) {
      const match = pattern.exec(text.slice(read));
      if (match !== null) {
        read += match.index + match[0].length;
        return match;
      }
      if (over) throw new Error(`ended before ${String(pattern)}:\n${text}`);
      // oxlint-disable-next-line no-await-in-loop -- the next output comes later
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  };
  const type = (keys: string): void => void child.stdin.write(keys);
  return {
    get text() {
      return text;
    },
    shows,
    type,
    async answer(question, line) {
      await shows(question);
      type(`${line}\n`);
    },
    ended,
  };
}
