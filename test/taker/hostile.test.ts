/** A taker's coinjoin with makers, a node, another copy of the wallet and a listener that misbehave. */
import t from 'tap';
import { addressOf } from '../../src/bitcoin/address.js';
import { serializeTransaction } from '../../src/bitcoin/transaction.js';
import { ChainError } from '../../src/chain/chain-error.js';
import { MemoryChain } from '../../src/chain/memory.js';
import type { MakerWallet } from '../../src/negotiation/ports.js';
import { freeUnsent } from '../../src/taker/resume.js';
import { RoundChain } from '../../src/taker/round-chain.js';
import { createTakerWorld } from '../helpers/taker-world.js';
import { createTestClock } from '../helpers/test-clock.js';
import { createWalletWorld } from '../helpers/wallet-world.js';

const failing = (): never => {
  throw new Error('a fault of the listener');
};

const P2TR = `5120${'44'.repeat(32)}`;

t.test('a maker names our destination as its address: the others join without it', async (t) => {
  const address = addressOf(P2TR, 'signet') ?? '';
  for (const name of ['coinjoinAddress', 'changeAddress'] as const) {
    const world = await createTakerWorld(t, {
      dress: (wallet: MakerWallet, nick: string): MakerWallet => ({
        ...wallet,
        async reserve(request, signal) {
          const reservation = await wallet.reserve(request, signal);
          const isLiar = nick === 'J5maker1' && reservation !== undefined;
          return isLiar ? { ...reservation, [name]: address } : reservation;
        },
      }),
    });
    const { outcome } = await world.run({
      destination: { kind: 'address', address, script: P2TR },
    });
    t.match(outcome, {
      ok: true,
      makers: { length: 2 },
      failed: [{ nick: 'J5maker1', failure: { fault: 'shared' } }],
    });
  }
});

t.test(
  'an own address that was not handed out is refused before makers see anything',
  async (t) => {
    const world = await createTakerWorld(t);
    // The same seed in another program.
    const copy = await createWalletWorld(
      { network: 'signet' },
      new MemoryChain({ network: 'signet' }),
    );
    const request = { mixdepth: 1, purpose: 'deposit' } as const;
    const { address, script } = await copy.wallet.handOut(request);
    const destination = { kind: 'address', address, script } as const;
    t.match((await world.plan({ destination })).obstacle, /it did not hand out: use INTERNAL/);
    t.equal((await world.taker.wallet.handOut(request)).address, address);
    t.equal((await world.plan({ destination })).obstacle, undefined, 'handed out');
  },
);

t.test('another copy of the wallet spends a coin: makers never see the transaction', async (t) => {
  const world = await createTakerWorld(t);
  const plan = await world.plan();
  const [coin] = plan.coins;
  if (coin === undefined) throw new Error('a coin');
  const { txid, vout, value } = coin;
  await world.chain.broadcast(
    serializeTransaction({
      version: 2,
      lockTime: 0,
      inputs: [{ txid, vout, sequence: 0xffff_ffff }],
      outputs: [{ script: P2TR, value: value - 5_000 }],
    }),
  );
  const outcome = await world.carryOut(plan);
  t.match(outcome, {
    ok: false,
    detail: /is spent by a transaction that this wallet did not sign/,
    revealed: { transaction: false, signatures: false },
  });
  t.notOk(world.office.history.some(({ command }) => command === 'tx'));
  t.equal(world.taker.wallet.leases().length, 0);
});

t.test('coins of a round that runs are not freed as those of an earlier run', async (t) => {
  const world = await createTakerWorld(t);
  const { wallet } = world.taker;
  const phases: string[] = [];
  const freeing: Promise<unknown>[] = [];
  const { outcome } = await world.run(
    {},
    {
      onEvent(event) {
        if (event.kind !== 'phase') return;
        phases.push(event.phase);
        freeing.push(freeUnsent(wallet));
      },
    },
  );
  await Promise.all(freeing);
  t.ok(outcome.ok);
  t.ok(phases.includes('signing') && phases.includes('broadcasting'));
  t.match(wallet.signedTransactions(), [{ state: 'pending' }]);
});

t.test('a listener that throws neither ends a coinjoin nor hides it', async (t) => {
  const world = await createTakerWorld(t);
  const { outcome } = await world.run({}, { onEvent: failing });
  if (!outcome.ok) throw new Error(outcome.detail);
  t.ok(world.chain.inMempool(outcome.txid));
});

t.test('a node that is away for a while does not end the wait for a broadcast', async (t) => {
  const clock = createTestClock();
  let looks = 0;
  const chain = new Proxy(new MemoryChain({ network: 'signet' }), {
    get(target, name): unknown {
      // Nothing is seen by its id.
      if (name === 'seen') return () => new Promise(() => {});
      if (name !== 'transactionState') return Reflect.get(target, name);
      return async () => {
        looks += 1;
        if (looks < 3) throw new ChainError('unreachable', 'nothing answers');
        return Promise.resolve({ state: 'mempool' });
      };
    },
  });
  const view = new RoundChain(chain, clock);
  view.watch(new Uint8Array(), 0);
  const seen = view.seen('00'.repeat(32), new AbortController().signal);
  for (let turn = 0; turn < 3; turn += 1) {
    clock.advance(10_000);
    // oxlint-disable-next-line no-await-in-loop -- the look is over before the clock moves on
    await new Promise((resolve) => setImmediate(resolve));
  }
  await seen;
  t.equal(looks, 3);
});
