/** Offers, the directories that showed them, bonds in slices, changes, and all of it over the wire. */
import * as fc from 'fast-check';
import t, { type Test } from 'tap';
import { silentLog } from '../../src/channel/log.js';
import type {
  BondChainView,
  BondOutput,
  BookChange,
  BookEntry,
  LiveBook,
} from '../../src/orderbook/book-api.js';
import { Bonds, type BondsOptions } from '../../src/orderbook/bonds.js';
import { Orderbook, type Provenance } from '../../src/orderbook/book.js';
import { Changes } from '../../src/orderbook/changes.js';
import { watchDirectories } from '../../src/orderbook/directory-health.js';
import { openLiveBook } from '../../src/orderbook/live-book.js';
import { parseCommands, type Command } from '../../src/protocol/commands.js';
import { bondScriptPubKey } from '../../src/protocol/bond-script.js';
import { bondValue } from '../../src/protocol/fidelity-bond.js';
import { formatLocation } from '../../src/protocol/location.js';
import { formatPrivmsg } from '../../src/protocol/message.js';
import { startTaker } from '../../src/roles/taker.js';
import { startWatcher } from '../../src/roles/watcher.js';
import { keyOf, openTestChannel } from '../helpers/test-channel.js';
import { startFakeDirectory, type FakeSession } from '../helpers/fake-directory.js';
import { createTestClock } from '../helpers/test-clock.js';
import { bondProof, ownBond } from './make-bond.js';

function commands(text: string): readonly Command[] {
  const parsed = parseCommands(text);
  if (!parsed.ok) throw new Error(parsed.reason);
  return parsed.value;
}

const OFFER = 'sw0reloffer 0 27300 500000000 0 0.00002';
const from = (directory: string | undefined, at: number, more: Partial<Provenance> = {}) => ({
  directory,
  verified: false,
  at,
  ...more,
});
const signed = { verified: true };

t.test('a malformed offer is not in the book', (t) => {
  const big = '9'.repeat(400);
  const rows: readonly (readonly [string, string])[] = [
    ['an exponent bomb', 'sw0reloffer 0 27300 90000 0 1e999999999'],
    ['a small one', 'sw0reloffer 0 27300 90000 0 1e-999999999'],
    ['digits without end', `sw0reloffer 0 27300 90000 0 0.${big}`],
    ['NaN', 'sw0reloffer 0 27300 90000 0 NaN'],
    ['signalling NaN', 'sw0reloffer 0 27300 90000 0 sNaN'],
    ['infinity', 'sw0reloffer 0 27300 90000 0 Infinity'],
    ['a negative share', 'sw0reloffer 0 27300 90000 0 -0.1'],
    ['a share of 1', 'sw0reloffer 0 27300 90000 0 1'],
    ['a share above 1', 'sw0reloffer 0 27300 90000 0 1.5'],
    ['hex', 'sw0reloffer 0 27300 90000 0 0x1'],
    ['underscores, as Python reads them', 'sw0reloffer 0 27_300 90000 0 0.1'],
    ['other digits', 'sw0reloffer ٠ 27300 90000 0 0.1'],
    ['a share where an amount belongs', 'sw0absoffer 0 27300 90000 0 0.1'],
    ['an exponent in an amount', 'sw0absoffer 0 27300 90000 0 1e3'],
    ['a fee above all coins', 'sw0absoffer 0 27300 90000 0 2100000000000001'],
    ['a size above all coins', 'sw0absoffer 0 27300 2100000000000001 0 1'],
    ['a negative size', 'sw0absoffer 0 -1 90000 0 1'],
    ['minimum above maximum', 'sw0absoffer 0 90001 90000 0 1'],
    ['below dust', 'sw0absoffer 0 1 27299 0 1'],
    ['a negative oid', 'sw0absoffer -1 27300 90000 0 1'],
    ['an oid that numbers cannot hold', 'sw0absoffer 9007199254740993 27300 90000 0 1'],
    ['a long oid', `sw0absoffer ${big} 27300 90000 0 1`],
    ['a fraction', 'sw0absoffer 0 27300.5 90000 0 1'],
    ['a negative miner fee', 'sw0absoffer 0 27300 90000 -1 1'],
    ['a missing field', 'sw0absoffer 0 27300 90000 0'],
    ['an unknown kind', 'sw9absoffer 0 27300 90000 0 1'],
    ['capitals', 'SW0ABSOFFER 0 27300 90000 0 1'],
  ];
  for (const [name, text] of rows) {
    const book = new Orderbook();
    t.equal(book.apply('m', commands(text), from('a', 1, signed)), 0, name);
    t.equal(book.size + book.makers, 0, name);
  }
  const book = new Orderbook();
  for (const [oid, fee] of ['0.00002', '2e-5', '0', '.5', '0.99999999'].entries()) {
    const text = `sw0reloffer ${oid} 0 90000 0 ${fee} ignored`;
    t.equal(book.apply('m', commands(text), from('a', 1)), 1, fee);
  }
  t.equal(book.offers()[0]?.minsize, 27_300, 'raised to dust');
  t.end();
});

