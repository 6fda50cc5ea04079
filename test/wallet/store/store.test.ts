/** The folder of a wallet: what goes in comes out, for the right password, and only as a whole. */
import * as fc from 'fast-check';
import t from 'tap';
import { WalletStoreError, type JournalValue } from '../../../src/wallet/store/api.js';
import {
  createWalletStore,
  openWalletStore,
  restoreBackup,
} from '../../../src/wallet/store/store.js';
import { FaultingFiles } from './faulting-files.js';
import {
  COST,
  FOLDER,
  PASSWORD,
  SECRET,
  faultOf,
  makeWallet,
  openWallet,
  recordsOf,
} from './scene.js';
import { OTHER_PID, SimulatedDisk } from './simulated-disk.js';
import { unicodeText } from '../../helpers/unicode-text.js';

const RECORDS: readonly JournalValue[] = [
  { t: 'index', mixdepth: 0, branch: 1, index: 7 },
  'text',
  [1, null, true, { deep: [Number.MAX_SAFE_INTEGER, -1] }],
];

t.test('a wallet has its secret and its records again when it is opened', async (t) => {
  const files = new SimulatedDisk();
  const wallet = { secret: SECRET, password: PASSWORD, records: ['first'] };
  const store = await createWalletStore(FOLDER, wallet, { files, cost: COST });
  t.same(store.secret, SECRET);
  t.same(store.records, ['first']);
  t.same(await store.refresh(), [], 'a writer has nothing to read');
  await store.append(RECORDS);
  await store.append([]);
  await Promise.all([store.append([1]), store.append([2, 3]), store.append([4])]);
  t.same(store.records, ['first'], 'what was found at the opening');
  await store.close();
  await store.close();
  t.throws(() => store.secret, { message: 'the wallet is closed' });
  await t.rejects(store.append([1]), { message: 'the wallet is closed' });

  const again = await openWallet(files);
  t.same(again.secret, SECRET);
  t.same(again.records, ['first', ...RECORDS, 1, 2, 3, 4]);
  t.equal(again.lostBytes, 0);
  await again.close();
});

t.test('any records come back as they were, in their order', async (t) => {
  const value = fc.letrec<{ value: JournalValue }>((tie) => ({
    value: fc.oneof(
      { maxDepth: 3 },
      unicodeText(),
      fc.maxSafeInteger(),
      fc.boolean(),
      fc.constant(null),
      fc.array(tie('value'), { maxLength: 4 }),
      fc.dictionary(fc.string(), tie('value'), { maxKeys: 4, noNullPrototype: true }),
    ),
  })).value;
  const groups = fc.array(fc.array(value, { maxLength: 5 }), { maxLength: 5 });
  await fc.assert(
    fc.asyncProperty(groups, async (given) => {
      const files = new SimulatedDisk();
      await makeWallet(files, given);
      t.strictSame(JSON.stringify(await recordsOf(files)), JSON.stringify(given.flat()));
    }),
    { numRuns: 50 },
  );
});

t.test('a value that JSON would change is not a record', async (t) => {
  const files = new SimulatedDisk();
  await makeWallet(files);
  const store = await openWallet(files);
  const values: unknown[] = [0.1, NaN, 2 ** 53, -0, undefined, new Date(0), 1n, [undefined]];
  for (const value of values) {
    // @ts-expect-error -- these are not records
    t.throws(() => store.append([1, value]), TypeError);
  }
  await store.append([1]);
  await store.close();
  t.same(await recordsOf(files), [1]);
});

