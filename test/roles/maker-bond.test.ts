/** A maker's fidelity bond: its file, and the proofs that takers get (docs/protocol.md, section 11). */
import { secp256k1 } from '@noble/curves/secp256k1.js';
import { bytesToHex, hexToBytes } from '@noble/hashes/utils.js';
import { base64 } from '@scure/base';
import * as fc from 'fast-check';
import { chmod, chown, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { silentLog } from '../../src/channel/log.js';
import { BondFileError, readBondFile } from '../../src/ops/bond-file.js';
import {
  certExpiryAt,
  parseFidelityBond,
  signBondCertificate,
  verifyFidelityBond,
  type OwnBond,
} from '../../src/protocol/fidelity-bond.js';
import { parseLocation } from '../../src/protocol/location.js';
import { nickKey } from '../../src/protocol/nick.js';
import type { Offer } from '../../src/protocol/offer.js';
import { formatBondFile, ownBondFault, parseBondFile } from '../../src/protocol/own-bond.js';
import { leastHeight } from '../../src/protocol/tip-estimate.js';
import { startMaker } from '../../src/roles/maker.js';
import { openLiveTestChannel, openTestChannel } from '../helpers/test-channel.js';
import { runCli, startCli } from '../helpers/cli.js';
import { loopbackConfig } from '../helpers/config.js';
import { startFakeDirectory } from '../helpers/fake-directory.js';
import { createTestClock } from '../helpers/test-clock.js';
import vectors from '../vectors/protocol.json' with { type: 'json' };

const [vector] = vectors.fidelityBonds;
if (vector?.certKey === undefined) throw new Error('vector missing');
const UTXO_KEY = hexToBytes(vector.utxoKey);

/** The bond of the vector, certified for another period. */
function bondUntil(
  certExpiry: number,
  certPrivateKey = hexToBytes(vector?.certKey ?? ''),
): OwnBond {
  const certKey = bytesToHex(secp256k1.getPublicKey(certPrivateKey, true));
  return {
    certPrivateKey,
    certExpiry,
    certSignature: signBondCertificate(certKey, certExpiry, UTXO_KEY),
    utxoPublicKeyHex: bytesToHex(secp256k1.getPublicKey(UTXO_KEY, true)),
    utxo: { txid: vector?.txid ?? '', vout: 1 },
    lockTime: 1_893_456_000,
  };
}

const GOLDEN = bondUntil(425);
const TEXT = formatBondFile({ network: 'signet', bond: GOLDEN });

async function folder(t: Test): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'onionmc-bond-'));
  t.teardown(() => rm(path, { recursive: true, force: true }));
  return path;
}

/** A bond file with this text and mode. */
async function bondFile(t: Test, text: string, mode = 0o600): Promise<string> {
  const path = join(await folder(t), 'bond.json');
  await writeFile(path, text, { mode: 0o600 });
  await chmod(path, mode);
  return path;
}

t.test('the answer to !orderbook, byte for byte', async (t) => {
  const directory = await startFakeDirectory();
  t.teardown(() => directory.close());
  const makerKey = nickKey(new Uint8Array(32).fill(0x11));
  const takerKey = nickKey(new Uint8Array(32).fill(0x22));
  const clock = createTestClock();
  const channel = openTestChannel([directory.location], { nickKey: makerKey, clock });
  t.teardown(() => channel.close());
  const terms = { minsize: 27_300, maxsize: 500_000_000, txfee: 0 };
  const offers: Offer[] = [
    { type: 'sw0reloffer', oid: 0, ...terms, cjfee: '0.00002' },
    { type: 'sw0absoffer', oid: 1, ...terms, cjfee: '500' },
  ];
  let tip = 425 * 2016;
  const warnings: string[] = [];
  const log = { ...silentLog, warn: (text: string) => void warnings.push(text) };
  const maker = startMaker({
    channel,
    offers,
    clock,
    log,
    bond: { bond: GOLDEN, tipHeight: () => tip },
  });
  t.teardown(() => maker.stop());
  const session = await directory.acceptHandshake();
  for (const type of ['sw0reloffer', 'sw0absoffer']) {
    const { line } = await session.nextOf(687);
    t.match(line, new RegExp(`!PUBLIC!${type} [^!]*$`), 'announced without the bond');
  }
  session.pubmsg(takerKey.nick, 'orderbook');
  t.equal((await session.nextOf(685)).line, vectors.privmsgOffers.payload);

  tip += 1;
  clock.advance(60_000);
  session.pubmsg(takerKey.nick, 'orderbook');
  t.notMatch((await session.nextOf(685)).line, /tbond/, 'the certificate has expired');
  clock.advance(60_000);
  session.pubmsg(takerKey.nick, 'orderbook');
  await session.nextOf(685);
  t.match(warnings, [/expired/], 'logged once');

  const broken = { ...GOLDEN, certExpiry: 426 };
  t.throws(
    () => startMaker({ channel, offers, clock, log, bond: { bond: broken } }),
    /the bond cannot be proven: bond-certificate/,
  );
});

