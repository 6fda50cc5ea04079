/** Values of bonds from a node that is not always there, and the coin of one's own bond. No program is started. */
import t from 'tap';
import { ChainError } from '../../src/chain/chain-error.js';
import type { BlockInfo, Chain, ChainCoin } from '../../src/chain/ports.js';
import type { Log } from '../../src/channel/log.js';
import { bondScriptPubKey } from '../../src/protocol/bond-script.js';
import { NodeBonds, openBondChain } from '../../src/roles/bond-chain.js';
import { OwnBondWatch } from '../../src/roles/own-bond-watch.js';
import { peekSettings } from '../../src/config/settings.js';
import { createTestClock } from '../helpers/test-clock.js';
import { ownBond } from '../orderbook/make-bond.js';

const BOND = ownBond(1);
const SCRIPT = bondScriptPubKey(BOND.lockTime, BOND.utxoPublicKeyHex);
const COIN: ChainCoin = { script: SCRIPT, value: 100_000_000, confirmations: 5, height: 90 };
const CONFIRMED_AT = 1_700_000_000;
const MEDIAN_TIME = 1_700_010_000;

const blockAt = (height: number): BlockInfo => ({
  height,
  hash: height.toString(16).padStart(64, '0'),
  time: CONFIRMED_AT,
  medianTime: MEDIAN_TIME,
});

/** A chain of which only what bonds need can be asked. */
class FakeChain {
  coin: ChainCoin | undefined = COIN;
  height = 94;
  closed = false;
  readonly #waiting: (() => void)[] = [];

  get chain(): Chain {
    const parts: Pick<Chain, 'tip' | 'nextTip' | 'blockAt' | 'coins' | 'close'> = {
      tip: () => Promise.resolve(blockAt(this.height)),
      nextTip: async (known, signal) => {
        while (known.height === this.height) {
          signal.throwIfAborted();
          // oxlint-disable-next-line no-await-in-loop -- one block after the other
          await new Promise<void>((resolve) => {
            this.#waiting.push(resolve);
            signal.addEventListener('abort', () => resolve(), { once: true });
          });
        }
        return blockAt(this.height);
      },
      blockAt: (height) => Promise.resolve(blockAt(height)),
      coins: () => Promise.resolve([this.coin]),
      close: () => {
        this.closed = true;
        return Promise.resolve();
      },
    };
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- nothing else is asked
    return parts as Chain;
  }

  mine(): void {
    this.height += 1;
    for (const wake of this.#waiting.splice(0)) wake();
  }
}

/** The lines of a log; `next` resolves with the next one. */
class Lines {
  readonly all: string[] = [];
  #wake: (() => void) | undefined;
  readonly log: Log = {
    debug() {},
    info: (text) => this.#add(`info ${text}`),
    warn: (text) => this.#add(`warn ${text}`),
    error: (text) => this.#add(`error ${text}`),
  };

  #add(line: string): void {
    this.all.push(line);
    this.#wake?.();
  }

