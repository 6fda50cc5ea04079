/** The network of `onionmc demo --overlay llarp`: routers of LLARP v0 in this process. It gives nobody privacy. */
import { randomBytes } from 'node:crypto';
import { newServiceKeys } from '../../llarp/service/keys.js';
import { readLlarpLocations } from '../llarp/location.js';
import { LlarpMemoryNetwork } from '../llarp/memory-network.js';
import { createLlarpOverlay } from '../llarp/overlay.js';
import type { DemoOverlays, Progress } from './overlays.js';

const ROUTERS = 9;
const HOPS = 3;
const PORT = 5_222;

const random = (length: number): Uint8Array => new Uint8Array(randomBytes(length));

/** The text that stands above the demo. */
export const LLARP_WARNING =
  'a laboratory: all routers are in this process, so it gives nobody privacy';

export async function startLlarpOverlays(progress: Progress): Promise<DemoOverlays> {
  const forgetLocations = readLlarpLocations();
  const network = new LlarpMemoryNetwork({ routers: ROUTERS });
  progress('network', `${ROUTERS} routers, paths of ${HOPS} hops. It gives nobody privacy`);
  return {
    tors: undefined,
    async overlayFor(peer) {
      const { node, close } = network.join();
      return createLlarpOverlay({
        router: node.router,
        closeRouter: close,
        keys: newServiceKeys(random),
        port: peer === 'taker' ? undefined : PORT,
        randomBytes: random,
        hops: HOPS,
      });
    },
    close() {
      network.close();
      forgetLocations();
      return Promise.resolve();
    },
  };
}
