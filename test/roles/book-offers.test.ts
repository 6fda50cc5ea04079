import t from 'tap';
import * as fc from 'fast-check';
import { Orderbook, type Provenance } from '../../src/orderbook/book.js';
import { parseCommands, type Command } from '../../src/protocol/commands.js';
import { formatOffer, offerFault, offerFee, parseOffer } from '../../src/protocol/offer.js';
import { makeOffer, type OfferTerms } from '../../src/maker/offers.js';

function commands(text: string): readonly Command[] {
  const parsed = parseCommands(text);
  if (!parsed.ok) throw new Error(parsed.reason);
  return parsed.value;
}

const relayed = (at: number, directory = 'a.onion:5222'): Provenance => ({
  directory,
  verified: false,
  at,
});
const signed = (at: number): Provenance => ({ directory: undefined, verified: true, at });
const OFFER = 'sw0reloffer 0 27300 500000000 0 0.00002';

t.test('the orderbook keeps the offers that makers announce', async (t) => {
  const book = new Orderbook();
  t.equal(book.apply('J5maker', commands(OFFER), relayed(1)), 1, 'a new offer');
  t.equal(book.apply('J5maker', commands(OFFER), relayed(5, 'b.onion:5222')), 0, 'again');
  t.match(book.offers(), [
    {
      maker: 'J5maker',
      type: 'sw0reloffer',
      oid: 0,
      firstSeen: 1,
      lastSeen: 5,
      verified: false,
      directories: ['a.onion:5222', 'b.onion:5222'],
    },
  ]);
  t.equal(book.apply('J5maker', commands(OFFER), signed(6)), 0, 'now signed: the same terms');
  t.equal(book.offers()[0]?.verified, true);
  book.apply('J5maker', commands(OFFER), relayed(7));
  t.equal(book.offers()[0]?.verified, true, 'a signed offer stays signed');

  t.test('an unsigned message cannot change or withdraw a signed offer', async (t) => {
    t.equal(book.apply('J5maker', commands('sw0reloffer 0 1 2000000 0 0.9'), relayed(8)), 0);
    t.equal(book.offers()[0]?.cjfee, '0.00002');
    book.apply('J5maker', commands('cancel 0'), relayed(9));
    t.equal(book.offers().length, 1);
    book.apply('J5maker', commands('cancel 0'), signed(10));
    t.equal(book.offers().length, 0);
    t.equal(book.makers, 0, 'a maker without offers is forgotten');
  });
});

t.test('several offers in one message, bad ones among them', async (t) => {
  const book = new Orderbook();
  const text = `${OFFER}!sw0absoffer 1 27300 90000 0 500!sw0absoffer x 1 2 3 4!tbond AAAA!nonsense`;
  t.equal(book.apply('J5maker', commands(text), signed(1)), 2);
  t.same(
    book.offers().map((offer) => offer.oid),
    [0, 1],
  );
  t.equal(book.remove('J5maker'), 2);
  t.equal(book.remove('J5maker'), 0);
});

t.test('the book is bounded in offers and in makers', async (t) => {
  const book = new Orderbook({ makers: 3, offersPerMaker: 2 });
  const many = [0, 1, 2, 3].map((oid) => `sw0absoffer ${oid} 27300 90000 0 500`).join('!');
  t.equal(book.apply('m0', commands(many), signed(0)), 2);
  for (const [i, maker] of ['m1', 'm2', 'm0', 'm3'].entries()) {
    book.apply(maker, commands(OFFER), signed(i));
  }
  t.same(
    [...new Set(book.offers().map((offer) => offer.maker))],
    ['m2', 'm0', 'm3'],
    'the maker heard longest ago made room',
  );
});

t.test('any commands of any maker leave a consistent book', async () => {
  const command = fc.record({
    name: fc.constantFrom('sw0reloffer', 'sw0absoffer', 'cancel', 'orderbook', '__proto__'),
    args: fc.array(fc.oneof(fc.string(), fc.nat().map(String), fc.constant('27300'))),
  });
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.constantFrom('a', 'b', '__proto__'), fc.array(command), fc.boolean())),
      (messages) => {
        const book = new Orderbook({ makers: 2, offersPerMaker: 2 });
        for (const [maker, list, verified] of messages) {
          book.apply(maker, list, { directory: 'd', verified, at: 1 });
        }
        const offers = book.offers();
        return (
          book.makers <= 2 &&
          offers.length <= 4 &&
          offers.every((offer) => {
            const again = parseOffer(commands(formatOffer(offer))[0] ?? { name: '', args: [] });
            return again.ok;
          })
        );
      },
    ),
  );
});

