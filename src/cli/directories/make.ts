/** `onionmc directories key|draft|sign|combine`: makes a list, offline, in steps of several people. */
import { randomBytes } from 'node:crypto';
import { publicKeyOf } from '../../directory-lists/ed25519.js';
import type { ListEntry } from '../../directory-lists/directory-list.js';
import { listHash } from '../../directory-lists/directory-list.js';
import { fingerprintOf } from '../../directory-lists/key-set.js';
import { signingKeySet } from '../../directory-lists/difference.js';
import type { ListDocument } from '../../directory-lists/list-document.js';
import {
  combineDocuments,
  draftDocument,
  missingSignatures,
  partsOf,
  signDocument,
} from '../../directory-lists/making.js';
import type { Network } from '../../protocol/constants.js';
import { formatLocation } from '../../protocol/location.js';
import { ExitCode } from '../../ops/exit.js';
import { unixTime } from '../../roles/directories/from-settings.js';
import { UsageError } from '../errors.js';
import { print, printJson, printNote } from '../print.js';
import { writeNewFile } from '../wallet/new-file.js';
import { confirm, secretTwice } from '../wallet/questions.js';
import { readSecretFile } from '../wallet/secret-file.js';
import { TerminalAsker, type Asker } from '../wallet/terminal.js';
import { formatKeyFile, openKeyFile, parseKeyFile } from './key-file.js';
import {
  readAnnouncement,
  readDocument,
  readEntries,
  readInput,
  readOptionalDocument,
  writeDocument,
} from './list-file.js';
import { differenceText, documentText } from './list-view.js';

const DAY = 86_400;

interface JsonOption {
  readonly json?: boolean;
}

async function withAsker<T>(use: (asker: Asker) => Promise<T>): Promise<T> {
  const asker = new TerminalAsker();
  try {
    return await use(asker);
  } finally {
    asker.close();
  }
}

async function passwordFrom(path: string | undefined, ask: () => Promise<string>): Promise<string> {
  if (path === undefined) return ask();
  const { secret, warning } = await readSecretFile('--password-file', path);
  if (warning !== undefined) printNote(`warning: ${warning}`);
  return secret;
}

export interface KeyOptions extends JsonOption {
  readonly password?: boolean;
  readonly passwordFile?: string;
}

export async function runKey(path: string, options: KeyOptions): Promise<void> {
  const { password: asks = false, passwordFile } = options;
  const password =
    asks || passwordFile !== undefined
      ? await withAsker((asker) =>
          passwordFrom(passwordFile, () => secretTwice(asker, 'password of the key')),
        )
      : undefined;
  const seed = randomBytes(32);
  await writeNewFile(path, await formatKeyFile(seed, password));
  const key = publicKeyOf(seed);
  if (options.json === true) printJson({ key, file: path, encrypted: password !== undefined });
  else print(key);
  printNote(`the private key is in ${path}: keep it, and a copy, on machines without a network`);
}

export interface DraftOptions extends JsonOption {
  readonly network?: Network;
  readonly before?: string;
  readonly entries?: string;
  readonly announcement?: readonly string[];
  readonly remove?: readonly string[];
  readonly keys?: readonly string[];
  readonly needed?: number;
  readonly days: number;
}

async function draftEntries(
  options: DraftOptions,
  before: ListDocument | undefined,
  network: Network,
): Promise<readonly ListEntry[]> {
  const base =
    options.entries === undefined
      ? (before?.list.entries ?? [])
      : await readEntries(options.entries);
  const byLocation = new Map(base.map((entry) => [formatLocation(entry.location), entry]));
  if (byLocation.size !== base.length) {
    throw new UsageError(`${options.entries ?? ''}: two entries have the same location`);
  }
  for (const path of options.announcement ?? []) {
    // oxlint-disable-next-line no-await-in-loop -- one file after the other
    const { statement } = await readAnnouncement(path);
    if (statement.network !== network) {
      throw new UsageError(`${path} announces a directory of ${statement.network}, not ${network}`);
    }
    byLocation.set(formatLocation(statement.entry.location), statement.entry);
  }
  for (const address of options.remove ?? []) {
    if (!byLocation.delete(address)) {
      throw new UsageError(`--remove ${address}: the list has no such directory`);
    }
  }
  return [...byLocation.values()];
}

