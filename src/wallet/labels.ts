/** Labels of addresses, coins and transactions as files (BIP329). Pure. */
import { parseAddress } from '../bitcoin/address.js';
import { isRecord } from '../kit/json-record.js';
import type { Network } from '../protocol/constants.js';
import { formatOutpoint, parseOutpoint, type Outpoint } from '../protocol/outpoint.js';
import { ownText } from '../protocol/own-text.js';
import { WalletError, type FreezeReason } from './api.js';
import type { WalletRecord } from './records.js';
import type { LabelImport } from './requests.js';
import type { WalletState } from './state.js';

/** Longest label, in UTF-16 units: BIP329 lets readers cut them. */
export const MAX_LABEL = 255;
const MAX_LINE = 20_000;
const MAX_LINES = 200_000;
const MAX_REFUSED = 1_000;
/** It has no UTF-8 form. */
const LONE_SURROGATE = /\p{Surrogate}/u;

type LabelType = 'addr' | 'output' | 'tx';
const TYPES: readonly LabelType[] = ['addr', 'output', 'tx'];

/** What an import needs to know of the wallet. */
export interface LabelContext {
  readonly network: Network;
  readonly isOwn: (script: string) => boolean;
  readonly hasCoin: (name: string) => boolean;
  readonly frozen: (name: string) => FreezeReason | undefined;
}

/** One line of a file. */
interface LabelLine {
  readonly type: LabelType;
  readonly reference: string;
  readonly label: string;
  readonly spendable: boolean | undefined;
}

/** The reference in the form in which the journal holds it; undefined for one that is not of its type. */
export function labelReference(
  type: LabelType,
  text: string,
  network: Network,
): string | undefined {
  switch (type) {
    case 'tx':
      return /^[0-9a-fA-F]{64}$/.test(text) ? text.toLowerCase() : undefined;
    case 'output': {
      const outpoint = parseOutpoint(text);
      return outpoint.ok ? formatOutpoint(outpoint.value) : undefined;
    }
    case 'addr': {
      const address = parseAddress(text, network);
      return address.ok ? (text === text.toUpperCase() ? text.toLowerCase() : text) : undefined;
    }
  }
}

/** A label that is short enough. Throws a WalletError for a longer one. */
export function checkedLabel(label: string): string {
  if (label.length <= MAX_LABEL) return label;
  throw new WalletError(
    'request',
    `a label has at most ${MAX_LABEL} characters, not ${label.length}`,
  );
}

/** The record of a label. Throws a WalletError for a reference that is not of its type. */
export function labelRecord(
  type: LabelType,
  text: string,
  label: string,
  network: Network,
): WalletRecord {
  const reference = labelReference(type, text, network);
  if (reference === undefined) {
    const names = { addr: 'an address of this network', output: 'txid:number', tx: 'a txid' };
    throw new WalletError('request', `the label needs ${names[type]}`);
  }
  return { kind: 'label', type, reference, label: checkedLabel(label) };
}

/** All labels, and the coins that a person or an import froze: one JSON object for each line. */
export function exportLabels(state: WalletState): string {
  const frozen = new Set(state.frozenByHand);
  const lines: object[] = [];
  for (const [key, label] of state.labels) {
    const at = key.indexOf(':');
    const type = key.slice(0, at);
    const ref = key.slice(at + 1);
    const isFrozen = type === 'output' && frozen.delete(ref);
    lines.push({ type, ref, label, ...(isFrozen ? { spendable: false } : {}) });
  }
  for (const ref of frozen) lines.push({ type: 'output', ref, spendable: false });
  return lines.map((line) => `${JSON.stringify(line)}\n`).join('');
}

function readLine(text: string, network: Network): LabelLine | string {
  if (text.length > MAX_LINE) return 'longer than 20,000 characters';
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return 'not JSON';
  }
  if (!isRecord(value)) return 'no JSON object';
  const type = TYPES.find((it) => it === value['type']);
  if (type === undefined) return 'a type that this wallet has no labels for';
  const { ref, label = '', spendable } = value;
  const reference = typeof ref === 'string' ? labelReference(type, ref, network) : undefined;
  if (reference === undefined) return 'its ref does not name what its type says, on this network';
  if (typeof label !== 'string') return 'its label is no text';
  if (spendable !== undefined && typeof spendable !== 'boolean')
    return 'spendable is true or false';
  const cut = LONE_SURROGATE.test(label) ? '' : label.slice(0, MAX_LABEL);
  return { type, reference: ownText(reference), label: ownText(cut), spendable };
}

const coinName = (reference: string): Outpoint => {
  const [txid = '', vout = ''] = reference.split(':');
  return { txid, vout: Number(vout) };
};

function recordsOf(line: LabelLine, context: LabelContext): readonly WalletRecord[] | string {
  const { type, reference, label, spendable } = line;
  if (type === 'addr') {
    const address = parseAddress(reference, context.network);
    if (!address.ok || !context.isOwn(address.value.script)) return 'an address of another wallet';
  }
  if (type === 'output' && !context.hasCoin(reference))
    return 'a coin that this wallet does not have';
  const records: WalletRecord[] = [];
  if (label !== '') records.push({ kind: 'label', type, reference, label });
  if (type !== 'output') return records;
  const { txid, vout } = coinName(reference);
  const frozen = context.frozen(reference);
  if (spendable === false && frozen === undefined) {
    records.push({ kind: 'freeze', coin: [txid, vout], reason: 'imported' });
  }
  if (spendable === true && frozen !== undefined) {
    records.push({ kind: 'unfreeze', coin: [txid, vout] });
  }
  return records;
}

/**
 * Reads BIP329 lines. A line that cannot be used is reported and does not stop the others. Addresses
 * and coins of other wallets are refused.
 */
export function readLabels(
  text: string,
  context: LabelContext,
): { readonly records: readonly WalletRecord[]; readonly report: LabelImport } {
  const records: WalletRecord[] = [];
  const refused: { line: number; reason: string }[] = [];
  let taken = 0;
  const lines = text.split(/\r?\n/, MAX_LINES + 1);
  for (const [at, line] of lines.entries()) {
    if (line.trim() === '') continue;
    const read = at < MAX_LINES ? readLine(line, context.network) : 'beyond 200,000 lines';
    const made = typeof read === 'string' ? read : recordsOf(read, context);
    if (typeof made !== 'string') {
      taken++;
      records.push(...made);
    } else if (refused.length < MAX_REFUSED) {
      refused.push({ line: at + 1, reason: made });
    }
  }
  return { records, report: { taken, refused } };
}
