/** What can be bought, in one form for both kinds of search answers. Pure. */
import type { Amount } from '../ports.js';
import type { Gate, Space, Vdp } from '../model.js';

/** The two types of section 3.2. A gate of WireGuard is a VPN, every other one a proxy. */
export type OfferType = 'vpn' | 'proxy';

export interface Offer {
  readonly providerId: string;
  readonly providerName: string;
  readonly name: string;
  readonly type: OfferType;
  /** Two letters (ISO 3166-1), upper case. VDP files name no country. */
  readonly country: string | undefined;
  /** Atomic units for a day, of gate and space together. */
  readonly pricePerDay: Amount;
  /** kbit/s as advertised; undefined where the description names no speed, as in VDP files. */
  readonly downloadKbps: number | undefined;
  readonly uploadKbps: number | undefined;
  readonly wallet: string | undefined;
  readonly way: OfferWay;
}

export type OfferWay =
  /** A gate into a space, of a VDP: this client can connect. */
  | { readonly kind: 'gate'; readonly gateId: string; readonly spaceId: string }
  /**
   * A service of an old SDP server, two hex digits. Its answer names no manager, so that a session needs the VDP of
   * the same provider.
   */
  | { readonly kind: 'service'; readonly serviceId: string };

export interface OfferFilter {
  readonly type?: OfferType;
  /** Two letters, any case. */
  readonly country?: string;
  /** Atomic units for a day. */
  readonly maxPricePerDay?: Amount;
  /** kbit/s in the direction of this client. */
  readonly minKbps?: number;
  /** Keeps offers whose description does not name the country or the speed. False unless it is given. */
  readonly keepUnknown?: boolean;
}

/** Offers of a VDP: each gate with each of its spaces. Gates of coin daemons and of the inside are no offers. */
export function offersOf(vdp: Vdp): readonly Offer[] {
  const spaces = new Map(vdp.spaces.map((space) => [space.spaceId, space]));
  const providers = new Map(vdp.providers.map((provider) => [provider.providerId, provider]));
  return vdp.gates.filter(isForSale).flatMap((gate) => {
    const provider = providers.get(gate.providerId);
    if (provider === undefined) return [];
    return gate.spaces.flatMap((spaceId) => {
      const space = spaces.get(spaceId);
      if (space === undefined) return [];
      return [
        {
          providerId: gate.providerId,
          providerName: provider.name,
          name: gate.name,
          type: typeOf(gate),
          country: undefined,
          pricePerDay: pricePerDay(gate, space),
          downloadKbps: undefined,
          uploadKbps: undefined,
          wallet: provider.wallet,
          way: { kind: 'gate' as const, gateId: gate.gateId, spaceId },
        },
      ];
    });
  });
}

/** What the provider asks for a day: the price of the gate and that of the space. */
export function pricePerDay(gate: Gate, space: Space): Amount {
  return gate.pricePerDay + space.pricePerDay;
}

const typeOf = (gate: Gate): OfferType =>
  gate.type === 'wg' || gate.type === 'wg-tcp' ? 'vpn' : 'proxy';

const isForSale = (gate: Gate): boolean =>
  !gate.internal && gate.type !== 'daemon-rpc-proxy' && gate.type !== 'daemon-p2p-proxy';

/**
 * Whether an offer keeps to the filter. Servers are asked for the same filter, and are not trusted to apply it: those
 * that are known ignore it.
 */
export function matches(offer: Offer, filter: OfferFilter): boolean {
  const { type, country, maxPricePerDay, minKbps, keepUnknown = false } = filter;
  if (type !== undefined && offer.type !== type) return false;
  if (maxPricePerDay !== undefined && offer.pricePerDay > maxPricePerDay) return false;
  if (country !== undefined) {
    if (offer.country === undefined ? !keepUnknown : offer.country !== country.toUpperCase())
      return false;
  }
  if (minKbps !== undefined) {
    if (offer.downloadKbps === undefined ? !keepUnknown : offer.downloadKbps < minKbps)
      return false;
  }
  return true;
}

/** How offers are ordered (section 3.3). Reputation is future there, and missing here. */
export interface OfferPreference {
  /** Countries, the most wanted first; offers elsewhere, or without a country, come behind them. */
  readonly countries?: readonly string[];
  readonly first: 'cost' | 'speed';
}

/**
 * The offers in the order of the preference: location, then cost (cheapest first) or speed (fastest first), then the
 * other one of both, then ids, so that the order is always the same. An unknown speed counts as 0.
 */
export function ordered(offers: readonly Offer[], preference: OfferPreference): readonly Offer[] {
  const wanted = (preference.countries ?? []).map((country) => country.toUpperCase());
  const rank = (offer: Offer): number => {
    const at = offer.country === undefined ? -1 : wanted.indexOf(offer.country);
    return at === -1 ? wanted.length : at;
  };
  const cost = (a: Offer, b: Offer): number =>
    a.pricePerDay < b.pricePerDay ? -1 : a.pricePerDay > b.pricePerDay ? 1 : 0;
  const speed = (a: Offer, b: Offer): number => (b.downloadKbps ?? 0) - (a.downloadKbps ?? 0);
  const [one, two] = preference.first === 'cost' ? [cost, speed] : [speed, cost];
  return offers.toSorted(
    (a, b) => rank(a) - rank(b) || one(a, b) || two(a, b) || compareText(linkOf(a), linkOf(b)),
  );
}

const compareText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** The link of an offer, as `parseLink` reads it. */
export function linkOf(offer: Offer): string {
  return offer.way.kind === 'gate'
    ? `lthn://${offer.way.gateId}/${offer.way.spaceId}`
    : `lthn://${offer.providerId}/${offer.way.serviceId}`;
}
