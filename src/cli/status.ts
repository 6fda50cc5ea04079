/** `onionmc status`: shows the state of a running directory or maker, from its page. */
import { pause } from '../kit/pause.js';
import { peekSettings } from '../config/settings.js';
import { shownJson } from '../kit/shown-text.js';
import { askStatus, statusBase } from '../ops/status-client.js';
import { systemClock } from '../overlay/system-clock.js';
import { DEFAULT_STATUS_URL } from './defaults.js';
import { UnreachableError, UsageError } from './errors.js';
import { isMakerStatus, makerStatusPage } from './maker-status-page.js';
import { readSecretFile } from './wallet/secret-file.js';
import { colorsOutput, print, printJson, printScreen } from './print.js';
import {
  statusHead,
  statusPage,
  statusTraffic,
  type StatusJson,
  type StatusView,
} from './status-page.js';

interface StatusCommandOptions {
  readonly watch?: boolean;
  readonly json?: boolean;
  readonly url?: URL;
  readonly datadir?: string;
  readonly role?: 'directory' | 'maker';
  readonly codeFile?: string;
}

/** The options with the address of the page. */
type StatusRequest = StatusCommandOptions & { readonly url: URL };

const REFRESH_MS = 2_000;
/** Time between the two readings of a page. */
const GAP_MS = 1_000;

function unreachable(at: string, reason: string, isMaker: boolean): UnreachableError {
  const words = isMaker
    ? `no maker answers at ${at} (${reason}): start it (onionmc maker --wallet NAME), or give its --datadir, or --url as status_host and status_port in [YIELDGENERATOR] say`
    : `no directory answers at ${at} (${reason}): start it (onionmc directory), or give its --datadir, or --url as status_host and status_port in [DIRECTORY] say; for a maker add --role maker`;
  return new UnreachableError(words);
}

/** Reads the page. Rejects with an UnreachableError that says where it looked and what to do. */
export async function readStatus(base: URL, isMaker = false, code?: string): Promise<StatusJson> {
  const answer = await askStatus({ base, path: '/status', code });
  if (answer.kind === 'page' && answer.code === 401) {
    throw new UsageError(
      `the page at ${base.origin} needs ${code === undefined ? 'a code' : 'another code'} ([ADMISSION] pages = true): give the file of one with --code-file`,
    );
  }
  const isKnown =
    answer.kind === 'page' && (isMakerStatus(answer.page) || (!isMaker && 'peers' in answer.page));
  if (isKnown && answer.code === 200) return answer.page;
  const reason =
    answer.kind === 'page'
      ? `answered with ${answer.code}, not as a ${isMaker ? 'maker' : 'directory'} does`
      : answer.reason;
  throw unreachable(new URL('/status', base).href, reason, isMaker);
}

interface Reading {
  readonly status: StatusJson;
  readonly at: number;
}

async function readNow({ url, role, codeFile }: StatusRequest): Promise<Reading> {
  const code =
    codeFile === undefined ? undefined : (await readSecretFile('--code-file', codeFile)).secret;
  const status = await readStatus(url, role === 'maker', code);
  return { status, at: performance.now() };
}

function view(now: Reading, before: Reading): StatusView {
  return {
    now: now.status,
    before: { status: before.status, secondsAgo: Math.max(0.001, (now.at - before.at) / 1000) },
    color: colorsOutput(),
  };
}

/** All that one reading, or two of them, can show. */
function wholePage(now: Reading, before: Reading): string {
  return isMakerStatus(now.status)
    ? makerStatusPage(now.status, colorsOutput())
    : statusPage(view(now, before));
}

async function watch(first: Reading, request: StatusRequest): Promise<void> {
  const { json } = request;
  let before = first;
  let waitMs = GAP_MS;
  for (;;) {
    // oxlint-disable-next-line no-await-in-loop -- one reading after the other
    await pause(systemClock, waitMs);
    waitMs = REFRESH_MS;
    let shown: string;
    try {
      // oxlint-disable-next-line no-await-in-loop
      const now = await readNow(request);
      shown = json === true ? shownJson(now.status) : wholePage(now, before);
      before = now;
    } catch (error) {
      // A directory that is being restarted will answer again.
      if (!(error instanceof UnreachableError)) throw error;
      if (json === true) throw error;
      shown = error.message;
    }
    if (json === true) print(shown);
    else printScreen(`${shown}\n`);
  }
}

/** The address of the page for a data directory. Writes nothing. */
async function pageOf(datadir: string | undefined, role: 'directory' | 'maker'): Promise<URL> {
  const { settings } = await peekSettings({ role, datadir });
  const isMaker = role === 'maker';
  const { statusHost, statusPort } = isMaker ? settings.yieldGenerator : settings.directory;
  if (statusPort === 0) {
    const section = isMaker ? 'YIELDGENERATOR' : 'DIRECTORY';
    const advice = isMaker ? 'status_port = 62602' : 'a port';
    throw new UsageError(
      `${settings.configFile}: [${section}] status_port is 0, so this ${role} has no status page: give it ${advice} and restart the ${role}`,
    );
  }
  return statusBase(statusHost, statusPort);
}

export async function runStatus(asked: StatusCommandOptions): Promise<void> {
  const { datadir, role = 'directory' } = asked;
  if (datadir !== undefined && asked.url !== undefined) {
    throw new UsageError('--url and --datadir exclude each other: both say where the page is');
  }
  const isDefault = datadir === undefined && role === 'directory';
  const url = asked.url ?? (isDefault ? DEFAULT_STATUS_URL : await pageOf(datadir, role));
  const options: StatusRequest = { ...asked, url };
  const first = await readNow(options);
  if (options.json === true) printJson(first.status);
  if (options.watch === true) {
    await watch(first, options);
    return;
  }
  if (options.json === true) return;
  if (isMakerStatus(first.status)) {
    print(makerStatusPage(first.status, colorsOutput()));
    return;
  }
  print(statusHead({ now: first.status, color: colorsOutput() }));
  await pause(systemClock, GAP_MS);
  print(statusTraffic(view(await readNow(options), first)));
}
