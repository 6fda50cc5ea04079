/**
 * Every write point of the wallet folder: what happens when it fails, when the program is killed there,
 * and when the power is cut there. A confirmed record is never lost, and a group of records is there as a
 * whole or not at all.
 */
import * as fc from 'fast-check';
import t, { type Test } from 'tap';
import { WalletStoreError, type JournalValue } from '../../../src/wallet/store/api.js';
import {
  createWalletStore,
  openWalletStore,
  restoreBackup,
} from '../../../src/wallet/store/store.js';
import { COST, FOLDER, PASSWORD, SECRET, faultOf, makeWallet, openWallet } from './scene.js';
import { Killed, SimulatedDisk, type Fault } from './simulated-disk.js';

const NEW_PASSWORD = 'another one';
const BACKUP = '/backup';

/** What a program did to a wallet, as far as it knows. */
interface Progress {
  /** Groups of records whose call has resolved. */
  readonly confirmed: JournalValue[][];
  /** The group whose call runs or has failed. */
  unconfirmed: JournalValue[] | undefined;
  /** Whether the call that makes the wallet has resolved. */
  isMade: boolean;
  password: 'old' | 'changing' | 'new';
  isBackedUp: boolean;
}

/** What one program does with a wallet. Rejects where a step fails. */
type Scene = (disk: SimulatedDisk, progress: Progress) => Promise<void>;

async function append(
  store: { append(records: readonly JournalValue[]): Promise<void> },
  group: JournalValue[],
  progress: Progress,
): Promise<void> {
  progress.unconfirmed = group;
  await store.append(group);
  progress.confirmed.push(group);
  progress.unconfirmed = undefined;
}

const create: Scene = async (disk, progress) => {
  const wallet = { secret: SECRET, password: PASSWORD, records: ['first'] };
  progress.unconfirmed = ['first'];
  const store = await createWalletStore(FOLDER, wallet, { files: disk, cost: COST });
  progress.isMade = true;
  progress.confirmed.push(['first']);
  progress.unconfirmed = undefined;
  await store.close();
};

const add: Scene = async (disk, progress) => {
  const store = await openWallet(disk);
  await append(store, [1, 'x'.repeat(700)], progress);
  await append(store, [2], progress);
  await store.close();
};

const changePassword: Scene = async (disk, progress) => {
  const store = await openWallet(disk);
  progress.password = 'changing';
  await store.changePassword(NEW_PASSWORD);
  progress.password = 'new';
  await append(store, [3], progress);
  await store.close();
};

const backUp: Scene = async (disk, progress) => {
  const store = await openWallet(disk);
  await store.backup(BACKUP);
  progress.isBackedUp = true;
  await append(store, [4], progress);
  await store.close();
};

const restore: Scene = async (disk, progress) => {
  await restoreBackup('/old/backup', FOLDER, { files: disk });
  progress.isMade = true;
};

/** A journal is packed at its opening, and after so many calls. */
const PACK_FROM = 6;

const pack: Scene = async (disk, progress) => {
  const store = await openWallet(disk, 'write', FOLDER, PACK_FROM);
  await append(store, [1], progress);
  for (let i = 0; i < PACK_FROM; i++) {
    // oxlint-disable-next-line no-await-in-loop -- one call after the other
    await append(store, [i, 'x'.repeat(300)], progress);
  }
  await store.close();
};

const disks = {
  empty: () => new SimulatedDisk(),
  wallet: async () => {
    const disk = new SimulatedDisk();
    await makeWallet(disk, [['old'], [[5, 6]]]);
    return disk.afterKill();
  },
  torn: async () => {
    const disk = new SimulatedDisk();
    await makeWallet(disk, [['old'], [[5, 6]], ['cut', 'off']]);
    const content = disk.content;
    const journal = content[`${FOLDER}/journal`] ?? new Uint8Array(0);
    return SimulatedDisk.of({ ...content, [`${FOLDER}/journal`]: journal.subarray(0, -1) });
  },
  unpacked: async () => {
    const disk = new SimulatedDisk();
    await makeWallet(disk, UNPACKED);
    return disk.afterKill();
  },
  backup: async () => {
    const disk = new SimulatedDisk();
    await makeWallet(disk, [['old'], [[5, 6]]], '/old');
    const store = await openWallet(disk, 'write', '/old');
    await store.backup('/old/backup');
    await store.close();
    return SimulatedDisk.of({ '/old/backup': disk.content['/old/backup'] ?? new Uint8Array(0) });
  },
};

const OLD: JournalValue[][] = [['old'], [[5, 6]]];
const UNPACKED: JournalValue[][] = Array.from({ length: PACK_FROM }, (_, i) => [i, `record ${i}`]);

