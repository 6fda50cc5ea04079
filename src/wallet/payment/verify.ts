/**
 * Checks a signed transaction against what was planned, input by input, before it leaves the program.
 * Nothing is taken from the code that built or signed it: the bytes are read again. Pure.
 */
import { readBondScript } from '../../bitcoin/bond.js';
import { equalBytes } from '../../bitcoin/bytes.js';
import {
  keyHashScript,
  nestedP2wpkh,
  p2wpkh,
  p2wsh,
  pushBytes,
  redeemScript,
} from '../../bitcoin/script.js';
import { SegwitHashes } from '../../bitcoin/sighash.js';
import {
  parseTransaction,
  type SignedInput,
  type Transaction,
  type TransactionOutput,
} from '../../bitcoin/transaction.js';
import { formatOutpoint } from '../../protocol/outpoint.js';
import type { PaymentPlan, WalletCoin } from '../api.js';
import { planOutputs } from './draft.js';
import { sumOf } from './shape.js';

/** A sequence number that switches the lock time off. */
const FINAL_SEQUENCE = 0xffff_ffff;
/** Lock times below this are heights, others Unix seconds. */
const FIRST_TIME = 500_000_000;
/** DER with low R and low S, and the byte of the sighash. */
const MAX_SIGNATURE_BYTES = 71;

type Spent = Pick<WalletCoin, 'script' | 'value'>;

/** The script that the signature of this input signs, and the key; or why the input does not unlock its coin. */
function unlocking(
  { scriptSig, witness, sequence }: SignedInput,
  script: string,
  lockTime: number,
): { readonly code: Uint8Array; readonly publicKey: Uint8Array } | string {
  const last = witness.at(-1);
  if (witness.length !== 2 || last === undefined) return 'a witness has not two parts';
  if (p2wsh(last) === script) {
    const bond = readBondScript(last);
    if (scriptSig.length > 0 || bond === undefined)
      return 'a witness script is no script of a bond';
    const isTime = bond.lockTime >= FIRST_TIME && lockTime >= FIRST_TIME;
    if (!isTime || lockTime < bond.lockTime || sequence === FINAL_SEQUENCE) {
      return 'the lock time is before that of a bond';
    }
    return { code: last, publicKey: bond.publicKey };
  }
  if (last.length !== 33) return 'a witness has no compressed key';
  const code = keyHashScript(last);
  const isNative = p2wpkh(last) === script && scriptSig.length === 0;
  if (isNative) return { code, publicKey: last };
  const isNested =
    nestedP2wpkh(last) === script && equalBytes(scriptSig, pushBytes(redeemScript(last)));
  return isNested ? { code, publicKey: last } : 'a witness has the key of another coin';
}

/**
 * Why one input does not spend its coin by the rules of consensus and relay; undefined when it does.
 * Confirmations, and whether the lock time is over, are not looked at.
 */
export function inputFault(tx: Transaction, index: number, spent: Spent): string | undefined {
  const parts = {
    version: tx.version,
    lockTime: tx.lockTime,
    inputs: tx.inputs,
    outputs: tx.outputs,
  };
  return faultOf(parts.inputs[index], index, spent, tx.lockTime, new SegwitHashes(parts));
}

function faultOf(
  input: SignedInput | undefined,
  index: number,
  { script, value }: Spent,
  lockTime: number,
  hashes: SegwitHashes,
): string | undefined {
  if (input === undefined) return 'an input is missing';
  const found = unlocking(input, script, lockTime);
  if (typeof found === 'string') return found;
  const [signature = new Uint8Array()] = input.witness;
  if (signature.length > MAX_SIGNATURE_BYTES) return 'a signature is longer than a low-R one';
  const signed = { index, scriptCode: found.code, value };
  return hashes.isSignedBy(found.publicKey, signature, signed)
    ? undefined
    : 'a signature is not valid';
}

const sorted = (outputs: readonly TransactionOutput[]): string =>
  outputs
    .map(({ script, value }) => `${script}:${value}`)
    .toSorted()
    .join();

/**
 * Why a signed transaction is not the planned one; undefined when every byte of it is accounted for:
 * version, lock time, inputs and their order, outputs, fee, size, and the signature of each input.
 * @param changeScript given when the plan has change
 */
export function paymentFault(
  bytes: Uint8Array,
  plan: PaymentPlan,
  changeScript: string | undefined,
  sequence: number,
): string | undefined {
  const parsed = parseTransaction(bytes);
  if (!parsed.ok) return `the bytes are no transaction (${parsed.reason})`;
  const tx = parsed.value;
  const { version, lockTime, inputs, outputs, vsize } = tx;
  if (version !== 2) return `the version is ${version}`;
  if (lockTime !== plan.lockTime) return `the lock time is ${lockTime}`;
  const coins = plan.inputs;
  const hasCoins =
    inputs.length === coins.length &&
    inputs.every((input, i) => {
      const coin = coins[i];
      return coin !== undefined && formatOutpoint(input) === formatOutpoint(coin);
    });
  if (!hasCoins) return 'the inputs are other coins';
  if (new Set(inputs.map(formatOutpoint)).size < inputs.length) return 'a coin is spent twice';
  if (inputs.some((input) => input.sequence !== sequence)) return 'a sequence number is wrong';
  if (sorted(outputs) !== sorted(planOutputs(plan, changeScript))) return 'the outputs are wrong';
  if (sumOf(coins) - sumOf(outputs) !== plan.fee) return 'the fee is wrong';
  if (vsize > plan.vsize) return `it has ${vsize} vB, more than the planned ${plan.vsize}`;
  const hashes = new SegwitHashes({ version, lockTime, inputs, outputs });
  for (const [index, coin] of coins.entries()) {
    const fault = faultOf(inputs[index], index, coin, lockTime, hashes);
    if (fault !== undefined) return `input ${index}: ${fault}`;
  }
  return undefined;
}
