/**
 * Questions at the terminal of the process (`/dev/tty`), so that the standard streams may be pipes. A
 * secret is not shown: the terminal is in raw mode while one is asked, and gets its mode back before the
 * answer is used, also after Ctrl-C and a signal.
 */
import { closeSync, openSync, writeSync } from 'node:fs';
import { isatty, ReadStream } from 'node:tty';
import { terminalText } from '../../kit/terminal.js';
import { UsageError } from '../errors.js';
import { LineInput, MAX_TYPED, type Typed } from './line-input.js';

const TERMINAL = '/dev/tty';

/** The person pressed Ctrl-C at a question, or closed the terminal. */
export class StoppedError extends Error {
  override readonly name = 'StoppedError';
}

/** Asks a person. A test may bring its own. */
export interface Asker {
  /** Whether there is a person to ask. */
  readonly canAsk: boolean;
  /** A line that is not shown. Rejects with a `StoppedError`, or a `UsageError` without a terminal. */
  secret(question: string): Promise<string>;
  /** A line that is shown while it is typed. */
  line(question: string): Promise<string>;
  /** Shows text at the terminal, whatever the standard streams are. */
  show(text: string): void;
  /** Gives the terminal back to the shell. */
  close(): void;
}

function openTerminal(): number | undefined {
  let descriptor: number;
  try {
    descriptor = openSync(TERMINAL, 'r+');
  } catch {
    // No controlling terminal: a service, cron, a container.
    return undefined;
  }
  if (isatty(descriptor)) return descriptor;
  closeSync(descriptor);
  return undefined;
}

/** The terminal of this process. It is opened at the first question. */
export class TerminalAsker implements Asker {
  readonly #typed = new LineInput();
  #descriptor: number | undefined;
  #isOpened = false;
  #stream: ReadStream | undefined;
  #wake = (): void => {};
  #isClosed = false;

  get canAsk(): boolean {
    return this.#terminal() !== undefined;
  }

  secret(question: string): Promise<string> {
    return this.#ask(question, true);
  }

  line(question: string): Promise<string> {
    return this.#ask(question, false);
  }

  show(text: string): void {
    const terminal = this.#terminal();
    if (terminal !== undefined) writeSync(terminal, `${terminalText(text, false)}\n`);
  }

  close(): void {
    this.#stream?.destroy();
    if (this.#stream === undefined && this.#descriptor !== undefined) closeSync(this.#descriptor);
    this.#stream = undefined;
    this.#descriptor = undefined;
    this.#isOpened = false;
  }

  #terminal(): number | undefined {
    if (!this.#isOpened) this.#descriptor = openTerminal();
    this.#isOpened = true;
    return this.#descriptor;
  }

  #read(descriptor: number): ReadStream {
    if (this.#stream !== undefined) return this.#stream;
    const stream = new ReadStream(descriptor);
    stream.on('data', (bytes: Buffer) => {
      this.#typed.add(bytes);
      this.#wake();
    });
    const end = (): void => {
      this.#isClosed = true;
      this.#wake();
    };
    stream.on('end', end).on('error', end);
    this.#stream = stream;
    return stream;
  }

  async #ask(question: string, isSecret: boolean): Promise<string> {
    const descriptor = this.#terminal();
    if (descriptor === undefined) {
      throw new UsageError(`there is no terminal to ask for: ${question.replace(/[:?]?\s*$/, '')}`);
    }
    const stream = this.#read(descriptor);
    // Raw before the question: what is typed at once must not be shown either.
    if (isSecret) stream.setRawMode(true);
    stream.resume();
    writeSync(descriptor, terminalText(question, false));
    const stopped = new AbortController();
    const onSignal = (): void => {
      stopped.abort();
      this.#wake();
    };
    process.on('SIGINT', onSignal);
    try {
      const typed = await this.#next(stopped.signal);
      if (typed.kind === 'line') return typed.text;
      if (typed.kind === 'long') {
        throw new UsageError(`the answer has more than ${MAX_TYPED} characters`);
      }
      throw new StoppedError(
        typed.kind === 'stop' ? 'stopped at a question' : 'the input ended at a question',
      );
    } finally {
      process.off('SIGINT', onSignal);
      stream.pause();
      if (isSecret) {
        stream.setRawMode(false);
        writeSync(descriptor, '\n');
      }
    }
  }

  async #next(signal: AbortSignal): Promise<Typed> {
    for (;;) {
      if (signal.aborted) return { kind: 'stop' };
      const typed = this.#typed.next();
      if (typed !== undefined) return typed;
      if (this.#isClosed) return { kind: 'end' };
      // oxlint-disable-next-line no-await-in-loop -- the next bytes come later
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}
