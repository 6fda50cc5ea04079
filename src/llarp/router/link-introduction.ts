/** LIM (row D14), the first message on a link: made, and checked. Pure. */
import { equalBytes } from '../bytes.js';
import type { RandomBytes } from '../crypto.js';
import type { Link } from '../iwp/links.js';
import { LINK_MESSAGE, type LinkMessageOf } from '../link-messages.js';
import { writeLlarp } from '../read.js';
import { isSignedBy, signed } from '../signed.js';
import type { RouterContact } from '../structures.js';
import { addressOf, type RouterKeys } from './contact.js';

export type Introduction = LinkMessageOf<'introduce'>;

/** `LIM.p`: a link ends after this time, in milliseconds. */
export const SESSION_MS = 3_600_000;

/** LIM as a link message: its signature covers the key `a` too. */
const LIM_FIELD = {
  read: (value: Parameters<typeof LINK_MESSAGE.read>[0]) => {
    const read = LINK_MESSAGE.read(value);
    if (!read.ok) return read;
    return read.value.kind === 'introduce'
      ? { ok: true as const, value: read.value }
      : { ok: false as const, reason: 'not-LIM' };
  },
  write: (value: Introduction) => LINK_MESSAGE.write(value),
};

/** The bytes of a LIM. @param contact of this router now */
export function writeIntroduction(
  keys: RouterKeys,
  contact: RouterContact,
  randomBytes: RandomBytes,
): Uint8Array {
  const lim = signed<Introduction>(
    LIM_FIELD,
    {
      kind: 'introduce',
      exchangeKey: keys.link.publicKey,
      nonce: randomBytes(32),
      sessionMs: BigInt(SESSION_MS),
      contact,
      version: 0n,
    },
    keys.signing.seed,
  );
  return writeLlarp(LINK_MESSAGE, lim);
}

/**
 * Whether the contact in a LIM is that of the link's identity, and names the address and the key in use. The caller
 * checks whether the contact itself is good.
 */
export function isIntroductionOf(link: Link, lim: Introduction): boolean {
  const { contact } = lim;
  if (!equalBytes(contact.signingKey, link.identity)) return false;
  const hasKey = contact.addresses.some(({ encryptionKey }) =>
    equalBytes(encryptionKey, lim.exchangeKey),
  );
  if (!hasKey || addressOf(contact) !== link.address) return false;
  return isSignedBy(LIM_FIELD, lim, link.identity);
}
