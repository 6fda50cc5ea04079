/** The whole scenario once over a real private Tor network. */
import t from 'tap';
import { torOverlaysFor } from '../helpers/tor-network.js';
import { coinjoinScenario } from './scenario.js';

t.test('a coinjoin over Tor', { timeout: 240_000 }, async (t) =>
  coinjoinScenario(t, await torOverlaysFor(t)),
);
