/**
 * A running maker with a wallet, over loopback sockets, with the chain in memory: its offers, a whole coinjoin
 * with the taker of the negotiation, and its next appearance. The test moves the time.
 */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { OnionMessageChannel } from '../../src/channel/message-channel.js';
import { silentLog } from '../../src/channel/log.js';
import { MemoryChain } from '../../src/chain/memory.js';
import { largestFillable, type OfferTerms } from '../../src/maker/offers.js';
import { WalletMaker } from '../../src/maker/wallet-maker.js';
import { runCoinjoin } from '../../src/negotiation/taker/coinjoin.js';
import type { RoundResult } from '../../src/negotiation/taker/api.js';
import { createNickKey } from '../../src/protocol/nick.js';
import { formatOffer, type Offer } from '../../src/protocol/offer.js';
import { startWalletMaker, type WalletMakerRole } from '../../src/roles/wallet-maker.js';
import { YieldStatement } from '../../src/roles/yield-statement-file.js';
import { createMemoryCommitments } from '../helpers/coinjoin-world.js';
import { serveDirectory } from '../helpers/directory-service.js';
import { paidTaker } from '../helpers/paid-taker.js';
import { anyPort, openTestChannel, type TestChannel } from '../helpers/test-channel.js';
import { createTestClock, type TestClock } from '../helpers/test-clock.js';
import { createWalletWorld, type WalletWorld } from '../helpers/wallet-world.js';
import { openMessageChannel } from '../../src/channel/message-channel.js';

const TERMS: OfferTerms = {
  ordertype: 'reloffer',
  family: 'sw0',
  cjfeeAbsolute: 500,
  cjfeeRelative: 0.001,
  cjfeeFactor: 0,
  txfee: 0,
  txfeeFactor: 0,
  minsize: 100_000,
  sizeFactor: 0,
};
const FEE = { type: 'sw0reloffer', txfee: 0, cjfee: '0.001000' } as const;

interface World {
  readonly role: WalletMakerRole;
  readonly world: WalletWorld;
  readonly clock: TestClock;
  /** A peer that reads what makers announce. */
  readonly watcher: TestChannel;
  /** Path of the statement. */
  readonly statement: string;
  /** The channels of the maker, in their order. */
  readonly channels: readonly OnionMessageChannel[];
  /** Mines a block, and resolves when the maker has read it. */
  mine(): Promise<void>;
  /** Resolves when the maker changes to a state with this property. */
  until(is: () => boolean): Promise<void>;
}

interface WorldOptions {
  readonly funds: readonly number[];
  readonly terms?: Partial<OfferTerms>;
  /** The random numbers; default 0.5 each. */
  readonly random?: () => number;
}

/** Pays fresh addresses of mixdepth 0, in one block. */
async function fund(world: WalletWorld, values: readonly number[]): Promise<void> {
  const { wallet, chain } = world;
  for (const value of values) {
    // oxlint-disable-next-line no-await-in-loop -- one address after the other
    const { script } = await wallet.handOut({ mixdepth: 0, purpose: 'deposit' });
    chain.pay(script, value);
  }
  chain.mine();
  await world.sync();
}

async function createWorld(t: Test, options: WorldOptions): Promise<World> {
  const { funds, random = () => 0.5 } = options;
  const clock = createTestClock();
  const directory = await serveDirectory(t, anyPort(), clock, 'J5directoryOOOOO');
  const world = await createWalletWorld(
    { network: 'signet' },
    new MemoryChain({ network: 'signet' }),
  );
  const { wallet, chain } = world;
  await fund(world, funds);
  const watcher = openTestChannel([directory.location], { clock });
  t.teardown(() => watcher.close());
  await watcher.next('welcome');
  const statement = join(t.testdir({}), 'yigen-statement.csv');
  const file = await YieldStatement.open(statement, silentLog);
  const channels: OnionMessageChannel[] = [];
  const unixTime = (): number => world.now;
  const role = await startWalletMaker({
    wallet,
    chain,
    maker: new WalletMaker({ wallet, chain, log: silentLog, unixTime }),
    terms: { ...TERMS, ...options.terms },
    openChannel() {
      const channel = openMessageChannel({
        network: 'signet',
        directories: [directory.location],
        overlay: anyPort(),
        nickKey: createNickKey(randomBytes),
        serve: true,
        clock,
        random: () => 0,
        log: silentLog,
      });
      channels.push(channel);
      return channel;
    },
    blacklist: { store: createMemoryCommitments() },
    statement: file,
    clock,
    random,
    log: silentLog,
    unixTime,
  });
  t.teardown(async () => {
    await role.stop();
    await file.close();
  });
  const until = (is: () => boolean): Promise<void> =>
    new Promise((resolve) => {
      if (is()) return resolve();
      const stop = role.onChange(() => {
        if (!is()) return;
        stop();
        resolve();
      });
    });
  return {
    role,
    world,
    clock,
    watcher,
    statement,
    channels,
    until,
    async mine() {
      const { height } = chain.mine();
      await until(() => wallet.height >= height);
    },
  };
}

/** The next public message of a maker. */
async function announced(watcher: TestChannel): Promise<readonly [string, string]> {
  const { from, text } = await watcher.next('pubmsg');
  return [from, text];
}

async function coinjoin(
  { watcher, world, clock }: World,
  offer: Offer,
  nick: string,
  amount: number,
): Promise<RoundResult> {
  const wallet = paidTaker(world.chain, 'taker', [amount + 50_000]);
  return runCoinjoin({
    channel: watcher,
    network: 'signet',
    wallet,
    chain: world.chain,
    commitments: createMemoryCommitments(),
    amount,
    makers: 1,
    candidates: [{ nick, offer }],
    policy: { minimumMakers: 1, maxCjFeeAbs: 1_000_000, broadcast: 'self' },
    feePerKb: 2_000,
    clock,
    randomBytes,
    log: silentLog,
  });
}

const nickOf = ({ role }: World): string => role.status().nick ?? '';

t.test('a maker offers what its wallet can give, and completes a coinjoin', async (t) => {
  const it = await createWorld(t, { funds: [40_000_000, 7_000_000] });
  const maxsize = largestFillable(FEE, 40_000_000);
  t.same(it.role.status().offers, [
    { type: 'sw0reloffer', oid: 0, minsize: 100_000, maxsize, txfee: 0, cjfee: '0.001000' },
  ]);
  const nick = nickOf(it);
  const [offer] = it.role.status().offers;
  if (offer === undefined) throw new Error('no offer');
  t.same(await announced(it.watcher), [nick, formatOffer(offer)]);

  const result = await coinjoin(it, offer, nick, 10_000_000);
  if (!result.ok) throw new Error(`${result.fault}: ${result.detail}`);
  await it.mine();
  await it.until(() => it.role.status().coinjoins[0]?.state === 'confirmed');
  t.match(it.role.status().coinjoins, [
    {
      state: 'confirmed',
      txid: result.txid,
      amount: 10_000_000,
      inputs: 1,
      inputValue: 40_000_000,
      fee: 10_000,
      earned: 10_000,
    },
  ]);
  t.same(it.world.wallet.summary().total, 47_010_000, 'it earned its fee');
  t.equal(it.world.wallet.summary().mixdepths[1]?.balance, 10_000_000, 'in the next mixdepth');
});
