/** Which mixdepth and which coins a maker spends: tables, and properties over any coins. */
import * as fc from 'fast-check';
import t from 'tap';
import { coinAvailability } from '../../src/maker/coin-availability.js';
import { chooseCoins, mostFrom, type ChoiceTerms } from '../../src/maker/coin-choice.js';
import { capacityOf, largestThatReach, poolsOf } from '../../src/maker/coin-pools.js';
import { chooseMixdepth } from '../../src/maker/mixdepth-choice.js';
import { formatOutpoint } from '../../src/protocol/outpoint.js';
import type { WalletCoin } from '../../src/wallet/api.js';
import type { SignedTransaction } from '../../src/wallet/requests.js';
import { paperBond, paperCoin } from '../helpers/wallet-coins.js';

t.test('the first available mixdepth after the longest run of others', (t) => {
  const cases: readonly (readonly [readonly number[], number, number | undefined])[] = [
    [[], 5, undefined],
    [[3], 5, 3],
    [[0, 1, 2, 3, 4], 5, 0],
    [[1, 2], 5, 1],
    // The run goes around: 3, 4, 0 are unavailable before 1, and nothing before 2.
    [[0, 4], 5, 4],
    [[0, 1, 4], 5, 4],
    [[0, 2], 5, 0],
    [[0, 3], 5, 3],
    // Two runs of one: the lowest mixdepth.
    [[0, 2], 4, 0],
    [[1, 3], 4, 1],
    [[0], 1, 0],
  ];
  for (const [available, count, expected] of cases) {
    t.equal(chooseMixdepth(new Set(available), count), expected, `${available.join()} of ${count}`);
  }
  t.end();
});

/** Unavailable mixdepths before one, in the circle. */
function run(available: ReadonlySet<number>, at: number, count: number): number {
  let length = 0;
  while (length < count - 1 && !available.has((at - 1 - length + 2 * count) % count)) length += 1;
  return length;
}

t.test('no mixdepth in the run before the chosen one is available, and no run is longer', (t) => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 12 }), fc.infiniteStream(fc.boolean()), (count, bits) => {
      const available = new Set(
        Array.from({ length: count }, (_, n) => n).filter(() => bits.next().value === true),
      );
      const chosen = chooseMixdepth(available, count);
      if (chosen === undefined) return available.size === 0;
      const runs = [...available].map((at) => run(available, at, count));
      return available.has(chosen) && run(available, chosen, count) === Math.max(...runs);
    }),
  );
  t.pass('any');
  t.end();
});

const shape = (coins: readonly WalletCoin[]): readonly (readonly [number, string])[] =>
  poolsOf(coins, ({ hold }) => hold === undefined).map(({ mixdepth, groups }) => [
    mixdepth,
    groups
      .map((group) => group.coins.map(({ value }) => value).join('+'))
      .toSorted()
      .join(' '),
  ]);

t.test('which coins are spent together', (t) => {
  const script = `0014${'ab'.repeat(20)}`;
  const lone = { mergeable: false };
  t.strictSame(shape([paperCoin(1), paperCoin(2)]), [[0, '1 2']], 'proven coinjoin outputs');
  t.strictSame(
    shape([paperCoin(1, lone), paperCoin(2, lone), paperCoin(3), paperCoin(4)]),
    [
      [0, '3 4'],
      [0, '1'],
      [0, '2'],
    ],
    'a deposit in mixdepth 0 stays alone',
  );
  t.strictSame(
    shape([paperCoin(1, { ...lone, mixdepth: 1 }), paperCoin(2, { mixdepth: 1 })]),
    [[1, '1 2']],
    'in any other mixdepth all are merged',
  );
  t.strictSame(
    shape([paperCoin(1, { ...lone, script }), paperCoin(2, { ...lone, script })]),
    [[0, '1+2']],
    'coins of one address',
  );
  t.strictSame(
    shape([
      paperBond(9),
      paperCoin(1, { hold: 'frozen', frozen: 'user' }),
      paperCoin(2, { hold: 'unconfirmed' }),
      paperCoin(3, { hold: 'immature' }),
      paperCoin(4, { hold: 'leased' }),
      paperCoin(5, { hold: 'signed' }),
    ]),
    [],
    'bonds and held coins never',
  );
  t.end();
});

