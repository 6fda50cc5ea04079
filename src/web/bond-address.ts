/** The address of a bond's coins, which the original watcher shows. */
import { hexToBytes } from '@noble/hashes/utils.js';
import { bech32 } from '@scure/base';
import type { Network } from '../protocol/constants.js';
import { bondScriptPubKey } from '../protocol/fidelity-bond.js';

const PREFIX: Readonly<Record<Network, string>> = {
  mainnet: 'bc',
  testnet: 'tb',
  signet: 'tb',
  regtest: 'bcrt',
};

/**
 * P2WSH of the time lock (docs/protocol.md, section 11.3), encoded as in BIP173.
 * @param lockTime unix seconds
 * @param utxoPublicKeyHex the coin's key, compressed
 */
export function bondAddress(lockTime: number, utxoPublicKeyHex: string, network: Network): string {
  // The script is version 0 and a push of 32 bytes.
  const hash = hexToBytes(bondScriptPubKey(lockTime, utxoPublicKeyHex)).subarray(2);
  return bech32.encode(PREFIX[network], [0, ...bech32.toWords(hash)]);
}
