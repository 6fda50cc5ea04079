/**
 * The guide's flat file: one line for each code, the SHA-256 in hex of the base64 of the code and a line
 * end. The hash has no salt, so codes in it must not be guessable.
 */
import { createHash } from 'node:crypto';
import { decided, type AdmissionRequest, type Backend, type Decision } from '../api.js';
import { Recognised } from '../recognised.js';

const MAX_LINES = 100_000;

/** The line of a code: `printf '%s\n' "$(printf %s CODE | base64 -w0)" | sha256sum`. */
export function hashLine(code: Uint8Array): string {
  return createHash('sha256')
    .update(`${Buffer.from(code).toString('base64')}\n`)
    .digest('hex');
}

/** The hashes in a file, and how many lines are no hash. A line may end as sha256sum ends it (`  -`). */
export function parseHashLines(text: string): {
  readonly hashes: ReadonlySet<string>;
  readonly ignored: number;
} {
  const hashes = new Set<string>();
  let ignored = 0;
  for (const line of text.split('\n')) {
    const found = /^([0-9a-f]{64})(?:\s+[-*]*)?\s*$/i.exec(line)?.[1];
    if (found !== undefined && hashes.size < MAX_LINES) hashes.add(found.toLowerCase());
    else if (line.trim() !== '') ignored++;
  }
  return { hashes, ignored };
}

export class HashLines implements Backend {
  #hashes: ReadonlySet<string>;
  readonly #recognised = new Recognised<true>();

  constructor(hashes: ReadonlySet<string>) {
    this.#hashes = hashes;
  }

  /** The file has changed. */
  replace(hashes: ReadonlySet<string>): void {
    this.#hashes = hashes;
    this.#recognised.clear();
  }

  recognise(request: AdmissionRequest): Decision | undefined {
    if (request.code.length === 0) return decided('REJECT', 'no-code');
    return this.#recognised.get(request) ? decided('OKAY', 'admitted') : undefined;
  }

  /** Looking up a hash tells nothing about its neighbours. */
  judge(request: AdmissionRequest): Promise<Decision> {
    if (!this.#hashes.has(hashLine(request.code))) {
      return Promise.resolve(decided('REJECT', 'unknown-code'));
    }
    this.#recognised.add(request, true);
    return Promise.resolve(decided('OKAY', 'admitted'));
  }

  stays(): boolean {
    return true;
  }

  left(): void {
    // A line has no limits that count sessions.
  }

  close(): void {
    this.#hashes = new Set();
  }
}
