/** Searching and choosing (rows C1, C2): the query, both answers, filters, order, links. */
import * as fc from 'fast-check';
import t from 'tap';
import {
  formatLink,
  type Link,
  parseLink,
  resolveLink,
  SelectionError,
} from '../../../src/lethean/market/link.js';
import {
  linkOf,
  matches,
  offersOf,
  ordered,
  type Offer,
} from '../../../src/lethean/market/offers.js';
import { parseVdp } from '../../../src/lethean/market/parse-vdp.js';
import { filtered, parseSdpAnswer, SDP_URL, searchUrl } from '../../../src/lethean/market/sdp.js';
import { formatSpeed, parseSpeed } from '../../../src/lethean/market/units.js';
import {
  gate,
  jsonOf,
  oldAnswer,
  oldVdp,
  PROVIDER_ID,
  service,
  space,
  vdp,
  WALLET,
  wireGuardGate,
} from '../samples.js';

const NOW = 1_800_000_000;

function linkIn(text: string): Link {
  const link = parseLink(text);
  if (link === undefined) throw new Error(`${text} is no link`);
  return link;
}

t.test('the query of section 3.2', (t) => {
  t.equal(searchUrl(SDP_URL, {}).href, 'https://sdp.lethean.io/v1/services/search');
  const filter = {
    type: 'proxy',
    country: 'au',
    maxPricePerDay: 50_000_000n,
    minKbps: 10_000,
  } as const;
  t.equal(
    searchUrl(SDP_URL, filter).search,
    '?type=proxy&country=AU&max_cost=0.5&min_speed=10mbps',
  );
  t.end();
});

t.test('speeds', (t) => {
  const table: readonly (readonly [string, number | undefined])[] = [
    ['10mbps', 10_000],
    ['1.5 Mbit/s', 1_500],
    ['1gbps', 1_000_000],
    ['64kbit', 64],
    ['10', undefined],
    ['10MB/s', undefined],
    ['-1mbps', undefined],
    ['1e3mbps', undefined],
  ];
  for (const [text, kbps] of table) t.equal(parseSpeed(text), kbps, text);
  t.same([10_000, 1_999, 999].map(formatSpeed), ['10mbps', '1mbps', '999kbps']);
  t.end();
});

t.test('the answer of an old server: services, priced by the minute', (t) => {
  const answer = parseSdpAnswer(
    jsonOf(
      oldAnswer(
        service(),
        service({ id: '2b', type: 'vpn', cost: '.00000001', country: 'de' }),
        service({ id: '30', freeService: true }),
        service({ id: '40', disable: true }),
        service({
          id: '41',
          validity: { from: '2000-01-01T00:00:00Z', to: '2001-01-01T00:00:00Z' },
        }),
        service({ id: 'XYZ' }),
        service({ cost: 'free' }),
      ),
    ),
    NOW,
  );
  t.equal(answer.form, 'services');
  t.match(answer.offers, [
    {
      providerId: PROVIDER_ID,
      type: 'proxy',
      // 0.00012 LTHN a minute.
      pricePerDay: 17_280_000n,
      downloadKbps: 20_000,
      uploadKbps: 5_000,
      wallet: WALLET,
      country: undefined,
      way: { kind: 'service', serviceId: '1A' },
    },
    { way: { serviceId: '2B' }, pricePerDay: 1_440n, country: 'DE' },
    { way: { serviceId: '30' }, pricePerDay: 0n },
  ]);
  t.equal(answer.offers.length, 3);
  t.same(
    answer.refused.map(({ message }) => message),
    [
      'providers[5].id: must be two hex digits',
      'providers[6].cost: must be an amount of LTHN, at least 0',
    ],
  );
  t.end();
});

t.test('the answer of a new server: a VDP; gates in their spaces', (t) => {
  const internal = gate({ gateid: 'inside', internal: true });
  const daemon = gate({
    gateid: 'rpc',
    type: 'daemon-rpc-proxy',
    'daemon-rpc-proxy': { host: 'exit.example', port: 8782 },
  });
  const text = jsonOf(vdp({ gates: [gate(), wireGuardGate(), internal, daemon] }));
  const answer = parseSdpAnswer(text, NOW);
  t.equal(answer.form, 'vdp');
  t.same(answer.offers.map(linkOf), [
    `lthn://${PROVIDER_ID}.http-proxy/${PROVIDER_ID}.1st`,
    `lthn://${PROVIDER_ID}.wg/${PROVIDER_ID}.1st`,
  ]);
  t.match(answer.offers, [
    { type: 'proxy', pricePerDay: 35_000_000n, downloadKbps: undefined },
    { type: 'vpn' },
  ]);
  t.equal(parseSdpAnswer(jsonOf(oldVdp), NOW).offers.length, 1);
  t.throws(() => parseSdpAnswer('{"error":"Could not get services"}', NOW), /is neither a VDP nor/);
  t.throws(() => parseSdpAnswer('[]', NOW), /must be an object/);
  t.end();
});

const offer = (more: Partial<Offer> = {}): Offer => ({
  providerId: PROVIDER_ID,
  providerName: 'Example',
  name: 'Example',
  type: 'proxy',
  country: 'AU',
  pricePerDay: 10n,
  downloadKbps: 10_000,
  uploadKbps: undefined,
  wallet: undefined,
  way: { kind: 'service', serviceId: '01' },
  ...more,
});