/** Keys of a first list or of a rotation; both options belong together. */
function draftKeys({
  keys,
  needed,
}: DraftOptions): { threshold: number; keys: string[] } | undefined {
  if (keys === undefined && needed === undefined) return undefined;
  if (keys === undefined || needed === undefined) {
    throw new UsageError('--keys and --needed belong together');
  }
  if (new Set(keys).size !== keys.length) throw new UsageError('--keys: a key is named twice');
  if (needed > keys.length) {
    throw new UsageError(`--needed ${needed}: there are only ${keys.length} keys`);
  }
  return { threshold: needed, keys: [...keys] };
}

export async function runDraft(path: string, options: DraftOptions): Promise<void> {
  const before = await readOptionalDocument(options.before);
  const network = before?.list.network ?? options.network;
  if (network === undefined) throw new UsageError('a first list needs --network');
  if (options.network !== undefined && options.network !== network) {
    throw new UsageError(`--network ${options.network}: the list before is of ${network}`);
  }
  const issued = unixTime();
  const drafted = draftDocument({
    before,
    network,
    keys: draftKeys(options),
    issued,
    expires: issued + options.days * DAY,
    entries: await draftEntries(options, before, network),
  });
  if (!drafted.ok) throw new UsageError('a first list needs --keys and --needed');
  await writeDocument(path, drafted.value);
  show(drafted.value, before, options);
}

function show(
  document: ListDocument,
  before: ListDocument | undefined,
  { json = false }: JsonOption,
): void {
  if (json) {
    const { list } = document;
    printJson({
      network: list.network,
      sequence: list.sequence,
      hash: listHash(list),
      list_keys: fingerprintOf(signingKeySet(document)),
      missing: missingSignatures(document),
    });
    return;
  }
  print(before ? differenceText(before, document) : documentText(document));
  for (const { of, have, need, from } of missingSignatures(document)) {
    print(`the ${of} has ${have} of ${need} signatures; these keys may sign: ${from.join(' ')}`);
  }
}

export interface SignOptions extends JsonOption {
  readonly key: string;
  readonly before?: string;
  readonly passwordFile?: string;
  readonly yes?: boolean;
}

export async function runSign(draft: string, path: string, options: SignOptions): Promise<void> {
  const document = await readDocument(draft);
  const before = await readOptionalDocument(options.before);
  if (before === undefined && document.list.sequence > 1) {
    throw new UsageError('name the list before with --before, so that you see what you sign');
  }
  if (before !== undefined && before.list.sequence >= document.list.sequence) {
    throw new UsageError(`${options.before ?? ''} is not older than ${draft}`);
  }
  const file = parseKeyFile(Buffer.from(await readInput(options.key)).toString(), options.key);
  const parts = partsOf(document, file.publicKey);
  if (!parts.list && !parts.rotation) {
    throw new UsageError(`the key of ${options.key} is in no key set that may sign ${draft}`);
  }
  await withAsker(async (asker) => {
    printNote(before ? differenceText(before, document) : documentText(document));
    const what = parts.rotation ? 'Sign this list and the new keys?' : 'Sign this list?';
    if (!(await confirm(asker, what, options.yes))) {
      process.exitCode = ExitCode.FAILED;
      return;
    }
    const password = (): Promise<string> =>
      passwordFrom(options.passwordFile, () => asker.secret('password of the key: '));
    const signed = signDocument(document, await openKeyFile(file, password, options.key));
    if (!signed.ok) throw new UsageError(`${options.key} cannot sign ${draft}`);
    await writeDocument(path, signed.value);
    show(signed.value, before, options);
  });
}

export async function runCombine(
  path: string,
  files: readonly string[],
  options: JsonOption,
): Promise<void> {
  const [first, ...others] = await Promise.all(files.map(readDocument));
  if (first === undefined) throw new UsageError('name the signed copies of the draft');
  const combined = combineDocuments(first, others);
  if (!combined.ok) throw new UsageError('the files are not copies of one draft');
  const missing = missingSignatures(combined.value);
  if (missing.length > 0) {
    const texts = missing.map(({ of, have, need, from }) => {
      return `the ${of} has ${have} of ${need} signatures, and lacks one of ${from.join(' ')}`;
    });
    throw new UsageError(`not complete: ${texts.join('; ')}`);
  }
  await writeDocument(path, combined.value);
  show(combined.value, undefined, options);
}
