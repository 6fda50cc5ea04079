/** `onionmc list`, `kick`, `bans` and `unban`: the operator's commands for peers of the running directory. */
import { resolveDatadir } from '../config/paths.js';
import type { KickTarget } from '../directory/entry/operator.js';
import { sendRequest } from '../ops/request-socket.js';
import { counted } from '../kit/decimal.js';
import { parseRecord, type JsonRecord } from '../kit/json-record.js';
import { shownJson, shownLine } from '../kit/shown-text.js';
import { ExitCode } from '../ops/exit.js';
import { formatLocation, ownHost, parseLocation, parseOnionHost } from '../protocol/location.js';
import { isRoutableNick } from '../protocol/nick.js';
import type { OperatorRequest } from '../roles/operator-requests.js';
import { UsageError } from './errors.js';
import { bansTable, banWords, namesIn, peersTable } from './peer-tables.js';
import { print, printJson, printNote } from './print.js';
import { askRunning } from './running-directory.js';

interface SocketOptions {
  readonly datadir?: string;
  readonly json?: boolean;
}

interface ListOptions extends SocketOptions {
  readonly locations?: boolean;
}

interface KickOptions extends SocketOptions {
  /** Milliseconds. */
  readonly ban?: number;
  readonly nick?: boolean;
  readonly logNames?: boolean;
}

interface UnbanOptions extends SocketOptions {
  readonly all?: boolean;
  readonly logNames?: boolean;
}

/** 10,000 peers with features and onions have about 4 MB. */
const LIMITS = { waitMs: 30_000, maxChars: 33_554_432 };

async function ask(options: SocketOptions, request: OperatorRequest): Promise<JsonRecord> {
  const text = await askRunning(resolveDatadir(options.datadir), (datadir) =>
    sendRequest(datadir, shownJson(request), LIMITS),
  );
  const answer = parseRecord(text);
  if (answer !== undefined) return answer;
  throw new Error(
    'the directory did not answer: the running program is older than this command ("onionmc upgrade" replaces it), or it was just ended',
  );
}

/** Prints the refusal of a request, if it was refused. */
function wasRefused(answer: JsonRecord, options: SocketOptions, about: string): boolean {
  const { done, why } = answer;
  if (done !== false) return false;
  const words = typeof why === 'string' ? shownLine(why) : 'the directory refused it';
  if (options.json === true) printJson(answer);
  else printNote(`onionmc: ${about === '' ? '' : `${shownLine(about)}: `}${words}`);
  process.exitCode = ExitCode.FAILED;
  return true;
}

/** The peers that a person means by a text. Throws a UsageError for a text that can be none of it. */
export function kickTarget(who: string, isNick: boolean): KickTarget {
  const lower = who.toLowerCase();
  const location = parseLocation(lower);
  if (!isNick && location.ok) {
    const { value } = location;
    return { by: value.kind, name: ownHost(value) ?? formatLocation(value) };
  }
  if (!isNick && parseOnionHost(lower).ok) return { by: 'onion', name: lower };
  if (!isNick && /\.onion\.?(:\d*)?$/.test(lower)) {
    throw new UsageError(
      `${shownJson(who)} is not the address of a v3 onion; copy it whole from "onionmc list --locations"`,
    );
  }
  if (isRoutableNick(who)) return { by: 'nick', name: who };
  throw new UsageError(
    `${shownJson(who)} is not a nick or an onion; "onionmc list" shows the nicks`,
  );
}

export async function runList(options: ListOptions): Promise<void> {
  const answer = await ask(options, { ask: 'list' });
  if (wasRefused(answer, options, '')) return;
  if (options.json === true) printJson(answer);
  else print(peersTable(answer, options.locations === true));
}

export async function runKick(who: string, options: KickOptions): Promise<void> {
  const { ban: banMs, logNames = false } = options;
  const target = kickTarget(who, options.nick === true);
  const answer = await ask(options, { ask: 'kick', target, banMs, logNames });
  if (wasRefused(answer, options, who)) return;
  if (options.json === true) {
    printJson(answer);
    return;
  }
  const kicked = namesIn(answer['kicked']);
  print(`closed ${counted(kicked.length, 'peer')}: ${kicked.join(' ')}`);
  if (banMs !== undefined) print(banWords(answer));
}

export async function runBans(options: SocketOptions): Promise<void> {
  const answer = await ask(options, { ask: 'bans' });
  if (wasRefused(answer, options, '')) return;
  if (options.json === true) printJson(answer);
  else print(bansTable(answer['bans']));
}

export async function runUnban(who: string | undefined, options: UnbanOptions): Promise<void> {
  const all = options.all === true;
  if (all === (who !== undefined)) {
    throw new UsageError('say whose ban is lifted: a nick, an onion, or --all');
  }
  const name = who === undefined ? undefined : banName(who);
  const { logNames = false } = options;
  const answer = await ask(options, { ask: 'unban', name, logNames });
  if (wasRefused(answer, options, who ?? '')) return;
  if (options.json === true) printJson(answer);
  else print(`lifted ${counted(namesIn(answer['lifted']).length, 'ban')}`);
}

/** An onion is banned without its port; every other text may be a nick. */
function banName(who: string): string {
  const location = parseLocation(who.toLowerCase());
  const host = location.ok ? ownHost(location.value) : undefined;
  if (host !== undefined) return host;
  return parseOnionHost(who.toLowerCase()).ok ? who.toLowerCase() : who;
}
