/**
 * What a node does against the guess: rows of the table of findings, each by its number, on the real
 * node; K13 is in node-restarts.test.ts. The rows K15 to K17 and K21 do not concern JSON-RPC.
 */
import { bytesToHex } from '@noble/hashes/utils.js';
import t from 'tap';
import { parseTransaction } from '../../src/bitcoin/transaction.js';
import { openNode } from '../../src/chain/node/open-node.js';
import { systemClock } from '../../src/overlay/system-clock.js';
import { NodeRpcError, startBitcoinNode } from '../helpers/bitcoin-node.js';
import { realNodeTest } from '../helpers/bitcoin-program.js';
import { nodeWorld, openTestNode, settingsOf } from '../helpers/node-chain.js';
import { signedTransaction, testBond, testScript, type TestCoin } from '../helpers/test-keys.js';
import { faultOf, scanAll, TestWatch, txidOf } from './compliance.js';

const signal = new AbortController().signal;

/** The code and the words with which a node refuses. */
async function refusal(call: Promise<unknown>): Promise<{ code: number; message: string }> {
  const error: unknown = await call.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof NodeRpcError)) throw new Error('the node does not refuse');
  return { code: error.code, message: error.message };
}

/** The first output of a transaction of these tests. */
function parsedOutput(bytes: Uint8Array): TestCoin {
  const parsed = parseTransaction(bytes);
  const [output] = parsed.ok ? parsed.value.outputs : [];
  if (!parsed.ok || output === undefined) throw new Error('not a transaction');
  return { txid: parsed.value.txid, vout: 0, ...output };
}