t.test('the command with a bond file', async (t) => {
  const directory = startCli(['directory', '--datadir', await datadir(t, loopbackConfig())]);
  const [, nodes = ''] = await directory.shows('stdout', /^(127\.0\.0\.1:\d+)\n/);
  const path = await bondFile(t, TEXT);
  const extra = `[YIELDGENERATOR]\nbond_file = ${path}`;
  const makerDir = await datadir(t, loopbackConfig({ nodes, extra }));
  const maker = startCli(['maker', '--datadir', makerDir]);
  const [, nick = ''] = await maker.shows('stdout', /^(J5\w{14})\n/);
  await maker.shows('stderr', /offers announced/);
  const location = parseLocation(nodes);
  if (!location.ok) throw new Error(location.reason);
  for (const secret of [7, 8]) {
    // oxlint-disable-next-line no-await-in-loop -- one taker after the other
    const taker = await askOnce(t, location.value, secret);
    const { from, commands } = taker.answer;
    t.equal(from, nick);
    t.strictSame(
      commands.map(({ name }) => name),
      ['sw0reloffer', 'tbond'],
    );
    const proof = parseFidelityBond(commands.at(-1)?.args[0] ?? '');
    if (!proof.ok) throw new Error(proof.reason);
    t.match(verifyFidelityBond(proof.value, nick, taker.nick), { ok: true });
    t.match(verifyFidelityBond(proof.value, taker.nick, nick), { ok: false });
    const { utxo, lockTime, certExpiry, utxoPublicKeyHex } = GOLDEN;
    t.match(proof.value, { utxo, lockTime, certExpiry, utxoPublicKeyHex });
    for (const text of taker.announced) t.notMatch(text, /tbond/);
  }
  const secrets = [vector.certKey, base64.encode(GOLDEN.certSignature), vector.txid];
  const pid = String(maker.child.pid);
  const outside = [
    await readFile(`/proc/${pid}/cmdline`, 'latin1'),
    await readFile(`/proc/${pid}/environ`, 'latin1'),
  ];
  maker.child.kill('SIGTERM');
  directory.child.kill('SIGTERM');
  const ended = await maker.ended;
  t.equal(ended.code, 0, ended.stderr);
  await directory.ended;
  for (const text of [...outside, ended.stderr, ended.stdout]) {
    for (const secret of secrets) t.notOk(text.includes(secret ?? ''), 'no secret is printed');
  }
});

async function datadir(t: Test, config: string): Promise<string> {
  const path = await folder(t);
  await writeFile(join(path, 'joinmarket.cfg'), config);
  return path;
}

/** The private answer to a fresh taker, and the public offers in the meantime. */
async function askOnce(
  t: Test,
  location: Parameters<typeof openLiveTestChannel>[0][number],
  n: number,
) {
  const taker = openLiveTestChannel([location], { nickKey: nickKey(new Uint8Array(32).fill(n)) });
  t.teardown(() => taker.close());
  await taker.next('welcome');
  const announced: string[] = [];
  taker.on('pubmsg', ({ text }) => void announced.push(text));
  taker.publish('orderbook');
  const answer = await taker.next('privmsg');
  return { answer, announced, nick: taker.nick };
}

