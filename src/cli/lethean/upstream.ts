/** A tunnel of Lethean as the way of our Tor to its network (`[TOR] upstream = lthn://...`). */
import { errorText } from '../../kit/error-text.js';
import type { Log } from '../../channel/log.js';
import type { UpstreamProxy } from '../../config/tor-upstream.js';
import type { LetheanClient } from '../../lethean/client.js';
import { needed, type LetheanSettings } from '../../lethean/config/settings.js';
import { SelectionError } from '../../lethean/market/link.js';
import type { LetheanConnection } from '../../lethean/session/connection.js';
import { startLocalProxy } from '../../lethean/transport/local-proxy.js';
import { randomLogin } from '../../lethean/transport/local-request.js';
import { UsageError } from '../errors.js';
import { settingsOf, type Given } from './options.js';
import { openClient, walletOf } from './parts.js';
import { startPrograms } from './programs.js';

export interface OpenedUpstream {
  /** On loopback, with a login that only this program and its Tor know. */
  readonly proxy: UpstreamProxy;
  close(): Promise<void>;
}

export interface OpenUpstreamOptions {
  readonly log: Log;
  readonly signal: AbortSignal;
  /** Options of client.ini, for tests. */
  readonly given?: Given;
}

function failed(link: string, error: unknown): UsageError {
  return new UsageError(
    `[TOR] upstream = ${link}: ${errorText(error)}. No Tor was started, because it would have no way but a direct one`,
    { cause: error },
  );
}

/** Nobody is asked here: a session that needs a payment is bought only when `auto-pay-days` says so beforehand. */
function agreement({ values }: LetheanSettings): { readonly agree?: () => Promise<boolean> } {
  return needed(values, 'auto-pay-days') > 0 ? {} : { agree: () => Promise.resolve(false) };
}

async function connected(
  client: LetheanClient,
  link: string,
  settings: LetheanSettings,
  signal: AbortSignal,
): Promise<LetheanConnection> {
  const request = { ...agreement(settings), signal };
  try {
    return await client.connect(link, request);
  } catch (error) {
    if (!(error instanceof SelectionError)) throw error;
    // Its description is not kept.
    await client.search({}, signal);
    return client.connect(link, request);
  }
}

/** Tor has no connection from then on: that is what a person has to know. */
async function tellEnd(
  connection: LetheanConnection,
  link: string,
  { log, signal }: Pick<OpenUpstreamOptions, 'log' | 'signal'>,
): Promise<void> {
  const { state } = await connection.ended;
  if (signal.aborted) return;
  const fix = `onionmc lethean connect ${link}, and a restart of this program`;
  log.error('the session of [TOR] upstream is over; Tor has no connection', { state, fix });
}

/**
 * Connects, and resolves when the tunnel stands. While it does not, later, its proxy refuses every connection: Tor
 * has no other way. Rejects with a UsageError; nothing is left then.
 */
export async function openUpstream(
  link: string,
  { log, signal, given = {} }: OpenUpstreamOptions,
): Promise<OpenedUpstream> {
  const programs = await startPrograms(await settingsOf(given), log, signal).catch(
    (error: unknown) => Promise.reject(failed(link, error)),
  );
  const { settings } = programs;
  const { wallet, rpc } = walletOf(settings);
  let client: LetheanClient | undefined;
  try {
    client = await openClient(settings, wallet, log);
    const connection = await connected(client, link, settings, signal);
    await connection.ready();
    const login = randomLogin();
    const local = await startLocalProxy({ port: 0, login, tunnel: () => connection.tunnel });
    log.info('Tor goes through a tunnel of Lethean', { link });
    void tellEnd(connection, link, { log, signal });
    const opened = client;
    return {
      proxy: { kind: 'socks5', host: local.host, port: local.port, login },
      async close() {
        await local.close();
        await opened.close();
        rpc.close();
        await programs.stop();
      },
    };
  } catch (error) {
    await client?.close();
    rpc.close();
    await programs.stop();
    throw failed(link, error);
  }
}
