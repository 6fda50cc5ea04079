/** Real inputs: recorded conversations of the original implementation, and the protocol's vectors. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { decodeEnvelope } from '../../src/protocol/envelope.js';

export interface Seeds {
  /** The bytes of one side of a connection, in pieces as received. */
  readonly streams: readonly Uint8Array[];
  /** Single lines, without their ends, each different. */
  readonly lines: readonly Uint8Array[];
  /** Different payloads, by message type. */
  readonly payloads: ReadonlyMap<number, readonly string[]>;
  /** Configuration files. */
  readonly configs: readonly string[];
  /** Structures and messages of LLARP v0. */
  readonly llarp: readonly Uint8Array[];
}

/** The most seeds of one kind, since the recordings repeat themselves. */
const MAX_OF_A_KIND = 200;

interface Recorded {
  readonly conn: string;
  readonly dir: string;
  readonly data: string;
}

function isRecorded(value: unknown): value is Recorded {
  return (
    typeof value === 'object' &&
    value !== null &&
    'data' in value &&
    typeof value.data === 'string' &&
    'conn' in value &&
    'dir' in value
  );
}

function recordedStreams(folder: string): Uint8Array[] {
  const streams = new Map<string, string>();
  for (const file of readdirSync(folder).filter((name) => name.endsWith('.jsonl'))) {
    for (const text of readFileSync(join(folder, file), 'utf8').split('\n')) {
      const entry: unknown = text === '' ? undefined : JSON.parse(text);
      if (!isRecorded(entry)) continue;
      const key = `${file} ${entry.conn} ${entry.dir}`;
      streams.set(key, (streams.get(key) ?? '') + entry.data);
    }
  }
  return [...streams.values()].map((text) => Buffer.from(text));
}

/** Every text inside a JSON value. */
function texts(value: unknown): string[] {
  if (typeof value === 'string') return [value];
  if (typeof value !== 'object' || value === null) return [];
  return Object.values(value).flatMap(texts);
}

function configTexts(file: string): string[] {
  const vectors: unknown = JSON.parse(readFileSync(file, 'utf8'));
  if (!Array.isArray(vectors)) return [];
  return vectors.flatMap((vector: unknown) =>
    typeof vector === 'object' && vector !== null && 'text' in vector ? texts(vector.text) : [],
  );
}

/** The bytes of every property `hex`. */
function hexBytes(value: unknown): Uint8Array[] {
  if (typeof value !== 'object' || value === null) return [];
  const own = 'hex' in value && typeof value.hex === 'string' ? [value.hex] : [];
  return [
    ...own.map((hex) => Uint8Array.from(Buffer.from(hex, 'hex'))),
    ...Object.values(value).flatMap(hexBytes),
  ];
}

function distinct(items: Iterable<string>): string[] {
  return [...new Set(items)].slice(0, MAX_OF_A_KIND);
}

/** @param root the checkout, which holds `test/transcripts` and `test/vectors` */
export function readSeeds(root: string): Seeds {
  const streams = recordedStreams(join(root, 'test/transcripts'));
  const vectorTexts = texts(
    JSON.parse(readFileSync(join(root, 'test/vectors/protocol.json'), 'utf8')),
  );
  const allLines = [
    ...streams.flatMap((bytes) => Buffer.from(bytes).toString('utf8').split(/\r?\n/)),
    ...vectorTexts.filter((text) => text.startsWith('{')),
  ].filter((line) => line !== '' && line.length < 5_000);
  const byType = new Map<number, string[]>();
  for (const line of new Set(allLines)) {
    const envelope = decodeEnvelope(Buffer.from(line));
    if (!envelope.ok) continue;
    const { type, line: payload } = envelope.value;
    byType.set(type, [...(byType.get(type) ?? []), payload]);
  }
  return {
    streams: streams.filter(({ length }) => length > 0 && length < 20_000).slice(0, MAX_OF_A_KIND),
    lines: distinct(allLines).map((line) => Buffer.from(line)),
    payloads: new Map([...byType].map(([type, list]) => [type, distinct(list)])),
    configs: [
      ...configTexts(join(root, 'test/vectors/cfg.json')),
      readFileSync(join(root, 'joinmarket.cfg.example'), 'utf8'),
    ],
    llarp: hexBytes(
      JSON.parse(readFileSync(join(root, 'test/vectors/llarp/structures.json'), 'utf8')),
    ),
  };
}
