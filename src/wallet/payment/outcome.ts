/** What became of a payment when it was sent, as values and as one sentence. */
import { BroadcastError, ChainError, type BroadcastFault } from '../../chain/chain-error.js';
import type { TransactionState } from '../../chain/ports.js';
import { formatOutpoint } from '../../protocol/outpoint.js';

/** What became of an attempt to send a payment. */
export type SendOutcome =
  /** The source took it, or had it already. */
  | { readonly kind: 'sent' }
  | { readonly kind: 'confirmed'; readonly height: number }
  /** Another transaction spends one of its coins; `height` where that one is in a block. */
  | { readonly kind: 'conflict'; readonly height: number | undefined; readonly text: string }
  /** The source says that coins are missing, which proves nothing: the payment stays as it is. */
  | { readonly kind: 'unclear'; readonly text: string }
  /** The source does not take it. It was given up when nothing else can have seen it. */
  | { readonly kind: 'refused'; readonly fault: BroadcastFault; readonly text: string }
  /** The source does not answer. The payment is in the journal and is sent again later. */
  | { readonly kind: 'waiting'; readonly text: string };

/** Faults after which a payment that was never sent may be given up: no node has taken it. */
const NEVER_TAKEN: readonly BroadcastFault[] = ['fee', 'not-final', 'refused', 'conflict'];

/** Whether a refused payment that was never seen can be given up. Missing coins are no reason. */
export const isDead = (outcome: SendOutcome): boolean =>
  outcome.kind === 'refused' && NEVER_TAKEN.includes(outcome.fault);

const ADVICE: Readonly<Record<BroadcastFault, string>> = {
  'missing-coins': 'a coin is missing or spent',
  conflict:
    'another transaction of the mempool spends one of its coins and pays too much to be replaced: bump that one',
  fee: 'its fee is below what the node relays now: give a higher --fee-rate',
  'not-final': 'its lock time is not over: wait for the next block',
  refused: 'the node does not relay it',
};

/** The outcome that a failed `broadcast` stands for. Rethrows what is no error of the chain. */
export function failedOutcome(error: unknown): SendOutcome {
  if (error instanceof BroadcastError) {
    const { fault, reason } = error;
    return { kind: 'refused', fault, text: `${ADVICE[fault]} (${reason})` };
  }
  if (error instanceof ChainError) {
    const text = `${error.message}; the payment is in the journal and is sent when the node answers`;
    return { kind: 'waiting', text };
  }
  throw error;
}

/** The outcome that the state of a transaction stands for; undefined where it was not seen. */
export function seenOutcome(state: TransactionState): SendOutcome | undefined {
  switch (state.state) {
    case 'mempool':
      return { kind: 'sent' };
    case 'confirmed':
      return { kind: 'confirmed', height: state.height };
    case 'conflict': {
      const place = state.height === undefined ? 'of the mempool' : `in block ${state.height}`;
      const text = `another transaction ${place} spends its coin ${formatOutpoint(state.outpoint)}`;
      return { kind: 'conflict', height: state.height, text };
    }
    case 'unknown':
      return undefined;
  }
}
