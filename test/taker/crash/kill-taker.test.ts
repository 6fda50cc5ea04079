/**
 * A real program of a taker is killed with SIGKILL between any two effects of two rounds; the wallet is opened
 * again and compared with the chain and with what makers saw.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import t from 'tap';
import { nodeFiles } from '../../../src/wallet/store/files.js';
import { start, startDisk, type Start } from '../../wallet/crash/life.js';
import { bundle, inParallel, run } from '../../wallet/store/children.js';
import { FaultingFiles } from '../../wallet/store/faulting-files.js';
import { commitmentsIn, takerFaults, takerLife, type Seen } from './taker-life.js';
import { isClaimingAt, TAKER_POINTS } from './taker-points.js';

const begin = await start();

t.test('the effects of a life are known', async (t) => {
  const base = '/base';
  const path = commitmentsIn(t.testdir({}));
  const disk = startDisk(begin, base);
  const files = new FaultingFiles(disk);
  const seen: Seen[] = [];
  await takerLife({ files, base }, begin.paid, path, files, (it) => void seen.push(it));
  t.strictSame(files.effects, TAKER_POINTS);
  t.same(
    seen.map(({ kind }) => kind),
    ['fill', 'fill', 'fill', 'fill', 'auth', 'auth', 'tx', 'tx', 'sent'],
  );
  const place = { files: disk.afterKill(), base };
  t.strictSame(await takerFaults(place, begin.paid, path, seen), []);
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
  `a taker killed with SIGKILL before any of its ${TAKER_POINTS.length} effects`,
  async (t) => {
    const folder = t.testdir({});
    const child = bundle(join(import.meta.dirname, 'killed-taker.ts'), folder);
    await inParallel([...TAKER_POINTS.keys()], async (at) => {
      const base = join(folder, `${at}`);
      await folderWith(base, begin);
      const { lines, signal } = await run([child, base, String(at), ...begin.paid]);
      const point = `before ${at}, ${TAKER_POINTS[at]}`;
      if (signal !== 'SIGKILL') t.fail(`${point}: ended by ${signal}`);
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the child's own words
      const seen = lines.map((line) => JSON.parse(line) as Seen);
      const place = { files: nodeFiles, base };
      const path = commitmentsIn(base);
      const faults = await takerFaults(place, begin.paid, path, seen, isClaimingAt(at));
      if (faults.length > 0) t.fail(`${point}: ${faults.join('; ')}`);
    });
    t.pass('before or after');
  },
);
