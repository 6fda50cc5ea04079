/** The examples in the documentation have right types, run, and end. */
import t, { type Test } from 'tap';
import { mkdtemp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import {
  createLoopbackOverlay,
  DirectoryNode,
  OnionMessageChannel,
  startMaker,
} from '../../src/index.js';
import { silentLog } from '../../src/channel/log.js';
import { systemClock } from '../../src/overlay/system-clock.js';
import { formatLocation } from '../../src/protocol/location.js';
import { startProgram } from '../helpers/cli.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** The first TypeScript block of a page, compiled under the strictest rules; its JavaScript file. */
async function compile(t: Test, page: string, mostLines: number): Promise<string> {
  const text = /```ts\n([\s\S]*?)```/.exec(await readFile(join(ROOT, page), 'utf8'))?.[1];
  if (text === undefined) throw new Error(`${page} has no TypeScript block`);
  const code = text.split('\n').filter((line) => line.trim() !== '' && !line.startsWith('//'));
  t.ok(code.length <= mostLines, `${code.length} lines`);
  // Inside the package, so that `onionmc` names the package itself.
  const builds = join(ROOT, '.build');
  await mkdir(builds, { recursive: true });
  const dir = await mkdtemp(join(builds, 'example-'));
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
  return join(dir, 'example.mjs');
}

t.test('a directory, a maker and a taker (README)', async (t) => {
  const example = await compile(t, 'README.md', 30);
  const { code, stdout, stderr } = await startProgram(process.execPath, [example]).ended;
  t.equal(code, 0, stderr);
  t.match(stdout, /^J5\w{14} offers 0 27300 500000000 0 0\.00002 by (directory|direct)\n$/);
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
