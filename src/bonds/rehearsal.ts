/** A spend of a bond before it is funded: the script, the key and the lock time are tried. */
import { BroadcastError } from '../chain/chain-error.js';
import type { Chain } from '../chain/ports.js';
import { parseTransaction } from '../bitcoin/transaction.js';
import { errorText } from '../kit/error-text.js';
import { WalletError } from '../wallet/api.js';
import { shownTime } from '../wallet/payment/eligible.js';
import { inputFault } from '../wallet/payment/verify.js';

/** A signed spend of a coin that does not exist. */
export interface TestSpend {
  readonly bytes: Uint8Array;
  readonly spent: { readonly script: string; readonly value: number };
}

/** What a node says to a valid spend of a coin that does not exist, before and after its lock. */
const EXPECTED = /non-final|missing|inputs-missingorspent/;

/**
 * Checks a test spend by the rules of the script: hash of the witness script, lock time, sequence and
 * signature. Then asks the source of the chain, where it can test: a node judges form and lock time before
 * it looks for the coin, so its only objections may be the lock and the missing coin. It cannot run the
 * script, since there is no coin yet. Resolves to one sentence that says how far the test went.
 * @throws WalletError `request` when the spend is not valid: nothing may be paid to the address then.
 */
export async function rehearse(
  { bytes, spent }: TestSpend,
  lockTime: number,
  chain: Chain | undefined,
  signal?: AbortSignal,
): Promise<string> {
  const parsed = parseTransaction(bytes);
  const fault = parsed.ok ? inputFault(parsed.value, 0, spent) : parsed.reason;
  if (fault === undefined && parsed.ok && parsed.value.lockTime !== lockTime) {
    throw unusable(`its lock time is ${parsed.value.lockTime}`);
  }
  if (fault !== undefined) throw unusable(fault);
  const done = `a test spend after ${shownTime(lockTime)} was signed and is valid by the rules of the script`;
  if (chain?.abilities.testAccept !== true) return done;
  let reason: string;
  try {
    const answer = await chain.testAccept(bytes, signal);
    reason = answer.accepted ? 'accepted' : answer.reason;
  } catch (error) {
    if (error instanceof BroadcastError) throw error;
    return `${done}; the node did not answer (${errorText(error)})`;
  }
  if (EXPECTED.test(reason)) {
    return `${done}; the node objects only that it is too early and the coin does not exist yet (${reason})`;
  }
  throw unusable(`the node says: ${reason}`);
}

const unusable = (why: string): WalletError =>
  new WalletError(
    'request',
    `the test spend of this bond failed (${why}): pay nothing to its address`,
  );
