/** The message channel's contract of overlays, over routers of LLARP v0 in this process. */
import { randomBytes } from 'node:crypto';
import t from 'tap';
import type { Overlay } from '../../src/channel/ports.js';
import { llarpLocation, readLlarpLocations } from '../../src/lab/llarp/location.js';
import { LlarpMemoryNetwork } from '../../src/lab/llarp/memory-network.js';
import { createLlarpOverlay } from '../../src/lab/llarp/overlay.js';
import { newServiceKeys } from '../../src/llarp/service/keys.js';
import { parseDeclaredLocation, parseLocation } from '../../src/protocol/location.js';
import { overlayCompliance } from '../overlay/compliance.js';

const PORT = 5_222;
const random = (length: number): Uint8Array => new Uint8Array(randomBytes(length));

t.test('the overlay of the laboratory keeps the contract', { timeout: 240_000 }, async (t) => {
  const network = new LlarpMemoryNetwork({ routers: 8 });
  t.teardown(() => network.close());
  const overlayOf = (port: number | undefined): Overlay => {
    const { node, close } = network.join();
    return createLlarpOverlay({
      router: node.router,
      closeRouter: close,
      keys: newServiceKeys(random),
      port,
      randomBytes: random,
      // Each hop costs seconds of processor time for the megabytes of the suite; network.test.ts uses three.
      hops: 1,
    });
  };
  const dialer = overlayOf(undefined);
  await overlayCompliance(t, {
    server: () => overlayOf(PORT),
    dialer,
    deadLocation: llarpLocation(random(32), PORT),
    foreignLocation: { kind: 'onion', host: `${'a'.repeat(56)}.onion`, port: PORT },
  });
  await t.rejects(
    dialer.serve(() => undefined, { signal: new AbortController().signal }),
    { code: 'not-serving' },
  );
});

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
