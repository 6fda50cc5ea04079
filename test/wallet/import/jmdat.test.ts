/** Wallet files of the original (`.jmdat`): what is taken over, and what is refused. */
import { argon2iAsync } from '@noble/hashes/argon2.js';
import t from 'tap';
import { readForeignWallet } from '../../../src/wallet/import/read-foreign-wallet.js';
import { cheapKey, faultOf, jmdat, type Dict } from './make-files.js';

/**
 * Made by the description of the format: password `hunter2`, 16 zero bytes of entropy, and an index cache
 * for mixdepth 0.
 */
const VECTOR = Buffer.from(
  'Sk1FTkNXTFRkNDpkYXRhMjI0Ov/pvoOkvqioiIn/1aB1MDRdDsg2MrKp11f2HioJkmh66BlJ1rDt5nknLuEt3+GLIwLAFzWTfKTifO1cWky6IRjfwafOQFy3wVUnTBjJFquGaZ6sYVTHLTcvDE/oy/4o2wO6NpkyyZfhbfw3SsG6zyJtVuuP0+Z7ShYhN6EFrAoTJJP7dqFNVTxoBmKiX/nmPcI6e9TcXf8RESktY7EpVq31BPE8kPLm/kZLYLYgv4tUHH36XXtH1opVFo3C+cJ65vd9Zuz5kAYMqyxPPzTl2sCt7pKzFH/SeTUNDJNIbw/FMzplbmNkMjppdjE2OiIiIiIiIiIiIiIiIiIiIiI0OnNhbHQxNjoRERERERERERERERERERERZWU=',
  'base64',
);

const TXID = 'e0'.repeat(31) + '01';
const key = (txid: string, vout: string): string =>
  Buffer.from(txid, 'hex').toString('latin1') + vout;

const PAYLOAD: Dict = {
  network: 'mainnet',
  created: '2021/03/04 05:06:07',
  wallet_type: 5,
  entropy: Buffer.alloc(16, 0xab),
  index_cache: { '0': { '0': 3, '1': 250, '2': 8 }, '11': { '1': 4 } },
  utxo: {},
};
const PASSWORD = 'hunter2';

const read = async (payload: Dict, password: string | undefined = PASSWORD) =>
  readForeignWallet(await jmdat(payload, password), password, { derive: cheapKey });

t.test('the vector opens with its password, with progress, beside the event loop', async (t) => {
  const progress: number[] = [];
  let turns = 0;
  const timer = setInterval(() => (turns += 1), 1);
  const wallet = await readForeignWallet(VECTOR, 'hunter2', {
    onProgress: (done) => progress.push(done),
  });
  clearInterval(timer);
  t.match(wallet, {
    program: 'joinmarket',
    entropy: '00'.repeat(16),
    passphrase: '',
    indices: [
      { mixdepth: 0, branch: 0, next: 2 },
      { mixdepth: 0, branch: 1, next: 1 },
    ],
  });
  t.ok(progress.length > 10, `${progress.length} reports`);
  t.equal(progress.at(-1), 1);
  t.ok(turns > 50, `${turns} turns of the event loop`);
});

t.test('Argon2i as the original has it', async (t) => {
  const cost = { m: 1_000, t: 500, p: 4, dkLen: 16, version: 0x13 };
  const derived = await argon2iAsync('password', 'saltsalt', cost);
  t.equal(Buffer.from(derived).toString('hex'), '053b56d76679df49a4e746245f5c33cb');
});

t.test('a derivation stops with the reason of the signal', async (t) => {
  const stop = new AbortController();
  const reading = readForeignWallet(VECTOR, 'hunter2', {
    signal: stop.signal,
    onProgress: () => stop.abort(new Error('Ctrl+C')),
  });
  await t.rejects(reading, { message: 'Ctrl+C' });
});

t.test('everything that this program can use is taken over', async (t) => {
  const wallet = await read({
    ...PAYLOAD,
    seed_extension: 'größe',
    meta: {
      [key(TXID, '0')]: { disabled: 1 },
      [key(TXID, '17')]: { disabled: 0 },
      [key(TXID, '2')]: {},
      [key(TXID, '4294967295')]: { disabled: 1 },
    },
    addr_labels: { bc1qcr8te4kr609gcawutmrza0j4xv80jy8z306fyu: 'rent ✓', 'not an address': 'x' },
    imported_keys: {
      '0': [
        [Buffer.alloc(32, 7), 2],
        ['', -1],
      ],
      '3': [[Buffer.alloc(33, 7), 1]],
    },
  });
  const { notes, ...rest } = wallet;
  t.strictSame(rest, {
    program: 'joinmarket',
    entropy: 'ab'.repeat(16),
    passphrase: 'größe',
    networks: ['mainnet'],
    kind: 'native',
    mixdepths: 12,
    indices: [
      { mixdepth: 0, branch: 0, next: 3 },
      { mixdepth: 0, branch: 1, next: 250 },
      { mixdepth: 11, branch: 1, next: 4 },
    ],
    labels: [{ address: 'bc1qcr8te4kr609gcawutmrza0j4xv80jy8z306fyu', label: 'rent ✓' }],
    frozen: [
      { txid: TXID, vout: 0 },
      { txid: TXID, vout: 4_294_967_295 },
    ],
    birthHeight: undefined,
    created: Date.UTC(2021, 2, 4, 5, 6, 7) / 1_000,
    fingerprint: undefined,
  });
  t.match(notes[0], /^2 single keys that were imported there are not taken over/);
  t.match(notes[1], /^1 labels are not text/);
});

