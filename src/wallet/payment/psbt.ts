/**
 * Partially signed transactions (BIP174, version 0), for keys that sign elsewhere. Every input has the
 * output that it spends and the path of its key; outputs to the wallet have the path of their key. Pure.
 */
import { hexToBytes } from '@noble/hashes/utils.js';
import { RawPSBTV0 } from '@scure/btc-signer/psbt.js';
import { bondWitnessScript } from '../../bitcoin/bond.js';
import { coinKind, redeemScript } from '../../bitcoin/script.js';
import { SIGHASH_ALL } from '../../bitcoin/sighash.js';
import type { WalletCoin } from '../api.js';
import type { Draft } from './draft.js';

/** Where the key of a script comes from. */
export interface KeyOrigin {
  /** Compressed, 33 bytes. */
  readonly publicKey: Uint8Array;
  /** Undefined for a key outside the wallet. */
  readonly master:
    | {
        /** Fingerprint of the master key, 8 hex digits. */
        readonly fingerprint: string;
        /** Child numbers from the master key; hardened ones have 2^31 added. */
        readonly path: readonly number[];
      }
    | undefined;
}

/** The first hardened child number (BIP32). */
const HARDENED = 0x8000_0000;

/** The child numbers of `m/84'/0'/0'/1/5`; a lock time behind a colon is left out. Undefined for other texts. */
export function childNumbers(path: string): readonly number[] | undefined {
  const [numbers = ''] = path.split(':', 1);
  if (!/^m(?:\/\d{1,10}'?)+$/.test(numbers)) return undefined;
  const children = numbers
    .split('/')
    .slice(1)
    .map((part) => Number.parseInt(part, 10) + (part.endsWith("'") ? HARDENED : 0));
  const isValid = children.every((child, i) => {
    const isHardened = numbers.split('/')[i + 1]?.endsWith("'") === true;
    return isHardened ? child < 2 * HARDENED : child < HARDENED;
  });
  return isValid ? children : undefined;
}

type Derivation = [Uint8Array<ArrayBuffer>, { fingerprint: number; path: number[] }][];

function derivation(origin: KeyOrigin | undefined): { bip32Derivation?: Derivation } {
  if (origin?.master === undefined) return {};
  const { fingerprint, path } = origin.master;
  const value = { fingerprint: Number.parseInt(fingerprint, 16), path: [...path] };
  return { bip32Derivation: [[Uint8Array.from(origin.publicKey), value]] };
}

/** The witness script of a bond, which the signer cannot know. */
function witnessScriptOf(
  { lockTime }: WalletCoin,
  origin: KeyOrigin | undefined,
): { witnessScript?: Uint8Array<ArrayBuffer> } {
  if (lockTime === undefined || origin === undefined) return {};
  return { witnessScript: Uint8Array.from(bondWitnessScript(lockTime, origin.publicKey)) };
}

/**
 * The PSBT of an unsigned payment.
 * @param originOf the key of a script of the wallet; undefined for every other script
 */
export function paymentPsbt(
  { version, lockTime, inputs, outputs }: Draft,
  originOf: (script: string) => KeyOrigin | undefined,
): Uint8Array {
  return RawPSBTV0.encode({
    global: {
      unsignedTx: {
        version,
        lockTime,
        inputs: inputs.map(({ txid, vout, sequence }) => ({
          txid: hexToBytes(txid),
          index: vout,
          finalScriptSig: new Uint8Array(),
          sequence,
        })),
        outputs: outputs.map(({ script, value }) => ({
          script: hexToBytes(script),
          amount: BigInt(value),
        })),
      },
    },
    inputs: inputs.map(({ coin }) => {
      const origin = originOf(coin.script);
      const isNested = coinKind(coin.script) === 'p2sh-p2wpkh' && origin !== undefined;
      return {
        witnessUtxo: { script: hexToBytes(coin.script), amount: BigInt(coin.value) },
        sighashType: SIGHASH_ALL,
        ...(isNested ? { redeemScript: Uint8Array.from(redeemScript(origin.publicKey)) } : {}),
        ...witnessScriptOf(coin, origin),
        ...derivation(origin),
      };
    }),
    outputs: outputs.map(({ script }) => derivation(originOf(script))),
  });
}
