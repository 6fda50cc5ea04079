/** The keys of a hidden service and its introset (rows D9, D10 and D12). */
import {
  newExchangeKeys,
  newSigningKeys,
  type ExchangeKeys,
  type RandomBytes,
  type SigningKeys,
} from '../crypto.js';
import { serviceAddress } from '../dht/introsets.js';
import { signed } from '../signed.js';
import { sntrupKeyPair, type SntrupKeyPair } from '../sntrup/kem.js';
import { INTROSET, type Introduction, type Introset, type ServiceInfo } from '../structures.js';

/** All keys of a service. */
export interface ServiceKeys {
  /** ed25519: signs introsets and frames. */
  readonly signing: SigningKeys;
  /** X25519: a part of the keys of conversations. */
  readonly encryption: ExchangeKeys;
  /** sntrup4591761: the other part. */
  readonly encapsulation: SntrupKeyPair;
}

/** Keys of a new service. Takes about 0.2 s. */
export function newServiceKeys(randomBytes: RandomBytes): ServiceKeys {
  return {
    signing: newSigningKeys(randomBytes),
    encryption: newExchangeKeys(randomBytes),
    encapsulation: sntrupKeyPair(randomBytes),
  };
}

/** What others know of a service. */
export function serviceInfo({ signing, encryption }: ServiceKeys): ServiceInfo {
  return { encryptionKey: encryption.publicKey, signingKey: signing.publicKey, version: 0n };
}

/** The address of a service, 32 bytes. */
export function addressOfService(keys: ServiceKeys): Uint8Array {
  return serviceAddress(serviceInfo(keys));
}

/** A signed introset. @param now milliseconds since 1970 */
export function makeIntroset(
  keys: ServiceKeys,
  introductions: readonly Introduction[],
  now: bigint,
): Introset {
  const introset = {
    publisher: serviceInfo(keys),
    introductions,
    encapsulationKey: keys.encapsulation.publicKey,
    published: now,
    version: 0n,
  };
  return signed(INTROSET, introset, keys.signing.seed);
}
