/** Coinjoins of a taker with a wallet, with makers and a chain in memory. */
import t, { type Test } from 'tap';
import { parseTransaction } from '../../src/bitcoin/transaction.js';
import type { CoinjoinOutcome, CoinjoinPlan } from '../../src/taker/api.js';
import { worstCost } from '../../src/taker/amounts.js';
import { createTakerWorld, type TakerWorld } from '../helpers/taker-world.js';

type Done = Extract<CoinjoinOutcome, { readonly ok: true }>;

function done(outcome: CoinjoinOutcome): Done {
  if (!outcome.ok) throw new Error(`${outcome.fault}: ${outcome.detail}`);
  return outcome;
}

const mempoolOf = ({ taker }: TakerWorld): Uint8Array => {
  const bytes = taker.wallet.signedTransactions().at(-1)?.bytes;
  if (bytes === undefined) throw new Error('a complete transaction');
  return bytes;
};

/** The books after a coinjoin in a block: nothing is lost but what the outcome says. */
function checkBooks(t: Test, world: TakerWorld, before: number, outcome: Done): void {
  const { wallet } = world.taker;
  t.equal(wallet.summary().total, before - outcome.makerFees - outcome.minerFee);
  const entry = wallet.history().at(-1);
  t.match(entry, {
    kind: 'coinjoin-taker',
    state: 'confirmed',
    coinjoinFee: -outcome.makerFees,
    change: -outcome.makerFees - outcome.minerFee,
  });
}

function checkWorst(t: Test, plan: CoinjoinPlan, outcome: Done): void {
  t.ok(outcome.makerFees <= plan.worst.makerFees, 'makers get no more than planned');
  t.ok(outcome.makerFees + outcome.minerFee <= worstCost(plan.worst), 'nor do all together');
}

t.test('a fixed amount to the next mixdepth', async (t) => {
  const world = await createTakerWorld(t);
  const before = world.taker.wallet.summary().total;
  const { plan, outcome } = await world.run();
  t.equal(plan.obstacle, undefined);
  const result = done(outcome);
  t.equal(result.amount, 1_000_000);
  t.equal(result.makers.length, 3);
  t.equal(result.makerFees, 3 * 900);
  checkWorst(t, plan, result);
  t.ok(world.chain.inMempool(result.txid));
  const parsed = parseTransaction(mempoolOf(world));
  if (!parsed.ok) throw new Error(parsed.reason);
  const { inputs, outputs, lockTime, version, vsize } = parsed.value;
  t.equal(version, 2);
  t.ok(lockTime > 50 && lockTime <= 156);
  t.ok(inputs.every(({ sequence }) => sequence === 0xffff_fffe));
  t.equal(outputs.filter(({ value }) => value === 1_000_000).length, 4);
  t.ok(result.feeRate >= 2_000 && result.feeRate < 2_100, String(result.feeRate));
  t.equal(result.feeRate, Math.floor((result.minerFee * 1000) / vsize));
  await world.mine();
  checkBooks(t, world, before, result);
  t.match(
    world.taker.wallet.coins().map(({ mixdepth, value, origin }) => ({ mixdepth, value, origin })),
    [
      { mixdepth: 0, value: 900_000 },
      { mixdepth: 0, origin: 'cj-change' },
      { mixdepth: 1, value: 1_000_000, origin: 'coinjoin' },
    ],
  );
  t.strictSame(
    world.events
      .flatMap((event) => (event.kind === 'phase' ? [event.phase] : []))
      .filter((phase, n, all) => phase !== all[n - 1]),
    ['gathering', 'funding', 'collecting', 'signing', 'broadcasting', 'done'],
  );
  // Makers wait for a push.
  world.clock.advance(400_000);
  t.equal(world.clock.pending, 0, 'no timer is left');
});
