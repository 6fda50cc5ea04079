/**
 * The state of a node for the process that continues it: the numbers of its packets, so that the others notice
 * nothing, and what it knows of their peers. The input is validated: it may come from another version.
 */
import { isRecord, recordOf } from '../kit/json-record.js';
import type { SenderState } from './inbox.js';
import type { OutboxState } from './outbox.js';
import { formatEntry, parseEntry, type Entry } from './record.js';
import { MAX_NODE_PEERS } from './remote-view.js';

export interface MovedNode {
  readonly name: string;
  readonly sender: SenderState;
  readonly entries: readonly Entry[];
}

export interface Moved extends OutboxState {
  /** The peers that it had announced. */
  readonly own: readonly Entry[];
  readonly nodes: readonly MovedNode[];
}

const MAX_NODES = 1_000;
const EPOCH = /^[0-9a-f]{1,64}$/;

/** JSON, for `parseMoved`. */
export function formatMoved({ epoch, toAll, toNodes, own, nodes }: Moved): unknown {
  return {
    epoch,
    toAll,
    toNodes: Object.fromEntries(toNodes),
    own: own.map(formatEntry),
    nodes: nodes.map(({ name, sender, entries }) => ({
      name,
      epoch: sender.epoch ?? null,
      toAll: sender.toAll,
      toUs: sender.toUs,
      entries: entries.map(formatEntry),
    })),
  };
}

function countOf(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : undefined;
}

function epochOf(value: unknown): string | undefined {
  return typeof value === 'string' && EPOCH.test(value) ? value : undefined;
}

function entriesOf(value: unknown): readonly Entry[] {
  if (!Array.isArray(value)) return [];
  return value.slice(0, MAX_NODE_PEERS).flatMap((item) => parseEntry(item) ?? []);
}

function nodeOf(value: unknown): readonly MovedNode[] {
  const { name, epoch, toAll, toUs, entries } = recordOf(value);
  if (typeof name !== 'string') return [];
  const sender = { epoch: epochOf(epoch), toAll: countOf(toAll) ?? 0, toUs: countOf(toUs) ?? 0 };
  return [{ name, sender, entries: entriesOf(entries) }];
}

/** Undefined when the other process had no cluster, or its state cannot be read. Never throws. */
export function parseMoved(value: unknown): Moved | undefined {
  if (!isRecord(value)) return undefined;
  const epoch = epochOf(value['epoch']);
  const toAll = countOf(value['toAll']);
  if (epoch === undefined || toAll === undefined) return undefined;
  const toNodes = new Map<string, number>();
  for (const [name, seq] of Object.entries(recordOf(value['toNodes'])).slice(0, MAX_NODES)) {
    const count = countOf(seq);
    if (count !== undefined) toNodes.set(name, count);
  }
  const nodes = Array.isArray(value['nodes']) ? value['nodes'].slice(0, MAX_NODES) : [];
  return { epoch, toAll, toNodes, own: entriesOf(value['own']), nodes: nodes.flatMap(nodeOf) };
}
