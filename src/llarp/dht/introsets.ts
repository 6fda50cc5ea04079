/** The introsets that a router stores: valid, the newest of each hidden service, none expired. */
import { encode } from '../../bencode/encode.js';
import { BoundedMap } from '../../kit/bounded-map.js';
import { equalBytes } from '../bytes.js';
import { shortHash } from '../crypto.js';
import { keyText } from '../router/distance.js';
import { isSignedBy } from '../signed.js';
import { INTROSET, SERVICE_INFO, type Introset, type ServiceInfo } from '../structures.js';

/** Most introsets; the one that was changed longest ago is forgotten. */
const MAX_INTROSETS = 2_048;
/** How far the clocks of two machines may differ. */
const CLOCK_DIFFERENCE_MS = 60_000n;

/** SA (row D10): the address of a hidden service, 32 bytes. */
export function serviceAddress(info: ServiceInfo): Uint8Array {
  return shortHash(encode(SERVICE_INFO.write(info)));
}

/** Why an introset is not stored. */
export type IntrosetFault = 'no-introduction' | 'future' | 'older' | 'signature';

/** An introset is good while one of its introductions is. */
function expiresAt({ introductions }: Introset): bigint {
  return introductions.reduce((latest, { expires }) => (expires > latest ? expires : latest), 0n);
}

/** The fault of an introset; undefined when it may be used. @param now milliseconds since 1970 */
export function introsetFault(
  introset: Introset,
  now: bigint,
): Exclude<IntrosetFault, 'older'> | undefined {
  if (expiresAt(introset) <= now) return 'no-introduction';
  if (introset.published > now + CLOCK_DIFFERENCE_MS) return 'future';
  const isSigned = isSignedBy(INTROSET, introset, introset.publisher.signingKey);
  return isSigned ? undefined : 'signature';
}

export class Introsets {
  readonly #stored: BoundedMap<string, Introset>;

  /** @param most introsets */
  constructor(most: number = MAX_INTROSETS) {
    this.#stored = new BoundedMap(most);
  }

  get size(): number {
    return this.#stored.size;
  }

  /** Stores an introset; returns its fault, or undefined. @param now milliseconds since 1970 */
  put(introset: Introset, now: bigint): IntrosetFault | undefined {
    const key = keyText(serviceAddress(introset.publisher));
    const known = this.#stored.get(key);
    if (known && known.published > introset.published) return 'older';
    const fault = introsetFault(introset, now);
    if (fault) return fault;
    this.#stored.set(key, introset);
    return undefined;
  }

  /** @param address 32 bytes */
  get(address: Uint8Array, now: bigint): Introset | undefined {
    const found = this.#stored.get(keyText(address));
    return found && expiresAt(found) > now ? found : undefined;
  }

  /** At most `most` introsets with this topic, without those of some addresses. */
  withTopic(
    topic: Uint8Array,
    excluded: readonly Uint8Array[],
    { now, most }: { readonly now: bigint; readonly most: number },
  ): readonly Introset[] {
    const left = new Set(excluded.map(keyText));
    const found: Introset[] = [];
    for (const [key, introset] of this.#stored) {
      if (found.length >= most) break;
      const matches = introset.topic !== undefined && equalBytes(introset.topic, topic);
      if (matches && !left.has(key) && expiresAt(introset) > now) found.push(introset);
    }
    return found;
  }

  expire(now: bigint): void {
    for (const [key, introset] of this.#stored) {
      if (expiresAt(introset) <= now) this.#stored.delete(key);
    }
  }
}
