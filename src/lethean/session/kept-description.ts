/** What a session that is continued trusts: the description of its record, else what the pinned provider says itself. */
import { errorText } from '../../kit/error-text.js';
import type { Provider } from '../model.js';
import type { Manager } from '../ports.js';
import { describedIn } from './acquisition.js';
import type { SessionRecord } from './record-file.js';
import { keyOf } from './store.js';
import { hasSameIdentity, type Described } from './terms.js';

/** A record of version 1 has no description, and the provider did not give one that can be trusted. */
export class KeptDescriptionError extends Error {
  /** Stable, for programs. */
  override readonly name = 'KeptDescriptionError';
  constructor(record: SessionRecord, why: string) {
    super(
      `a session of an earlier version of this program is not continued, because ${why}; nothing was sent to its gate. ` +
        `Try again, or move the file ${keyOf(record)}.lsession out of the folder of sessions to buy a new session`,
    );
  }
}

export interface TrustedSources {
  /** The kept identity of a provider, with the address of its manager. */
  readonly pinned: (providerId: string) => Promise<Provider | undefined>;
  readonly managerOf: (provider: Provider) => Manager;
}

/**
 * The description of the record. Without one (version 1), the provider of `my-providers/` is asked under its own
 * authority. The descriptions of the cache never count: each answer of an SDP server can change them.
 * Rejects with a KeptDescriptionError.
 */
export async function keptDescription(
  record: SessionRecord,
  { pinned, managerOf }: TrustedSources,
  signal: AbortSignal,
): Promise<Described> {
  if (record.described !== undefined) return record.described;
  const { providerId, gateId, spaceId } = record.state.selected;
  const provider = await pinned(providerId);
  if (provider === undefined) {
    throw new KeptDescriptionError(record, 'its provider is not in my-providers');
  }
  let found: Described | undefined;
  try {
    const vdp = await managerOf(provider).vdp(signal);
    found = describedIn(vdp, { provider, gate: { gateId }, space: { spaceId } });
  } catch (error) {
    signal.throwIfAborted();
    throw new KeptDescriptionError(record, `its provider was asked in vain: ${errorText(error)}`);
  }
  if (found === undefined) {
    throw new KeptDescriptionError(record, 'its provider no longer offers this gate and space');
  }
  if (!hasSameIdentity(provider, found.provider)) {
    throw new KeptDescriptionError(record, 'its provider now has another wallet or certificate');
  }
  return found;
}
