/** Several overlays as one: each location is dialled and served by the overlay of its kind. */
import t from 'tap';
import type { Overlay, Served, ServiceState } from '../../src/channel/ports.js';
import { HandoverError, type Parcel, type Parcels } from '../../src/kit/movable.js';
import { freePort } from '../../src/lab/private-network/free-ports.js';
import { createLoopbackOverlay } from '../../src/overlay/loopback.js';
import { createOverlaySet } from '../../src/overlay/overlay-set.js';
import {
  addLocationKind,
  formatLocation,
  type Location,
  type LocationKind,
} from '../../src/protocol/location.js';
import { acceptor, connectionPeer } from '../helpers/connection-peer.js';
import { createMemoryNetwork, IN_MEMORY, MEMORY_ROW } from '../helpers/memory-overlay.js';
import { overlayCompliance } from './compliance.js';

t.teardown(addLocationKind(IN_MEMORY.kind, MEMORY_ROW));

const { signal } = new AbortController();
const loopback = (): Overlay => createLoopbackOverlay({ host: '127.0.0.1', port: 0 });
const ONION = { kind: 'onion', host: `${'a'.repeat(56)}.onion`, port: 5222 } as const;

t.test('a set keeps the contract of an overlay, through each of its overlays', async (t) => {
  const { overlay: memory } = createMemoryNetwork(IN_MEMORY);
  const dialer = createOverlaySet([loopback(), memory()]);
  await t.test('over loopback sockets', async (t) =>
    overlayCompliance(t, {
      server: () => createOverlaySet([loopback(), memory()]),
      dialer,
      deadLocation: { kind: 'loopback', host: '127.0.0.1', port: await freePort() },
      foreignLocation: ONION,
    }),
  );
  await t.test('in memory', (t) =>
    overlayCompliance(t, {
      server: () => createOverlaySet([memory(), loopback()]),
      dialer,
      deadLocation: IN_MEMORY.locationOf(999),
      foreignLocation: ONION,
    }),
  );
});

t.test('one location for each overlay, with a state of its own', async (t) => {
  const { overlay: memory } = createMemoryNetwork(IN_MEMORY);
  const set = createOverlaySet([memory(), loopback()]);
  t.strictSame([...set.reachable], ['x-memory', 'loopback']);
  const states: [LocationKind, ServiceState['state']][] = [];
  const accept = acceptor();
  const served = await set.serve((connection) => accept.onConnection(connection), {
    signal,
    onState: ({ state }, kind) => states.push([kind, state]),
  });
  t.strictSame(
    served.locations.map(({ kind }) => kind),
    ['x-memory', 'loopback'],
    'in the order of the overlays',
  );
  t.strictSame(
    states.filter(([, state]) => state === 'reachable').map(([kind]) => kind),
    ['x-memory', 'loopback'],
  );
  for (const location of served.locations) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    const client = connectionPeer(await set.dial(location, { signal }));
    // oxlint-disable-next-line no-await-in-loop
    const server = await accept.next();
    t.equal(client.connection.via, location.kind, 'the dialler knows the kind');
    t.equal(server.connection.via, location.kind, 'and so does the server');
    client.connection.destroy();
  }
  await served.close();
  for (const location of served.locations) {
    // oxlint-disable-next-line no-await-in-loop
    await t.rejects(set.dial(location, { signal }), formatLocation(location));
  }
  await set.close();
});

t.test('sets that are refused', async (t) => {
  t.throws(() => createOverlaySet([]), { name: 'RangeError', message: /at least one/ });
  t.throws(() => createOverlaySet([loopback(), loopback()]), {
    name: 'RangeError',
    message: /two overlays reach loopback/,
  });
  const only = loopback();
  t.equal(createOverlaySet([only]), only, 'one overlay is used as it is');
  const set = createOverlaySet([loopback(), createMemoryNetwork(IN_MEMORY).overlay()]);
  await t.rejects(set.dial(ONION, { signal }), {
    code: 'location-refused',
    message: /this program reaches loopback and x-memory locations only/,
  });
});

interface FakeOverlay {
  readonly overlay: Overlay;
  /** The calls to the overlay, in order. */
  readonly calls: string[];
  readonly inherited: () => readonly string[];
}

interface FakeOverlayOptions {
  readonly fails?: boolean;
  readonly refusesMove?: boolean;
  readonly late?: readonly Parcel[];
}