realNodeTest(t, 'the rows of the findings', async (t) => {
  const node = await startBitcoinNode(t);
  const world = await nodeWorld(t, node);
  const { chain } = world;
  let next = 500;
  const fresh = (): string => testScript((next += 1));
  const paid = async (value = 100_000): Promise<TestCoin> => {
    const [coin] = await world.pay([{ script: fresh(), value }]);
    if (coin === undefined) throw new Error('nothing was paid');
    return coin;
  };
  const coin = async (value = 100_000): Promise<TestCoin> => {
    const unconfirmed = await paid(value);
    await world.mine();
    return unconfirmed;
  };
  const spend = (from: TestCoin, fee = 1_000): Uint8Array =>
    signedTransaction([from], [{ script: fresh(), value: from.value - fee }]);
  const raw = (bytes: Uint8Array): Promise<unknown> =>
    node.rpc('sendrawtransaction', bytesToHex(bytes));

  await t.test(
    'K1 a coin that the mempool spends is gone, and only with the mempool',
    async (t) => {
      const from = await coin();
      const { txid, vout } = from;
      await world.send(spend(from));
      t.equal(await node.rpc('gettxout', txid, vout, true), null);
      t.match(await node.rpc('gettxout', txid, vout, false), { confirmations: 1 });
      t.same(await chain.coins([{ txid, vout }]), [undefined], 'the view asks with the mempool');
      await world.mine();
    },
  );

  await t.test(
    'K2 the answer to a rebroadcast is the same for a confirmed and a lost transaction',
    async (t) => {
      const [one, two] = [await coin(), await coin()];
      const { height } = await chain.tip();
      const [confirmed, lost] = [spend(one), spend(two)];
      await world.send(confirmed);
      await raw(confirmed);
      await world.mine();
      t.equal((await refusal(raw(confirmed))).code, -27, 'confirmed with an unspent output');
      await chain.broadcast(confirmed);
      const output = parsedOutput(confirmed);
      await world.send(spend(output));
      await world.mine(1);
      await world.mine(1, [spend(two, 2_000)]);
      const answers = [await refusal(raw(confirmed)), await refusal(raw(lost))];
      t.same(answers[0], answers[1], 'word for word');
      t.equal(answers[0]?.code, -25);
      t.equal(await faultOf(chain.broadcast(confirmed)), 'missing-coins');
      t.equal(await faultOf(chain.broadcast(lost)), 'missing-coins');
      t.match(await chain.transactionState(confirmed, height), {
        state: 'confirmed',
        confirmations: 3,
      });
      t.match(await chain.transactionState(lost, height), {
        state: 'conflict',
        height: height + 3,
      });
    },
  );

  await t.test('K2 the extra fee of a replacement is the relay fee of its size', async (t) => {
    const from = await coin();
    const first = spend(from, 1_000);
    await chain.broadcast(first);
    const { relayfee, incrementalfee } = await node.rpc<{
      relayfee: number;
      incrementalfee: number;
    }>('getnetworkinfo');
    t.ok(incrementalfee <= relayfee);
    t.equal(await faultOf(chain.broadcast(spend(from, 1_000))), 'conflict', 'the same fee');
    t.equal(await faultOf(chain.broadcast(spend(from, 1_001))), 'conflict', 'one satoshi more');
    const parsed = parseTransaction(first);
    const extra = Math.ceil(
      (Math.round(incrementalfee * 1e8) * (parsed.ok ? parsed.value.vsize : 0)) / 1000,
    );
    t.equal(await faultOf(chain.broadcast(spend(from, 1_000 + extra - 1))), 'conflict');
    await chain.broadcast(spend(from, 1_000 + extra));
    const final = await coin();
    await chain.broadcast(
      signedTransaction([final], [{ script: fresh(), value: 90_000 }], { sequence: 0xffff_ffff }),
    );
    await chain.broadcast(spend(final, 20_000));
    t.pass('a transaction with final sequences is replaceable too');
    await world.mine();
  });

  await t.test('K3 an entry of a package that is not judged has no `allowed`', async (t) => {
    const from = await coin();
    const parent = spend(from);
    const child = spend(parsedOutput(parent));
    const wrongOrder = await node.rpc<Record<string, unknown>[]>(
      'testmempoolaccept',
      [child, parent].map(bytesToHex),
    );
    t.ok(wrongOrder.every((entry) => !('allowed' in entry)));
    t.match(wrongOrder, [{ 'package-error': 'package-not-sorted' }, {}]);
    t.same(await chain.testAccept(child), { accepted: false, reason: 'missing-inputs' });
    t.same(await chain.testAccept(parent), { accepted: true });
  });

  await t.test(
    'K4 the minimum is per 1,000 virtual bytes, and the view knows it exactly',
    async (t) => {
      const least = (await chain.minimumFeePerKb()) ?? 0;
      const from = await coin();
      const size = parseTransaction(spend(from));
      const needed = Math.ceil((least * (size.ok ? size.value.vsize : 0)) / 1000);
      t.ok(least === 1_000 || least === 100, `${least} sat/kvB`);
      t.equal(await faultOf(chain.broadcast(spend(from, needed - 1))), 'fee');
      await chain.broadcast(spend(from, needed));
      await world.mine();
    },
  );

  await t.test('K5 an output below the dust limit is refused with a reason', async (t) => {
    const from = await coin();
    const dust = (value: number): Uint8Array =>
      signedTransaction(
        [from],
        [
          { script: fresh(), value },
          { script: fresh(), value: 90_000 },
        ],
      );
    t.match(await chain.testAccept(dust(293)), { accepted: false, reason: /dust/ });
    t.equal(await faultOf(chain.broadcast(dust(293))), 'refused');
    t.same(await chain.testAccept(dust(294)), { accepted: true });
  });

  await t.test(
    'K6 scantxoutset: what the mempool spends is listed, and every script is named',
    async (t) => {
      const scripts = Array.from({ length: 1_500 }, (_, i) => testScript(3_000 + i));
      const [deep] = await world.pay([{ script: scripts[1_400] ?? '', value: 33_000 }]);
      await world.mine();
      if (deep === undefined) return t.fail('nothing was paid');
      await world.send(spend(deep));
      const shares: number[] = [];
      const { outputs } = await chain.unspent(scripts, signal, (done) => void shares.push(done));
      t.match(
        outputs,
        [{ txid: deep.txid, value: 33_000 }],
        'beyond index 1,000, and spent in the mempool',
      );
      t.same(await chain.coins(outputs), [undefined], 'so that coins must be asked again');
      t.equal(shares.at(-1), 1);
      const both = await Promise.all([
        chain.unspent(scripts, signal),
        chain.unspent(scripts, signal),
      ]);
      t.same(
        both.map((answer) => answer.outputs.length),
        [1, 1],
        'two at once wait for each other',
      );
      const abort = new AbortController();
      const aborted = chain.unspent(scripts, abort.signal);
      abort.abort(new Error('enough'));
      await t.rejects(aborted, { message: 'enough' });
      await world.mine();
      return undefined;
    },
  );

  await t.test('K7 without an estimate there is no `feerate`', async (t) => {
    const answer = await node.rpc<Record<string, unknown>>('estimatesmartfee', 6);
    t.notOk('feerate' in answer);
    for (const blocks of [0, 1, 6, 1_008, 5_000]) {
      t.equal(await chain.feePerKb(blocks), undefined, `${blocks} blocks`);
    }
  });

  await t.test('K8 a bond is found by its script', async (t) => {
    const bond = testBond(1_700_000_000);
    const [output] = await world.pay([{ script: bond.script, value: 44_000 }]);
    const { height } = await world.mine();
    const { outputs } = await chain.unspent([bond.script], signal);
    t.match(outputs, [{ txid: output?.txid, value: 44_000, height }]);
    const watch = new TestWatch([bond.script]);
    await scanAll(chain, watch, { from: 1 });
    t.same(watch.found(), [{ txid: output?.txid, height }]);
  });

  await t.test('K9 a reward is spent in the block after 99 others', async (t) => {
    const script = fresh();
    await node.mine(1, script);
    await node.mine(98);
    const { outputs } = await chain.unspent([script], signal);
    const [reward] = outputs;
    if (reward === undefined) return t.fail('no reward');
    t.ok(reward.coinbase);
    const bytes = spend(reward);
    t.match(await chain.coins([reward]), [{ confirmations: 99 }]);
    t.equal(await faultOf(chain.broadcast(bytes)), 'refused', 'at 99 confirmations');
    t.match(await chain.testAccept(bytes), {
      accepted: false,
      reason: 'bad-txns-premature-spend-of-coinbase',
    });
    await node.mine(1);
    await chain.broadcast(bytes);
    await world.mine();
    return undefined;
  });

  await t.test('K10 a height as lock time: the tip is accepted, one more is not', async (t) => {
    const from = await coin();
    const { height } = await chain.tip();
    const at = (lockTime: number, sequence?: number): Uint8Array =>
      signedTransaction([from], [{ script: fresh(), value: 90_000 }], {
        lockTime,
        ...(sequence !== undefined && { sequence }),
      });
    t.same(await chain.testAccept(at(height + 1)), { accepted: false, reason: 'non-final' });
    t.equal(await faultOf(chain.broadcast(at(height + 1))), 'not-final');
    t.same(
      await chain.testAccept(at(height + 1, 0xffff_ffff)),
      { accepted: true },
      'final inputs turn it off',
    );
    t.same(await chain.testAccept(at(height)), { accepted: true });
  });

  await t.test('K10 a bond opens when the median time is beyond its lock', async (t) => {
    const { medianTime } = await chain.tip();
    const lock = medianTime + 100;
    const bond = testBond(lock);
    const [output] = await world.pay([{ script: bond.script, value: 80_000 }]);
    if (output === undefined) return t.fail('nothing was paid');
    await world.mine();
    const redeem = bond.spend(output, [{ script: fresh(), value: 79_000 }]);
    t.equal(await faultOf(chain.broadcast(redeem)), 'not-final', 'locked');
    /** Mines until the median time of the tip is exactly this. */
    const reach = async (time: number): Promise<number> => {
      await node.rpc('setmocktime', time);
      // The median of eleven blocks: K19.
      await node.mine(6);
      return (await chain.tip()).medianTime;
    };
    t.equal(await reach(lock), lock);
    t.equal(await faultOf(chain.broadcast(redeem)), 'not-final', 'the median time is the lock');
    t.equal(await reach(lock + 1), lock + 1);
    await chain.broadcast(redeem);
    await world.mine();
    await node.rpc('setmocktime', 0);
    return undefined;
  });

  await t.test(
    'K11 after a reorganisation a transaction is in the mempool, or has a conflict without a name',
    async (t) => {
      const from = await coin();
      const { height } = await chain.tip();
      const ours = spend(from);
      await world.send(ours);
      await world.mine(2);
      await world.reorganize(2);
      t.same(await chain.transactionState(ours, height), { state: 'mempool' });
      await world.reorganize(1, [spend(from, 3_000)]);
      const { txid, vout } = from;
      const conflict = { state: 'conflict', outpoint: { txid, vout } };
      t.match(await chain.transactionState(ours, height), conflict);
      await world.mine(2);
      t.match(await chain.transactionState(ours, height), conflict);
    },
  );

  await t.test('K12 a failing entry of a batch fails alone', async (t) => {
    const missing = Array.from({ length: 250 }, (_, vout) => ({ txid: 'ab'.repeat(32), vout }));
    t.equal((await chain.coins(missing)).filter((answer) => answer === undefined).length, 250);
    const { height } = await chain.tip();
    const watch = new TestWatch([]);
    await scanAll(chain, watch, { from: height + 10 });
    t.match(watch.last(), { kind: 'reached', block: { height } }, 'a start above the tip');
  });

  await t.test('K14 the password is the only guard, and a wrong one is refused late', async (t) => {
    const settings = settingsOf(node, {
      cookieFile: undefined,
      user: 'mallory',
      password: 'secret',
    });
    const error: unknown = await openNode({ settings, clock: systemClock }).catch(
      (reason: unknown) => reason,
    );
    t.match(error, {
      fault: 'access',
      message:
        /^the bitcoin node at 127\.0\.0\.1:\d+ refuses access \(tried: rpc_user and rpc_password\): set rpc_cookie_file, or rpc_user and rpc_password, in \[BLOCKCHAIN\]$/,
    });
    t.notMatch(String(error), /mallory|secret/);
  });

  await t.test(
    'K18 a child cannot pay for a parent below the minimum that is not relayed',
    async (t) => {
      const from = await coin();
      const parent = spend(from, 1);
      const child = spend(parsedOutput(parent), 20_000);
      t.equal(await faultOf(chain.broadcast(parent)), 'fee');
      t.equal(await faultOf(chain.broadcast(child)), 'missing-coins', 'alone it has no parent');
      t.same(await chain.transactionState(parent, 0), { state: 'unknown' });
    },
  );

  await t.test(
    'K20 a replaced payment is known by its coin, before and after the confirmation',
    async (t) => {
      const from = await coin();
      const { height } = await chain.tip();
      const watch = new TestWatch([testScript(9_000)]);
      const first = signedTransaction([from], [{ script: testScript(9_000), value: 99_000 }]);
      const second = signedTransaction([from], [{ script: fresh(), value: 90_000 }]);
      await world.send(first);
      await world.send(second);
      const { txid, vout } = from;
      t.same(await chain.transactionState(first, height), {
        state: 'conflict',
        outpoint: { txid, vout },
        height: undefined,
      });
      t.same(await chain.coins([{ txid: txidOf(first), vout: 0 }]), [undefined]);
      const mined = await world.mine();
      t.match(await chain.transactionState(first, height), {
        state: 'conflict',
        height: mined.height,
      });
      await scanAll(chain, watch, { from: height });
      t.same(watch.found(), [], 'a scan never shows it');
    },
  );

  await t.test(
    'K19 the median time jumps with the sixth block, and the node needs its mock time again',
    async (t) => {
      const before = await chain.tip();
      const year = before.medianTime + 31_536_000;
      await node.rpc('setmocktime', year);
      await node.mine(5);
      t.ok((await chain.tip()).medianTime < year - 1_000_000, 'five blocks are not enough');
      await node.mine(1);
      t.equal((await chain.tip()).medianTime, year);
      await node.stop();
      node.launch();
      await t.rejects(node.ready(), { message: /appears to be from the future/ });
      await node.start([`-mocktime=${year}`]);
      t.equal((await chain.tip()).medianTime, year);
    },
  );
});

