/** What a taker takes from the live orderbook: offers for its addresses, and reasons for doubt. */
import t from 'tap';
import type {
  AuditFlag,
  BookEntry,
  DirectoryAudit,
  EvidenceRecord,
} from '../../src/orderbook/book-api.js';
import { doubtsAbout, offersFor } from '../../src/taker/book-offers.js';

const NOW = 1_800_000_000;

const entry = (maker: string, part: Partial<BookEntry> = {}): BookEntry => ({
  id: `${maker}/0`,
  maker,
  type: 'sw0reloffer',
  oid: 0,
  minsize: 27_300,
  maxsize: 1_000_000,
  txfee: 0,
  cjfee: '0.00001',
  verified: true,
  unverified: undefined,
  firstSeen: 1,
  lastSeen: 1,
  direct: undefined,
  sightings: [],
  directories: ['d1:1', 'd2:1'],
  bond: undefined,
  ...part,
});

const flag = (maker: string | undefined): AuditFlag => ({
  kind: maker === undefined ? 'lossy' : 'withholds',
  maker,
  since: 0,
  rounds: 9,
  delivered: 0,
  evidence: 20,
  detail: '',
});

const audit = (
  directory: string,
  flags: readonly AuditFlag[],
  avoided: boolean,
): DirectoryAudit => ({
  directory,
  flags,
  flagged: flags.length,
  avoided,
  rounds: 9,
  delivered: 0,
  publicExpected: 0,
  publicDelivered: 0,
  leaves: 0,
  leavesContradicted: 0,
  suspicion: 0,
});

t.test("only offers for the wallet's addresses", (t) => {
  const types = [
    'sw0reloffer',
    'sw0absoffer',
    'swreloffer',
    'swabsoffer',
    'reloffer',
    'absoffer',
  ] as const;
  const entries = types.map((type, n) => entry(`m${n}`, { type }));
  t.strictSame(
    offersFor(entries, 'p2wpkh').map(({ type }) => type),
    ['sw0reloffer', 'sw0absoffer'],
  );
  t.strictSame(
    offersFor(entries, 'p2sh-p2wpkh').map(({ type }) => type),
    ['swreloffer', 'swabsoffer'],
  );
  t.end();
});

const bond = (state: 'valued' | 'invalid'): NonNullable<BookEntry['bond']> => ({
  outpoint: 'aa:0',
  utxoPublicKey: '02',
  locktime: 5,
  certExpiry: 1,
  state,
  detail: '',
  amount: 1,
  confirmedAt: 1,
  value: 1,
});

/** A flag of a former run, so many days ago. */
const flagged = (directory: string, maker: string, days: number): EvidenceRecord => ({
  atEpoch: 1_000 * (NOW - days * 86_400),
  directory,
  event: 'flag',
  kind: 'withholds',
  maker,
  rounds: 9,
  delivered: 0,
  evidence: 20,
  compared: {},
});

t.test('reasons to ask a maker later', (t) => {
  const failed = new Map([
    ['nick failed', { failures: 1, at: NOW, fault: 'silent' }],
    ['bond aa:0/02/5', { failures: 1, at: NOW, fault: 'silent' }],
  ]);
  const audits = [
    audit('d1:1', [flag('withheld')], false),
    audit('d2:1', [flag('withheld')], false),
    audit('bad:1', [flag(undefined), flag('other')], true),
    audit('good:1', [], false),
  ];
  const evidence = [
    flagged('was:1', 'w1', 1),
    flagged('was:1', 'w2', 1),
    flagged('was:1', 'w3', 1),
    flagged('cleared:1', 'w1', 2),
    { ...flagged('cleared:1', 'w1', 1), event: 'clear' } as const,
    flagged('longago:1', 'w1', 8),
  ];
  const rows: readonly (readonly [string, BookEntry, number])[] = [
    ['no reason', entry('fine'), 0],
    ['it failed lately', entry('failed'), 1],
    ['its bond failed under another nick', entry('new', { bond: bond('valued') }), 1],
    ['a bond that it did not prove', entry('liar', { bond: bond('invalid') }), 0],
    ['no signed message', entry('public', { verified: false, unverified: 'public-only' }), 1],
    ['all its directories withhold its messages', entry('withheld'), 1],
    ['not all of them', entry('withheld', { directories: ['d1:1', 'good:1'] }), 0],
    ['it has a direct link', entry('withheld', { direct: { firstSeen: 1, lastSeen: 1 } }), 0],
    ['listed only by a directory that is avoided', entry('x', { directories: ['bad:1'] }), 1],
    ['listed elsewhere too', entry('x', { directories: ['bad:1'], listedBy: ['good:1'] }), 0],
    ['no directory shows it', entry('x', { directories: [] }), 0],
    [
      'its directory withheld messages of many, in a former run',
      entry('x', { directories: ['was:1'] }),
      1,
    ],
    ['its directory was cleared', entry('w1', { directories: ['cleared:1'] }), 0],
    ['that was long ago', entry('w1', { directories: ['longago:1'] }), 0],
    ['two reasons', entry('failed', { verified: false, unverified: 'public-only' }), 2],
  ];
  for (const [name, one, expected] of rows) {
    t.equal(doubtsAbout([one], { failed, now: NOW, audits, evidence })(one), expected, name);
  }
  const half = [flag('a'), flag('b'), flag('c')];
  const split = [audit('d1:1', half, true), audit('d2:1', half, true), audit('d3:1', [], false)];
  const alone = entry('x', { directories: ['d1:1'] });
  const most = { failed, now: NOW, audits: split, evidence: [] };
  t.equal(
    doubtsAbout([alone], most)(alone),
    0,
    'most directories are flagged: then it says nothing',
  );
  t.equal(
    doubtsAbout([], { failed, now: NOW, audits, evidence })(entry('failed')),
    0,
    'not in the book',
  );
  t.end();
});
