/** What `[POLICY]` changes in a wallet: `gaplimit` and `max_sats_freeze_reuse`. */
import t from 'tap';
import { serializeTransaction } from '../../src/bitcoin/transaction.js';
import { keyScript } from '../../src/wallet/derive.js';
import { createWalletWorld, type WalletWorld } from '../helpers/wallet-world.js';

const scriptAt = ({ wallet }: WalletWorld, index: number): string =>
  keyScript('native')(wallet.publicKeyOf({ mixdepth: 0, branch: 0, index }));

const values = ({ wallet }: WalletWorld): readonly number[] =>
  wallet.coins().map(({ value }) => value);

t.test(
  'gaplimit raises the number of addresses that are watched, and never lowers it',
  async (t) => {
    const world = await createWalletWorld();
    const { chain } = world;
    chain.pay(scriptAt(world, 999), 10_000);
    chain.pay(scriptAt(world, 2_400), 20_000);
    chain.mine();
    const low = await world.reopen(undefined, { gapLimit: 6 });
    await low.sync();
    t.same(values(low), [10_000], 'a thousand addresses, as without the key');
    // The coin at 999 counts 1,000 addresses as used, so that 2,000 are watched now.
    const high = await low.reopen(undefined, { gapLimit: 1_500 });
    await high.sync();
    t.same(values(high), [10_000], 'an address that is new is not in the blocks that were read');
    await high.wallet.rescan({ signal: new AbortController().signal });
    t.same(values(high), [10_000, 20_000]);
    const back = await high.reopen(undefined, { gapLimit: 6 });
    await back.sync();
    t.same(values(back), [10_000, 20_000], 'what is known stays known');
  },
);

t.test('max_sats_freeze_reuse is the highest value that a reused address freezes', async (t) => {
  const world = await createWalletWorld();
  const { wallet, chain } = world;
  const { script } = await wallet.handOut({ mixdepth: 0, purpose: 'deposit' });
  chain.pay(script, 1_000_000);
  chain.mine();
  await world.sync();
  const [coin] = wallet.coins();
  if (coin === undefined) throw new Error('there is a coin');
  const { complete } = await wallet.sign({
    transaction: serializeTransaction({
      version: 2,
      lockTime: 0,
      inputs: [{ txid: coin.txid, vout: coin.vout, sequence: 0xffff_fffd }],
      outputs: [{ script: `0014${'77'.repeat(20)}`, value: 999_000 }],
    }),
    kind: 'send',
    coins: [{ txid: coin.txid, vout: coin.vout }],
    mostSpent: 1_000_000,
  });
  await chain.broadcast(complete?.bytes ?? new Uint8Array());
  chain.mine();
  chain.payAll([5_000, 5_001, 80_000].map((value) => ({ script, value })));
  chain.mine();
  await world.sync();

  const frozenWith = async (freezeReuseUpTo: number | undefined) => {
    const again = await world.reopen(undefined, { freezeReuseUpTo });
    await again.sync();
    const frozen = again.wallet.coins().filter((it) => it.frozen === 'reuse');
    return frozen.map(({ value }) => value).toSorted((a, b) => a - b);
  };
  t.same(await frozenWith(undefined), [5_000, 5_001, 80_000], 'without a ceiling');
  t.same(await frozenWith(5_000), [5_000]);
  t.same(await frozenWith(0), []);
});
