/** `onionmc schedule run`: the coinjoins of a schedule, one after the other. */
import { randomBytes } from 'node:crypto';
import type { Settings } from '../../config/settings.js';
import { createLog } from '../../ops/log.js';
import { ExitCode } from '../../ops/exit.js';
import { systemClock } from '../../overlay/system-clock.js';
import { runWalletSchedule, walletFacts } from '../../roles/schedule.js';
import {
  readScheduleFiles,
  ScheduleFiles,
  type SchedulePlace,
} from '../../roles/schedule-files.js';
import { costsOf, type CostTerms } from '../../schedule/cost.js';
import { DEFAULT_RUN_TERMS, type RunTerms } from '../../schedule/decide.js';
import { leftovers } from '../../schedule/leftovers.js';
import type { RunEnd } from '../../schedule/run.js';
import type { RunState } from '../../schedule/run-state.js';
import { FALLBACK_FEE_PER_KB } from '../../negotiation/taker/fees.js';
import { resumeCoinjoins } from '../../taker/resume.js';
import type { Wallet } from '../../wallet/wallet.js';
import type { RequestOptions } from '../coinjoin/request.js';
import { UsageError } from '../errors.js';
import { print, printJson, printNote } from '../print.js';
import { logOptions, type CommonOptions } from '../program.js';
import { checkMainnet } from '../wallet/mainnet.js';
import { checkCanConfirm, confirm } from '../wallet/questions.js';
import { unixTime, writeWallet, type Session, type WriteOptions } from '../wallet/session.js';
import { addressAsker } from './ask-address.js';
import { placeOf, type PlaceOptions } from './place.js';
import { stepCoinjoin, stepRequest } from './step-coinjoin.js';
import { StopRequests } from './stop-requests.js';
import { eventLines } from './event-lines.js';
import { costTable, leftoverLines, scheduleJson, stepsTable } from './view.js';

export interface RunOptions
  extends
    PlaceOptions,
    WriteOptions,
    CommonOptions,
    Omit<RequestOptions, 'mixdepth' | 'pick' | 'makers'> {
  readonly mincjamount: number;
  readonly liquiditywait: number;
  readonly attempts: number;
  readonly wait: number;
  readonly dryRun?: boolean;
  readonly yes?: boolean;
  readonly json?: boolean;
}

const secureRandom = (): number => randomBytes(6).readUIntBE(0, 6) / 2 ** 48;

function termsOf({ policy }: Settings, options: RunOptions): RunTerms {
  const { mincjamount, liquiditywait, attempts } = options;
  const { minimumMakers } = policy;
  const confirmations = Math.max(1, policy.takerUtxoAge);
  return {
    ...DEFAULT_RUN_TERMS,
    mincjamount,
    liquiditywait,
    attempts,
    minimumMakers,
    confirmations,
  };
}

/** A step that could never begin is told before the password is asked for. */
function checkSteps(state: RunState, path: string, options: RunOptions, settings: Settings): void {
  for (const [index, { makers, destination, completed }] of state.steps.entries()) {
    if (completed.kind !== 'open') continue;
    try {
      const to = destination.kind === 'ask' ? ({ kind: 'internal' } as const) : destination;
      stepRequest(
        { mixdepth: 0, amount: 'sweep', makers, destination: to, label: '' },
        options,
        settings,
      );
    } catch (error) {
      if (!(error instanceof UsageError)) throw error;
      throw new UsageError(`${path}, step ${index + 1}: ${error.message}`, { cause: error });
    }
  }
}

function checkMixdepths({ steps }: RunState, path: string, wallet: Wallet): void {
  const { mixdepths } = wallet.secret;
  const at = steps.findIndex(({ mixdepth }) => mixdepth >= mixdepths);
  if (at === -1) return;
  throw new UsageError(
    `${path}, step ${at + 1}: mixdepth ${steps[at]?.mixdepth}, and the wallet has the mixdepths 0 to ${mixdepths - 1}`,
  );
}

