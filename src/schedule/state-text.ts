/** The state of a run as JSON text, and back. Pure. */
import {
  isRecord,
  parseRecord,
  recordOf as fieldsOf,
  type JsonRecord,
} from '../kit/json-record.js';
import type { Network } from '../protocol/constants.js';
import { MAX_STEPS } from './api.js';
import { parseSchedule, stepLine } from './lines.js';
import type { RunState, StepProgress, StepRecord, Waiting } from './run-state.js';

const VERSION = 1;
/** Longest fault or reason that is kept. */
const MAX_TEXT = 500;
const REASONS = ['wait', 'confirmation', 'confirmations', 'young', 'coins', 'retry'] as const;

export function formatRun(state: RunState): string {
  const { id, wallet, steps, records, waiting } = state;
  const written = steps.map((step, index) => {
    const { progress, paid, ...record } = records[index] ?? {};
    return { line: stepLine(step), ...record, progress, paid };
  });
  return `${JSON.stringify({ version: VERSION, id, wallet, steps: written, waiting }, undefined, 1)}\n`;
}

/** A value that the file must not have. Thrown and caught here only. */
class StateFault extends Error {
  override readonly name = 'StateFault';
}

function number(value: unknown, name: string): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value;
  throw new StateFault(name);
}

function text(value: unknown, name: string, form: RegExp): string {
  if (typeof value === 'string' && form.test(value)) return value;
  throw new StateFault(name);
}

const LINE = /^[^\p{C}]*$/u;
const TXID = /^[0-9a-f]{64}$/;

function shortText(value: unknown, name: string): string {
  const read = text(value, name, LINE);
  if (read.length <= MAX_TEXT) return read;
  throw new StateFault(name);
}

function progressOf(value: JsonRecord): StepProgress {
  const { kind } = value;
  switch (kind) {
    case 'open':
    case 'done':
      return { kind };
    case 'begun':
      return { kind, at: number(value['at'], 'at') };
    case 'sent': {
      const { txid } = value;
      const known = txid === undefined ? undefined : text(txid, 'txid', TXID);
      return { kind, txid: known, at: number(value['at'], 'at') };
    }
    case 'confirmed': {
      const txid = text(value['txid'], 'txid', TXID);
      return {
        kind,
        txid,
        height: number(value['height'], 'height'),
        at: number(value['at'], 'at'),
      };
    }
    case 'skipped':
      return { kind, reason: shortText(value['reason'], 'reason') };
    default:
      throw new StateFault('progress');
  }
}

function paidOf(value: unknown): StepRecord['paid'] {
  if (value === undefined) return undefined;
  const { amount, makerFees, minerFee } = fieldsOf(value);
  // Makers that pay for it make the sum of their fees negative.
  if (typeof makerFees !== 'number' || !Number.isSafeInteger(makerFees))
    throw new StateFault('paid');
  return { amount: number(amount, 'amount'), makerFees, minerFee: number(minerFee, 'minerFee') };
}

function stepRecordOf(value: JsonRecord): StepRecord {
  const { fault } = value;
  return {
    progress: progressOf(fieldsOf(value['progress'])),
    failures: number(value['failures'], 'failures'),
    fault: fault === undefined ? undefined : shortText(fault, 'fault'),
    retryAt: number(value['retryAt'], 'retryAt'),
    paid: paidOf(value['paid']),
  };
}

function waitingOf(value: unknown, steps: number): Waiting | undefined {
  if (value === undefined) return undefined;
  const { step, reason, until } = fieldsOf(value);
  const known = REASONS.find((one) => one === reason);
  const at = number(step, 'step');
  if (known === undefined || at >= steps) throw new StateFault('waiting');
  return {
    step: at,
    reason: known,
    until: until === undefined ? undefined : number(until, 'until'),
  };
}

function runOf(value: JsonRecord, network: Network): RunState {
  const { steps } = value;
  if (value['version'] !== VERSION) throw new StateFault('version');
  if (!Array.isArray(steps) || steps.length > MAX_STEPS || !steps.every(isRecord)) {
    throw new StateFault('steps');
  }
  const lines = steps.map(({ line }) => text(line, 'line', LINE));
  const parsed = parseSchedule(lines.join('\n'), network);
  if (!parsed.ok || parsed.steps.length !== steps.length) throw new StateFault('line');
  return {
    id: text(value['id'], 'id', /^[0-9a-f]{16}$/),
    wallet: text(value['wallet'], 'wallet', /^[^\p{C}]{1,64}$/u),
    steps: parsed.steps,
    records: steps.map(stepRecordOf),
    waiting: waitingOf(value['waiting'], steps.length),
  };
}

/** Reads the state of a run; the name of the first field that cannot be used otherwise. */
export function parseRun(
  content: string,
  network: Network,
):
  { readonly ok: true; readonly state: RunState } | { readonly ok: false; readonly field: string } {
  const value = parseRecord(content);
  if (value === undefined) return { ok: false, field: 'json' };
  try {
    return { ok: true, state: runOf(value, network) };
  } catch (error) {
    if (error instanceof StateFault) return { ok: false, field: error.message };
    throw error;
  }
}
