/** `scantxoutset` of a node: every unspent output of many scripts. */
import { ChainError } from '../chain-error.js';
import type { UnspentOutput } from '../ports.js';
import { readProgress, readUnspent } from './answers.js';
import type { RpcClient } from './rpc-client.js';
import { hasCode, RPC_CODE } from './rpc-error.js';

const METHOD = 'scantxoutset';
/** Minutes on a usual machine. */
const TIMEOUT_MS = 3_600_000;
const PROGRESS_MS = 1_000;

export interface UnspentScan {
  readonly bestBlock: string;
  readonly outputs: readonly UnspentOutput[];
}

/**
 * Each script is named by itself: without a range a node silently searches the first 1,000 of a
 * descriptor. A node runs one such scan at a time; that of another program is awaited.
 */
export async function scanUnspent(
  rpc: RpcClient,
  scripts: readonly string[],
  signal: AbortSignal,
  onProgress: ((done: number) => void) | undefined,
): Promise<UnspentScan> {
  const descriptors = scripts.map((script) => `raw(${script})`);
  for (;;) {
    signal.throwIfAborted();
    try {
      // oxlint-disable-next-line no-await-in-loop
      return await withProgress(rpc, descriptors, signal, onProgress);
    } catch (error) {
      if (!hasCode(error, RPC_CODE.parameter) || !/already in progress/i.test(error.reason))
        throw error;
    }
    // oxlint-disable-next-line no-await-in-loop
    await rpc.waits.pause(PROGRESS_MS, signal);
  }
}

async function withProgress(
  rpc: RpcClient,
  descriptors: readonly string[],
  signal: AbortSignal,
  onProgress: ((done: number) => void) | undefined,
): Promise<UnspentScan> {
  const ended = new AbortController();
  const watching = watchProgress(rpc, AbortSignal.any([signal, ended.signal]), onProgress);
  try {
    // A node that is restarted forgets the scan: it begins again.
    const options = { signal, timeoutMs: TIMEOUT_MS, patient: true };
    const answer = readUnspent(await rpc.call(METHOD, ['start', descriptors], options));
    if (!answer.complete) {
      throw new ChainError('unable', 'another program stopped the scan of the node: try again');
    }
    onProgress?.(1);
    return answer;
  } catch (error) {
    // The node would go on without this: the next scan would have to wait for it.
    if (signal.aborted) await rpc.call(METHOD, ['abort']).catch(() => {});
    throw error;
  } finally {
    ended.abort();
    await watching;
  }
}

/** Reports the progress of the running scan until the signal; an error of it is not reported. */
async function watchProgress(
  rpc: RpcClient,
  signal: AbortSignal,
  onProgress: ((done: number) => void) | undefined,
): Promise<void> {
  if (onProgress === undefined) return;
  const wait = (): Promise<boolean> =>
    rpc.waits.pause(PROGRESS_MS, signal).then(
      () => true,
      () => false,
    );
  // oxlint-disable-next-line no-await-in-loop
  while (await wait()) {
    try {
      // oxlint-disable-next-line no-await-in-loop
      const done = readProgress(METHOD, await rpc.call(METHOD, ['status'], { signal }));
      if (done !== undefined && !signal.aborted) onProgress(done);
    } catch {
      // The scan itself reports what is wrong.
    }
  }
}
