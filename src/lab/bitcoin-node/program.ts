/**
 * Where a real bitcoind is: on the PATH, or in the folder into which scripts/setup unpacked it together with
 * its libraries.
 */
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** From the source, from its compiled form in .build/compiled, or from the built program in dist. */
const HERE = fileURLToPath(new URL('../../..', import.meta.url));
const BUILD = HERE.endsWith('/.build/compiled/') ? join(HERE, '..') : join(HERE, '.build');
const FOLDER = join(BUILD, 'debian', 'bitcoin');

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
