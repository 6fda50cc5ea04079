/** `onionmc status`: shows the state of a running directory, from its status page. */
import { pause } from '../kit/pause.js';
import { peekSettings } from '../config/settings.js';
import { shownJson } from '../kit/shown-text.js';
import { askStatus, statusBase } from '../ops/status-client.js';
import { systemClock } from '../overlay/system-clock.js';
import { DEFAULT_STATUS_URL } from './defaults.js';
import { UnreachableError, UsageError } from './errors.js';
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
}

/** The options with the address of the page. */
type StatusRequest = StatusCommandOptions & { readonly url: URL };

const REFRESH_MS = 2_000;
/** Time between the two readings of a page. */
const GAP_MS = 1_000;

function unreachable(at: string, reason: string): UnreachableError {
  return new UnreachableError(
    `no directory answers at ${at} (${reason}): start it (onionmc directory), or give its --datadir, or --url as status_host and status_port in [DIRECTORY] say`,
  );
}

/** Reads the page. Rejects with an UnreachableError that says where it looked and what to do. */
export async function readStatus(base: URL): Promise<StatusJson> {
  const answer = await askStatus({ base, path: '/status' });
  if (answer.kind === 'page' && answer.code === 200 && 'peers' in answer.page) return answer.page;
  const reason =
    answer.kind === 'page'
      ? `answered with ${answer.code}, not as a directory does`
      : answer.reason;
  throw unreachable(new URL('/status', base).href, reason);
}

interface Reading {
  readonly status: StatusJson;
  readonly at: number;
}

async function readNow(url: URL): Promise<Reading> {
  const status = await readStatus(url);
  return { status, at: performance.now() };
}

function view(now: Reading, before: Reading): StatusView {
  return {
    now: now.status,
    before: { status: before.status, secondsAgo: Math.max(0.001, (now.at - before.at) / 1000) },
    color: colorsOutput(),
  };
}

async function watch(first: Reading, { url, json }: StatusRequest): Promise<void> {
  let before = first;
  let waitMs = GAP_MS;
  for (;;) {
    // oxlint-disable-next-line no-await-in-loop -- one reading after the other
    await pause(systemClock, waitMs);
    waitMs = REFRESH_MS;
    let shown: string;
    try {
      // oxlint-disable-next-line no-await-in-loop
      const now = await readNow(url);
      shown = json === true ? shownJson(now.status) : statusPage(view(now, before));
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

/** The address of the status page for a data directory. Writes nothing. */
async function pageOf(datadir: string): Promise<URL> {
  const { settings } = await peekSettings({ role: 'directory', datadir });
  const { statusHost, statusPort } = settings.directory;
  if (statusPort === 0) {
    throw new UsageError(
      `${settings.configFile}: [DIRECTORY] status_port is 0, so this directory has no status page: give it a port and restart the directory`,
    );
  }
  return statusBase(statusHost, statusPort);
}

export async function runStatus(asked: StatusCommandOptions): Promise<void> {
  const { datadir } = asked;
  if (datadir !== undefined && asked.url !== undefined) {
    throw new UsageError('--url and --datadir exclude each other: both say where the page is');
  }
  const url = asked.url ?? (datadir === undefined ? DEFAULT_STATUS_URL : await pageOf(datadir));
  const options: StatusRequest = { ...asked, url };
  const first = await readNow(url);
  if (options.json === true) printJson(first.status);
  if (options.watch === true) {
    await watch(first, options);
    return;
  }
  if (options.json === true) return;
  print(statusHead({ now: first.status, color: colorsOutput() }));
  await pause(systemClock, GAP_MS);
  print(statusTraffic(view(await readNow(url), first)));
}