const WALLET_FILE = ['open wallet.new to replace', 'write wallet.new', 'sync wallet.new'];
const ITS_NAME = ['rename wallet.new to wallet', 'syncFolder main'];
const START_OF_A_WALLET = [
  'makeFolder main',
  'lock lock',
  ...WALLET_FILE,
  'syncFolder main',
  'open journal to replace',
  'write journal',
];
const GROUP = ['write journal', 'sync journal'];
const PACKED = [
  'open journal.new to replace',
  'write journal.new',
  'write journal.new',
  'sync journal.new',
  'rename journal.new to journal',
  'syncFolder main',
];

/** Every scene, the disk that it finds, the records there, and all its write points in their order. */
const SCENES: readonly {
  readonly name: string;
  readonly scene: Scene;
  readonly disk: () => SimulatedDisk | Promise<SimulatedDisk>;
  readonly old: JournalValue[][];
  readonly points: readonly string[];
}[] = [
  {
    name: 'make a wallet',
    scene: create,
    disk: disks.empty,
    old: [],
    points: [...START_OF_A_WALLET, ...GROUP, ...ITS_NAME],
  },
  {
    name: 'add records',
    scene: add,
    disk: disks.wallet,
    old: OLD,
    points: ['lock lock', ...GROUP, ...GROUP],
  },
  {
    name: 'add records behind a torn end',
    scene: add,
    disk: disks.torn,
    old: OLD,
    points: [
      'lock lock',
      'open journal.cut-1 to replace',
      'write journal.cut-1',
      'sync journal.cut-1',
      'syncFolder main',
      'truncate journal',
      'sync journal',
      ...GROUP,
      ...GROUP,
    ],
  },
  {
    name: 'pack the journal',
    scene: pack,
    disk: disks.unpacked,
    old: UNPACKED,
    points: [
      'lock lock',
      ...PACKED,
      ...Array.from({ length: PACK_FROM - 1 }, () => GROUP).flat(),
      ...PACKED,
      ...GROUP,
      ...GROUP,
    ],
  },
  {
    name: 'change the password',
    scene: changePassword,
    disk: disks.wallet,
    old: OLD,
    points: ['lock lock', ...WALLET_FILE, ...ITS_NAME, ...GROUP],
  },
  {
    name: 'make a backup',
    scene: backUp,
    disk: disks.wallet,
    old: OLD,
    points: [
      'lock lock',
      'open backup.RANDOM.tmp to new',
      'write backup.RANDOM.tmp',
      'write backup.RANDOM.tmp',
      'write backup.RANDOM.tmp',
      'write backup.RANDOM.tmp',
      'sync backup.RANDOM.tmp',
      'sync backup.RANDOM.tmp',
      'rename backup.RANDOM.tmp to backup',
      'syncFolder ',
      ...GROUP,
    ],
  },
  {
    name: 'restore a backup',
    scene: restore,
    disk: disks.backup,
    old: OLD,
    points: [...START_OF_A_WALLET, 'sync journal', ...ITS_NAME],
  },
];

function startOf(old: JournalValue[][], isMade: boolean): Progress {
  return {
    confirmed: [...old],
    unconfirmed: undefined,
    isMade,
    password: 'old',
    isBackedUp: false,
  };
}

/** Opens the wallet with a password that it may have. */
async function reopen(disk: SimulatedDisk, { password }: Progress) {
  const options = { files: disk, mode: 'write', cost: COST } as const;
  const candidates = { old: [PASSWORD], new: [NEW_PASSWORD], changing: [PASSWORD, NEW_PASSWORD] };
  let last: unknown;
  for (const candidate of candidates[password]) {
    try {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      return await openWalletStore(FOLDER, candidate, options);
    } catch (error) {
      last = error;
      if (!(error instanceof WalletStoreError) || error.fault !== 'password') throw error;
    }
  }
  throw last;
}

/** The wallet has what was confirmed, perhaps the group that was being written, and takes more. */
async function check(t: Test, disk: SimulatedDisk, progress: Progress, title: string) {
  if (progress.isBackedUp) {
    await restoreBackup(BACKUP, '/restored', { files: disk });
  }
  if (!progress.isMade) {
    const fault = await faultOf(openWallet(disk).then((store) => store.close()));
    if (fault === 'missing') {
      await create(disk, startOf([], false));
      return;
    }
    if (fault !== undefined) t.fail(`${title}: ${fault}`);
  }
  const store = await reopen(disk, progress);
  const before = JSON.stringify(progress.confirmed.flat());
  const after = JSON.stringify([...progress.confirmed.flat(), ...(progress.unconfirmed ?? [])]);
  const found = JSON.stringify(store.records);
  if (found !== before && found !== after) t.fail(`${title}: ${found} instead of ${before}`);
  await store.append(['more']);
  await store.close();
  const again = await reopen(disk, progress);
  if (
    JSON.stringify(again.records) !== JSON.stringify([...store.records, ...again.records.slice(-1)])
  ) {
    if (again.records.at(-1) !== 'more') t.fail(`${title}: nothing can be added`);
  }
  await again.close();
}

