/** `onionmc lethean sessions` and `disconnect`. */
import { parseRecord } from '../../kit/json-record.js';
import { shownJson, shownLine } from '../../kit/shown-text.js';
import { needed } from '../../lethean/config/settings.js';
import { sessionView } from '../../lethean/page/views.js';
import { readSessions } from '../../lethean/session/store.js';
import { NotRunningError, sendRequest } from '../../ops/request-socket.js';
import { UsageError } from '../errors.js';
import { print, printJson, printNote } from '../print.js';
import { settingsOf, type Given } from './options.js';
import { openClient, walletOf } from './parts.js';
import { sessionTable } from './views.js';

interface JsonOptions extends Given {
  readonly json?: boolean;
}

export async function runSessions(options: JsonOptions): Promise<void> {
  const { values } = await settingsOf(options);
  const folder = needed(values, 'sessions-dir');
  const { records, faults } = await readSessions(folder);
  const sessions = [...records.values()]
    .map((record) => sessionView(record))
    .toSorted((a, b) => b.since - a.since);
  if (options.json === true) {
    printJson({ sessions, faults });
    return;
  }
  if (sessions.length > 0) print(sessionTable(sessions));
  else printNote(`no sessions in ${folder}; "onionmc lethean connect" buys one`);
  for (const { path, reason } of faults) printNote(`${path}: ${shownLine(reason)}`);
}

/** The request that ends a session of a running client. */
export const DISCONNECT = 'lethean-disconnect';
const ANSWER = { waitMs: 30_000, maxChars: 4_000 } as const;

/** Asks the running client; undefined where none runs. */
async function askRunning(varDir: string, key: string): Promise<true | undefined> {
  let text: string;
  try {
    text = await sendRequest(varDir, shownJson({ ask: DISCONNECT, key }), ANSWER);
  } catch (error) {
    if (error instanceof NotRunningError) return undefined;
    throw error;
  }
  const answer = parseRecord(text) ?? {};
  if (answer['done'] === true) return true;
  const { why } = answer;
  throw new UsageError(typeof why === 'string' ? shownLine(why) : 'the client gave no answer');
}

export async function runDisconnect(key: string, options: JsonOptions): Promise<void> {
  const settings = await settingsOf(options);
  if ((await askRunning(needed(settings.values, 'var-dir'), key)) === undefined) {
    const { wallet, rpc } = walletOf(settings);
    const client = await openClient(settings, wallet);
    try {
      await client.disconnect(key);
    } finally {
      await client.close();
      rpc.close();
    }
  }
  if (options.json === true) printJson({ disconnected: key });
  else print(`disconnected ${shownLine(key)}`);
}
