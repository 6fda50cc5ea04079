/** Checks of the running directory by its status page, and of the ports that it needs. */
import { createServer, isIP } from 'node:net';
import { errorCodeOrText } from '../kit/error-text.js';
import { hostAndPort } from '../kit/host-name.js';
import { counted } from '../kit/decimal.js';
import { shownLine } from '../kit/shown-text.js';
import {
  askStatus,
  statusBase,
  type StatusAnswer,
  type StatusQuestion,
} from '../ops/status-client.js';
import { programAnswers } from '../ops/request-socket.js';
import { formatLocation, parseLocation } from '../protocol/location.js';
import type { Settings } from '../config/settings.js';
import {
  note,
  ok,
  theProgram,
  wrong,
  type Check,
  type FactReader,
  type Machine,
  type Verdict,
} from './check.js';

type Page = Readonly<Record<string, unknown>>;

function ask(
  { directory }: Settings,
  path: StatusQuestion['path'],
  { signal }: Machine,
): Promise<StatusAnswer> {
  const base = statusBase(directory.statusHost, directory.statusPort);
  return askStatus({ base, path, signal });
}

const textOf = (value: unknown): string | undefined =>
  typeof value === 'string' ? shownLine(value, 300) : undefined;

function shownUptime(seconds: unknown): string {
  return typeof seconds === 'number' ? `up ${Math.floor(seconds / 60)} min` : 'up';
}

const FREE_PORT =
  'set status_port in [DIRECTORY] to a free port, or stop that program (sudo ss -ltnp shows it)';

/** A page that needs a code: what `/healthz`, which is open, says. Undefined when it is not that of a directory. */
async function behindCode(settings: Settings, machine: Machine): Promise<Verdict | undefined> {
  const health = await ask(settings, '/healthz', machine);
  if (health.kind !== 'page' || typeof health.page['ok'] !== 'boolean') return undefined;
  const facts = { running: { state: undefined, reason: undefined }, holdsPort: true } as const;
  if (health.page['ok']) {
    return ok(
      'it runs, and is well; its page needs a code (onionmc status --code-file FILE)',
      facts,
    );
  }
  return wrong(
    `it runs, and is not well: ${textOf(health.page['reason']) ?? 'no reason given'}; its page needs a code`,
    'onionmc status --code-file FILE shows more',
    facts,
  );
}

export const directoryCheck: Check = {
  id: 'directory',
  title: 'directory',
  needs: ['settings'],
  gives: ['running', 'holdsPort', 'listensOn'],
  async run(facts, machine) {
    const settings = facts.get('settings');
    const { statusHost, statusPort } = settings.directory;
    if (statusPort === 0) {
      return note(
        'unknown whether it runs: it has no status page',
        'set status_port in [DIRECTORY], for example 62600',
        { running: { state: undefined, reason: undefined } },
      );
    }
    const at = `${statusHost}:${statusPort}`;
    const asked = await ask(settings, '/status', machine);
    const runs = asked.kind === 'page' ? false : await programAnswers(machine.datadir);
    if (asked.kind === 'not-listening' && runs) {
      return wrong(
        `a directory runs with this data directory, but its status page is not at ${at}: status_host or status_port were changed since it was started`,
        `restart it, so that the file counts (sudo systemctl restart onionmc-directory), or set them back in ${settings.configFile}`,
        { holdsPort: true },
      );
    }
    if (asked.kind === 'silent') {
      const who = runs ? 'the directory' : 'a program, perhaps the directory,';
      return wrong(
        `${who} listens at ${at} and does not answer (${asked.reason}): it hangs, or is stopped`,
        `sudo ss -ltnp 'sport = :${statusPort}' shows its PID; if ps -o stat= -p PID begins with T it is stopped, and sudo kill -CONT PID continues it; else restart it (sudo systemctl restart onionmc-directory)`,
        { holdsPort: true },
      );
    }
    if (asked.kind === 'not-listening') {
      return note(
        'not running',
        `to start it: sudo systemctl start onionmc-directory, or onionmc directory --datadir ${JSON.stringify(machine.datadir)}`,
      );
    }
    if (asked.kind === 'page' && asked.code === 401) {
      const verdict = await behindCode(settings, machine);
      if (verdict) return verdict;
    }
    if (asked.kind !== 'page' || typeof asked.page['peers'] !== 'number') {
      const reason = asked.kind === 'page' ? '' : ` (${asked.reason})`;
      return wrong(
        `another program listens at the address of the status page, ${at}${reason}`,
        FREE_PORT,
      );
    }
    return describe(asked.page, facts, machine);
  },
};

const portOf = (listensOn: string): number => Number(/:(\d+)$/.exec(listensOn)?.[1]);

/** The same for a unix socket. */
function editedSocket(
  listensOn: string,
  { withoutTor, torMode, servingSocket }: Settings['onion'],
): string | undefined {
  if (withoutTor) return 'regtest_count or overlays without Tor';
  if (servingSocket.kind === 'unix' && `unix:${servingSocket.path}` !== listensOn) {
    return torMode === 'managed' || torMode === 'auto'
      ? undefined
      : `onion_serving_socket = unix:${servingSocket.path}`;
  }
  if (torMode === 'external' && servingSocket.kind !== 'unix') return 'tor_mode = external';
  if (torMode === 'control' && servingSocket.kind === 'tcp') return 'onion_serving_socket = tcp';
  return undefined;
}

