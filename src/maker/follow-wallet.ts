/** Keeps a maker's wallet at the tip, and looks at its signed coinjoins after each block and every minute. */
import type { Clock } from '../channel/ports.js';
import { pause } from '../kit/pause.js';
import type { CoinjoinFollower } from '../wallet/coinjoins/follower.js';
import type { Wallet } from '../wallet/wallet.js';

/** Between two looks at the mempool. */
const LOOK_EVERY_MS = 60_000;

interface FollowTerms {
  readonly signal: AbortSignal;
  readonly clock: Clock;
  readonly onChange: () => void;
  readonly onFault: (error: unknown) => void;
}

/** Resolves after the signal was aborted. Never rejects. */
export async function followWallet(
  wallet: Pick<Wallet, 'follow' | 'signedTransactions'>,
  follower: CoinjoinFollower,
  { signal, clock, onChange, onFault }: FollowTerms,
): Promise<void> {
  /** Ends the pause before the next look. */
  let wake = new AbortController();
  const stop = (): void => wake.abort();
  signal.addEventListener('abort', stop);
  const reading = wallet.follow({
    signal,
    clock,
    onFault,
    onChange: () => {
      onChange();
      wake.abort();
    },
  });
  while (!signal.aborted) {
    // oxlint-disable-next-line no-await-in-loop -- one look after the other
    await pause(clock, LOOK_EVERY_MS, wake.signal);
    wake = new AbortController();
    if (signal.aborted) break;
    try {
      const before = shown(wallet);
      // oxlint-disable-next-line no-await-in-loop
      await follower.look(signal);
      if (shown(wallet) !== before) onChange();
    } catch (error) {
      if (!signal.aborted) onFault(error);
    }
  }
  signal.removeEventListener('abort', stop);
  await reading;
}

const shown = (wallet: Pick<Wallet, 'signedTransactions'>): string =>
  wallet
    .signedTransactions()
    .map(({ state, seen }) => `${state} ${seen}`)
    .join();
