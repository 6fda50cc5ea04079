/**
 * Reads `joinmarket.cfg` exactly as Python's `ConfigParser(strict=False)` does (docs/protocol.md,
 * section 13.1). Python made the vectors in `test/vectors/cfg.json`. One difference: a byte order mark
 * at the start is skipped.
 *
 * The `ini` package stores the sections. It would cut values at `;` and `#`, split dotted section
 * names, turn `true` into a boolean, make arrays of `a[]` and drop `__proto__`. So `cfg-lines` reads
 * the lines and passes names and values to it in a form that it cannot change.
 */
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { parse } from 'ini';
import { errorCode } from '../kit/error-text.js';
import { fail, ok, type Parsed } from '../protocol/result.js';
import { interpolate, type InterpolationFault } from './cfg-interpolation.js';
import { readItems, type CfgItem, type CfgSyntaxFault } from './cfg-lines.js';
import { quotedLine } from '../kit/shown-text.js';
import { ConfigError } from './config-error.js';

/** Largest configuration file, in bytes. */
export const MAX_CFG_BYTES = 1_048_576;

const DEFAULT_SECTION = 'DEFAULT';

/** A parsed file. Section names are case-sensitive; keys are in lower case. */
export interface CfgFile {
  /** Path, for messages. */
  readonly path: string;
  /** Names in order of first appearance, without `DEFAULT`. */
  readonly sections: readonly string[];
  /** Keys in the section itself, without those of `DEFAULT`. */
  ownKeys(section: string): readonly string[];
  /** The value as written, from the section or from `DEFAULT`; undefined when absent. */
  raw(section: string, key: string): string | undefined;
  /** The value with `%` references replaced. Throws a ConfigError for an invalid reference. */
  get(section: string, key: string): string | undefined;
  /** Line number of the value that counts, from 1. */
  lineOf(section: string, key: string): number | undefined;
}

/** Why a text is not a configuration file: the first bad line (`cfg-lines`). */
export type CfgParsed =
  | { readonly ok: true; readonly value: CfgFile }
  | { readonly ok: false; readonly fault: CfgSyntaxFault };

/**
 * Only letters, digits and `-` stay; other characters become `_hex_`, so `ini` interprets none of them.
 * The leading letter keeps names like `7` in their order.
 */
function escapeName(name: string): string {
  return `n${name.replace(/[^A-Za-z0-9-]/gu, (c) => `_${c.codePointAt(0)?.toString(16) ?? ''}_`)}`;
}

function unescapeName(name: string): string {
  return name
    .slice(1)
    .replace(/_([0-9a-f]+)_/g, (_, hex: string) => String.fromCodePoint(Number.parseInt(hex, 16)));
}

/** Unicode line separators, at which the patterns of `ini` end a value. */
const UNICODE_LINE_ENDS = /[\u2028\u2029]/g;

/** Quoted and marked, so that `ini` does not take `true`, `false` and `null` as literals. */
function normalisedLine(item: CfgItem): string {
  if (item.kind === 'section') return `[${escapeName(item.name)}]`;
  const quoted = JSON.stringify(`=${item.value}`).replace(UNICODE_LINE_ENDS, (c) =>
    c === '\u2028' ? '\\u2028' : '\\u2029',
  );
  return `${escapeName(item.name)} = ${quoted}`;
}

type Section = ReadonlyMap<string, string>;

function sectionsOf(items: readonly CfgItem[]): ReadonlyMap<string, Section> {
  const parsed: Readonly<Record<string, unknown>> = parse(items.map(normalisedLine).join('\n'));
  const sections = new Map<string, Section>();
  for (const [name, body] of Object.entries(parsed)) {
    const values = new Map<string, string>();
    for (const [key, value] of Object.entries(body ?? {})) {
      values.set(unescapeName(key), String(value).slice(1));
    }
    sections.set(unescapeName(name), values);
  }
  return sections;
}

function linesOf(items: readonly CfgItem[]): ReadonlyMap<string, number> {
  const lines = new Map<string, number>();
  let section = '';
  for (const item of items) {
    if (item.kind === 'section') section = item.name;
    else lines.set(JSON.stringify([section, item.name]), item.line);
  }
  return lines;
}

