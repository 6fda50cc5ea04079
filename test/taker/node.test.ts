/** Coinjoins of wallets on a real node: a taker and three makers, to the satoshi. */
import { bytesToHex } from '@noble/hashes/utils.js';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import t from 'tap';
import { addressOf } from '../../src/bitcoin/address.js';
import { silentLog } from '../../src/channel/log.js';
import { WalletMaker } from '../../src/maker/wallet-maker.js';
import { systemClock } from '../../src/overlay/system-clock.js';
import type { Offer } from '../../src/protocol/offer.js';
import type { CoinjoinRequest } from '../../src/taker/api.js';
import { TakerCommitmentsFile } from '../../src/taker/commitments-file.js';
import { TakerCommitments } from '../../src/taker/commitments.js';
import { planCoinjoin } from '../../src/taker/plan.js';
import { runTakerCoinjoin, type RunOptions } from '../../src/taker/run.js';
import { Wallet } from '../../src/wallet/wallet.js';
import { realNodeTest } from '../helpers/bitcoin-program.js';
import { startBitcoinNode } from '../helpers/bitcoin-node.js';
import { createMemoryCommitments } from '../helpers/coinjoin-world.js';
import { openMakerSessions } from '../helpers/maker-sessions.js';
import { createMessageExchange } from '../helpers/message-exchange.js';
import { nodeWorld } from '../helpers/node-chain.js';
import { OFFER, POLICY, REQUEST } from '../helpers/taker-world.js';
import { MemoryStore, testSecret, walletOptions } from '../helpers/wallet-world.js';

const NOW = 1_700_000_000;
const P2TR = `5120${'44'.repeat(32)}`;
/** Relative fees that do not divide the amounts. */
const SHARES = ['0.000013', '0.0000005', '0.00125'];
const MAKER_COIN = 3_000_000;
const sat = (value: number): number => Math.round(value * 1e8);
const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

interface Decoded {
  readonly version: number;
  readonly locktime: number;
  readonly vsize: number;
  readonly vin: readonly { readonly sequence: number }[];
  readonly vout: readonly {
    readonly value: number;
    readonly scriptPubKey: { readonly hex: string };
  }[];
}