t.test('the directories that showed an offer', (t) => {
  const book = new Orderbook();
  book.apply('m', commands(OFFER), from('a', 1, { message: 'pub' }));
  book.seenAgain('m', from('b', 2, { message: 'pub' }));
  book.seenAgain('m', from('c', 3, { message: 'another' }));
  book.seenAgain('unknown', from('c', 3, { message: 'pub' }));
  book.apply('m', commands(OFFER), from('a', 4, { ...signed, message: 'priv' }));
  book.seenAgain('m', from('b', 5, { ...signed, message: 'priv' }));
  book.seenAgain('m', from('b', 6, { ...signed, message: 'pub' }));
  book.apply('m', commands(OFFER), from(undefined, 7, signed));
  const seen = { publicly: true, privately: true, differs: false, withdrawn: undefined };
  t.match(book.offers(), [
    {
      verified: true,
      firstSeen: 1,
      lastSeen: 7,
      directories: ['a', 'b'],
      sightings: [
        { directory: 'a', firstSeen: 1, lastSeen: 4, ...seen },
        { directory: 'b', firstSeen: 2, lastSeen: 5, ...seen },
      ],
      direct: { firstSeen: 7, lastSeen: 7 },
    },
  ]);

  t.test('a leave, a loss and a cancel count for their directory', (t) => {
    book.withdraw('m', 'a', 'left', 8);
    book.withdraw('m', 'a', 'cancel', 9);
    book.directoryLost('b', 10);
    book.directoryLost('never', 10);
    t.match(book.offers()[0], {
      directories: [],
      sightings: [
        { directory: 'a', withdrawn: { at: 8, why: 'left' } },
        { directory: 'b', withdrawn: { at: 10, why: 'directory-lost' } },
      ],
    });
    book.apply('m', commands(OFFER), from('a', 11));
    t.strictSame(book.offers()[0]?.directories, ['a'], 'shown again');
    t.end();
  });

  t.test('unsigned messages with other terms are noted and change nothing', (t) => {
    const other = 'sw0reloffer 0 27300 500000000 0 0.5';
    t.equal(book.apply('m', commands(other), from('c', 12)), 0);
    t.equal(book.apply('m', commands(other), from(undefined, 12)), 0);
    t.match(book.offers()[0], { cjfee: '0.00002', sightings: [{}, {}, { differs: true }] });
    book.apply('m', commands(OFFER), from('c', 13));
    t.equal(book.offers()[0]?.sightings[2]?.differs, false);
    t.equal(book.apply('m', commands(other), from('c', 14, signed)), 1);
    t.match(book.offers()[0], {
      cjfee: '0.5',
      firstSeen: 14,
      directories: ['c'],
      direct: undefined,
    });
    t.end();
  });

  t.test('a signed offer is gone when all directories that showed it relay the cancel', (t) => {
    const two = new Orderbook();
    for (const directory of ['a', 'b']) two.apply('m', commands(OFFER), from(directory, 1, signed));
    two.apply('m', commands('cancel 0'), from('a', 2));
    t.strictSame(two.offers()[0]?.directories, ['b']);
    two.apply('m', commands('cancel 0!cancel 7'), from('b', 3));
    t.equal(two.size, 0);
    t.end();
  });
  t.end();
});

t.test('a malformed replacement of an offer ends it, as a cancel does', (t) => {
  const invalid: readonly (readonly [string, string])[] = [
    ['a malformed fee', 'sw0reloffer 0 27300 500000000 0 NaN'],
    ['a share of 1', 'sw0reloffer 0 27300 500000000 0 1'],
    ['a negative fee', 'sw0absoffer 0 27300 500000000 0 -5'],
    ['minimum above maximum', 'sw0reloffer 0 90001 90000 0 0.00002'],
    ['a maximum below dust', 'sw0reloffer 0 0 27299 0 0.00002'],
    ['malformed miner fee', 'sw0reloffer 0 27300 500000000 x 0.00002'],
    ['too many coins', 'reloffer 0 27300 2100000000000001 0 0.00002'],
  ];
  for (const [name, text] of invalid) {
    const book = new Orderbook();
    const two = `${OFFER}!sw0absoffer 1 27300 90000 0 5`;
    book.apply('m', commands(two), from('a', 1));
    t.equal(book.apply('m', commands(text), from('a', 2)), 0, name);
    t.strictSame(
      book.offers().map(({ oid }) => oid),
      [1],
      `${name}: unsigned by unsigned`,
    );
    book.apply('m', commands(two), from('a', 3, signed));
    book.apply('m', commands(two), from('b', 3, signed));
    book.apply('m', commands(text), from('a', 4));
    t.strictSame(book.offers()[1]?.directories, ['b'], `${name}: signed, for its directory`);
    book.apply('m', commands(text), from('b', 5));
    t.strictSame(
      book.offers().map(({ oid }) => oid),
      [1],
      `${name}: signed, when no directory shows it`,
    );
    book.apply('m', commands(two), from('a', 6, signed));
    book.apply('m', commands(text), from('b', 7, signed));
    t.equal(book.size, 1, `${name}: signed by signed`);
    book.apply('m', commands(`${text}!${OFFER}`), from('b', 8, signed));
    t.equal(book.size, 2, `${name}: and a valid one after it`);
  }
  const book = new Orderbook();
  book.apply('m', commands(OFFER), from('a', 1));
  for (const text of ['sw0reloffer 0 27300', 'sw0reloffer', 'sw0reloffer x 1 2 3 4', 'tbond 0']) {
    book.apply('m', commands(text), from('a', 2));
  }
  t.equal(book.size, 1, 'a message without an oid or an offer ends no offer');
  t.end();
});

const manyOffers = (count: number): readonly Command[] =>
  commands(
    Array.from({ length: count }, (_, oid) => `sw0absoffer ${oid} 27300 90000 0 5`).join('!'),
  );

t.test('old offers expire, and which maker makes room', (t) => {
  const told: string[] = [];
  const book = new Orderbook({ makers: 3, offersPerMaker: 12, offers: 6 }, (maker, oid) =>
    told.push(`${maker}/${oid}`),
  );
  book.apply('signed0', manyOffers(1), from('a', 0, signed));
  book.apply('unsigned', manyOffers(1), from('a', 1));
  book.apply('signed1', manyOffers(1), from('a', 2, signed));
  book.apply('flood0', manyOffers(1), from('a', 3));
  t.strictSame([...book.names()], ['signed0', 'signed1', 'flood0'], 'the unsigned one made room');
  book.apply('flood1', manyOffers(4), from('a', 4));
  t.strictSame([...book.names()], ['signed0', 'signed1', 'flood1']);
  t.equal(book.size, 6);
  book.apply('signed2', manyOffers(6), from('a', 5, signed));
  t.strictSame([...book.names()], ['signed2'], 'the number of offers is bounded');
  t.equal(book.size, 6);
  t.ok(told.includes('signed0/0'));
  t.equal(book.expire(5), 0);
  t.equal(book.expire(6), 6);
  t.equal(book.makers + book.size, 0);
  book.apply('x', manyOffers(12), from('a', 7));
  t.equal(book.size, 6, 'also of one maker: the latest offers stay');
  t.end();
});

