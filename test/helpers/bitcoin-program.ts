/**
 * Where a real bitcoind is: on the PATH, or in the folder into which scripts/setup unpacked it together with
 * its libraries. Tests that need it may skip, and no others: see `realNodeTest`.
 */
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Test } from 'tap';

/** From the source, or from its compiled form in .build/compiled. */
const HERE = fileURLToPath(new URL('../..', import.meta.url));
const BUILD = HERE.endsWith('/.build/compiled/') ? join(HERE, '..') : join(HERE, '.build');
const FOLDER = join(BUILD, 'debian', 'bitcoin');

/** The reason of every skipped test. test/runner/run.mjs accepts this one only. */
export const MISSING = 'bitcoind is missing (scripts/setup says why)';

/** The command line that starts a program of the node, without its options; undefined where there is none. */
export function bitcoinCommand(
  name: 'bitcoind' | 'bitcoin-cli',
): readonly [string, ...string[]] | undefined {
  for (const folder of (process.env['PATH'] ?? '').split(delimiter)) {
    const program = join(folder, name);
    if (folder !== '' && existsSync(program)) return [program];
  }
  const program = join(FOLDER, 'usr', 'bin', name);
  if (!existsSync(program)) return undefined;
  const loader = join(FOLDER, readFileSync(join(FOLDER, '.loader'), 'utf8').trim());
  const lib = join(FOLDER, 'usr', 'lib');
  const folders = [dirname(loader), ...readdirSync(lib).map((folder) => join(lib, folder))];
  return [loader, '--library-path', folders.join(':'), program];
}

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
