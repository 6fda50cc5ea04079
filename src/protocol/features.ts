/**
 * Features that peers advertise, and the feature list after the key in `pubkey` (docs/protocol.md,
 * sections 3.1 and 9.4).
 */
import { isFeatureName } from './peerlist.js';

/** The peer reads features in peer lists, and asks for lists (section 3.1). */
export const PEERLIST_FEATURE = 'peerlist_features';

/** The peer answers a ping. */
export const PING_FEATURE = 'ping';

/**
 * The peer reads and writes coins as `txid:vout:scriptpubkey:height`, so that a peer without a full
 * node can find another peer's coin (section 9.5).
 */
export const NEUTRINO_COMPAT = 'neutrino_compat';

const PREFIX = 'features=';
const MAX_FEATURES = 32;

/** `features=a,b`, sorted; an empty text for an empty list. */
export function formatFeatures(features: readonly string[]): string {
  return features.length === 0 ? '' : PREFIX + features.toSorted().join(',');
}

/**
 * The names in the first argument of the form `features=a,b`, in their order. Skips texts that are not
 * feature names, and everything after the 32nd. Empty without such an argument.
 */
export function parseFeatures(args: readonly string[]): readonly string[] {
  const list = args.find((arg) => arg.startsWith(PREFIX))?.slice(PREFIX.length) ?? '';
  return list.split(',', MAX_FEATURES).filter(isFeatureName);
}
