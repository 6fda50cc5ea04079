/** Whose name a browser used to reach a page of ours. */
import { isIP } from 'node:net';
import { isLoopbackHost } from '../protocol/location.js';

/** The host of a `Host` header, without port and brackets. */
function hostOf(header: string): string {
  const match = /^(?:\[([^\]]*)\]|([^:]*))(?::\d{1,5})?$/.exec(header.toLowerCase());
  return match?.[1] ?? match?.[2] ?? '';
}

/**
 * Refuses names that are not this server's, so that a page in the operator's browser cannot read it
 * under a name of its own (DNS rebinding). Addresses are no names: with `0.0.0.0` any will do.
 * @param header the request's `Host`
 * @param configured the address that the server was told to listen on
 */
export function isExpectedHost(header: string | undefined, configured: string): boolean {
  if (header === undefined) return false;
  const host = hostOf(header);
  if (isLoopbackHost(host) || host === configured.toLowerCase()) return true;
  return (configured === '0.0.0.0' || configured === '::') && isIP(host) !== 0;
}
