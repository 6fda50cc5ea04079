/** Section 8 of docs/protocol.md: the command table, command texts, offers and their fees. */
import t from 'tap';
import {
  COMMANDS,
  isCommandName,
  isOfferType,
  MAX_COMMANDS,
  OFFER_TYPES,
  parseCommands,
  type CommandRule,
  type OfferType,
} from '../../src/protocol/commands.js';
import {
  DUST_THRESHOLD,
  formatOffer,
  isRelative,
  MAX_SATOSHI,
  offerFee,
  parseOffer,
  type Offer,
} from '../../src/protocol/offer.js';

/** The commands for which `test` holds, sorted. */
function named(test: (rule: CommandRule) => boolean): string[] {
  return Object.entries<CommandRule>(COMMANDS)
    .filter(([, rule]) => test(rule))
    .map(([name]) => name)
    .toSorted();
}

t.test('the command table', async (t) => {
  const offers = ['absoffer', 'reloffer', 'sw0absoffer', 'sw0reloffer', 'swabsoffer', 'swreloffer'];
  const encrypted = ['auth', 'ioauth', 'sig', 'tx'];
  const plain = ['error', 'fill', 'hp2', 'orderbook', 'pubkey', 'push', ...offers];
  t.strictSame(
    named((rule) => rule.encrypted),
    encrypted,
  );
  t.strictSame(
    named((rule) => rule.private && !rule.encrypted),
    plain.toSorted(),
  );
  t.strictSame(
    named((rule) => rule.public),
    ['cancel', 'hp2', 'orderbook', ...offers].toSorted(),
  );
  t.strictSame(
    named((rule) => !rule.public && !rule.private),
    ['tbond'],
  );
  t.strictSame([...OFFER_TYPES].toSorted(), offers);
  for (const name of Object.keys(COMMANDS)) {
    t.equal(isCommandName(name), true, name);
    t.equal(isOfferType(name), offers.includes(name), name);
  }
  for (const name of ['', 'FILL', 'Orderbook', 'toString', '__proto__', 'offer', 'fill ']) {
    t.equal(isCommandName(name), false, JSON.stringify(name));
    t.equal(isOfferType(name), false, JSON.stringify(name));
  }
});

t.test('command texts', async (t) => {
  const rows: readonly [string, readonly (readonly string[])[]][] = [
    ['orderbook', [['orderbook']]],
    ['orderbook ', [['orderbook']]],
    ['!orderbook', [['orderbook']]],
    ['!!!orderbook!', [['orderbook']]],
    ['fill 0 100000 pk Pc', [['fill', '0', '100000', 'pk', 'Pc']]],
    [
      'cancel 0!cancel 1',
      [
        ['cancel', '0'],
        ['cancel', '1'],
      ],
    ],
    ['a 1!!b  2 ! c', [['a', '1'], ['b', '2'], ['c']]],
    [
      'sw0reloffer 0 1 2 3 0.1!tbond AA==',
      [
        ['sw0reloffer', '0', '1', '2', '3', '0.1'],
        ['tbond', 'AA=='],
      ],
    ],
    ['unknown words pass', [['unknown', 'words', 'pass']]],
    ['a\tb\n', [['a\tb\n']]],
    ['__proto__ x', [['__proto__', 'x']]],
  ];
  for (const [text, expected] of rows) {
    const commands = expected.map(([name, ...args]) => ({ name, args }));
    t.strictSame(parseCommands(text), { ok: true, value: commands }, JSON.stringify(text));
  }
  for (const text of ['', ' ', '!', '! ! !', '!!!']) {
    t.strictSame(parseCommands(text), { ok: false, reason: 'command-empty' }, JSON.stringify(text));
  }
  const many = Array.from({ length: MAX_COMMANDS }, () => 'x');
  const parsed = parseCommands(many.join('!'));
  t.equal(parsed.ok && parsed.value.length, MAX_COMMANDS);
  t.strictSame(parseCommands([...many, 'x'].join('!')), { ok: false, reason: 'commands-too-many' });
  t.equal(parseCommands([...many, '', ' '].join('!')).ok, true, 'empty commands do not count');
});

const OFFER: Offer = {
  type: 'sw0reloffer',
  oid: 0,
  minsize: 27_300,
  maxsize: 500_000_000,
  txfee: 0,
  cjfee: '0.00002',
};

