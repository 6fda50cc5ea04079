/** Keys for tests, numbered from 0, and transactions that they sign (p2wpkh only). */
import { secp256k1 } from '@noble/curves/secp256k1.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex, hexToBytes, utf8ToBytes } from '@noble/hashes/utils.js';
import { Transaction } from '@scure/btc-signer';
import { p2wpkh } from '@scure/btc-signer/payment.js';
import type { Outpoint } from '../../src/protocol/outpoint.js';

/** A coin of one of the keys. */
export interface TestCoin extends Outpoint {
  readonly script: string;
  readonly value: number;
}

const privateKey = (index: number): Uint8Array => sha256(utf8ToBytes(`test key ${index}`));

/** The scriptPubKey of a key, in hex. */
export function testScript(index: number): string {
  return bytesToHex(p2wpkh(secp256k1.getPublicKey(privateKey(index), true)).script);
}

const keys = new Map<string, Uint8Array>();
let derived = 0;

function keyOf(script: string): Uint8Array {
  while (!keys.has(script) && derived < 20_000) {
    keys.set(testScript(derived), privateKey(derived));
    derived += 1;
  }
  const key = keys.get(script);
  if (key === undefined) throw new Error(`no test key has the script ${script}`);
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
