/**
 * A taker with a wallet, put together: the live orderbook, the choice of makers, the coinjoin, and what is
 * remembered of makers that failed. It never asks a person; commands and the library do.
 */
import { join } from 'node:path';
import type { Log } from '../channel/log.js';
import type { OnionMessageChannel } from '../channel/message-channel.js';
import type { Clock, Random } from '../channel/ports.js';
import { bondView } from '../chain/bond-view.js';
import type { Chain } from '../chain/ports.js';
import { commitmentsFilePath } from '../config/data-files.js';
import type { Settings } from '../config/settings.js';
import { errorFields } from '../kit/error-text.js';
import {
  DEFAULT_TAKER_POLICY,
  type Candidate,
  type MakerReport,
} from '../negotiation/taker/api.js';
import type { LiveBook } from '../orderbook/book-api.js';
import { openLiveBook, type BookAudit } from '../orderbook/live-book.js';
import type { RandomBytes } from '../protocol/encryption.js';
import type {
  CoinjoinEvent,
  CoinjoinOutcome,
  CoinjoinPlan,
  CoinjoinRequest,
} from '../taker/api.js';
import { TakerCommitments } from '../taker/commitments.js';
import { TakerCommitmentsFile } from '../taker/commitments-file.js';
import {
  FAILED_MAKERS_FILE,
  readFailedMakers,
  writeFailedMakers,
} from '../taker/failed-makers-file.js';
import type { FailedMakers } from '../taker/failed-makers.js';
import { Market } from '../taker/market.js';
import { planCoinjoin, type PlanOptions } from '../taker/plan.js';
import { resumeCoinjoins } from '../taker/resume.js';
import { runTakerCoinjoin } from '../taker/run.js';
import type { Wallet } from '../wallet/wallet.js';
import { bondPolicy, choicePolicy, takerPolicy } from './negotiation-settings.js';

/** What a taker with a wallet needs. The caller closes wallet, chain, channel and audit. */
export interface CoinjoinTakerOptions {
  /** Opened for writing, and read up to the tip of the chain. */
  readonly wallet: Wallet;
  /** The node of the wallet. */
  readonly chain: Chain;
  /** An open channel that does not serve. */
  readonly channel: OnionMessageChannel;
  /** `[POLICY]`, `[TIMEOUT]`, and the data directory. */
  readonly settings: Settings;
  /** The time of all timers. */
  readonly clock: Clock;
  /** Unix seconds. */
  readonly unixTime: () => number;
  /** For the draw of makers; not for keys. */
  readonly random: Random;
  /** The source of keys; must be a secure one. */
  readonly randomBytes: RandomBytes;
  /** Receives the log lines. */
  readonly log: Log;
  /** Compares directories. */
  readonly audit?: BookAudit | undefined;
  /** Whether coinjoins of earlier runs are continued. Default true; a dry run does not. */
  readonly resumes?: boolean | undefined;
}

/** How a coinjoin is followed, and ended early. */
export interface CoinjoinRunOptions {
  /** Ends it; the outcome says what was revealed. */
  readonly signal?: AbortSignal | undefined;
  /** Called for each event. */
  readonly onEvent?: ((event: CoinjoinEvent) => void) | undefined;
}

/** So many more makers than wanted must be there before a coinjoin begins without a longer wait. */
const SPARE_MAKERS = 3;

/** The makers of the plan first, in its order, with the offers that they have now. */
function asPlanned({ makers }: CoinjoinPlan, now: readonly Candidate[]): readonly Candidate[] {
  const planned = new Map(makers.map(({ nick }, n) => [nick, n] as const));
  const placeOf = ({ nick }: Candidate): number => planned.get(nick) ?? makers.length;
  return now.toSorted((a, b) => placeOf(a) - placeOf(b));
}

/** A taker with a wallet, ready to plan and run coinjoins one after the other. */
export class CoinjoinTaker {
  /** The live orderbook, with values of bonds. */
  readonly book: LiveBook;
  readonly #options: CoinjoinTakerOptions;
  readonly #commitments: TakerCommitments;
  readonly #failedPath: string;
  #failed: FailedMakers;

