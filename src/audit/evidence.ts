/** Reads records of evidence from a file, which may have been edited. */
import type { EvidenceRecord } from '../orderbook/book-api.js';

const MAX_TEXT = 128;
const MAX_COMPARED = 100;

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const isCount = (value: unknown): value is number =>
  typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;

const isText = (value: unknown): value is string =>
  typeof value === 'string' &&
  value.length > 0 &&
  /^[!-~]+$/.test(value) &&
  value.length <= MAX_TEXT;

function parseCompared(value: unknown): EvidenceRecord['compared'] | undefined {
  if (!isObject(value)) return undefined;
  const rows: [string, { rounds: number; delivered: number }][] = [];
  for (const [directory, counts] of Object.entries(value).slice(0, MAX_COMPARED)) {
    if (!isText(directory) || !isObject(counts)) return undefined;
    const { rounds, delivered } = counts;
    if (!isCount(rounds) || !isCount(delivered)) return undefined;
    rows.push([directory, { rounds, delivered }]);
  }
  return Object.fromEntries(rows);
}

/** Undefined for a value that is not a record. Never throws. */
export function parseEvidence(value: unknown): EvidenceRecord | undefined {
  if (!isObject(value)) return undefined;
  const { atEpoch, directory, event, kind, maker, rounds, delivered, evidence } = value;
  const compared = parseCompared(value['compared']);
  if (typeof atEpoch !== 'number' || !Number.isFinite(atEpoch) || !isText(directory)) {
    return undefined;
  }
  if (event !== 'flag' && event !== 'clear') return undefined;
  if (kind !== 'withholds' && kind !== 'lossy') return undefined;
  if (maker !== undefined && !isText(maker)) return undefined;
  if (!isCount(rounds) || !isCount(delivered) || compared === undefined) return undefined;
  if (typeof evidence !== 'number' || !Number.isFinite(evidence)) return undefined;
  return { atEpoch, directory, event, kind, maker, rounds, delivered, evidence, compared };
}
