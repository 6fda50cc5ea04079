/** The message channel's contract of overlays, over routers of LLARP v0 on real UDP sockets of this machine. */
import t from 'tap';
import type { Overlay } from '../../../src/channel/ports.js';
import { llarpLocation } from '../../../src/lab/llarp/location.js';
import { createLlarpOverlay } from '../../../src/lab/llarp/overlay.js';
import { LAB_NETWORK, systemRandom, UdpRouter } from '../../../src/lab/llarp/udp-router.js';
import { newServiceKeys } from '../../../src/llarp/service/keys.js';
import { overlayCompliance } from '../../overlay/compliance.js';

const PORT = 5_222;
const RELAYS = 5;

const overlayOf = ({ node }: UdpRouter, port: number | undefined): Overlay =>
  createLlarpOverlay({
    router: node.router,
    keys: newServiceKeys(systemRandom),
    port,
    randomBytes: systemRandom,
    // Each hop costs seconds of processor time for the megabytes of the suite.
    hops: 1,
  });

t.test('the overlay keeps the contract on sockets', { timeout: 290_000 }, async (t) => {
  const start = async (): Promise<UdpRouter> => {
    const router = await UdpRouter.start({ network: LAB_NETWORK, onError: (e) => t.fail(e) });
    t.teardown(() => router.close());
    return router;
  };
  const routers = await Promise.all(Array.from({ length: RELAYS + 3 }, start));
  const [atDialer, ...others] = routers;
  const servers = others.splice(0, 2);
  const relays = others.map(({ contact }) => contact);
  for (const router of routers) router.meet(relays);
  if (!atDialer) throw new Error('no router');
  await overlayCompliance(t, {
    server() {
      const router = servers.shift();
      if (!router) throw new Error('the suite needs another router');
      return overlayOf(router, PORT);
    },
    dialer: overlayOf(atDialer, undefined),
    deadLocation: llarpLocation(systemRandom(32), PORT),
    foreignLocation: { kind: 'onion', host: `${'a'.repeat(56)}.onion`, port: PORT },
  });
});
