/** The journal's file: cut, changed, mixed with another one, packed; and what can be read in it. */
import { randomBytes } from 'node:crypto';
import * as fc from 'fast-check';
import t from 'tap';
import { WalletStoreError, type JournalValue } from '../../../src/wallet/store/api.js';
import { JournalFrames } from '../../../src/wallet/store/frames.js';
import { FaultingFiles } from './faulting-files.js';
import { FOLDER, SECRET, faultOf, makeWallet, openWallet } from './scene.js';
import { SimulatedDisk } from './simulated-disk.js';

const JOURNAL = `${FOLDER}/journal`;
const GROUPS: readonly (readonly JournalValue[])[] = [
  ['a'],
  ['b', { long: 'x'.repeat(300) }],
  ['c'],
  ['d', 'e', 'f'],
];
const HEADER = 64;

async function wallet(groups = GROUPS) {
  const disk = new SimulatedDisk();
  await makeWallet(disk, groups);
  const content = disk.content;
  const bytes = content[JOURNAL] ?? new Uint8Array(0);
  return {
    bytes,
    withJournal: (journal: Uint8Array) => SimulatedDisk.of({ ...content, [JOURNAL]: journal }),
  };
}

/** What a disk opens to: the records, or why not. */
async function opened(disk: SimulatedDisk, mode: 'read' | 'write' = 'write') {
  try {
    const store = await openWallet(disk, mode);
    const { records, lostBytes } = store;
    await store.close();
    return { records, lostBytes };
  } catch (error) {
    if (error instanceof WalletStoreError) return error.fault;
    throw error;
  }
}

/** Where the frames of a journal end: frames have 256 bytes, the second one 512. */
const ENDS = [64, 320, 832, 1_088, 1_344];

t.test(
  'a journal cut at any byte opens with its whole groups, and keeps what it cuts off',
  async (t) => {
    const { bytes, withJournal } = await wallet();
    t.equal(bytes.length, ENDS.at(-1));
    for (let length = 0; length <= bytes.length; length++) {
      const disk = withJournal(bytes.slice(0, length));
      /* oxlint-disable no-await-in-loop -- one disk after the other */
      // A reader changes nothing, and finds the same; each 17th length shows it.
      const reader = length % 17 === 0 ? await opened(disk, 'read') : undefined;
      const writer = await opened(disk);
      const whole = ENDS.findLastIndex((end) => end <= length);
      const records = whole === -1 ? 'damaged' : GROUPS.slice(0, whole).flat();
      const lostBytes = length - (ENDS[whole] ?? 0);
      const expected = whole === -1 ? 'damaged' : { records, lostBytes };
      if (JSON.stringify(writer) !== JSON.stringify(expected))
        t.same(writer, expected, `${length}`);
      if (whole !== -1) {
        if (reader !== undefined) t.same(reader, { records, lostBytes: 0 });
        const cut = Buffer.from(disk.content[`${FOLDER}/journal.cut-1`] ?? []);
        if (!cut.equals(bytes.subarray(length - lostBytes, length))) t.fail(`${length}: not kept`);
        if (disk.content[JOURNAL]?.length !== ENDS[whole]) t.fail(`${length}: not cut`);
      }
      /* oxlint-enable no-await-in-loop */
    }
  },
);

t.test('changed bytes anywhere give an error, never other records', async (t) => {
  const { bytes, withJournal } = await wallet();
  for (let at = 0; at < bytes.length; at++) {
    const changed = bytes.slice();
    changed[at] = (changed[at] ?? 0) ^ (1 << (at % 8));
    // oxlint-disable-next-line no-await-in-loop -- one disk after the other
    const found = await opened(withJournal(changed));
    if (found !== 'damaged' && !(found === 'version' && at === 8))
      t.same(found, 'damaged', `${at}`);
  }
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.nat(bytes.length - 1), fc.nat(255)), { minLength: 1, maxLength: 20 }),
      fc.nat(bytes.length),
      async (changes, length) => {
        const changed = bytes.slice();
        for (const [at, value] of changes) changed[at] = value;
        const found = await opened(withJournal(changed.subarray(0, length)));
        if (typeof found === 'string') return;
        const all = JSON.stringify(GROUPS.flat());
        t.ok(all.startsWith(JSON.stringify(found.records).slice(0, -1)), 'the first records');
      },
    ),
    { numRuns: 200 },
  );
});

