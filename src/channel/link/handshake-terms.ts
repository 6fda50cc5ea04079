/** Our 793, and the rules for the other side's handshake. */
import type { Network } from '../../protocol/constants.js';
import { PEERLIST_FEATURE, PING_FEATURE } from '../../protocol/features.js';
import {
  formatPeerHandshake,
  type HandshakeRules,
  type PeerHandshake,
} from '../../protocol/handshake.js';
import type { DeclaredLocation, LocationKind } from '../../protocol/location.js';
import { NICK_AUTH_FEATURE } from '../../protocol/nick-auth.js';

/** The features of every onionmc peer: it reads `;F:` in peer lists and answers pings. */
const OFFERED_FEATURES: readonly string[] = [PEERLIST_FEATURE, PING_FEATURE];

export interface HandshakeTerms {
  readonly nick: string;
  readonly network: Network;
  readonly rules: HandshakeRules;
  /** The 793 payload. */
  readonly payload: string;
  /** The 793 payload for a directory that may ask us to prove our nick. */
  readonly provingPayload: string;
  /** The same with a code, for the private directory that it belongs to. */
  readonly withCode: (
    code: string | undefined,
  ) => Pick<HandshakeTerms, 'payload' | 'provingPayload'>;
}

/**
 * @param kinds the kinds of locations that other peers may declare on this link
 * @param more features in addition to those of every onionmc peer
 */
export function handshakeTerms(
  us: Pick<PeerHandshake, 'nick' | 'network'> & { readonly location: DeclaredLocation },
  kinds: ReadonlySet<LocationKind>,
  more: readonly string[] = [],
): HandshakeTerms {
  const { nick, network, location } = us;
  const offered = [...OFFERED_FEATURES, ...more];
  const withCode: HandshakeTerms['withCode'] = (admission) => {
    const payload = (features: readonly string[]): string =>
      formatPeerHandshake({ nick, network, location, features, admission });
    return { payload: payload(offered), provingPayload: payload([...offered, NICK_AUTH_FEATURE]) };
  };
  return { nick, network, rules: { network, kinds }, ...withCode(undefined), withCode };
}