t.test('any messages by any route leave a consistent, bounded book', (t) => {
  const maker = fc.constantFrom('a', 'b', 'c', '__proto__');
  const way = fc.record({
    directory: fc.constantFrom('d', 'e', undefined),
    verified: fc.boolean(),
    message: fc.constantFrom('1', '2'),
  });
  const text = fc.constantFrom(
    OFFER,
    `${OFFER}!sw0absoffer 1 27300 90000 0 1`,
    'sw0absoffer 0 27300 90000 0 2',
    'cancel 0!cancel 1',
    'cancel x',
    'sw0absoffer 0 27300 90000 0 x',
    'sw0absoffer x 27300 90000 0 1',
    'orderbook',
  );
  const step = fc.oneof(
    fc.record({ kind: fc.constant('apply' as const), maker, way, text }),
    fc.record({ kind: fc.constant('again' as const), maker, way }),
    fc.record({ kind: fc.constant('withdraw' as const), maker, way }),
    fc.record({ kind: fc.constant('lost' as const), way }),
    fc.record({ kind: fc.constant('remove' as const), maker }),
    fc.record({ kind: fc.constant('expire' as const), before: fc.nat(60) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const known = new Set<string>();
      const book = new Orderbook({ makers: 2, offersPerMaker: 2, offers: 3 }, (who, oid) => {
        if (book.offersOf(who).some((offer) => offer.oid === oid)) known.add(`${who}/${oid}`);
        else known.delete(`${who}/${oid}`);
      });
      for (const [at, one] of steps.entries()) {
        if (one.kind === 'apply') book.apply(one.maker, commands(one.text), { ...one.way, at });
        else if (one.kind === 'again') book.seenAgain(one.maker, { ...one.way, at });
        else if (one.kind === 'withdraw') book.withdraw(one.maker, 'd', 'left', at);
        else if (one.kind === 'lost') book.directoryLost(one.way.directory ?? 'e', at);
        else if (one.kind === 'remove') book.remove(one.maker);
        else book.expire(one.before);
      }
      const offers = book.offers();
      const ids = offers.map((offer) => `${offer.maker}/${offer.oid}`);
      return (
        offers.length === book.size &&
        book.size <= 3 &&
        book.makers <= 2 &&
        [...book.names()].every((name) => book.offersOf(name).length > 0) &&
        offers.every(({ firstSeen, lastSeen }) => firstSeen <= lastSeen) &&
        ids.toSorted().join() === [...known].toSorted().join()
      );
    }),
  );
  t.end();
});

const TAKER = keyOf(1).nick;

function bondsProbe(options: Partial<BondsOptions> = {}) {
  const clock = createTestClock();
  const slices: number[] = [];
  const changed: string[] = [];
  const bonds = new Bonds({
    nick: TAKER,
    clock,
    chain: undefined,
    onChange: (maker) => void changed.push(maker),
    onSlice: (checks) => void slices.push(checks),
    ...options,
  });
  return { clock, slices, changed, bonds };
}

const flip = (text: string, at: number): string =>
  `${text.slice(0, at)}${text[at] === 'A' ? 'B' : 'A'}${text.slice(at + 1)}`;

/** Lets promise callbacks run. */
const nextTurn = (): Promise<void> => new Promise<void>((resolve) => void setImmediate(resolve));