t.test('what cannot be opened is refused in one line, and nothing is written', async (t) => {
  const disk = new SimulatedDisk();
  const files = new FaultingFiles(disk);
  t.equal(await faultOf(openWallet(files)), 'missing');
  t.equal(await faultOf(openWallet(files, 'read')), 'missing');
  await makeWallet(files, [[1]]);
  const before = files.effects.length;
  const wallet = `${FOLDER}/wallet`;
  const journal = `${FOLDER}/journal`;
  const whole = disk.content;
  const bytes = whole[wallet] ?? new Uint8Array(0);
  const other = new SimulatedDisk();
  await makeWallet(other, [[1]]);

  const cases: readonly [string, Record<string, Uint8Array>, RegExp][] = [
    ['damaged', { ...whole, [wallet]: new Uint8Array(0) }, /wallet: no wallet of this program/],
    ['damaged', { ...whole, [wallet]: Buffer.from('JMWALLETd4:') }, /no wallet of this program/],
    ['damaged', { ...whole, [wallet]: bytes.subarray(0, 100) }, /wallet: cut off/],
    ['damaged', { ...whole, [wallet]: bytes.subarray(0, -1) }, /its checksum is wrong/],
    ['damaged', { ...whole, [wallet]: new Uint8Array(70_000) }, /no wallet of this program/],
    ['damaged', { [wallet]: bytes }, /journal: the file is missing/],
    ['damaged', { ...whole, [journal]: new Uint8Array(0) }, /journal: its header is damaged/],
    ['damaged', { ...whole, [journal]: other.content[journal] ?? bytes }, /or of another wallet/],
  ];
  for (const [fault, content, text] of cases) {
    const changed = SimulatedDisk.of(content);
    for (const mode of ['write', 'read'] as const) {
      // oxlint-disable-next-line no-await-in-loop
      await t.rejects(openWallet(changed, mode), {
        name: 'WalletStoreError',
        fault,
        message: text,
      });
    }
    t.same(changed.content, content);
  }
  for (const password of ['', 'correct hors', 'Correct horse', 'x'.repeat(1_025)]) {
    // oxlint-disable-next-line no-await-in-loop
    await t.rejects(openWalletStore(FOLDER, password, { files, mode: 'write', cost: COST }), {
      fault: 'password',
      message: /password/,
    });
  }
  t.same(new Set(files.effects.slice(before)), new Set(['lock lock']), 'no file was changed');
});

t.test('a header asks for bounded work only', async (t) => {
  const files = new SimulatedDisk();
  await makeWallet(files);
  const { createHash } = await import('node:crypto');
  const wallet = Buffer.from(files.content[`${FOLDER}/wallet`] ?? []);
  for (const [at, value] of [
    [8, 0],
    [9, 2],
    [10, 0],
    [10, 31],
    [10, 21],
    [11, 255],
    [12, 255],
    [60, 1],
  ] as const) {
    const body = Buffer.from(wallet.subarray(0, -32));
    body[at] = value;
    const bytes = Buffer.concat([body, createHash('sha256').update(body).digest()]);
    const disk = SimulatedDisk.of({ ...files.content, [`${FOLDER}/wallet`]: bytes });
    // oxlint-disable-next-line no-await-in-loop
    t.equal(await faultOf(openWallet(disk)), 'damaged', `${value} at ${at}`);
  }
  const later = Buffer.from(wallet.subarray(0, -32));
  later[8] = 2;
  const bytes = Buffer.concat([later, createHash('sha256').update(later).digest()]);
  const disk = SimulatedDisk.of({ ...files.content, [`${FOLDER}/wallet`]: bytes });
  t.equal(await faultOf(openWallet(disk)), 'version');
});

t.test('a wallet is never made over another one', async (t) => {
  const files = new SimulatedDisk();
  await makeWallet(files, [['keep']]);
  const wallet = { secret: SECRET, password: PASSWORD };
  const create = () => createWalletStore(FOLDER, wallet, { files, cost: COST });
  t.equal(await faultOf(create()), 'exists');
  t.same(await recordsOf(files), ['keep']);

  await files.remove(`${FOLDER}/wallet`);
  t.equal(await faultOf(create()), 'exists', 'its records are still there');
  await t.rejects(
    createWalletStore('/wallets/other', { ...wallet, password: '' }, { files, cost: COST }),
    { name: 'WalletStoreError', message: 'the password is empty: choose one' },
  );
  await t.rejects(
    createWalletStore(
      '/wallets/other',
      { ...wallet, secret: { ...SECRET, entropy: 'ff' } },
      { files, cost: COST },
    ),
    RangeError,
  );
  t.equal(await faultOf(openWallet(files, 'write', '/wallets/other')), 'missing');
});

