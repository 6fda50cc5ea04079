/** Coinjoins of a taker with a wallet, with makers and a chain in memory. */
import t, { type Test } from 'tap';
import { addressOf } from '../../src/bitcoin/address.js';
import { parseTransaction, serializeTransaction } from '../../src/bitcoin/transaction.js';
import type { CoinjoinOutcome, CoinjoinPlan } from '../../src/taker/api.js';
import { worstCost } from '../../src/taker/amounts.js';
import { resumeCoinjoins } from '../../src/taker/resume.js';
import type { MakerWallet } from '../../src/negotiation/ports.js';
import type { Offer } from '../../src/protocol/offer.js';
import { formatOutpoint } from '../../src/protocol/outpoint.js';
import { createTakerWorld, OFFER, type TakerWorld } from '../helpers/taker-world.js';

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

const P2TR = `5120${'44'.repeat(32)}`;

t.test(
  'a sweep to an address of another type: nothing is left, each maker gets its share',
  async (t) => {
    const shares = ['0.000013', '0.0000005', '0.00125', '0.0000025'];
    const world = await createTakerWorld(t, {
      coins: [1_500_000, 900_001, 700_003],
      offers: shares.map((cjfee, n) => ({ ...OFFER, cjfee, txfee: n })),
      makerCoins: [4_000_000],
    });
    const { plan, outcome } = await world.run({
      amount: 'sweep',
      destination: {
        kind: 'address',
        address: addressOf(P2TR, 'signet') ?? '',
        script: P2TR,
      },
    });
    t.match(plan.warnings, [/of type p2tr, those of the makers are p2wpkh/]);
    t.equal(plan.coins.length, 3);
    const result = done(outcome);
    t.equal(result.amount, plan.amount);
    t.equal(result.amount + result.makerFees + result.minerFee, 3_100_004);
    checkWorst(t, plan, result);
    const parsed = parseTransaction(mempoolOf(world));
    if (!parsed.ok) throw new Error(parsed.reason);
    t.strictSame(
      parsed.value.outputs.filter(({ script }) => script === P2TR).map(({ value }) => value),
      [plan.amount],
    );
    const ratio = result.feeRate / 2_000;
    t.ok(ratio > 0.5 && ratio < 1.8, `the miners get ${result.feeRate} sat/kvB`);
    // Each maker signed, since it gets what it computes itself.
    for (const { wallet } of world.makers.slice(0, 3)) t.equal(wallet.record.signed.length, 1);
    await world.mine();
    t.equal(world.taker.wallet.summary().total, 0);
  },
);

/** What each maker asks, in satoshi. */
const asking = (...fees: readonly number[]): readonly Offer[] =>
  fees.map((fee) => ({ ...OFFER, type: 'sw0absoffer', txfee: 0, cjfee: String(fee) }));

t.test('a sweep whose cheap makers fail takes dearer ones, within what was agreed', async (t) => {
  for (const [title, silent, signers] of [
    ['one before its coins', ['pubkey'], ['J5maker1', 'J5maker2', 'J5maker3']],
    ['one at its signature', ['sig'], ['J5maker1', 'J5maker2', 'J5maker3']],
    ['two of them', ['pubkey', 'ioauth'], ['J5maker2', 'J5maker3', 'J5maker4']],
  ] as const) {
    const world = await createTakerWorld(t, {
      coins: [1_500_000, 900_001, 700_003],
      offers: asking(100, 200, 300, 4_001, 4_950, 90_000),
      // Coins of a round that was not signed by all are held.
      makerCoins: [4_000_000, 4_100_000],
      intercept: (mail) => {
        const n = ['J5maker0', 'J5maker1'].indexOf(mail.from);
        return n >= 0 && mail.command === silent[n] ? [] : undefined;
      },
    });
    const { plan, outcome } = await world.run({ amount: 'sweep', makers: 3, minimumMakers: 3 });
    const result = done(outcome);
    t.strictSame(result.makers.map(({ nick }) => nick).toSorted(), signers, title);
    t.equal(result.amount + result.makerFees + result.minerFee, 3_100_004, 'no satoshi is missing');
    t.ok(result.amount < plan.amount, 'it was computed again');
    checkWorst(t, plan, result);
    t.equal(plan.worst.makerFees, 300 + 4_001 + 4_950, 'the dearest that the limit allows');
    t.notOk(
      world.makers.some(({ outcomes }) =>
        outcomes.some((it) => 'fault' in it && it.fault === 'payment'),
      ),
      'no maker refused the transaction',
    );
    t.equal(world.events.filter(({ kind }) => kind === 'again').length > 0, true);
    await world.mine();
    const { wallet } = world.taker;
    t.strictSame(
      wallet.coins().map(({ mixdepth, value }) => ({ mixdepth, value })),
      [{ mixdepth: 1, value: result.amount }],
      'one coin is left, in the next mixdepth',
    );
    t.equal(wallet.leases().length, 0);
  }
});

