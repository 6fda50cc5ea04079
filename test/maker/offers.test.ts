/** Offers from what the mixdepths of a wallet can give. */
import * as fc from 'fast-check';
import t from 'tap';
import type { MixdepthFunds } from '../../src/maker/api.js';
import {
  fundedOffers,
  largestFillable,
  largestMixdepth,
  neededFor,
  type OfferTerms,
} from '../../src/maker/offers.js';
import { DUST_THRESHOLD, offerFault, offerFee, type Offer } from '../../src/protocol/offer.js';

/** The defaults of `[YIELDGENERATOR]`. */
const TERMS: OfferTerms = {
  ordertype: 'reloffer',
  family: 'sw0',
  cjfeeAbsolute: 500,
  cjfeeRelative: 0.00002,
  cjfeeFactor: 0,
  txfee: 0,
  txfeeFactor: 0.3,
  minsize: 100_000,
  sizeFactor: 0.1,
};

const funds = (...available: readonly number[]): readonly MixdepthFunds[] =>
  available.map((value, mixdepth) => ({ mixdepth, available: value, held: 0 }));

/** Every factor in the middle of its range. */
const middle = (): number => 0.5;
/** The largest amount of the range. */
const most = (): number => 0;

t.test(
  'the largest amount leaves more than the dust threshold as change, to the satoshi',
  async (t) => {
    type Row = readonly [Pick<Offer, 'type' | 'txfee' | 'cjfee'>, number, number];
    const relative = { type: 'sw0reloffer', txfee: 0, cjfee: '0.000020' } as const;
    const rows: readonly Row[] = [
      // 1,000,000 + 27,301 - 20
      [relative, 1_027_281, 1_000_000],
      [relative, 1_027_280, 999_999],
      // Half of 27 is rounded up to 14, half of 29 down to 14.
      [{ ...relative, cjfee: '0.5' }, 27_301 + 13, 27],
      [{ ...relative, cjfee: '0.5' }, 27_301 + 14, 28],
      [
        { type: 'sw0absoffer', txfee: 100, cjfee: '600' },
        1_000_000,
        1_000_000 - 27_301 - 100 + 600,
      ],
      [{ type: 'sw0absoffer', txfee: 0, cjfee: '0' }, 27_301, 0],
      [relative, 27_300, 0],
      [relative, 0, 0],
    ];
    for (const [offer, available, amount] of rows) {
      t.equal(largestFillable(offer, available), amount, `${offer.cjfee} of ${available}`);
    }
  },
);

const shares = fc
  .integer({ min: 1, max: 999_999 })
  .map((millionths) => (millionths / 1e6).toFixed(6));
const feeTerms = fc.oneof(
  fc.record({
    type: fc.constant('sw0reloffer' as const),
    txfee: fc.nat(10_000),
    cjfee: shares,
  }),
  fc.record({
    type: fc.constant('sw0absoffer' as const),
    txfee: fc.nat(10_000),
    cjfee: fc.nat(1_000_000).map(String),
  }),
);

t.test('the largest amount can be filled, and one satoshi more cannot', async () => {
  fc.assert(
    fc.property(feeTerms, fc.integer({ min: 40_000, max: 2_100_000_000 }), (offer, available) => {
      const amount = largestFillable(offer, available);
      return (
        neededFor(offer, amount) <= available &&
        neededFor(offer, amount + 1) > available &&
        // What the negotiation asks of the wallet is less (`ReservationRequest.least`).
        neededFor(offer, amount) > amount + offer.txfee + DUST_THRESHOLD - feeOf(offer, amount)
      );
    }),
  );
});

const feeOf = (offer: Pick<Offer, 'type' | 'txfee' | 'cjfee'>, amount: number): number =>
  offerFee({ ...offer, oid: 0, minsize: 0, maxsize: 0 }, amount);

t.test('the offer comes from the largest mixdepth, varied by the factors', async (t) => {
  t.same(fundedOffers(TERMS, funds(5_000_000, 80_000_000, 300), middle), {
    offers: [
      {
        type: 'sw0reloffer',
        oid: 0,
        minsize: 100_000,
        maxsize: Math.round(
          largestFillable({ type: 'sw0reloffer', txfee: 0, cjfee: '0.000020' }, 80_000_000) * 0.95,
        ),
        txfee: 0,
        cjfee: '0.000020',
      },
    ],
    noOffer: undefined,
    available: 80_000_000,
  });
  t.equal(largestMixdepth(funds(7, 9, 9))?.mixdepth, 1);
  t.match(
    fundedOffers({ ...TERMS, ordertype: 'absoffer', family: 'sw' }, funds(1_000_000), most).offers,
    [{ type: 'swabsoffer', cjfee: '500', maxsize: 1_000_000 - 27_301 + 500 }],
  );
});

t.test('a contribution that the smallest amount does not earn is halved', async (t) => {
  const terms = { ...TERMS, txfee: 100, txfeeFactor: 0 };
  // The fee for 100,000 sat is 2 sat.
  t.match(fundedOffers(terms, funds(10_000_000), middle).offers, [{ txfee: 1 }]);
  const dear = { ...terms, cjfeeRelative: 0.01 };
  t.match(fundedOffers(dear, funds(10_000_000), middle).offers, [{ txfee: 100 }]);
});

