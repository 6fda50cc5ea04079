/** The examples in the documentation have correct types, run, and end. */
import t, { type Test } from 'tap';
import { build as esbuild } from 'esbuild';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  createLoopbackOverlay,
  DirectoryNode,
  OnionMessageChannel,
  startMaker,
} from '../../src/index.js';
import { silentLog } from '../../src/channel/log.js';
import { systemClock } from '../../src/overlay/system-clock.js';
import { formatLocation } from '../../src/protocol/location.js';
import { VERSION } from '../../src/roles/version.js';
import { startProgram } from '../helpers/cli.js';
import { compileExamples, examplesOf, type Compiled } from '../helpers/compile-example.js';
import { startSocksServer } from '../helpers/socks-server.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** What a block that is a part of a program needs, by an entry that only it imports. */
const REST_OF_PROGRAM: Readonly<Record<string, string>> = {
  'onionmc/llarp': `
    import { randomBytes } from 'node:crypto';
    type Options = ConstructorParameters<typeof LlarpNode>[0];
    declare const tools: Pick<Options, 'clock' | 'wallClock' | 'randomBytes'>;
    declare const network: Options['network'];
    declare const send: Options['send'];
    declare const addressInHex: string;`,
};

/** The page and the number of a block. */
type Block = `${string} ${number}`;

/** Every TypeScript block of every page. */
async function compileAll(): Promise<ReadonlyMap<Block, Compiled>> {
  const names = await readdir(join(ROOT, 'docs'), { recursive: true });
  const docs = names.filter((name) => name.endsWith('.md')).map((name) => join('docs', name));
  const blocks = await Promise.all(
    ['README.md', 'CONTRIBUTING.md', 'SECURITY.md', ...docs].map(async (page) =>
      (await examplesOf(page)).map((text, n) => [`${page} ${n}`, text] as const),
    ),
  );
  const named = blocks.flat();
  const rests = Object.entries(REST_OF_PROGRAM);
  const texts = named.map(([, text]) =>
    [text, ...rests.flatMap(([entry, rest]) => (text.includes(`'${entry}'`) ? [rest] : []))].join(
      '\n',
    ),
  );
  const compiled = await compileExamples(texts);
  return new Map(compiled.map((each, n) => [named[n]?.[0] ?? ` ${n}`, each]));
}

let compiling: ReturnType<typeof compileAll> | undefined;
const compiled = (): ReturnType<typeof compileAll> => (compiling ??= compileAll());

t.test('every TypeScript block of every page has right types', async (t) => {
  const blocks = await compiled();
  const pages = new Set([...blocks.keys()].map((block) => block.replace(/ \d+$/, '')));
  t.same([...pages].toSorted(), ['README.md', 'docs/library.md', 'docs/negotiation.md']);
  for (const [block, { faults }] of blocks) t.same(faults, [], block);
});

/** The JavaScript file of the first TypeScript block of a page. */
async function compile(t: Test, page: string, mostLines: number): Promise<string> {
  const first = (await compiled()).get(`${page} 0`);
  if (first === undefined) throw new Error(`${page} has no TypeScript block`);
  const { lines, faults, file } = first;
  t.ok(lines <= mostLines, `${lines} lines`);
  t.same(faults, [], 'its types are right');
  return file;
}

t.test('a directory, a maker and a taker (README)', async (t) => {
  const example = await compile(t, 'README.md', 30);
  const { code, stdout, stderr } = await startProgram(process.execPath, [example]).ended;
  t.equal(code, 0, stderr);
  t.match(stdout, /^J5\w{14} offers 0 27300 500000000 0 0\.00002 by (directory|direct)\n$/);
});

/** Bundles the program into one file, alone in its folder; resolves with the file. */
async function bundle(
  t: Test,
  source: string,
  format: 'esm' | 'cjs',
  banner = '',
): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'onionmc-bundle-'));
  t.teardown(() => rm(dir, { recursive: true }));
  const outfile = join(dir, format === 'esm' ? 'program.mjs' : 'program.cjs');
  const { errors } = await esbuild({
    stdin: { contents: source, resolveDir: ROOT, sourcefile: 'program.ts', loader: 'ts' },
    bundle: true,
    platform: 'node',
    format,
    outfile,
    banner: { js: banner },
    logLevel: 'silent',
  });
  t.same(errors, []);
  return outfile;
}

/** One of the addresses that the project ships. */
const ONION = 'nakamotourflxwjnjpnrk7yc2nhkf6r62ed4gdfxmmn5f4saw5q5qoyd.onion';

