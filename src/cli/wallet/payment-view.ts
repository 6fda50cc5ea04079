/** A planned payment as a person sees it before the question, and as `--json` has it. Pure. */
import { formatBtc } from '../../bitcoin/amount.js';
import { grouped } from '../../kit/decimal.js';
import { textTable } from '../../kit/text-table.js';
import { formatOutpoint } from '../../protocol/outpoint.js';
import type { PaymentPlan } from '../../wallet/api.js';
import { actualRate, percent } from './format.js';

/** Inputs, outputs, fee in satoshi, satoshi per virtual byte and percent, and the warnings. */
export function planText(plan: PaymentPlan, address: string): string {
  const { inputs, payment, change, fee, vsize, warnings, replaces } = plan;
  const rows = [
    ...inputs.map((coin) => [
      'spends',
      formatBtc(coin.value),
      `${formatOutpoint(coin)}  ${coin.origin}, mixdepth ${coin.mixdepth}`,
    ]),
    ['pays', formatBtc(payment.value), address],
    change === undefined
      ? ['change', '-', 'no change output']
      : [
          'change',
          formatBtc(change.value),
          `${replaces === undefined ? 'a fresh address of ' : ''}mixdepth ${change.mixdepth}`,
        ],
    [
      'fee',
      formatBtc(fee),
      `${grouped(fee)} sat, ${actualRate(fee, vsize)} sat/vB, ${percent(fee, payment.value)} of the payment`,
    ],
  ];
  return [
    ...(replaces === undefined ? [] : [`replaces ${replaces}`]),
    ...textTable([{}, { numeric: true }, {}], rows),
    ...warnings.map((warning) => `warning: ${warning}`),
  ].join('\n');
}

/** The same for a program; amounts in satoshi, the rate in satoshi per 1,000 virtual bytes. */
export function planJson(plan: PaymentPlan, address: string): Record<string, unknown> {
  const { inputs, payment, change, fee, vsize, warnings, replaces } = plan;
  return {
    address,
    amount: payment.value,
    fee,
    vsize,
    feePerKb: Math.ceil((fee * 1_000) / vsize),
    inputs: inputs.map((coin) => ({ outpoint: formatOutpoint(coin), value: coin.value })),
    change: change?.value ?? null,
    replaces: replaces ?? null,
    warnings,
  };
}
