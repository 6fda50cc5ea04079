/**
 * Proves that Tor reaches our unix socket: Tor accepts any path for an onion service, also one that it may
 * not enter. A dial of our own onion decides, unless a peer was faster.
 */
import { errorText } from '../kit/error-text.js';
import type { Log } from '../channel/log.js';
import type { Clock } from '../channel/ports.js';
import type { SelfTest } from '../tor/onion/self-test.js';
import { SocksError } from '../tor/socks/error.js';

/** A single failure may have another cause. */
const REFUSALS = 2;
const TRY_MS = 60_000;
const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 60_000;
/** Then the network is at fault; the canary reports that. */
const MOST_TRIES = 30;

export interface SocketProofOptions {
  readonly selfTest: SelfTest;
  readonly host: string;
  readonly clock: Clock;
  readonly log: Log;
  /** Whether a connection has come through the socket. */
  readonly wasUsed: () => boolean;
  /** Tor cannot reach the socket; called at most once. */
  readonly onRefused: () => void;
}

/** Tries, one at a time, until it is decided or the returned function is called. */
export function startSocketProof(options: SocketProofOptions): () => void {
  const { selfTest, host, clock, log, wasUsed, onRefused } = options;
  const stop = new AbortController();
  let pauseMs = FIRST_PAUSE_MS;
  let tries = 0;
  let refusals = 0;
  let cancel: (() => void) | undefined;

  async function dial(): Promise<void> {
    const tooLong = new AbortController();
    const cancelLimit = clock.after(TRY_MS, () => tooLong.abort());
    try {
      await selfTest(host, AbortSignal.any([stop.signal, tooLong.signal]));
    } finally {
      cancelLimit();
    }
  }

  async function once(): Promise<void> {
    try {
      if (!wasUsed()) await dial();
      log.debug('Tor reaches the unix socket of our onion');
    } catch (error) {
      if (stop.signal.aborted || wasUsed()) return;
      log.debug('our onion was not reached yet', { reason: errorText(error) });
      // Tor answers so when the target of the onion refuses, and when there is none.
      if (error instanceof SocksError && error.code === 'general-failure') refusals++;
      if (refusals >= REFUSALS) onRefused();
      else if (++tries < MOST_TRIES) later();
    }
  }

  function later(): void {
    cancel = clock.after(pauseMs, () => void once());
    pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS);
  }

  void once();
  return () => {
    cancel?.();
    stop.abort();
  };
}
