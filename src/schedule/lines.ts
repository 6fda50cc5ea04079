/**
 * The line format of schedules, as the original reads and writes it:
 * `mixdepth,amount,makers,destination,wait,rounding,completed`. A number with a point is a fraction, a
 * whole number is satoshi, and 0 is a sweep. Lines that begin with `#` are comments. Pure.
 */
import { addressFaultText, parseAddress } from '../bitcoin/address.js';
import { quotedLine } from '../kit/shown-text.js';
import type { Network } from '../protocol/constants.js';
import {
  LEAST_FRACTION,
  MAX_MAKERS,
  MAX_MIXDEPTH,
  MAX_SATOSHI,
  MAX_STEPS,
  MAX_WAIT_MINUTES,
  NO_ROUNDING,
  type ScheduleStep,
  type StepAmount,
  type StepDestination,
  type StepMark,
} from './api.js';

/** Longest text that is read. */
const MAX_TEXT = 1_048_576;
const FIELDS = 'mixdepth,amount,makers,destination,wait-minutes,rounding,completed';

/** A schedule that was read, or the first line that is wrong. */
export type ParsedSchedule =
  | { readonly ok: true; readonly steps: readonly ScheduleStep[] }
  | {
      readonly ok: false;
      /** Number of the line, from 1; undefined for a fault of the whole text. */
      readonly line: number | undefined;
      /** What is wrong with it, and what is allowed. One sentence, safe for a terminal. */
      readonly reason: string;
    };

/** Why a line cannot be read. Thrown and caught in this file only. */
class LineFault extends Error {
  override readonly name = 'LineFault';
}

function wholeNumber(text: string, name: string, least: number, most: number): number {
  const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= least && value <= most) return value;
  throw new LineFault(`${name} ${quotedLine(text, 40)}: a whole number from ${least} to ${most}`);
}

function amountOf(text: string): StepAmount {
  if (!text.includes('.')) {
    const value = wholeNumber(text, 'amount', 0, MAX_SATOSHI);
    return value === 0 ? { kind: 'sweep' } : { kind: 'satoshi', value };
  }
  const isDecimal = /^(?:\d{1,16}\.\d{0,40}|\.\d{1,40})(?:[eE][+-]?\d{1,3})?$/.test(text);
  const value = isDecimal ? Number(text) : Number.NaN;
  if (value >= LEAST_FRACTION && value < 1) return { kind: 'fraction', value };
  throw new LineFault(
    `amount ${quotedLine(text, 40)}: a number with a point is a fraction of the mixdepth, from 0.000001 to below 1.0; write 0 for all of it`,
  );
}

function destinationOf(text: string, network: Network): StepDestination {
  if (text === 'INTERNAL') return { kind: 'internal' };
  if (text === 'addrask') return { kind: 'ask' };
  const parsed = parseAddress(text, network);
  if (parsed.ok) return { kind: 'address', address: text, script: parsed.value.script };
  throw new LineFault(
    `destination ${quotedLine(text, 100)}: ${addressFaultText(parsed.reason)}; give an address of ${network}, INTERNAL or addrask`,
  );
}

function waitOf(text: string): number {
  const isDecimal = /^(?:\d{1,7}\.?\d{0,40}|\.\d{1,40})(?:[eE][+-]?\d{1,3})?$/.test(text);
  const value = isDecimal ? Number(text) : Number.NaN;
  if (value >= 0 && value <= MAX_WAIT_MINUTES) return value;
  throw new LineFault(
    `wait ${quotedLine(text, 40)}: minutes, from 0 to ${MAX_WAIT_MINUTES}, decimals allowed`,
  );
}

function markOf(text: string): StepMark {
  if (text === '0') return { kind: 'open' };
  if (text === '1') return { kind: 'done' };
  if (/^[0-9a-fA-F]{64}$/.test(text)) return { kind: 'sent', txid: text.toLowerCase() };
  throw new LineFault(
    `completed ${quotedLine(text, 80)}: 0 for an open step, 1 for one that was done, or its txid`,
  );
}

