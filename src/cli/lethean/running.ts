/** A client that runs on: its sessions, the local proxy, the page, and the socket for `disconnect`. */
import { mkdir } from 'node:fs/promises';
import { errorText } from '../../kit/error-text.js';
import { hostAndPort } from '../../kit/host-name.js';
import { parseRecord } from '../../kit/json-record.js';
import { keepAlive } from '../../kit/keep-alive.js';
import type { LetheanClient } from '../../lethean/client.js';
import { needed, type LetheanSettings } from '../../lethean/config/settings.js';
import { Desk } from '../../lethean/page/desk.js';
import { openDeskPage } from '../../lethean/page/server.js';
import { startLocalProxy } from '../../lethean/transport/local-proxy.js';
import type { ProgramLog } from '../../ops/log.js';
import { serveRequests } from '../../ops/request-socket.js';
import { createShutdown, type Shutdown } from '../../ops/shutdown.js';
import { letheanPageFiles } from '../../web/lethean-page.js';
import { UsageError } from '../errors.js';
import { setActive } from '../lifecycle.js';
import { logOf, lookAtWallet, openClient, secondsNow, settingViews, walletOf } from './parts.js';
import { startPrograms } from './programs.js';
import { DISCONNECT } from './sessions.js';

export interface Running {
  readonly client: LetheanClient;
  readonly log: ProgramLog;
  readonly shutdown: Shutdown;
  /** `127.0.0.1:8180`; undefined with `run-proxy = 0`. */
  readonly proxy: string | undefined;
}

async function openProxy(
  { values }: LetheanSettings,
  client: LetheanClient,
  shutdown: Shutdown,
): Promise<string | undefined> {
  if (!needed(values, 'run-proxy')) return undefined;
  const host = needed(values, 'local-bind');
  const port = needed(values, 'proxy-port');
  try {
    const proxy = await startLocalProxy({
      host,
      port,
      tunnel: () => [...client.connections].find(({ tunnel }) => tunnel !== undefined)?.tunnel,
    });
    shutdown.onStop('local proxy', () => proxy.close());
    return hostAndPort(proxy.host, proxy.port);
  } catch (error) {
    throw new UsageError(
      `the local proxy cannot listen on ${hostAndPort(host, port)} (${errorText(error)}): set proxy-port to a free port, or run-proxy = 0`,
      { cause: error },
    );
  }
}

/** A wallet that is told to end writes its file, and a large one takes its time. */
const STOP_MS = { stepMs: 25_000, deadlineMs: 30_000 };

/** Programs, sessions, proxy and socket. Everything ends with the program. */
export async function startClient(given: LetheanSettings): Promise<Running & { desk: Desk }> {
  const { values } = given;
  const log = logOf(given);
  const hasPrograms = needed(values, 'run-wallet') || needed(values, 'run-daemon');
  const shutdown = createShutdown({ log, ...(hasPrograms ? STOP_MS : {}) });
  setActive(shutdown);
  shutdown.onStop('process', keepAlive());
  const programs = await startPrograms(given, log, shutdown.signal);
  shutdown.onStop('programs', () => programs.stop());
  const { settings } = programs;
  const { wallet, rpc } = walletOf(settings);
  shutdown.onStop('wallet', () => rpc.close());
  const varDir = needed(values, 'var-dir');
  await mkdir(varDir, { recursive: true, mode: 0o700 });
  const client = await openClient(settings, wallet, log);
  shutdown.onStop('sessions', () => client.close());
  const proxy = await openProxy(settings, client, shutdown);
  const requests = await serveRequests(varDir, (request) => answered(client, request));
  shutdown.onStop('requests', () => requests.close());
  const desk = new Desk({
    client,
    wallet: (signal) => lookAtWallet(wallet, signal),
    settings: settingViews(settings),
    proxy: () => proxy,
    now: secondsNow,
  });
  shutdown.onStop('attempt', () => desk.close());
  return { client, log, shutdown, proxy, desk };
}

function answered(client: LetheanClient, request: string): Promise<unknown> | undefined {
  const { ask, key } = parseRecord(request) ?? {};
  if (ask !== DISCONNECT || typeof key !== 'string') return undefined;
  return client.disconnect(key).then(
    () => ({ done: true }),
    (error: unknown) => ({ done: false, why: errorText(error) }),
  );
}

/** Serves the page. @returns its address with the token, which only the person at the terminal gets */
export async function servePage(
  { values }: LetheanSettings,
  { log, shutdown, desk }: Running & { desk: Desk },
): Promise<string> {
  const page = await openDeskPage({
    host: needed(values, 'manager-local-bind'),
    port: needed(values, 'http-port'),
    desk,
    files: await letheanPageFiles(),
    log,
  });
  shutdown.onStop('page', () => page.close());
  return page.url;
}
