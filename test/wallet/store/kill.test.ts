/**
 * A real program is killed with SIGKILL at every write point of the wallet folder, on the file system of
 * this machine, and the wallet is opened again.
 */
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import t, { type Test } from 'tap';
import { nodeFiles } from '../../../src/wallet/store/files.js';
import { createWalletStore, openWalletStore } from '../../../src/wallet/store/store.js';
import { bundle, inParallel, run } from './children.js';
import { COST, faultOf, PASSWORD, SECRET } from './scene.js';
import { faultAfter, knownBefore, SCENES, type Known, type Scene } from './scenes.js';

interface Life {
  readonly scene: Scene;
  readonly number: number;
  readonly at: number;
  readonly kind: 'before' | 'half-way';
}

const LIVES: readonly Life[] = SCENES.flatMap((scene, number) =>
  scene.points.flatMap((point, at): Life[] => {
    const before = { scene, number, at, kind: 'before' } as const;
    return point.startsWith('write ') ? [before, { ...before, kind: 'half-way' }] : [before];
  }),
);

async function live(t: Test, child: string, base: string, life: Life): Promise<void> {
  const { scene, number, at, kind } = life;
  const title = `${scene.name}, killed ${kind} ${at}, ${scene.points[at]}`;
  await mkdir(base);
  for (const [path, bytes] of Object.entries(await scene.content())) {
    /* oxlint-disable no-await-in-loop -- at most two files */
    await mkdir(dirname(join(base, path)), { recursive: true });
    await writeFile(join(base, path), bytes);
    /* oxlint-enable no-await-in-loop */
  }
  const { lines, signal } = await run([child, base, String(number), String(at), kind]);
  if (signal !== 'SIGKILL') t.fail(`${title}: ended by ${signal}`);
  const last = lines.at(-1) ?? '';
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the child's own words
  const known = last === '' ? knownBefore(scene) : (JSON.parse(last) as Known);
  const fault = await faultAfter(scene, { files: nodeFiles, base }, known);
  if (fault !== undefined) t.fail(`${title}: ${fault}`);
}

t.test(`a program killed with SIGKILL at any of ${LIVES.length} places`, async (t) => {
  const folder = t.testdir();
  const child = bundle(join(import.meta.dirname, 'killed-child.ts'), folder);
  await inParallel([...LIVES.entries()], ([number, life]) =>
    live(t, child, join(folder, String(number)), life),
  );
  t.pass('before or after');
});

t.test('the folder of a wallet belongs to its owner alone', async (t) => {
  const base = join(t.testdir(), 'wallets');
  const folder = join(base, 'main');
  const wallet = { secret: SECRET, password: PASSWORD };
  const store = await createWalletStore(folder, wallet, { cost: COST });
  await store.append(['record']);
  await store.backup(join(base, 'backup'));
  const error = await openWalletStore(folder, PASSWORD, { mode: 'write', cost: COST }).catch(
    (thrown: unknown) => thrown,
  );
  t.match(error, { fault: 'locked', pid: process.pid }, 'a second writer');
  const reader = await openWalletStore(folder, PASSWORD, { mode: 'read' });
  t.same(reader.records, ['record']);
  await reader.close();
  await store.close();
  t.equal((await stat(base)).mode & 0o777, 0o700);
  t.equal((await stat(folder)).mode & 0o777, 0o700);
  const names = (await readdir(folder)).toSorted();
  t.same(names, ['journal', 'lock', 'wallet']);
  for (const path of [...names.map((name) => join(folder, name)), join(base, 'backup')]) {
    // oxlint-disable-next-line no-await-in-loop
    t.equal((await stat(path)).mode & 0o777, 0o600, path);
  }
  t.equal(await readFile(join(folder, 'lock'), 'utf8'), '', 'released');
  t.equal(await faultOf(createWalletStore(folder, wallet, { cost: COST })), 'exists');
});

t.test('the key derivation of a new wallet takes 128 MiB, beside the event loop', async (t) => {
  const folder = join(t.testdir(), 'main');
  let turns = 0;
  const timer = setInterval(() => (turns += 1), 5);
  const store = await createWalletStore(folder, { secret: SECRET, password: PASSWORD });
  clearInterval(timer);
  await store.close();
  t.ok(turns > 5, `${turns} turns`);
  const header = await readFile(join(folder, 'wallet'));
  t.same([...header.subarray(8, 13)], [1, 1, 17, 8, 1], 'scrypt with N = 2^17, r = 8, p = 1');
});