t.test('bonds', async (t) => {
  const bond = ownBond(7);
  const proof = bondProof(bond, 'J5maker', TAKER);

  t.test('a valid bond has no value without a bitcoin node', (t) => {
    const { clock, bonds, changed } = bondsProbe();
    bonds.take('J5maker', proof);
    t.match(bonds.get('J5maker'), { state: 'waiting', locktime: bond.lockTime });
    clock.advance(1_000);
    t.match(bonds.get('J5maker'), {
      state: 'signed',
      outpoint: `${bond.utxo.txid}:1`,
      certExpiry: 425,
      value: undefined,
      amount: undefined,
    });
    t.equal(bonds.chain, 'none');
    const told = changed.length;
    bonds.take('J5maker', proof);
    clock.advance(1_000);
    t.equal(changed.length, told, 'the same proof is not checked twice');
    t.equal(clock.pending, 0);
    t.end();
  });

  t.test('hostile proofs', (t) => {
    const rows: readonly (readonly [string, string, string, RegExp])[] = [
      ['nothing', 'J5maker', 'x', /252 bytes/],
      ['one character short', 'J5maker', proof.slice(1), /252 bytes/],
      ['padding inside', 'J5maker', `${proof.slice(0, 335)}=`, /base64/],
      ['no signatures', 'J5maker', 'A'.repeat(336), /DER header/],
      ['of another maker', 'J5thief', proof, /this maker and for us/],
      ['a wrong nick signature', 'J5maker', flip(proof, 60), /this maker and for us|DER header/],
      ['a wrong certificate', 'J5maker', flip(proof, 170), /did not sign this certificate/],
      ['another expiry', 'J5maker', flip(proof, 236), /./],
    ];
    for (const [name, maker, text, detail] of rows) {
      const { clock, bonds } = bondsProbe();
      bonds.take(maker, text);
      clock.advance(1_000);
      t.match(bonds.get(maker), { state: 'invalid', detail, value: undefined }, name);
    }
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.base64String(), fc.nat(335)), (text) => {
        const { clock, bonds } = bondsProbe();
        bonds.take('m', typeof text === 'string' ? text : `${proof.slice(0, text)}!`);
        clock.advance(1_000);
        return bonds.get('m')?.state === 'invalid';
      }),
    );
    t.end();
  });

  t.test('of several proofs for the same coin the newest counts', (t) => {
    const { clock, bonds } = bondsProbe({ limits: { perMakerMs: 0 } });
    const states = (): unknown[] =>
      ['J5maker', 'J5second', 'J5third'].map((maker) => bonds.get(maker)?.state);
    const prove = (maker: string, isNew = true): void => {
      bonds.take(maker, bondProof(bond, maker, TAKER), isNew);
      clock.advance(1_000);
    };
    prove('J5maker');
    t.strictSame(states(), ['signed', undefined, undefined]);
    prove('J5second');
    t.strictSame(states(), ['claimed', 'signed', undefined]);
    prove('J5maker');
    t.strictSame(states(), ['claimed', 'signed', undefined], 'the same proof is not newer');
    prove('J5third', false);
    t.strictSame(states(), ['claimed', 'signed', 'claimed'], 'a message heard before is not newer');
    bonds.take('J5second', 'x');
    t.strictSame(states(), ['signed', 'invalid', 'claimed'], 'freed by a malformed proof');
    const otherCoins = bondProof(ownBond(8), 'J5maker', TAKER);
    bonds.take('J5maker', otherCoins);
    clock.advance(1_000);
    t.strictSame(states(), ['signed', 'invalid', 'signed'], 'freed by a proof for another coin');
    prove('J5second');
    t.strictSame(states(), ['signed', 'signed', 'claimed'], 'proven again');
    t.equal(clock.pending, 0);
    t.end();
  });

  t.test('any proofs for the same coin: exactly one counts, and no claim is lost', (t) => {
    const makers = ['J5a', 'J5b', 'J5c'] as const;
    const texts = new Map(makers.map((maker) => [maker, bondProof(bond, maker, TAKER)]));
    const step = fc.record({
      maker: fc.constantFrom(...makers),
      what: fc.constantFrom('prove' as const, 'repeat' as const, 'spoil' as const, 'go' as const),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
        const { clock, bonds } = bondsProbe({ limits: { perMakerMs: 0 } });
        for (const { maker, what } of steps) {
          if (what === 'go') bonds.forget(maker);
          else if (what === 'spoil') bonds.take(maker, 'x');
          else bonds.take(maker, texts.get(maker) ?? '', what === 'prove');
          clock.advance(100);
        }
        const held = makers.flatMap((maker) => bonds.get(maker) ?? []);
        const proven = held.filter(({ state }) => state !== 'invalid');
        const counted = proven.filter(({ state }) => state === 'signed');
        return counted.length === Math.min(1, proven.length) && clock.pending === 0;
      }),
      { numRuns: 60 },
    );
    t.end();
  });

  t.test('proofs without room wait for it', (t) => {
    const { clock, bonds } = bondsProbe({ limits: { makers: 2, perMakerMs: 0 } });
    for (let n = 0; n < 4; n++) bonds.take('J5maker', bondProof(ownBond(n), 'J5maker', TAKER));
    bonds.take('J5maker', proof);
    bonds.take('J5second', bondProof(ownBond(9), 'J5second', TAKER));
    t.equal(bonds.waiting, 6);
    t.match(bonds.get('J5second'), { state: 'waiting', detail: 'waits to be checked' });
    clock.advance(1_000);
    t.match(bonds.get('J5maker'), { state: 'signed', outpoint: `${bond.utxo.txid}:1` });
    t.equal(bonds.get('J5second')?.state, 'signed');
    t.equal(bonds.waiting + clock.pending, 0);
    t.end();
  });

  t.test('a maker cannot take a coin with another key', (t) => {
    const { clock, bonds } = bondsProbe();
    const thief = { ...ownBond(8), utxo: bond.utxo };
    bonds.take('J5thief', bondProof(thief, 'J5thief', TAKER));
    clock.advance(1_000);
    bonds.take('J5maker', proof);
    clock.advance(1_000);
    t.equal(bonds.get('J5maker')?.state, 'signed', 'only the chain shows the owner of the coin');
    t.end();
  });

  t.test('500 makers: no slice checks more than its share', (t) => {
    const { clock, bonds, slices } = bondsProbe();
    // To make a proof is work too: 30 makers have their own, the others repeat that of another maker.
    const many = Array.from({ length: 500 }, (_, n) => {
      const maker = `J5many${n}`;
      return { maker, text: n < 30 ? bondProof(ownBond(n), maker, TAKER) : '' };
    });
    for (const { maker, text } of many) bonds.take(maker, text === '' ? proof : text);
    t.equal(bonds.waiting, 500);
    clock.advance(60_000);
    t.equal(bonds.waiting, 0);
    const states = many.map(({ maker }) => bonds.get(maker)?.state);
    t.equal(states.filter((state) => state === 'signed').length, 30);
    t.equal(states.filter((state) => state === 'invalid').length, 470, 'made for another maker');
    t.ok(Math.max(...slices) <= 3, `largest slice: ${Math.max(...slices)} signatures`);
    t.ok(slices.length >= 500 / 3);
    t.end();
  });

  t.test('bounded: the makers, and the checks for one maker', (t) => {
    const { clock, bonds, changed } = bondsProbe({ limits: { makers: 1, perMakerMs: 500 } });
    bonds.take('J5maker', 'x');
    bonds.take('J5other', proof);
    t.equal(bonds.size, 1);
    for (let n = 0; n < 50; n++) bonds.take('J5maker', `y${n}`);
    t.equal(changed.length, 1);
    clock.advance(500);
    bonds.take('J5maker', proof);
    clock.advance(1_000);
    t.equal(bonds.get('J5maker')?.state, 'signed');
    t.end();
  });

  t.test('the answers of a bitcoin node', async (t) => {
    const script = bondScriptPubKey(bond.lockTime, bond.utxoPublicKeyHex);
    const coins: BondOutput = {
      found: true,
      amount: 100_000_000,
      confirmedAt: 1_672_531_200,
      scriptHex: script,
    };
    const tip = { height: 800_000, medianTime: 1_700_000_000 };
    const rows: readonly (readonly [string, BondOutput, typeof tip, object])[] = [
      ['locked', coins, tip, { state: 'valued', amount: 100_000_000, value: Number }],
      ['no such coin', { found: false }, tip, { state: 'unfunded', value: undefined }],
      ['locked otherwise', { ...coins, scriptHex: '0020' }, tip, { state: 'unfunded' }],
      ['certificate expired', coins, { ...tip, height: 425 * 2016 + 1 }, { state: 'expired' }],
    ];
    for (const [name, output, head, expected] of rows) {
      const asked: string[] = [];
      const chain: BondChainView = {
        tip: async () => head,
        async output(txid, vout) {
          asked.push(`${txid}:${vout}`);
          return output;
        },
      };
      const { clock, bonds } = bondsProbe({ chain });
      bonds.take('J5maker', proof);
      clock.advance(1_000);
      t.equal(bonds.get('J5maker')?.state, 'asking');
      // oxlint-disable-next-line no-await-in-loop -- one case after the other
      await nextTurn();
      t.match(bonds.get('J5maker'), expected, name);
      t.strictSame(asked, [`${bond.utxo.txid}:1`]);
      t.equal(bonds.chain, 'up');
      bonds.close();
      t.equal(clock.pending, 0);
    }
  });

  t.test('a bond claim with an expired certificate makes room for a valid one', async (t) => {
    const chain: BondChainView = {
      tip: async () => ({ height: 425 * 2016 + 1, medianTime: 1_700_000_000 }),
      output: async () => ({
        found: true,
        amount: 100_000_000,
        confirmedAt: 1_672_531_200,
        scriptHex: bondScriptPubKey(bond.lockTime, bond.utxoPublicKeyHex),
      }),
    };
    const { clock, bonds } = bondsProbe({ chain });
    bonds.take('J5renewed', bondProof(ownBond(7, 426), 'J5renewed', TAKER));
    clock.advance(1_000);
    await nextTurn();
    t.equal(bonds.get('J5renewed')?.state, 'valued');
    bonds.take('J5maker', proof);
    clock.advance(1_000);
    t.equal(bonds.get('J5renewed')?.state, 'claimed', 'the newest proof, until the node was asked');
    await nextTurn();
    await nextTurn();
    t.equal(bonds.get('J5maker')?.state, 'expired');
    t.match(bonds.get('J5renewed'), { state: 'valued', value: Number });
    clock.advance(600_000);
    await nextTurn();
    t.strictSame(
      ['J5maker', 'J5renewed'].map((maker) => bonds.get(maker)?.state),
      ['expired', 'valued'],
    );
    bonds.close();
  });

  t.test('a node that does not answer is asked again', async (t) => {
    let up = false;
    const chain: BondChainView = {
      tip: async () => ({ height: 1, medianTime: 1_700_000_000 }),
      async output() {
        if (!up) throw new Error('no answer');
        return { found: false };
      },
    };
    const { clock, bonds } = bondsProbe({ chain });
    bonds.take('J5maker', proof);
    clock.advance(1_000);
    await nextTurn();
    t.match(bonds.get('J5maker'), { state: 'asking', detail: /did not answer/ });
    t.equal(bonds.chain, 'down');
    up = true;
    clock.advance(60_000);
    await nextTurn();
    t.equal(bonds.get('J5maker')?.state, 'unfunded');
    t.equal(bonds.chain, 'up');
    bonds.close();
  });
});

