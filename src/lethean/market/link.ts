/**
 * Links to what can be bought: `lthn://provider/service` of the document (section 6.3), and `lthn://gateid/spaceid` of
 * the reference. A first part of 64 hex digits alone is a provider; a longer one is the full id of a gate. Pure.
 */
import type { Gate, Provider, Space, Vdp } from '../model.js';
import { fullId, isProviderId, partOf } from './ids.js';
import { pricePerDay } from './offers.js';

export type Link =
  | { readonly kind: 'service'; readonly providerId: string; readonly service: string }
  | { readonly kind: 'gate'; readonly gateId: string; readonly spaceId: string };

const LINK = /^lthn:\/\/([^/?#]+)\/([^/?#]+)\/?$/i;
const SERVICE = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

/** Undefined for a text that is no link. */
export function parseLink(text: string): Link | undefined {
  const [, first = '', second = ''] = LINK.exec(text) ?? [];
  const provider = first.slice(0, 64).toLowerCase();
  if (!isProviderId(provider)) return undefined;
  if (first.length === 64) {
    const isService = SERVICE.test(second);
    return isService ? { kind: 'service', providerId: provider, service: second } : undefined;
  }
  const gateId = fullId(first, provider);
  const spaceId = fullId(
    second,
    isProviderId(second.slice(0, 64)) ? second.slice(0, 64).toLowerCase() : provider,
  );
  return gateId === undefined || spaceId === undefined
    ? undefined
    : { kind: 'gate', gateId, spaceId };
}

export function formatLink(link: Link): string {
  return link.kind === 'service'
    ? `lthn://${link.providerId}/${link.service}`
    : `lthn://${link.gateId}/${link.spaceId}`;
}

/** What a link leads to, as its provider describes it. */
export interface Selection {
  readonly provider: Provider;
  readonly gate: Gate;
  readonly space: Space;
}

/** The link leads nowhere in the descriptions that are at hand. */
export class SelectionError extends Error {
  /** Stable, for programs. */
  override readonly name = 'SelectionError';
}

/**
 * The gate and the space of a link. A service is a gate with this part behind the provider's id, else a space with it;
 * of several pairs the cheapest one counts, then the first by id. Throws a SelectionError.
 */
export function resolveLink(link: Link, vdp: Vdp): Selection {
  const pairs = pairsOf(link, vdp).toSorted((a, b) => {
    const [one, two] = [pricePerDay(a.gate, a.space), pricePerDay(b.gate, b.space)];
    if (one !== two) return one < two ? -1 : 1;
    return `${a.gate.gateId}/${a.space.spaceId}` < `${b.gate.gateId}/${b.space.spaceId}` ? -1 : 1;
  });
  const [pair] = pairs;
  if (pair === undefined) {
    throw new SelectionError(
      `${formatLink(link)}: no known description has such a gate and space; ` +
        'search again, or ask the provider for its VDP',
    );
  }
  const provider = vdp.providers.find(({ providerId }) => providerId === pair.gate.providerId);
  if (provider === undefined) {
    throw new SelectionError(`${formatLink(link)}: the provider of this gate is not described`);
  }
  return { provider, ...pair };
}

interface Pair {
  readonly gate: Gate;
  readonly space: Space;
}

function pairsOf(link: Link, vdp: Vdp): readonly Pair[] {
  if (link.kind === 'gate') {
    return pairs(vdp).filter(
      ({ gate, space }) => gate.gateId === link.gateId && space.spaceId === link.spaceId,
    );
  }
  const own = pairs(vdp).filter(({ gate }) => gate.providerId === link.providerId);
  const service = link.service.toLowerCase();
  const byGate = own.filter(({ gate }) => partOf(gate.gateId).toLowerCase() === service);
  if (byGate.length > 0) return byGate;
  return own.filter(
    ({ gate, space }) => !gate.internal && partOf(space.spaceId).toLowerCase() === service,
  );
}

const pairs = (vdp: Vdp): readonly Pair[] =>
  vdp.gates.flatMap((gate) =>
    vdp.spaces
      .filter(({ spaceId }) => gate.spaces.includes(spaceId))
      .map((space) => ({ gate, space })),
  );
