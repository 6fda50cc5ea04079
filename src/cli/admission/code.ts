/** `onionmc admission code`: the codes of our own file. */
import { mkdir } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { decided, REASON_TEXT, type Decision, type Door } from '../../admission/api.js';
import { CodeBook, lifeOf } from '../../admission/backends/code-book.js';
import type { CodeRecord } from '../../admission/code-record.js';
import { addCode, codesNow, readCodeFile, revokeCode } from '../../admission/code-store.js';
import { admissionFiles } from '../../admission/open.js';
import { memoryUses } from '../../admission/sessions.js';
import { openUses } from '../../admission/uses-file.js';
import { resolveDatadir } from '../../config/paths.js';
import { textTable } from '../../kit/text-table.js';
import { ExitCode } from '../../ops/exit.js';
import { UsageError } from '../errors.js';
import { print, printJson, printNote } from '../print.js';
import { firstLineOfInput } from './input.js';
import { readSecretFile } from '../wallet/secret-file.js';

interface FileOptions {
  readonly datadir?: string;
  readonly codes?: string;
  readonly json?: boolean;
}

export interface AddOptions extends FileOptions {
  readonly name?: string;
  readonly notBefore?: number;
  readonly notAfter?: number;
  readonly address?: readonly string[];
  readonly maxUses?: number;
  readonly maxConcurrent?: number;
  readonly perMinute?: number;
  readonly chosenFile?: string;
}

function codeFile({ datadir, codes }: FileOptions): string {
  return codes === undefined ? admissionFiles(resolveDatadir(datadir)).codes : resolve(codes);
}

function moment(ms: number | undefined): string {
  return ms === undefined ? '' : new Date(ms).toISOString().slice(0, 16).replace('T', ' ');
}

/** What a program gets: never the hash. */
function shown(record: CodeRecord, uses: number, now: number): Readonly<Record<string, unknown>> {
  const { id, name, kind, created, revoked, notBefore, notAfter } = record;
  const { addresses, maxUses, maxConcurrent, perMinute } = record;
  return {
    id,
    name,
    kind,
    state: lifeOf(record, now) ?? 'valid',
    created,
    revoked,
    notBefore,
    notAfter,
    addresses,
    maxUses,
    maxConcurrent,
    perMinute,
    uses,
  };
}

/** Prints the code, once. */
export async function runCodeAdd(options: AddOptions): Promise<void> {
  const { name = '', chosenFile } = options;
  const { notBefore, notAfter, maxUses, maxConcurrent, perMinute, address = [] } = options;
  if (notBefore !== undefined && notAfter !== undefined && notBefore >= notAfter) {
    throw new UsageError('--not-after must be later than --not-before');
  }
  const path = codeFile(options);
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const chosen =
    chosenFile === undefined ? undefined : await readSecretFile('--chosen-file', chosenFile);
  const { record, text } = await addCode(path, {
    name,
    terms: { notBefore, notAfter, addresses: address, maxUses, maxConcurrent, perMinute },
    chosen: chosen?.secret,
    now: Date.now(),
  });
  if (chosen?.warning !== undefined) printNote(`onionmc: ${chosen.warning}`);
  const made = chosen === undefined ? { code: text } : {};
  if (options.json === true) {
    printJson({ ...made, ...shown(record, 0, Date.now()) });
    return;
  }
  print(chosen === undefined ? text : record.id);
  printNote(
    chosen === undefined
      ? `code ${record.id}: it is shown only now, and only a keyed hash of it is stored in ${path}`
      : `code ${record.id}: only scrypt of it is stored in ${path}`,
  );
}

const HEADINGS = [
  'ID',
  'NAME',
  'KIND',
  'STATE',
  'NOT BEFORE',
  'NOT AFTER',
  'USES',
  'AT ONCE',
  'A MINUTE',
  'ADDRESSES',
];
const COLUMNS = HEADINGS.map(() => ({}));

export async function runCodeList(options: FileOptions): Promise<void> {
  const path = codeFile(options);
  const content = await readCodeFile(path);
  const now = Date.now();
  const codes = content?.codes ?? [];
  const counted = content ? openUses(`${path}.uses`) : undefined;
  const uses = (id: string): number => counted?.count(id) ?? 0;
  if (options.json === true) {
    printJson({ file: path, codes: codes.map((code) => shown(code, uses(code.id), now)) });
  } else if (codes.length === 0) {
    printNote(`no codes in ${path}; "onionmc admission code add" makes one`);
  } else {
    print(
      textTable(COLUMNS, [
        HEADINGS,
        ...codes.map((code) => [
          code.id,
          code.name,
          code.kind,
          lifeOf(code, now) ?? 'valid',
          moment(code.notBefore),
          moment(code.notAfter),
          code.maxUses === undefined ? '' : `${uses(code.id)}/${code.maxUses}`,
          `${code.maxConcurrent ?? ''}`,
          `${code.perMinute ?? ''}`,
          code.addresses.join(' '),
        ]),
      ]).join('\n'),
    );
  }
  counted?.close();
}

export async function runCodeRevoke(
  id: string,
  options: FileOptions & { readonly remove?: boolean },
): Promise<void> {
  const path = codeFile(options);
  const now = Date.now();
  const known = (await readCodeFile(path)) !== undefined;
  const done = known && (await revokeCode(path, id, { now, remove: options.remove === true }));
  if (!done)
    throw new UsageError(`no code ${id} in ${path}; "onionmc admission code list" shows them`);
  if (options.json === true) printJson({ revoked: id, file: path });
  else
    print(
      `revoked ${id}: a running directory closes the peers of this code within two seconds; a Lokinet endpoint refuses the next flow`,
    );
}

interface CheckOptions extends FileOptions {
  readonly door?: Door;
  readonly address?: readonly string[];
}

/** What the file says now, without counting a use or a session. */
export async function runCodeCheck(options: CheckOptions): Promise<void> {
  const path = codeFile(options);
  const code = Buffer.from(await firstLineOfInput());
  const { address: [address = 'check', ...aliases] = [], door = 'lokinet' } = options;
  const book = new CodeBook(await codesNow(path), { uses: memoryUses() });
  const request = { door, address, aliases, code, now: Date.now() };
  const found = book.recognise(request) ?? (await book.judge(request));
  const decision = await withUses(found, path);
  if (options.json === true) printJson({ ...decision });
  else
    print(
      `${decision.verdict} ${REASON_TEXT[decision.reason]}${decision.codeId === undefined ? '' : ` (code ${decision.codeId})`}`,
    );
  if (decision.verdict !== 'OKAY') process.exitCode = ExitCode.FAILED;
}

/** A code whose uses are over is refused; the check itself counts none. */
async function withUses(decision: Decision, path: string): Promise<Decision> {
  const { codeId, verdict } = decision;
  const content = await readCodeFile(path);
  const record = content?.codes.find(({ id }) => id === codeId);
  if (verdict !== 'OKAY' || record?.maxUses === undefined) return decision;
  const uses = openUses(`${path}.uses`);
  const isOver = uses.count(record.id) >= record.maxUses;
  uses.close();
  return isOver ? decided('REJECT', 'used-up', codeId) : decision;
}
