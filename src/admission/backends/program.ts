/**
 * A program of the operator decides: it is started with exactly two arguments, the client's address and the
 * base64 of its code, and exit code 0 admits. No shell is used, and each start gets fresh arguments,
 * whatever came before. Starts are bounded in time and number.
 */
import { execFile } from 'node:child_process';
import { decided, type AdmissionRequest, type Backend, type Decision } from '../api.js';

export interface ProgramOptions {
  /** Absolute path of the program. */
  readonly program: string;
  /** Longest run in milliseconds; it is killed then (default 5 s: Lokinet waits 15 s). */
  readonly timeoutMs?: number;
  /** Most runs at a time (default 4). */
  readonly concurrency?: number;
}

/** Requests that wait for a free run. */
const MAX_QUEUE = 64;
/** Output of the program is read and dropped; more than this ends it. */
const MAX_OUTPUT_BYTES = 65_536;

export class Program implements Backend {
  readonly #program: string;
  readonly #timeoutMs: number;
  readonly #concurrency: number;
  readonly #queue: (() => void)[] = [];
  readonly #stop = new AbortController();
  #running = 0;

  constructor({ program, timeoutMs = 5_000, concurrency = 4 }: ProgramOptions) {
    this.#program = program;
    this.#timeoutMs = timeoutMs;
    this.#concurrency = concurrency;
  }

  /** A program sees every request, also one without a code. */
  recognise(): undefined {
    return undefined;
  }

  async judge({ address, code }: AdmissionRequest): Promise<Decision> {
    if (this.#running >= this.#concurrency) {
      if (this.#queue.length >= MAX_QUEUE) return decided('LIMITED', 'busy');
      await new Promise<void>((resolve) => this.#queue.push(resolve));
    } else {
      this.#running++;
    }
    try {
      return await this.#run(address, Buffer.from(code).toString('base64'));
    } finally {
      const next = this.#queue.shift();
      if (next) next();
      else this.#running--;
    }
  }

  /** Only a request with the code can tell. */
  stays(): boolean {
    return true;
  }

  left(): void {
    // The program is not told.
  }

  close(): void {
    this.#stop.abort();
  }

  #run(address: string, code: string): Promise<Decision> {
    if (this.#stop.signal.aborted) return Promise.resolve(decided('REJECT', 'program-failed'));
    const options = {
      timeout: this.#timeoutMs,
      killSignal: 'SIGKILL',
      maxBuffer: MAX_OUTPUT_BYTES,
      signal: this.#stop.signal,
    } as const;
    return new Promise((resolve) => {
      try {
        execFile(this.#program, [address, code], options, (error) => {
          if (!error) resolve(decided('OKAY', 'admitted'));
          // A number is its exit code; anything else means that it did not decide.
          else if (typeof error.code === 'number') resolve(decided('REJECT', 'program'));
          else resolve(decided('REJECT', 'program-failed'));
        });
      } catch {
        resolve(decided('REJECT', 'program-failed'));
      }
    });
  }
}
