/** What providers, gates and spaces have in common. Pure. */
import { MAX_PEM, MAX_URL, type Fields } from './fields.js';

const KINDS = [
  'VPNDescriptionProtocol',
  'LetheanProvider',
  'LetheanGateway',
  'LetheanSpace',
] as const;
export type FileType = (typeof KINDS)[number];

const BASE64_LINES = /^[A-Za-z0-9+/=\s]+$/;
const PEM = /^-----BEGIN CERTIFICATE-----\s[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----\s*$/;

/**
 * Requires the type, and version 1.1 (`file_type`, `file_version`) or 1.0 (`filetype`, `version`). Later versions 1.x
 * are read too: fields that this client does not know have no effect.
 */
export function requireFile(fields: Fields, type: FileType): void {
  const typeName = fields.named('file_type', 'filetype');
  if (fields.text(typeName) !== type) throw fields.fault(typeName, `must be "${type}"`);
  const versionName = fields.named('file_version', 'version');
  const isKnown = /^1\.\d{1,4}$/.test(fields.text(versionName));
  if (!isKnown) throw fields.fault(versionName, 'must be version 1.0 or 1.1');
}

/**
 * Until when the description is valid: `revision`, the seconds since 1970 at which it was made, and `ttl`, seconds.
 * Undefined where one of them is missing or 0, the default of the schema: then it has no end.
 */
export function validUntilOf(fields: Fields): number | undefined {
  const revision = fields.optionalTime('revision') ?? 0;
  const ttl = fields.optionalTime('ttl') ?? 0;
  return revision === 0 || ttl === 0 ? undefined : revision + ttl;
}

/** Atomic units for a day; 0 where the file has no price, as the reference reads it. */
export function pricePerDayOf(fields: Fields): bigint {
  return fields.optionalObject('price')?.optionalAmount('per-day') ?? 0n;
}

/** An https address of a manager, without credentials, query and fragment; its path has no slash at its end. */
export function managerUrlOf(fields: Fields): string | undefined {
  const text = fields.optionalText('manager-url', MAX_URL);
  if (text === undefined) return undefined;
  const rule = 'must be an address as "https://host:port/", without user, "?" and "#"';
  if (!URL.canParse(text)) throw fields.fault('manager-url', rule);
  const url = new URL(text);
  const isPlain =
    url.username === '' && url.password === '' && url.search === '' && url.hash === '';
  if (url.protocol !== 'https:' || !isPlain) throw fields.fault('manager-url', rule);
  return url.href.replace(/\/+$/, '');
}

/** Certificates in PEM. Files have them with and without the lines around the base64. */
export function certificatesOf(fields: Fields): readonly string[] {
  return fields.textOrTexts('ca', MAX_PEM).map((text) => {
    const trimmed = text.trim();
    if (PEM.test(trimmed)) return `${trimmed}\n`;
    if (!BASE64_LINES.test(trimmed)) throw fields.fault('ca', 'must be certificates in PEM');
    const lines = trimmed.replace(/\s+/g, '').match(/.{1,64}/g) ?? [];
    return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
  });
}

/** Base64 of 32 bytes: a key of WireGuard. */
export const WIREGUARD_KEY = /^[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$/;
export const WIREGUARD_KEY_RULE = 'must be 32 bytes in base64';
