/** A planned coinjoin as a person sees it before the question, and as `--json` has it. Pure. */
import { formatBtc } from '../../bitcoin/amount.js';
import { counted, grouped } from '../../kit/decimal.js';
import { textTable, type Row } from '../../kit/text-table.js';
import { formatOutpoint } from '../../protocol/outpoint.js';
import type { CoinjoinPlan, CommitmentCoin } from '../../taker/api.js';
import { percent, satPerVbyte } from '../wallet/format.js';

/** As the original warns. */
const HIGH_MAKER_SHARE = 0.02;
const HIGH_MINER_SHARE = 0.05;
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

/** What a user can do when no coin has a proof left. */
export const NO_PROOF_REMEDY =
  'no coin has a proof that makers accept: wait until a coin has enough confirmations, or send coins of this mixdepth to an address of it ("onionmc wallet address", "onionmc wallet send") and wait again, or put proofs of another wallet into cmtdata/commitments.json (docs/taker.md)';

/** Tells when fees are a large part of the amount. */
export function feeWarnings({ amount, worst }: CoinjoinPlan): readonly string[] {
  const warnings: string[] = [];
  if (worst.makerFees > HIGH_MAKER_SHARE * amount) {
    warnings.push(
      `the makers' fees may come to ${percent(worst.makerFees, amount)} of the amount: lower --max-fee-abs and --max-fee-rel, ask fewer makers, or mix more at once`,
    );
  }
  if (worst.minerFee > HIGH_MINER_SHARE * amount) {
    warnings.push(
      `the miner fee may come to ${percent(worst.minerFee, amount)} of the amount: wait for lower fees, give --fee-rate or more --blocks, or mix more at once`,
    );
  }
  return warnings;
}

/** Tells when fewer makers fit than are wanted; undefined when enough do. */
export function fewerMakers({ request, makers }: CoinjoinPlan): string | undefined {
  if (makers.length >= request.makers) return undefined;
  return `${counted(makers.length, 'maker')} can be asked, and ${request.makers} are wanted`;
}

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
  const fewer = fewerMakers(plan);
  const warnings = [
    ...(fewer === undefined ? [] : [fewer]),
    ...feeWarnings(plan),
    ...(commitments.some(isUsable) ? [] : [NO_PROOF_REMEDY]),
    ...plan.warnings,
  ];
  return [
    ...textTable([{}, { numeric: true }, {}], rows),
    ...warnings.map((warning) => `warning: ${warning}`),
  ].join('\n');
}
