/** An address leaves the program only when the library gives the same one from the private key. */
import t from 'tap';
import type { JournalValue } from '../../src/wallet/store/api.js';
import { createWalletWorld, MemoryStore } from '../helpers/wallet-world.js';

/** The kind of a record. */
const kindOf = (record: JournalValue): unknown =>
  typeof record === 'object' && record !== null && 'kind' in record ? record.kind : undefined;

t.test('a watched script that is not of its key: no address, and nothing written', async (t) => {
  const { store, reopen } = await createWalletWorld();
  const accounts = store.records.find((record) => kindOf(record) === 'accounts');
  if (typeof accounts !== 'object' || accounts === null || !('keys' in accounts)) {
    throw new Error('a journal has the accounts');
  }
  const { keys } = accounts;
  if (!Array.isArray(keys)) throw new Error('an account for each mixdepth');
  // The keys of the two mixdepths in the wrong order, as a fault of the fast derivation would be.
  const wrong = new MemoryStore(store.secret, [{ ...accounts, keys: keys.toReversed() }]);
  const world = await reopen(wrong);
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
