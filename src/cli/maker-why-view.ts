/** Shows the answer of `onionmc maker why` in at most 80 columns. */
import { formatBtc } from '../bitcoin/amount.js';
import { grouped, shiftDecimal } from '../kit/decimal.js';
import { shownLine } from '../kit/shown-text.js';
import { textTable } from '../kit/text-table.js';
import type { Chance } from '../maker/pick-chance.js';
import type { Rank, TypicalTaker, WhyAmount, WhyChange, WhyReport } from '../maker/why.js';
import { isRelative, type Offer } from '../protocol/offer.js';

export interface WhyAnswer {
  /** Whether the offers are those of a running maker, or follow from the wallet. */
  readonly source: 'running' | 'wallet';
  readonly nick: string | undefined;
  readonly offers: readonly Offer[];
  readonly noOffer: string | undefined;
  readonly bond: number | undefined;
  readonly taker: TypicalTaker;
  readonly report: WhyReport;
}

const WIDTH = 80;

/** `0.1`: BTC without zeros at the end. */
export function shortBtc(satoshi: number): string {
  return formatBtc(satoshi).replace(/\.?0+$/, '');
}

const percent = (share: number): string => `${Number((share * 100).toPrecision(3))} %`;

/** Expected picks in 100 coinjoins, with the error of a simulation. */
function picksText(picks: Chance | undefined): string {
  if (picks === undefined) return '?';
  const { chance, error } = picks;
  const text = (chance * 100).toFixed(1);
  return error < 0.0005 ? text : `${text} ±${(error * 100).toFixed(1)}`;
}

function rankText(rank: Rank | undefined): string {
  if (rank === undefined) return '-';
  return `${grouped(rank.rank)} of ${grouped(rank.of)}`;
}

const OBSTACLES: Readonly<Record<NonNullable<WhyAmount['obstacle']>, string>> = {
  'no-offer': 'no offer',
  'amount-too-small': 'amount too small',
  'amount-too-large': 'amount too large',
  'fee-limit': 'fee too high',
};

function amountRow({ amount, makers, bonded, obstacle, cost, ...view }: WhyAmount) {
  return [
    shortBtc(amount),
    `${grouped(makers)} (${grouped(bonded)})`,
    cost === undefined ? '-' : `${grouped(cost)} sat`,
    rankText(view.byFee),
    rankText(view.byBond),
    obstacle === undefined ? picksText(view.picks) : OBSTACLES[obstacle],
  ];
}

function offerLine({ type, oid, minsize, maxsize, cjfee }: Offer): string {
  const fee = isRelative(type)
    ? `${shiftDecimal(cjfee, 2) ?? cjfee} %`
    : `${grouped(Number(cjfee))} sat`;
  return `  ${type} ${oid}: ${shortBtc(minsize)} to ${shortBtc(maxsize)} BTC for ${fee}`;
}

function changeLine(change: WhyChange): string {
  const { amount, picks } = change;
  const then = `${picksText(picks)} picks in 100 coinjoins of ${shortBtc(amount)} BTC`;
  switch (change.kind) {
    case 'lower-fee':
      return `a fee of at most ${grouped(change.cost)} sat: ${then}`;
    case 'larger-maxsize':
      return `offers up to that amount (more coins in one mixdepth): ${then}`;
    case 'smaller-minsize':
      return `offers from that amount on (minsize in [YIELDGENERATOR]): ${then}`;
    case 'bond':
      return `a bond of ${shortBtc(change.lock)} BTC for ${change.months} months: ${then}`;
  }
}

/** Lines of at most 80 columns; the second and later ones are indented. */
function wrapped(text: string, first = '', next = first): readonly string[] {
  const lines: string[] = [];
  let line = first;
  for (const word of text.split(' ')) {
    const isStart = line === first || line === next;
    if (!isStart && line.length + 1 + word.length > WIDTH) {
      lines.push(line);
      line = next + word;
    } else line += `${isStart ? '' : ' '}${word}`;
  }
  return [...lines, line];
}

const COLUMNS = [
  { heading: 'BTC', numeric: true },
  { heading: 'makers (bonds)', numeric: true },
  { heading: 'you cost', numeric: true },
  { heading: 'by fee' },
  { heading: 'by bond' },
  { heading: 'picks in 100' },
] as const;

/** The whole answer, without a final line feed. */
export function whyText(name: string, answer: WhyAnswer): string {
  const { source, nick, offers, noOffer, bond, taker, report } = answer;
  const { maxCjFeeAbs = 0, maxCjFeeRel = 0 } = taker.policy;
  const from =
    source === 'running'
      ? `the running maker ${shownLine(nick ?? '')}`
      : 'the wallet; a running maker varies them at random';
  const bondText =
    bond === undefined ? 'value not known' : bond === 0 ? 'none' : `value ${bond.toPrecision(3)}`;
  return [
    ...wrapped(`${name}: offers of ${from}`),
    ...(offers.length === 0 ? wrapped(`no offer: ${noOffer ?? 'unknown'}`, '  ') : []),
    ...offers.map(offerLine),
    `  fidelity bond: ${bondText}`,
    '',
    ...textTable(COLUMNS, report.amounts.map(amountRow)),
    '',
    ...wrapped(
      `For takers with default settings: ${taker.makers} makers, each at most ${grouped(maxCjFeeAbs)} sat or ${percent(maxCjFeeRel)}, chosen by bonds except ${percent(taker.bondless)} of the seats. Below these limits the default choice does not look at fees.`,
    ),
    ...report.gaps.flatMap((gap) => wrapped(gap, '! ', '  ')),
    ...(report.changes.length === 0 ? [] : ['', 'What would change it:']),
    ...report.changes.flatMap((change) => wrapped(changeLine(change), '  ', '    ')),
  ].join('\n');
}