for (const { name, scene, disk: makeDisk, old, points } of SCENES) {
  t.test(`${name}: its write points are known`, async (t) => {
    const disk = await makeDisk();
    await scene(disk, startOf(old, true));
    t.strictSame(disk.effects, points);
  });

  t.test(`${name}: killed at any write point`, async (t) => {
    for (const kind of ['killed before', 'killed half-way', 'killed after'] as const) {
      for (const at of points.keys()) {
        const title = `${kind} ${at}, ${points[at]}`;
        /* oxlint-disable no-await-in-loop -- one life after the other */
        const disk = await makeDisk();
        disk.fault = { at, kind };
        const progress = startOf(old, scene !== create && scene !== restore);
        await scene(disk, progress).then(
          () => t.fail(`${title}: not killed`),
          (error: unknown) => {
            if (!(error instanceof Killed || error instanceof WalletStoreError)) throw error;
          },
        );
        await check(t, disk.afterKill(), progress, title);
      }
    }
    t.pass('before or after');
  });

  t.test(`${name}: a power cut at any write point`, async (t) => {
    await fc.assert(
      fc.asyncProperty(
        fc.nat(points.length - 1),
        fc.constantFrom<Fault>('killed before', 'killed half-way', 'killed after'),
        fc.infiniteStream(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })),
        async (at, kind, random) => {
          const disk = await makeDisk();
          disk.fault = { at, kind };
          const progress = startOf(old, scene !== create && scene !== restore);
          await scene(disk, progress).catch(() => {});
          const after = disk.afterPowerCut(() => random.next().value ?? 0);
          await check(t, after, progress, `power cut, ${kind} ${at}, ${points[at]}`);
        },
      ),
      { numRuns: 150 },
    );
    t.pass('before or after');
  });

  t.test(`${name}: any write point fails, once or from then on`, async (t) => {
    for (const kind of ['ENOSPC', 'EIO', 'half, then ENOSPC', 'short'] as const) {
      for (const [at, isLasting] of [...points.keys()].flatMap(
        (point) =>
          [
            [point, false],
            [point, true],
          ] as const,
      )) {
        const title = `${kind} ${at}, ${points[at]}${isLasting ? ', lasting' : ''}`;
        const disk = await makeDisk();
        disk.fault = { at, kind, isLasting };
        const progress = startOf(old, scene !== create && scene !== restore);
        await scene(disk, progress).catch((error: unknown) => {
          if (!(error instanceof WalletStoreError)) throw error;
          if (error.fault !== 'disk') t.fail(`${title}: ${error.message}`);
        });
        disk.fault = undefined;
        const next = disk.afterKill();
        await check(t, next, progress, title);
        /* oxlint-enable no-await-in-loop */
      }
    }
    t.pass('before or after');
  });
}

t.test(
  'after a full disk the next call succeeds, and the refused records never come back',
  async (t) => {
    for (const kind of ['ENOSPC', 'half, then ENOSPC', 'EIO'] as const) {
      for (const point of [0, 1]) {
        /* oxlint-disable no-await-in-loop -- one case after the other */
        const disk = await disks.wallet();
        const store = await openWallet(disk);
        disk.fault = { at: disk.effects.length + point, kind };
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
  const disk = await disks.torn();
  disk.fault = { at: 1, kind: 'ENOSPC', isLasting: true };
  const store = await openWallet(disk);
  t.same(store.records, ['old', [5, 6]]);
  t.ok(store.lostBytes > 200, 'what is lost is named');
  await t.rejects(store.append(['refused']), {
    fault: 'disk',
    message: `${FOLDER}/journal: the disk is full: make room`,
  });
  t.equal(await faultOf(store.changePassword(NEW_PASSWORD)), 'disk');
  t.equal(await faultOf(store.backup(BACKUP)), 'disk');
  disk.fault = undefined;
  await store.append(['there is room']);
  await store.close();
  t.ok(disk.content[`${FOLDER}/journal.cut-1`], 'the torn end is kept');
  const again = await openWallet(disk);
  t.same(again.records, ['old', [5, 6], 'there is room']);
  t.equal(again.lostBytes, 0);
  await again.close();
});