function read(text: string): ReturnType<typeof parseOffer> {
  const commands = parseCommands(text);
  const [first] = commands.ok ? commands.value : [];
  if (first === undefined) throw new Error(`no command: ${text}`);
  return parseOffer(first);
}

t.test('offers that are accepted', async (t) => {
  const rows: readonly (readonly [string, string, Partial<Offer>])[] = [
    ['relative', 'sw0reloffer 0 27300 500000000 0 0.00002', {}],
    [
      'absolute',
      'sw0absoffer 1 27300 500000000 0 500',
      { type: 'sw0absoffer', oid: 1, cjfee: '500' },
    ],
    ['further tokens', 'sw0reloffer 0 27300 500000000 0 0.00002 x y', {}],
    ['a size below dust is raised', 'sw0reloffer 0 0 500000000 0 0.00002', {}],
    ['dust less one', 'sw0reloffer 0 27299 500000000 0 0.00002', {}],
    ['dust and one', 'sw0reloffer 0 27301 500000000 0 0.00002', { minsize: 27_301 }],
    ['one size', 'sw0reloffer 0 27300 27300 0 0.00002', { maxsize: 27_300 }],
    ['all coins', 'sw0reloffer 0 27300 2100000000000000 0 0.00002', { maxsize: MAX_SATOSHI }],
    [
      'a miner fee',
      'sw0reloffer 0 27300 500000000 2100000000000000 0.00002',
      { txfee: MAX_SATOSHI },
    ],
    [
      'the largest exact oid',
      'sw0reloffer 9007199254740991 27300 500000000 0 0.00002',
      { oid: Number.MAX_SAFE_INTEGER },
    ],
    ['leading zeros', 'sw0reloffer 00 027300 500000000 0 0.00002', {}],
    ['no absolute fee', 'sw0absoffer 0 27300 500000000 0 0', { type: 'sw0absoffer', cjfee: '0' }],
    [
      'all coins as the fee',
      'swabsoffer 0 27300 500000000 0 2100000000000000',
      { type: 'swabsoffer', cjfee: '2100000000000000' },
    ],
    ...[
      '0',
      '0.0',
      '.5',
      '0.',
      '1e-5',
      '2E-05',
      '0.1e0',
      '0.01e+1',
      '0.999999999999999999999999999999',
      '9e-32',
      '0e32',
      `.${'9'.repeat(32)}`,
    ].map(
      (cjfee) =>
        [`relative fee ${cjfee}`, `sw0reloffer 0 27300 500000000 0 ${cjfee}`, { cjfee }] as const,
    ),
    ...OFFER_TYPES.filter((type) => !isRelative(type)).map(
      (type) => [type, `${type} 0 27300 500000000 0 5`, { type, cjfee: '5' }] as const,
    ),
    ...OFFER_TYPES.filter(isRelative).map(
      (type) => [type, `${type} 0 27300 500000000 0 0.00002`, { type }] as const,
    ),
  ];
  for (const [name, text, changes] of rows) {
    const offer = { ...OFFER, ...changes };
    t.strictSame(read(text), { ok: true, value: offer }, name);
    t.strictSame(read(formatOffer(offer)), { ok: true, value: offer }, `${name}, written again`);
  }
  t.equal(formatOffer(OFFER), 'sw0reloffer 0 27300 500000000 0 0.00002');
  t.equal(DUST_THRESHOLD, 27_300);
});

const absolute = (cjfee: string): readonly [string, string, string] => [
  `absolute fee ${cjfee}`,
  `sw0absoffer 0 27300 500000000 0 ${cjfee}`,
  'offer-cjfee',
];

const relative = (cjfee: string): readonly [string, string, string] => [
  `relative fee ${cjfee}`,
  `sw0reloffer 0 27300 500000000 0 ${cjfee}`,
  'offer-cjfee',
];

