/** The overlay of Lokinet, against the stand-in: the contract of overlays, and where names go. */
import { watchLookups } from '../helpers/lokinet/lookups.js';
import t, { type Test } from 'tap';
import { createLokinetOverlay } from '../../src/lokinet/overlay.js';
import type { Overlay } from '../../src/channel/ports.js';
import type { Location } from '../../src/protocol/location.js';
import { LokinetNetwork, type LokinetNode } from '../helpers/lokinet/network.js';
import { overlayCompliance } from '../overlay/compliance.js';

const PORT = 5222;
const ONION: Location = { kind: 'onion', host: `${'a'.repeat(56)}.onion`, port: PORT };

function networkFor(t: Test, pathMs?: number): LokinetNetwork {
  const network = new LokinetNetwork(pathMs === undefined ? {} : { pathMs });
  t.teardown(() => network.close());
  return network;
}

const overlayOf = ({ dns: at }: LokinetNode, port = PORT): Overlay =>
  createLokinetOverlay({ dns: at, virtualPort: port });

t.test('the overlay of Lokinet keeps the contract', async (t) => {
  const network = networkFor(t);
  const servers = [await network.node(), await network.node()];
  const client = await network.node();
  const dead = await network.node();
  dead.isReachable = false;
  const lookedUp = watchLookups(t);
  await overlayCompliance(t, {
    server() {
      const node = servers.shift();
      if (node === undefined) throw new Error('the suite needs another node');
      return overlayOf(node);
    },
    dialer: overlayOf(client),
    deadLocation: { kind: 'loki', host: dead.host, port: PORT },
    foreignLocation: ONION,
  });
  t.same(lookedUp, [], 'the system is asked for no name');
  t.ok(client.asked.length > 10, 'a look-up for each dial');
  for (const question of client.asked) t.match(question, /^[a-z0-9]{52}\.loki A$/);
});
