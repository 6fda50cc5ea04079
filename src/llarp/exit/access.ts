/**
 * The access code of a client. OXM has no field for one, so it travels under a key that the document does not know,
 * `H`: an HSD of protocol 4, as deployed Lokinet sends it to an endpoint that asks for codes. Its sender signs with the
 * key of the OXM. What `src/admission` reads of a Lokinet endpoint is this structure.
 */
import { encode } from '../../bencode/encode.js';
import type { BDict } from '../../bencode/value.js';
import { equalBytes } from '../bytes.js';
import { newExchangeKeys, type RandomBytes } from '../crypto.js';
import { HIDDEN_SERVICE_DATA, type RoutingMessageOf } from '../routing-messages.js';
import type { Introduction } from '../structures.js';

const ACCESS_KEY = 'H';
/** `HSD.a`: an access code. */
const AUTH_PROTOCOL = 4n;
const MAX_CODE_BYTES = 1_024;

/** What an exit asks about: the two arguments of the `llarp.auth` of Lokinet, and the key of the client. */
export interface AccessRequest {
  /** The key of the OXM, 32 bytes; the address of the client. */
  readonly client: Uint8Array;
  /** The HSD without the code, in bencode. */
  readonly metainfo: Uint8Array;
  readonly code: Uint8Array;
}

export type AccessVerdict = 'OKAY' | 'REJECT' | 'PAYME' | 'LIMITED';

/** Keys for an OXM that carry a code. @param client the key of the OXM */
export function withCode(
  code: Uint8Array,
  client: Uint8Array,
  replyTo: Introduction,
  randomBytes: RandomBytes,
): BDict {
  const data = HIDDEN_SERVICE_DATA.write({
    protocol: AUTH_PROTOCOL,
    payload: code,
    replyTo,
    sequence: 0n,
    sender: {
      encryptionKey: newExchangeKeys(randomBytes).publicKey,
      signingKey: client,
      version: 0n,
    },
    tag: randomBytes(16),
    version: 0n,
  });
  return new Map([[ACCESS_KEY, data]]);
}

/** The code of an OXM; undefined when it has none, or one of another client. */
export function accessOf({
  key,
  unknown,
}: Pick<RoutingMessageOf<'obtainExit'>, 'key' | 'unknown'>): AccessRequest | undefined {
  const found = unknown?.get(ACCESS_KEY);
  const read = found === undefined ? undefined : HIDDEN_SERVICE_DATA.read(found);
  if (read?.ok !== true) return undefined;
  const { protocol, payload, sender } = read.value;
  if (protocol !== AUTH_PROTOCOL || payload.length > MAX_CODE_BYTES) return undefined;
  if (!equalBytes(sender.signingKey, key)) return undefined;
  const metainfo = encode(HIDDEN_SERVICE_DATA.write({ ...read.value, payload: new Uint8Array(0) }));
  return { client: key, metainfo, code: payload };
}
