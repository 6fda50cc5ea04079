/** `onionmc directories verify|show|check|announce`. */
import { join } from 'node:path';
import { formatAnnouncement, signStatement } from '../../directory-lists/announcement.js';
import { parseDocument } from '../../directory-lists/list-document.js';
import { LIST_BOUNDS } from '../../directory-lists/limits.js';
import { REFUSAL_TEXTS } from '../../directory-lists/refusal.js';
import { verifyDocument } from '../../directory-lists/verify.js';
import { peekSettings, type Settings } from '../../config/settings.js';
import { ExitCode } from '../../ops/exit.js';
import { VIRTUAL_PORT, type Network } from '../../protocol/constants.js';
import { PEERLIST_FEATURE, PING_FEATURE } from '../../protocol/features.js';
import { NICK_AUTH_FEATURE } from '../../protocol/nick-auth.js';
import { DIRECTORY_LIST_FEATURE } from '../../protocol/directory-list-message.js';
import { unixTime } from '../../roles/directories/from-settings.js';
import { LIST_FILE } from '../../roles/directories/kept-list.js';
import { readOnionKey } from '../../tor/onion/key-folder.js';
import { runCheckOf, type CheckCommandOptions } from '../check.js';
import { UsageError } from '../errors.js';
import { print, printJson, printNote } from '../print.js';
import { writeNewFile } from '../wallet/new-file.js';
import { readDocument, readInput, readOptionalDocument } from './list-file.js';
import { differenceText, documentJson, documentText } from './list-view.js';

interface DatadirOption {
  readonly datadir?: string;
}

/** The list of the argument, or the one that is kept in the data directory. */
const fileOf = (path: string | undefined, { datadir }: Settings): string =>
  path ?? join(datadir, LIST_FILE);

export interface ShowOptions extends DatadirOption {
  readonly before?: string;
  readonly json?: boolean;
}

export async function runShow(path: string | undefined, options: ShowOptions): Promise<void> {
  const { settings } = await peekSettings({ ...options, role: 'check' });
  const document = await readDocument(fileOf(path, settings));
  const before = await readOptionalDocument(options.before);
  if (options.json === true) printJson(documentJson(document, before));
  else if (before) print(differenceText(before, document));
  else print(documentText(document));
}

export interface VerifyOptions extends ShowOptions {
  readonly listKeys?: string;
  readonly network?: Network;
}

export async function runVerify(path: string | undefined, options: VerifyOptions): Promise<void> {
  const { settings } = await peekSettings({ ...options, role: 'check' });
  const network = options.network ?? settings.network;
  const pinned = options.listKeys ?? settings.directories.listKeys;
  if (pinned === '') {
    throw new UsageError(
      `no key set is trusted: set list_keys in ${settings.configFile}, or give --list-keys`,
    );
  }
  const file = fileOf(path, settings);
  const trust = { network, pinned };
  const before = await readOptionalDocument(options.before);
  const accepted = before && verifyDocument(before, { ...trust, now: undefined });
  if (accepted?.ok === false) {
    throw new UsageError(`${options.before ?? ''}: ${REFUSAL_TEXTS[accepted.reason]}`);
  }
  const parsed = parseDocument(await readInput(file));
  const verified = parsed.ok
    ? verifyDocument(parsed.value, {
        ...trust,
        now: unixTime(),
        accepted: accepted?.value.accepted,
      })
    : parsed;
  if (verified.ok) {
    const { sequence, hash } = verified.value.accepted;
    if (options.json === true) printJson({ valid: true, network, sequence, hash });
    else
      print(
        `valid: list ${sequence} of ${network}, ${verified.value.list.entries.length} directories`,
      );
    return;
  }
  process.exitCode = ExitCode.FAILED;
  const { reason } = verified;
  if (options.json === true) printJson({ valid: false, network, reason });
  else print(`refused (${reason}): ${REFUSAL_TEXTS[reason]}`);
}

export interface CheckListOptions extends CheckCommandOptions {
  readonly list?: string;
}

/** Probes every directory of a list; the history is kept unless another file is named. */
export async function runCheckList(options: CheckListOptions): Promise<void> {
  await runCheckOf(async (settings) => {
    const document = await readDocument(fileOf(options.list, settings));
    const { network, entries } = document.list;
    if (network !== (options.network ?? settings.network)) {
      throw new UsageError(`the list is of ${network}: give --network ${network}`);
    }
    if (entries.length === 0) throw new UsageError('the list has no directory');
    return {
      locations: entries.map(({ location }) => location),
      history: join(settings.datadir, 'directories-history.jsonl'),
      most: LIST_BOUNDS.entries,
    };
  }, options);
}

export interface AnnounceOptions extends DatadirOption {
  readonly note?: string;
  /** Seconds since 1970. */
  readonly since?: number;
  readonly out?: string;
}

/** What a directory of these settings offers. */
function capabilitiesOf({ directory, directories }: Settings): readonly string[] {
  return [
    PEERLIST_FEATURE,
    PING_FEATURE,
    ...(directory.nickAuth === 'disabled' ? [] : [NICK_AUTH_FEATURE]),
    ...(directories.listKeys === '' ? [] : [DIRECTORY_LIST_FEATURE]),
  ];
}

export async function runAnnounce(options: AnnounceOptions): Promise<void> {
  const { settings } = await peekSettings({ ...options, role: 'directory' });
  const { hiddenServiceDir = '' } = settings.onion;
  const key = await readOnionKey(hiddenServiceDir);
  if (key === undefined) {
    throw new UsageError(
      `there is no key of an onion service in ${hiddenServiceDir}: run "onionmc init" first, or set hidden_service_dir`,
    );
  }
  const now = unixTime();
  const entry = {
    location: { kind: 'onion' as const, host: key.host, port: VIRTUAL_PORT },
    since: options.since ?? now,
    note: options.note ?? '',
    capabilities: capabilitiesOf(settings),
  };
  const statement = { network: settings.network, issued: now, entry };
  const text = formatAnnouncement(signStatement(statement, Buffer.from(key.blob, 'base64')));
  if (options.out === undefined) {
    print(text);
    return;
  }
  await writeNewFile(options.out, `${text}\n`);
  printNote(
    `${options.out} is signed with the key of ${key.host}: send it to the people who sign lists`,
  );
}