t.test('zeros in the middle are damage, and zeros at the end are a torn end', async (t) => {
  const { bytes, withJournal } = await wallet();
  for (const [from, to, expected] of [
    [320, 832, 'damaged'],
    [512, 1_024, 'damaged'],
    [832, 1_088, 'damaged'],
    [1_088, 1_344, { records: GROUPS.slice(0, 3).flat(), lostBytes: 256 }],
    [64, 1_344, { records: [], lostBytes: 1_280 }],
  ] as const) {
    // oxlint-disable-next-line no-await-in-loop -- one disk after the other
    t.same(await opened(withJournal(bytes.slice().fill(0, from, to))), expected, `${from}`);
  }
  const behind = Buffer.concat([bytes, new Uint8Array(5_000)]);
  t.same(await opened(withJournal(behind)), { records: GROUPS.flat(), lostBytes: 5_000 });
});

t.test('an error names the byte and the records before it', async (t) => {
  const { bytes, withJournal } = await wallet();
  const disk = withJournal(bytes.slice().fill(7, 500, 501));
  const before = disk.content;
  for (const mode of ['write', 'read'] as const) {
    // oxlint-disable-next-line no-await-in-loop
    await t.rejects(openWallet(disk, mode), {
      message:
        `${JOURNAL}: damaged at byte 320, after 1 records; ` +
        'put a backup back, or recover the wallet from its seed words',
    });
  }
  t.same(disk.content, before, 'nothing is changed');
});

t.test('frames cannot be moved, repeated, left out, or taken from elsewhere', async (t) => {
  const { bytes, withJournal } = await wallet([['a'], ['b'], ['c'], ['d']]);
  const frame = (i: number) => bytes.subarray(HEADER + 256 * i, HEADER + 256 * (i + 1));
  const [a, b, c, d] = [frame(0), frame(1), frame(2), frame(3)];
  const other = await wallet([['a'], ['b'], ['c'], ['d']]);
  const foreign = other.bytes.subarray(HEADER + 256, HEADER + 512);
  // Another continuation of the same wallet, as after an old backup.
  const branch = withJournal(bytes.subarray(0, HEADER + 256));
  const store = await openWallet(branch);
  await store.append(['B']);
  await store.append(['C']);
  await store.close();
  const branched = (branch.content[JOURNAL] ?? bytes).subarray(HEADER + 512);
  for (const [name, parts] of Object.entries({
    swapped: [a, c, b, d],
    repeated: [a, b, b, c, d],
    'repeated at the end': [a, b, c, d, d],
    'left out': [a, c, d],
    'of another wallet': [a, foreign, c, d],
    'of another continuation': [a, b, branched],
  })) {
    const journal = Buffer.concat([bytes.subarray(0, HEADER), ...parts]);
    // oxlint-disable-next-line no-await-in-loop -- one disk after the other
    t.equal(await faultOf(openWallet(withJournal(journal))), 'damaged', name);
  }
});

t.test('a search of the folder finds no address, txid, label or seed', async (t) => {
  const disk = new SimulatedDisk();
  const address = 'bcrt1qz9mzxs5fx5n5xjtwa5pj55edxh4dqg9rtkg0w9';
  const txid = randomBytes(32).toString('hex');
  const label = 'rent for the flat, paid in March';
  await makeWallet(disk, [[{ t: 'address', address, index: 0 }], [{ txid }, { label }]]);
  const store = await openWallet(disk);
  await store.backup('/backup');
  await store.changePassword('new');
  await store.close();
  const torn = disk.content[JOURNAL]?.subarray(0, -1) ?? new Uint8Array(0);
  const cut = SimulatedDisk.of({ ...disk.content, [JOURNAL]: torn });
  t.equal(await faultOf(openWallet(cut)), 'password');
  const needles: readonly Buffer[] = [
    address,
    txid,
    label,
    SECRET.entropy,
    'bcrt1',
    'address',
    'regtest',
  ].flatMap((text) => [
    Buffer.from(text),
    Buffer.from(text, 'utf16le'),
    Buffer.from(Buffer.from(text).toString('base64').replace(/=+$/, '').slice(0, -2)),
    ...(/^[0-9a-f]+$/.test(text)
      ? [Buffer.from(text, 'hex'), Buffer.from(Buffer.from(text, 'hex').toReversed())]
      : []),
  ]);
  for (const [path, bytes] of Object.entries(disk.content)) {
    for (const needle of needles) {
      if (Buffer.from(bytes).includes(needle)) t.fail(`${path} has ${String(needle)}`);
    }
  }
  t.match(Object.keys(disk.content).toSorted(), ['/backup', JOURNAL, `${FOLDER}/wallet`]);
});

