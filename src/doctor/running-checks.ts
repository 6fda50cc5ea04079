/** Checks of the running directory, by its status page, and of the ports that it needs. */
import { createServer } from 'node:net';
import { counted } from '../kit/decimal.js';
import { formatLocation, parseLocation } from '../protocol/location.js';
import type { Settings } from '../config/settings.js';
import {
  note,
  ok,
  wrong,
  type Check,
  type FactReader,
  type Machine,
  type Verdict,
} from './check.js';

const PAGE_TIMEOUT_MS = 5_000;
const MAX_PAGE_CHARS = 100_000;

type Page = Readonly<Record<string, unknown>>;
type Asked =
  | { readonly kind: 'page'; readonly page: Page }
  | { readonly kind: 'nobody' }
  | { readonly kind: 'stranger'; readonly why: string };

function isPage(value: unknown): value is Page {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function causeCode(error: unknown): string {
  const cause = error instanceof Error ? (error.cause ?? error) : error;
  return cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause);
}

/** The address to connect to for one that is listened on. */
function reachable(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1';
  if (host === '::') return '[::1]';
  return host.includes(':') ? `[${host}]` : host;
}

function parsedJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

async function ask(settings: Settings, path: string, machine: Machine): Promise<Asked> {
  const { statusHost, statusPort } = settings.directory;
  const url = `http://${reachable(statusHost)}:${statusPort}${path}`;
  const signal = AbortSignal.any([machine.signal, AbortSignal.timeout(PAGE_TIMEOUT_MS)]);
  try {
    const response = await fetch(url, { signal, headers: { connection: 'close' } });
    const text = await response.text();
    const page = text.length > MAX_PAGE_CHARS ? undefined : parsedJson(text);
    return isPage(page)
      ? { kind: 'page', page }
      : { kind: 'stranger', why: 'its answer is no status' };
  } catch (error) {
    if (causeCode(error) === 'ECONNREFUSED') return { kind: 'nobody' };
    return { kind: 'stranger', why: error instanceof Error ? error.message : String(error) };
  }
}

const textOf = (value: unknown): string | undefined =>
  typeof value === 'string' ? value.slice(0, 300) : undefined;

function shownUptime(seconds: unknown): string {
  return typeof seconds === 'number' ? `up ${Math.floor(seconds / 60)} min` : 'up';
}

const FREE_PORT =
  'set status_port in [DIRECTORY] to a free port, or stop that program (sudo ss -ltnp shows it)';

export const directoryCheck: Check = {
  id: 'directory',
  title: 'directory',
  needs: ['settings'],
  gives: ['running'],
  async run(facts, machine) {
    const settings = facts.get('settings');
    const { statusHost, statusPort } = settings.directory;
    if (statusPort === 0) {
      return note(
        'whether it runs is not known: it has no status page',
        'set status_port in [DIRECTORY], for example 62600',
        { running: { state: undefined, trouble: undefined } },
      );
    }
    const at = `${statusHost}:${statusPort}`;
    const asked = await ask(settings, '/status', machine);
    if (asked.kind === 'nobody') {
      return note(
        'not running',
        `to start it: sudo systemctl start onionmc-directory, or onionmc directory --datadir ${JSON.stringify(machine.datadir)}`,
      );
    }
    if (asked.kind === 'stranger' || typeof asked.page['peers'] !== 'number') {
      const why = asked.kind === 'stranger' ? ` (${asked.why})` : '';
      return wrong(
        `another program listens at the address of the status page, ${at}${why}`,
        FREE_PORT,
      );
    }
    return describe(asked.page, facts, machine);
  },
};

async function describe(page: Page, facts: FactReader, machine: Machine): Promise<Verdict> {
  const said = textOf(page['location']);
  const ours = facts.peek('location');
  if (said !== undefined && ours !== undefined && said !== formatLocation(ours)) {
    return wrong(
      `the directory that runs here is ${said}, but the key in the data directory is that of ${formatLocation(ours)}`,
      'restart it if the key was changed; else give each directory a status_port of its own in [DIRECTORY]',
    );
  }
  const health = await ask(facts.get('settings'), '/healthz', machine);
  const trouble =
    health.kind === 'page' && health.page['ok'] === false
      ? textOf(health.page['reason'])
      : undefined;
  const state = textOf(page['state']);
  const parsed = said === undefined ? undefined : parseLocation(said);
  const peers = typeof page['peers'] === 'number' ? page['peers'] : 0;
  return ok(
    `${shownUptime(page['uptimeSeconds'])}, ${counted(peers, 'peer')}, ${state ?? 'no state'}`,
    {
      running: { state, trouble },
      ...(parsed?.ok === true ? { location: parsed.value } : {}),
    },
  );
}

/** Why nothing can listen there; undefined when it can. */
function listenFault(host: string, port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', (error) => resolve(causeCode(error)));
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(undefined)));
  });
}

export const portCheck: Check = {
  id: 'port',
  title: 'listening port',
  needs: ['settings'],
  gives: [],
  async run(facts) {
    const { loopback, torMode, serving } = facts.get('settings').onion;
    if (!loopback && torMode === 'managed') return ok('none needed: our own Tor has a socket');
    const { host, port } = serving;
    if (port === 0) return ok('any that is free');
    const at = `${host}:${port}`;
    const fault = await listenFault(host, port);
    if (fault === undefined) return ok(`${at} is free`);
    const key = 'onion_serving_port';
    if (fault === 'EADDRINUSE') {
      const running = facts.peek('running');
      if (running?.state !== undefined) return ok(`${at} is in use while the directory runs`);
      const who = `sudo ss -ltnp 'sport = :${port}' shows which`;
      return running === undefined
        ? wrong(
            `${at} (${key}) is taken by another program`,
            `stop that program (${who}), or set ${key} = 0 for any free one`,
          )
        : note(`${at} (${key}) is taken, perhaps by the directory itself`, who);
    }
    if (fault === 'EACCES') {
      return wrong(`${at} (${key}) is not allowed to this user`, `set ${key} above 1023`);
    }
    return wrong(
      `nothing can listen at ${at} (${fault})`,
      'set onion_serving_host = 127.0.0.1 in the onion section',
    );
  },
};
