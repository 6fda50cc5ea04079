/**
 * Kinds of locations and sets of overlays: a host belongs to one kind, a kind that is added takes none away from the
 * others, and a program names a location only over links of the same kind.
 */
import type { Overlay } from '../../../src/channel/ports.js';
import { createOverlaySet } from '../../../src/overlay/overlay-set.js';
import {
  addLocationKind,
  formatLocation,
  isLocationKind,
  kindsNamedOver,
  namedLocation,
  ownHost,
  parseDeclaredLocation,
  parseLocation,
  sameOwner,
  type AddedKind,
  type LocationKind,
} from '../../../src/protocol/location.js';
import { ok } from '../../../src/protocol/result.js';
import { Broken, must, mustEqual, type Target } from '../target.js';

const ONION = '2bflemtufo2kwoqtnc6umfpe43icesvxdiawxl4fecrtfslxq43yqmad.onion';
/** A kind that reads every host, and one that changes what it reads. */
const GREEDY: AddedKind = 'x-greedy';
const ODD: AddedKind = 'x-odd';

/** First line: a location. Second line: the name of a kind. */
const SEEDS = [
  `${ONION}:5222\nx-memory`,
  '127.0.0.1:5222\nonion',
  'localhost:1\nx-',
  'NOT-SERVING-ONION\nloopback',
  'some.b32.i2p:65535\nx-i2p',
  'name.loki:5222;evil\nx-a,b',
  `${ONION}.:5222\nx-${'a'.repeat(31)}`,
  '[::1]:5222\nX-MEMORY',
];

const unused = (): Promise<never> => Promise.reject(new Error('not used'));

function overlay(...kinds: LocationKind[]): Overlay {
  return { reachable: new Set(kinds), dial: unused, serve: unused, close: () => Promise.resolve() };
}

/** Only a RangeError, with one printable line. */
function rangeError(act: () => unknown): boolean {
  try {
    act();
    return false;
  } catch (error) {
    if (error instanceof RangeError) return true;
    throw error;
  }
}

function* names(text: string, via: LocationKind): Iterable<string> {
  const location = parseLocation(text);
  if (!location.ok) {
    yield location.reason;
    return;
  }
  const { value } = location;
  yield value.kind.startsWith('x-') ? 'added' : value.kind;
  must(/^[a-z0-9.-]+$/.test(value.host), 'a host has no separator of lists');
  must(value.port >= 1 && value.port <= 65_535, 'a port is in its range');
  mustEqual(parseLocation(formatLocation(value)), location, 'decode(encode(x)) = x');
  mustEqual(parseDeclaredLocation(text), location, 'a declared location is the same');
  must(sameOwner(value, value), 'a location is its own owner');
  must((ownHost(value) === undefined) === (value.kind === 'loopback'), 'only loopback is shared');
  for (const reachable of [new Set<LocationKind>([via]), new Set<LocationKind>(['onion', via])]) {
    const kinds = kindsNamedOver(via, reachable);
    const named = namedLocation(value, kinds);
    const isAllowed = value.kind === via || (value.kind === 'onion' && !reachable.has('onion'));
    must((named.kind !== 'not-serving') === isAllowed, 'named only over links of its kind');
  }
}

export function overlaysTarget(): Target {
  return {
    name: 'overlays',
    seeds: SEEDS.map((text) => Buffer.from(text)),
    words: [ONION, '127.0.0.1', ':5222', '\nx-', 'x-memory', '.onion', 'NOT-SERVING-ONION'],
    maxBytes: 2_000,
    *run(input) {
      const text = Buffer.from(input).toString('utf8');
      const [location = '', kind = ''] = text.split('\n', 2);
      const before = parseLocation(location);
      yield* names(location, 'onion');
      yield* names(location, 'loopback');
      const isKnown = isLocationKind(kind);
      const isName = /^x-[a-z0-9-]{1,30}$/.test(kind);
      let remove: (() => void) | undefined;
      const isRefused = rangeError(() => {
        // Any text, as a program without types gives it.
        // oxlint-disable-next-line no-unsafe-type-assertion
        remove = addLocationKind(kind as AddedKind, {
          read: (host) => ok(host),
          sharesHost: false,
        });
      });
      must(isRefused === (isKnown || !isName), 'only new names of kinds are added');
      yield isRefused ? 'kind-refused' : 'kind-added';
      remove?.();
      const removes = [
        addLocationKind(GREEDY, { read: (host) => ok(host), sharesHost: false }),
        addLocationKind(ODD, { read: (host) => ok(`${host};x`), sharesHost: false }),
      ];
      try {
        if (before.ok) mustEqual(parseLocation(location), before, 'known kinds come first');
        yield* names(location, GREEDY);
        must(isLocationKind(GREEDY) && isLocationKind(ODD), 'an added kind is known');
        const set = createOverlaySet([overlay('onion'), overlay(GREEDY), overlay('loopback')]);
        mustEqual([...set.reachable], ['onion', GREEDY, 'loopback'], 'a set reaches all kinds');
        must(
          rangeError(() => createOverlaySet([overlay('onion'), overlay(GREEDY, 'onion')])),
          'a kind has one overlay',
        );
      } finally {
        for (const undo of removes) undo();
      }
      if (isLocationKind(GREEDY)) throw new Broken('a removed kind is not known');
      mustEqual(parseLocation(location), before, 'and all is as before');
    },
  };
}
