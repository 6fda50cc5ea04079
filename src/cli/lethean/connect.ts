/** `onionmc lethean connect` and `page`: clients that run on. */
import { errorText } from '../../kit/error-text.js';
import { needed, type LetheanSettings } from '../../lethean/config/settings.js';
import type { LetheanClient } from '../../lethean/client.js';
import { SelectionError } from '../../lethean/market/link.js';
import { quoteView, sessionView } from '../../lethean/page/views.js';
import type { Quote } from '../../lethean/session/acquisition.js';
import type { LetheanConnection } from '../../lethean/session/connection.js';
import { ExitCode } from '../../ops/exit.js';
import { UsageError } from '../errors.js';
import { failWith } from '../lifecycle.js';
import { print, printJson, printNote } from '../print.js';
import { confirm } from '../wallet/questions.js';
import { TerminalAsker, type Asker } from '../wallet/terminal.js';
import { settingsOf, type Given } from './options.js';
import { servePage, startClient, type Running } from './running.js';
import { quoteText } from './views.js';

export interface ConnectOptions extends Given {
  readonly days?: number;
  readonly yes?: boolean;
  readonly json?: boolean;
}

/** Whether a person has to say yes before a payment; `auto-pay-days` and `--yes` say it beforehand. */
function mustAsk({ values }: LetheanSettings, { yes }: ConnectOptions): boolean {
  return yes !== true && needed(values, 'auto-pay-days') === 0;
}

function agreeBy(asker: Asker): (quote: Quote) => Promise<boolean> {
  return (quote) => confirm(asker, `${quoteText(quoteView(quote))}\nPay?`, undefined);
}

/** A link whose description is not kept is searched for, once. */
async function connected(
  client: LetheanClient,
  link: string,
  request: Parameters<LetheanClient['connect']>[1],
): Promise<LetheanConnection> {
  try {
    return await client.connect(link, request);
  } catch (error) {
    if (!(error instanceof SelectionError)) throw error;
    printNote('asking the SDP server for this provider');
    try {
      await client.search({}, request?.signal);
    } catch (searching) {
      throw new UsageError(`${errorText(error)}; the search failed: ${errorText(searching)}`, {
        cause: searching,
      });
    }
    return client.connect(link, request);
  }
}

export async function runConnect(
  given: string | undefined,
  options: ConnectOptions,
): Promise<void> {
  const settings = await settingsOf(options);
  const link = given ?? settings.values['auto-connect'];
  if (link === undefined) {
    throw new UsageError('name what to connect to, or set auto-connect: "providers" lists links');
  }
  const asker = new TerminalAsker();
  const asks = mustAsk(settings, options);
  if (asks && !asker.canAsk) {
    throw new UsageError(
      'there is no terminal to ask before a payment: give --yes (max-payment, max-per-day and max-day-price still hold), or set auto-pay-days',
    );
  }
  const running = await startClient(settings);
  const { client, shutdown, proxy } = running;
  shutdown.onStop('terminal', () => asker.close());
  const { days } = options;
  const connection = await connected(client, link, {
    ...(days === undefined ? {} : { days }),
    ...(asks ? { agree: agreeBy(asker) } : {}),
    signal: shutdown.signal,
  });
  await connection.ready();
  const page = needed(settings.values, 'run-gui') ? await servePage(settings, running) : undefined;
  const { key } = connection;
  if (options.json === true) printJson({ connected: key, proxy, page });
  else {
    print(`connected: session ${key}`);
    if (proxy !== undefined) print(`proxy: socks5h://${proxy}, http://${proxy}`);
    if (page !== undefined) print(`page: ${page}`);
  }
  void endWith(connection, running).catch(failWith);
}

/** Ends the program with the session. */
async function endWith(
  connection: LetheanConnection,
  { client, shutdown }: Pick<Running, 'client' | 'shutdown'>,
): Promise<void> {
  await connection.ended;
  const record = client.sessions.get(connection.key);
  const view = record === undefined ? undefined : sessionView(record);
  printNote(`the session is over: ${view?.state ?? 'gone'} ${view?.cause ?? ''}`.trim());
  await shutdown.stop(ExitCode.OK);
}

export async function runPage(options: ConnectOptions): Promise<void> {
  const settings = await settingsOf(options);
  const running = await startClient(settings);
  const { client, shutdown, proxy, desk } = running;
  const page = await servePage(settings, running);
  if (options.json === true) printJson({ page, proxy });
  else {
    print(`page: ${page}`);
    printNote('the address has the token that actions need: give it to nobody');
  }
  await desk.browse({}, false);
  void desk.lookAtWallet();
  await client.resume(shutdown.signal);
  const link = settings.values['auto-connect'];
  if (link !== undefined && client.connections.size === 0) desk.select(link, undefined);
}
