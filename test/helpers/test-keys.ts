/** Keys for tests, numbered from 0, and transactions that they sign (p2wpkh only). */
import { secp256k1 } from '@noble/curves/secp256k1.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex, hexToBytes, utf8ToBytes } from '@noble/hashes/utils.js';
import { Transaction } from '@scure/btc-signer';
import { p2wpkh } from '@scure/btc-signer/payment.js';
import { bondWitnessScript } from '../../src/bitcoin/bond.js';
import { p2wsh } from '../../src/bitcoin/script.js';
import { SegwitHashes, SIGHASH_ALL } from '../../src/bitcoin/sighash.js';
import { serializeTransaction } from '../../src/bitcoin/transaction.js';
import type { Outpoint } from '../../src/protocol/outpoint.js';

/** A coin of one of the keys. */
export interface TestCoin extends Outpoint {
  readonly script: string;
  readonly value: number;
}

const privateKey = (index: number): Uint8Array => sha256(utf8ToBytes(`test key ${index}`));

/** By index, and the keys by script. */
const scripts = new Map<number, string>();
const keys = new Map<string, Uint8Array>();

/** The scriptPubKey of a key, in hex. */
export function testScript(index: number): string {
  const made = scripts.get(index);
  if (made !== undefined) return made;
  const key = privateKey(index);
  const script = bytesToHex(p2wpkh(secp256k1.getPublicKey(key, true)).script);
  scripts.set(index, script);
  keys.set(script, key);
  return script;
}

function keyOf(script: string): Uint8Array {
  const key = keys.get(script);
  if (key === undefined) throw new Error(`no test key that was used has the script ${script}`);
  return key;
}

/** A complete transaction, replaceable unless `sequence` says otherwise. */
export function signedTransaction(
  coins: readonly TestCoin[],
  outputs: readonly { readonly script: string; readonly value: number }[],
  { lockTime = 0, sequence = 0xffff_fffd } = {},
): Uint8Array {
  const tx = new Transaction({ version: 2, lockTime, allowUnknownOutputs: true });
  for (const { txid, vout, script, value } of coins) {
    const witnessUtxo = { script: hexToBytes(script), amount: BigInt(value) };
    tx.addInput({ txid, index: vout, sequence, witnessUtxo });
  }
  for (const { script, value } of outputs) {
    tx.addOutput({ script: hexToBytes(script), amount: BigInt(value) });
  }
  coins.forEach(({ script }, i) => tx.signIdx(keyOf(script), i));
  tx.finalize();
  return tx.toBytes(true, true);
}

/** A fidelity bond of a test key: its script, and transactions that spend it. */
export function testBond(
  lockTime: number,
  index = 7,
): {
  readonly script: string;
  spend(
    coin: TestCoin,
    outputs: readonly { readonly script: string; readonly value: number }[],
  ): Uint8Array;
} {
  const key = privateKey(index);
  const witnessScript = bondWitnessScript(lockTime, secp256k1.getPublicKey(key, true));
  return {
    script: p2wsh(witnessScript),
    spend({ txid, vout, value }, outputs) {
      const inputs = [{ txid, vout, sequence: 0xffff_fffe }];
      const parts = { version: 2, lockTime, inputs, outputs };
      const hash = new SegwitHashes(parts).ofInput(0, witnessScript, value);
      if (hash === undefined) throw new Error('no such input');
      const der = secp256k1.sign(hash, key, { prehash: false, format: 'der' });
      const witness = [Uint8Array.of(...der, SIGHASH_ALL), witnessScript];
      const [input] = inputs;
      return serializeTransaction({ ...parts, inputs: input ? [{ ...input, witness }] : [] });
    },
  };
}
