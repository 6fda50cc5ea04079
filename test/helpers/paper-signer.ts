/** Signs drafts with keys that a test made, without a wallet. */
import { secp256k1 } from '@noble/curves/secp256k1.js';
import { bondWitnessScript } from '../../src/bitcoin/bond.js';
import {
  keyHashScript,
  nestedP2wpkh,
  p2wpkh,
  p2wsh,
  pushBytes,
  redeemScript,
} from '../../src/bitcoin/script.js';
import { SegwitHashes, SIGHASH_ALL } from '../../src/bitcoin/sighash.js';
import { serializeTransaction } from '../../src/bitcoin/transaction.js';
import type { WalletCoin } from '../../src/wallet/api.js';
import type { Draft } from '../../src/wallet/payment/draft.js';
import { paperCoin } from './wallet-coins.js';

export type PaperKind = 'native' | 'nested' | 'bond';

/** A coin with its key. */
export interface SignableCoin {
  readonly coin: WalletCoin;
  readonly privateKey: Uint8Array;
  readonly publicKey: Uint8Array;
}

/** A coin of a fresh key. A bond is locked until 2026-01, unless said otherwise. */
export function signableCoin(
  kind: PaperKind,
  value: number,
  lockTime = 1_767_225_600,
): SignableCoin {
  const privateKey = secp256k1.utils.randomSecretKey();
  const publicKey = secp256k1.getPublicKey(privateKey, true);
  if (kind !== 'bond') {
    const script = kind === 'native' ? p2wpkh(publicKey) : nestedP2wpkh(publicKey);
    return { coin: paperCoin(value, { script }), privateKey, publicKey };
  }
  const script = p2wsh(bondWitnessScript(lockTime, publicKey));
  const coin = paperCoin(value, { branch: 2, origin: 'bond', lockTime, script });
  return { coin, privateKey, publicKey };
}

/** A low-R, low-S signature with the byte of SIGHASH_ALL. */
function signature(hash: Uint8Array, privateKey: Uint8Array): Uint8Array {
  for (let counter = 0; ; counter += 1) {
    const extraEntropy = new Uint8Array(32);
    new DataView(extraEntropy.buffer).setUint32(0, counter, true);
    const der = secp256k1.sign(hash, privateKey, {
      prehash: false,
      lowS: true,
      format: 'der',
      ...(counter === 0 ? {} : { extraEntropy }),
    });
    if (der.length <= 70) return Uint8Array.of(...der, SIGHASH_ALL);
  }
}

/** The signed serialization of a draft. */
export function signDraft(draft: Draft, keys: readonly SignableCoin[]): Uint8Array {
  const hashes = new SegwitHashes(draft);
  const inputs = draft.inputs.map(({ coin, txid, vout, sequence }, index) => {
    const key = keys.find((it) => it.coin.script === coin.script);
    if (key === undefined) throw new Error('a coin without a key');
    const { publicKey, privateKey } = key;
    const bond =
      coin.lockTime === undefined ? undefined : bondWitnessScript(coin.lockTime, publicKey);
    const hash = hashes.ofInput(index, bond ?? keyHashScript(publicKey), coin.value);
    if (hash === undefined) throw new Error('no such input');
    const isNested = nestedP2wpkh(publicKey) === coin.script;
    return {
      txid,
      vout,
      sequence,
      scriptSig: isNested ? pushBytes(redeemScript(publicKey)) : new Uint8Array(),
      witness: [signature(hash, privateKey), bond ?? publicKey],
    };
  });
  return serializeTransaction({ ...draft, inputs });
}
