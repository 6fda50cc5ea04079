/** A maker with a wallet on a real node: what it asks of takers, whole rounds, lost blocks, conflicts. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { silentLog } from '../../src/channel/log.js';
import type { NodeChain } from '../../src/chain/node/node-chain.js';
import { WalletMaker } from '../../src/maker/wallet-maker.js';
import { openCommitmentFile } from '../../src/ops/commitment-file.js';
import { CoinjoinFollower } from '../../src/wallet/coinjoins/follower.js';
import { Wallet } from '../../src/wallet/wallet.js';
import { startBitcoinNode, type BitcoinNode } from '../helpers/bitcoin-node.js';
import { realNodeTest } from '../helpers/bitcoin-program.js';
import { CoinSource } from '../helpers/coin-source.js';
import { DirectTaker, type ScriptCoin } from '../helpers/direct-taker.js';
import { openMakerSessions } from '../helpers/maker-sessions.js';
import { EARNED, OFFER } from '../helpers/maker-wallet-world.js';
import { createMessageExchange, type MessageExchange } from '../helpers/message-exchange.js';
import { openTestNode } from '../helpers/node-chain.js';
import { createTestClock, type TestClock } from '../helpers/test-clock.js';
import { MemoryStore, testSecret, walletOptions } from '../helpers/wallet-world.js';

const AMOUNT = 100_000;
const DEPOSITS = [300_000, 250_000] as const;
const MAKER = 'J5maker';

interface Visitor {
  readonly taker: DirectTaker;
  readonly coin: ScriptCoin;
}

/** What a taker has after the maker signed. */
interface Whole {
  readonly bytes: Uint8Array;
  readonly txid: string;
}

class NodeMarket {
  readonly node: BitcoinNode;
  readonly source: CoinSource;
  readonly chain: NodeChain;
  readonly wallet: Wallet;
  readonly maker: WalletMaker;
  readonly office: MessageExchange;
  readonly #follower: CoinjoinFollower;
  readonly #time: { now: number };
  readonly #clock: TestClock;
  #visitors = 0;

  private constructor(
    parts: Pick<NodeMarket, 'node' | 'source' | 'chain' | 'wallet' | 'maker' | 'office'>,
    time: { now: number },
    clock: TestClock,
  ) {
    this.node = parts.node;
    this.source = parts.source;
    this.chain = parts.chain;
    this.wallet = parts.wallet;
    this.maker = parts.maker;
    this.office = parts.office;
    this.#follower = new CoinjoinFollower(parts.wallet, parts.chain);
    this.#time = time;
    this.#clock = clock;
  }

  static async open(t: Test, commitmentFile: string): Promise<NodeMarket> {
    const node = await startBitcoinNode(t);
    const chain = await openTestNode(t, node);
    const source = new CoinSource(node);
    await source.fill(20);
    const time = { now: 1_700_000_000 };
    const clock = createTestClock();
    const store = new MemoryStore(await testSecret());
    const wallet = await Wallet.open(walletOptions(store, chain, () => time.now));
    const maker = new WalletMaker({ wallet, chain, log: silentLog, unixTime: () => time.now });
    const commitments = await openCommitmentFile(commitmentFile);
    t.teardown(() => commitments.close());
    const office = createMessageExchange();
    openMakerSessions({
      office,
      nick: MAKER,
      wallet: maker,
      chain,
      commitments,
      offer: OFFER,
      clock,
    });
    const world = new NodeMarket({ node, source, chain, wallet, maker, office }, time, clock);
    await world.read();
    for (const value of DEPOSITS) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      const { script } = await wallet.handOut({ mixdepth: 1, purpose: 'deposit' });
      // oxlint-disable-next-line no-await-in-loop
      await source.pay([{ script, value }]);
    }
    await world.mine();
    return world;
  }

  get total(): number {
    return this.wallet.summary().total;
  }

  get states(): readonly string[] {
    return this.maker.coinjoins().map(({ state }) => state);
  }

  async read(): Promise<void> {
    await this.wallet.sync({ signal: new AbortController().signal });
    await this.#follower.look();
  }

  async mine(blocks = 1): Promise<void> {
    await this.node.mine(blocks);
    await this.read();
  }

  /** For the wallet, and for the sessions. */
  pass(seconds: number): void {
    this.#time.now += seconds;
    this.#clock.advance(seconds * 1_000);
  }

  /** A taker with a coin. */
  async visitor({ value = 1_000_000, blocks = 5 } = {}): Promise<Visitor> {
    this.#visitors += 1;
    const taker = new DirectTaker({
      office: this.office,
      maker: MAKER,
      nick: `J5t${this.#visitors}`,
    });
    const { script } = taker;
    const [coin] = await this.source.pay([{ script, value }]);
    if (coin === undefined) throw new Error('a payment has an output');
    if (blocks > 0) await this.mine(blocks);
    return { taker, coin };
  }

  /** A round up to the maker's signatures. */
  async sign({ taker, coin }: Visitor): Promise<Whole> {
    const named = await taker.approach(AMOUNT, coin);
    if (!named.ok) throw new Error(named.refusal);
    const makerCoins = named.io.coins.map((it) => this.wallet.coin(it));
    const tx = taker.transaction(named, { amount: AMOUNT, offer: OFFER, coin, makerCoins });
    const whole = await taker.ask(named, tx, coin, makerCoins);
    if (typeof whole === 'string') throw new Error(whole);
    return whole;
  }

  /** The maker broadcasts. */
  async push({ taker }: Visitor, { bytes, txid }: Whole): Promise<void> {
    await taker.push(bytes);
    await this.chain.seen(txid, AbortSignal.timeout(20_000));
  }
}

