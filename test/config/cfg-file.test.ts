import { readFileSync } from 'node:fs';
import { mkdir, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as fc from 'fast-check';
import t from 'tap';
import { MAX_CFG_BYTES, parseCfg, readCfgFile, type CfgFile } from '../../src/config/cfg-file.js';
import { ConfigError } from '../../src/config/config-error.js';
import { unicodeText } from '../helpers/unicode-text.js';

/** One case of `test/vectors/make-cfg-vectors.py`: what Python's configparser reads from a text. */
interface Vector {
  readonly name: string;
  readonly text: string;
  readonly error?: { readonly kind: 'no-section' | 'bad-line'; readonly line: number };
  readonly sections?: readonly (readonly [
    string,
    readonly (readonly [string, { raw: string; value?: string; fault?: string }])[],
  ])[];
}

const vectors: readonly Vector[] = JSON.parse(
  readFileSync(new URL('../vectors/cfg.json', import.meta.url), 'utf8'),
);

function parsed(text: string): CfgFile {
  const result = parseCfg(text, 'test.cfg');
  if (!result.ok) throw new Error(`line ${result.fault.line}: ${result.fault.fault}`);
  return result.value;
}

/** The content of a file in the shape of a vector, names sorted (Python lists defaults last). */
function dump(file: CfgFile, keysOf: (section: string) => readonly string[]): unknown {
  return file.sections.map((section) => [
    section,
    keysOf(section)
      .toSorted()
      .map((key) => {
        const raw = file.raw(section, key);
        try {
          return [key, raw, file.get(section, key)];
        } catch (error) {
          return [key, raw, error instanceof ConfigError ? 'fault' : error];
        }
      }),
  ]);
}

t.test('files are read as Python reads them', async (t) => {
  t.ok(vectors.length >= 60, `${vectors.length} vectors`);
  for (const vector of vectors) {
    const result = parseCfg(vector.text, 'test.cfg');
    if (vector.error !== undefined) {
      t.notOk(result.ok, `${vector.name}: refused`);
      if (result.ok) continue;
      const kind = result.fault.fault === 'no-section' ? 'no-section' : 'bad-line';
      t.same({ kind, line: result.fault.line }, vector.error, `${vector.name}: the same line`);
      continue;
    }
    if (!result.ok) {
      t.fail(`${vector.name}: refused at line ${result.fault.line}`);
      continue;
    }
    const expected = new Map(vector.sections);
    const keysOf = (section: string): readonly string[] => [
      ...new Set([
        ...result.value.ownKeys(section),
        ...(expected.get(section) ?? []).map(([key]) => key),
      ]),
    ];
    const wanted = [...expected].map(([section, keys]) => [
      section,
      keys
        .map(([key, { raw, value }]) => [key, raw, value ?? 'fault'])
        .toSorted(([a], [b]) => ((a ?? '') < (b ?? '') ? -1 : 1)),
    ]);
    t.same(dump(result.value, keysOf), wanted, vector.name);
  }
});

t.test('any text is read or refused, and the parser never throws', async (t) => {
  const oddLine = fc.oneof(
    fc.constantFrom(
      '[A]',
      '[A',
      '[]',
      ' x = 1',
      'x = %(y)s',
      'y: %',
      '# c',
      '',
      '  more',
      '[DEFAULT]',
    ),
    unicodeText(),
    fc.string(),
  );
  const text = fc.array(oddLine, { maxLength: 12 }).map((lines) => lines.join('\n'));
  fc.assert(
    fc.property(text, (value) => {
      const result = parseCfg(value, 'test.cfg');
      if (!result.ok) return result.fault.line >= 1;
      return result.value.sections.every((section) =>
        result.value.ownKeys(section).every((key) => {
          const line = result.value.lineOf(section, key) ?? 0;
          return line >= 1 && typeof result.value.raw(section, key) === 'string';
        }),
      );
    }),
    { numRuns: 1000 },
  );
  t.pass('1000 texts');
});

t.test('written values are read back unchanged', async (t) => {
  const name = unicodeText({ minLength: 1 })
    .map((s) => s.replace(/[\s\p{C}=:[\]#;\x85]/gu, ''))
    .filter((s) => s !== '' && s === s.toLowerCase() && s !== 'DEFAULT');
  const value = fc.string({ unit: 'grapheme' }).map((s) => s.replace(/[\s\p{C}]/gu, '-'));
  const sections = fc.dictionary(name, fc.dictionary(name, value, { minKeys: 1 }), { minKeys: 1 });
  fc.assert(
    fc.property(sections, (wanted) => {
      const text = Object.entries(wanted)
        .map(([section, keys]) =>
          [`[${section}]`, ...Object.entries(keys).map(([k, v]) => `${k} = ${v}`)].join('\n'),
        )
        .join('\n');
      const file = parsed(text);
      return Object.entries(wanted).every(([section, keys]) =>
        Object.entries(keys).every(([key, v]) => file.raw(section, key) === v),
      );
    }),
    { numRuns: 500 },
  );
  t.pass('500 files');
});

t.test('references that expand without bound are refused', async (t) => {
  const lines = ['[A]', `k0 = ${'x'.repeat(1000)}`];
  for (let i = 1; i <= 8; i += 1) lines.push(`k${i} = ${`%(k${i - 1})s`.repeat(10)}`);
  const file = parsed(lines.join('\n'));
  t.equal(file.get('A', 'k2')?.length, 100_000);
  t.throws(() => file.get('A', 'k8'), /k8: found references that expand to more than 1 MiB/);
});

t.test('a fault names the file, the line, the text found and the text allowed', async (t) => {
  const dir = t.testdir();
  const path = join(dir, 'joinmarket.cfg');
  const cases = [
    ['x = 1\n', `${path}:1: found "x = 1"; allowed: a [SECTION] line first, then key = value`],
    ['[A]\n\nfoo\n', `${path}:3: found "foo"; allowed: [SECTION], key = value,`],
    ['[A]\n= 1\n', `${path}:2: found "= 1"; allowed: key = value`],
    [`[A]\n${'y'.repeat(200)}\n`, `${path}:2: found "${'y'.repeat(80)}..."; allowed:`],
    ['[A]\na\u001b[2Jb\n', `${path}:2: found "a\\u001b[2Jb"; allowed:`],
  ] as const;
  for (const [text, message] of cases) {
    await writeFile(path, text);
    const error = await readCfgFile(path).then(
      () => undefined,
      (e: unknown) => e,
    );
    t.ok(error instanceof ConfigError, 'a ConfigError');
    if (!(error instanceof ConfigError)) continue;
    t.equal(error.message.slice(0, message.length), message);
    t.equal(error.message.includes('\n'), false, 'on one line');
    t.equal(error.exitCode, 2);
  }
  const file = parsed('[A]\nok = 1\n\nbad = 5%\n');
  t.throws(() => file.get('A', 'bad'), {
    message: /^test\.cfg:4: \[A\] bad: found a % that starts no reference; allowed: %% for/,
  });
});

t.test('files that cannot be read', async (t) => {
  const dir = t.testdir();
  const path = join(dir, 'joinmarket.cfg');
  t.equal(await readCfgFile(path), undefined, 'no file');
  await writeFile(path, Buffer.from([0x5b, 0x41, 0x5d, 0x0a, 0xff, 0xfe]));
  await t.rejects(readCfgFile(path), { name: 'ConfigError', message: /not UTF-8/ });
  await truncate(path, MAX_CFG_BYTES + 1);
  await t.rejects(readCfgFile(path), { name: 'ConfigError', message: /1048577 bytes/ });
  await writeFile(path, `[A]\nx = 1\n#${' '.repeat(MAX_CFG_BYTES - 11)}`);
  t.equal((await readCfgFile(path))?.get('A', 'x'), '1', 'exactly 1 MiB is read');
  const folder = join(dir, 'folder');
  await mkdir(folder);
  await t.rejects(readCfgFile(folder), { name: 'ConfigError', message: /found a directory/ });
});
