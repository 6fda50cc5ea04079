/**
 * The files of a schedule: its lines, the state of its run beside them (`.state`), the lock of the program that
 * runs it (`.lock`), and the request to stop it (`.stop`).
 */
import { randomBytes } from 'node:crypto';
import { mkdir, readFile, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { errorCode, errorText } from '../kit/error-text.js';
import { lockInstance, LockedError, readLock, type InstanceLock } from '../ops/instance-lock.js';
import { syncFolder, writeStateFile } from '../ops/state-file.js';
import type { Network } from '../protocol/constants.js';
import type { ScheduleStep } from '../schedule/api.js';
import { formatSchedule, parseSchedule, replaceSteps } from '../schedule/lines.js';
import { changedStep, restarted, withSteps } from '../schedule/outcome.js';
import { newRun, type RunState } from '../schedule/run-state.js';
import { formatRun, parseRun } from '../schedule/state-text.js';

/** A file that cannot be used. One line: which, what is wrong with it, what to do. */
export class ScheduleFileError extends Error {
  override readonly name = 'ScheduleFileError';
  /** The exit code of wrong usage. */
  readonly exitCode = 2;
}

/** The schedule of a wallet, where no other file is named. */
export const schedulePath = (datadir: string, wallet: string): string =>
  join(datadir, 'schedules', `${wallet}.schedule`);

const isMissing = (error: unknown): boolean => errorCode(error) === 'ENOENT';

/** Longest file that is read. */
const MAX_BYTES = 4 * 1024 * 1024;

async function textOf(path: string): Promise<string | undefined> {
  try {
    const { size } = await stat(path);
    if (size > MAX_BYTES) throw new ScheduleFileError(`${path}: too long for a schedule`);
    return await readFile(path, 'utf8');
  } catch (error) {
    if (isMissing(error)) return undefined;
    if (error instanceof ScheduleFileError) throw error;
    throw new ScheduleFileError(`${path}: ${errorText(error)}`, { cause: error });
  }
}

/** Where a schedule is, and for which wallet and network it is read. */
export interface SchedulePlace {
  readonly path: string;
  readonly wallet: string;
  readonly network: Network;
}

/** A schedule that was read, with what is known of its run. */
export interface ScheduleOnDisk {
  readonly state: RunState;
  /** Whether a program runs it now. */
  readonly isRunning: boolean;
}

/** The steps of a schedule file. */
async function stepsOf({ path, network }: SchedulePlace): Promise<readonly ScheduleStep[]> {
  const text = await textOf(path);
  if (text === undefined) {
    throw new ScheduleFileError(`${path}: no such schedule: "onionmc schedule plan" makes one`);
  }
  const parsed = parseSchedule(text, network);
  if (parsed.ok) return parsed.steps;
  const where = parsed.line === undefined ? path : `${path}, line ${parsed.line}`;
  throw new ScheduleFileError(`${where}: ${parsed.reason}`);
}

const statePath = (path: string): string => `${path}.state`;
const lockPath = (path: string): string => `${path}.lock`;
const stopPath = (path: string): string => `${path}.stop`;

async function isLocked(path: string): Promise<boolean> {
  try {
    return (await readLock(lockPath(path))).state === 'held';
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}

/**
 * Reads a schedule and the state of its run. A schedule without a state is a run that has not begun.
 * @throws ScheduleFileError
 */
export async function readScheduleFiles(place: SchedulePlace): Promise<ScheduleOnDisk> {
  const { path, wallet, network } = place;
  const steps = await stepsOf(place);
  const isRunning = await isLocked(path);
  const text = await textOf(statePath(path));
  if (text === undefined) {
    const id = randomBytes(8).toString('hex');
    return { state: newRun({ id, wallet }, steps), isRunning };
  }
  const known = parseRun(text, network);
  if (!known.ok) {
    throw new ScheduleFileError(
      `${statePath(path)}: damaged (${known.field}): put a backup back, or look at "onionmc wallet history" for the steps that are done, mark them with 1 in ${path}, and remove this file`,
    );
  }
  if (known.state.wallet !== wallet) {
    throw new ScheduleFileError(
      `${path}: this schedule was begun with the wallet ${known.state.wallet}: use that one, or another file`,
    );
  }
  const changed = changedStep(known.state, steps);
  if (changed !== undefined) {
    throw new ScheduleFileError(
      `${path}: step ${changed + 1} is another one than when it began: put its line back, or plan anew with another --file`,
    );
  }
  return { state: withSteps(known.state, steps), isRunning };
}

/** The files of a schedule that this program runs. It has the lock until `close`. */
export class ScheduleFiles {
  readonly #place: SchedulePlace;
  readonly #lock: InstanceLock;

  private constructor(place: SchedulePlace, lock: InstanceLock) {
    this.#place = place;
    this.#lock = lock;
  }

  /** @throws ScheduleFileError also when another program runs the schedule. */
  static async open(place: SchedulePlace): Promise<ScheduleFiles> {
    await mkdir(dirname(place.path), { recursive: true, mode: 0o700 });
    try {
      const lock = await lockInstance(lockPath(place.path));
      try {
        await rm(stopPath(place.path), { force: true });
      } catch (error) {
        await lock.release();
        throw error;
      }
      return new ScheduleFiles(place, lock);
    } catch (error) {
      if (!(error instanceof LockedError)) throw error;
      const by = error.pid === undefined ? 'another program' : `process ${error.pid}`;
      throw new ScheduleFileError(
        `${place.path}: ${by} runs this schedule: "onionmc schedule stop" ends it`,
        { cause: error },
      );
    }
  }

  /** The state to continue with; attempts are counted anew. */
  async load(): Promise<RunState> {
    return restarted((await readScheduleFiles(this.#place)).state);
  }

  /** Writes the state, and then the marks of the schedule. */
  async save(state: RunState): Promise<void> {
    const { path } = this.#place;
    await writeStateFile(statePath(path), formatRun(state));
    const text = (await textOf(path)) ?? '';
    const marked = replaceSteps(text, state.steps);
    if (marked !== text) await writeStateFile(path, marked);
  }

  /**
   * Begins anew with these steps: the state of an earlier run is gone. The steps are written first: the old steps
   * without their state would be done again. New steps with an old state are refused, until this is called again.
   */
  async replace(steps: readonly ScheduleStep[], comments: readonly string[]): Promise<void> {
    const { path } = this.#place;
    const head = comments.map((line) => `# ${line}\n`).join('');
    await writeStateFile(path, `${head}${formatSchedule(steps)}`);
    await rm(statePath(path), { force: true });
    await syncFolder(dirname(path));
  }

  /** Whether another program asked this one to stop. */
  async isStopRequested(): Promise<boolean> {
    return (await textOf(stopPath(this.#place.path))) !== undefined;
  }

  async close(): Promise<void> {
    await rm(stopPath(this.#place.path), { force: true });
    await this.#lock.release();
  }
}

/** Asks the program that runs a schedule to stop. Resolves to whether one runs. */
export async function requestStop(path: string): Promise<boolean> {
  if (!(await isLocked(path))) return false;
  await writeStateFile(stopPath(path), 'stop\n');
  return true;
}

/** Whether there is a schedule at a path. */
export const scheduleExists = async (path: string): Promise<boolean> =>
  (await textOf(path)) !== undefined;