/** An overlay that serves nothing and records the calls to it. */
function fakeOverlay(location: Location, options: FakeOverlayOptions = {}): FakeOverlay {
  const calls: string[] = [];
  let inherited: Parcels | undefined;
  const service: Served = {
    locations: [location],
    listensOn: `${location.kind} listener`,
    begin: () => void calls.push('begin'),
    adopt: ({ key }) => void calls.push(`adopt ${key}`),
    reportUnreachable: (kind) => void calls.push(`unreachable ${kind}`),
    close: () => Promise.resolve(void calls.push('close')),
    move: {
      hold() {
        calls.push('hold');
        if (options.refusesMove === true) return Promise.reject(new HandoverError('not now'));
        return Promise.resolve([{ key: 'listener', value: location.kind }]);
      },
      release: () => void calls.push('release'),
      leave: () => options.late ?? [],
    },
  };
  return {
    calls,
    inherited: () => [...(inherited ?? [])].map(([key, { value }]) => `${key} ${String(value)}`),
    overlay: {
      reachable: new Set([location.kind]),
      dial: () => Promise.reject(new Error('not used')),
      serve(_, serveOptions) {
        inherited = serveOptions.inherited;
        if (options.fails === true) return Promise.reject(new Error('no listener'));
        return Promise.resolve(service);
      },
      close: () => Promise.resolve(void calls.push('overlay closed')),
    },
  };
}

const LOCAL = { kind: 'loopback', host: '127.0.0.1', port: 1 } as const;
const MEMORY = IN_MEMORY.locationOf(1);

t.test('if one overlay cannot serve, the set does not serve', async (t) => {
  const good = fakeOverlay(LOCAL);
  const set = createOverlaySet([good.overlay, fakeOverlay(MEMORY, { fails: true }).overlay]);
  await t.rejects(
    set.serve(() => {}, { signal }),
    { message: 'no listener' },
  );
  t.strictSame(good.calls, ['close'], 'the other service is closed');
  await t.rejects(
    createOverlaySet([fakeOverlay(LOCAL).overlay, fakeOverlay(MEMORY).overlay]).serve(() => {}, {
      signal: AbortSignal.abort(new Error('stopped')),
    }),
    { message: 'stopped' },
  );
  await set.close();
  t.equal(good.calls.at(-1), 'overlay closed');
});

t.test('all listeners move to another process, and each finds its own parcels', async (t) => {
  const came: Parcel = { key: 'late:0', value: null };
  const parts = [fakeOverlay(LOCAL), fakeOverlay(MEMORY, { late: [came] })];
  const served = await createOverlaySet(parts.map(({ overlay }) => overlay)).serve(() => {}, {
    signal,
  });
  const { move } = served;
  t.equal(served.listensOn, 'loopback listener', 'that of the first location');
  if (move === undefined) throw new Error('the set cannot be moved');
  const parcels = await move.hold();
  t.strictSame(
    parcels.map(({ key, value }) => [key, value]),
    [
      ['loopback.listener', 'loopback'],
      ['x-memory.listener', 'x-memory'],
    ],
  );
  const [late] = move.leave();
  t.equal(late?.key, 'x-memory.late:0');

  const successors = [fakeOverlay(LOCAL), fakeOverlay(MEMORY)];
  const inherited = new Map(parcels.map((parcel) => [parcel.key, parcel]));
  const successor = await createOverlaySet(successors.map(({ overlay }) => overlay)).serve(
    () => {},
    {
      signal,
      inherited,
    },
  );
  t.strictSame(
    successors.map((each) => each.inherited()),
    [['listener loopback'], ['listener x-memory']],
  );
  successor.begin?.();
  if (late) successor.adopt?.(late);
  successor.reportUnreachable?.('x-memory');
  t.strictSame(
    successors.map(({ calls }) => calls),
    [['begin'], ['begin', 'adopt late:0', 'unreachable x-memory']],
  );

  const single = new Map([['listener', { key: 'listener', value: null }]]);
  await t.rejects(
    createOverlaySet(successors.map(({ overlay }) => overlay)).serve(() => {}, {
      signal,
      inherited: single,
    }),
    { name: 'HandoverError', message: /restart instead of an upgrade/ },
    'the parcels of a program with one overlay are refused',
  );
});

t.test('when one overlay cannot be moved, the others continue', async (t) => {
  const parts = [fakeOverlay(LOCAL), fakeOverlay(MEMORY, { refusesMove: true })];
  const { move } = await createOverlaySet(parts.map(({ overlay }) => overlay)).serve(() => {}, {
    signal,
  });
  await t.rejects(async () => move?.hold(), { message: 'not now' });
  t.strictSame(
    parts.map(({ calls }) => calls),
    [['hold', 'release'], ['hold']],
  );
  const mixed = createOverlaySet([
    fakeOverlay(LOCAL).overlay,
    createMemoryNetwork(IN_MEMORY).overlay(),
  ]);
  const served = await mixed.serve(() => {}, { signal });
  t.equal(served.move, undefined, 'a service that cannot be moved makes the set unmovable');
  await served.close();
});
