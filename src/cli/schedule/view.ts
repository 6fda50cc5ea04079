/** Schedules, their steps and their leftovers, as a person and a program read them. Pure. */
import { formatBtc } from '../../bitcoin/amount.js';
import { counted, grouped } from '../../kit/decimal.js';
import { textTable } from '../../kit/text-table.js';
import { NO_ROUNDING, type ScheduleStep } from '../../schedule/api.js';
import type { StepCost } from '../../schedule/cost.js';
import type { Leftover } from '../../schedule/leftovers.js';
import type { RunState, StepRecord, Waiting } from '../../schedule/run-state.js';
import { dateTime } from '../wallet/format.js';

/** `all`, `0.35 of it`, or bitcoin. */
export function amountText({ amount, rounding }: ScheduleStep): string {
  switch (amount.kind) {
    case 'sweep':
      return 'all';
    case 'satoshi':
      return formatBtc(amount.value);
    case 'fraction': {
      const rounded = rounding === NO_ROUNDING ? '' : `, ${counted(rounding, 'figure')}`;
      return `${amount.value.toFixed(3)} of it${rounded}`;
    }
  }
}

export function destinationText({ destination }: ScheduleStep): string {
  switch (destination.kind) {
    case 'internal':
      return 'the next mixdepth';
    case 'ask':
      return 'an address that is asked for';
    case 'address':
      return destination.address;
  }
}

const minutes = (value: number): string =>
  value < 60 ? `${Number(value.toFixed(1))} min` : `${Number((value / 60).toFixed(1))} h`;

function stateText({ progress, failures, fault }: StepRecord): string {
  switch (progress.kind) {
    case 'open':
      return failures > 0 ? `open, failed ${counted(failures, 'time')}: ${fault ?? ''}` : 'open';
    case 'begun':
      return 'begun';
    case 'sent':
      return `sent ${progress.txid ?? ''}`.trim();
    case 'confirmed':
      return `confirmed ${progress.txid}`;
    case 'done':
      return 'done';
    case 'skipped':
      return `skipped: ${progress.reason}`;
  }
}

/** The steps as a table. */
export function stepsTable({ steps, records }: RunState): string {
  const columns = [
    { heading: 'step', numeric: true },
    { heading: 'from', numeric: true },
    { heading: 'amount' },
    { heading: 'makers', numeric: true },
    { heading: 'to' },
    { heading: 'then wait' },
    { heading: 'state' },
  ];
  const rows = steps.map((step, index) => {
    const record = records[index];
    return [
      String(index + 1),
      String(step.mixdepth),
      amountText(step),
      String(step.makers),
      destinationText(step),
      minutes(step.waitMinutes),
      record === undefined ? '' : stateText(record),
    ];
  });
  return textTable(columns, rows).join('\n');
}

/** What the next step waits for, as the end of a sentence. */
export function waitText({ step, reason, until }: Waiting): string {
  const at = until === undefined ? '' : `, until ${dateTime(until)} UTC`;
  switch (reason) {
    case 'wait':
      return `step ${step + 1} waits after the step before it${at}`;
    case 'confirmation':
      return `step ${step + 1} waits for a block with the transaction that was sent`;
    case 'young':
      return `step ${step + 1} waits for more confirmations of the coins that it spends`;
    case 'confirmations':
      return `step ${step + 1} waits for more confirmations of the step before it`;
    case 'coins':
      return `step ${step + 1} waits for coins of its mixdepth that are in no block yet`;
    case 'retry':
      return `step ${step + 1} is tried again${at}`;
  }
}

/** Lines about what the wallet still has. */
export function leftoverLines(left: readonly Leftover[]): readonly string[] {
  if (left.length === 0) return ['nothing is left in the wallet'];
  return left.map(
    ({ mixdepth, value, reason }) => `mixdepth ${mixdepth}: ${grouped(value)} sat stay: ${reason}`,
  );
}

/** What each open step would do now, and what all of them cost at worst. */
export function costTable({ steps }: RunState, costs: readonly StepCost[]): string {
  const columns = [
    { heading: 'step', numeric: true },
    { heading: 'from', numeric: true },
    { heading: 'about, sat', numeric: true },
    { heading: 'to' },
    { heading: 'makers get at most', numeric: true },
    { heading: 'miners at most', numeric: true },
    { heading: '' },
  ];
  const rows = costs.flatMap(({ step: index, amount, makerFees, minerFee, skipped }) => {
    const step = steps[index];
    if (step === undefined) return [];
    const figures = [amount, makerFees, minerFee].map((value) => grouped(value));
    const [moved = '', makers = '', miners = ''] = figures;
    const cells = [String(index + 1), String(step.mixdepth), moved, destinationText(step)];
    return [[...cells, makers, miners, skipped === undefined ? '' : `skipped: ${skipped}`]];
  });
  const total = costs.reduce((sum, { makerFees, minerFee }) => sum + makerFees + minerFee, 0);
  return [...textTable(columns, rows), `at worst ${grouped(total)} sat for all of them`].join('\n');
}

function amountJson({ amount }: ScheduleStep): number | string {
  if (amount.kind === 'sweep') return 'sweep';
  return amount.kind === 'satoshi' ? amount.value : String(amount.value);
}

function stepJson(step: ScheduleStep, record: StepRecord | undefined): Record<string, unknown> {
  const { progress, failures, fault, retryAt, paid } = record ?? {};
  const { destination } = step;
  return {
    mixdepth: step.mixdepth,
    amount: amountJson(step),
    makers: step.makers,
    destination:
      destination.kind === 'address'
        ? destination.address
        : destination.kind === 'ask'
          ? 'addrask'
          : 'INTERNAL',
    waitMinutes: step.waitMinutes,
    rounding: step.rounding,
    state: progress?.kind ?? 'open',
    txid: (progress !== undefined && 'txid' in progress ? progress.txid : undefined) ?? null,
    reason: progress?.kind === 'skipped' ? progress.reason : null,
    failures: failures ?? 0,
    fault: fault ?? null,
    retryAt: retryAt === undefined || retryAt === 0 ? null : retryAt,
    paid: paid ?? null,
  };
}

/** The shape of `--json`; times in Unix seconds, amounts in satoshi, fractions as text. */
export function scheduleJson(state: RunState, file: string): Record<string, unknown> {
  const { wallet, steps, records, waiting } = state;
  return {
    wallet,
    file,
    steps: steps.map((step, index) => stepJson(step, records[index])),
    waiting:
      waiting === undefined
        ? null
        : { step: waiting.step + 1, reason: waiting.reason, until: waiting.until ?? null },
  };
}
