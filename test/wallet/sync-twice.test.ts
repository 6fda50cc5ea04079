/** Two parts of a program that read the chain of one wallet at the same time. */
import t from 'tap';
import { createWalletWorld } from '../helpers/wallet-world.js';

const signal = new AbortController().signal;
const PAID = 10_000;
const ROUNDS = 40;

t.test('readings at the same time lose nothing', async (t) => {
  const { chain, wallet } = await createWalletWorld();
  const { script } = await wallet.handOut({ mixdepth: 1, purpose: 'deposit' });
  for (let round = 1; round <= ROUNDS; round += 1) {
    chain.pay(script, PAID);
    chain.mine(3);
    const first = wallet.sync({ signal });
    // The second one begins at every point of the first one.
    for (let turn = 0; turn < round; turn += 1) await Promise.resolve();
    await Promise.all([first, wallet.sync({ signal })]);
    if (wallet.summary().total !== round * PAID) {
      t.equal(wallet.summary().total, round * PAID, `after ${round} turns`);
      return;
    }
  }
  t.equal(wallet.height, (await chain.tip()).height);
});