t.test(
  'the length of a frame tells little, and the same records never look the same',
  async (t) => {
    const frames = JournalFrames.create({ id: randomBytes(16), journalKey: randomBytes(32) });
    const sealed = (length: number) =>
      frames.seal(0, frames.firstTag, Buffer.alloc(length, 'x')).bytes;
    t.same(
      [1, 40, 192, 193, 448].map((length) => sealed(length).length),
      [256, 256, 256, 512, 512],
    );
    t.notSame(sealed(40), sealed(40));
    t.throws(() => sealed(64 * 1_048_576), RangeError);
  },
);

t.test('a packed journal has the same records, also for a reader that is open', async (t) => {
  const disk = new SimulatedDisk();
  const groups = Array.from({ length: 40 }, (_, i) => [i]);
  await makeWallet(disk, groups);
  const before = disk.content[JOURNAL]?.length ?? 0;
  const reader = await openWallet(disk, 'read');
  const writer = await openWallet(disk, 'write', FOLDER, 20);
  t.same(writer.records, groups.flat());
  t.equal(disk.content[JOURNAL]?.length, HEADER + 256, `${before} bytes before`);
  t.same(await reader.refresh(), []);
  for (let i = 0; i < 30; i++) {
    // oxlint-disable-next-line no-await-in-loop -- one call after the other
    await writer.append([`new ${i}`]);
  }
  const added = Array.from({ length: 30 }, (_, i) => `new ${i}`);
  t.same(await reader.refresh(), added, 'packed once more in between');
  await writer.append(['last']);
  await writer.close();
  t.same(await reader.refresh(), ['last']);
  await reader.close();
  t.same(await opened(disk), { records: [...groups.flat(), ...added, 'last'], lostBytes: 0 });
});

t.test('a journal is packed into frames of a bounded length', async (t) => {
  const disk = new SimulatedDisk();
  const long = 'x'.repeat(1_000);
  const groups = Array.from({ length: 8 }, (_, i) =>
    Array.from({ length: 50 }, (__, j) => [i, j, long]),
  );
  await makeWallet(disk, groups);
  const writer = await openWallet(disk, 'write', FOLDER, 1);
  await writer.close();
  t.same(await opened(disk), { records: groups.flat(), lostBytes: 0 });
});

t.test('a full disk while the journal is packed changes nothing', async (t) => {
  const disk = new SimulatedDisk();
  await makeWallet(disk, [[1], [2], [3], [4]]);
  const whole = disk.content[JOURNAL];
  const files = new FaultingFiles(disk);
  files.fault = { at: 2, kind: 'ENOSPC', isLasting: true };
  const store = await openWallet(files, 'write', FOLDER, 2);
  t.same(store.records, [1, 2, 3, 4]);
  t.same(disk.content[JOURNAL], whole);
  t.notOk(disk.content[`${FOLDER}/journal.new`], 'the half of it is removed');
  files.fault = undefined;
  await store.append([5]);
  await store.close();
  t.same(await opened(disk), { records: [1, 2, 3, 4, 5], lostBytes: 0 });
});

t.test('what a killed program left is removed by the next writer', async (t) => {
  const { bytes, withJournal } = await wallet();
  const disk = SimulatedDisk.of({
    ...withJournal(bytes).content,
    [`${FOLDER}/wallet.new`]: bytes,
    [`${FOLDER}/journal.new`]: bytes,
  });
  t.same(await opened(disk), { records: GROUPS.flat(), lostBytes: 0 });
  t.same(Object.keys(disk.content).toSorted(), [JOURNAL, `${FOLDER}/wallet`]);
});