function stepOf(line: string, network: Network): ScheduleStep {
  const fields = line.split(',').map((field) => field.trim());
  const [mixdepth, amount, makers, destination, wait, rounding, completed] = fields;
  if (
    mixdepth === undefined ||
    amount === undefined ||
    makers === undefined ||
    destination === undefined ||
    wait === undefined ||
    rounding === undefined ||
    completed === undefined ||
    fields.length > 7
  ) {
    throw new LineFault(
      `${fields.length} field${fields.length === 1 ? '' : 's'} with commas between, not the 7 of a step: ${FIELDS}`,
    );
  }
  return {
    mixdepth: wholeNumber(mixdepth, 'mixdepth', 0, MAX_MIXDEPTH),
    amount: amountOf(amount),
    makers: wholeNumber(makers, 'makers', 1, MAX_MAKERS),
    destination: destinationOf(destination, network),
    waitMinutes: waitOf(wait),
    rounding: wholeNumber(rounding, 'rounding', 1, NO_ROUNDING),
    completed: markOf(completed),
  };
}

const isStepLine = (line: string): boolean => line.trim() !== '' && !line.startsWith('#');

const linesOf = (text: string): readonly string[] => text.split(/\r\n|\n|\r/);

/** Reads a schedule. It never throws, and has 1 to `MAX_STEPS` steps. */
export function parseSchedule(text: string, network: Network): ParsedSchedule {
  if (text.length > MAX_TEXT) {
    return { ok: false, line: undefined, reason: 'it is longer than 1 MiB, so not a schedule' };
  }
  const steps: ScheduleStep[] = [];
  for (const [index, line] of linesOf(text).entries()) {
    if (!isStepLine(line)) continue;
    try {
      if (steps.length === MAX_STEPS) throw new LineFault(`more than ${MAX_STEPS} steps`);
      steps.push(stepOf(line, network));
    } catch (error) {
      if (!(error instanceof LineFault)) throw error;
      return { ok: false, line: index + 1, reason: error.message };
    }
  }
  if (steps.length > 0) return { ok: true, steps };
  return { ok: false, line: undefined, reason: `it has no step; a step is one line: ${FIELDS}` };
}

function amountText(amount: StepAmount): string {
  // A fraction of at least a millionth is written without an exponent, so always with a point.
  return amount.kind === 'sweep' ? '0' : String(amount.value);
}

function destinationText(destination: StepDestination): string {
  switch (destination.kind) {
    case 'internal':
      return 'INTERNAL';
    case 'ask':
      return 'addrask';
    case 'address':
      return destination.address;
  }
}

function markText(mark: StepMark): string {
  switch (mark.kind) {
    case 'open':
      return '0';
    case 'done':
      return '1';
    case 'sent':
      return mark.txid;
  }
}

export function stepLine(step: ScheduleStep): string {
  return [
    step.mixdepth,
    amountText(step.amount),
    step.makers,
    destinationText(step.destination),
    step.waitMinutes,
    step.rounding,
    markText(step.completed),
  ].join(',');
}

/** The text of a schedule, one line for each step. */
export function formatSchedule(steps: readonly ScheduleStep[]): string {
  return steps.map((step) => `${stepLine(step)}\n`).join('');
}

/**
 * The text of a schedule file with other steps in the places of its own, as many as before. Its comments
 * stay; empty lines, which the original refuses, do not.
 */
export function replaceSteps(text: string, steps: readonly ScheduleStep[]): string {
  const rest = [...steps];
  const lines = linesOf(text).flatMap((line): readonly string[] => {
    if (line.startsWith('#')) return [line];
    const step = isStepLine(line) ? rest.shift() : undefined;
    return step === undefined ? [] : [stepLine(step)];
  });
  return [...lines, ...rest.map(stepLine)].map((line) => `${line}\n`).join('');
}