  private constructor(
    options: CoinjoinTakerOptions,
    file: TakerCommitmentsFile,
    failed: FailedMakers,
    failedPath: string,
  ) {
    const { wallet, chain, channel, settings, clock, random, log, audit } = options;
    this.#options = options;
    this.#failed = failed;
    this.#failedPath = failedPath;
    const { policy } = settings;
    this.#commitments = new TakerCommitments({
      wallet,
      chain,
      file,
      terms: {
        retries: policy.takerUtxoRetries,
        age: policy.takerUtxoAge,
        percent: policy.takerUtxoAmtpercent,
      },
    });
    this.book = openLiveBook({
      channel,
      clock,
      random,
      log,
      chain: bondView(chain),
      bondPolicy: bondPolicy(settings),
      ...(audit && { audit }),
    });
  }

  /**
   * Begins to collect offers. Rejects with a CommitmentsFileError when the file of `commit_file_location` cannot be
   * used.
   */
  static async open(options: CoinjoinTakerOptions): Promise<CoinjoinTaker> {
    const { datadir } = options.settings;
    const file = await TakerCommitmentsFile.open(commitmentsFilePath(options.settings));
    const failedPath = join(datadir, FAILED_MAKERS_FILE);
    const failed = await readFailedMakers(failedPath, options.unixTime());
    const { wallet, chain, log } = options;
    // Before the first plan: coins of a program that was killed are free again, or their coinjoin continues.
    const resumes = wallet.mode === 'write' && options.resumes !== false;
    const resumed = resumes ? await resumeCoinjoins(wallet, chain) : [];
    for (const { state } of resumed) log.info('a coinjoin of an earlier run', { state });
    return new CoinjoinTaker(options, file, failed, failedPath);
  }

  /**
   * What a coinjoin would do with the makers of the orderbook now. Nothing is written, and no maker is
   * asked. Rejects with a ChainError when the node does not answer.
   */
  plan(request: CoinjoinRequest, signal?: AbortSignal): Promise<CoinjoinPlan> {
    const market = this.#market(request);
    const candidates = market
      .candidates(this.#amountFor(request))
      .map((candidate) => ({ ...candidate, bonded: market.isBonded(candidate.nick) }));
    return planCoinjoin(request, { ...this.#planOptions(), candidates, signal });
  }

  /**
   * Runs a planned coinjoin with makers that answer a probe. Always resolves. It never costs more than the
   * plan's worst case. Makers that failed are remembered for later coinjoins, also of later runs.
   */
  async run(plan: CoinjoinPlan, options: CoinjoinRunOptions = {}): Promise<CoinjoinOutcome> {
    const { channel, clock, log } = this.#options;
    const { signal, onEvent } = options;
    const market = this.#market(plan.request);
    const { makers } = plan.request;
    onEvent?.({ kind: 'phase', phase: 'probing', makers: new Map() });
    const candidates = await market.probe(
      asPlanned(plan, market.candidates(plan.amount)),
      { wanted: makers + SPARE_MAKERS, enough: makers + DEFAULT_TAKER_POLICY.replacements },
      { channel, clock, signal },
    );
    const outcome = await runTakerCoinjoin(plan, {
      ...this.#planOptions(),
      candidates,
      channel,
      clock,
      log,
      signal,
      onEvent,
    });
    const signed = outcome.ok ? outcome.makers.map(({ nick }) => nick) : [];
    await this.#remember(market, outcome.failed, signed);
    return outcome;
  }

  /** Stops collecting offers. */
  close(): void {
    this.book.close();
  }

  #market(request: CoinjoinRequest): Market {
    const { wallet, settings, random, unixTime } = this.#options;
    return new Market({
      book: this.book,
      family: wallet.secret.kind === 'native' ? 'p2wpkh' : 'p2sh-p2wpkh',
      policy: choicePolicy(settings),
      request,
      random,
      failed: this.#failed,
      unixTime,
    });
  }

  #planOptions(): Omit<PlanOptions, 'candidates'> {
    const { wallet, chain, settings, randomBytes } = this.#options;
    return {
      wallet,
      chain,
      commitments: this.#commitments,
      policy: { ...DEFAULT_TAKER_POLICY, ...takerPolicy(settings) },
      randomBytes,
      rule: settings.policy.mergeAlgorithm,
    };
  }

  /** For the choice of makers: of a sweep everything that can be spent. */
  #amountFor({ amount, mixdepth }: CoinjoinRequest): number {
    if (amount !== 'sweep') return amount;
    return this.#options.wallet
      .coins()
      .filter((coin) => coin.mixdepth === mixdepth && coin.hold === undefined)
      .reduce((sum, { value }) => sum + value, 0);
  }

  async #remember(
    market: Market,
    failed: readonly MakerReport[],
    signed: readonly string[],
  ): Promise<void> {
    const good = signed.map((nick) => ({ nick, step: 'signed', failure: undefined }) as const);
    this.#failed = market.remember(this.#failed, [...failed, ...good]);
    try {
      await writeFailedMakers(this.#failedPath, this.#failed);
    } catch (error) {
      const { log } = this.#options;
      log.warn('makers that failed cannot be remembered', errorFields(error));
    }
  }
}
