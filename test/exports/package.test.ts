/** The packed tarball in another program: its entries from ESM and CommonJS, their types, a browser. */
import { build as esbuild } from 'esbuild';
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import t from 'tap';
import ts from 'typescript';
import manifest from '../../package.json' with { type: 'json' };
import { startProgram } from '../helpers/cli.js';
import vectors from '../vectors/protocol.json' with { type: 'json' };

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const IN_BROWSER = fileURLToPath(new URL('../helpers/protocol-in-browser.js', import.meta.url));

async function run(program: string, args: readonly string[], cwd: string): Promise<string> {
  const { code, stdout, stderr } = await startProgram(program, args, { cwd }).ended;
  if (code !== 0) throw new Error(`${program} ${args.join(' ')}: ${stderr}${stdout}`);
  return stdout;
}

/**
 * A folder whose node_modules holds exactly what `npm install onionmc-VERSION.tgz` installs: the files of the
 * tarball and its dependencies. No registry is asked: the dependencies are links to those of this clone.
 */
async function installed(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'onionmc-packed-'));
  t.teardown(() => rm(dir, { recursive: true }));
  const modules = join(dir, 'node_modules');
  const home = join(modules, 'onionmc');
  await mkdir(home, { recursive: true });
  await run('npm', ['pack', '--silent', '--pack-destination', dir], ROOT);
  const tarball = (await readdir(dir)).find((name) => name.endsWith('.tgz')) ?? '';
  await run('tar', ['-xzf', tarball, '--strip-components=1', '-C', home], dir);
  // A program brings the types of Node itself, as with every package for Node.
  for (const name of [...Object.keys(manifest.dependencies), '@types/node']) {
    await mkdir(dirname(join(modules, name)), { recursive: true });
    await symlink(join(ROOT, 'node_modules', name), join(modules, name));
  }
  return dir;
}

/** One value of each entry, for programs that import them all. */
const VALUES: Readonly<Record<string, string>> = {
  onionmc: 'OnionMessageChannel',
  'onionmc/protocol': 'parseOffer',
  'onionmc/negotiation': 'runCoinjoin',
  'onionmc/coinjoin': 'openWallet',
  'onionmc/lethean': 'LetheanClient',
  'onionmc/tor': 'TorError',
  'onionmc/llarp': 'StreamService',
};

/** One type of each entry. */
const TYPES: Readonly<Record<string, string>> = {
  onionmc: 'MakerOptions',
  'onionmc/protocol': 'Offer',
  'onionmc/negotiation': 'MakerWallet',
  'onionmc/coinjoin': 'CoinjoinPlan',
  'onionmc/lethean': 'LetheanClientOptions',
  'onionmc/tor': 'OnionService',
  'onionmc/llarp': 'ServiceKeys',
};

const program = installed();

t.test('the tables of this file name every entry', async (t) => {
  const paths = Object.keys(manifest.exports).filter((path) => path !== './package.json');
  const entries = paths.map((path) => join('onionmc', path));
  t.same(entries.toSorted(), Object.keys(VALUES).toSorted());
  t.same(entries.toSorted(), Object.keys(TYPES).toSorted());
});

t.test('the entries load from ESM and from CommonJS', async (t) => {
  const dir = await program;
  const print = Object.values(VALUES).map((name) => `typeof ${name}`);
  const output = `object${' function'.repeat(print.length - 1)}\n`;
  const importLines = Object.entries(VALUES).map(
    ([entry, name]) => `import { ${name} } from '${entry}';`,
  );
  const requireLines = Object.entries(VALUES).map(
    ([entry, name]) => `const { ${name} } = require('${entry}');`,
  );
  const dynamicLines = Object.entries(VALUES).map(
    ([entry, name]) => `const { ${name} } = await import('${entry}');`,
  );
  const show = `console.log(${print.join(', ')});`;
  const programs = {
    'static.mjs': [...importLines, show],
    'required.cjs': [...requireLines, show],
    'dynamic.cjs': ['(async () => {', ...dynamicLines, show, '})();'],
  };
  for (const [file, lines] of Object.entries(programs)) {
    await writeFile(join(dir, file), lines.join('\n'));
    t.equal(await run(process.execPath, [file], dir), output, file);
  }
});

t.test('a path that package.json does not name cannot be imported', async (t) => {
  const dir = await program;
  const { resolve } = createRequire(join(dir, 'program.cjs'));
  t.throws(() => resolve('onionmc/dist/index.js'), { code: 'ERR_PACKAGE_PATH_NOT_EXPORTED' });
});

/** The errors of tsc for these files and for the declarations of the package. */
function faultsOf(files: readonly string[], options: ts.CompilerOptions): readonly string[] {
  const compiled = ts.createProgram(files, { strict: true, noEmit: true, ...options });
  return ts
    .getPreEmitDiagnostics(compiled)
    .map(({ file, messageText }) =>
      [file?.fileName ?? '', ts.flattenDiagnosticMessageText(messageText, '\n')].join(': '),
    );
}

