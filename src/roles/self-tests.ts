/**
 * The tests that a directory makes of itself: those of the canary, and those for which its doctor asks over
 * the request socket. Each has nicks of its own, which peers do not see, and a code that only the tester
 * knows: it lets the test into a private directory and is none of the operator's codes, so it is in no list,
 * no count and no audit log. Kept in memory only.
 */
import { randomBytes, timingSafeEqual } from 'node:crypto';
import type { EntryGate } from '../directory/entry/gate.js';
import { BoundedMap, BoundedSet } from '../kit/bounded-map.js';

/**
 * A nick is remembered until the directory has seen its connection end, which over Tor takes a while. A test
 * takes two nicks.
 */
const REMEMBERED_NICKS = 16;
const CODE_BYTES = 16;

/** What let a test in; ids of codes have no such name. */
const SELF_PASS = 'self-test';

/** The nicks of the last tests, with their codes. */
export class SelfTests {
  readonly #nicks = new BoundedSet<string>(REMEMBERED_NICKS);
  readonly #codes = new BoundedMap<string, Buffer>(REMEMBERED_NICKS);

  /** This set is changed, never replaced. */
  get nicks(): ReadonlySet<string> {
    return this.#nicks;
  }

  /** A code for the nicks of one test: 128 random bits. */
  newCode(): string {
    return randomBytes(CODE_BYTES).toString('hex');
  }

  /** From now on this nick is one of a test. */
  add(nick: string, code: string): void {
    this.#nicks.add(nick);
    this.#codes.set(nick, Buffer.from(code));
  }

  /** Whether nick and code are those of one test. */
  admits(nick: string, code: string | undefined): boolean {
    const expected = this.#codes.get(nick);
    if (expected === undefined || code === undefined) return false;
    const shown = Buffer.from(code);
    return shown.length === expected.length && timingSafeEqual(shown, expected);
  }
}

/** The gate of a private directory, and beside it the tests of the directory itself. */
export function gateWithSelfTests(gate: EntryGate, tests: SelfTests): EntryGate {
  return {
    ask: (request) =>
      tests.admits(request.nick, request.code)
        ? { enters: true, pass: SELF_PASS }
        : gate.ask(request),
    stays: (pass) => (pass.pass === SELF_PASS ? tests.nicks.has(pass.nick) : gate.stays(pass)),
    left(pass) {
      if (pass.pass !== SELF_PASS) gate.left(pass);
    },
  };
}
