/** A planned coinjoin as a person sees it before the question, and as `--json` has it. Pure. */
import { formatBtc } from '../../bitcoin/amount.js';
import { counted, grouped } from '../../kit/decimal.js';
import { textTable, type Row } from '../../kit/text-table.js';
import { formatOutpoint } from '../../protocol/outpoint.js';
import type { CoinjoinPlan, CommitmentCoin } from '../../taker/api.js';
import { percent, satPerVbyte } from '../wallet/format.js';

/** Rows of coins and proofs that are shown; the rest is counted. */
const MOST_ROWS = 8;

/** The rows of a list, the first with its name; of a long list the rest is counted. */
function listed(name: string, rows: readonly Row[], what: string): readonly Row[] {
  const shown = rows.slice(0, MOST_ROWS).map((row, n) => [n === 0 ? name : '', ...row]);
  const more = rows.length - shown.length;
  return more === 0 ? shown : [...shown, ['', '', `and ${counted(more, what)} more`]];
}

const cost = (fee: number, amount: number): string =>
  `${grouped(fee)} sat (${percent(fee, amount)})`;

function destinationText({ request }: CoinjoinPlan): string {
  return request.destination.kind === 'internal'
    ? `a fresh address of the next mixdepth`
    : request.destination.address;
}

function makersText({ request, makers, fitting }: CoinjoinPlan): string {
  const asked = Math.min(request.makers, makers.length);
  const bonded = makers.slice(0, asked).filter((maker) => maker.bonded).length;
  const fit = `${counted(fitting, 'maker')} of the orderbook ${fitting === 1 ? 'fits' : 'fit'}`;
  if (asked === 0) return `none can be asked; ${fit}`;
  return `${counted(asked, 'maker')}, ${bonded} with a bond; ${fit}`;
}

function proofText(coin: CommitmentCoin): string {
  const { confirmations, triesLeft, fault, external } = coin;
  const left = triesLeft === 0 ? 'no tries left' : `${counted(triesLeft, 'try', 'tries')} left`;
  const facts = [
    left,
    `${grouped(confirmations)} confirmations`,
    ...(external ? ['external'] : []),
    ...(fault === undefined ? [] : [fault]),
  ];
  return `${formatOutpoint(coin)}  ${facts.join(', ')}`;
}

const isUsable = ({ triesLeft, fault }: CommitmentCoin): boolean =>
  triesLeft > 0 && fault === undefined;

/** All that a person should know before agreeing. */
export function planText(plan: CoinjoinPlan): string {
  const { request, amount, coins, worst, commitments, feePerKb } = plan;
  const proofs = commitments.toSorted((a, b) => Number(isUsable(b)) - Number(isUsable(a)));
  const rows = [
    [
      request.amount === 'sweep' ? 'sweeps' : 'mixes',
      `${request.amount === 'sweep' ? 'about ' : ''}${formatBtc(amount)}`,
      `to ${destinationText(plan)}`,
    ],
    ...listed(
      'spends',
      coins.map((coin) => [formatBtc(coin.value), formatOutpoint(coin)]),
      'coin',
    ),
    ['makers', '', makersText(plan)],
    [
      'costs',
      formatBtc(worst.makerFees + worst.minerFee),
      `at most ${cost(worst.makerFees + worst.minerFee, amount)} of the amount`,
    ],
    ['', '', `makers ${cost(worst.makerFees, amount)}`],
    ['', '', `miners ${cost(worst.minerFee, amount)} at ${satPerVbyte(feePerKb)} sat/vB`],
    ...listed(
      'proofs',
      proofs.map((coin) => [formatBtc(coin.value), proofText(coin)]),
      'coin',
    ),
  ];
  return [
    ...textTable([{}, { numeric: true }, {}], rows),
    ...plan.warnings.map((warning) => `warning: ${warning}`),
  ].join('\n');
}
