/**
 * Continues the coinjoins of a taker that ended early: after a restart, or when a transaction was not seen in
 * time. What is in the journal decides:
 *
 * - Coins of a round that signed nothing are free again.
 * - A transaction that was signed and is not complete never left the program, since it is stored as a whole
 *   before it is sent: it is given up, and its coins are free.
 * - A complete transaction is looked for by its coins and outputs, and sent (again) where it is missing.
 * - Its coins stay held until it, or a conflict of it, is in a block. `Payments.planReclaim` makes such a
 *   conflict.
 */
import type { Chain } from '../chain/ports.js';
import { CoinjoinFollower, type CoinjoinSighting } from '../wallet/coinjoins/follower.js';
import { LONG_WAIT_HOURS, waitsLong } from '../wallet/coinjoins/long-wait.js';
import type { SignedTransaction } from '../wallet/requests.js';
import type { Wallet } from '../wallet/wallet.js';
import { hasRunningRound } from './running-rounds.js';
import { TAKER_OWNER } from './wallet-taker.js';

/** A coinjoin of an earlier run, and where it is now. */
export interface ResumedCoinjoin {
  /** Id without signatures; names it in the wallet. */
  readonly unsignedTxid: string;
  /** Undefined for one that was not complete. */
  readonly txid: string | undefined;
  /** `given-up`: our signatures never left, and its coins are free. */
  readonly state: CoinjoinSighting | 'given-up';
  /** One sentence, with what the user can do. */
  readonly text: string;
}

const TEXTS: Readonly<Record<ResumedCoinjoin['state'], string>> = {
  'given-up': 'Our signatures were not sent: the coins are free again.',
  mempool: 'It is in the mempool and waits for a block.',
  sent: 'It was sent again and waits for a block.',
  confirmed: 'It is in a block.',
  lost: 'A coin of another participant was spent otherwise, in a block: the coins are free again.',
  contested:
    'Another transaction spends one of its coins. Its coins are held until one of both is in a block.',
  missing:
    'The network does not have it. Its coins are held, since it may still appear; "onionmc wallet reclaim" pays ' +
    'them back to the wallet.',
};

const LONG_WAIT =
  `It has waited in the mempool for more than ${LONG_WAIT_HOURS} hours; its fee may be too low. Its coins are held, ` +
  'since it may still confirm; once the network has dropped it, "onionmc wallet reclaim" pays them back to the wallet.';

const PEERS_ONLY =
  'The network does not have it, and only makers may send it (not-self). Its coins are held, since it may still ' +
  'appear; "onionmc wallet reclaim" pays them back to the wallet.';

const isTaker = ({ kind }: SignedTransaction): boolean => kind === 'coinjoin-taker';

/**
 * Frees what earlier runs of this wallet's taker reserved and did not send. Does nothing while a round of the
 * wallet runs, whose coins it would free. Resolves to the signed transactions that were given up.
 */
export async function freeUnsent(wallet: Wallet): Promise<readonly ResumedCoinjoin[]> {
  if (hasRunningRound(wallet)) return [];
  for (const lease of wallet.leases()) {
    // oxlint-disable-next-line no-await-in-loop -- a handful at most, in the order of the journal
    if (lease.owner === TAKER_OWNER) await wallet.release(lease);
  }
  const unsent = wallet
    .signedTransactions()
    .filter((it) => isTaker(it) && it.state === 'pending' && it.bytes === undefined);
  for (const { unsignedTxid } of unsent) {
    // oxlint-disable-next-line no-await-in-loop
    await wallet.abandon(unsignedTxid);
  }
  return unsent.map(({ unsignedTxid }) => {
    return { unsignedTxid, txid: undefined, state: 'given-up', text: TEXTS['given-up'] };
  });
}

/**
 * Continues the coinjoins of earlier runs. Call it after the wallet was read up to the tip, while no round runs.
 * Afterwards a `CoinjoinFollower` looks at those that wait, in each new block. Rejects with a `ChainError` when
 * the chain does not answer; what was freed until then stays free.
 */
export async function resumeCoinjoins(
  wallet: Wallet,
  chain: Chain,
  signal?: AbortSignal,
): Promise<readonly ResumedCoinjoin[]> {
  const freed = await freeUnsent(wallet);
  const open = new Map(
    wallet
      .signedTransactions()
      .filter((it) => isTaker(it) && it.state === 'pending')
      .map((signed) => [signed.unsignedTxid, signed]),
  );
  if (open.size === 0) return freed;
  const found = await new CoinjoinFollower(wallet, chain).look(signal);
  // The time of the best block: nothing confirms between two blocks.
  const { time } = await chain.tip(signal);
  const followed = found.flatMap(({ unsignedTxid, sighting }): ResumedCoinjoin[] => {
    const signed = open.get(unsignedTxid);
    if (signed === undefined) return [];
    const { txid, peersOnly, signedAt } = signed;
    const isStuck = sighting === 'mempool' && waitsLong(signedAt, time);
    const isPeers = peersOnly === true && sighting === 'missing';
    const text = isStuck ? LONG_WAIT : isPeers ? PEERS_ONLY : TEXTS[sighting];
    return [{ unsignedTxid, txid, state: sighting, text }];
  });
  return [...freed, ...followed];
}
