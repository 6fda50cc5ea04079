/** A taker of the tests whose coins are in a chain of the wallet's tests. */
import { bytesToHex } from '@noble/hashes/utils.js';
import { secp256k1 } from '@noble/curves/secp256k1.js';
import { p2wpkh } from '@scure/btc-signer/payment.js';
import type { MemoryChain } from '../../src/chain/memory.js';
import { createTakerWallet, secretOf, type TestTakerWallet } from './coinjoin-world.js';

/** Pays coins of these values to a taker, and mines until makers accept them. */
export function paidTaker(
  chain: MemoryChain,
  name: string,
  values: readonly number[],
): TestTakerWallet {
  const coins = values.map((value, n) => {
    const secret = secretOf(`${name} coin ${n}`);
    const script = bytesToHex(p2wpkh(secp256k1.getPublicKey(secret, true)).script);
    const { txid, vout } = chain.pay(script, value);
    return { txid, vout, script, value, secret };
  });
  chain.mine(6);
  return createTakerWallet(name, coins);
}