const REFERENCE_FAULTS: Readonly<Record<InterpolationFault, string>> = {
  'interpolation-syntax': 'a % that starts no reference',
  'interpolation-missing': 'a reference to a key that is not there',
  'interpolation-depth': 'references nested more than 10 deep',
  'interpolation-size': 'references that expand to more than 1 MiB',
};

/** Parses the text of a file; `path` is used in messages only. */
export function parseCfg(text: string, path: string): CfgParsed {
  const items = readItems(text.startsWith('\ufeff') ? text.slice(1) : text);
  if ('fault' in items) return { ok: false, fault: items };
  const sections = sectionsOf(items);
  const lines = linesOf(items);
  const defaults: Section = sections.get(DEFAULT_SECTION) ?? new Map();

  const raw = (section: string, key: string): string | undefined =>
    sections.has(section) ? (sections.get(section)?.get(key) ?? defaults.get(key)) : undefined;
  const lineOf = (section: string, key: string): number | undefined =>
    lines.get(JSON.stringify([section, key])) ?? lines.get(JSON.stringify([DEFAULT_SECTION, key]));

  const value: CfgFile = {
    path,
    sections: [...sections.keys()].filter((name) => name !== DEFAULT_SECTION),
    ownKeys: (section) => [...(sections.get(section)?.keys() ?? [])],
    raw,
    lineOf,
    get(section, key) {
      const written = raw(section, key);
      if (written === undefined) return undefined;
      const expanded = interpolate(written, (name) => raw(section, name));
      if (expanded.ok) return expanded.value;
      throw new ConfigError({
        file: path,
        line: lineOf(section, key),
        section,
        key,
        found: REFERENCE_FAULTS[expanded.reason],
        allowed: '%% for a percent sign, or %(key)s for another key of this section',
      });
    },
  };
  return { ok: true, value };
}

const SYNTAX_ALLOWED: Readonly<Record<CfgSyntaxFault['fault'], string>> = {
  'no-section': 'a [SECTION] line first, then key = value',
  'no-delimiter':
    '[SECTION], key = value, a comment that starts with # or ;, or an indented continuation',
  'no-key': 'key = value',
};

/** The bytes of a regular file, or the reason why it cannot be read. The size is checked first. */
async function readBounded(path: string): Promise<Parsed<Uint8Array>> {
  // Non-blocking: opening a pipe would otherwise block without a timeout.
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const stat = await file.stat();
    if (!stat.isFile() && !stat.isDirectory()) return fail('no regular file');
    const { size } = stat;
    if (size > MAX_CFG_BYTES) return fail(`${size} bytes`);
    // One byte more than allowed, so that a file that grows meanwhile is noticed.
    const buffer = new Uint8Array(MAX_CFG_BYTES + 1);
    let used = 0;
    for (;;) {
      const { bytesRead } = await file.read(buffer, used, buffer.length - used);
      used += bytesRead;
      if (used > MAX_CFG_BYTES) return fail(`more than ${MAX_CFG_BYTES} bytes`);
      if (bytesRead === 0) return ok(buffer.subarray(0, used));
    }
  } finally {
    await file.close();
  }
}

/**
 * Reads and parses a file of at most 1 MiB of UTF-8. Resolves to undefined when there is none.
 * Rejects with a ConfigError that names file, line, what was found and what is allowed.
 */
export async function readCfgFile(path: string): Promise<CfgFile | undefined> {
  let bytes: Parsed<Uint8Array>;
  try {
    bytes = await readBounded(path);
  } catch (error) {
    const code = errorCode(error) ?? 'error';
    if (code === 'ENOENT') return undefined;
    const found = code === 'EISDIR' ? 'a directory' : `a file that cannot be read (${code})`;
    throw new ConfigError(
      { file: path, found, allowed: 'a file this user may read' },
      { cause: error },
    );
  }
  if (!bytes.ok) {
    throw new ConfigError({
      file: path,
      found: bytes.reason,
      allowed: `a file of at most ${MAX_CFG_BYTES} bytes`,
    });
  }
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes.value);
  } catch (error) {
    throw new ConfigError(
      { file: path, found: 'bytes that are not UTF-8', allowed: 'UTF-8 text' },
      { cause: error },
    );
  }
  const parsed = parseCfg(text, path);
  if (parsed.ok) return parsed.value;
  const { line, fault } = parsed.fault;
  throw new ConfigError({
    file: path,
    line,
    found: quotedLine(parsed.fault.text),
    allowed: SYNTAX_ALLOWED[fault],
  });
}
