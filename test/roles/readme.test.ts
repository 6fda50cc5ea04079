import t from 'tap';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { startProgram } from '../helpers/cli.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** The first TypeScript block of the README. */
async function example(): Promise<string> {
  const readme = await readFile(join(ROOT, 'README.md'), 'utf8');
  const block = /```ts\n([\s\S]*?)```/.exec(readme)?.[1];
  if (block === undefined) throw new Error('the README has no TypeScript block');
  return block;
}

t.test('the example of the README has right types, runs and ends', async (t) => {
  const text = await example();
  t.ok(text.split('\n').length <= 31, 'about 30 lines');
  // Inside the package, so that `onionmc` names the package itself.
  const dir = join(ROOT, '.build', 'readme');
  await mkdir(dir, { recursive: true });
  t.teardown(() => rm(dir, { recursive: true }));
  const source = join(dir, 'example.mts');
  await writeFile(source, text);

  const program = ts.createProgram([source], {
    strict: true,
    target: ts.ScriptTarget.ES2022,
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    types: ['node'],
    skipLibCheck: true,
    outDir: dir,
    rootDir: dir,
  });
  const faults = ts.getPreEmitDiagnostics(program);
  t.same(
    faults.map((fault) => ts.flattenDiagnosticMessageText(fault.messageText, '\n')),
    [],
    'its types are right',
  );
  program.emit();

  const { code, stdout, stderr } = await startProgram(process.execPath, [join(dir, 'example.mjs')])
    .ended;
  t.equal(code, 0, stderr);
  t.match(stdout, /^J5\w{14} offers 0 27300 500000000 0 0\.00002 by (directory|direct)\n$/);
});
