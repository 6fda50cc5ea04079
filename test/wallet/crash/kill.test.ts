/**
 * A real program is killed with SIGKILL between any two effects of handing out addresses, leasing, signing
 * and sending; the wallet is opened again and compared with the chain.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import t, { type Test } from 'tap';
import { nodeFiles } from '../../../src/wallet/store/files.js';
import { bundle, inParallel, run } from '../store/children.js';
import { faultsAfter, start, startChain, type Said, type Start } from './life.js';
import { POINTS } from './points.js';

async function live(t: Test, child: string, base: string, at: number, begin: Start) {
  for (const [path, bytes] of Object.entries(begin.files)) {
    /* oxlint-disable no-await-in-loop -- some files */
    await mkdir(dirname(join(base, path)), { recursive: true });
    await writeFile(join(base, path), bytes);
    /* oxlint-enable no-await-in-loop */
  }
  const { lines, signal } = await run([child, base, String(at), ...begin.paid]);
  if (signal !== 'SIGKILL') t.fail(`${POINTS[at]}: ended by ${signal}`);
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the child's own words
  const said = lines.map((line) => JSON.parse(line) as Said);
  const chain = startChain(begin.paid);
  for (const it of said) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    if (it.kind === 'sent') await chain.broadcast(Buffer.from(it.bytes, 'hex'));
  }
  const faults = await faultsAfter({ files: nodeFiles, base, chain }, said, begin.paid);
  if (faults.length > 0) t.fail(`killed before ${at}, ${POINTS[at]}: ${faults.join('; ')}`);
}

t.test(`a program killed with SIGKILL before any of its ${POINTS.length} effects`, async (t) => {
  const folder = t.testdir();
  const child = bundle(join(import.meta.dirname, 'killed-child.ts'), folder);
  const begin = await start();
  await inParallel([...POINTS.keys()], (at) => live(t, child, join(folder, `${at}`), at, begin));
  t.pass('before or after');
});
