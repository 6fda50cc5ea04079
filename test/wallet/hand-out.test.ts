/** An address leaves the program only when the library gives the same one from the private key. */
import t from 'tap';
import { parseWalletRecord, type WalletRecord } from '../../src/wallet/records.js';
import { createWalletWorld, MemoryStore, type WalletWorld } from '../helpers/wallet-world.js';

/** The public keys of the mixdepths, as the journal has them. */
function accountsOf({ store }: WalletWorld): readonly string[] {
  for (const value of store.records) {
    const record = parseWalletRecord(value);
    if (record.ok && record.value.kind === 'accounts') return record.value.keys;
  }
  throw new Error('a journal has the accounts');
}

t.test('a watched script that is not of its key: no address, and nothing written', async (t) => {
  const right = await createWalletWorld();
  // The keys of the two mixdepths in the wrong order, as a fault of the fast derivation would be.
  const keys = accountsOf(right).toReversed();
  const accounts = { kind: 'accounts', keys } satisfies WalletRecord;
  const wrong = new MemoryStore(right.store.secret, [accounts]);
  const world = await right.reopen(wrong);
  await world.sync();
  const writes = wrong.writes.length;
  for (const purpose of ['deposit', 'change'] as const) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    await t.rejects(world.wallet.handOut({ mixdepth: 0, purpose }), {
      message: /m\/84'\/1'\/0'\/[01]\/0 is not that of its key: .* nothing was handed out/,
    });
  }
  await t.rejects(world.wallet.handOutBond(100), { message: /is not that of its key/ });
  t.equal(wrong.writes.length, writes, 'nothing was written');
});
