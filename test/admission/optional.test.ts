/** Admission is optional: nothing of it is loaded unless it is configured, and no core folder knows it. */
import { readdir, readFile } from 'node:fs/promises';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';

const SRC = fileURLToPath(new URL('../../src', import.meta.url));
const STATIC = /^(?:import|export)\s(?!type\b)[^;]*?from\s+'(\.[^']+)'/gm;
const DYNAMIC = /import\('(\.[^']+)'\)/g;

async function sources(): Promise<ReadonlyMap<string, string>> {
  const files = (await readdir(SRC, { recursive: true })).filter((file) => file.endsWith('.ts'));
  return new Map(
    await Promise.all(
      files.map(async (file) => [file, await readFile(join(SRC, file), 'utf8')] as const),
    ),
  );
}

const target = (from: string, path: string): string =>
  relative(SRC, resolve(SRC, dirname(from), path)).replace(/\.js$/, '.ts');

t.test('no program loads it at its start', async (t) => {
  const files = await sources();
  const entries = [...files.keys()].filter((file) => !file.includes('/') || file === 'cli/main.ts');
  const seen = new Set<string>(entries);
  // Commands that are loaded by name are starts of their own.
  for (const [file, text] of files) {
    if (!file.startsWith('cli/') || file.startsWith('cli/admission/')) continue;
    seen.add(file);
    for (const [, path = ''] of text.matchAll(DYNAMIC)) {
      const loaded = target(file, path);
      if (
        !loaded.startsWith('cli/admission/') &&
        !loaded.startsWith('admission/') &&
        loaded !== 'roles/directory-gate.ts'
      ) {
        seen.add(loaded);
      }
    }
  }
  for (const file of seen) {
    for (const [, path = ''] of (files.get(file) ?? '').matchAll(STATIC))
      seen.add(target(file, path));
  }
  t.ok(
    seen.has('roles/directory-node.ts') && seen.has('directory/entry/gate.ts'),
    'the walk finds the core',
  );
  t.same(
    [...seen].filter((file) => file.startsWith('admission/')),
    [],
  );
});

t.test('zeromq is loaded in one place, and only there', async (t) => {
  const loading = [...(await sources())].filter(
    ([file, text]) => file.startsWith('admission/') && text.includes("import('zeromq')"),
  );
  t.same(
    loading.map(([file]) => file),
    ['admission/omq/router.ts'],
  );
});
