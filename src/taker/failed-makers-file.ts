/**
 * The file `failed-makers.json` of the data directory: the memory of makers that failed, for the next
 * run. It is only advice, so a damaged file counts as empty.
 */
import { Buffer } from 'node:buffer';
import { readStateFile, writeStateFile } from '../ops/state-file.js';
import { boundedMemory, type FailedMakers, type FailureRecord } from './failed-makers.js';

/** Name of the file in the data directory. */
export const FAILED_MAKERS_FILE = 'failed-makers.json';

const MAX_BYTES = 1_000_000;
const MAX_KEY = 200;
const MAX_COUNT = 1_000_000;
const VERSION = 1;

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

const isCount = (value: unknown, most: number): value is number =>
  typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= most;

function parseEntry(value: unknown): readonly [string, FailureRecord] | undefined {
  if (!isRecord(value)) return undefined;
  const { key, failures, at, fault } = value;
  if (typeof key !== 'string' || !/^(nick|bond) [!-~]+$/.test(key) || key.length > MAX_KEY) {
    return undefined;
  }
  if (!isCount(failures, MAX_COUNT) || failures === 0) return undefined;
  if (!isCount(at, Number.MAX_SAFE_INTEGER)) return undefined;
  if (typeof fault !== 'string' || !/^[a-z-]{1,40}$/.test(fault)) return undefined;
  return [key, { failures, at, fault }];
}

/** Reads the text of the file. Entries that are not valid are left out; undefined for another format. */
export function parseFailedMakers(text: string, now: number): FailedMakers | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!isRecord(value) || value.version !== VERSION || !Array.isArray(value.makers)) {
    return undefined;
  }
  const makers: readonly unknown[] = value.makers;
  const entries = makers.map(parseEntry).filter((entry) => entry !== undefined);
  return boundedMemory(entries, now);
}

/** The text of the file. */
export function formatFailedMakers(memory: FailedMakers): string {
  const makers = [...memory].map(([key, record]) => ({ key, ...record }));
  return `${JSON.stringify({ version: VERSION, makers }, undefined, 1)}\n`;
}

/** The memory of former runs; empty without a file, and for one that cannot be read. */
export async function readFailedMakers(path: string, now: number): Promise<FailedMakers> {
  const bytes = await readStateFile(path, MAX_BYTES).catch(() => undefined);
  if (bytes === undefined) return new Map();
  return parseFailedMakers(Buffer.from(bytes).toString('utf8'), now) ?? new Map();
}

/** Replaces the file. Rejects with the error of the file system. */
export function writeFailedMakers(path: string, memory: FailedMakers): Promise<void> {
  return writeStateFile(path, formatFailedMakers(memory));
}
