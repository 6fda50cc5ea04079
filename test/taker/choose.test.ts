/** The makers that a taker asks: the cheapest offer of each maker, drawn by bonds. */
import * as fc from 'fast-check';
import t from 'tap';
import {
  chooseMakers,
  DEFAULT_BONDLESS_MAKERS_ALLOWANCE,
  type ChoicePolicy,
  type OfferOfMaker,
} from '../../src/taker/choose.js';
import { DEFAULT_FEE_POLICY, makerCost, offerFault } from '../../src/negotiation/taker/fees.js';
import { MAX_SATOSHI } from '../../src/protocol/offer.js';

const AMOUNT = 1_000_000;

const policyOf = (bondlessMakersAllowance: number): ChoicePolicy => ({
  ...DEFAULT_FEE_POLICY,
  maxCjFeeAbs: 1_000,
  bondlessMakersAllowance,
});

const offerOf = (
  maker: string,
  value?: number,
  part: Partial<OfferOfMaker> = {},
): OfferOfMaker => ({
  maker,
  type: 'sw0absoffer',
  oid: 0,
  minsize: 27_300,
  maxsize: MAX_SATOSHI,
  txfee: 0,
  cjfee: '10',
  bond: value === undefined ? undefined : { value },
  ...part,
});

/** Pseudo-random numbers, the same in each run. */
function chances(seed = 1): () => number {
  let state = seed;
  return () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
}

/** How often each maker is the first of `rounds` choices. */
function firsts(offers: readonly OfferOfMaker[], allowance: number, rounds = 4_000) {
  const random = chances();
  const count = new Map<string, number>();
  for (let n = 0; n < rounds; n++) {
    const chosen = chooseMakers({ offers, amount: AMOUNT, policy: policyOf(allowance), random });
    const nick = chosen[0]?.nick ?? '';
    count.set(nick, (count.get(nick) ?? 0) + 1);
  }
  return (maker: string): number => (count.get(maker) ?? 0) / rounds;
}

const near = (share: number, expected: number): boolean => Math.abs(share - expected) < 0.03;

t.test('the share of places that bonds decide', (t) => {
  const offers = [
    offerOf('large', 900),
    offerOf('small', 100),
    offerOf('none'),
    offerOf('unknown', undefined, { bond: { value: undefined } }),
  ];
  const rows: readonly (readonly [number, readonly [number, number, number, number]])[] = [
    [0, [0.9, 0.1, 0, 0]],
    [1, [0.25, 0.25, 0.25, 0.25]],
    [0.5, [0.575, 0.175, 0.125, 0.125]],
    [DEFAULT_BONDLESS_MAKERS_ALLOWANCE, [0.81875, 0.11875, 0.03125, 0.03125]],
  ];
  for (const [allowance, expected] of rows) {
    const share = firsts(offers, allowance);
    for (const [n, maker] of ['large', 'small', 'none', 'unknown'].entries()) {
      t.ok(near(share(maker), expected[n] ?? -1), `${allowance}: ${maker} ${share(maker)}`);
    }
  }
  const equal = firsts([offerOf('a'), offerOf('b', 0)], 0);
  t.ok(near(equal('a'), 0.5), 'no bond has a value: any maker');
  t.end();
});

t.test('bonds first, then the others, each maker once', (t) => {
  const offers = [offerOf('none'), offerOf('b', 5), offerOf('c', 7), offerOf('b', 5, { oid: 1 })];
  const choice = { offers, amount: AMOUNT, policy: policyOf(0), random: chances() };
  const nicks = chooseMakers(choice).map(({ nick }) => nick);
  t.strictSame([nicks.slice(0, 2).toSorted(), nicks.slice(2)], [['b', 'c'], ['none']]);
  t.equal(chooseMakers({ ...choice, most: 2 }).length, 2);
  t.strictSame(chooseMakers({ ...choice, offers: [] }), []);
  t.end();
});

t.test('the cheapest offer that the policy allows', (t) => {
  const offers = [
    offerOf('a', 1, { oid: 1, cjfee: '500' }),
    offerOf('a', 1, { oid: 2, cjfee: '600', txfee: 200 }),
    offerOf('a', 1, { oid: 3, cjfee: '1', minsize: AMOUNT + 1 }),
    offerOf('dear', 1, { cjfee: '1001' }),
    offerOf('small', 1, { maxsize: AMOUNT - 1 }),
  ];
  const chosen = chooseMakers({ offers, amount: AMOUNT, policy: policyOf(0), random: chances() });
  t.strictSame(chosen, [
    {
      nick: 'a',
      offer: {
        type: 'sw0absoffer',
        oid: 2,
        minsize: 27_300,
        maxsize: MAX_SATOSHI,
        txfee: 200,
        cjfee: '600',
      },
    },
  ]);
  t.end();
});

t.test('for any offers, bonds and random numbers', (t) => {
  const offer = fc
    .record({
      maker: fc.constantFrom('a', 'b', 'c', 'd', 'e'),
      value: fc.option(fc.double({ min: 0, max: 1e160, noNaN: true }), { nil: undefined }),
      cjfee: fc.nat(2_000),
      minsize: fc.integer({ min: 27_300, max: 2 * AMOUNT }),
    })
    .map(({ maker, value, cjfee, minsize }) =>
      offerOf(maker, value, { cjfee: String(cjfee), minsize }),
    );
  fc.assert(
    fc.property(
      fc.array(offer, { maxLength: 20 }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      fc.infiniteStream(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })),
      (offers, allowance, stream) => {
        const policy = policyOf(allowance);
        const random = (): number => Number(stream.next().value);
        const chosen = chooseMakers({ offers, amount: AMOUNT, policy, random });
        const suitable = offers.filter((one) => offerFault(one, AMOUNT, policy) === undefined);
        const makers = new Set(suitable.map(({ maker }) => maker));
        return (
          chosen.length === makers.size &&
          new Set(chosen.map(({ nick }) => nick)).size === makers.size &&
          chosen.every(({ nick, offer: taken }) =>
            suitable
              .filter(({ maker }) => maker === nick)
              .every((one) => makerCost(taken, AMOUNT) <= makerCost(one, AMOUNT)),
          )
        );
      },
    ),
  );
  t.end();
});