t.test('changes are reported in versions', (t) => {
  const clock = createTestClock();
  const entries = new Map<string, BookEntry>();
  const told: BookChange[] = [];
  const changes = new Changes({
    clock,
    epochMs: () => 5,
    read: (id) => entries.get(id),
    onChange: (change) => void told.push(change),
  });
  const put = (id: string, more: Partial<BookEntry> = {}): void => {
    entries.set(id, {
      id,
      maker: id,
      oid: 0,
      type: 'sw0absoffer',
      minsize: 1,
      maxsize: 2,
      txfee: 0,
      cjfee: '1',
      verified: true,
      unverified: undefined,
      firstSeen: 0,
      lastSeen: 0,
      direct: undefined,
      sightings: [],
      directories: [],
      bond: undefined,
      ...more,
    });
    changes.touch(id);
  };
  t.strictSame(changes.since(0), []);
  t.equal(changes.since(1), undefined, 'a version of another book');
  put('a');
  put('b');
  t.equal(told.length, 0, 'gathered for a moment');
  clock.advance(250);
  t.strictSame(
    told[0]?.upserts.map(({ id }) => id),
    ['a', 'b'],
  );
  put('a', { lastSeen: 59_999 });
  clock.advance(250);
  t.equal(changes.version, 1, 'only seen again');
  put('a', { lastSeen: 60_000 });
  entries.delete('b');
  changes.touch('b');
  clock.advance(250);
  t.match(told[1], { version: 2, upserts: [{ id: 'a' }], removed: ['b'], statistics: false });
  changes.touchStatistics();
  clock.advance(250);
  t.match(told[2], { version: 3, upserts: [], removed: [], statistics: true });
  t.strictSame(
    changes.since(1)?.map(({ version }) => version),
    [2, 3],
  );
  t.strictSame(changes.since(3), []);
  for (let n = 0; n < 1_200; n++) put(`many${n}`);
  clock.advance(250);
  t.equal(told.at(-1)?.upserts.length, 200, 'each turn is short');
  clock.advance(2_000);
  t.equal(changes.version, 9);
  for (let n = 0; n < 300; n++) {
    changes.touchStatistics();
    clock.advance(250);
  }
  t.equal(changes.since(5), undefined, 'forgotten');
  t.equal(changes.since(changes.version - 256)?.length, 256);
  const { version } = changes;
  for (let n = 0; n < 100_000; n++) changes.touch(`flood${n}`);
  t.equal(changes.since(version), undefined, 'more than is kept: take a snapshot');
  clock.advance(60_000);
  const first = told.find((change) => change.version > version);
  t.ok(first !== undefined && first.version > version + 1, 'a gap');
  const removed = told.filter((change) => change.version > version).flatMap((one) => one.removed);
  t.ok(removed.length <= 40_000, 'waiting changes are bounded');
  t.strictSame(changes.since(changes.version), []);
  changes.touch('a');
  changes.close();
  t.equal(clock.pending, 0);
  t.end();
});

