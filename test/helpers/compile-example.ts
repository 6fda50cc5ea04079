/** Examples of the pages: taken from a page, compiled, ready to run. */
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import ts from 'typescript';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

export interface Compiled {
  /** Without empty ones and comments. */
  readonly lines: number;
  /** Errors of the types. */
  readonly faults: readonly string[];
  /** The JavaScript. */
  readonly file: string;
}

/** The TypeScript block of a page behind a mark, by default the first one. Throws when there is none. */
export async function exampleOf(page: string, mark?: string): Promise<string> {
  const text = await readFile(join(ROOT, page), 'utf8');
  const from = mark === undefined ? 0 : text.indexOf(`<!-- example: ${mark} -->`);
  const block = /```ts\n([\s\S]*?)```/.exec(from < 0 ? '' : text.slice(from))?.[1];
  if (block === undefined) throw new Error(`${page} has no TypeScript block ${mark ?? ''}`);
  return block;
}

/** All TypeScript blocks of a page, in order. */
export async function examplesOf(page: string): Promise<readonly string[]> {
  const text = await readFile(join(ROOT, page), 'utf8');
  return [...text.matchAll(/^```(?:ts|typescript)\n([\s\S]*?)```$/gm)].map(
    ([, block = '']) => block,
  );
}

/** Compiles a program under the strictest rules, into a folder that the end of the test removes. */
export async function compileExample(text: string): Promise<Compiled> {
  const [compiled] = await compileExamples([text]);
  if (compiled === undefined) throw new Error('nothing was compiled');
  return compiled;
}

/** Several programs at once: the types that they share are read and checked once, which takes seconds. */
export async function compileExamples(texts: readonly string[]): Promise<readonly Compiled[]> {
  // Inside the package, so that `onionmc` names the package itself.
  const builds = join(ROOT, '.build');
  await mkdir(builds, { recursive: true });
  const dir = await mkdtemp(join(builds, 'example-'));
  t.teardown(() => rm(dir, { recursive: true }));
  const sources = texts.map((_, n) => join(dir, `example-${n}.mts`));
  await Promise.all(sources.map((source, n) => writeFile(source, texts[n] ?? '')));
  const program = ts.createProgram(sources, {
    strict: true,
    exactOptionalPropertyTypes: true,
    target: ts.ScriptTarget.ES2022,
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    types: ['node'],
    skipLibCheck: true,
    outDir: dir,
    rootDir: dir,
  });
  const faults = ts.getPreEmitDiagnostics(program);
  program.emit();
  return texts.map((text, n) => {
    // A fault outside the programs, of the options or of a declaration, is one of each program.
    const others = new Set(sources.filter((source) => source !== sources[n]));
    const own = faults.filter(({ file }) => file === undefined || !others.has(file.fileName));
    return {
      lines: text.split('\n').filter((line) => line.trim() !== '' && !line.startsWith('//')).length,
      faults: own.map((fault) => ts.flattenDiagnosticMessageText(fault.messageText, '\n')),
      file: join(dir, `example-${n}.mjs`),
    };
  });
}
