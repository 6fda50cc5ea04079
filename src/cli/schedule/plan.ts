/** `onionmc schedule plan`: makes a schedule for the coins of a wallet. */
import { randomBytes } from 'node:crypto';
import { grouped } from '../../kit/decimal.js';
import { walletFacts } from '../../roles/schedule.js';
import { ScheduleFileError, ScheduleFiles, scheduleExists } from '../../roles/schedule-files.js';
import type { MixdepthFacts } from '../../schedule/facts.js';
import { planSchedule } from '../../schedule/plan.js';
import { DEFAULT_PLAN_OPTIONS, type PlanOptions } from '../../schedule/plan-options.js';
import { newRun } from '../../schedule/run-state.js';
import { UsageError } from '../errors.js';
import { print, printJson, printNote } from '../print.js';
import { scriptOfAddress } from '../wallet/payment-target.js';
import { readWallet, type ReadOptions } from '../wallet/session.js';
import { placeOf, type PlaceOptions } from './place.js';
import { scheduleJson, stepsTable } from './view.js';

interface PlanCommandOptions
  extends PlaceOptions, ReadOptions, Partial<Omit<PlanOptions, 'addrcount'>> {
  readonly addrcount?: number;
  readonly replace?: boolean;
  readonly dryRun?: boolean;
}

/** Numbers from 0 to below 1 with 48 random bits. */
const secureRandom = (): number => randomBytes(6).readUIntBE(0, 6) / 2 ** 48;

/** Coins that the plan cannot move, one line for each mixdepth. */
function heldNotes(mixdepths: readonly MixdepthFacts[]): readonly string[] {
  return mixdepths.flatMap(({ mixdepth, pending, frozen, held }) => {
    const parts: readonly (readonly [number, string])[] = [
      [pending, 'in no block yet'],
      [frozen, 'frozen'],
      [held, 'reserved'],
    ];
    const said = parts.flatMap(([value, what]) =>
      value > 0 ? [`${grouped(value)} sat ${what}`] : [],
    );
    if (said.length === 0) return [];
    return [`note: mixdepth ${mixdepth} has ${said.join(', ')}: the plan is without them`];
  });
}

export async function runPlan(
  wallet: string,
  addresses: readonly string[],
  options: PlanCommandOptions,
): Promise<void> {
  const { place } = await placeOf(wallet, options);
  const { path, network } = place;
  const named = addresses.map((address) => ({
    address,
    script: scriptOfAddress(address, network),
  }));
  const isWritten = options.dryRun !== true;
  if (isWritten && options.replace !== true && (await scheduleExists(path))) {
    throw new ScheduleFileError(
      `${path}: there is a schedule already: run it, or give --replace, or another --file`,
    );
  }
  await readWallet(wallet, options, async (session) => {
    const { mixdepths } = walletFacts(session.wallet);
    const addrcount = options.addrcount ?? Math.max(DEFAULT_PLAN_OPTIONS.addrcount, named.length);
    const planned = planSchedule(
      {
        options: { ...DEFAULT_PLAN_OPTIONS, ...options, addrcount },
        balances: mixdepths.map(({ available }) => available),
        addresses: named,
      },
      secureRandom,
    );
    if (!planned.ok) throw new UsageError(planned.reason);
    const { steps, notes } = planned;
    for (const note of [...notes.map((one) => `note: ${one}`), ...heldNotes(mixdepths)]) {
      printNote(note);
    }
    const state = newRun({ id: '0'.repeat(16), wallet }, steps);
    if (isWritten) {
      const files = await ScheduleFiles.open(place);
      try {
        await files.replace(steps, [`schedule of the wallet ${wallet}`]);
      } finally {
        await files.close();
      }
    }
    if (options.json === true) printJson(scheduleJson(state, path));
    else print(stepsTable(state));
    printNote(
      isWritten ? `${path}: next: onionmc schedule run ${wallet} --dry-run` : 'nothing was written',
    );
  });
}
