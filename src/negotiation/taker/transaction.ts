/** Builds the transaction of a round and checks that it pays us. */
import { addressScript } from '../../bitcoin/address.js';
import { feeFor } from '../../bitcoin/fee.js';
import { coinKind } from '../../bitcoin/script.js';
import type { TransactionOutput } from '../../bitcoin/transaction.js';
import { MAX_SATOSHI } from '../../protocol/offer.js';
import { formatOutpoint } from '../../protocol/outpoint.js';
import type { RandomBytes } from '../../protocol/encryption.js';
import { makerFeeLimit, signedBytes, virtualSize } from './fees.js';
import { checkPayout, sumOf } from '../payout.js';
import type { Funding, SigningRequest } from '../ports.js';
import type { MakerPart, RoundFault, RoundTerms } from './api.js';
import { buildUnsigned, MAX_SIGNED_BYTES, type UnsignedTransaction } from '../transaction.js';
import { MAX_COINS } from '../payloads.js';

/** Enables the lock time, without replacement by fee: as deployed takers set it. */
const SEQUENCE = 0xffff_fffe;

/**
 * Up to this many satoshi a taker makes no change output and leaves the rest to the miners, as deployed
 * takers do. The dust threshold of offers is ten times as much.
 */
export const TAKER_DUST = 2_730;

/** Uniform in 0 to n - 1, but for a bias of n in 2^32. */
export function randomBelow(n: number, randomBytes: RandomBytes): number {
  const [a = 0, b = 0, c = 0, d = 0] = randomBytes(4);
  return (((a << 24) | (b << 16) | (c << 8) | d) >>> 0) % n;
}

function shuffled<T>(items: readonly T[], randomBytes: RandomBytes): readonly T[] {
  const rest = [...items];
  const result: T[] = [];
  while (rest.length > 0) result.push(...rest.splice(randomBelow(rest.length, randomBytes), 1));
  return result;
}

export type Built =
  | {
      readonly ok: true;
      readonly tx: UnsignedTransaction;
      readonly own: SigningRequest['inputs'];
    }
  | {
      readonly ok: false;
      readonly fault: RoundFault;
      readonly detail: string;
      /** The miners get too little: fewer coins of the makers may do. */
      readonly isShort: boolean;
    };

const refused = (fault: RoundFault, detail: string): Built => {
  return { ok: false, fault, detail, isShort: false };
};

/** Why the miner fee is wrong for a transaction of this size. */
function minerFeeFault(
  { policy, feePerKb, sweep }: RoundTerms,
  vbytes: number,
  minerFee: number,
  dust: number,
): Extract<Built, { readonly ok: false }> | undefined {
  const most = feeFor(vbytes, policy.absurdFeePerKb);
  if (minerFee > most) {
    const detail = `${minerFee} sat for the miners of ${vbytes} vB; absurdFeePerKb allows ${most}`;
    return { ok: false, fault: 'absurd-fee', detail, isShort: false };
  }
  if (!sweep) return undefined;
  const paid = minerFee + dust;
  const asked = feeFor(vbytes, feePerKb);
  const change = policy.maxSweepFeeChange;
  if (asked >= paid * (1 - change) && asked <= paid * (1 + change)) return undefined;
  const detail = `${paid} sat for the miners of ${vbytes} vB, which should get ${asked}; see maxSweepFeeChange`;
  return { ok: false, fault: 'sweep-fee', detail, isShort: asked > paid };
}

/** Inputs and outputs of all sides in random order, version 2 (section 9.6). */
export function buildTransaction(
  terms: RoundTerms,
  makers: readonly { readonly part: MakerPart }[],
  funding: Funding,
): Built {
  const { amount, network, randomBytes } = terms;
  const parts = makers.map(({ part }) => part);
  const coinjoinScript = addressScript(network, funding.coinjoinAddress);
  const changeScript =
    funding.changeAddress === undefined ? undefined : addressScript(network, funding.changeAddress);
  if (
    coinjoinScript === undefined ||
    (changeScript === undefined) !== (funding.changeAddress === undefined)
  ) {
    return refused('bad-funding', `the wallet gave an address that does not belong to ${network}`);
  }
  const { coins, minerFee } = funding;
  const paid = parts.reduce((sum, { fee, txfee }) => sum + fee - txfee, 0);
  const rest = sumOf(coins) - amount - paid - minerFee;
  const least = changeScript === undefined ? 0 : TAKER_DUST + 1;
  if (coins.length > MAX_COINS || coins.some(({ script }) => coinKind(script) === undefined)) {
    return refused('bad-funding', 'the wallet gave coins of another kind, or too many');
  }
  // Without a change output the rest goes to the miners: at most dust.
  const dust = changeScript === undefined ? TAKER_DUST : MAX_SATOSHI;
  if (!(rest >= least && rest <= dust && minerFee >= 0)) {
    return refused('bad-funding', `the wallet's coins leave ${rest} sat of change`);
  }
  const most = terms.makers * makerFeeLimit(terms.policy, amount);
  if (!(paid <= most)) return refused('fee-limit', `the makers get ${paid} sat of at most ${most}`);
  if (terms.sweep && changeScript !== undefined) {
    return refused('bad-funding', 'a sweep has no change');
  }
  const outputs: TransactionOutput[] = [{ script: coinjoinScript, value: amount }];
  if (changeScript !== undefined) outputs.push({ script: changeScript, value: rest });
  for (const part of parts) {
    outputs.push(
      { script: part.coinjoinScript, value: amount },
      { script: part.changeScript, value: part.change },
    );
  }
  const inputs = [...coins, ...parts.flatMap((part) => part.coins)];
  if (new Set(inputs.map(formatOutpoint)).size < inputs.length) {
    return refused('bad-funding', 'a maker named one of our own coins');
  }
  const tx = buildUnsigned(
    shuffled(inputs, randomBytes).map(({ txid, vout }) => ({ txid, vout, sequence: SEQUENCE })),
    shuffled(outputs, randomBytes),
    funding.lockTime,
  );
  if (!tx.ok) {
    return tx.reason === 'tx-size'
      ? refused('too-large', 'the transaction is too large to be sent')
      : refused('bad-funding', `the wallet's part makes no transaction: ${tx.reason}`);
  }
  const scripts = inputs.map(({ script }) => script);
  // Before a maker sees it: none of them could send it, and we must not.
  if (terms.policy.broadcast === 'not-self' && signedBytes(tx.value, scripts) > MAX_SIGNED_BYTES) {
    return refused('too-large', 'the transaction is too large for a maker to send (not-self)');
  }
  const vbytes = virtualSize(tx.value, scripts);
  const fault = minerFeeFault(terms, vbytes, minerFee, changeScript === undefined ? rest : 0);
  if (fault !== undefined) return fault;
  const own = checkPayout(tx.value, { coins, amount, coinjoinScript, changeScript, change: rest });
  if (!own.ok) return refused('bad-funding', `the transaction does not pay us: ${own.reason}`);
  return { ok: true, tx: tx.value, own: own.value };
}