  async until(count: number): Promise<void> {
    while (this.all.length < count) {
      // oxlint-disable-next-line no-await-in-loop
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }
}

t.test('a node that comes later', async (t) => {
  const clock = createTestClock();
  const lines = new Lines();
  const fake = new FakeChain();
  let attempts = 0;
  let down = true;
  const bonds = new NodeBonds({ clock, log: lines.log }, () => {
    attempts += 1;
    if (down) return Promise.reject(new ChainError('unreachable', 'nothing answers at x:1'));
    return Promise.resolve(fake.chain);
  });
  await t.rejects(bonds.tip(), /nothing answers/);
  await t.rejects(bonds.output('aa'.repeat(32), 0), /nothing answers/);
  t.equal(attempts, 1, 'calls between two attempts are refused at once');
  t.equal(lines.all.length, 1, 'one notice');
  t.match(lines.all, [
    /^warn bonds have no value until the bitcoin node answers: nothing answers at x:1\. .*no-blockchain/,
  ]);
  clock.advance(30_000);
  await t.rejects(bonds.tip(), /nothing answers/);
  t.equal(attempts, 2);
  t.equal(lines.all.length, 1, 'and no second one');
  down = false;
  clock.advance(30_000);
  t.match(await bonds.tip(), { height: 94, medianTime: MEDIAN_TIME });
  t.equal(attempts, 3);
  t.match(lines.all.slice(1), [/^info the bitcoin node answers/]);
  t.strictSame(await bonds.output('aa'.repeat(32), 0), {
    found: true,
    amount: 100_000_000,
    confirmedAt: CONFIRMED_AT,
    scriptHex: SCRIPT,
  });
  fake.coin = { ...COIN, confirmations: 0 };
  const { height: _, ...unconfirmed } = fake.coin;
  fake.coin = unconfirmed;
  t.strictSame(await bonds.output('aa'.repeat(32), 0), { found: false }, 'not confirmed yet');
  fake.coin = undefined;
  t.strictSame(await bonds.output('aa'.repeat(32), 0), { found: false }, 'spent');
  await bonds.close();
  t.ok(fake.closed);
  await t.rejects(bonds.tip());
  t.equal(lines.all.length, 2, 'the end is no fault of the node');
});

t.test('an opening that is interrupted', async (t) => {
  const lines = new Lines();
  const bonds = new NodeBonds(
    { clock: createTestClock(), log: lines.log },
    (signal) =>
      new Promise((_, reject) => {
        signal.addEventListener('abort', () => reject(new Error('aborted')), { once: true });
      }),
  );
  const asked = t.rejects(bonds.tip());
  await bonds.close();
  await asked;
  t.strictSame(lines.all, []);
});

t.test('without a node there is no view', async (t) => {
  const datadir = t.testdir({
    'joinmarket.cfg': '[BLOCKCHAIN]\nblockchain_source = no-blockchain\n',
  });
  const { settings } = await peekSettings({ datadir, role: 'taker' });
  const lines = new Lines();
  t.equal(openBondChain({ settings, clock: createTestClock(), log: lines.log }), undefined);
});

t.test('a directory never reads the keys of the node', async (t) => {
  const datadir = t.testdir({
    'joinmarket.cfg': `[BLOCKCHAIN]
blockchain_source = something-else
rpc_port = many
rpc_host = not a host
[MESSAGING:onion]
type = onion
`,
  });
  const { settings } = await peekSettings({ datadir, role: 'directory' });
  t.equal(settings.node, undefined);
  await t.rejects(peekSettings({ datadir, role: 'ob-watcher' }), /blockchain_source/);
});

t.test('the coin of a maker', async (t) => {
  const fake = new FakeChain();
  const lines = new Lines();
  const clock = createTestClock();
  const options = { chain: fake.chain, bond: BOND, policy: {}, clock, log: lines.log };
  fake.coin = undefined;
  t.strictSame(await OwnBondWatch.start(options), { state: 'unfunded', height: 94 });
  fake.coin = { ...COIN, script: `0020${'00'.repeat(32)}` };
  t.strictSame(await OwnBondWatch.start(options), { state: 'other-script', height: 94 });
  fake.coin = COIN;
  const watch = await OwnBondWatch.start(options);
  if (!(watch instanceof OwnBondWatch)) throw new Error('the bond is funded');
  t.match({ height: watch.height, funded: watch.funded }, { height: 94, funded: true });
  t.strictSame(lines.all, ['info the coin of the bond is locked and confirmed']);
  fake.coin = undefined;
  fake.mine();
  await lines.until(2);
  t.match(lines.all[1], /^warn offers are sent without the bond: its coin \w+:1 is not an unspent/);
  t.match({ height: watch.height, funded: watch.funded }, { height: 95, funded: false });
  fake.coin = COIN;
  fake.mine();
  await lines.until(3);
  t.match(lines.all[2], /is there again/);
  t.ok(watch.funded);
  await watch.stop();
});
