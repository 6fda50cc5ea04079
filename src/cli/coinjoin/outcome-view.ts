/** How a coinjoin ended, as a person and a program read it. Pure. */
import { counted, grouped } from '../../kit/decimal.js';
import { shownLine } from '../../kit/shown-text.js';
import { NOTHING_REVEALED, type MakerReport } from '../../negotiation/taker/api.js';
import { formatOutpoint } from '../../protocol/outpoint.js';
import type { CoinjoinOutcome, CoinjoinPlan, Revealed } from '../../taker/api.js';
import { percent, satPerVbyte } from '../wallet/format.js';

/** Longest text of a maker that is shown. */
const MAX_DETAIL = 200;

/** What others know after a coinjoin that ended early, and what they do not. */
export function revealedText({ commitment, coins, transaction, signatures }: Revealed): string {
  if (signatures) {
    return 'revealed: the transaction with our signatures; it may still be sent by a maker, and its coins stay reserved until it or a conflict is in a block. The next command with this wallet looks for it';
  }
  if (transaction) {
    return 'revealed to makers: the transaction with our coins, destination and change; not our signatures, so it cannot be sent';
  }
  if (coins.length > 0) {
    const which = coins.map(formatOutpoint).join(', ');
    return `revealed to makers: that ${which} is ours, which used one try of its proof; not the destination, and no signature`;
  }
  if (commitment) {
    return 'revealed to makers: the amount and a commitment, which shows nothing of a coin; no coin, no address and no signature';
  }
  return 'nothing was revealed: no maker was asked for a coinjoin';
}

/** Before a coinjoin began. */
export const NOTHING_LEFT = revealedText(NOTHING_REVEALED);

/** One line for each maker that failed. */
export function failedLines(failed: readonly MakerReport[]): readonly string[] {
  return failed.flatMap(({ nick, failure }) => {
    if (failure === undefined) return [];
    return [`${nick} failed (${failure.fault}): ${shownLine(failure.detail, MAX_DETAIL)}`];
  });
}

/** The lines after a coinjoin that succeeded; the txid is not among them. */
export function doneLines(outcome: Extract<CoinjoinOutcome, { ok: true }>): readonly string[] {
  const { amount, makers, makerFees, minerFee, feeRate, failed, broadcastBy } = outcome;
  const total = makerFees + minerFee;
  return [
    `mixed ${grouped(amount)} sat with ${counted(makers.length, 'maker')}; it cost ${grouped(total)} sat, ${percent(total, amount)} of the amount`,
    `makers got ${grouped(makerFees)} sat: ${makers.map(({ nick, fee }) => `${nick} ${grouped(fee)}`).join(', ')}`,
    `miners got ${grouped(minerFee)} sat, ${satPerVbyte(feeRate)} sat/vB`,
    `broadcast by ${broadcastBy ?? 'this program'}`,
    ...failedLines(failed),
  ];
}

const failedJson = (failed: readonly MakerReport[]): readonly unknown[] =>
  failed.flatMap(({ nick, failure }) =>
    failure === undefined
      ? []
      : [{ nick, step: failure.step, fault: failure.fault, detail: failure.detail }],
  );

/** The one shape of `--json`: amounts in satoshi, the rate in satoshi per virtual byte. */
export interface CoinjoinJson {
  readonly txid: string | null;
  readonly amount: number;
  readonly makers: readonly { readonly nick: string; readonly fee: number }[];
  readonly makerFees: number;
  readonly minerFee: number;
  readonly feeRate: number;
  readonly failed: readonly unknown[];
}

/**
 * After a coinjoin. Of one without a transaction `txid` is null, and the fees are 0; one whose transaction was
 * not seen in the network names it, since it may still appear.
 */
export function outcomeJson(outcome: CoinjoinOutcome, amount: number): CoinjoinJson {
  const failed = failedJson(outcome.failed);
  const made = outcome.ok ? outcome : outcome.transaction;
  if (made === undefined) {
    return { txid: null, amount, makers: [], makerFees: 0, minerFee: 0, feeRate: 0, failed };
  }
  return {
    txid: made.txid,
    amount: made.amount,
    makers: made.makers.map(({ nick, fee }) => ({ nick, fee })),
    makerFees: made.makerFees,
    minerFee: made.minerFee,
    feeRate: made.feeRate / 1_000,
    failed,
  };
}

/** Of a dry run: `txid` is null, the makers are those that would be asked, the fees are the most. */
export function planJson({ amount, makers, request, worst, feePerKb }: CoinjoinPlan): CoinjoinJson {
  return {
    txid: null,
    amount,
    makers: makers.slice(0, request.makers).map(({ nick, fee }) => ({ nick, fee })),
    makerFees: worst.makerFees,
    minerFee: worst.minerFee,
    feeRate: feePerKb / 1_000,
    failed: [],
  };
}
