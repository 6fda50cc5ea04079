/** A taker of the tests whose coins are in a chain of the wallet's tests. */
import { bytesToHex } from '@noble/hashes/utils.js';
import { secp256k1 } from '@noble/curves/secp256k1.js';
import { getAddress, p2wpkh } from '@scure/btc-signer/payment.js';
import { TEST_NETWORK } from '@scure/btc-signer/utils.js';
import type { MemoryChain } from '../../src/chain/memory.js';
import type { Outpoint } from '../../src/protocol/outpoint.js';
import { createTakerWallet, secretOf, type TestTakerWallet } from './coinjoin-world.js';

interface PaidCoin extends Outpoint {
  readonly value: number;
}

/** Where the taker wants its coins: a key of the test. */
export const takerScript = (name: string, n: number): string =>
  bytesToHex(p2wpkh(publicKeyOf(name, n)).script);

const publicKeyOf = (name: string, n: number): Uint8Array =>
  secp256k1.getPublicKey(secretOf(`${name} coin ${n}`), true);

/** A taker on regtest with coins that were paid to `takerScript`. */
export function regtestTaker(name: string, paid: readonly PaidCoin[]): TestTakerWallet {
  const coins = paid.map((coin, n) => ({
    ...coin,
    script: takerScript(name, n),
    secret: secretOf(`${name} coin ${n}`),
  }));
  const wallet = createTakerWallet(name, coins);
  const regtest = { ...TEST_NETWORK, bech32: 'bcrt' };
  const address = (use: string): string =>
    getAddress('wpkh', secretOf(`${name} ${use}`), regtest) ?? '';
  return {
    ...wallet,
    async fund(request, signal) {
      const funding = await wallet.fund(request, signal);
      if (funding === undefined) return undefined;
      const changeAddress = funding.changeAddress && address('change');
      return { ...funding, coinjoinAddress: address('coinjoin'), changeAddress };
    },
  };
}

/** Pays coins of these values to a taker, and mines until makers accept them. */
export function paidTaker(
  chain: MemoryChain,
  name: string,
  values: readonly number[],
): TestTakerWallet {
  const coins = values.map((value, n) => {
    const secret = secretOf(`${name} coin ${n}`);
    const script = takerScript(name, n);
    const { txid, vout } = chain.pay(script, value);
    return { txid, vout, script, value, secret };
  });
  chain.mine(6);
  return createTakerWallet(name, coins);
}