const TERMS: OfferTerms = {
  ordertype: 'reloffer',
  family: 'sw0',
  cjfeeAbsolute: 500,
  cjfeeRelative: 0.00002,
  cjfeeFactor: 0.1,
  txfee: 100,
  txfeeFactor: 0.3,
  minsize: 100_000,
  sizeFactor: 0.1,
};

t.test('a maker makes its offer from the terms of its configuration', async (t) => {
  t.same(
    makeOffer(TERMS, 10_000_000, () => 0.5),
    {
      type: 'sw0reloffer',
      oid: 0,
      minsize: 100_000,
      maxsize: Math.round((10_000_000 - 27_300) * 0.95),
      // 2 sat is the fee for the smallest amount.
      txfee: 1,
      cjfee: '0.000020',
    },
  );
  t.match(
    makeOffer({ ...TERMS, ordertype: 'absoffer', family: '' }, 10_000_000, () => 0.5),
    {
      type: 'absoffer',
      cjfee: '600',
      txfee: 100,
    },
  );
  t.throws(() => makeOffer(TERMS, 50_000, Math.random), /raise --size or lower minsize/);

  t.test('for any random numbers, the offer is valid and within the factors', async () => {
    fc.assert(
      fc.property(
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        fc.constantFrom('reloffer' as const, 'absoffer' as const),
        fc.integer({ min: 200_000, max: 2_000_000_000 }),
        (random, ordertype, size) => {
          const offer = makeOffer({ ...TERMS, ordertype }, size, () => random);
          const parsed = parseOffer(commands(formatOffer(offer))[0] ?? { name: '', args: [] });
          return (
            parsed.ok &&
            offer.maxsize <= size - 27_300 &&
            offer.minsize >= 90_000 &&
            offer.minsize <= 110_000 &&
            offer.txfee <= 130 &&
            (ordertype === 'reloffer'
              ? /^0\.0000(?:18|19|20|21|22)$/.test(offer.cjfee)
              : offer.txfee >= 70 && Number(offer.cjfee) - offer.txfee >= 450)
          );
        },
      ),
    );
  });

  t.test('for any terms, no offer is made at a loss', async () => {
    fc.assert(
      fc.property(
        fc.record({
          ordertype: fc.constantFrom('reloffer' as const, 'absoffer' as const),
          family: fc.constantFrom('sw0' as const, 'sw', ''),
          cjfeeAbsolute: fc.nat(100_000),
          cjfeeRelative: fc.double({ min: 0.000001, max: 0.999999, noNaN: true }),
          cjfeeFactor: fc.double({ min: 0, max: 1, noNaN: true }),
          txfee: fc.nat(1_000_000_000),
          txfeeFactor: fc.double({ min: 0, max: 1, noNaN: true }),
          minsize: fc.nat(10_000_000),
          sizeFactor: fc.double({ min: 0, max: 1, noNaN: true }),
        }),
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (terms, random, between) => {
          const offer = makeOffer(terms, 3_000_000_000, () => random);
          const { minsize, maxsize, txfee } = offer;
          const amount = Math.round(minsize + between * (maxsize - minsize));
          const nets = [minsize, amount, maxsize].map((size) => offerFee(offer, size) - txfee);
          return offerFault(offer) === undefined && nets.every((net) => net >= 0);
        },
      ),
    );
  });

  t.test('terms that make no offer are refused', async (t) => {
    for (const cjfeeRelative of [0, 0.0000009, 1, 1.4, NaN]) {
      t.throws(() => makeOffer({ ...TERMS, cjfeeRelative }, 10_000_000, Math.random), {
        name: 'OfferTermsError',
        key: 'cjfee_r',
        allowed: /from 0\.000001 to 0\.999999/,
      });
    }
    // The lowest rate is never rounded to a free offer, the highest never to more than the whole amount.
    for (const [cjfeeRelative, random, cjfee] of [
      [0.000001, 0, '0.000001'],
      [0.999999, 0.999, '0.999999'],
    ] as const) {
      t.match(
        makeOffer({ ...TERMS, cjfeeRelative, cjfeeFactor: 1 }, 10_000_000, () => random),
        { cjfee },
      );
    }
    const cjfeeAbsolute = 2_100_000_000_000_000;
    t.throws(
      () => makeOffer({ ...TERMS, ordertype: 'absoffer', cjfeeAbsolute }, 10_000_000, () => 0.9),
      { name: 'OfferTermsError', key: 'cjfee_a' },
    );
    for (const cjfee of ['1.4', '1', '-1', '1e99']) {
      const offer = { ...makeOffer(TERMS, 10_000_000, Math.random), cjfee };
      t.equal(offerFault(offer), 'offer-cjfee', cjfee);
    }
  });
});
