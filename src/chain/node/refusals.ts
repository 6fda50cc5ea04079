/** Why a node does not take a transaction, by its code and its words (Core and Knots 24 to 31). Pure. */
import { BroadcastError, type BroadcastFault } from '../chain-error.js';
import { RPC_CODE, type RpcError } from './rpc-error.js';

const MISSING = /missing-?inputs|missingorspent|Missing inputs/i;
const CONFLICT =
  /txn-mempool-conflict|insufficient fee|not enough additional fees|too many potential replacements|replacement-/i;
const FEE = /min relay fee not met|mempool min fee not met|min-fee-not-met|minimum fee/i;
const NOT_FINAL = /non-final|non-BIP68-final|Locktime requirement not satisfied/i;

function faultOf(reason: string): BroadcastFault {
  if (MISSING.test(reason)) return 'missing-coins';
  // A replacement that pays too little names both: the conflict is the cause.
  if (CONFLICT.test(reason)) return 'conflict';
  if (FEE.test(reason)) return 'fee';
  return NOT_FINAL.test(reason) ? 'not-final' : 'refused';
}

/** The refusal in an error of `sendrawtransaction`; undefined for an error of another kind. */
export function refusalOf({ code, reason }: RpcError): BroadcastError | undefined {
  const codes: readonly number[] = [RPC_CODE.decode, RPC_CODE.verify, RPC_CODE.rejected];
  return codes.includes(code) ? new BroadcastError(faultOf(reason), reason) : undefined;
}

/** Reasons of `testmempoolaccept` for a transaction that needs no acceptance. */
export function isKnownAlready(reason: string): boolean {
  return reason === 'txn-already-in-mempool' || reason === 'txn-already-known';
}