/** The key whose value differs from the listener of the running directory. */
function editedListener(listensOn: string, { onion }: Settings): string | undefined {
  const { withoutTor, torMode, serving, servingSocket } = onion;
  if (listensOn.startsWith('unix:')) return editedSocket(listensOn, onion);
  if (!withoutTor && torMode === 'managed') return 'tor_mode = managed';
  if (!withoutTor && torMode === 'external' && servingSocket.kind === 'unix') {
    return `onion_serving_socket = unix:${servingSocket.path}`;
  }
  // Port 0 is any free port, also this one.
  if (serving.port !== 0 && serving.port !== portOf(listensOn)) {
    return `onion_serving_port = ${serving.port}`;
  }
  const host = listensOn.slice(0, listensOn.lastIndexOf(':')).replaceAll(/[[\]]/g, '');
  return isIP(serving.host) === 0 || sameAddress(serving.host, host)
    ? undefined
    : `onion_serving_host = ${serving.host}`;
}

function sameAddress(a: string, b: string): boolean {
  return a === b || (isIP(a) === 6 && isIP(b) === 6 && canonical(a) === canonical(b));
}
const canonical = (address: string): string => new URL(`http://[${address}]`).hostname;

async function describe(page: Page, facts: FactReader, machine: Machine): Promise<Verdict> {
  const said = textOf(page['location']);
  const expected = facts.peek('location');
  if (said !== undefined && expected !== undefined && said !== formatLocation(expected)) {
    return wrong(
      `the directory that runs here is ${said}, but the key in the data directory is that of ${formatLocation(expected)}`,
      'restart it if the key was changed; else give each directory a status_port of its own in [DIRECTORY]',
    );
  }
  const settings = facts.get('settings');
  const listensOn = textOf(page['listensOn']);
  const listener = listensOn === undefined ? {} : { listensOn };
  const keyless = facts.peek('keyless');
  if (said !== undefined && keyless !== undefined) {
    return wrong(
      `the directory that runs here is ${said}, but its key is no longer in ${keyless}: the next start would make another address`,
      `put the key folder back at ${JSON.stringify(keyless)}, from where it was moved to or from a backup, and do not restart the directory before`,
      { holdsPort: true, ...listener },
    );
  }
  const network = textOf(page['network']);
  if (network !== undefined && network !== settings.network) {
    return wrong(
      `it runs on ${network}, but ${settings.configFile} says network = ${settings.network}: changed, and not yet applied`,
      'restart it, so that the file counts (sudo systemctl restart onionmc-directory), or set network back',
      { holdsPort: true, ...listener },
    );
  }
  const edited = listensOn === undefined ? undefined : editedListener(listensOn, settings);
  if (edited !== undefined) {
    return wrong(
      `it listens on ${listensOn ?? ''}, but ${settings.configFile} says ${edited}: changed, and not yet applied`,
      `restart it, so that the file counts (sudo systemctl restart onionmc-directory), or set ${edited.split(' ')[0] ?? ''} back`,
      { holdsPort: true, ...listener },
    );
  }
  const health = await ask(settings, '/healthz', machine);
  const reason =
    health.kind === 'page' && health.page['ok'] === false
      ? textOf(health.page['reason'])
      : undefined;
  const state = textOf(page['state']);
  const parsed = said === undefined ? undefined : parseLocation(said);
  const peers = typeof page['peers'] === 'number' ? page['peers'] : 0;
  return ok(
    `${shownUptime(page['uptimeSeconds'])}, ${counted(peers, 'peer')}, ${state ?? 'no state'}`,
    {
      running: { state, reason },
      ...listener,
      ...(parsed?.ok === true ? { location: parsed.value } : {}),
    },
  );
}

/** Why nothing can listen there; undefined when it is possible. */
export function listenFault(host: string, port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', (error) => resolve(errorCodeOrText(error)));
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(undefined)));
  });
}

export const listenerHint = (port: number): string =>
  `sudo ss -ltnp 'sport = :${port}' shows which`;

function takenPort(at: string, key: string, port: number): Verdict {
  return wrong(
    `${at} (${key}) is taken by another program`,
    `stop that program (${listenerHint(port)}), or set ${key} = 0 for any free one`,
  );
}

export const portCheck: Check = {
  id: 'port',
  title: 'listening port',
  needs: ['settings'],
  gives: [],
  async run(facts, machine) {
    const { overlays, withoutTor, torMode, serving } = facts.get('settings').onion;
    const us = theProgram(machine);
    if (overlays.every((name) => name === 'lokinet')) {
      return ok('no port of this machine needed: it listens on the interface of Lokinet');
    }
    if (!withoutTor && torMode === 'managed' && machine.role === 'directory') {
      return ok('no port needed: our own Tor has a socket');
    }
    const { host, port } = serving;
    if (port === 0) return ok('any that is free');
    const at = hostAndPort(host, port);
    const fault = await listenFault(host, port);
    if (fault === undefined) return ok(`${at} is free`);
    const key = 'onion_serving_port';
    if (fault === 'EADDRINUSE') {
      const listensOn = facts.peek('listensOn');
      if (listensOn?.startsWith('unix:') === true) return ok(`not used: ${listensOn} is`);
      const another = listensOn !== undefined && portOf(listensOn) !== port;
      if (another) return takenPort(at, key, port);
      if (facts.peek('holdsPort') === true) return ok(`${at} is in use while ${us} runs`);
      const running = facts.peek('running');
      if (running?.state !== undefined) return ok(`${at} is in use while the directory runs`);
      return running === undefined
        ? takenPort(at, key, port)
        : note(`${at} (${key}) is taken, perhaps by ${us} itself`, listenerHint(port));
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