realNodeTest(t, 'coinjoins of a taker on a node', async (t) => {
  const node = await startBitcoinNode(t);
  const world = await nodeWorld(t, node);
  const { chain } = world;
  const open = async (byte: string): Promise<Wallet> => {
    const store = new MemoryStore(await testSecret({ entropy: byte.repeat(32) }));
    return Wallet.open(walletOptions(store, chain, () => NOW));
  };
  const [taker, ...makers] = await Promise.all(['11', '22', '33', '44'].map(open));
  if (taker === undefined) throw new Error('a taker');
  const all = [taker, ...makers];
  const read = async (): Promise<void> => {
    // oxlint-disable-next-line no-await-in-loop -- they share one node
    for (const wallet of all) await wallet.sync({ signal: new AbortController().signal });
  };
  const deposit = async (wallet: Wallet, value: number): Promise<void> => {
    const { script } = await wallet.handOut({ mixdepth: 0, purpose: 'deposit' });
    await world.pay([{ script, value }]);
  };
  await read();
  for (const value of [1_500_000, 900_001]) {
    // oxlint-disable-next-line no-await-in-loop -- the source has one coin after the other
    await deposit(taker, value);
  }
  // oxlint-disable-next-line no-await-in-loop
  for (const maker of makers) await deposit(maker, MAKER_COIN);
  await world.mine(6);
  await read();

  const office = createMessageExchange();
  const offers = SHARES.map((cjfee): Offer => ({ ...OFFER, cjfee, txfee: 0 }));
  const running = makers.map((wallet, n) => {
    const maker = new WalletMaker({ wallet, chain, log: silentLog, unixTime: () => NOW });
    const { sessions } = openMakerSessions({
      office,
      nick: `J5maker${n}`,
      wallet: maker,
      chain,
      commitments: createMemoryCommitments(),
      offer: offers[n] ?? OFFER,
      clock: systemClock,
    });
    return { maker, sessions };
  });
  t.teardown(() => {
    for (const { sessions } of running) sessions.close();
  });
  const file = await TakerCommitmentsFile.open(join(t.testdir({}), 'commitments.json'));
  const options: RunOptions = {
    wallet: taker,
    chain,
    commitments: new TakerCommitments({ wallet: taker, chain, file }),
    policy: POLICY,
    candidates: offers.map((offer, n) => ({ nick: `J5maker${n}`, offer })),
    randomBytes,
    channel: office.open('J5taker'),
    clock: systemClock,
    log: silentLog,
  };
  const joined = async (request: Partial<CoinjoinRequest>) => {
    const plan = await planCoinjoin({ ...REQUEST, makers: 3, ...request }, options);
    t.equal(plan.obstacle, undefined);
    const work = runTakerCoinjoin(plan, options);
    const ended: unknown[] = [];
    void work.then(() => ended.push(true));
    while (ended.length === 0) {
      for (const mail of office.pending.splice(0)) office.deliver(mail);
      // oxlint-disable-next-line no-await-in-loop -- one turn after the other
      await nextTurn();
    }
    const outcome = await work;
    if (!outcome.ok) throw new Error(`${outcome.fault}: ${outcome.detail}`);
    const bytes = taker.signedTransactions().at(-1)?.bytes ?? new Uint8Array();
    const decoded = await node.rpc<Decoded>('decoderawtransaction', bytesToHex(bytes));
    const { height } = await chain.tip();
    t.equal(decoded.version, 2);
    t.ok(decoded.locktime <= height && decoded.locktime >= height - 99, `${decoded.locktime}`);
    t.ok(decoded.vin.every(({ sequence }) => sequence === 0xffff_fffe));
    t.equal(outcome.feeRate, Math.floor((outcome.minerFee * 1000) / decoded.vsize));
    await world.mine(6);
    await read();
    return { plan, outcome, decoded };
  };
  const totals = (): readonly number[] => all.map((wallet) => wallet.summary().total);

  const before = totals();
  t.strictSame(before, [2_400_001, MAKER_COIN, MAKER_COIN, MAKER_COIN]);
  const first = await joined({});
  const equal = first.decoded.vout.filter(({ value }) => sat(value) === 1_000_000);
  t.equal(equal.length, 4);
  const fees = [13, 0, 1_250];
  t.strictSame(
    first.outcome.makers.map(({ fee }) => fee),
    fees,
  );
  t.strictSame(totals(), [
    2_400_001 - 1_263 - first.outcome.minerFee,
    ...fees.map((fee) => MAKER_COIN + fee),
  ]);
  t.match(taker.history().at(-1), { mixdepthTo: 1, coinjoinFee: -1_263, kind: 'coinjoin-taker' });

  const swept = taker
    .coins()
    .filter(({ mixdepth }) => mixdepth === 0)
    .reduce((sum, { value }) => sum + value, 0);
  const rest = totals();
  const second = await joined({
    amount: 'sweep',
    destination: { kind: 'address', address: addressOf(P2TR, 'regtest') ?? '', script: P2TR },
    broadcast: 'not-self',
  });
  const { amount, makerFees, minerFee, broadcastBy } = second.outcome;
  t.match(broadcastBy, /^J5maker/);
  t.match(second.plan.warnings, [/of type p2tr/]);
  t.equal(amount + makerFees + minerFee, swept, 'not a satoshi is missing');
  const theirs = second.decoded.vout.filter(({ scriptPubKey }) => scriptPubKey.hex === P2TR);
  t.strictSame(
    theirs.map(({ value }) => sat(value)),
    [amount],
  );
  t.equal(second.decoded.vout.length, 7, 'no change of ours');
  t.strictSame(totals(), [
    (rest[0] ?? 0) - swept,
    ...second.outcome.makers.map(({ fee }, n) => (rest[n + 1] ?? 0) + fee),
  ]);
  t.equal(taker.coins().filter(({ mixdepth }) => mixdepth === 0).length, 0);
});
