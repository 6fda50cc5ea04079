/**
 * Every write point of the wallet folder, on a simulated disk: what happens when it fails, when the
 * program is killed there, and when the power is cut there. A confirmed record is never lost, and a group
 * of records is there as a whole or not at all.
 */
import * as fc from 'fast-check';
import t from 'tap';
import { errorText } from '../../../src/kit/error-text.js';
import { WalletStoreError } from '../../../src/wallet/store/api.js';
import { FaultingFiles, Killed, type Fault, type FaultKind } from './faulting-files.js';
import { FOLDER, faultOf, makeWallet, openWallet } from './scene.js';
import { faultAfter, knownBefore, Progress, SCENES, type Scene } from './scenes.js';
import { SimulatedDisk } from './simulated-disk.js';

const BASE = '/base';
const KILLS = ['killed before', 'killed half-way', 'killed after'] as const;

/** One life of a program that meets a fault. */
async function live(scene: Scene, fault?: Fault) {
  const content = await scene.content();
  const disk = SimulatedDisk.of(
    Object.fromEntries(Object.entries(content).map(([path, bytes]) => [`${BASE}/${path}`, bytes])),
  );
  const files = new FaultingFiles(disk, fault);
  const progress = new Progress(knownBefore(scene));
  const error: unknown = await scene.run({ files, base: BASE }, progress).catch((thrown) => thrown);
  return { disk, files, known: progress.known, error };
}

for (const scene of SCENES) {
  const { name, points } = scene;
  t.test(`${name}: its write points are known`, async (t) => {
    const { files, error } = await live(scene);
    t.equal(error, undefined);
    t.strictSame(files.effects, points);
  });

  t.test(`${name}: killed at any write point`, async (t) => {
    for (const kind of KILLS) {
      for (const [at, point] of points.entries()) {
        // oxlint-disable-next-line no-await-in-loop -- one life after the other
        const { disk, known, error } = await live(scene, { at, kind });
        const isKilled = error instanceof Killed || error instanceof WalletStoreError;
        const place = { files: disk.afterKill(), base: BASE };
        // oxlint-disable-next-line no-await-in-loop
        const fault = isKilled ? await faultAfter(scene, place, known) : 'it was not killed';
        if (fault !== undefined) t.fail(`${kind} ${at}, ${point}: ${fault}`);
      }
    }
    t.pass('before or after');
  });

  t.test(`${name}: a power cut at any write point`, async (t) => {
    await fc.assert(
      fc.asyncProperty(
        fc.nat(points.length - 1),
        fc.constantFrom<FaultKind>(...KILLS),
        fc.infiniteStream(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })),
        async (at, kind, random) => {
          const { disk, known } = await live(scene, { at, kind });
          const files = disk.afterPowerCut(() => random.next().value ?? 0);
          const fault = await faultAfter(scene, { files, base: BASE }, known);
          if (fault !== undefined) throw new Error(`${kind} ${at}, ${points[at]}: ${fault}`);
        },
      ),
      { numRuns: 40 },
    );
    t.pass('before or after');
  });

  t.test(`${name}: any write point fails, once or from then on`, async (t) => {
    for (const kind of ['ENOSPC', 'EIO', 'half, then ENOSPC', 'short'] as const) {
      for (const [at, point] of points.entries()) {
        for (const isLasting of [false, true]) {
          const title = `${kind} ${at}, ${point}${isLasting ? ', lasting' : ''}`;
          // oxlint-disable-next-line no-await-in-loop -- one life after the other
          const { disk, known, error } = await live(scene, { at, kind, isLasting });
          const isDisk = error instanceof WalletStoreError && error.fault === 'disk';
          if (error !== undefined && !isDisk) t.fail(`${title}: ${errorText(error)}`);
          const place = { files: disk.afterKill(), base: BASE };
          // oxlint-disable-next-line no-await-in-loop
          const fault = await faultAfter(scene, place, known);
          if (fault !== undefined) t.fail(`${title}: ${fault}`);
        }
      }
    }
    t.pass('before or after');
  });
}

async function walletDisk() {
  const disk = new SimulatedDisk();
  await makeWallet(disk, [['old'], [[5, 6]]]);
  return { disk, files: new FaultingFiles(disk) };
}

t.test(
  'after a full disk the next call succeeds, and the refused records never come back',
  async (t) => {
    for (const kind of ['ENOSPC', 'half, then ENOSPC', 'EIO'] as const) {
      for (const point of [0, 1]) {
        /* oxlint-disable no-await-in-loop -- one case after the other */
        const { disk, files } = await walletDisk();
        const store = await openWallet(files);
        files.fault = { at: files.effects.length + point, kind };
        t.equal(await faultOf(store.append(['refused'])), 'disk', `${kind} at ${point}`);
        await store.append(['later']);
        await store.close();
        const again = await openWallet(disk.afterKill());
        t.same(again.records, ['old', [5, 6], 'later']);
        t.equal(again.lostBytes, 0);
        await again.close();
        /* oxlint-enable no-await-in-loop */
      }
    }
  },
);

t.test('a wallet opens on a full disk, also with a torn end, which is cut off later', async (t) => {
  const whole = await walletDisk();
  const journal = whole.disk.content[`${FOLDER}/journal`] ?? new Uint8Array(0);
  const disk = SimulatedDisk.of({
    ...whole.disk.content,
    [`${FOLDER}/journal`]: journal.subarray(0, -1),
  });
  const files = new FaultingFiles(disk, { at: 1, kind: 'ENOSPC', isLasting: true });
  const store = await openWallet(files);
  t.same(store.records, ['old']);
  t.equal(store.lostBytes, 255, 'what is lost is named');
  await t.rejects(store.append(['refused']), {
    name: 'WalletStoreError',
    message: `${FOLDER}/journal: the disk is full: make room`,
  });
  t.equal(await faultOf(store.changePassword('new')), 'disk');
  t.equal(await faultOf(store.backup('/backup')), 'disk');
  files.fault = undefined;
  await store.append(['there is room']);
  await store.close();
  t.ok(disk.content[`${FOLDER}/journal.cut-1`], 'the torn end is kept');
  const again = await openWallet(disk);
  t.same(again.records, ['old', 'there is room']);
  t.equal(again.lostBytes, 0);
  await again.close();
});