async function chainChecks(t: Test, world: NodeMarket): Promise<void> {
  const refusal = async (terms: { value?: number; blocks?: number }, isSpent = false) => {
    const { taker, coin } = await world.visitor(terms);
    if (isSpent) await world.chain.broadcast(taker.spendElsewhere(coin));
    const named = await taker.approach(AMOUNT, coin);
    return named.ok ? 'named' : named.refusal;
  };
  t.match(await refusal({ blocks: 0 }), /needs 5 confirmations/, 'in the mempool only');
  t.match(await refusal({ blocks: 4 }), /needs 5 confirmations/);
  t.match(await refusal({ value: 19_999 }), /must hold 20000 sat/);
  t.match(await refusal({}, true), /does not exist or is spent/, 'spent in the mempool');
  t.strictSame(world.wallet.leases(), [], 'the wallet was not asked');
  await world.mine();
}

async function wholeRound(t: Test, world: NodeMarket, commitmentFile: string): Promise<void> {
  const before = world.total;
  const visitor = await world.visitor();
  const named = await visitor.taker.approach(AMOUNT, visitor.coin);
  t.ok(named.ok);
  const lines = (await readFile(commitmentFile, 'utf8')).trim().split('\n');
  t.equal(lines.length, 1, 'the commitment is on the disk when the coins are named');
  // This taker goes; its session ends by itself.
  world.pass(600);
  await world.maker.idle();
  t.strictSame(world.wallet.leases(), []);

  const other = await world.visitor();
  const whole = await world.sign(other);
  await world.push(other, whole);
  await world.read();
  t.match(world.maker.coinjoins(), [{ txid: whole.txid, state: 'pending' }], 'in the mempool');
  await world.mine();
  t.match(world.maker.coinjoins(), [{ txid: whole.txid, state: 'confirmed', earned: EARNED }]);
  t.equal(world.total, before + EARNED);

  await world.node.reorganize(1);
  await world.source.refresh();
  await world.read();
  t.strictSame(world.states, ['pending'], 'its block was lost');
  await world.mine();
  t.strictSame(world.states, ['confirmed']);
  t.equal(world.total, before + EARNED);
}

async function conflict(t: Test, world: NodeMarket): Promise<void> {
  const before = world.total;
  const visitor = await world.visitor();
  const whole = await world.sign(visitor);
  await world.chain.broadcast(whole.bytes);
  await world.read();
  t.equal(world.states.at(-1), 'pending');
  // The taker pays itself more, and a miner takes that.
  await world.node.mineExactly([
    Buffer.from(visitor.taker.spendElsewhere(visitor.coin)).toString('hex'),
  ]);
  await world.read();
  t.equal(world.states.at(-1), 'lost');
  t.equal(world.total, before, 'not a satoshi is gone');
  t.notOk(
    world.wallet.coins().some(({ hold }) => hold === 'signed'),
    'and none is held',
  );
}

async function neverPushed(t: Test, world: NodeMarket): Promise<void> {
  const before = world.total;
  // Everything is signed away by takers that never push.
  const takers = await twoVisitors(world);
  await Promise.all(takers.map((it) => world.sign(it)));
  const late = await world.visitor();
  t.match(await late.taker.approach(AMOUNT, late.coin), { ok: false, refusal: /out of range/ });
  world.pass(3_660);
  const next = await world.visitor();
  const whole = await world.sign(next);
  await world.push(next, whole);
  await world.mine();
  t.strictSame(
    world.states.slice(-3).toSorted(),
    ['confirmed', 'pending', 'replaced'],
    'the new one conflicts with one of the two',
  );
  t.equal(world.total, before + EARNED);
}

async function twoVisitors(world: NodeMarket): Promise<readonly Visitor[]> {
  const first = await world.visitor();
  return [first, await world.visitor()];
}

async function twoAtOnce(t: Test, world: NodeMarket): Promise<void> {
  const before = world.total;
  const takers = await twoVisitors(world);
  const wholes = await Promise.all(takers.map((it) => world.sign(it)));
  for (const { bytes } of wholes) {
    // oxlint-disable-next-line no-await-in-loop -- both are taken by the node
    await world.chain.broadcast(bytes);
  }
  await world.mine();
  t.strictSame(world.states.slice(-2), ['confirmed', 'confirmed']);
  t.equal(world.total, before + 2 * EARNED);
}

realNodeTest(t, 'a maker on a real node', async (t) => {
  const commitmentFile = join(t.testdir(), 'commitmentlist');
  const world = await NodeMarket.open(t, commitmentFile);
  await t.test('what takers must prove', (t) => chainChecks(t, world));
  await t.test('a round, and its block is lost', (t) => wholeRound(t, world, commitmentFile));
  await t.test('a conflict is mined instead', (t) => conflict(t, world));
  await t.test('two takers at one maker at once', (t) => twoAtOnce(t, world));
  await t.test('takers that never push', (t) => neverPushed(t, world));
});
