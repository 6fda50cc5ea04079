/**
 * Ids of providers, gates and spaces. Files of version 1.0 have full ids (`PROVIDER-http`, or the provider's id
 * alone), those of version 1.1 mostly the part behind the provider's id (`socks-proxy`). Inside this client each id
 * is a full id. Pure.
 */
import type { Fields } from './fields.js';

const PROVIDER = /^[0-9a-fA-F]{64}$/;
/** Safe as a file name, too. */
const PART = /^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9])?$/;
const FULL = /^[0-9a-f]{64}(?:[.-][A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9])?)?$/;

/** 64 hex digits, in lower case. */
export function providerIdOf(fields: Fields, name = 'providerid'): string {
  return fields.matching(name, PROVIDER, 'must be 64 hex digits').toLowerCase();
}

/** The full id of a gate or a space of a provider. An id that begins with another provider's id is refused. */
export function fullIdOf(fields: Fields, name: string, providerId: string): string {
  const id = fullId(fields.text(name), providerId);
  if (id === undefined) throw fields.fault(name, 'must be an id of this provider');
  return id;
}

/** The same for one text; undefined where the rule refuses it. */
export function fullId(text: string, providerId: string): string | undefined {
  const lower = `${text.slice(0, 64).toLowerCase()}${text.slice(64)}`;
  if (FULL.test(lower)) return lower.startsWith(providerId) ? lower : undefined;
  return PART.test(text) ? `${providerId}.${text}` : undefined;
}

/** The full ids of a list that may name gates and spaces of other providers too. */
export function fullIdsOf(fields: Fields, name: string, providerId: string): readonly string[] {
  return fields.texts(name).map((text) => {
    const lower = `${text.slice(0, 64).toLowerCase()}${text.slice(64)}`;
    const id = FULL.test(lower) ? lower : fullId(text, providerId);
    if (id === undefined) throw fields.fault(name, 'must be a list of ids');
    return id;
  });
}

export function isProviderId(text: string): boolean {
  return PROVIDER.test(text);
}

/** The part behind the provider's id; empty for the provider's id alone. */
export function partOf(id: string): string {
  return id.slice(65);
}
