/**
 * A real program of a maker is killed with SIGKILL between any two effects of three sessions; the wallet is
 * opened again and compared with the chain and with what takers saw.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import t from 'tap';
import { nodeFiles } from '../../../src/wallet/store/files.js';
import { start, startDisk, type Start } from '../../wallet/crash/life.js';
import { bundle, inParallel, run } from '../../wallet/store/children.js';
import { FaultingFiles } from '../../wallet/store/faulting-files.js';
import { makerFaults, makerLife, type Seen } from './maker-life.js';
import { MAKER_POINTS } from './maker-points.js';

const begin = await start();

t.test('the effects of a life are known', async (t) => {
  const base = '/base';
  const disk = startDisk(begin, base);
  const files = new FaultingFiles(disk);
  const seen: Seen[] = [];
  await makerLife({ files, base }, begin.paid, files, (it) => void seen.push(it));
  t.strictSame(files.effects, MAKER_POINTS);
  t.same(
    seen.map(({ kind }) => kind),
    ['named', 'signed', 'sent', 'named', 'signed', 'named'],
  );
  t.strictSame(await makerFaults({ files: disk.afterKill(), base }, begin.paid, seen), []);
});

async function folderWith(base: string, { files }: Start): Promise<void> {
  for (const [path, bytes] of Object.entries(files)) {
    /* oxlint-disable no-await-in-loop -- some files */
    await mkdir(dirname(join(base, path)), { recursive: true });
    await writeFile(join(base, path), bytes);
    /* oxlint-enable no-await-in-loop */
  }
}

t.test(
  `a maker killed with SIGKILL before any of its ${MAKER_POINTS.length} effects`,
  async (t) => {
    const folder = t.testdir();
    const child = bundle(join(import.meta.dirname, 'killed-maker.ts'), folder);
    await inParallel([...MAKER_POINTS.keys()], async (at) => {
      const base = join(folder, `${at}`);
      await folderWith(base, begin);
      const { lines, signal } = await run([child, base, String(at), ...begin.paid]);
      const point = `before ${at}, ${MAKER_POINTS[at]}`;
      if (signal !== 'SIGKILL') t.fail(`${point}: ended by ${signal}`);
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the child's own words
      const seen = lines.map((line) => JSON.parse(line) as Seen);
      const faults = await makerFaults({ files: nodeFiles, base }, begin.paid, seen);
      if (faults.length > 0) t.fail(`${point}: ${faults.join('; ')}`);
    });
    t.pass('before or after');
  },
);
