import {
  chmod,
  lstat,
  mkdir,
  readdir,
  readFile,
  rename,
  rm,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import * as fc from 'fast-check';
import t from 'tap';
import {
  loadOrCreateOnionKey,
  readOnionHostname,
  readOnionKey,
} from '../../src/tor/onion/key-folder.js';
import { expandOnionSeed, onionKeyOf } from '../../src/tor/onion/onion-key.js';
import { startOfflineTor, temporaryFolder } from '../helpers/offline-tor.js';

const SECRET = 'hs_ed25519_secret_key';
const PUBLIC = 'hs_ed25519_public_key';

/** docs/protocol.md, section 16.9. */
const SEED_11 = new Uint8Array(32).fill(0x11);
const PUBLIC_11 = 'd04ab232742bb4ab3a1368bd4615e4e6d0224ab71a016baf8520a332c9778737';
const HOST_11 = '2bflemtufo2kwoqtnc6umfpe43icesvxdiawxl4fecrtfslxq43yqmad.onion';
const EXPANDED_11 =
  '805b920bda4cd49d251d3329144a0cf8bdaaa07502626fa87f08e80faedab15f' +
  '092539815e61663c7f9c4c9c377346f5d2936875bd760f0ac5c5f4f6e78a6d76';
const BLOB_11 =
  'gFuSC9pM1J0lHTMpFEoM+L2qoHUCYm+ofwjoD67asV8JJTmBXmFmPH+cTJw3c0b10pNodb12DwrFxfT254ptdg==';
const SECRET_TAG = '3d3d206564323535313976312d7365637265743a207479706530203d3d000000';
const HOST_12 = 'ebaeby3eyehsx3e4d7sqbionjqshzcowkcqb5v7ifsv2qz4hpqqvceqd.onion';

const seed11 = (): Uint8Array => SEED_11;
const mode = async (path: string): Promise<number> => (await lstat(path)).mode & 0o777;

/** The content of a folder: names, modes, inodes, contents. */
async function snapshot(dir: string): Promise<string[]> {
  const names = (await readdir(dir)).toSorted();
  return Promise.all(
    names.map(async (name) => {
      const stats = await lstat(join(dir, name));
      const text = stats.isFile() ? (await readFile(join(dir, name))).toString('hex') : '';
      return `${name} ${stats.ino} ${stats.mode} ${stats.mtimeMs} ${text}`;
    }),
  );
}

t.test('the vectors', async (t) => {
  const expanded = expandOnionSeed(SEED_11);
  t.equal(Buffer.from(expanded).toString('hex'), EXPANDED_11);
  const key = onionKeyOf(expanded);
  t.equal(key?.host, HOST_11);
  t.equal(key?.blob, BLOB_11);
  t.equal(Buffer.from(key?.publicKey ?? []).toString('hex'), PUBLIC_11);
  t.equal(onionKeyOf(expandOnionSeed(new Uint8Array(32).fill(0x12)))?.host, HOST_12);
  t.throws(() => expandOnionSeed(new Uint8Array(31)), RangeError);
  t.equal(onionKeyOf(new Uint8Array(64)), undefined, 'zero');
  t.equal(onionKeyOf(expanded.subarray(1)), undefined, 'length');
  const unclamped = expanded.slice();
  unclamped[0] = 1;
  t.equal(onionKeyOf(unclamped), undefined, 'not clamped');
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 70 }), (bytes) => {
      const made = onionKeyOf(bytes);
      return made === undefined || bytes.length === 64;
    }),
  );
});

