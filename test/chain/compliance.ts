/** The suite that every view of the chain passes: what `src/chain/ports.ts` promises. */
import type { Test } from 'tap';
import { BroadcastError, ChainError } from '../../src/chain/chain-error.js';
import type {
  BlockId,
  BlockInfo,
  Chain,
  ScanRequest,
  ScanStep,
  Watch,
} from '../../src/chain/ports.js';
import { formatOutpoint, type Outpoint } from '../../src/protocol/outpoint.js';
import { parseTransaction, type Transaction } from '../../src/bitcoin/transaction.js';
import { signedTransaction, testScript, type TestCoin } from '../helpers/test-keys.js';

/** A chain that the suite can change. Its scripts are those of `test-keys.ts`. */
export interface ChainWorld {
  readonly chain: Chain;
  /** Mines the mempool, or exactly `transactions`. */
  mine(count?: number, transactions?: readonly Uint8Array[]): Promise<BlockId>;
  /** Pays scripts from outside, into the mempool. The outputs come first and in order. */
  pay(outputs: readonly { script: string; value: number }[]): Promise<TestCoin[]>;
  /** Puts a transaction into the mempool without the view. */
  send(transaction: Uint8Array): Promise<void>;
  /** Replaces the newest blocks by `depth + 1` others that have only these transactions. */
  reorganize(depth: number, transactions?: readonly Uint8Array[]): Promise<BlockId>;
}

const FOREVER = new AbortController().signal;
const FEE = 1_000;

/** A transaction that must be valid in form. */
export function transaction(bytes: Uint8Array): Transaction {
  const parsed = parseTransaction(bytes);
  if (!parsed.ok) throw new Error(`not a transaction: ${parsed.reason}`);
  return parsed.value;
}

/** The txid of a serialization. */
export const txidOf = (bytes: Uint8Array): string => transaction(bytes).txid;

/** The fault with which a call rejects; `none` when it resolves, `other` for an error without a fault. */
export async function faultOf(call: Promise<unknown>): Promise<string> {
  try {
    await call;
    return 'none';
  } catch (error) {
    return error instanceof ChainError || error instanceof BroadcastError ? error.fault : 'other';
  }
}

/** A wallet that knows scripts and learns of coins by the steps of a scan. */
export class TestWatch implements Watch {
  #scripts: readonly string[];
  readonly #known: Set<string>;
  readonly #coins = new Map<string, string>();
  readonly blocks: BlockInfo[] = [];
  readonly steps: ScanStep[] = [];

  constructor(scripts: readonly string[]) {
    this.#scripts = scripts;
    this.#known = new Set(scripts);
  }

  scripts(): readonly string[] {
    return this.#scripts;
  }
  hasScript(script: string): boolean {
    return this.#known.has(script);
  }
  hasCoin({ txid, vout }: Outpoint): boolean {
    return this.#coins.has(formatOutpoint({ txid, vout }));
  }
  grow(scripts: readonly string[]): void {
    this.#scripts = [...this.#scripts, ...scripts];
    for (const script of scripts) this.#known.add(script);
  }
  /** Learns of the coins of a step. */
  take(step: ScanStep): void {
    this.steps.push(step);
    if (step.kind !== 'block') return;
    for (const { bytes, txid } of step.transactions) {
      transaction(bytes).outputs.forEach(({ script }, vout) => {
        if (this.hasScript(script)) this.#coins.set(formatOutpoint({ txid, vout }), script);
      });
    }
  }
  /** The transactions of the steps, without those of lost blocks. */
  found(): { height: number; txid: string }[] {
    const found = new Map<string, number>();
    for (const step of this.steps) {
      if (step.kind === 'rewind') {
        for (const [txid, height] of found) if (height > step.to.height) found.delete(txid);
      }
      if (step.kind !== 'block') continue;
      for (const { txid } of step.transactions) found.set(txid, step.block.height);
    }
    return Array.from(found, ([txid, height]) => ({ height, txid }));
  }
  last(): ScanStep | undefined {
    return this.steps.at(-1);
  }
}