t.test(
  'a mixdepth that can fill the smallest amount makes an offer, whatever the factors draw',
  async (t) => {
    const needed = neededFor({ type: 'sw0reloffer', txfee: 0, cjfee: '0.000020' }, 100_000);
    for (const random of [0, 0.3, 0.5, 0.9, 0.999]) {
      const { offers } = fundedOffers(TERMS, funds(needed), () => random);
      t.ok((offers[0]?.minsize ?? 0) <= 100_000, String(random));
      t.same(fundedOffers(TERMS, funds(needed - 1), () => random).offers, [], String(random));
    }
  },
);

const reasonOf = (of: readonly MixdepthFunds[]): string | undefined =>
  fundedOffers(TERMS, of, middle).noOffer;

t.test('without an offer there is a reason', async (t) => {
  t.match(reasonOf([]), /no confirmed coin .*: deposit to it$/);
  t.match(reasonOf(funds(0, 0)), /no confirmed coin/);
  t.match(
    reasonOf(funds(0, 120_000)),
    /^the largest mixdepth \(1\) can give 120000 sat, too little for the smallest coinjoin of 100000 sat .*lower minsize$/,
  );
  const held = { mixdepth: 0, available: 0, held: 5_000_000 };
  t.match(reasonOf([held]), /^every coin is held; 5000000 sat are in coinjoins/);
  t.match(reasonOf([held, ...funds(0, 120_000)]), /lower minsize; 5000000 sat are in coinjoins/);
});

t.test('dual offers: an absolute fee up to the amount at which both fees are equal', async (t) => {
  const terms = { ...TERMS, dual: true };
  // 500 / 0.00002
  const border = 25_000_000;
  t.match(fundedOffers(terms, funds(80_000_000), most).offers, [
    { type: 'sw0absoffer', oid: 0, maxsize: border, cjfee: '500' },
    {
      type: 'sw0reloffer',
      oid: 1,
      minsize: border,
      maxsize: 80_000_000 - 27_301 + 1_599,
      cjfee: '0.000020',
    },
  ]);
  t.match(
    fundedOffers({ ...terms, txfee: 100, txfeeFactor: 0 }, funds(80_000_000), most).offers,
    [
      { cjfee: '600', txfee: 100, maxsize: 30_000_000 },
      { minsize: 30_000_000, txfee: 100 },
    ],
    'from the announced fees',
  );
  const small = fundedOffers(terms, funds(1_000_000), most).offers;
  t.same(small.length, 1, 'coins below the border: the absolute offer alone');
  t.match(small, [{ type: 'sw0absoffer', oid: 0, maxsize: 1_000_000 - 27_301 + 500 }]);
  const cheap = fundedOffers({ ...terms, cjfeeAbsolute: 1 }, funds(1_000_000), most).offers;
  t.same(cheap.length, 1, 'a border below the smallest amount: the relative offer alone');
  t.match(cheap, [{ type: 'sw0reloffer', oid: 1, minsize: 90_000 }]);
});

t.test('for any terms and funds, every offer is valid, fillable, and made at no loss', async () => {
  fc.assert(
    fc.property(
      fc.record({
        ordertype: fc.constantFrom('reloffer' as const, 'absoffer' as const),
        family: fc.constantFrom('sw0' as const, 'sw' as const),
        cjfeeAbsolute: fc.nat(100_000),
        cjfeeRelative: fc.double({ min: 0.000001, max: 0.999999, noNaN: true }),
        cjfeeFactor: fc.double({ min: 0, max: 1, noNaN: true }),
        txfee: fc.nat(1_000_000),
        txfeeFactor: fc.double({ min: 0, max: 1, noNaN: true }),
        minsize: fc.nat(10_000_000),
        sizeFactor: fc.double({ min: 0, max: 1, noNaN: true }),
        dual: fc.boolean(),
      }),
      fc.array(fc.nat(3_000_000_000), { maxLength: 5 }),
      fc.infiniteStream(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (terms, balances, chance, between) => {
        const random = (): number => chance.next().value ?? 0;
        const made = fundedOffers(terms, funds(...balances), random);
        const isEmpty = made.offers.length === 0;
        return (
          isEmpty === (made.noOffer !== undefined) &&
          new Set(made.offers.map(({ oid }) => oid)).size === made.offers.length &&
          made.offers.every((offer) => {
            const { minsize, maxsize, txfee, cjfee, type } = offer;
            const amount = Math.round(minsize + between * (maxsize - minsize));
            return (
              offerFault(offer) === undefined &&
              (type.endsWith('reloffer') ? /^0\.\d{6}$/ : /^\d+$/).test(cjfee) &&
              maxsize <= largestFillable(offer, Math.max(0, ...balances)) &&
              [minsize, amount, maxsize].every((size) => offerFee(offer, size) >= txfee)
            );
          })
        );
      },
    ),
    { numRuns: 500 },
  );
});
