/** The taker and the maker of docs/library.md, in processes of their own, on a real node. */
import { mkdir, readdir, readlink, rm } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { serveWalletMaker } from '../../src/roles/library-coinjoin.js';
import { openWallet } from '../../src/roles/opened-wallet.js';
import { realNodeTest } from '../helpers/bitcoin-program.js';
import { PASSWORD } from '../helpers/cheap-wallet.js';
import { startProgram } from '../helpers/cli.js';
import { compileExamples, exampleOf } from '../helpers/compile-example.js';
import { startMakerNetwork } from '../helpers/maker-network.js';
import { TakerCli } from '../helpers/taker-cli.js';

t.setTimeout(180_000);

const MOST_LINES = 40;

/** The JavaScript of examples of at most 40 lines whose types are right. */
async function programsOf(t: Test, marks: readonly string[]): Promise<readonly string[]> {
  const texts = await Promise.all(marks.map((mark) => exampleOf('docs/library.md', mark)));
  const compiled = await compileExamples(texts);
  return compiled.map(({ lines, faults, file }, n) => {
    t.ok(lines <= MOST_LINES, `${marks[n]}: ${lines} lines`);
    t.same(faults, [], `${marks[n]}: its types are right`);
    return file;
  });
}

/** Arguments of both programs. */
const argsOf = ({ datadir }: TakerCli): readonly string[] => [
  datadir,
  'w',
  join(datadir, 'password'),
];

realNodeTest(t, 'a taker and a maker in 40 lines each (docs/library.md)', async (t) => {
  const [taker = '', maker = ''] = await programsOf(t, ['taker', 'maker']);
  const network = await startMakerNetwork(t, { fees: [100, 200] });
  const earning = await TakerCli.at(t, network, [30_000_000]);
  const paying = await TakerCli.at(t, network, [10_000_000]);
  const running = startProgram(process.execPath, [maker, ...argsOf(earning)]);
  await running.shows(
    'stdout',
    /^J5\w{14}: sw0reloffer up to \d+ for 0\.\d{6}; 0 coinjoins, 0 sat$/m,
  );
  const { code, stdout, stderr } = await startProgram(process.execPath, [
    taker,
    ...argsOf(paying),
    '3',
  ]).ended;
  t.equal(code, 0, stderr);
  const [, txid = ''] = /^([0-9a-f]{64}) 3 \d+ \d+\n$/.exec(stdout) ?? [];
  t.strictSame(await network.node.rpc('getrawmempool'), [txid]);
  t.match(stderr, /^at most \d+ sat for makers and \d+ sat for miners$/m);
  t.match(stderr, /^gathering \{/m);
  await running.shows('stdout', new RegExp(`^signed ${txid} for \\d+ sat$`, 'm'));
  await network.node.mine(1);
  await running.shows('stdout', /; 1 coinjoins, \d+ sat$/m);
  running.child.kill('SIGTERM');
  t.equal((await running.ended).code, 0);
});

realNodeTest(t, 'a maker that cannot start leaves nothing open', async (t) => {
  const network = await startMakerNetwork(t, { fees: [] });
  const { datadir } = await TakerCli.at(t, network, [1_000_000]);
  const wallet = await openWallet({ name: 'w', password: PASSWORD, datadir });
  t.teardown(() => wallet.close());
  const openFiles = async (): Promise<readonly string[]> => {
    const fds = await readdir('/proc/self/fd');
    const paths = await Promise.all(
      fds.map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => '')),
    );
    return paths.filter((path) => path.startsWith(datadir)).toSorted();
  };
  const before = await openFiles();
  t.ok(before.length > 0, 'those of the wallet');
  const signal = AbortSignal.abort(new Error('not now'));
  await t.rejects(serveWalletMaker({ wallet, signal }), { message: 'not now' });
  t.same(await openFiles(), before, 'the overlay did not open');
  const statement = join(datadir, 'logs', 'yigen-statement.csv');
  await rm(statement);
  await mkdir(statement);
  await t.rejects(serveWalletMaker({ wallet }), { name: 'StatementError' });
  t.same(await openFiles(), before, 'the statement cannot be written');
});