t.test('a sweep without enough makers ends, and says which failed', async (t) => {
  const world = await createTakerWorld(t, {
    offers: asking(100, 200, 300),
    makerCoins: [4_000_000],
    intercept: (mail) => (mail.from === 'J5maker1' && mail.command === 'pubkey' ? [] : undefined),
  });
  const { outcome } = await world.run({ amount: 'sweep', makers: 3, minimumMakers: 3 });
  t.match(outcome, {
    ok: false,
    fault: 'too-few-makers',
    failed: [{ nick: 'J5maker1', failure: { fault: 'silent' } }],
  });
  t.equal(world.taker.wallet.leases().length, 0);
});

t.test(
  'a maker that spends its coin before our signatures: another round without it',
  async (t) => {
    let world: TakerWorld | undefined = undefined;
    const spending = (wallet: MakerWallet, nick: string): MakerWallet =>
      nick === 'J5maker1'
        ? {
            ...wallet,
            async sign(request, signal) {
              const signatures = await wallet.sign(request, signal);
              const made = world?.makers.find((maker) => maker.nick === nick)?.coins ?? [];
              const coin = made.find((it) =>
                request.inputs.some((input) => formatOutpoint(input.coin) === formatOutpoint(it)),
              );
              if (coin !== undefined) await spend(world, coin);
              return signatures;
            },
          }
        : wallet;
    world = await createTakerWorld(t, { dress: spending });
    const before = world.taker.wallet.summary().total;
    const { outcome } = await world.run();
    const result = done(outcome);
    t.match(
      world.events.filter(({ kind }) => kind === 'again'),
      [{ reason: 'J5maker1 did not sign: coin-missing' }],
    );
    t.match(result.failed, [{ nick: 'J5maker1', failure: { fault: 'coin-missing' } }]);
    t.strictSame(result.makers.map(({ nick }) => nick).toSorted(), [
      'J5maker0',
      'J5maker2',
      'J5maker3',
    ]);
    t.equal(world.taker.wallet.signedTransactions().length, 1, 'the first round was not signed');
    await world.mine();
    checkBooks(t, world, before, result);
  },
);

/** Spends a coin of a maker to another script, in the mempool. */
async function spend(
  world: TakerWorld | undefined,
  coin: { txid: string; vout: number; value: number },
) {
  const bytes = serializeTransaction({
    version: 2,
    lockTime: 0,
    inputs: [{ txid: coin.txid, vout: coin.vout, sequence: 0xffff_ffff }],
    outputs: [{ script: P2TR, value: coin.value - 5_000 }],
  });
  await world?.chain.broadcast(bytes);
}