/** Scans to the end. `onStep` may change the world. */
export async function scanAll(
  chain: Chain,
  watch: TestWatch,
  request: Partial<ScanRequest> = {},
  onStep?: (step: ScanStep) => Promise<void> | void,
): Promise<void> {
  const full = { known: [], from: 0, watch, signal: FOREVER, ...request };
  for await (const step of chain.scan(full)) {
    watch.take(step);
    await onStep?.(step);
  }
}

export function chainCompliance(
  t: Test,
  name: string,
  open: (t: Test) => Promise<ChainWorld>,
): void {
  void t.test(name, async (t) => {
    const world = await open(t);
    const { chain } = world;
    let next = 100;
    /** A script that was never used. */
    const fresh = (): string => testScript((next += 1));
    /** A confirmed coin. */
    const coin = async (value = 100_000): Promise<TestCoin> => {
      const [paid] = await world.pay([{ script: fresh(), value }]);
      if (paid === undefined) throw new Error('nothing was paid');
      await world.mine();
      return paid;
    };
    const spend = (from: TestCoin, fee = FEE, script = fresh()): Uint8Array =>
      signedTransaction([from], [{ script, value: from.value - fee }]);

    await t.test(
      'the tip follows the chain, and its median time is that of 11 blocks',
      async (t) => {
        const before = await chain.tip();
        const waiting = chain.nextTip(before, FOREVER);
        await world.mine();
        const after = await waiting;
        t.equal(after.height, before.height + 1);
        t.same(await chain.tip(), after);
        t.same(await chain.blockAt(after.height), after);
        t.equal(await chain.blockAt(after.height + 1), undefined);
        await world.mine(11);
        const tip = await chain.tip();
        const times = await Promise.all(
          Array.from(
            { length: 11 },
            async (_, i) => (await chain.blockAt(tip.height - i))?.time ?? 0,
          ),
        );
        t.equal(tip.medianTime, times.toSorted((a, b) => a - b)[5]);
      },
    );

    await t.test(
      'nextTip reports a branch of the same height, and ends when aborted',
      async (t) => {
        const before = await world.mine(2);
        const waiting = chain.nextTip(before, FOREVER);
        await world.reorganize(1);
        t.not((await waiting).hash, before.hash);
        const abort = new AbortController();
        const never = chain.nextTip(await chain.tip(), abort.signal);
        abort.abort(new Error('enough'));
        await t.rejects(never, { message: 'enough' });
      },
    );

    await t.test(
      'a scan finds payments and what spends them, in the order of the chain',
      async (t) => {
        const start = await chain.tip();
        const script = fresh();
        const [paid] = await world.pay([{ script, value: 50_000 }]);
        if (paid === undefined) return t.fail('nothing was paid');
        const first = await world.mine(3);
        const away = spend(paid);
        await world.send(away);
        await world.mine(2);
        const watch = new TestWatch([script]);
        const shares: number[] = [];
        await scanAll(chain, watch, {
          known: [start],
          onProgress: (done) => void shares.push(done),
        });
        t.same(watch.found(), [
          { height: first.height - 2, txid: paid.txid },
          { height: first.height + 1, txid: txidOf(away) },
        ]);
        t.same(watch.last(), { kind: 'reached', block: await chain.tip() });
        t.equal(shares.at(-1), 1);
        t.ok(shares.every((share) => share >= 0 && share <= 1));
        const found = watch.steps.flatMap((step) =>
          step.kind === 'block' ? step.transactions : [],
        );
        for (const { txid, bytes } of found) t.equal(txidOf(bytes), txid);
        t.ok(found.every(({ index }) => index > 0));
        return undefined;
      },
    );

    await t.test(
      'a coin that is paid and spent in one block is found with its spender',
      async (t) => {
        const start = await chain.tip();
        const script = fresh();
        const [paid] = await world.pay([{ script, value: 50_000 }]);
        if (paid === undefined) return t.fail('nothing was paid');
        const away = spend(paid);
        await world.send(away);
        await world.mine();
        const watch = new TestWatch([script]);
        await scanAll(chain, watch, { known: [start] });
        t.same(
          watch.found().map(({ txid }) => txid),
          [paid.txid, txidOf(away)],
        );
        return undefined;
      },
    );

    await t.test(
      'scripts that a used address adds are found, also in the same block',
      async (t) => {
        const start = await chain.tip();
        const [a, b, c] = [fresh(), fresh(), fresh()];
        // The payment to `b` may come before the one to `a` in the block.
        await world.pay([{ script: b, value: 20_000 }]);
        await world.pay([{ script: a, value: 20_000 }]);
        await world.mine(2);
        await world.pay([{ script: c, value: 20_000 }]);
        await world.mine(1);
        const watch = new TestWatch([a]);
        await scanAll(chain, watch, { known: [start] }, (step) => {
          if (step.kind === 'block' && watch.scripts().length === 1) watch.grow([b]);
          else if (step.kind === 'block' && watch.scripts().length === 2) watch.grow([c]);
        });
        t.equal(watch.found().length, 3);
      },
    );

    await t.test('a scan continues behind a reorganisation, with a rewind', async (t) => {
      const script = fresh();
      const [paid] = await world.pay([{ script, value: 70_000 }]);
      if (paid === undefined) return t.fail('nothing was paid');
      const base = await chain.tip();
      await world.mine(1);
      const lost = await world.mine(5);
      await world.reorganize(6);
      const watch = new TestWatch([script]);
      await scanAll(chain, watch, { known: [lost, base] });
      t.match(watch.steps[0], { kind: 'rewind', to: base });
      t.same(watch.found(), [], 'the payment is in no block');
      await world.mine();
      await scanAll(chain, watch, { known: [await chain.tip(), base] });
      const again = new TestWatch([script]);
      await scanAll(chain, again, { known: [base] });
      t.equal(again.found()[0]?.txid, paid.txid, 'it is confirmed again');
      return undefined;
    });

    await t.test('a reorganisation in the middle of a scan loses nothing', async (t) => {
      const script = fresh();
      const base = await chain.tip();
      const [one] = await world.pay([{ script, value: 30_000 }]);
      await world.mine(2);
      const [two] = await world.pay([{ script, value: 40_000 }]);
      await world.mine(2);
      if (one === undefined || two === undefined) return t.fail('nothing was paid');
      const watch = new TestWatch([script]);
      let reorganized = false;
      await scanAll(chain, watch, { known: [base] }, async (step) => {
        if (step.kind !== 'block' || reorganized) return;
        reorganized = true;
        await world.reorganize(4);
        await world.mine(2);
      });
      const fully = new TestWatch([script]);
      await scanAll(chain, fully, { known: [base] });
      t.same(watch.found(), fully.found());
      t.same(
        fully
          .found()
          .map(({ txid }) => txid)
          .toSorted(),
        [one.txid, two.txid].toSorted(),
      );
      return undefined;
    });

    await t.test('without a known block, a scan begins at a height', async (t) => {
      const script = fresh();
      await world.pay([{ script, value: 30_000 }]);
      const { height } = await world.mine();
      for (const [from, count] of [
        [height, 1],
        [height + 1, 0],
        [0, 1],
      ] as const) {
        const watch = new TestWatch([script]);
        await scanAll(chain, watch, { from });
        t.equal(watch.found().length, count, `from ${from}`);
      }
      const lost = { height, hash: '00'.repeat(32) };
      const watch = new TestWatch([script]);
      await scanAll(chain, watch, { known: [lost], from: height });
      t.equal(watch.steps[0]?.kind, 'rewind', 'no known block is in the best chain');
      t.equal(watch.found().length, 1);
    });

    await t.test('an aborted scan ends with the reason', async (t) => {
      const abort = new AbortController();
      abort.abort(new Error('stopped'));
      const scan = scanAll(chain, new TestWatch([fresh()]), { signal: abort.signal });
      await t.rejects(scan, { message: 'stopped' });
    });

    await t.test(
      'coins have confirmations, and a coin that the mempool spends is gone',
      async (t) => {
        if (!chain.abilities.foreignCoins) return;
        const [paid] = await world.pay([{ script: fresh(), value: 60_000 }]);
        if (paid === undefined) return t.fail('nothing was paid');
        const { txid, vout, script, value } = paid;
        t.match(await chain.coins([{ txid, vout }]), [{ script, value, confirmations: 0 }]);
        const { height } = await world.mine();
        t.same(await chain.coins([{ txid, vout }]), [{ script, value, confirmations: 1, height }]);
        await world.mine(2);
        const missing = { txid: 'ab'.repeat(32), vout: 0 };
        t.same(await chain.coins([missing, { txid, vout }, { txid, vout: 99 }]), [
          undefined,
          { script, value, confirmations: 3, height },
          undefined,
        ]);
        t.same(await chain.coins([]), []);
        const away = spend(paid);
        await world.send(away);
        t.same(await chain.coins([{ txid, vout }]), [undefined]);
        const out = { txid: txidOf(away), vout: 0 };
        t.match(await chain.coins([out]), [{ confirmations: 0, value: value - FEE }]);
        await world.mine();
        t.match(await chain.coins([{ txid, vout }, out]), [undefined, { confirmations: 1 }]);
        return undefined;
      },
    );

    await t.test('unspent lists confirmed coins, also those that the mempool spends', async (t) => {
      if (!chain.abilities.unspentSet) return;
      const one = await coin(11_000);
      const two = await coin(12_000);
      await world.send(spend(one));
      await world.pay([{ script: one.script, value: 13_000 }]);
      const { block, outputs } = await chain.unspent([one.script, two.script, fresh()], FOREVER);
      t.same(block, await chain.tip());
      const { height } = block;
      t.same(
        outputs.toSorted((a, b) => a.value - b.value),
        [
          { ...one, height: height - 1, coinbase: false },
          { ...two, height, coinbase: false },
        ],
      );
      await world.mine();
    });

    await t.test(
      'the state of a transaction: unknown, mempool, confirmed, also when its outputs are spent',
      async (t) => {
        const from = await coin();
        const { height } = await chain.tip();
        const bytes = spend(from);
        t.same(await chain.transactionState(bytes, height), { state: 'unknown' });
        await chain.broadcast(bytes);
        await chain.broadcast(bytes);
        t.same(await chain.transactionState(bytes, height), { state: 'mempool' });
        const mined = await world.mine(2);
        const confirmed = { state: 'confirmed', confirmations: 2, height: mined.height - 1 };
        t.same(await chain.transactionState(bytes, height), confirmed);
        await chain.broadcast(bytes);
        const tx = transaction(bytes);
        const onward = tx.outputs.map(({ script, value }, vout) => ({
          txid: tx.txid,
          vout,
          script,
          value,
        }));
        await world.send(spend(onward?.[0] ?? from));
        t.same(await chain.transactionState(bytes, height), confirmed, 'spent in the mempool');
        await world.mine();
        t.same(
          await chain.transactionState(bytes, height),
          { ...confirmed, confirmations: 3 },
          'spent in a block',
        );
      },
    );

    await t.test(
      'a conflict is reported in the mempool, in a block, and not after its block is lost',
      async (t) => {
        const from = await coin();
        const { height } = await chain.tip();
        const ours = spend(from);
        const rival = spend(from, 3 * FEE);
        const outpoint = { txid: from.txid, vout: from.vout };
        await world.send(rival);
        t.same(await chain.transactionState(ours, height), {
          state: 'conflict',
          outpoint,
          height: undefined,
        });
        const mined = await world.mine(1);
        t.same(await chain.transactionState(ours, height), {
          state: 'conflict',
          outpoint,
          height: mined.height,
        });
        await world.reorganize(1, [ours]);
        t.match(await chain.transactionState(ours, height), {
          state: 'confirmed',
          confirmations: 2,
        });
        t.match(await chain.transactionState(rival, height), { state: 'conflict', outpoint });
      },
    );

    await t.test(
      'a replaced transaction is a conflict, and its replacement is in the mempool',
      async (t) => {
        const from = await coin();
        const { height } = await chain.tip();
        const first = spend(from, 300);
        const second = spend(from, 3_000);
        await chain.broadcast(first);
        await chain.broadcast(second);
        t.match(await chain.transactionState(first, height), { state: 'conflict' });
        t.match(await chain.transactionState(second, height), { state: 'mempool' });
        await world.mine();
        t.match(await chain.transactionState(first, height), { state: 'conflict' });
        t.match(await chain.transactionState(second, height), { state: 'confirmed' });
      },
    );

    await t.test('refused transactions have a fault, and testAccept the same reason', async (t) => {
      const from = await coin();
      const tip = await chain.tip();
      const refused = async (bytes: Uint8Array, fault: BroadcastError['fault']): Promise<void> => {
        t.equal(await faultOf(chain.broadcast(bytes)), fault);
        if (!chain.abilities.testAccept) return;
        t.match(await chain.testAccept(bytes), { accepted: false });
      };
      await refused(spend({ ...from, vout: 7 }), 'missing-coins');
      await refused(spend(from, 1), 'fee');
      await refused(Uint8Array.of(1, 2, 3), 'refused');
      const late = { lockTime: tip.height + 1 };
      const outputs = [{ script: fresh(), value: from.value - FEE }];
      await refused(signedTransaction([from], outputs, late), 'not-final');
      await chain.broadcast(spend(from, 2 * FEE));
      await refused(spend(from, 2 * FEE - 1), 'conflict');
      const due = { lockTime: tip.height };
      const other = await coin();
      const fine = signedTransaction([other], [{ script: fresh(), value: other.value - FEE }], due);
      if (chain.abilities.testAccept) t.same(await chain.testAccept(fine), { accepted: true });
      await chain.broadcast(fine);
      if (chain.abilities.testAccept) t.same(await chain.testAccept(fine), { accepted: true });
      await world.mine();
    });

    await t.test(
      'seen resolves in the mempool, for a confirmed transaction, and ends when aborted',
      async (t) => {
        const from = await coin();
        const bytes = spend(from);
        const waiting = chain.seen(txidOf(bytes), FOREVER);
        await world.send(bytes);
        await waiting;
        await world.mine();
        await chain.seen(txidOf(bytes), FOREVER);
        const abort = new AbortController();
        const never = chain.seen('cd'.repeat(32), abort.signal);
        abort.abort(new Error('enough'));
        await t.rejects(never, { message: 'enough' });
      },
    );

    await t.test('fee rates are whole satoshi per 1,000 virtual bytes', async (t) => {
      if (!chain.abilities.feeRates) return;
      const least = await chain.minimumFeePerKb();
      t.ok(Number.isSafeInteger(least) && (least ?? 0) > 0);
      const rate = await chain.feePerKb(6);
      t.ok(rate === undefined || (Number.isSafeInteger(rate) && rate >= (least ?? 0)));
    });

    await t.test('a reorganisation of a hundred blocks is followed', async (t) => {
      const script = fresh();
      const base = await chain.tip();
      await world.pay([{ script, value: 30_000 }]);
      const lost = await world.mine(100);
      await world.reorganize(100);
      const watch = new TestWatch([script]);
      await scanAll(chain, watch, { known: [lost, base] });
      t.match(watch.steps[0], { kind: 'rewind', to: { height: base.height, hash: base.hash } });
      t.same(watch.found(), []);
      await world.mine();
    });
  });
}