function termsOf(coins: readonly WalletCoin[], over: Partial<ChoiceTerms> = {}): ChoiceTerms {
  return {
    coins,
    isFree: ({ hold }) => hold === undefined,
    isShown: () => false,
    isOverdue: (coin, { coins: those }) =>
      coin.hold === 'signed' && those.has(formatOutpoint(coin)),
    overdue: [],
    mixdepths: 5,
    rule: 'default',
    mostCoins: 40,
    ...over,
  };
}

const values = (coins: readonly WalletCoin[] | undefined): readonly number[] | undefined =>
  coins?.map(({ value }) => value);

t.test('which coins are chosen', (t) => {
  const coins = [10, 20, 50].map((value) => paperCoin(value, { mixdepth: 2 }));
  const chosen = (least: number, over: Partial<ChoiceTerms> = {}, all = coins) =>
    values(chooseCoins(termsOf(all, over), least)?.coins);
  t.strictSame(chosen(15), [20], 'the smallest one that suffices');
  t.strictSame(chosen(60), [50, 20], 'the largest ones first');
  t.strictSame(chosen(80), [50, 20, 10]);
  t.equal(chosen(81), undefined);
  t.strictSame(chosen(25, { rule: 'greedy' }), [10, 20], 'another rule');
  t.strictSame(chosen(25, { rule: 'greedy', mostCoins: 1 }), [50], 'with too many coins by it');
  t.equal(chosen(60, { mostCoins: 1 }), undefined);

  const shown = coins[2];
  t.strictSame(
    chosen(15, { isShown: (coin) => coin === shown }),
    [50],
    'coins that were shown, before those that were not',
  );
  t.strictSame(chosen(60, { isShown: (coin) => coin === shown }), [50, 20], 'they do not suffice');
  const far = paperCoin(1_000, { mixdepth: 4 });
  t.strictSame(chosen(15, {}, [...coins, far]), [20], 'of 2 and 4, the first after a run of two');
  t.strictSame(chosen(15, { isShown: (coin) => coin === far }, [...coins, far]), [1_000]);
  t.end();
});

t.test('coins of a signed transaction that was never seen', (t) => {
  const free = [paperCoin(10, { mixdepth: 1 }), paperCoin(20, { mixdepth: 3 })];
  const old = [
    paperCoin(40, { mixdepth: 1, hold: 'signed' }),
    paperCoin(70, { mixdepth: 1, hold: 'signed' }),
  ];
  const later = paperCoin(500, { mixdepth: 3, hold: 'signed' });
  const overdue = [
    { unsignedTxid: 'aa', coins: new Set(old.map(formatOutpoint)) },
    { unsignedTxid: 'bb', coins: new Set([formatOutpoint(later)]) },
  ];
  const terms = termsOf([...free, ...old, later], { overdue });
  const choose = (least: number) => {
    const choice = chooseCoins(terms, least);
    return [values(choice?.coins), choice?.replaces];
  };
  t.strictSame(choose(20), [[20], undefined], 'not where free coins suffice');
  t.strictSame(choose(30), [[40], 'aa']);
  t.strictSame(choose(120), [[70, 40, 10], 'aa'], 'with free ones of the same mixdepth');
  t.strictSame(choose(121), [[500], 'bb'], 'never coins of two of them');
  t.strictSame(choose(521), [undefined, undefined]);
  t.strictSame(
    [0, 1, 2, 3, 4].map((mixdepth) => mostFrom(terms, mixdepth)),
    [0, 120, 0, 520, 0],
  );
  t.end();
});

/** A coinjoin of a maker that may confirm. */
const signedWith = (coin: WalletCoin, seen: boolean): SignedTransaction => ({
  unsignedTxid: coin.txid,
  txid: undefined,
  kind: 'coinjoin-maker',
  state: 'pending',
  seen,
  signedAt: 0,
  height: 1,
  coins: [coin],
  transaction: new Uint8Array(),
  bytes: undefined,
  replaces: undefined,
  label: undefined,
});

