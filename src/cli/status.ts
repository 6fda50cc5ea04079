/** `onionmc status`: how a running directory is doing, read from its status page. */
import { InvalidArgumentError, type Command } from 'commander';
import { shownJson } from '../kit/shown-text.js';
import { UnreachableError } from './errors.js';
import { isRecord, statusPage, type StatusJson } from './status-page.js';

interface StatusCommandOptions {
  readonly watch?: boolean;
  readonly json?: boolean;
  readonly url: URL;
}

const DEFAULT_URL = new URL('http://127.0.0.1:62600');
const REFRESH_MS = 2_000;
/** Between the two looks of a single page. */
const GAP_MS = 1_000;
const TIMEOUT_MS = 5_000;
const MAX_BYTES = 262_144;
const CLEAR_SCREEN = '\u001b[H\u001b[2J';

function parseUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol !== 'http:') {
    throw new InvalidArgumentError(`an address such as ${DEFAULT_URL.origin}.`);
  }
  return url;
}

/** What a failed request says: the system's code where there is one. */
function reasonOf(error: unknown): string {
  const cause = error instanceof Error ? (error.cause ?? error) : error;
  if (cause instanceof Error && 'code' in cause && typeof cause.code === 'string')
    return cause.code;
  return cause instanceof Error ? cause.message : String(cause);
}

function unreachable(at: string, why: string): UnreachableError {
  return new UnreachableError(
    `no directory answers at ${at} (${why}): start it (onionmc directory), or give --url as status_host and status_port in [DIRECTORY] say`,
  );
}

async function bodyOf(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body ?? []) {
    size += chunk.length;
    if (size > MAX_BYTES) throw new Error(`more than ${MAX_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** Reads the page. Rejects with an UnreachableError that says where and what to do. */
export async function readStatus(base: URL): Promise<StatusJson> {
  const { href } = new URL('/status', base);
  try {
    const response = await fetch(href, {
      signal: AbortSignal.timeout(TIMEOUT_MS),
      redirect: 'error',
      headers: { connection: 'close' },
    });
    const body: unknown = response.ok ? JSON.parse(await bodyOf(response)) : undefined;
    if (isRecord(body) && 'peers' in body) return body;
    throw new Error(`answered with ${response.status}, not as a directory does`);
  } catch (error) {
    throw unreachable(href, reasonOf(error));
  }
}

const pause = (ms: number): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, ms);
  });

interface Look {
  readonly status: StatusJson;
  readonly at: number;
}

async function look(url: URL): Promise<Look> {
  const status = await readStatus(url);
  return { status, at: performance.now() };
}

function page(now: Look, before: Look): string {
  return statusPage({
    now: now.status,
    before: { status: before.status, secondsAgo: Math.max(0.001, (now.at - before.at) / 1000) },
    color: process.stdout.isTTY && (process.env['NO_COLOR'] ?? '') === '',
  });
}

async function watch(first: Look, { url, json }: StatusCommandOptions): Promise<void> {
  let before = first;
  let waitMs = GAP_MS;
  for (;;) {
    // oxlint-disable-next-line no-await-in-loop -- one look after the other
    await pause(waitMs);
    waitMs = REFRESH_MS;
    let shown: string;
    try {
      // oxlint-disable-next-line no-await-in-loop
      const now = await look(url);
      shown = json === true ? shownJson(now.status) : page(now, before);
      before = now;
    } catch (error) {
      // A directory that is being restarted comes back.
      if (!(error instanceof UnreachableError)) throw error;
      if (json === true) throw error;
      shown = error.message;
    }
    const clear = process.stdout.isTTY && json !== true ? CLEAR_SCREEN : '';
    const gap = json === true ? '' : '\n';
    process.stdout.write(`${clear}${shown}\n${gap}`);
  }
}

async function runStatus(options: StatusCommandOptions): Promise<void> {
  const first = await look(options.url);
  if (options.json === true) process.stdout.write(`${shownJson(first.status)}\n`);
  if (options.watch === true) {
    await watch(first, options);
    return;
  }
  if (options.json === true) return;
  await pause(GAP_MS);
  process.stdout.write(`${page(await look(options.url), first)}\n`);
}

export function addStatusCommand(program: Command): void {
  program
    .command('status')
    .description('show how a running directory is doing')
    .option('--watch', 'show it again and again; ends with Ctrl-C')
    .option('--json', 'print /status as it is; with --watch one line for each look')
    .option('--url <url>', 'where its status page is', parseUrl, DEFAULT_URL)
    .action(runStatus);
}