/** A CommonJS program has no `await` outside of functions. */
function inFunction(source: string): string {
  const lines = source.split('\n');
  const imports = lines.filter((line) => line.startsWith('import '));
  const rest = lines.filter((line) => !line.startsWith('import '));
  return [...imports, 'async function main() {', ...rest, '}', 'void main();'].join('\n');
}

t.test('the README example runs as a bundle, alone in its folder', async (t) => {
  const example = await readFile(await compile(t, 'README.md', 30), 'utf8');
  for (const [format, source] of [
    ['esm', example],
    ['cjs', inFunction(example)],
  ] as const) {
    const file = await bundle(t, source, format);
    const program = startProgram(process.execPath, [file], { cwd: dirname(file) });
    const { code, stdout, stderr } = await program.ended;
    t.equal(code, 0, `${format}: ${stderr}`);
    t.match(
      stdout,
      /^J5\w{14} offers 0 27300 500000000 0 0\.00002 by (directory|direct)\n$/,
      format,
    );
  }
});

t.test('a bundle dials through a SOCKS proxy', async (t) => {
  const proxy = await startSocksServer({ reply: Buffer.from([5, 4, 0, 1, 0, 0, 0, 0, 0, 0]) });
  t.teardown(() => proxy.close());
  if (proxy.endpoint.kind !== 'tcp') throw new Error('a TCP proxy was asked for');
  const source = `
    import { torOverlay } from 'onionmc';
    import { parseLocation } from 'onionmc/protocol';
    const overlay = torOverlay({ socks: { host: '127.0.0.1', port: ${proxy.endpoint.port} } });
    const location = parseLocation('${ONION}:5222');
    async function main() {
      try {
        await overlay.dial(location.value, { signal: AbortSignal.timeout(30_000) });
      } catch (error) {
        console.log(error.code, error.message);
      }
    }
    void main();`;
  const documented = /--banner:js=("[^\n]*")/.exec(
    await readFile(join(ROOT, 'docs', 'library.md'), 'utf8'),
  )?.[1];
  const banner: unknown = JSON.parse(documented ?? '""');
  for (const [format, head, expected] of [
    ['cjs', '', /^host-unreachable /],
    ['esm', String(banner), /^host-unreachable /],
    ['esm', '', /^package .*"Bundles" in docs\/library\.md/],
  ] as const) {
    const file = await bundle(t, source, format, head);
    const { stdout, stderr } = await startProgram(process.execPath, [file]).ended;
    t.match(stdout, expected, stderr);
  }
});

t.test('the statements of package.json are true', async (t) => {
  const manifest: unknown = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8'));
  t.match(manifest, { version: VERSION }, 'npm run build writes src/roles/version.ts');
  const kept = ['./dist/cli/main.js', './dist/tor/vanity/worker.js'];
  t.match(manifest, { sideEffects: kept });
  for (const file of kept) t.ok(existsSync(join(ROOT, file)), file);
  const built = await readdir(join(ROOT, 'dist'), { recursive: true });
  for (const name of built.filter((one) => one.endsWith('.js') && !one.startsWith('web/public'))) {
    const code = await readFile(join(ROOT, 'dist', name), 'utf8');
    // A source map would name files that the package does not contain.
    if (code.includes('sourceMappingURL')) t.fail(`${name} names a source map`);
  }
});

const overlay = () => createLoopbackOverlay({ host: '127.0.0.1', port: 0 });

t.test('the live orderbook (docs/library.md)', async (t) => {
  const example = await compile(t, 'docs/library.md', 20);
  const network = 'signet';
  const directory = await DirectoryNode.start({ network, overlay: overlay() });
  t.teardown(() => directory.close());
  const channel = OnionMessageChannel.open({
    network,
    directories: [directory.location],
    overlay: overlay(),
    serve: true,
  });
  t.teardown(() => channel.close());
  startMaker({
    channel,
    offers: [
      {
        type: 'sw0reloffer',
        oid: 0,
        minsize: 27_300,
        maxsize: 5_000_000,
        txfee: 0,
        cjfee: '0.0001',
      },
    ],
    clock: systemClock,
    log: silentLog,
  });
  const program = startProgram(process.execPath, [example, formatLocation(directory.location)]);
  const [, maker] = await program.shows(
    'stdout',
    /^\+ (J5\w{14})\/0 sw0reloffer 27300 to 5000000 for 0\.0001, signed, on 1$/m,
  );
  await channel.close();
  await program.shows('stdout', new RegExp(`^- ${maker}/0$`, 'm'));
  program.child.kill('SIGINT');
  const { code, stderr } = await program.ended;
  t.equal(code, 0, stderr);
});