t.test('offers that are refused', async (t) => {
  const rows: readonly (readonly [string, string, string])[] = [
    ['not an offer', 'orderbook', 'offer-type'],
    ['capitals', 'SW0RELOFFER 0 27300 500000000 0 0.00002', 'offer-type'],
    ['no arguments', 'sw0reloffer', 'offer-arity'],
    ['four arguments', 'sw0reloffer 0 27300 500000000 0', 'offer-arity'],
    ['oid negative', 'sw0reloffer -1 27300 500000000 0 0.00002', 'offer-oid'],
    ['oid a fraction', 'sw0reloffer 1.0 27300 500000000 0 0.00002', 'offer-oid'],
    ['oid a word', 'sw0reloffer x 27300 500000000 0 0.00002', 'offer-oid'],
    [
      'oid beyond exact integers',
      'sw0reloffer 9007199254740992 27300 500000000 0 0.00002',
      'offer-oid',
    ],
    ['oid very long', `sw0reloffer ${'1'.repeat(10_000)} 27300 500000000 0 0.00002`, 'offer-oid'],
    ['minsize negative', 'sw0reloffer 0 -1 500000000 0 0.00002', 'offer-size'],
    [
      'minsize above all coins',
      'sw0reloffer 0 2100000000000001 2100000000000001 0 0.00002',
      'offer-size',
    ],
    ['maxsize above all coins', 'sw0reloffer 0 27300 2100000000000001 0 0.00002', 'offer-size'],
    ['maxsize below minsize', 'sw0reloffer 0 27302 27301 0 0.00002', 'offer-size'],
    ['maxsize below dust', 'sw0reloffer 0 0 27299 0 0.00002', 'offer-size'],
    ['maxsize in exponents', 'sw0reloffer 0 27300 5e8 0 0.00002', 'offer-size'],
    ['txfee negative', 'sw0reloffer 0 27300 500000000 -1 0.00002', 'offer-txfee'],
    ['txfee a fraction', 'sw0reloffer 0 27300 500000000 0.5 0.00002', 'offer-txfee'],
    [
      'txfee above all coins',
      'sw0reloffer 0 27300 500000000 2100000000000001 0.00002',
      'offer-txfee',
    ],
    ...[
      '1',
      '1.0',
      '1e0',
      '10e-1',
      '2',
      '-0.1',
      '-0',
      '+0.1',
      'NaN',
      'sNaN',
      'Infinity',
      'inf',
      '.',
      'e5',
      '.e-5',
      '0x1',
      '0,1',
      '0.1.1',
      '1e',
      '1e-',
      '1e-33',
      '1e-99',
      '1e999',
      '0_1',
      '٠',
      `0.${'0'.repeat(32)}`,
      `.${'1'.repeat(33)}`,
      '0'.repeat(33),
      '9'.repeat(30_000),
    ].map(relative),
    ...['-1', '0.5', '1e3', 'NaN', '+5', '2100000000000001', '9'.repeat(30_000)].map(absolute),
  ];
  for (const [name, text, reason] of rows) {
    t.strictSame(read(text), { ok: false, reason }, name.slice(0, 60));
  }
});

t.test('fees', async (t) => {
  const rows: readonly [OfferType, string, number, number][] = [
    ['sw0absoffer', '500', 100_000, 500],
    ['sw0absoffer', '0500', 1, 500],
    ['absoffer', '0', 100_000, 0],
    ['sw0reloffer', '0.00002', 100_000_000, 2_000],
    ['sw0reloffer', '0.00002', 0, 0],
    ['sw0reloffer', '2e-5', 100_000_000, 2_000],
    ['sw0reloffer', '0.00002', 25_000, 0],
    ['sw0reloffer', '0.00002', 25_001, 1],
    ['sw0reloffer', '0.00002', 75_000, 2],
    ['sw0reloffer', '0.00002', 74_999, 1],
    ['sw0reloffer', '0.5', 1, 0],
    ['sw0reloffer', '0.5', 3, 2],
    ['sw0reloffer', '0.5', 5, 2],
    ['sw0reloffer', '0.5', 7, 4],
    ['sw0reloffer', '.50000000000000000000000000000001', 5, 3],
    ['swreloffer', '0.999999999999999999999999999999', MAX_SATOSHI, MAX_SATOSHI],
    ['reloffer', '9e-32', MAX_SATOSHI, 0],
    ['reloffer', '0.1', 2_099_999_999_999_995, 210_000_000_000_000],
  ];
  for (const [type, cjfee, amount, fee] of rows) {
    t.equal(offerFee({ ...OFFER, type, cjfee }, amount), fee, `${type} ${cjfee} of ${amount}`);
  }
  t.throws(() => offerFee({ ...OFFER, cjfee: 'NaN' }, 1), RangeError, 'an unchecked fee');
  t.throws(() => offerFee(OFFER, 0.5), RangeError, 'half a satoshi');
});
