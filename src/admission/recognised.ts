/**
 * Pairs of address and code that were accepted a short while ago, so that a client that asks again at
 * intervals is not counted as an attempt and costs no scrypt. A pair, because a code alone would let any
 * address guess codes of others without a limit. Holds keyed hashes only.
 */
import { randomBytes } from 'node:crypto';
import { BoundedMap } from '../kit/bounded-map.js';
import type { AdmissionRequest } from './api.js';
import { codeMac } from './code-text.js';

const MOST = 4_096;

type Pair = Pick<AdmissionRequest, 'address' | 'code'>;

export class Recognised<T> {
  readonly #key = randomBytes(32);
  readonly #accepted = new BoundedMap<string, T>(MOST);

  get(pair: Pair): T | undefined {
    return this.#accepted.get(this.#mark(pair));
  }

  add(pair: Pair, value: T): void {
    this.#accepted.set(this.#mark(pair), value);
  }

  clear(): void {
    this.#accepted.clear();
  }

  #mark({ address, code }: Pair): string {
    return codeMac(this.#key, Buffer.concat([Buffer.from(`${address}\0`), code])).toString(
      'base64',
    );
  }
}