t.test('a wallet needs little: the rest has its usual value', async (t) => {
  const wallet = await read({ network: 'signet', wallet_type: 2, entropy: Buffer.alloc(32, 1) });
  t.match(wallet, { passphrase: '', networks: ['signet'], mixdepths: 5, labels: [], frozen: [] });
  t.equal(wallet.created, undefined);
});

t.test('types, networks and forms', async (t) => {
  for (const [wallet_type, kind] of [
    [1, 'nested'],
    [2, 'native'],
    [5, 'native'],
  ] as const) {
    // oxlint-disable-next-line no-await-in-loop
    t.equal((await read({ ...PAYLOAD, wallet_type })).kind, kind);
  }
  t.same((await read({ ...PAYLOAD, network: 'testnet' })).networks, ['testnet', 'regtest']);
  const plain = await jmdat(PAYLOAD, undefined);
  t.equal((await readForeignWallet(plain, undefined)).entropy, 'ab'.repeat(16));
  // Texts of all lengths, with the padding of older and newer versions.
  for (const padding of ['always', 'when needed'] as const) {
    for (let length = 0; length < 16; length++) {
      // oxlint-disable-next-line no-await-in-loop
      const bytes = await jmdat({ ...PAYLOAD, unknown: 'x'.repeat(length) }, PASSWORD, padding);
      // oxlint-disable-next-line no-await-in-loop
      const wallet = await readForeignWallet(bytes, PASSWORD, { derive: cheapKey });
      t.equal(wallet.entropy, 'ab'.repeat(16), `${padding}, ${length}`);
    }
  }
});

const open = (bytes: Uint8Array, password: string | undefined) =>
  readForeignWallet(bytes, password, { derive: cheapKey });

t.test('what cannot be imported is refused in one line', async (t) => {
  const entropy = Buffer.alloc(16, 1);
  const cases: readonly [Dict, string, RegExp][] = [
    [{ ...PAYLOAD, wallet_type: 0 }, 'unsupported', /p2pkh wallet .* send its coins/],
    [{ ...PAYLOAD, wallet_type: 6 }, 'unsupported', /watch-only wallet .* has no keys/],
    [{ ...PAYLOAD, wallet_type: 7 }, 'unsupported', /type 7/],
    [{ ...PAYLOAD, network: 'testnet4' }, 'unsupported', /a network that this program lacks/],
    [{ network: 'mainnet', entropy }, 'damaged', /wallet_type/],
    [{ network: 'mainnet', wallet_type: 2 }, 'damaged', /no seed/],
    [{ ...PAYLOAD, entropy: Buffer.alloc(15) }, 'damaged', /no seed/],
    [{ ...PAYLOAD, seed_extension: Buffer.from([0xff]) }, 'damaged', /seed_extension/],
    [{ ...PAYLOAD, index_cache: { x: {} } }, 'damaged', /index_cache/],
    [{ ...PAYLOAD, index_cache: { '100': {} } }, 'damaged', /index_cache/],
    [{ ...PAYLOAD, index_cache: { '0': { '0': -1 } } }, 'damaged', /index_cache/],
    [{ ...PAYLOAD, index_cache: { '0': { '0': 1_000_001 } } }, 'damaged', /index_cache/],
    [{ ...PAYLOAD, meta: { short: {} } }, 'damaged', /meta/],
    [{ ...PAYLOAD, meta: { [key(TXID, '4294967296')]: {} } }, 'damaged', /meta/],
    [{ ...PAYLOAD, meta: 'text' }, 'damaged', /meta/],
    [{ ...PAYLOAD, imported_keys: { '0': 1 } }, 'damaged', /imported_keys/],
  ];
  for (const [payload, fault, message] of cases) {
    // oxlint-disable-next-line no-await-in-loop
    await t.rejects(read(payload), { name: 'WalletImportError', fault, message });
  }
  const bytes = await jmdat(PAYLOAD, PASSWORD);
  await t.rejects(open(bytes, 'hunter3'), { fault: 'password', message: 'the password is wrong' });
  t.equal(await faultOf(open(bytes, '')), 'password');
  t.equal(await faultOf(open(bytes, undefined)), 'password-needed');
  t.equal(await faultOf(open(bytes.subarray(0, 100), PASSWORD)), 'damaged');
  t.equal(await faultOf(open(Buffer.from('JMWALLETd'), undefined)), 'damaged');
  t.equal(await faultOf(open(Buffer.from('JMWALLETi1e'), undefined)), 'damaged');
  await t.rejects(open(Buffer.from('{"encrypted_seed": "00"}'), PASSWORD), {
    fault: 'unsupported',
    message: /before 2018/,
  });
  for (const other of ['', 'SQLite format 3\0', '{"x":1}', 'OMCWALLT']) {
    // oxlint-disable-next-line no-await-in-loop
    t.equal(await faultOf(open(Buffer.from(`${other}\u0001`), PASSWORD)), 'unknown');
  }
});
