/** The whole scenario once over a real private Tor network. */
import t from 'tap';
import { createTorOverlay } from '../../src/overlay/tor.js';
import { connectControl } from '../../src/tor/control-client.js';
import { torNetworkFor } from '../helpers/tor-network.js';
import { coinjoinScenario } from './scenario.js';

t.test('a coinjoin over Tor', { timeout: 240_000 }, async (t) => {
  const network = await torNetworkFor(t);
  const [client, service] = await Promise.all([
    network.startTor({ name: 'client' }),
    network.startTor({ name: 'service', controlPort: true }),
  ]);
  const { controlEndpoint: endpoint } = service;
  if (endpoint === undefined) throw new Error('this tor has no control port');
  await coinjoinScenario(t, {
    dialer: () => createTorOverlay({ socks: { kind: 'tcp', ...client.socks } }),
    server: () =>
      createTorOverlay({
        socks: { kind: 'tcp', ...service.socks },
        serving: {
          kind: 'control',
          identity: { kind: 'ephemeral' },
          listen: { host: '127.0.0.1', port: 0 },
          connectControl: (signal) => connectControl({ endpoint, signal }),
        },
      }),
  });
});
