/** Lokinet is an optional part: without its section nothing of it is loaded, and the core does not name it. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const SRC = join(ROOT, 'src');

/** The only files that import it, each with `import()`: the factory, and the doctor's checks. */
const IMPORTERS = ['doctor/lokinet-runs.ts', 'overlay/factory/open-lokinet.ts'];

async function sources(): Promise<ReadonlyMap<string, string>> {
  const names = (await readdir(SRC, { recursive: true })).filter((name) => name.endsWith('.ts'));
  return new Map(
    await Promise.all(
      names.map(async (name) => [name, await readFile(join(SRC, name), 'utf8')] as const),
    ),
  );
}

t.test('only two files import src/lokinet, and are loaded when it is configured', async (t) => {
  const files = await sources();
  const importers = [...files].filter(
    ([name, text]) =>
      !name.startsWith('lokinet/') && /['"][./]*\/lokinet\/[\w-]+\.js['"]/.test(text),
  );
  t.same(importers.map(([name]) => name).toSorted(), IMPORTERS);
  const factory = files.get('overlay/factory/open-lokinet.ts') ?? '';
  t.notMatch(factory, /^import .*\/lokinet\//m, 'the factory loads it with the first use');
  const statically = [...files].filter(([, text]) => /^import .*lokinet-runs\.js/m.test(text));
  t.same(statically, [], 'the doctor loads its checks with their turn');
});

t.test('zeromq is loaded by the first call of the RPC only', async (t) => {
  const files = await sources();
  const rpc = files.get('lokinet/rpc.ts') ?? '';
  t.match(rpc, /^import type \* as zeromq from 'zeromq';$/m);
  t.match(rpc, /import\('zeromq'\)/);
});
