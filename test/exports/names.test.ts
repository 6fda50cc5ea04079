/** The exports of each entry of the package. A new name is a decision: `exports.txt` must have it too. */
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import ts from 'typescript';
import manifest from '../../package.json' with { type: 'json' };
import { startProgram } from '../helpers/cli.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const LISTS = join(ROOT, 'test', 'vectors', 'exports.txt');

interface Entry {
  /** `onionmc` or `onionmc/...`, as a program imports it. */
  readonly name: string;
  readonly source: string;
}

/** The entries that package.json names, with the source of each. */
const ENTRIES: readonly Entry[] = Object.keys(manifest.exports)
  .filter((path) => path !== './package.json')
  .map((path) => ({
    name: join('onionmc', path),
    source: join(ROOT, 'src', path === '.' ? 'index.ts' : `${path}.ts`),
  }));

/** The names of each entry, sorted; types are marked. */
function exportedNames(): ReadonlyMap<string, readonly string[]> {
  const program = ts.createProgram(
    ENTRIES.map(({ source }) => source),
    { module: ts.ModuleKind.NodeNext, target: ts.ScriptTarget.ES2023, types: [] },
  );
  const checker = program.getTypeChecker();
  const namesOf = (source: string): string[] => {
    const file = program.getSourceFile(source);
    const module = file && checker.getSymbolAtLocation(file);
    if (module === undefined) throw new Error(`${source} is not a module`);
    return checker.getExportsOfModule(module).map((symbol) => {
      const isAlias = (symbol.flags & ts.SymbolFlags.Alias) !== 0;
      const target = isAlias ? checker.getAliasedSymbol(symbol) : symbol;
      return (target.flags & ts.SymbolFlags.Value) === 0 ? `${symbol.name} (type)` : symbol.name;
    });
  };
  return new Map(ENTRIES.map(({ name, source }) => [name, namesOf(source).toSorted()]));
}

/** The lists of `exports.txt`: a line `# ENTRY`, then a name in each line. */
async function listedNames(): Promise<ReadonlyMap<string, readonly string[]>> {
  const sections = (await readFile(LISTS, 'utf8')).split(/^# /m).slice(1);
  return new Map(
    sections.map((section) => {
      const [entry = '', ...list] = section.trim().split('\n');
      return [entry, list.toSorted()];
    }),
  );
}

const exported = exportedNames();

t.test('each entry exports the listed names', async (t) => {
  const listed = await listedNames();
  t.same([...exported.keys()].toSorted(), [...listed.keys()].toSorted(), 'the entries');
  for (const [entry, list] of exported) t.same(list, listed.get(entry), entry);
  const size = exported.get('onionmc')?.length ?? 0;
  t.ok(size <= 100, `onionmc has ${size} names`);
});

t.test('each name is in one entry', async (t) => {
  const seen = new Map<string, string>();
  for (const [entry, list] of exported) {
    for (const name of list) {
      if (seen.has(name)) t.fail(`${name} is in ${seen.get(name)} and in ${entry}`);
      seen.set(name, entry);
    }
  }
  t.ok(seen.size > 300, `${seen.size} names`);
});

t.test('lint fails on a public name without a docstring', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'onionmc-docstrings-'));
  t.teardown(() => rm(dir, { recursive: true }));
  // The smallest entry and the files that it imports, since typedoc reads every file of the folder.
  const parts = ['package.json', 'tsconfig.json', 'tsconfig.build.json', 'typedoc.json'];
  for (const name of [...parts, 'src/protocol.ts', 'src/protocol', 'src/kit']) {
    await cp(join(ROOT, name), join(dir, name), { recursive: true });
  }
  await symlink(join(ROOT, 'node_modules'), join(dir, 'node_modules'));
  const file = join(dir, 'src', 'protocol', 'offer.ts');
  const text = await readFile(file, 'utf8');
  const without = text.replace(/\/\*\*[^/]*\*\/\n(?=export function formatOffer)/, '');
  t.not(without, text, 'the docstring was there');
  await writeFile(file, without);
  const lint = startProgram(
    'npm',
    ['run', '--silent', 'docs', '--', '--emit', 'none', '--entryPoints', 'src/protocol.ts'],
    {
      cwd: dir,
    },
  );
  const { code, stdout, stderr } = await lint.ended;
  t.not(code, 0);
  const missing = `${stdout}${stderr}`.match(
    /\S+ \(\w+\), defined in .* does not have any documentation/g,
  );
  t.match(missing, [/^formatOffer /], stderr);
  t.equal(missing?.length, 1, 'all other names have one');
  t.match(manifest.scripts.lint, /npm run --silent docs$/);
});

t.test('no entry exports all of a file', async (t) => {
  for (const { name, source } of ENTRIES) {
    t.notMatch(await readFile(source, 'utf8'), /export (?:type )?\*/, name);
  }
});
