/**
 * A taker's coinjoin: agrees on the fee rate, runs a round (`runner.ts`), and begins another round when a
 * maker did not sign.
 */
import {
  DEFAULT_TAKER_POLICY,
  NOTHING_REVEALED,
  type LegFault,
  type MakerReport,
  type Revealed,
  type RoundFault,
  type RoundResult,
} from './api.js';
import { agreeOnRate } from './fee-rate.js';
import { formatOutpoint } from '../../protocol/outpoint.js';
import { seatLimits } from './legs.js';
import { RoundRunner, type CoinjoinOptions, type Sizing } from './runner.js';

export type { CoinjoinOptions, RoundProgress, Sizing } from './runner.js';

/** Makers with these are not to blame, and may take part in the next round. */
const MAY_RETURN: ReadonlySet<LegFault> = new Set([
  'shared',
  'unused',
  'amount-range',
  'fee-limit',
]);

/** What left in two rounds. */
function together(a: Revealed, b: Revealed): Revealed {
  const coins = new Map([...a.coins, ...b.coins].map((coin) => [formatOutpoint(coin), coin]));
  return {
    commitment: a.commitment || b.commitment,
    coins: [...coins.values()],
    transaction: a.transaction || b.transaction,
    signatures: a.signatures || b.signatures,
  };
}

/** A sweep of these makers cannot be, and one of others can: its amount is computed again. */
const SIZE_FAULTS: ReadonlySet<RoundFault> = new Set(['too-few-makers', 'sweep-fee', 'absurd-fee']);
/** Most rounds that a sweep ends because of its amount. */
const MOST_RESIZED = 3;

/**
 * One coinjoin from `fill` to a transaction in the network. A maker that does not sign ends the round,
 * because the transaction then changes; the next round excludes it. So do makers that bring too many coins,
 * when too few others are ready. A sweep also begins again when no maker that costs as little takes the place
 * of one that failed. Always resolves, to a result that names the
 * makers that failed and how, in all rounds. Leaves no timer and no listener behind.
 */
export async function runCoinjoin(options: CoinjoinOptions): Promise<RoundResult> {
  const policy = { ...DEFAULT_TAKER_POLICY, ...options.policy };
  const rate = await agreeOnRate(options, policy);
  if (!rate.ok) {
    options.log.warn('a coinjoin failed', { fault: rate.fault });
    return { ...rate, makers: [], transaction: undefined, revealed: NOTHING_REVEALED };
  }
  const { feePerKb } = rate;
  const { sweep = false, resize } = options;
  const limitsOf = (it: Sizing): readonly number[] => seatLimits({ ...it, policy, sweep });
  let sizing: Sizing = options;
  let limits = limitsOf(sizing);
  const left: MakerReport[] = [];
  let revealed = NOTHING_REVEALED;
  let unsigned = 0;
  let resized = 0;
  for (;;) {
    const { amount, makers, candidates } = sizing;
    // oxlint-disable-next-line no-await-in-loop -- a round begins when the last one has failed
    const result = await new RoundRunner(
      { ...options, amount, makers, candidates },
      { policy, feePerKb, seatLimits: limits },
    ).run();
    const reports = [...left, ...result.makers];
    if (result.ok) return { ...result, makers: reports };
    revealed = together(revealed, result.revealed);
    const all = { ...result, makers: reports, revealed };
    if (result.fault === 'unsigned' || result.fault === 'miner-fee') unsigned += 1;
    else if (resize !== undefined && SIZE_FAULTS.has(result.fault)) resized += 1;
    else return all;
    if (unsigned >= policy.rounds || resized > MOST_RESIZED) return all;
    // Another maker may have named the coins of an honest one. A maker that was not needed has no
    // fault, and the offer of one that was not asked may suit another amount.
    const failed = result.makers.filter(({ failure }) => failure && !MAY_RETURN.has(failure.fault));
    const names = new Set(failed.map(({ nick }) => nick));
    // The same makers would end it again.
    if (names.size === 0) return all;
    const others = candidates.filter(({ nick }) => !names.has(nick));
    const next = resize === undefined ? { amount, makers, candidates: others } : resize(others);
    if (next === undefined || next.candidates.length < Math.max(1, policy.minimumMakers))
      return all;
    sizing = next;
    if (resize !== undefined) limits = limitsOf(sizing);
    left.push(...failed);
    options.onAgain?.(result.detail);
  }
}
