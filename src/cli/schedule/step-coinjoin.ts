/**
 * The coinjoin of a step: a new nick and new circuits each time, offers collected anew. What the network and
 * makers do is an outcome, so that the schedule tries again.
 */
import { errorText } from '../../kit/error-text.js';
import type { Log } from '../../channel/log.js';
import type { Settings } from '../../config/settings.js';
import { NOTHING_REVEALED } from '../../negotiation/taker/api.js';
import { systemClock } from '../../overlay/system-clock.js';
import { openTakerNetwork } from '../../roles/taker-network.js';
import type { StepOrder } from '../../schedule/api.js';
import type { SchedulePorts } from '../../schedule/run.js';
import type { CoinjoinOutcome, CoinjoinPlan, CoinjoinRequest } from '../../taker/api.js';
import { enoughMakers } from '../../taker/enough-makers.js';
import { WalletError } from '../../wallet/api.js';
import { WalletStoreError } from '../../wallet/store/api.js';
import { collectOffers, planFor } from '../coinjoin/coinjoin.js';
import { PhaseLines } from '../coinjoin/phase-lines.js';
import { coinjoinWish, type RequestOptions } from '../coinjoin/request.js';
import { UsageError } from '../errors.js';
import { printNote, printProgress } from '../print.js';
import { unixTime, type Session } from '../wallet/session.js';

/** Longest further wait while too few makers have offers: a failed step asks fewer makers from then on. */
const LATE_OFFERS_MS = 30_000;

type StepOptions = Omit<RequestOptions, 'mixdepth' | 'pick' | 'makers'>;

/** The request of a step, with the limits of the command. Throws a `UsageError` in one line. */
export function stepRequest(
  { mixdepth, amount, makers, destination, label }: StepOrder,
  options: StepOptions,
  settings: Settings,
): CoinjoinRequest {
  const target = { amount, destination, label };
  return coinjoinWish(target, { ...options, mixdepth, makers }, settings).request;
}

type Failed = Extract<CoinjoinOutcome, { readonly ok: false }>;

const failed = (fault: Failed['fault'], detail: string): Failed => {
  return { ok: false, fault, detail, failed: [], revealed: NOTHING_REVEALED };
};

/** Why a plan cannot begin, as a fault. */
function obstacleFault({ request, fitting, commitments }: CoinjoinPlan): Failed['fault'] {
  if (fitting < request.minimumMakers) return 'too-few-makers';
  const isProven = commitments.some(({ triesLeft, fault }) => triesLeft > 0 && fault === undefined);
  return isProven ? 'no-funds' : 'no-commitment';
}

export interface StepCoinjoinOptions {
  readonly session: Session;
  readonly settings: Settings;
  readonly log: Log;
  readonly options: StepOptions & { readonly wait: number };
}

export function stepCoinjoin(parts: StepCoinjoinOptions): SchedulePorts['coinjoin'] {
  const { session, settings, log, options } = parts;
  const { wallet, chain } = session;
  return async (order, signal) => {
    const request = stepRequest(order, options, settings);
    try {
      const network = await openTakerNetwork({ wallet, chain, settings, log, unixTime, signal });
      try {
        await collectOffers(network, options.wait, signal);
        const least = request.minimumMakers;
        const late = { least, ms: LATE_OFFERS_MS, clock: systemClock, signal };
        await enoughMakers(network.taker.book, late);
        const plan = await planFor(network.taker, request, signal);
        if (plan.obstacle !== undefined) return failed(obstacleFault(plan), plan.obstacle);
        const lines = phaseLines();
        const onEvent = lines.show.bind(lines);
        const outcome = await network.taker.run(plan, { signal, onEvent });
        lines.end();
        return outcome;
      } finally {
        await network.close();
      }
    } catch (error) {
      if (signal.aborted) return failed('stopped', 'stopped before a maker was asked');
      const isOurs =
        error instanceof WalletError ||
        error instanceof WalletStoreError ||
        error instanceof UsageError;
      if (isOurs) throw error;
      return failed('port', errorText(error));
    }
  };
}

function phaseLines(): PhaseLines {
  return new PhaseLines({
    get isLive() {
      return process.stderr.isTTY;
    },
    now: () => systemClock.now(),
    redraw: printProgress,
    line: printNote,
  });
}
