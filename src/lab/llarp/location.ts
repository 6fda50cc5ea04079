/**
 * Locations of the laboratory: `<52 characters>.llarp`, the address of a hidden service of LLARP v0 in z-base-32. They
 * end in `.llarp` and not in `.loki`, as the text has it, so that no address of the laboratory is taken for one of
 * Lokinet. The kind is added to a process that needs it; no configuration can name one.
 */
import { addLocationKind, type Location } from '../../protocol/location.js';
import { fail, ok, type Parsed } from '../../protocol/result.js';
import { decodeZbase32, encodeZbase32 } from '../../protocol/zbase32.js';

export const LLARP_KIND = 'x-llarp';
const SUFFIX = '.llarp';
const ADDRESS_BYTES = 32;

/** @param address 32 bytes */
export function llarpHost(address: Uint8Array): string {
  return encodeZbase32(address) + SUFFIX;
}

/** The 32 bytes of an address; undefined for a host of another kind. */
export function parseLlarpHost(host: string): Parsed<Uint8Array, 'location-host'> | undefined {
  if (!host.endsWith(SUFFIX)) return undefined;
  const address = decodeZbase32(host.slice(0, -SUFFIX.length));
  if (!address.ok || address.value.length !== ADDRESS_BYTES) return fail('location-host');
  return ok(address.value);
}

export function llarpLocation(address: Uint8Array, port: number): Location {
  return { kind: LLARP_KIND, host: llarpHost(address), port };
}

let users = 0;
let remove: (() => void) | undefined;

/** Lets this process read locations of the laboratory, until the function that it returns is called. */
export function readLlarpLocations(): () => void {
  users++;
  remove ??= addLocationKind(LLARP_KIND, {
    read(host) {
      const address = parseLlarpHost(host);
      return address?.ok === true ? ok(host) : address;
    },
    sharesHost: false,
    isAlone: true,
  });
  let isDone = false;
  return () => {
    if (isDone) return;
    isDone = true;
    users--;
    if (users > 0) return;
    remove?.();
    remove = undefined;
  };
}