/** A book over two fake directories. */
async function opened(
  test: Test,
  options: { readonly expireMs?: number; readonly chain?: BondChainView } = {},
) {
  const [a, b] = [await startFakeDirectory(), await startFakeDirectory()];
  test.teardown(async () => {
    await Promise.all([a.close(), b.close()]);
  });
  const channel = openTestChannel([a.location, b.location]);
  test.teardown(() => channel.close());
  const { clock } = channel;
  const book = openLiveBook({ channel, clock, random: () => 0, log: silentLog, ...options });
  test.teardown(() => book.close());
  const [first, second] = await Promise.all([a.acceptHandshake(), b.acceptHandshake()]);
  await channel.next('welcome');
  let marks = 0;
  /** Waits until the book knows all messages sent before. */
  const readAll = async (...sessions: readonly FakeSession[]): Promise<void> => {
    for (const session of sessions) {
      const mark = `hp2 mark${marks++}`;
      session.pubmsg(keyOf(9).nick, mark);
      // oxlint-disable-next-line no-await-in-loop -- one directory after the other
      while ((await channel.next('pubmsg')).text !== mark);
    }
  };
  const names = { a: formatLocation(a.location), b: formatLocation(b.location) };
  return { channel, clock, book, first, second, readAll, names };
}

const valueIn = (book: LiveBook): number | undefined => book.snapshot().entries[0]?.bond?.value;

t.test('books, takers and watchers value bonds as configured', async (t) => {
  const bondPolicy = { interestRate: 0.03, exponent: 1 };
  const bond = ownBond(1);
  const output: Extract<BondOutput, { found: true }> = {
    found: true,
    amount: 100_000_000,
    confirmedAt: 1_672_531_200,
    scriptHex: bondScriptPubKey(bond.lockTime, bond.utxoPublicKeyHex),
  };
  const chain: BondChainView = {
    tip: async () => ({ height: 800_000, medianTime: 1_700_000_000 }),
    output: async () => output,
  };
  const { channel, clock, book, first, readAll } = await opened(t, { chain });
  const tools = { channel, clock, random: () => 0, log: silentLog, chain, bondPolicy };
  const taker = startTaker(tools);
  t.teardown(() => taker.stop());
  const page = { host: '127.0.0.1', port: 0 };
  const watcher = await startWatcher({ ...tools, network: 'signet', page });
  t.teardown(() => watcher.stop());
  const own = openLiveBook(tools);
  t.teardown(() => own.close());

  const maker = keyOf(20);
  const offer = `${OFFER.slice(12)}!tbond ${bondProof(bond, maker.nick, channel.nick)}`;
  first.send(685, formatPrivmsg(maker, channel.nick, 'sw0reloffer', offer));
  await readAll(first);
  clock.advance(1_000);
  await nextTurn();
  const { amount: satoshi, confirmedAt: confirmationTime } = output;
  const terms = { satoshi, confirmationTime, lockTime: bond.lockTime, now: 1_700_000_000 };
  const expected = bondValue({ ...terms, ...bondPolicy });
  t.equal(valueIn(taker.live), expected);
  t.equal(valueIn(watcher.book), expected);
  t.equal(valueIn(own), expected);
  t.equal(valueIn(book), bondValue(terms), 'without a setting, as deployed peers do');
  t.not(expected, bondValue(terms));
});

