/**
 * The optional modules are not loaded without their settings: the coverage report of V8 lists every script that a
 * program loaded until its end, also those of worker threads.
 */
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { freePort } from '../../src/lab/private-network/free-ports.js';
import { startCli, type RunningCli } from '../helpers/cli.js';
import { loopbackConfig } from '../helpers/config.js';

t.setTimeout(120_000);

/** A part of a path, by the name of the module. */
const OPTIONAL = {
  lokinet: '/dist/lokinet/',
  admission: '/dist/admission/',
  llarp: '/dist/llarp/',
  'lab of LLARP': '/dist/lab/llarp/',
  lethean: '/dist/lethean/',
  cluster: '/dist/cluster/',
  zeromq: '/node_modules/zeromq/',
  nats: '/node_modules/@nats-io/',
} as const;

/** Scripts that this program loaded, and its folder. @param act waits until it runs, and may use it */
async function loadedBy(
  t: Test,
  args: readonly string[],
  {
    more = '',
    nodes = '',
    act,
  }: {
    readonly more?: string;
    readonly nodes?: string;
    readonly act: (program: RunningCli) => Promise<void>;
  },
): Promise<readonly string[]> {
  const folder = await mkdtemp(join(tmpdir(), 'onionmc-lazy-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  await writeFile(join(folder, 'joinmarket.cfg'), `${loopbackConfig({ nodes })}${more}`, {
    mode: 0o600,
  });
  const coverage = join(folder, 'coverage');
  const program = startCli([...args, '--datadir', folder], { env: { NODE_V8_COVERAGE: coverage } });
  await act(program);
  program.child.kill('SIGTERM');
  const { code, stderr } = await program.ended;
  t.equal(code, 0, stderr.slice(-500));
  const reports = await readdir(coverage);
  t.ok(reports.length > 0, 'V8 wrote its report');
  const texts = await Promise.all(reports.map((name) => readFile(join(coverage, name), 'utf8')));
  return texts.flatMap((text) =>
    [...text.matchAll(/"url":"(file:[^"]+)"/g)].map(([, url = '']) => url),
  );
}

function optionalOf(loaded: readonly string[]): readonly string[] {
  return Object.entries(OPTIONAL)
    .filter(([, part]) => loaded.some((url) => url.includes(part)))
    .map(([name]) => name);
}

const serves = async (program: RunningCli): Promise<void> => {
  await program.shows('stdout', /^127\.0\.0\.1:\d+\n/m);
};

t.test('a directory without their settings loads none of them', async (t) => {
  const loaded = await loadedBy(t, ['directory', 'lazy'], { act: serves });
  t.ok(
    loaded.some((url) => url.includes('/dist/directory/')),
    'the report has the core',
  );
  t.same(optionalOf(loaded), []);
});

t.test('with a code on its pages it loads admission, and nothing else of them', async (t) => {
  const loaded = await loadedBy(t, ['directory', 'lazy'], {
    act: serves,
    more: '\n[ADMISSION]\npages = true\n',
  });
  t.same(optionalOf(loaded), ['admission']);
});

t.test('a watcher and a command that ends by itself load none of them', async (t) => {
  const nodes = `127.0.0.1:${await freePort()}`;
  const watcher = await loadedBy(t, ['ob-watcher', '--port', String(await freePort())], {
    nodes,
    act: async (program) => void (await program.shows('stdout', /^http:/m)),
  });
  t.ok(
    watcher.some((url) => url.includes('/dist/orderbook/')),
    'the report has the order book',
  );
  t.same(optionalOf(watcher), []);
  const limits = await loadedBy(t, ['init'], { act: async ({ ended }) => void (await ended) });
  t.same(optionalOf(limits), []);
});

t.test('the folders that are looked for exist', async (t) => {
  for (const [name, part] of Object.entries(OPTIONAL)) {
    // A peer dependency that may be absent.
    if (name === 'zeromq') continue;
    // oxlint-disable-next-line no-await-in-loop -- a few folders
    t.ok((await stat(join(process.cwd(), part))).isDirectory(), name);
  }
});
