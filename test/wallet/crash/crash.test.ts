/**
 * A wallet whose program is stopped: by a power cut between any two effects, by a full disk, and by an old
 * backup that is put back. What it finds afterwards is compared with the chain, and with what had left it.
 */
import * as fc from 'fast-check';
import t from 'tap';
import type { MemoryChain } from '../../../src/chain/memory.js';
import { WalletStoreError } from '../../../src/wallet/store/api.js';
import { restoreBackup } from '../../../src/wallet/store/store.js';
import { FaultingFiles, Killed, type Fault } from '../store/faulting-files.js';
import {
  backUp,
  faultsAfter,
  folderIn,
  live,
  openWallet,
  signRival,
  spiedChain,
  start,
  startChain,
  startDisk,
  sync,
  type Said,
} from './life.js';
import { POINTS } from './points.js';

const BASE = '/base';
const begin = await start();

/** One life on a simulated disk. */
async function lifeWith(fault?: Fault) {
  const disk = startDisk(begin, BASE);
  const files = new FaultingFiles(disk, fault);
  const chain = startChain(begin.paid);
  const said: Said[] = [];
  const say = (it: Said): void => void said.push(it);
  const spied = spiedChain(chain, (what, run) => files.outside(what, run), say);
  const error: unknown = await live({ files, base: BASE, chain: spied }, say).catch((e) => e);
  return { disk, files, chain, said, error };
}

t.test('the effects of a life are known', async (t) => {
  const { files, said, error } = await lifeWith();
  t.equal(error, undefined);
  t.strictSame(files.effects, POINTS);
  t.same(
    said.map(({ kind }) => kind),
    ['address', 'lease', 'address', 'address', 'signed', 'signed', 'sent'],
  );
});

t.test('a power cut between any two effects', async (t) => {
  await fc.assert(
    fc.asyncProperty(
      fc.nat(POINTS.length - 1),
      fc.constantFrom('killed half-way', 'killed after'),
      fc.infiniteStream(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })),
      async (at, kind, random) => {
        const { disk, chain, said } = await lifeWith({ at, kind });
        const files = disk.afterPowerCut(() => random.next().value ?? 0);
        const faults = await faultsAfter({ files, base: BASE, chain }, said, begin.paid);
        if (faults.length > 0)
          throw new Error(`${kind} ${at}, ${POINTS[at]}: ${faults.join('; ')}`);
      },
    ),
    { numRuns: 10 },
  );
  t.pass('before or after');
});

t.test(
  'a full disk at any write: nothing leaves the program, and the coins are there',
  async (t) => {
    const writes = POINTS.flatMap((point, at) => (point === 'write journal' ? [at] : []));
    for (const at of writes) {
      // oxlint-disable-next-line no-await-in-loop -- one life after the other
      const life = await lifeWith({ at, kind: 'half, then ENOSPC', isLasting: true });
      t.ok(life.error instanceof WalletStoreError && life.error.fault === 'disk', `write ${at}`);
      if (at < POINTS.indexOf('broadcast')) {
        t.notOk(life.said.some(({ kind }) => kind === 'sent'));
      }
      const { disk, chain, said } = life;
      // The disk is still full: the wallet opens, shows its coins, and hands out nothing.
      const full = new FaultingFiles(disk.afterKill(), { at: 1, kind: 'ENOSPC', isLasting: true });
      // oxlint-disable-next-line no-await-in-loop
      const wallet = await openWallet({ files: full, base: BASE, chain });
      t.equal(wallet.summary().total, 6_000_000);
      // oxlint-disable-next-line no-await-in-loop
      const refused = await sync(wallet)
        .then(() => wallet.handOut({ mixdepth: 0, purpose: 'deposit' }))
        .catch((error: unknown) => error);
      t.match(refused, { name: 'WalletStoreError', fault: 'disk' });
      // oxlint-disable-next-line no-await-in-loop
      await wallet.close().catch(() => {});
      const place = { files: disk.afterKill(), base: BASE, chain };
      // oxlint-disable-next-line no-await-in-loop
      t.same(await faultsAfter(place, said, begin.paid), []);
    }
  },
);

t.test('killed at an effect, then stopped again and again', async (t) => {
  const { disk, error } = await lifeWith({ at: 4, kind: 'killed after' });
  t.ok(error instanceof Killed || error instanceof Error);
  let files = disk.afterKill();
  const chain = startChain(begin.paid);
  for (let life = 0; life < 3; life++) {
    const faulting = new FaultingFiles(files, { at: 3 + life, kind: 'killed half-way' });
    // oxlint-disable-next-line no-await-in-loop -- one life after the other
    await live({ files: faulting, base: BASE, chain }, () => {}).catch(() => {});
    files = files.afterKill();
  }
  t.same(await faultsAfter({ files, base: BASE, chain }, [], begin.paid), []);
});

t.test('an old backup: used addresses are found before one is handed out', async (t) => {
  const files = startDisk(begin, BASE);
  const chain = startChain(begin.paid);
  const place = { files, base: BASE, chain };
  const backup = `${BASE}/wallets/backup`;
  await backUp(place, backup);
  const wallet = await openWallet(place);
  await sync(wallet);
  const used: string[] = [...begin.paid];
  // More than the wallet had handed out when the backup was made, and with a gap.
  for (let i = 0; i < 30; i++) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    const { script } = await wallet.handOut({ mixdepth: 0, purpose: 'deposit' });
    if (i % 7 !== 0) continue;
    used.push(script);
    chain.pay(script, 50_000 + i);
  }
  const total = wallet.summary().total;
  await wallet.close();
  chain.mine(2);

  const old = { ...place, base: '/old' };
  await restoreBackup(backup, folderIn(old), { files });
  t.same(await faultsAfter(old, [], used), []);
  const again = await openWallet(old);
  await sync(again);
  t.equal(
    again.summary().total,
    total + [0, 7, 14, 21, 28].reduce((sum, i) => sum + 50_000 + i, 0),
  );
  await again.close();
});

t.test('a payment that an old backup does not know', async (t) => {
  const files = startDisk(begin, BASE);
  const chain: MemoryChain = startChain(begin.paid);
  const place = { files, base: BASE, chain };
  await backUp(place, `${BASE}/wallets/backup`);
  const said: Said[] = [];
  await live(
    {
      ...place,
      chain: spiedChain(
        chain,
        (_, run) => run(),
        (it) => said.push(it),
      ),
    },
    () => {},
  );
  for (const isMined of [false, true]) {
    if (isMined) chain.mine(1);
    const old = { ...place, base: isMined ? '/mined' : '/pending' };
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    await restoreBackup(`${BASE}/wallets/backup`, folderIn(old), { files });
    // oxlint-disable-next-line no-await-in-loop
    const wallet = await openWallet(old);
    // oxlint-disable-next-line no-await-in-loop
    await sync(wallet);
    const sent = said.flatMap((it) => (it.kind === 'sent' ? [it] : []));
    t.equal(sent.length, 1);
    // Its coin is spent in the mempool or in a block, so nothing else is signed for it.
    for (const bytes of sent.map((it) => Buffer.from(it.bytes, 'hex'))) {
      // oxlint-disable-next-line no-await-in-loop
      t.match(await signRival(wallet, bytes), /^(held|coin)$/);
    }
    // oxlint-disable-next-line no-await-in-loop
    await wallet.close();
  }
});