t.test('the types of the entries compile in ESM and CommonJS programs', async (t) => {
  const dir = await program;
  const lines = Object.keys(VALUES).map((entry) => {
    const [value, type] = [VALUES[entry] ?? '', TYPES[entry] ?? ''];
    return `import { ${value}, type ${type} } from '${entry}';
      export const a${type} = ${value}; export type A${type} = ${type};
      // @ts-expect-error -- a name that no entry has
      import { noSuchName as no${type} } from '${entry}';`;
  });
  const files = ['types.mts', 'types.cts'].map((file) => join(dir, file));
  for (const file of files) await writeFile(file, lines.join('\n'));
  const exact = join(dir, 'exact.mts');
  await writeFile(exact, EXACT);
  const node = {
    target: ts.ScriptTarget.ES2023,
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    types: ['node'],
    typeRoots: [join(dir, 'node_modules', '@types')],
    exactOptionalPropertyTypes: true,
  };
  t.same(faultsOf([...files, exact], node), []);
});

/** Under `exactOptionalPropertyTypes`, an option takes `undefined` only where its type says so. */
const EXACT = `
  import * as mc from 'onionmc';
  import * as cj from 'onionmc/coinjoin';
  import * as tor from 'onionmc/tor';
  import { LetheanClient } from 'onionmc/lethean';
  import { runCoinjoin, type CoinjoinOptions } from 'onionmc/negotiation';

  declare const settings: mc.BondChainOptions;
  declare const channel: mc.OnionMessageChannel;
  const chain = mc.openBondChain(settings);
  mc.openLiveOrderbook(channel, { chain });
  mc.startTaker({ ...(null! as mc.TakerOptions), chain });
  void mc.startWatcher({ ...(null! as mc.WatcherOptions), chain });

  declare const signal: AbortSignal | undefined;
  void mc.DirectoryNode.start({ ...(null! as mc.DirectoryNodeOptions), signal });
  void runCoinjoin({ ...(null! as CoinjoinOptions), signal });
  void cj.openWalletTaker({ ...(null! as cj.WalletRoleOptions), signal });
  void cj.serveWalletMaker({ ...(null! as cj.WalletRoleOptions), signal });
  void (null! as LetheanClient).connect('provider.gate', { signal });
  void (null! as tor.ControlClient).command('GETINFO version', { signal });

  const { A, B, C } = process.env;
  void cj.openWallet({ name: 'w', password: 'p', passphrase: A, datadir: B, signal });
  mc.torOverlay({ control: { host: '127.0.0.1', password: A }, targetHost: B, hiddenServiceDir: C });
`;

t.test('onionmc/protocol in a browser', async (t) => {
  const dir = await program;
  const page = join(dir, 'page.ts');
  await writeFile(
    page,
    `import { parseOffer, type Offer } from 'onionmc/protocol';
     export const offer: Offer | undefined =
       [parseOffer({ name: 'sw0reloffer', args: [] })].flatMap((it) => (it.ok ? [it.value] : []))[0];`,
  );
  const faults = faultsOf([page], {
    target: ts.ScriptTarget.ES2022,
    lib: ['lib.es2022.d.ts', 'lib.dom.d.ts'],
    module: ts.ModuleKind.ESNext,
    moduleResolution: ts.ModuleResolutionKind.Bundler,
    types: [],
  });
  t.same(faults, [], 'its types need no types of Node');

  const { outputFiles, metafile } = await esbuild({
    stdin: { contents: await readFile(IN_BROWSER, 'utf8'), resolveDir: dir },
    bundle: true,
    platform: 'browser',
    format: 'iife',
    write: false,
    metafile: true,
    logLevel: 'silent',
  });
  const imported = Object.values(metafile.inputs).flatMap(({ imports }) => imports);
  t.same(
    imported.filter(({ path, external }) => external === true || path.startsWith('node:')),
    [],
    'no module of Node',
  );
  const own = Object.keys(metafile.inputs).filter((path) => path.includes('/onionmc/dist/'));
  t.same(
    own.filter((path) => !/\/dist\/(?:protocol\.js$|protocol\/|kit\/)/.test(path)),
    [],
    'only protocol/ and kit/ of onionmc',
  );
  const [script] = outputFiles;
  if (script === undefined) throw new Error('esbuild wrote nothing');

  const browser = await chromium.launch({
    executablePath: '/usr/bin/chromium',
    // Its sandbox does not start as root.
    args: process.getuid?.() === 0 ? ['--no-sandbox'] : [],
  });
  t.teardown(() => browser.close());
  const tab = await browser.newPage();
  const errors: unknown[] = [];
  tab.on('pageerror', (error) => errors.push(error.message));
  await tab.addScriptTag({ content: script.text });
  const computed: unknown = await tab.evaluate(`compute(${JSON.stringify(vectors)})`);
  t.same(errors, []);
  t.match(computed, {
    // Base58, filled up with O to 14 characters (section 7.1).
    freshNick: /^J5(?=.{14}$)[1-9A-HJ-NP-Za-km-z]+O*$/,
    nicks: vectors.nicks.map(({ nick }) => nick),
    onion: vectors.onion[0]?.host,
    box: vectors.box.plaintext,
    podle: vectors.podle.deterministic.commitment,
    bond: vectors.fidelityBonds[0]?.txid,
  });
  t.match(computed, { privateMessage: `${vectors.privmsgFill.line}\r\n` });
});
