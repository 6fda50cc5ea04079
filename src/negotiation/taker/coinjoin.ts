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
  type RoundResult,
} from './api.js';
import { agreeOnRate } from './fee-rate.js';
import { formatOutpoint } from '../../protocol/outpoint.js';
import { seatLimits } from './legs.js';
import { RoundRunner, type CoinjoinOptions } from './runner.js';

export type { CoinjoinOptions, RoundProgress } from './runner.js';

const MAY_RETURN: ReadonlySet<LegFault> = new Set(['shared', 'unused']);

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

/**
 * One coinjoin from `fill` to a transaction in the network. A maker that does not sign ends the round,
 * because the transaction then changes; the next round excludes it. Always resolves, to a result that
 * names the makers that failed and how, in all rounds. Leaves no timer and no listener behind.
 */
export async function runCoinjoin(options: CoinjoinOptions): Promise<RoundResult> {
  const policy = { ...DEFAULT_TAKER_POLICY, ...options.policy };
  const { rounds, minimumMakers } = policy;
  const rate = await agreeOnRate(options, policy);
  if (!rate.ok) {
    options.log.warn('a coinjoin failed', { fault: rate.fault });
    return { ...rate, makers: [], transaction: undefined, revealed: NOTHING_REVEALED };
  }
  const { feePerKb } = rate;
  const { amount, makers, sweep = false } = options;
  const limits = seatLimits({ candidates: options.candidates, amount, policy, makers, sweep });
  const left: MakerReport[] = [];
  let revealed = NOTHING_REVEALED;
  let { candidates } = options;
  for (let round = 1; ; round += 1) {
    // oxlint-disable-next-line no-await-in-loop -- a round begins when the last one has failed
    const result = await new RoundRunner(
      { ...options, candidates },
      { policy, feePerKb, seatLimits: limits },
    ).run();
    const reports = [...left, ...result.makers];
    if (result.ok) return { ...result, makers: reports };
    revealed = together(revealed, result.revealed);
    const all = { ...result, makers: reports, revealed };
    if (result.fault !== 'unsigned' || round >= rounds) return all;
    // Another maker may have named the coins of an honest one. A maker that was not needed has no
    // fault.
    const failed = result.makers.filter(({ failure }) => failure && !MAY_RETURN.has(failure.fault));
    const names = new Set(failed.map(({ nick }) => nick));
    candidates = candidates.filter(({ nick }) => !names.has(nick));
    if (candidates.length < Math.max(1, minimumMakers)) return all;
    left.push(...failed);
    options.onAgain?.(result.detail);
  }
}