t.test('a new folder gets a key, which stays the same', async (t) => {
  const { dir, remove } = await temporaryFolder();
  t.teardown(() => remove());
  const folder = join(dir, 'a', 'hidden_service');
  t.equal(await readOnionKey(folder), undefined, 'no folder');
  const first = await loadOrCreateOnionKey(folder, seed11);
  t.equal(first.created, true);
  t.equal(first.key.host, HOST_11);
  t.strictSame((await readdir(folder)).toSorted(), ['hostname', PUBLIC, SECRET]);
  t.equal(await mode(folder), 0o700);
  for (const name of ['hostname', PUBLIC, SECRET]) t.equal(await mode(join(folder, name)), 0o600);
  const read = async (name: string) => (await readFile(join(folder, name))).toString('hex');
  t.equal(await read(SECRET), SECRET_TAG + EXPANDED_11);
  t.equal(
    await read(PUBLIC),
    Buffer.from('== ed25519v1-public: type0 ==\0\0\0').toString('hex') + PUBLIC_11,
  );
  t.equal(await readFile(join(folder, 'hostname'), 'utf8'), `${HOST_11}\n`);

  const before = await snapshot(folder);
  const second = await loadOrCreateOnionKey(folder);
  t.strictSame(second, { key: first.key, created: false });
  t.strictSame(await readOnionKey(folder), first.key);
  t.equal(await readOnionHostname(folder), HOST_11);
  t.strictSame(await snapshot(folder), before, 'no file changed');

  const onlySecret = join(dir, 'only-secret');
  await mkdir(onlySecret, { mode: 0o700 });
  await writeFile(join(onlySecret, SECRET), await readFile(join(folder, SECRET)), { mode: 0o600 });
  t.equal((await readOnionKey(onlySecret))?.host, HOST_11);
  t.strictSame(await readdir(onlySecret), [SECRET], 'reading writes no file');
  t.equal((await loadOrCreateOnionKey(onlySecret)).created, false);
  t.equal(await readFile(join(onlySecret, 'hostname'), 'utf8'), `${HOST_11}\n`, 'completed');

  const raced = join(dir, 'raced');
  const all = await Promise.all(Array.from({ length: 8 }, () => loadOrCreateOnionKey(raced)));
  t.equal(all.filter(({ created }) => created).length, 1, 'one of eight made it');
  t.equal(new Set(all.map(({ key }) => key.host)).size, 1, 'all have the same key');
  t.strictSame((await readdir(raced)).toSorted(), ['hostname', PUBLIC, SECRET], 'no leftovers');
});