t.test('bond files that the command refuses', async (t) => {
  const other = formatBondFile({ network: 'mainnet', bond: bondUntil(60_000) });
  const own = formatBondFile({ network: 'signet', bond: bondUntil(425, UTXO_KEY) });
  const forged = formatBondFile({ network: 'signet', bond: { ...GOLDEN, certExpiry: 426 } });
  const expired = formatBondFile({ network: 'signet', bond: bondUntil(1) });
  const table: readonly (readonly [string, string, RegExp, number?])[] = [
    ['another mode', TEXT, /of mode 0640; allowed: mode 0600/, 0o640],
    ['another network', other, /for mainnet; allowed: a bond of signet/],
    ['an expired certificate', expired, /certificate that has expired/],
    ['a certificate that does not verify', forged, /certificate that does not verify/],
    ["the coin's own key", own, /private key that can spend the coin/],
    ['not JSON', `${vector.certKey}\n`, /not of the form of a bond/],
  ];
  await Promise.all(
    table.map(async ([name, text, reason, mode]) => {
      const path = await bondFile(t, text, mode);
      const extra = `[YIELDGENERATOR]\nbond_file = ${path}`;
      const config = loopbackConfig({ nodes: '127.0.0.1:1', extra });
      const dir = await datadir(t, config);
      const { code, stdout, stderr } = await runCli(['maker', '--datadir', dir]);
      t.equal(code, 2, `${name}: ${stderr}`);
      t.match(stderr, /joinmarket\.cfg:\d+: \[YIELDGENERATOR\] bond_file: found "/, name);
      t.match(stderr, reason, name);
      t.equal(stderr.trimEnd().split('\n').length, 1, 'one line');
      for (const key of [vector.certKey, vector.utxoKey]) {
        t.notOk((stdout + stderr).includes(key?.slice(0, 12) ?? ''), 'no part of the key');
      }
    }),
  );
});

/** The code of the refusal; undefined if the file is accepted. */
const faultOf = async (path: string, more: Partial<Parameters<typeof readBondFile>[1]> = {}) => {
  try {
    await readBondFile(path, { network: 'signet', ...more });
    return undefined;
  } catch (error) {
    if (!(error instanceof BondFileError)) throw error;
    return error.code;
  }
};

t.test('the file', async (t) => {
  t.strictSame(await readBondFile(await bondFile(t, TEXT), { network: 'signet' }), GOLDEN);
  for (const mode of [0o600, 0o400]) {
    t.equal(await faultOf(await bondFile(t, TEXT, mode)), undefined);
  }
  for (const mode of [0o644, 0o640, 0o604, 0o660, 0o700, 0o4600]) {
    t.equal(await faultOf(await bondFile(t, TEXT, mode)), 'mode', mode.toString(8));
  }
  const file = await bondFile(t, TEXT);
  t.equal(await faultOf(file, { uid: (process.geteuid?.() ?? 0) + 1 }), 'owner');
  if (process.geteuid?.() === 0) {
    await chown(file, 65_534, 65_534);
    t.equal(await faultOf(file), 'owner');
  }
  t.equal(await faultOf(await folder(t)), 'not-a-file');
  t.equal(await faultOf(join(await folder(t), 'none')), 'unreadable');
  t.equal(await faultOf(await bondFile(t, TEXT.padEnd(4097))), 'size');
  t.equal(await faultOf(await bondFile(t, TEXT), { network: 'regtest' }), 'network');
  t.equal(await faultOf(await bondFile(t, TEXT), { tipHeight: 425 * 2016 }), undefined);
  t.equal(await faultOf(await bondFile(t, TEXT), { tipHeight: 425 * 2016 + 1 }), 'bond-expired');
});

t.test('the form of the file', (t) => {
  const members: Readonly<Record<string, unknown>> = JSON.parse(TEXT);
  t.strictSame(parseBondFile(TEXT), { ok: true, value: { network: 'signet', bond: GOLDEN } });
  const upper = { ...members, cert_private_key: String(members['cert_private_key']).toUpperCase() };
  t.match(parseBondFile(JSON.stringify(upper)), { ok: true });
  const bad: readonly Readonly<Record<string, unknown>>[] = [
    { ...members, form: 'onionmc-bond-2' },
    { ...members, network: 'bitcoin' },
    { ...members, utxo_private_key: vector.utxoKey },
    { ...members, cert_private_key: 'KwDiBf89QgGbjEhKnhXJuH7LrciVrZi3qYjgd9M7rFU73sVHnoWn' },
    { ...members, cert_expiry: 65_536 },
    { ...members, cert_expiry: '425' },
    { ...members, cert_signature: 'x' },
    { ...members, utxo: vector.txid },
    { ...members, utxo: `${vector.txid}:1:0014:5` },
    { ...members, utxo_public_key: `04${'11'.repeat(64)}` },
    { ...members, lock_time: 2 ** 32 },
    { ...members, lock_time: -1 },
    ...Object.keys(members).map((name) =>
      Object.fromEntries(Object.entries(members).filter(([key]) => key !== name)),
    ),
  ];
  for (const value of bad) {
    t.strictSame(parseBondFile(JSON.stringify(value)), { ok: false, reason: 'bond-form' });
  }
  for (const text of ['', '[]', 'null', '{', TEXT.slice(0, -3)]) {
    t.strictSame(parseBondFile(text), { ok: false, reason: 'bond-form' });
  }
  const anything = fc.property(fc.oneof(fc.string(), fc.json()), (text) => !parseBondFile(text).ok);
  fc.assert(anything);
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 65_535 }),
      fc.integer({ min: 0, max: 0xffff_ffff }),
      fc.integer({ min: 0, max: 0xffff_ffff }),
      (certExpiry, vout, lockTime) => {
        const bond = { ...bondUntil(certExpiry), lockTime, utxo: { txid: 'ab'.repeat(32), vout } };
        const read = parseBondFile(formatBondFile({ network: 'testnet', bond }));
        t.strictSame(read, { ok: true, value: { network: 'testnet', bond } });
        t.equal(ownBondFault(bond), undefined);
      },
    ),
    { numRuns: 20 },
  );
  // The negated key can spend the coin as well.
  const { n } = secp256k1.Point.CURVE();
  const negated = hexToBytes((n - BigInt(`0x${vector.utxoKey}`)).toString(16).padStart(64, '0'));
  for (const key of [UTXO_KEY, negated])
    t.equal(ownBondFault(bondUntil(425, key)), 'bond-coin-key');
  t.equal(ownBondFault({ ...GOLDEN, certPrivateKey: new Uint8Array(32) }), 'bond-form');
  t.equal(ownBondFault({ ...GOLDEN, certSignature: new Uint8Array(80) }), 'bond-form');
  t.end();
});

/** Midnight of a day, in Unix seconds. */
const at = (date: string) => Date.parse(`${date}T00:00:00Z`) / 1000;

t.test('the least height of a chain at a date', (t) => {
  // About the heights of the real network at that time.
  const known = [
    ['mainnet', at('2025-01-01'), 877_258],
    ['mainnet', at('2025-10-01'), 917_109],
  ] as const;
  for (const [network, time, height] of known) {
    const estimate = leastHeight(network, time) ?? 0;
    t.ok(estimate <= height, `${estimate} is not above ${height}`);
    t.ok(estimate > height - 2 * 2016, 'not far below');
  }
  t.equal(leastHeight('signet', at('2020-09-02')), 0);
  t.equal(leastHeight('testnet', at('2025-01-01')), undefined);
  t.equal(leastHeight('regtest', at('2025-01-01')), undefined);
  t.equal(certExpiryAt(877_258), 436);
  t.end();
});
