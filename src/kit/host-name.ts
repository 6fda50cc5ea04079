/**
 * Names and addresses of machines in an HTTP `Host` header or a configuration, and the rule for the
 * names under which a page may be reached. Pure.
 */

// With an octet above 255 the text would be a name, and a resolver would look it up.
const OCTET = String.raw`(25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)`;
const IPV4 = new RegExp(String.raw`^${OCTET}(\.${OCTET}){3}$`);
const LOOPBACK_IPV4 = new RegExp(String.raw`^127(\.${OCTET}){3}$`);
/** Underscores occur in names of containers. The last label of a name is not a number (RFC 3696). */
const NAME =
  /^(?=.{1,253}$)([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/;
const LAST_IS_NUMBER = /(^|\.)(\d+|0x[0-9a-f]*)$/;

/** Whether a host is this machine. Loopback mode may use no other host. */
export function isLoopbackHost(host: string): boolean {
  return host === 'localhost' || host === '::1' || LOOPBACK_IPV4.test(host);
}

/** The shortest form of an IPv6 address, without brackets. */
function ipv6(text: string): string | undefined {
  if (!/^[0-9a-f:.]{2,45}$/.test(text) || !text.includes(':')) return undefined;
  try {
    return new URL(`http://[${text}]/`).hostname.slice(1, -1);
  } catch {
    return undefined;
  }
}

const isAddress = (host: string): boolean => IPV4.test(host) || ipv6(host) !== undefined;

/**
 * The form in which names and addresses are compared: lower case, without a final dot and without
 * brackets, an IPv6 address in its shortest form. Undefined for any other text. No port, no scheme, no
 * `*`.
 */
export function canonicalHost(text: string): string | undefined {
  const lower = text.toLowerCase();
  const bracketed = /^\[([^\][]*)\]$/.exec(lower);
  if (bracketed?.[1] !== undefined) return ipv6(bracketed[1]);
  if (lower.includes(':')) return ipv6(lower);
  const plain = lower.endsWith('.') ? lower.slice(0, -1) : lower;
  if (IPV4.test(plain)) return plain;
  return NAME.test(plain) && !LAST_IS_NUMBER.test(plain) ? plain : undefined;
}

/** The host of a `Host` header, with or without a port. An IPv6 address has brackets there. */
function hostOf(header: string): string | undefined {
  const match = /^(\[[^\][]*\]|[^:[\]]*)(?::\d{0,5})?$/.exec(header);
  return match?.[1] === undefined ? undefined : canonicalHost(match[1]);
}

/** The names under which a page may be reached. */
export interface HostRule {
  /** The address or name on which the server listens. */
  readonly configured: string;
  /** Further names and addresses, as `canonicalHost` gives them. */
  readonly allowed?: readonly string[];
}

/**
 * Refuses names that do not belong to this server, so that a web page in the operator's browser cannot
 * read it under its own name (DNS rebinding). Loopback literals are always accepted. With a wildcard
 * address (`0.0.0.0`, `::`) any IP address is accepted, since DNS rebinding needs a name.
 * @param header the request's `Host`
 */
export function isExpectedHost(header: string | undefined, rule: HostRule): boolean {
  const host = header === undefined ? undefined : hostOf(header);
  if (host === undefined) return false;
  if (isLoopbackHost(host) || rule.allowed?.includes(host)) return true;
  const configured = canonicalHost(rule.configured);
  if (configured === '0.0.0.0' || configured === '::') return isAddress(host);
  return host === configured;
}

/**
 * A name or an address in the form for the operating system: as written, an IPv6 address without
 * brackets. Undefined for any other text, and for a text with a port.
 */
export function hostInUse(text: string): string | undefined {
  const bracketed = /^\[(.*)\]$/s.exec(text)?.[1];
  const address = bracketed ?? text;
  if (bracketed !== undefined || text.includes(':')) {
    // Link-local addresses name their interface: fe80::1%eth0.
    const plain = address.toLowerCase().replace(/%[\w.-]{1,32}$/, '');
    return ipv6(plain) === undefined ? undefined : address;
  }
  return /^[A-Za-z0-9._-]{1,253}$/.test(text) ? text : undefined;
}

/** The port after a host. Undefined unless the text is a host with a port. */
export function portInside(text: string): string | undefined {
  const [, host, port] = /^([^:]*|\[.*\]):(\d*)$/s.exec(text) ?? [];
  return host !== undefined && hostInUse(host) !== undefined ? port : undefined;
}

/** The form for people: `127.0.0.1:9051`, `[::1]:9051`. */
export function hostAndPort(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