realNodeTest(t, 'a scan finds every block, also while other programs start scans', async (t) => {
  const node = await startBitcoinNode(t);
  const paid = Array.from({ length: 20 }, (_, n) => testScript(700 + n));
  for (const script of paid) await node.mine(5, script);
  // Further scripts make a scan slow enough to be disturbed.
  const unpaid = Array.from({ length: 6_000 }, (_, n) => `0014${n.toString(16).padStart(40, '0')}`);
  const chains = await Promise.all([openTestNode(t, node), openTestNode(t, node)]);

  const over = new AbortController();
  let refused = 0;
  /** Fewer than the repetitions of a scan. */
  const mostRefused = 10;
  /** Another program, which tries without asking whether a scan runs. */
  const disturb = async (): Promise<void> => {
    while (!over.signal.aborted && refused < mostRefused) {
      const start = node.rpc('scanblocks', 'start', [`raw(${unpaid[0]})`], 100);
      refused += await start.then(
        () => 0,
        () => 1,
      );
      await new Promise((resolve) => setTimeout(resolve, 150));
    }
  };
  const disturbing = disturb();
  const watches = chains.map(() => new TestWatch([...unpaid, ...paid]));
  await Promise.all(
    chains.map(async (view, n) => {
      const watch = watches[n];
      if (watch !== undefined) await scanAll(view, watch);
    }),
  );
  over.abort();
  await disturbing;
  t.same(
    watches.map((watch) => watch.found().length),
    [100, 100],
    'both scans found all blocks',
  );
  t.comment(`${refused} starts of the other program were refused`);
});