t.test('a live book over two directories', async (t) => {
  const { channel, clock, book, first, second, readAll, names } = await opened(t);
  const told: BookChange[] = [];
  book.on('change', (change) => void told.push(change));
  t.match(await first.nextOf(687), { line: `${channel.nick}!PUBLIC!orderbook` });

  const maker = keyOf(20);
  const proof = bondProof(ownBond(1), maker.nick, channel.nick);
  const line = formatPrivmsg(
    maker,
    channel.nick,
    'sw0reloffer',
    `${OFFER.slice(12)}!tbond ${proof}`,
  );
  for (const session of [first, second]) session.send(685, line);
  const quiet = keyOf(21).nick;
  first.pubmsg(quiet, 'sw0absoffer 3 27300 90000 0 7');
  await readAll(first, second);
  clock.advance(1_000);

  const snapshot = book.snapshot();
  t.match(snapshot, {
    now: clock.now(),
    entries: [
      {
        id: `${maker.nick}/0`,
        verified: true,
        unverified: undefined,
        directories: [names.a, names.b],
        bond: { state: 'signed', value: undefined },
      },
      { id: `${quiet}/3`, verified: false, unverified: 'public-only', directories: [names.a] },
    ],
  });
  t.equal(told.at(-1)?.version, snapshot.version);
  t.equal(book.changesSince(0)?.length, snapshot.version);
  t.match(book.statistics(), {
    offers: 2,
    makers: 2,
    verifiedOffers: 1,
    bondedMakers: 1,
    valuedMakers: 0,
    chain: 'none',
    directoriesUp: 2,
    directories: [
      {
        directory: names.a,
        offers: 2,
        makers: 2,
        only: 1,
        missingCount: 0,
        sessions: 1,
        losses: 0,
      },
      { directory: names.b, offers: 1, makers: 1, only: 0, missingCount: 1, missing: [quiet] },
    ],
    refreshedAt: 1_000,
  });

  t.test('asked again only after a while', async (t) => {
    t.equal(book.refresh(), false);
    clock.advance(30_000);
    t.equal(book.refresh(), true);
    t.match(await first.nextOf(687), { line: `${channel.nick}!PUBLIC!orderbook` });
    clock.advance(600_000);
    t.match(await first.nextOf(687), { line: `${channel.nick}!PUBLIC!orderbook` });
  });

  t.test('a leave counts for its directory, the last one removes the maker', async (t) => {
    for (const session of [first, second]) session.send(685, line);
    await readAll(first, second);
    first.send(789, `${maker.nick};NOT-SERVING-ONION;D`);
    await readAll(first);
    t.match(
      book.snapshot().entries.find(({ id }) => id.startsWith(maker.nick)),
      {
        directories: [names.b],
        sightings: [{ directory: names.a, withdrawn: { why: 'left' } }, { withdrawn: undefined }],
      },
    );
    second.send(789, `${maker.nick};NOT-SERVING-ONION;D`);
    await readAll(second);
    t.notOk(book.snapshot().entries.some(({ id }) => id.startsWith(maker.nick)));
    clock.advance(250);
    t.ok(told.at(-1)?.removed.includes(`${maker.nick}/0`));
    t.equal(book.statistics().bondedMakers, 0, 'its bond is removed too');
  });

  t.test('a bond in a public message does not count', async (t) => {
    const other = keyOf(22);
    first.pubmsg(other.nick, `sw0absoffer 0 27300 90000 0 7!tbond ${proof}`);
    await readAll(first);
    t.equal(book.snapshot().entries.find((one) => one.maker === other.nick)?.bond, undefined);
  });

  t.test('a lost directory shows no offer', async (t) => {
    first.cut();
    await channel.next('directory-down');
    t.match(book.statistics(), {
      directoriesUp: 1,
      directories: [{ state: 'waiting', losses: 1, offers: 0 }, { state: 'up' }],
    });
  });

  t.test('no change after close', async (t) => {
    book.close();
    const { version } = book;
    second.pubmsg(keyOf(23).nick, 'sw0absoffer 0 27300 90000 0 7');
    await readAll(second);
    clock.advance(10_000);
    t.equal(book.version, version);
    t.equal(book.offers, book.snapshot().entries.length);
  });
});

t.test('a coin counts once, and again when the first claim is gone', async (t) => {
  const { channel, clock, book, first, second, readAll } = await opened(t);
  const bond = ownBond(3);
  /** Sends the answer of one maker under one of its nicks, through this directory. */
  const answer = async (session: FakeSession, nick: number): Promise<void> => {
    const key = keyOf(nick);
    const proof = bondProof(bond, key.nick, channel.nick);
    const args = `${OFFER.slice(12)}!tbond ${proof}`;
    session.send(685, formatPrivmsg(key, channel.nick, 'sw0reloffer', args));
    await readAll(session);
    clock.advance(1_000);
  };
  const bonds = (): unknown[] =>
    [40, 41, 42].map(
      (nick) =>
        book.snapshot().entries.find(({ maker }) => maker === keyOf(nick).nick)?.bond?.state,
    );
  await answer(first, 40);
  t.strictSame(bonds(), ['signed', undefined, undefined]);
  await answer(second, 41);
  t.strictSame(bonds(), ['claimed', 'signed', undefined], 'it came back under a new nick');
  t.equal(book.statistics().bondedMakers, 2);
  clock.advance(31_000);
  await answer(second, 40);
  t.strictSame(bonds(), ['claimed', 'signed', undefined], 'a directory repeats an old message');
  second.send(789, `${keyOf(40).nick};NOT-SERVING-ONION;D`);
  first.send(789, `${keyOf(40).nick};NOT-SERVING-ONION;D`);
  await readAll(first, second);
  t.strictSame(bonds(), [undefined, 'signed', undefined], 'the old nick is gone');
  await answer(first, 42);
  t.strictSame(bonds(), [undefined, 'claimed', 'signed']);
  first.send(789, `${keyOf(42).nick};NOT-SERVING-ONION;D`);
  await readAll(first);
  t.strictSame(bonds(), [undefined, 'signed', undefined], 'the freed claim is checked again');
  clock.advance(31_000);
  await answer(first, 42);
  t.strictSame(bonds(), [undefined, 'signed', 'claimed'], 'a message heard before is not newer');
});

t.test('the directories that list a maker, for any route of its answer', async (t) => {
  const { channel, clock, book, first, second, readAll, names } = await opened(t);
  const told: BookChange[] = [];
  book.on('change', (change) => void told.push(change));
  const maker = keyOf(20);
  first.send(685, formatPrivmsg(maker, channel.nick, 'sw0reloffer', OFFER.slice(12)));
  await readAll(first);
  clock.advance(250);
  t.match(told.at(-1)?.upserts, [{ directories: [names.a], listedBy: [names.a] }]);
  second.send(789, `${maker.nick};127.0.0.1:1`);
  await readAll(second);
  t.match(book.snapshot().entries, [
    { directories: [names.a], listedBy: [names.a, names.b], sightings: [{ directory: names.a }] },
  ]);
  clock.advance(60_250);
  t.match(told.at(-1)?.upserts, [{ listedBy: [names.a, names.b] }], 'without a message of it');
  second.send(789, `${maker.nick};NOT-SERVING-ONION;D`);
  await readAll(second);
  t.match(book.snapshot().entries, [{ listedBy: [names.a] }]);
});

t.test('an offer replaced by a malformed one is removed', async (t) => {
  const { channel, clock, book, first, second, readAll, names } = await opened(t);
  const [maker, quiet] = [keyOf(20), keyOf(21)];
  const signedBy = (text: string): string =>
    formatPrivmsg(maker, channel.nick, 'sw0reloffer', text.slice(12));
  for (const session of [first, second]) session.send(685, signedBy(OFFER));
  first.pubmsg(quiet.nick, OFFER);
  await readAll(first, second);
  t.equal(book.offers, 2);
  for (const { nick } of [maker, quiet]) first.pubmsg(nick, 'sw0reloffer 0 27300 90000 0 1');
  await readAll(first);
  t.match(book.snapshot().entries, [{ maker: maker.nick, directories: [names.b] }]);
  second.send(685, signedBy('sw0reloffer 0 27300 90000 0 -1'));
  await readAll(second);
  t.equal(book.offers, 0);
  clock.advance(250);
});

