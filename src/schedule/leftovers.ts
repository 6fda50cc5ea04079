/** What a schedule leaves in the wallet, and why. Pure. */
import { counted } from '../kit/decimal.js';
import type { MixdepthFacts, WalletFacts } from './facts.js';
import type { RunState } from './run-state.js';

/** Coins that stay in a mixdepth. */
export interface Leftover {
  readonly mixdepth: number;
  readonly value: number;
  /** Why they stay, without the amount. */
  readonly reason: string;
}

/** Why coins that could be spent stay. */
function reasonOf({ steps, records }: RunState, mixdepth: number): string {
  const own = steps.flatMap((step, index) => (step.mixdepth === mixdepth ? [index] : []));
  const at = own.findLast((index) => records[index]?.progress.kind === 'skipped');
  const skipped = at === undefined ? undefined : records[at]?.progress;
  if (at !== undefined && skipped?.kind === 'skipped') {
    return `step ${at + 1} was skipped: ${skipped.reason}`;
  }
  const open = own.filter((index) => {
    const kind = records[index]?.progress.kind;
    return kind === 'open' || kind === 'begun';
  });
  const failed = open.find((index) => records[index]?.fault !== undefined);
  if (failed !== undefined) return `step ${failed + 1} failed: ${records[failed]?.fault ?? ''}`;
  if (open.length > 0) return `${counted(open.length, 'step')} of it not done yet`;
  return own.length === 0
    ? 'no step spends them'
    : 'they came after its last step, or it left change';
}

function ofMixdepth(state: RunState, facts: MixdepthFacts): readonly Leftover[] {
  const { mixdepth, available, pending, frozen, held, locked } = facts;
  const parts: readonly (readonly [number, string])[] = [
    [available, available > 0 ? reasonOf(state, mixdepth) : ''],
    [pending, 'in no block yet'],
    [frozen, 'frozen: "onionmc wallet coins" says why, "onionmc wallet unfreeze" frees them'],
    [held, 'reserved, or in a signed transaction that may still confirm'],
    [locked, 'locked: a bond before its time, or a new coinbase output'],
  ];
  return parts.flatMap(([value, reason]) => (value > 0 ? [{ mixdepth, value, reason }] : []));
}

/** Everything that the wallet still has, by mixdepth. */
export function leftovers(state: RunState, { mixdepths }: WalletFacts): readonly Leftover[] {
  return mixdepths.flatMap((facts) => ofMixdepth(state, facts));
}