async function costTerms(
  { chain, signal }: Session,
  { policy }: Settings,
  options: RunOptions,
  settings: Settings,
): Promise<CostTerms> {
  const order = { mixdepth: 0, amount: 'sweep', makers: policy.minimumMakers, label: '' } as const;
  const request = stepRequest({ ...order, destination: { kind: 'internal' } }, options, settings);
  const { fee, maxFeeAbs, maxFeeRel } = request;
  // As a taker's plan: a node that has seen few blocks has no estimate.
  const estimate = fee.kind === 'rate' ? fee.feePerKb : await chain.feePerKb(fee.blocks, signal);
  const rate = estimate ?? FALLBACK_FEE_PER_KB;
  return {
    maxFeeAbs,
    maxFeeRel,
    feePerKb: Math.ceil(rate * (1 + policy.txFeesFactor)),
    tolerance: policy.maxSweepFeeChange,
    mincjamount: options.mincjamount,
  };
}

export async function runRun(name: string, options: RunOptions): Promise<void> {
  const { settings, place } = await placeOf(name, options);
  const { state } = await readScheduleFiles(place);
  checkSteps(state, place.path, options, settings);
  checkMainnet(place.network, options);
  await writeWallet(name, options, async (session) => {
    checkMixdepths(state, place.path, session.wallet);
    if (options.dryRun !== true) {
      checkCanConfirm(session.asker, options.yes);
    }
    const terms = await costTerms(session, settings, options, settings);
    const costs = costsOf(state, walletFacts(session.wallet), terms);
    if (options.dryRun === true) {
      if (options.json === true) printJson({ ...scheduleJson(state, place.path), costs });
      else print(costTable(state, costs));
      return;
    }
    printNote(costTable(state, costs));
    if (!(await confirm(session.asker, 'Run this schedule?', options.yes))) {
      printNote('nothing was begun');
      process.exitCode = ExitCode.FAILED;
      return;
    }
    await run(session, settings, place, options);
  });
}

async function run(
  session: Session,
  settings: Settings,
  place: SchedulePlace,
  options: RunOptions,
): Promise<void> {
  const { wallet, chain, asker } = session;
  const files = await ScheduleFiles.open(place);
  const stops = new StopRequests(session.signal, () => files.isStopRequested());
  const log = createLog(logOptions(settings, options.logLevel ?? 'WARNING'));
  try {
    wallet.checkSpending();
    const end = await runWalletSchedule({
      wallet,
      chain,
      files,
      terms: termsOf(settings, options),
      coinjoin: stepCoinjoin({ session, settings, log, options }),
      address: addressAsker(asker, place),
      resume: async (signal) => void (await resumeCoinjoins(wallet, chain, signal)),
      clock: systemClock,
      unixTime,
      random: secureRandom,
      stop: stops.stop,
      abort: stops.abort,
      onEvent: (event) => {
        for (const line of eventLines(event)) printNote(line);
      },
    });
    report(end, place, options);
  } finally {
    stops.close();
    await files.close();
  }
}

function report(
  { state, facts, end }: RunEnd,
  { path, wallet }: SchedulePlace,
  options: RunOptions,
): void {
  const left = facts === undefined ? [] : leftovers(state, facts);
  if (options.json === true) {
    printJson({ ...scheduleJson(state, path), end: end.kind, leftovers: left });
  } else {
    print(stepsTable(state));
    if (facts !== undefined) for (const line of leftoverLines(left)) print(line);
  }
  if (end.kind === 'stopped') {
    printNote(`stopped; to continue: onionmc schedule run ${wallet}`);
    return;
  }
  if (end.kind === 'finished') return;
  const fault = state.records[end.step]?.fault ?? 'it failed';
  printNote(
    `onionmc: step ${end.step + 1} failed: ${fault}; nothing of it was sent. To try it again: onionmc schedule run ${wallet}`,
  );
  process.exitCode = ExitCode.FAILED;
}
