/**
 * Figures of a directory node for the process that continues it. They are only shown; what cannot be
 * read is left out.
 */
import { isRecord, recordOf } from '../kit/json-record.js';
import type { Movable, Parcels } from '../kit/movable.js';
import { CANARY_STATES, type CanaryReport } from './canary-report.js';

/** Sums by name. Readers skip unknown names. */
export type Counts = Readonly<Record<string, number>>;

export interface DirectoryFigures {
  /** Since the directory was started, in the first process. */
  readonly upSeconds: number;
  /** Since when the service is in its state. */
  readonly stateSeconds: number;
  /** How often the service entered each state. */
  readonly entered: Counts;
  /** Tests of the canary by outcome. */
  readonly selfTests: Counts;
  readonly canary: CanaryReport | undefined;
}

const KEY = 'past';
const MAX_NAMES = 64;
const TIMES = ['stateSeconds', 'testedSecondsAgo', 'dialMs', 'handshakeMs', 'relayMs'] as const;

function countOf(value: unknown): number | undefined {
  const isCount = typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
  return isCount ? value : undefined;
}

function countsOf(value: unknown): Counts {
  const entries = Object.entries(recordOf(value)).slice(0, MAX_NAMES);
  return Object.fromEntries(
    entries.flatMap(([name, sum]) => {
      const count = countOf(sum);
      return count === undefined ? [] : [[name, count]];
    }),
  );
}

function canaryOf(value: unknown): CanaryReport | undefined {
  if (!isRecord(value)) return undefined;
  const state = CANARY_STATES.find((name) => name === value['state']);
  if (state === undefined) return undefined;
  const times: Partial<Record<(typeof TIMES)[number], number>> = {};
  for (const name of TIMES) {
    const time = countOf(value[name]);
    if (time !== undefined) times[name] = time;
  }
  const tests = countOf(value['tests']) ?? 0;
  return { state, tests, failures: countOf(value['failures']) ?? 0, ...times };
}

/** The figures of the previous process; undefined without one. Never throws. */
export function earlierFigures(parcels: Parcels | undefined): DirectoryFigures | undefined {
  const value = parcels?.get(KEY)?.value;
  if (!isRecord(value)) return undefined;
  return {
    upSeconds: countOf(value['upSeconds']) ?? 0,
    stateSeconds: countOf(value['stateSeconds']) ?? 0,
    entered: countsOf(value['entered']),
    selfTests: countsOf(value['selfTests']),
    canary: canaryOf(value['canary']),
  };
}

/** The parcel for the next process. */
export function movableFigures(read: () => DirectoryFigures): Movable {
  return { hold: () => Promise.resolve([{ key: KEY, value: read() }]), release() {} };
}
