/** docs/llarp.md: each row with tests that exist, and each contradiction once. */
import { readFileSync } from 'node:fs';
import t from 'tap';
import vectors from '../vectors/llarp/structures.json' with { type: 'json' };

const PAGE = readFileSync('docs/llarp.md', 'utf8');
const ROWS = Array.from({ length: 32 }, (_, i) => `D${i + 1}`);
const DHT = ['FIM', 'GIM', 'PIM', 'AIM', 'FRCM', 'GRCM', 'timeout'];
const GENERATED: ReadonlySet<string> = new Set(
  vectors.examples.map(({ row, name }) => `${row} ${name}`),
);

/** The cells of the table rows of a section. */
function tableOf(heading: string): readonly (readonly string[])[] {
  const start = PAGE.indexOf(`## ${heading}`);
  if (start === -1) throw new Error(`no section ${heading}`);
  const end = PAGE.indexOf('\n## ', start);
  return PAGE.slice(start, end === -1 ? undefined : end)
    .split('\n')
    .filter((line) => line.startsWith('| ') && !line.startsWith('| -'))
    .map((line) => line.split(' | ').map((cell) => cell.replaceAll(/^\| | \|$/g, '').trim()));
}

/** The names of the tests of a file. Those of examples are made from the vectors. */
function testsOf(file: string): ReadonlySet<string> {
  const source = readFileSync(file, 'utf8');
  const names = [...source.matchAll(/\bt\.test\(\s*(['"`])(.*?)\1,/g)].map(
    ([, , name = '']) => name,
  );
  return new Set(source.includes('`${row} ${name}`') ? [...names, ...GENERATED] : names);
}

/** Each test that a cell names: file and name. */
function cited(cell: string): readonly (readonly [string, string])[] {
  const found: [string, string][] = [];
  let file = '';
  for (const [, path, name] of cell.matchAll(/`(test\/[\w/.-]+)`|"([^"]+)"/g)) {
    if (path !== undefined) file = path;
    else found.push([file, name ?? '']);
  }
  return found;
}

t.test('every row of the document and every message of the DHT has tests, which exist', (t) => {
  const table = tableOf('What stands');
  const rows = table.map(([row = '']) => row);
  for (const row of [...ROWS, ...DHT]) {
    t.equal(rows.filter((each) => each === row).length, 1, `${row} has one row`);
  }
  for (const cells of table) {
    const [row = ''] = cells;
    if (row === 'row' || row === 'what') continue;
    const tests = cited(cells.at(-1) ?? '');
    t.ok(tests.length > 0, `${row} names a test`);
    for (const [file, name] of tests) t.ok(testsOf(file).has(name), `${file}: ${name}`);
  }
  t.end();
});

t.test('every example of a structure stands in its row', (t) => {
  const table = tableOf('What stands').map((cells) => cells.at(-1) ?? '');
  const named = new Set(table.flatMap((cell) => cited(cell).map(([, name]) => name)));
  t.same(
    [...GENERATED].filter((name) => !named.has(name)),
    [],
  );
  t.end();
});

t.test('each contradiction has one row with a reading and a reason', (t) => {
  const table = tableOf('Gaps and contradictions').filter(([number]) => number !== 'no.');
  const numbers = table.map(([number = '']) => number).filter((number) => number !== '');
  t.same(
    numbers,
    Array.from({ length: 26 }, (_, i) => String(i + 1)),
  );
  for (const cells of table) {
    const [, place = ''] = cells;
    t.equal(cells.length, 4, place);
    t.ok(
      cells.slice(1).every((cell) => cell !== ''),
      place,
    );
  }
  t.end();
});