t.test('an address with a coin of a session is shown to no other taker', (t) => {
  const script = `0014${'ab'.repeat(20)}`;
  const signed = paperCoin(40, { mixdepth: 1, hold: 'signed', script });
  const later = paperCoin(50, { mixdepth: 1, hold: 'signed', script });
  const leased = paperCoin(60, { mixdepth: 1, hold: 'leased', script });
  const free = paperCoin(5, { mixdepth: 1, script });
  const availabilityOf = (coins: readonly WalletCoin[], isSeen = false) =>
    coinAvailability({
      wallet: {
        coins: () => coins,
        leases: () =>
          coins.includes(leased)
            ? [{ id: 'x', owner: 'maker', coins: [leased], until: 99_999 }]
            : [],
        lastLease: () => undefined,
        signedTransactions: () => [
          signedWith(signed, false),
          ...(coins.includes(later) ? [signedWith(later, isSeen)] : []),
        ],
      },
      now: 10_000,
      withLeased: false,
      overdueSeconds: 3_600,
      isTaken: () => false,
    });
  const isOverdue = (coins: readonly WalletCoin[], isSeen = false): boolean | undefined => {
    const terms = availabilityOf(coins, isSeen);
    const overdue = terms.overdue.find(({ unsignedTxid }) => unsignedTxid === signed.txid);
    return overdue && terms.isOverdue(signed, overdue);
  };
  t.equal(isOverdue([signed]), true);
  t.equal(isOverdue([signed, free]), true);
  t.equal(isOverdue([signed, leased]), false, 'a session has another coin of it');
  t.equal(isOverdue([signed, later]), false, 'another overdue transaction has one');
  t.equal(isOverdue([signed, later], true), false, 'a transaction of the mempool has one');
  t.end();
});

const anyCoin = fc
  .record({
    value: fc.integer({ min: 1, max: 1_000 }),
    mixdepth: fc.integer({ min: 0, max: 4 }),
    mergeable: fc.boolean(),
    address: fc.integer({ min: 0, max: 8 }),
    hold: fc.constantFrom(undefined, undefined, undefined, 'leased', 'signed', 'frozen'),
  })
  .map(({ value, address, ...over }) =>
    paperCoin(value, {
      ...over,
      script: `0014${(over.mixdepth * 16 + address).toString(16).padStart(40, '0')}`,
    }),
  );

t.test('any coins: exactly what the largest amount promises is found', (t) => {
  fc.assert(
    fc.property(
      fc.array(anyCoin, { maxLength: 20 }),
      fc.integer({ min: 1, max: 8 }),
      fc.constantFrom('default', 'gradual', 'greedy', 'greediest'),
      fc.integer({ min: 1, max: 6_000 }),
      (coins, mostCoins, rule, least) => {
        const signed = coins.filter(({ hold }) => hold === 'signed');
        const overdue = signed.map((coin) => ({
          unsignedTxid: formatOutpoint(coin),
          coins: new Set([formatOutpoint(coin)]),
        }));
        const terms = termsOf(coins, { mostCoins, rule, overdue });
        const most = Math.max(...[0, 1, 2, 3, 4].map((mixdepth) => mostFrom(terms, mixdepth)));
        const choice = chooseCoins(terms, least);
        if (choice === undefined) return most < least;
        const { coins: chosen, replaces, mixdepth } = choice;
        const isUsable = chosen.every(
          (coin) =>
            coin.mixdepth === mixdepth &&
            (coin.hold === undefined ||
              (coin.hold === 'signed' && replaces === formatOutpoint(coin))),
        );
        const isMerged =
          mixdepth > 0 ||
          chosen.every(({ mergeable }) => mergeable) ||
          new Set(chosen.map(({ script }) => script)).size === 1;
        const conflicts =
          replaces === undefined || chosen.some((coin) => formatOutpoint(coin) === replaces);
        const sum = chosen.reduce((total, { value }) => total + value, 0);
        return (
          least <= most &&
          sum >= least &&
          chosen.length <= mostCoins &&
          new Set(chosen).size === chosen.length &&
          isUsable &&
          isMerged &&
          conflicts
        );
      },
    ),
    { numRuns: 2_000 },
  );
  t.pass('any');
  t.end();
});

t.test('any pool: the largest groups reach every sum up to its capacity, and none above', (t) => {
  fc.assert(
    fc.property(
      fc.array(anyCoin, { maxLength: 15 }),
      fc.integer({ min: 1, max: 10 }),
      fc.integer({ min: 1, max: 5_000 }),
      (coins, mostCoins, least) =>
        poolsOf(coins, () => true).every((pool) => {
          const found = largestThatReach(pool, least, mostCoins);
          return (found !== undefined) === capacityOf(pool, mostCoins) >= least;
        }),
    ),
  );
  t.pass('any');
  t.end();
});
