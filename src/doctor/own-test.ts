/** The doctor's test of a directory on this machine: under nicks, and with a code, that the directory knows. */
import { parseRecord } from '../kit/json-record.js';
import { sendRequest } from '../ops/request-socket.js';
import { createNickKey, type NickKey } from '../protocol/nick.js';
import type { Machine } from './check.js';

/** A probe takes two nicks. */
const NICKS = 2;
const LIMITS = { waitMs: 5_000, maxChars: 1_024 };

export interface OwnTest {
  /** The keys of the two nicks, in turn. */
  readonly newNickKey: () => NickKey;
  /** For a private directory that let the test in. */
  readonly code: string | undefined;
}

/** Its code; undefined when it has none, or does not know such requests. Never rejects. */
async function codeFor(nicks: readonly string[], datadir: string): Promise<string | undefined> {
  try {
    const request = JSON.stringify({ ask: 'self-test', nicks });
    const { code } = parseRecord(await sendRequest(datadir, request, LIMITS)) ?? {};
    return typeof code === 'string' ? code : undefined;
  } catch {
    return undefined;
  }
}

/** Announces a test to the directory that runs in the data directory, if this user may. */
export async function announceOwnTest({ datadir, randomBytes }: Machine): Promise<OwnTest> {
  const keys = Array.from({ length: NICKS }, () => createNickKey(randomBytes));
  const code = await codeFor(
    keys.map(({ nick }) => nick),
    datadir,
  );
  return { newNickKey: () => keys.pop() ?? createNickKey(randomBytes), code };
}
