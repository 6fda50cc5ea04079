/** The taker of the soak: for each coinjoin a new nick, the live orderbook, the shipped plan and run. */
import { randomBytes } from 'node:crypto';
import { silentLog } from '../../../src/channel/log.js';
import { openMessageChannel } from '../../../src/channel/message-channel.js';
import type { Chain } from '../../../src/chain/ports.js';
import { DEFAULT_TAKER_POLICY, type TakerPolicy } from '../../../src/negotiation/taker/api.js';
import { createLoopbackOverlay } from '../../../src/overlay/loopback.js';
import { systemClock } from '../../../src/overlay/system-clock.js';
import type { Location } from '../../../src/protocol/location.js';
import { createNickKey } from '../../../src/protocol/nick.js';
import { startTaker, type Taker } from '../../../src/roles/taker.js';
import type { CoinjoinOutcome, CoinjoinPlan, CoinjoinRequest } from '../../../src/taker/api.js';
import { DEFAULT_BONDLESS_MAKERS_ALLOWANCE } from '../../../src/taker/choose.js';
import { TakerCommitmentsFile } from '../../../src/taker/commitments-file.js';
import { TakerCommitments } from '../../../src/taker/commitments.js';
import { Market } from '../../../src/taker/market.js';
import { planCoinjoin, type PlanOptions } from '../../../src/taker/plan.js';
import { runTakerCoinjoin, type RunOptions } from '../../../src/taker/run.js';
import { NETWORK, SHORTENED } from './settings.js';
import { unixTime, type SoakWallet } from './soak-wallet.js';

export const POLICY: TakerPolicy = { ...DEFAULT_TAKER_POLICY, ...SHORTENED };
/** Longest wait for the offers of all makers. */
const BOOK_MS = 10_000;

export interface SoakTakerParts {
  readonly wallet: SoakWallet;
  readonly chain: Chain;
  readonly directory: Location;
  /** File of the used commitments. */
  readonly commitmentsFile: string;
}

export interface SoakAttempt {
  readonly request: CoinjoinRequest;
  /** Nicks of the makers whose offers are awaited. */
  readonly nicks: readonly string[];
  readonly random: () => number;
  /** Told before a maker is contacted. */
  readonly onPlan: (plan: CoinjoinPlan) => void;
  readonly onEvent?: RunOptions['onEvent'];
}

/** Resolves when each of the makers has an offer in the book that it signed, or after some time. */
function offersOf(taker: Taker, nicks: readonly string[]): Promise<void> {
  return new Promise((resolve) => {
    const check = (): void => {
      const signed = new Set(
        taker.book.offers().flatMap(({ maker, verified }) => (verified ? [maker] : [])),
      );
      if (nicks.every((nick) => signed.has(nick))) end();
    };
    const late = setTimeout(end, BOOK_MS);
    function end(): void {
      clearTimeout(late);
      taker.events.off('change', check);
      resolve();
    }
    taker.events.on('change', check);
    check();
  });
}

export class SoakTaker {
  readonly #parts: SoakTakerParts;

  constructor(parts: SoakTakerParts) {
    this.#parts = parts;
  }

  get wallet(): SoakWallet {
    return this.#parts.wallet;
  }

  /** The same taker with another view of the chain. */
  withChain(chain: Chain): SoakTaker {
    return new SoakTaker({ ...this.#parts, chain });
  }

  async attempt({
    request,
    nicks,
    random,
    onPlan,
    onEvent,
  }: SoakAttempt): Promise<CoinjoinOutcome> {
    const { wallet, chain, directory, commitmentsFile } = this.#parts;
    const channel = openMessageChannel({
      network: NETWORK,
      directories: [directory],
      overlay: createLoopbackOverlay({ host: '127.0.0.1', port: 0 }),
      nickKey: createNickKey(randomBytes),
      serve: false,
      clock: systemClock,
      random,
      log: silentLog,
    });
    const taker = startTaker({ channel, clock: systemClock, log: silentLog, random });
    try {
      await offersOf(taker, nicks);
      const market = new Market({
        book: taker.live,
        family: 'p2wpkh',
        policy: { ...POLICY, bondlessMakersAllowance: DEFAULT_BONDLESS_MAKERS_ALLOWANCE },
        request,
        random,
        failed: new Map(),
        unixTime,
      });
      const { amount, mixdepth } = request;
      const sums = wallet.open.summary().mixdepths.find((sum) => sum.mixdepth === mixdepth);
      const options: PlanOptions = {
        wallet: wallet.open,
        chain,
        commitments: new TakerCommitments({
          wallet: wallet.open,
          chain,
          file: await TakerCommitmentsFile.open(commitmentsFile),
        }),
        policy: POLICY,
        candidates: market.candidates(amount === 'sweep' ? (sums?.available ?? 0) : amount),
        randomBytes,
      };
      const plan = await planCoinjoin(request, options);
      onPlan(plan);
      return await runTakerCoinjoin(plan, {
        ...options,
        channel,
        clock: systemClock,
        log: silentLog,
        ...(onEvent && { onEvent }),
      });
    } finally {
      taker.stop();
      await channel.close();
    }
  }
}
