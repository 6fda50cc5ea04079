/** The search of section 3.2: the query, and the answers of both known kinds of servers. Pure. */
import { formatAmount } from '../amount.js';
import { DescriptionError, Fields, readFields, type ListItem } from './fields.js';
import { providerIdOf } from './ids.js';
import { matches, offersOf, type Offer, type OfferFilter } from './offers.js';
import { MAX_VDP, parseVdp, type ReadVdp } from './parse-vdp.js';
import { WALLET_ADDRESS, WALLET_RULE } from './parse-provider.js';
import { formatSpeed } from './units.js';

/** Section 3.2. */
export const SDP_URL = 'https://sdp.lethean.io/v1/services/search';

const MINUTES_OF_A_DAY = 1_440n;
const MAX_SERVICES = 2_000;
const MAX_TOLD = 20;
const KBPS_OF_MBPS = 1_000;

export interface SdpAnswer {
  readonly form: 'services' | 'vdp';
  /** All offers of the answer, before the filter. */
  readonly offers: readonly Offer[];
  /** The descriptions, where the server sends them. */
  readonly vdp: ReadVdp | undefined;
  /** Entries that broke a rule and are left out. At most 20 are told. */
  readonly refused: readonly DescriptionError[];
  readonly refusedCount: number;
}

/**
 * The address of a search. `max_cost` is LTHN for a day: the document names no unit, deployed servers count minutes,
 * and a day is the largest of the units in use, so that a server which applies the filter hides nothing that `matches`
 * would keep. `min_speed` is Mbit/s, or kbit/s below one.
 * @param base an https address without a query
 */
export function searchUrl(base: string, filter: OfferFilter): URL {
  const url = new URL(base);
  if (filter.type !== undefined) url.searchParams.set('type', filter.type);
  if (filter.country !== undefined) url.searchParams.set('country', filter.country.toUpperCase());
  if (filter.maxPricePerDay !== undefined) {
    url.searchParams.set('max_cost', formatAmount(filter.maxPricePerDay));
  }
  if (filter.minKbps !== undefined) url.searchParams.set('min_speed', formatSpeed(filter.minKbps));
  return url;
}

/**
 * Reads a search answer: a VDP, or `{protocolVersion, providers: [...]}` of the old server, whose entries are services.
 * Throws a DescriptionError for any other text. Single faulty entries are left out.
 */
export function parseSdpAnswer(text: string, now: number): SdpAnswer {
  if (text.length > MAX_VDP) {
    throw new DescriptionError('', `a search answer must be at most ${MAX_VDP} characters`);
  }
  const fields = readFields(text);
  if (fields.has('file_type') || fields.has('filetype')) {
    const vdp = parseVdp(text);
    const { refused, refusedCount } = vdp;
    return { form: 'vdp', offers: offersOf(vdp), vdp, refused, refusedCount };
  }
  if (!fields.has('protocolVersion') || !fields.has('providers')) {
    throw new DescriptionError('', 'is neither a VDP nor an answer of an SDP server');
  }
  return servicesOf(fields.list('providers', MAX_SERVICES), now);
}

/** The offers that keep to the filter, and how many were left out because their description says too little. */
export function filtered(
  offers: readonly Offer[],
  filter: OfferFilter,
): { readonly offers: readonly Offer[]; readonly unknown: number } {
  const kept = offers.filter((offer) => matches(offer, filter));
  const more = offers.filter((offer) => matches(offer, { ...filter, keepUnknown: true }));
  return { offers: kept, unknown: more.length - kept.length };
}

function servicesOf(items: readonly ListItem[], now: number): SdpAnswer {
  const offers: Offer[] = [];
  const refused: DescriptionError[] = [];
  let refusedCount = 0;
  for (const { value, path } of items) {
    try {
      const offer = serviceOf(Fields.of(value, path), now);
      if (offer !== undefined) offers.push(offer);
    } catch (error) {
      if (!(error instanceof DescriptionError)) throw error;
      refusedCount++;
      if (refused.length < MAX_TOLD) refused.push(error);
    }
  }
  return { form: 'services', offers, vdp: undefined, refused, refusedCount };
}

/** One service; undefined for one that is disabled or out of its validity. */
function serviceOf(fields: Fields, now: number): Offer | undefined {
  const type = fields.text('type');
  if (type !== 'vpn' && type !== 'proxy') throw fields.fault('type', 'must be "vpn" or "proxy"');
  const perMinute = fields.amount('cost');
  const providerId = providerIdOf(fields, 'provider');
  const offer: Offer = {
    providerId,
    providerName: fields.optionalText('providerName') ?? providerId,
    name: fields.text('name'),
    type,
    country: countryOf(fields),
    pricePerDay: fields.flag('freeService', false) ? 0n : perMinute * MINUTES_OF_A_DAY,
    downloadKbps: kbpsOf(fields, 'downloadSpeed'),
    uploadKbps: kbpsOf(fields, 'uploadSpeed'),
    wallet: fields.optionalMatching('providerWallet', WALLET_ADDRESS, WALLET_RULE),
    way: {
      kind: 'service',
      serviceId: fields.matching('id', /^[0-9A-Fa-f]{2}$/, 'must be two hex digits').toUpperCase(),
    },
  };
  return fields.flag('disable', false) || !isValidAt(fields.optionalObject('validity'), now)
    ? undefined
    : offer;
}

/** Mbit/s in the answer. */
function kbpsOf(fields: Fields, name: string): number | undefined {
  const speed = fields.optionalNumber(name);
  return speed === undefined ? undefined : Math.floor(speed * KBPS_OF_MBPS);
}

/** The published schema has no country; a server that sends one is read. */
function countryOf(fields: Fields): string | undefined {
  const rule = 'must be two letters (ISO 3166-1)';
  return fields.optionalMatching('country', /^[A-Za-z]{2}$/, rule)?.toUpperCase();
}

function isValidAt(validity: Fields | undefined, now: number): boolean {
  const from = Date.parse(validity?.optionalText('from') ?? '');
  const to = Date.parse(validity?.optionalText('to') ?? '');
  return !(from > now * 1_000) && !(to < now * 1_000);
}
