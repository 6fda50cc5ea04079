/** The peer side over a real private Tor network: the same suite as over loopback. */
import t from 'tap';
import { torOverlaysFor } from '../helpers/tor-network.js';
import { channelCompliance } from './compliance.js';

t.test('compliance over Tor', { timeout: 110_000 }, async (t) =>
  channelCompliance(t, await torOverlaysFor(t)),
);