t.test('a second writer is refused with the process id of the first', async (t) => {
  const files = new SimulatedDisk();
  await makeWallet(files, [[1]]);
  const release = files.lockElsewhere(`${FOLDER}/lock`);
  const error = await openWallet(files).catch((thrown: unknown) => thrown);
  t.ok(error instanceof WalletStoreError && error.fault === 'locked' && error.pid === OTHER_PID);
  t.match(error, { message: `${FOLDER}: process ${OTHER_PID} uses the wallet` });
  const reader = await openWallet(files, 'read');
  t.same(reader.records, [1], 'a reader needs no lock');
  await t.rejects(reader.append([1]), { message: 'the wallet is open to read only' });
  await t.rejects(reader.changePassword('new'), { message: 'the wallet is open to read only' });
  await reader.close();
  release();
  const store = await openWallet(files);
  await store.close();
  const again = await openWallet(files);
  await again.close();
});

t.test('a reader gets the records of the writer, each once', async (t) => {
  const files = new SimulatedDisk();
  await makeWallet(files, [[0]]);
  const writer = await openWallet(files);
  const reader = await openWallet(files, 'read');
  t.same(await reader.refresh(), []);
  await writer.append([1, 2]);
  await writer.append([3]);
  const both = await Promise.all([reader.refresh(), reader.refresh()]);
  t.same(both, [[1, 2, 3], []]);
  await writer.append([4]);
  await writer.close();
  t.same(await reader.refresh(), [4]);
  await reader.close();
  await t.rejects(reader.refresh(), { message: 'the wallet is closed' });
});

t.test('another password opens the wallet, and the old one does not', async (t) => {
  const files = new SimulatedDisk();
  await makeWallet(files, [[1]]);
  const store = await openWallet(files);
  await store.append([2]);
  await store.changePassword('new');
  await store.append([3]);
  t.equal(await faultOf(store.changePassword('')), 'password');
  await store.close();
  t.equal(await faultOf(openWallet(files)), 'password');
  const options = { files, mode: 'write', cost: COST } as const;
  const again = await openWalletStore(FOLDER, 'new', options);
  t.same(again.records, [1, 2, 3]);
  await again.close();
});

t.test('a password typed in another Unicode form is the same', async (t) => {
  const files = new SimulatedDisk();
  const wallet = { secret: SECRET, password: 'caf\u00e9' };
  await (await createWalletStore(FOLDER, wallet, { files, cost: COST })).close();
  const store = await openWalletStore(FOLDER, 'cafe\u0301', { files, mode: 'read' });
  t.same(store.secret, SECRET);
  await store.close();
});

t.test('a backup is one file, which makes the same wallet again', async (t) => {
  const files = new SimulatedDisk();
  await makeWallet(files, [['a'], ['b', 'c']]);
  const backup = '/wallets/main.backup';
  const writer = await openWallet(files);
  await writer.backup(backup);
  t.equal(await faultOf(writer.backup(backup)), 'exists');
  const reader = await openWallet(files, 'read');
  await reader.backup('/wallets/second');
  t.same(files.content[backup], files.content['/wallets/second']);
  await writer.append(['later']);
  await writer.close();
  await reader.close();

  const restored = '/wallets/restored';
  await restoreBackup(backup, restored, { files });
  const store = await openWallet(files, 'write', restored);
  t.same(store.records, ['a', 'b', 'c']);
  await store.append(['d']);
  await store.close();
  t.equal(await faultOf(restoreBackup(backup, restored, { files })), 'exists');
  t.equal(await faultOf(restoreBackup('/wallets/none', '/wallets/x', { files })), 'missing');

  const bytes = files.content[backup] ?? new Uint8Array(0);
  for (let at = 0; at < bytes.length; at += 7) {
    for (const changed of [
      bytes.slice(0, at),
      bytes.slice().fill((bytes[at] ?? 0) ^ 1, at, at + 1),
    ]) {
      const disk = SimulatedDisk.of({ '/b/backup': changed });
      const faulting = new FaultingFiles(disk);
      const call = restoreBackup('/b/backup', '/b/wallet', { files: faulting });
      // oxlint-disable-next-line no-await-in-loop
      const fault = await faultOf(call);
      if (fault !== 'damaged' && fault !== 'version') t.fail(`changed at ${at}: ${fault}`);
      if (faulting.effects.length > 0) t.fail(`changed at ${at}: something was written`);
    }
  }
});
