/**
 * scrypt for codes that a person chose: asynchronous, one run at a time, a bounded queue. It costs about
 * 60 ms and 32 MiB, so parallel runs would take cores and memory from everything else.
 */
import { scrypt } from 'node:crypto';

const COST = { N: 32_768, r: 8, p: 1, maxmem: 64 * 1024 * 1024 };
const HASH_BYTES = 32;
/** Runs that wait; with 60 ms each, the last one waits 2 s. */
const MAX_QUEUE = 32;

export class ScryptQueue {
  #last: Promise<unknown> = Promise.resolve();
  #waiting = 0;

  /** The hash of a code; undefined when too many wait. */
  hash(code: Uint8Array, salt: Uint8Array): Promise<Buffer> | undefined {
    if (this.#waiting >= MAX_QUEUE) return undefined;
    this.#waiting++;
    const run = this.#last.then(() => scryptHash(code, salt)).finally(() => this.#waiting--);
    this.#last = run.catch(() => undefined);
    return run;
  }
}

/** The stored form of a chosen code. */
export function scryptHash(code: Uint8Array, salt: Uint8Array): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    scrypt(code, salt, HASH_BYTES, COST, (error, hash) => {
      if (error) reject(error);
      else resolve(hash);
    });
  });
}
