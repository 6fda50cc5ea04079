/** `onionmc coinjoin`: plans a coinjoin, shows it, asks, runs it, and tells how it ended. */
import { peekSettings, type Settings } from '../../config/settings.js';
import { counted } from '../../kit/decimal.js';
import { errorFields } from '../../kit/error-text.js';
import { createLog } from '../../ops/log.js';
import { ExitCode } from '../../ops/exit.js';
import { systemClock } from '../../overlay/system-clock.js';
import type { CoinjoinTaker } from '../../roles/coinjoin.js';
import { openTakerNetwork, type TakerNetwork } from '../../roles/taker-network.js';
import type { CoinjoinOutcome, CoinjoinPlan, CoinjoinRequest } from '../../taker/api.js';
import { firstDirectory } from '../first-directory.js';
import { print, printJson, printNote, printProgress } from '../print.js';
import { logOptions, type CommonOptions } from '../program.js';
import { networkOf } from '../wallet/chain.js';
import { WalletCommandError } from '../wallet/errors.js';
import { checkMainnet } from '../wallet/mainnet.js';
import { startProgress } from '../wallet/progress.js';
import { checkCanConfirm, confirm } from '../wallet/questions.js';
import {
  checkMixdepth,
  unixTime,
  writeWallet,
  type Session,
  type WriteOptions,
} from '../wallet/session.js';
import {
  doneLines,
  failedLines,
  NOTHING_LEFT,
  outcomeJson,
  planJson,
  revealedText,
} from './outcome-view.js';
import { PhaseLines } from './phase-lines.js';
import { planText } from './plan-view.js';
import { coinjoinTarget, coinjoinWish, type RequestOptions } from './request.js';

export interface CoinjoinOptions extends WriteOptions, RequestOptions, CommonOptions {
  readonly wait: number;
  readonly dryRun?: boolean;
  readonly yes?: boolean;
  readonly json?: boolean;
}

/** Reads the arguments before the password is asked for, then opens everything. */
export async function runCoinjoin(
  name: string,
  first: string,
  second: string | undefined,
  options: CoinjoinOptions,
): Promise<void> {
  const { settings } = await peekSettings({ role: 'taker', datadir: options.datadir });
  const network = networkOf(settings);
  const target = coinjoinTarget(first, second, network);
  const { request } = coinjoinWish(target, options, settings);
  checkMainnet(network, options);
  await writeWallet(name, options, async (session) => {
    checkMixdepth(session.wallet, options.mixdepth);
    if (options.dryRun !== true) checkCanConfirm(session.asker, options.yes);
    if (target.label !== undefined) printNote(`the payment request says: ${target.label}`);
    await mix(session, settings, request, options);
  });
}

async function mix(
  session: Session,
  settings: Settings,
  request: CoinjoinRequest,
  options: CoinjoinOptions,
): Promise<void> {
  const { signal } = session;
  // This command tells itself how a coinjoin ended; a log line would cut through its progress.
  const level = options.logLevel ?? 'ERROR';
  const log = createLog(logOptions(settings, level));
  try {
    const { wallet, chain } = session;
    const network = await openTakerNetwork({
      wallet,
      chain,
      settings,
      log,
      unixTime,
      signal,
      resumes: options.dryRun !== true,
    });
    try {
      await collectOffers(network, options.wait, signal);
      const plan = await planFor(network.taker, request, signal);
      await carryOut(session, network.taker, plan, options);
    } finally {
      // How the coinjoin ended is told already: a fault of leaving must not say something else.
      await network.close().catch((error: unknown) => {
        log.error('the network was not left in order', errorFields(error));
      });
    }
  } catch (error) {
    if (!signal.aborted) throw error;
    throw new WalletCommandError(`stopped; ${NOTHING_LEFT}`, ExitCode.FAILED, { cause: error });
  }
}

/** Rejects with the signal's reason when it is aborted first. */
function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = (): void => reject(signal.reason);
    signal.addEventListener('abort', stop, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop));
    if (signal.aborted) stop();
  });
}

const pause = (ms: number): Promise<void> =>
  new Promise((resolve) => void systemClock.after(ms, resolve));

/** Waits for a directory, then collects offers for so many seconds. */
export async function collectOffers(
  { taker, channel }: TakerNetwork,
  seconds: number,
  signal: AbortSignal,
): Promise<void> {
  const connecting = startProgress('connecting to the directories');
  try {
    await untilAborted(firstDirectory(channel), signal);
  } finally {
    connecting.end();
  }
  const collecting = startProgress('collecting offers');
  const begun = systemClock.now();
  const show = (): void => collecting.update((systemClock.now() - begun) / (1_000 * seconds));
  const timer = setInterval(show, 250);
  try {
    taker.book.refresh();
    await untilAborted(pause(1_000 * seconds), signal);
  } finally {
    clearInterval(timer);
    collecting.end();
  }
}

/** With fewer makers than wanted where fewer fit. */
export async function planFor(
  taker: CoinjoinTaker,
  request: CoinjoinRequest,
  signal: AbortSignal,
): Promise<CoinjoinPlan> {
  const plan = await taker.plan(request, signal);
  const { fitting } = plan;
  if (fitting >= request.makers || fitting < request.minimumMakers) return plan;
  printNote(
    `note: the offers of ${counted(fitting, 'maker')} fit, and ${request.makers} are wanted`,
  );
  return taker.plan({ ...request, makers: fitting }, signal);
}

async function carryOut(
  { asker, signal }: Session,
  taker: CoinjoinTaker,
  plan: CoinjoinPlan,
  options: CoinjoinOptions,
): Promise<void> {
  const isJson = options.json === true;
  if (plan.obstacle !== undefined) {
    if (plan.makers.length > 0) printNote(planText(plan));
    throw new WalletCommandError(plan.obstacle, ExitCode.FAILED);
  }
  if (options.dryRun === true) {
    if (isJson) printJson(planJson(plan));
    else print(planText(plan));
    return;
  }
  printNote(planText(plan));
  const question = `Mix with ${counted(plan.request.makers, 'maker')}?`;
  if (!(await confirm(asker, question, options.yes))) {
    printNote(NOTHING_LEFT);
    process.exitCode = ExitCode.FAILED;
    return;
  }
  const lines = new PhaseLines({
    get isLive() {
      return process.stderr.isTTY;
    },
    now: () => systemClock.now(),
    redraw: printProgress,
    line: printNote,
  });
  const outcome = await taker.run(plan, { signal, onEvent: (event) => lines.show(event) });
  lines.end();
  report(outcome, plan, isJson);
}

/** Our signatures may be out: then it is not certain that there is no coinjoin. */
function endText(outcome: Extract<CoinjoinOutcome, { ok: false }>): string {
  const { fault, detail, revealed, transaction } = outcome;
  if (fault === 'stopped') return 'stopped';
  if (transaction === undefined && !revealed.signatures) return `no coinjoin: ${detail}`;
  return `${transaction?.txid ?? 'the coinjoin'} was not seen in the network: ${detail}`;
}

function report(outcome: CoinjoinOutcome, plan: CoinjoinPlan, isJson: boolean): void {
  if (isJson) printJson(outcomeJson(outcome, plan.amount));
  if (outcome.ok) {
    if (!isJson) print(outcome.txid);
    for (const line of doneLines(outcome)) printNote(line);
    return;
  }
  for (const line of failedLines(outcome.failed)) printNote(line);
  printNote(`onionmc: ${endText(outcome)}; ${revealedText(outcome.revealed)}`);
  process.exitCode = outcome.fault === 'chain' ? ExitCode.UNREACHABLE : ExitCode.FAILED;
}
