/** Keys of WireGuard: X25519 as base64, made here, kept in files of this user; the public half goes to the provider. */
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
} from 'node:crypto';
import { join } from 'node:path';
import { readStateFile, writeStateFile } from '../../ops/state-file.js';
import type { WireGuardKeys } from '../ports.js';
import { TransportError } from './transport-error.js';

const KEY = /^[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$/;
/** PKCS #8 of an X25519 key, up to its 32 bytes (RFC 8410 section 7). */
const PKCS8 = Buffer.from('302e020100300506032b656e04220420', 'hex');

/** Whether a text is base64 of 32 bytes. */
export function isWireGuardKey(text: string): boolean {
  return KEY.test(text);
}

function base64(key: KeyObject, part: 'd' | 'x'): string {
  return Buffer.from(key.export({ format: 'jwk' })[part] ?? '', 'base64url').toString('base64');
}

/** A new private key. */
export function newPrivateKey(): string {
  return base64(generateKeyPairSync('x25519').privateKey, 'd');
}

/** The public key of a private one. Throws a TransportError (`unsupported`) for a text that is not a key. */
export function publicKeyOf(privateKey: string): string {
  if (!isWireGuardKey(privateKey)) {
    throw new TransportError('unsupported', 'a private key of WireGuard is base64 of 32 bytes');
  }
  const der = Buffer.concat([PKCS8, Buffer.from(privateKey, 'base64')]);
  return base64(createPublicKey(createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })), 'x');
}

/** The length of a provider's id and the separator behind it. */
const PROVIDER_PART = 65;

/** The value of a gate in a map of section 8, by its full id or by its part behind the provider's id. */
export function ofGate(
  map: ReadonlyMap<string, string> | undefined,
  gateId: string,
): string | undefined {
  return map?.get(gateId) ?? map?.get(gateId.slice(PROVIDER_PART));
}

export interface WireGuardKeysOptions {
  /** Where keys are kept, a file for each gate. */
  readonly folder: string;
  /** `wg-map-privkey`: private keys by gate. */
  readonly mapped?: ReadonlyMap<string, string>;
}

/** One key for each gate, made when it is asked for first. */
export class StoredWireGuardKeys implements WireGuardKeys {
  readonly #options: WireGuardKeysOptions;
  readonly #reading = new Map<string, Promise<string>>();

  constructor(options: WireGuardKeysOptions) {
    this.#options = options;
  }

  async publicKey(gateId: string): Promise<string> {
    return publicKeyOf(await this.privateKey(gateId));
  }

  /** Rejects with a TransportError, or the error of the file system. */
  async privateKey(gateId: string): Promise<string> {
    const mapped = ofGate(this.#options.mapped, gateId);
    if (mapped !== undefined) return mapped;
    // Two requests at once get the same key.
    const reading = this.#reading.get(gateId) ?? this.#read(gateId);
    this.#reading.set(gateId, reading);
    try {
      return await reading;
    } finally {
      this.#reading.delete(gateId);
    }
  }

  async #read(gateId: string): Promise<string> {
    const name = createHash('sha256').update(gateId).digest('hex').slice(0, 32);
    const path = join(this.#options.folder, `${name}.key`);
    const kept = await readStateFile(path, 1_000);
    if (kept === undefined) {
      const key = newPrivateKey();
      await writeStateFile(path, `${key}\n`);
      return key;
    }
    const text = Buffer.from(kept).toString('latin1').trim();
    if (isWireGuardKey(text)) return text;
    throw new TransportError('unsupported', `${path} is not a key of WireGuard: move it away`);
  }
}
