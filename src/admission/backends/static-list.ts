/** A fixed list of codes that the configuration holds, and of addresses that need none. */
import { randomBytes, timingSafeEqual } from 'node:crypto';
import { decided, type AdmissionRequest, type Backend, type Decision } from '../api.js';
import { addressForm } from '../code-record.js';
import { codeMac } from '../code-text.js';
import { Recognised } from '../recognised.js';

export interface StaticListOptions {
  /** Codes in clear; kept as keyed hashes. */
  readonly codes?: readonly string[];
  /** Addresses that enter without a code. */
  readonly addresses?: readonly string[];
}

export class StaticList implements Backend {
  readonly #key = randomBytes(32);
  readonly #macs: readonly Buffer[];
  readonly #addresses: ReadonlySet<string>;
  readonly #recognised = new Recognised<true>();

  constructor({ codes = [], addresses = [] }: StaticListOptions) {
    this.#macs = codes.map((code) => codeMac(this.#key, Buffer.from(code)));
    this.#addresses = new Set(addresses.map(addressForm));
  }

  recognise(request: AdmissionRequest): Decision | undefined {
    const { address, code } = request;
    if (this.#addresses.has(addressForm(address))) return decided('OKAY', 'admitted');
    if (code.length === 0) return decided('REJECT', 'no-code');
    return this.#recognised.get(request) ? decided('OKAY', 'admitted') : undefined;
  }

  judge(request: AdmissionRequest): Promise<Decision> {
    const mac = codeMac(this.#key, request.code);
    // All are compared, so that the time does not tell which one is equal.
    const equal = this.#macs.filter((own) => timingSafeEqual(own, mac));
    if (equal.length === 0) return Promise.resolve(decided('REJECT', 'unknown-code'));
    this.#recognised.add(request, true);
    return Promise.resolve(decided('OKAY', 'admitted'));
  }

  stays(): boolean {
    return true;
  }

  left(): void {
    // The list has no limits that count sessions.
  }

  close(): void {
    // Nothing is open.
  }
}