t.test('what an abort says was revealed is exact, in every phase', async (t) => {
  const nothing = { commitment: false, coins: [], transaction: false, signatures: false };
  for (const [phase, want] of [
    // Before the answer of the wallet, and after `fill`.
    ['gathering', { ...nothing }],
    ['funding', { ...nothing, commitment: true, coins: 1 }],
    ['collecting', { ...nothing, commitment: true, coins: 1, transaction: true }],
    ['signing', { ...nothing, commitment: true, coins: 1, transaction: true }],
    ['pushing', { commitment: true, coins: 1, transaction: true, signatures: true }],
  ] as const) {
    const world = await createTakerWorld(t);
    const stop = new AbortController();
    const { outcome } = await world.run(
      { broadcast: 'not-self' },
      {
        signal: stop.signal,
        onEvent: (event) => {
          if (event.kind === 'phase' && event.phase === phase) stop.abort();
        },
      },
    );
    if (outcome.ok) throw new Error('it was stopped');
    const sent = (word: string): boolean =>
      world.office.history.some(({ command, from }) => from === 'J5taker' && command === word);
    const { revealed } = outcome;
    t.same({ ...revealed, coins: want.coins === 1 ? revealed.coins.length : [] }, want, phase);
    t.equal(revealed.commitment, sent('fill'), 'fill');
    t.equal(revealed.coins.length > 0, sent('auth'), 'auth');
    t.equal(revealed.transaction, sent('tx'), 'tx');
    t.equal(revealed.signatures, sent('push'), 'push');
    t.equal(outcome.fault, phase === 'pushing' ? 'not-broadcast' : 'stopped');
    const { wallet } = world.taker;
    const [coin] = wallet.coins();
    t.equal(wallet.leases().length, 0);
    const held = phase === 'pushing' ? 1 : 0;
    t.equal(wallet.coins().filter(({ hold }) => hold === 'signed').length, held, 'held coins');
    const used = revealed.coins.length > 0 ? 1 : 0;
    const tries = wallet.coins().map((it) => wallet.commitments.left(it, 3));
    t.equal(
      tries.reduce((sum, n) => sum + n, 0),
      6 - used,
      'tries',
    );
    t.ok(coin);
  }
});

const isPush = ({ command }: { readonly command: string }): boolean => command === 'push';

t.test(
  'broadcast by a maker; by us when no maker does; only by makers with not-self',
  async (t) => {
    const pushed = await createTakerWorld(t);
    const first = done((await pushed.run({ broadcast: 'not-self' })).outcome);
    t.ok(first.broadcastBy?.startsWith('J5maker'));
    t.ok(pushed.chain.inMempool(first.txid));

    const deaf = await createTakerWorld(t, {
      intercept: (mail) => (isPush(mail) ? [] : undefined),
    });
    let asked = 0;
    // A random draw may choose ourselves: again until a maker is chosen.
    const { outcome } = await deaf.run(
      { broadcast: 'random-peer' },
      {
        onEvent: (event) => {
          if (event.kind === 'phase' && event.phase === 'pushing') asked += 1;
        },
        randomBytes: (length) =>
          new Uint8Array(length).fill(asked + 1).map((_, i) => (i * 7 + 1) % 251),
      },
    );
    const second = done(outcome);
    t.equal(second.broadcastBy, undefined);
    t.ok(deaf.chain.inMempool(second.txid));

    const silent = await createTakerWorld(t, {
      intercept: (mail) => (isPush(mail) ? [] : undefined),
    });
    const { outcome: third } = await silent.run({ broadcast: 'not-self' });
    t.match(third, { ok: false, fault: 'not-broadcast', revealed: { signatures: true } });
    const transaction = third.ok ? undefined : third.transaction;
    t.match(transaction, { amount: 1_000_000, makerFees: 3 * 900 }, 'it names what may appear');
    t.equal(transaction?.txid, silent.taker.wallet.signedTransactions().at(-1)?.txid);
    t.equal(transaction?.makers.length, 3);
    t.ok((transaction?.feeRate ?? 0) >= 2_000 && (transaction?.feeRate ?? 0) < 2_100, 'its rate');
    t.match(await resumeCoinjoins(silent.taker.wallet, silent.chain), [
      { state: 'missing', text: /only makers may send it/ },
    ]);
    t.equal(silent.taker.wallet.coins().filter(({ hold }) => hold === 'signed').length, 1);
  },
);