t.test('a folder with a fault is not changed', async (t) => {
  const { dir, remove } = await temporaryFolder();
  t.teardown(() => remove());
  const cases: readonly {
    name: string;
    change: (folder: string) => Promise<void>;
    code: string;
    message: RegExp;
  }[] = [
    {
      name: 'readable folder',
      change: (folder) => chmod(folder, 0o750),
      code: 'wrong-mode',
      message: /mode 0750: .*Fix: chmod 700 "/,
    },
    {
      name: 'readable key',
      change: (folder) => chmod(join(folder, SECRET), 0o640),
      code: 'wrong-mode',
      message: /hs_ed25519_secret_key has mode 0640: .*Fix: chmod 600 "/,
    },
    {
      name: 'short key',
      change: (folder) => writeFile(join(folder, SECRET), 'short'),
      code: 'bad-key-file',
      message: /5 bytes; it must have 96/,
    },
    {
      name: 'empty key',
      change: (folder) => writeFile(join(folder, SECRET), ''),
      code: 'bad-key-file',
      message: /0 bytes/,
    },
    {
      name: 'long key',
      change: (folder) =>
        writeFile(join(folder, SECRET), Buffer.from(`${SECRET_TAG}${EXPANDED_11}00`, 'hex')),
      code: 'bad-key-file',
      message: /97 bytes/,
    },
    {
      name: 'another header',
      change: (folder) =>
        writeFile(join(folder, SECRET), Buffer.from('00'.repeat(32) + EXPANDED_11, 'hex')),
      code: 'bad-key-file',
      message: /Tor's header/,
    },
    {
      name: 'zero key',
      change: (folder) =>
        writeFile(join(folder, SECRET), Buffer.from(SECRET_TAG + '00'.repeat(64), 'hex')),
      code: 'bad-key-file',
      message: /does not hold an ed25519 key/,
    },
    {
      name: 'another public key',
      change: (folder) => writeFile(join(folder, PUBLIC), Buffer.alloc(64)),
      code: 'mismatch',
      message: /hs_ed25519_public_key does not belong/,
    },
    {
      name: 'another hostname',
      change: (folder) => writeFile(join(folder, 'hostname'), `${HOST_12}\n`),
      code: 'mismatch',
      message: new RegExp(`hostname does not name the address .*${HOST_11}`),
    },
    {
      name: 'hostname without key',
      change: async (folder) => {
        await rename(join(folder, SECRET), join(dir, 'moved'));
      },
      code: 'partial',
      message: /has a hostname but no hs_ed25519_secret_key.*backup/,
    },
    {
      name: 'key is a link',
      change: async (folder) => {
        await rename(join(folder, SECRET), join(dir, 'linked'));
        await symlink(join(dir, 'linked'), join(folder, SECRET));
      },
      code: 'symlink',
      message: /is a symbolic link/,
    },
    {
      name: 'key is a folder',
      change: async (folder) => {
        await rm(join(folder, SECRET));
        await mkdir(join(folder, SECRET));
      },
      code: 'bad-key-file',
      message: /not a regular file/,
    },
  ];
  for (const [index, { name, change, code, message }] of cases.entries()) {
    const folder = join(dir, `case-${index}`);
    await loadOrCreateOnionKey(folder, seed11);
    await change(folder);
    const before = await snapshot(folder);
    const expected = {
      name: 'TorError',
      step: 'key-folder',
      code,
      message,
      remedy: 'configuration',
    };
    await t.rejects(loadOrCreateOnionKey(folder), expected, name);
    await t.rejects(readOnionKey(folder), expected, `${name}, reading`);
    t.strictSame(await snapshot(folder), before, `${name}: no file written`);
  }

  const good = join(dir, 'good');
  await loadOrCreateOnionKey(good, seed11);
  await symlink(good, join(dir, 'link'));
  await t.rejects(loadOrCreateOnionKey(join(dir, 'link')), { code: 'symlink' });
  await writeFile(join(dir, 'file'), '');
  await t.rejects(loadOrCreateOnionKey(join(dir, 'file')), { code: 'not-a-folder' });
  await t.rejects(loadOrCreateOnionKey(join(dir, 'file', 'below')), { code: 'io' });
  await t.rejects(readOnionHostname(join(dir, 'none')), { code: 'partial' });
  await writeFile(join(good, 'hostname'), 'nonsense');
  await t.rejects(readOnionHostname(good), { code: 'bad-key-file' });

  await t.test('a folder of another user', async (t) => {
    const foreign = join(dir, 'foreign');
    await loadOrCreateOnionKey(foreign, seed11);
    const uid = process.geteuid?.() ?? 0;
    t.intercept(process, 'geteuid', { value: () => uid + 1 });
    await t.rejects(loadOrCreateOnionKey(foreign), {
      code: 'wrong-owner',
      message: new RegExp(`belongs to user id ${uid}, but we run as ${uid + 1}. Fix: .*chown`),
    });
  });
});

t.test('with tor itself', async (t) => {
  const { dir, remove } = await temporaryFolder();
  const madeByTor = join(dir, 'made-by-tor');
  const madeByUs = join(dir, 'made-by-us');
  const data = join(dir, 'data');
  await mkdir(data, { mode: 0o700 });
  const made = await loadOrCreateOnionKey(madeByUs);
  const before = await snapshot(madeByUs);
  const services = [madeByTor, madeByUs].flatMap((folder) => [
    `HiddenServiceDir ${folder}`,
    'HiddenServicePort 5222 127.0.0.1:1',
  ]);
  const tor = await startOfflineTor(data, services);
  t.teardown(async () => {
    await tor.kill();
    await remove();
  });
  const torHost = (await readFile(join(madeByTor, 'hostname'), 'utf8')).trim();
  t.equal((await readOnionKey(madeByTor))?.host, torHost, 'a key of tor: the address tor wrote');
  t.equal((await loadOrCreateOnionKey(madeByTor)).created, false);
  t.equal((await readFile(join(madeByUs, 'hostname'), 'utf8')).trim(), made.key.host);
  t.equal((await readOnionKey(madeByUs))?.host, made.key.host, 'tor accepted the key');
  const still = (await snapshot(madeByUs)).map((line) => line.split(' ').at(-1));
  for (const line of before) t.ok(still.includes(line.split(' ').at(-1)), 'contents unchanged');
});
