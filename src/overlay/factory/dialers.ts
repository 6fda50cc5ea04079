/** Overlays that only dial and start no program: for checks from outside. */
import type { Clock, Overlay } from '../../channel/ports.js';
import type { OnionSettings } from '../../config/onion-settings.js';
import type { OverlayName } from '../../config/overlays.js';
import type { SocksEndpoint } from '../../tor/socks/dialer.js';
import { createLoopbackOverlay } from '../loopback.js';
import { createOverlaySet } from '../overlay-set.js';
import { createTorOverlay } from '../tor.js';
import { lokinetDialer } from './open-lokinet.js';

export interface DialAccess {
  /** An overlay reads its own keys here. */
  readonly onion: OnionSettings;
  /** Tor's SOCKS port as it was found, which need not be the one of the settings; undefined without one. */
  readonly socks: SocksEndpoint | undefined;
  readonly clock: Clock;
}

const DIALERS: Readonly<Record<OverlayName, (access: DialAccess) => Overlay | undefined>> = {
  tor: ({ socks, clock }) => socks && createTorOverlay({ socks, clock }),
  loopback: ({ clock }) => createLoopbackOverlay({ host: '127.0.0.1', port: 0, clock }),
  lokinet: ({ onion, clock }) => lokinetDialer(onion.lokinet, { clock }),
};

/** These overlays as one; undefined when one of them cannot be used. */
export function dialerThrough(
  names: readonly OverlayName[],
  access: DialAccess,
): Overlay | undefined {
  const overlays = names.flatMap((name) => DIALERS[name](access) ?? []);
  return overlays.length < names.length ? undefined : createOverlaySet(overlays);
}
