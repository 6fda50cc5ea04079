/** What a key outside the wallet does with the PSBT of a bond. */
import { secp256k1 } from '@noble/curves/secp256k1.js';
import { RawPSBTV0 } from '@scure/btc-signer/psbt.js';
import { Transaction } from '@scure/btc-signer/transaction.js';
import { SegwitHashes, SIGHASH_ALL } from '../../src/bitcoin/sighash.js';
import { parseTransaction, serializeTransaction } from '../../src/bitcoin/transaction.js';

/** Signs the only input of a PSBT, which is a bond, as its key elsewhere does. */
export function signBondPsbt(psbt: Uint8Array, privateKey: Uint8Array): Uint8Array {
  const { inputs } = RawPSBTV0.decode(psbt);
  const [utxo] = inputs;
  const witnessScript = utxo?.witnessScript;
  if (witnessScript === undefined) throw new Error('a PSBT of a bond');
  const options = { allowUnknownInputs: true, disableScriptCheck: true };
  const parsed = parseTransaction(Transaction.fromPSBT(psbt, options).unsignedTx);
  if (!parsed.ok) throw new Error(parsed.reason);
  const { version, lockTime, inputs: spends, outputs } = parsed.value;
  const parts = { version, lockTime, inputs: spends, outputs };
  const value = Number(utxo?.witnessUtxo?.amount ?? 0n);
  const hash = new SegwitHashes(parts).ofInput(0, witnessScript, value);
  if (hash === undefined) throw new Error('no input');
  const der = secp256k1.sign(hash, privateKey, { prehash: false, format: 'der' });
  return serializeTransaction({
    ...parts,
    inputs: parts.inputs.map((input) => ({
      ...input,
      witness: [Uint8Array.of(...der, SIGHASH_ALL), witnessScript],
    })),
  });
}