t.test('a maker without a signed offer is asked in private at once', async (t) => {
  const { channel, clock, book, first, second, readAll } = await opened(t);
  let marks = 0;
  /** The lines that the channel sent to this directory since the last call, without marks. */
  const saidTo = async (session: FakeSession): Promise<readonly string[]> => {
    const mark = `${channel.nick}!PUBLIC!hp2 said${marks++}`;
    channel.publish(mark.slice(mark.indexOf('hp2')));
    const lines: string[] = [];
    for (;;) {
      // oxlint-disable-next-line no-await-in-loop -- one line after the other
      const { line } = await session.next();
      if (line === mark) return lines.filter((one) => !one.includes('!hp2 said'));
      lines.push(line.replace(/ signed \w+ \S+$/, ' signed'));
    }
  };
  const question = (nick: string): string => `${channel.nick}!${nick}!orderbook signed`;
  const toAll = `${channel.nick}!PUBLIC!orderbook`;
  const maker = keyOf(20);
  const privately = async (text: string): Promise<void> => {
    first.send(685, formatPrivmsg(maker, channel.nick, 'sw0reloffer', text.slice(12)));
    await readAll(first);
  };
  await first.nextOf(687);
  first.pubmsg(maker.nick, OFFER);
  await readAll(first);
  clock.advance(0);
  t.strictSame(await saidTo(first), [question(maker.nick)]);
  await privately(OFFER);
  t.match(book.snapshot().entries, [{ verified: true }]);
  clock.advance(25_000);

  t.test('once in two minutes, also when its terms have changed', async (t) => {
    const other = 'sw0reloffer 0 27300 90000000 0 0.00003';
    first.pubmsg(maker.nick, other);
    await readAll(first);
    clock.advance(95_000);
    t.strictSame(await saidTo(first), []);
    t.match(book.snapshot().entries, [{ cjfee: '0.00002' }]);
    first.pubmsg(maker.nick, other);
    await readAll(first);
    clock.advance(0);
    t.strictSame(await saidTo(first), [question(maker.nick)]);
    await privately(other);
    t.match(book.snapshot().entries, [{ cjfee: '0.00003', verified: true }]);
    clock.advance(30_000);
    t.strictSame(await saidTo(first), [], 'an answer causes no request to others');
  });

  t.test('two a second; a directory that invents makers delays no others', async (t) => {
    for (let n = 0; n < 150; n++) first.pubmsg(`J5invented${n}`, OFFER);
    await readAll(first);
    second.pubmsg(keyOf(22).nick, OFFER);
    await readAll(second);
    clock.advance(1_000);
    t.strictSame(
      (await saidTo(second)).filter((line) => line !== toAll),
      [question(keyOf(22).nick)],
    );
    clock.advance(9_000);
    t.equal((await saidTo(first)).length, 20, 'in ten seconds, the first at once');
    clock.advance(45_000);
    const late = await saidTo(first);
    t.equal(late.filter((line) => line !== toAll).length, 80, 'at most a hundred wait');
  });
});

t.test('a silent maker is asked with all others, three minutes after the last time', async (t) => {
  const { channel, clock, book, first, second, readAll } = await opened(t);
  await first.nextOf(687);
  const asked = book.statistics().refreshedAt ?? 0;
  second.pubmsg(keyOf(24).nick, OFFER);
  await readAll(second);
  clock.advance(0);
  await second.nextOf(685);
  clock.advance(asked + 179_999 - clock.now());
  t.equal(book.statistics().refreshedAt, asked);
  clock.advance(1);
  t.match(await first.nextOf(687), { line: `${channel.nick}!PUBLIC!orderbook` });
  t.equal(book.statistics().refreshedAt, asked + 180_000);
  second.pubmsg(keyOf(24).nick, OFFER);
  await readAll(second);
  clock.advance(0);
  await second.nextOf(685);
  clock.advance(30_000);
  const { pending } = clock;
  book.close();
  t.ok(clock.pending < pending);
  clock.advance(200_000);
  t.equal(book.statistics().refreshedAt, asked + 180_000, 'no request after close');
});

t.test('offers that are not repeated expire', async (t) => {
  const { clock, book, first, readAll } = await opened(t, { expireMs: 120_000 });
  first.pubmsg(keyOf(20).nick, OFFER);
  await readAll(first);
  clock.advance(60_000);
  t.equal(book.offers, 1);
  clock.advance(120_000);
  t.equal(book.offers + book.makers, 0);
});

t.test('the time that directories were up', async (t) => {
  const directory = await startFakeDirectory();
  t.teardown(() => directory.close());
  const channel = openTestChannel([directory.location]);
  t.teardown(() => channel.close());
  const name = formatLocation(directory.location);
  const changed: boolean[] = [];
  const early = watchDirectories(channel, channel.clock, (_, up) => void changed.push(up));
  t.strictSame(early.of(name), { since: undefined, sessions: 0, losses: 0, upForMs: 0 });
  const session = await directory.acceptHandshake();
  await channel.next('directory-up');
  channel.clock.advance(5_000);
  const late = watchDirectories(channel, channel.clock, () => {});
  t.match(early.of(name), { sessions: 1, upForMs: 5_000 });
  t.match(late.of(name), { sessions: 1, upForMs: 0 }, 'since it was opened');
  session.cut();
  await channel.next('directory-down');
  channel.clock.advance(500);
  t.match(early.of(name), { sessions: 1, losses: 1, upForMs: 5_000, since: 6_000 });
  t.strictSame(changed, [true, false]);
  early.close();
  late.close();
});
