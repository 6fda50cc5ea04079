/** Locations and refusals of the overlay of the laboratory. Its contract: test/lab/llarp/overlay-udp.test.ts. */
import { randomBytes } from 'node:crypto';
import t from 'tap';
import { llarpLocation, readLlarpLocations } from '../../src/lab/llarp/location.js';
import { LlarpMemoryNetwork } from '../../src/lab/llarp/memory-network.js';
import { createLlarpOverlay } from '../../src/lab/llarp/overlay.js';
import { newServiceKeys } from '../../src/llarp/service/keys.js';
import { createLoopbackOverlay } from '../../src/overlay/loopback.js';
import { parseDeclaredLocation, parseLocation } from '../../src/protocol/location.js';

const PORT = 5_222;
const random = (length: number): Uint8Array => new Uint8Array(randomBytes(length));

t.test('locations of the laboratory are read only while it is used', (t) => {
  const location = llarpLocation(random(32), PORT);
  const text = `${location.host}:${PORT}`;
  t.match(parseLocation(text), { ok: false, reason: 'location-host' });
  const [first, second] = [readLlarpLocations(), readLlarpLocations()];
  t.same(parseLocation(text), { ok: true, value: location });
  t.same(parseDeclaredLocation(text), { ok: true, value: location });
  for (const wrong of [
    `${location.host.slice(1)}:${PORT}`,
    `v${location.host.slice(1)}:${PORT}`,
    `a.${text}`,
  ]) {
    t.match(parseLocation(wrong), { ok: false, reason: 'location-host' });
  }
  first();
  first();
  t.ok(parseLocation(text).ok, 'a second user keeps it');
  second();
  t.notOk(parseLocation(text).ok);
  t.end();
});

t.test('an overlay without a port only dials, and says so', async (t) => {
  const network = new LlarpMemoryNetwork({ routers: 4 });
  t.teardown(() => network.close());
  const { node, close } = network.join();
  const overlay = createLlarpOverlay({
    router: node.router,
    closeRouter: close,
    keys: newServiceKeys(random),
    port: undefined,
    randomBytes: random,
  });
  t.ok(overlay.dialsOnly);
  const { signal } = new AbortController();
  await t.rejects(
    overlay.serve(() => undefined, { signal }),
    { code: 'not-serving' },
  );
  const onion = { kind: 'onion', host: `${'a'.repeat(56)}.onion`, port: PORT } as const;
  await t.rejects(overlay.dial(onion, { signal }), { code: 'location-refused' });
  await overlay.close();
});

t.test('a program without the overlay has no way to an address of the laboratory', async (t) => {
  const location = llarpLocation(random(32), PORT);
  const overlay = createLoopbackOverlay({ host: '127.0.0.1', port: 0 });
  await t.rejects(overlay.dial(location, { signal: new AbortController().signal }), {
    code: 'location-refused',
  });
});