t.test('filters: an offer that does not name the property does not keep to the filter', (t) => {
  t.ok(matches(offer(), { type: 'proxy', country: 'au', maxPricePerDay: 10n, minKbps: 10_000 }));
  t.notOk(matches(offer(), { type: 'vpn' }));
  t.notOk(matches(offer(), { country: 'NZ' }));
  t.notOk(matches(offer(), { maxPricePerDay: 9n }));
  t.notOk(matches(offer(), { minKbps: 10_001 }));
  const unknown = offer({ country: undefined, downloadKbps: undefined });
  t.notOk(matches(unknown, { country: 'AU' }));
  t.notOk(matches(unknown, { minKbps: 1 }));
  t.ok(matches(unknown, { country: 'AU', minKbps: 1, keepUnknown: true }));
  const result = filtered([offer(), unknown, offer({ country: 'NZ' })], { country: 'AU' });
  t.same(
    [result.offers.length, result.unknown],
    [1, 1],
    'the caller can tell how many are unknown',
  );
  t.end();
});

const names = (list: readonly Offer[]): readonly string[] => list.map(({ name }) => name);

t.test('order: location, then cost or speed', (t) => {
  const offers = [
    offer({ name: 'far, cheap', country: 'US', pricePerDay: 1n }),
    offer({ name: 'near, dear, fast', country: 'NZ', pricePerDay: 20n, downloadKbps: 99 }),
    offer({ name: 'near, cheap, slow', country: 'NZ', pricePerDay: 2n, downloadKbps: 9 }),
    offer({ name: 'here', country: 'AU' }),
    offer({ name: 'nowhere', country: undefined, pricePerDay: 0n }),
  ];
  t.same(names(ordered(offers, { first: 'cost', countries: ['au', 'NZ'] })), [
    'here',
    'near, cheap, slow',
    'near, dear, fast',
    'nowhere',
    'far, cheap',
  ]);
  t.same(names(ordered(offers, { first: 'speed', countries: ['NZ'] })).slice(0, 2), [
    'near, dear, fast',
    'near, cheap, slow',
  ]);
  t.equal(names(ordered(offers, { first: 'cost' }))[0], 'nowhere');
  t.end();
});

t.test('property: the order does not depend on the order of the answer, and loses nothing', (t) => {
  const any = fc.record({
    pricePerDay: fc.bigInt({ min: 0n, max: 3n }),
    downloadKbps: fc.constantFrom(undefined, 1, 2),
    country: fc.constantFrom(undefined, 'AU', 'NZ'),
    id: fc.integer({ min: 0, max: 255 }),
  });
  const lists = fc.uniqueArray(any, { selector: ({ id }) => id, maxLength: 12 });
  fc.assert(
    fc.property(lists, fc.constantFrom('cost' as const, 'speed' as const), (list, first) => {
      const offers = list.map(({ id, ...more }) => {
        const serviceId = id.toString(16).toUpperCase().padStart(2, '0');
        return offer({ ...more, way: { kind: 'service', serviceId } });
      });
      const preference = { first, countries: ['NZ'] };
      const links = ordered(offers, preference).map(linkOf);
      t.same(ordered(offers.toReversed(), preference).map(linkOf), links);
      t.same(links.toSorted(), offers.map(linkOf).toSorted());
    }),
    { numRuns: 100 },
  );
  t.end();
});

t.test('links: provider/service of the document, gateid/spaceid of the reference', (t) => {
  t.same(parseLink(`lthn://${PROVIDER_ID.toUpperCase()}/1A`), {
    kind: 'service',
    providerId: PROVIDER_ID,
    service: '1A',
  });
  t.same(parseLink(`LTHN://${PROVIDER_ID}.http-proxy/1st`), {
    kind: 'gate',
    gateId: `${PROVIDER_ID}.http-proxy`,
    spaceId: `${PROVIDER_ID}.1st`,
  });
  t.same(parseLink(`lthn://${PROVIDER_ID}-http/${PROVIDER_ID}`), {
    kind: 'gate',
    gateId: `${PROVIDER_ID}-http`,
    spaceId: PROVIDER_ID,
  });
  for (const text of [
    'http://x/y',
    'lthn://provider-id/1A',
    `lthn://${PROVIDER_ID}`,
    `lthn://${PROVIDER_ID}/`,
    `lthn://${PROVIDER_ID}/a/b`,
    `lthn://${PROVIDER_ID}/../etc`,
    `lthn://${PROVIDER_ID}/a?b`,
    `lthn://${PROVIDER_ID}.-x/1st`,
  ]) {
    t.equal(parseLink(text), undefined, text);
  }
  const link = `lthn://${PROVIDER_ID}.wg/${PROVIDER_ID}.1st`;
  t.equal(formatLink(linkIn(link)), link);
  t.end();
});

t.test('a link leads to a gate and a space, the cheapest where there are several', (t) => {
  const market = parseVdp(
    jsonOf(
      vdp({
        spaces: [
          space({ price: { 'per-day': 1 } }),
          space({ spaceid: 'free', price: { 'per-day': 0 } }),
        ],
        gates: [gate({ spaces: ['1st', 'free'] }), wireGuardGate()],
      }),
    ),
  );
  const resolve = (text: string): string => {
    const { gate: found, space: place } = resolveLink(linkIn(text), market);
    return `${found.gateId.slice(65)}/${place.spaceId.slice(65)}`;
  };
  t.equal(resolve(`lthn://${PROVIDER_ID}/http-proxy`), 'http-proxy/free');
  t.equal(resolve(`lthn://${PROVIDER_ID}/1st`), 'http-proxy/1st', 'a space: its cheapest gate');
  t.equal(resolve(`lthn://${PROVIDER_ID}.http-proxy/1st`), 'http-proxy/1st');
  t.throws(() => resolve(`lthn://${PROVIDER_ID}/1A`), SelectionError);
  t.throws(
    () => resolve(`lthn://${PROVIDER_ID}.wg/free`),
    SelectionError,
    'the gate has no such space',
  );
  t.equal(offersOf(market).length, 3);
  t.end();
});
