/**
 * What peers can do besides the protocol's first version, by name, and the list of it that follows the
 * key in `pubkey` (docs/protocol.md, sections 3.1 and 9.4).
 */
import { isFeatureName } from './peerlist.js';

/**
 * The peer reads and writes coins as `txid:vout:scriptpubkey:height`, which is what a peer without a
 * full node needs to find a coin of somebody else (section 9.5).
 */
export const NEUTRINO_COMPAT = 'neutrino_compat';

const PREFIX = 'features=';
const MAX_FEATURES = 32;

/** `features=a,b`, sorted; the empty list gives an empty text. */
export function formatFeatures(features: readonly string[]): string {
  return features.length === 0 ? '' : PREFIX + features.toSorted().join(',');
}

/**
 * The names in the first argument of the form `features=a,b`, in their order; what is no name of a
 * feature is left out, and so is everything behind the 32nd. No such argument gives no names.
 */
export function parseFeatures(args: readonly string[]): readonly string[] {
  const list = args.find((arg) => arg.startsWith(PREFIX))?.slice(PREFIX.length) ?? '';
  return list.split(',', MAX_FEATURES).filter(isFeatureName);
}
