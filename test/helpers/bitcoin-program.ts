/** Tests that need a real bitcoind. They may skip, and no others: see `realNodeTest`. */
import type { Test } from 'tap';
import { bitcoinCommand } from '../../src/lab/bitcoin-node/program.js';

export { bitcoinCommand } from '../../src/lab/bitcoin-node/program.js';

/** The reason of every skipped test. test/runner/run.mjs accepts this one only. */
export const MISSING = 'bitcoind is missing (scripts/setup says why)';

export const bitcoindCommand = (): readonly [string, ...string[]] | undefined =>
  bitcoinCommand('bitcoind');

/** A test that needs a real bitcoind. It is skipped, and counted as skipped, where there is none. */
export function realNodeTest(t: Test, name: string, body: (t: Test) => Promise<unknown>): void {
  if (bitcoindCommand() !== undefined) {
    void t.test(name, body);
    return;
  }
  // The runner makes other skipped tests fail.
  Object.assign(t.options, { failSkip: false });
  t.pass(name, { skip: MISSING });
}
