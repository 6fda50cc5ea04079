/** The key of an onion service, and the command that adds the service to a control connection. */
import { randomBytes } from 'node:crypto';
import type { Log } from '../../channel/log.js';
import {
  addOnion,
  DEFAULT_POW_QUEUE,
  type OnionAdded,
  type OnionTarget,
  type PowQueue,
} from './add-onion.js';
import type { ControlClient } from '../control/client.js';
import { addHiddenService, type ServedFolder } from './hidden-service-dir.js';
import { ONION_SEED_BYTES, onionKeyOfSeed, type OnionKey } from './onion-key.js';
import { isFiltered, TorError } from '../tor-error.js';

/**
 * `ephemeral`: this process makes the key, keeps it in memory only, and forgets it on `close`. Tor
 * makes the key only when a filter in front of the control port allows nothing else; if the filter also
 * hides that key, the address ends with the connection. `persistent`: a stored key.
 */
export type OnionIdentity =
  | {
      /** A new key for each run. */
      readonly kind: 'ephemeral';
    }
  | {
      /** A stored key: the address stays the same. */
      readonly kind: 'persistent';
      /** The key; see `loadOrCreateOnionKey`. */
      readonly key: OnionKey;
    };

/** The address of our listener, as the Tor behind that connection must dial it. Throws a TorError. */
export type TargetOf = (client: ControlClient) => OnionTarget;

export interface OnionRegistrationOptions {
  readonly identity: OnionIdentity;
  readonly virtualPort: number;
  readonly target: OnionTarget | TargetOf;
  /** The folder of the key, for a Tor that the program started. */
  readonly folder?: ServedFolder;
  readonly pow?: PowQueue;
  /**
   * Reads the public keys of the only clients that may find the onion, each time that it is added; absent:
   * every client may. With `folder` Tor reads them itself, and this only checks that there are any.
   */
  readonly clients?: (() => Promise<readonly string[]>) | undefined;
  readonly log: Log;
}

export interface OnionRegistration {
  /** The address; undefined until it is known. */
  readonly host: string | undefined;
  /** `ED25519-V3:<base64>`; undefined when this process does not have it. */
  readonly key: string | undefined;
  /**
   * Adds the service to a control connection; may be called again for a new connection. Rejects with a
   * TorError (`add-onion`), or with the error of the connection.
   */
  add(client: ControlClient): Promise<OnionAdded>;
  /** Continues with the service of another process. */
  inherit(host: string, privateKey: string | undefined): void;
  /** Removes the key from memory. */
  forget(): void;
}

/** The error for an address that cannot come back. */
export function keylessError(): TorError {
  return new TorError(
    'add-onion',
    'bad-key',
    'the onion address is lost, because a filter in front of the control port has kept its key. Fix: start again for a new address, or let the filter allow "ADD_ONION ED25519-V3:KEY" (docs/troubleshooting.md, "control filter")',
    { remedy: 'configuration' },
  );
}

/** Without a client Tor would serve the onion to everybody. */
async function clientsNow({
  clients: read,
}: OnionRegistrationOptions): Promise<readonly string[] | undefined> {
  const clients = await read?.();
  if (clients?.length !== 0) return clients;
  throw new TorError(
    'add-onion',
    'rejected',
    'the onion is for authorised clients only, and there is none. Fix: onionmc admission tor-client add NAME',
    { remedy: 'configuration' },
  );
}

export function createOnionRegistration(options: OnionRegistrationOptions): OnionRegistration {
  const { identity, virtualPort, pow = DEFAULT_POW_QUEUE, folder, log } = options;
  let own: OnionKey | undefined = identity.kind === 'persistent' ? identity.key : undefined;
  let host = own?.host;
  let key = own && `ED25519-V3:${own.blob}`;
  /** It was added once, so the address must stay the same. */
  let known = identity.kind === 'persistent';

  function makeKey(): string {
    own = onionKeyOfSeed(randomBytes(ONION_SEED_BYTES));
    host = own.host;
    return `ED25519-V3:${own.blob}`;
  }

  async function addWithKey(
    client: ControlClient,
    request: Omit<Parameters<typeof addOnion>[1], 'key'>,
  ): Promise<OnionAdded> {
    if (key === undefined && known) throw keylessError();
    key ??= makeKey();
    try {
      return await addOnion(client, { key, ...request }, log);
    } catch (error) {
      if (known || !isFiltered(error)) throw error;
    }
    // Some filters allow only new keys.
    const made = await addOnion(client, { key: 'NEW:ED25519-V3', ...request }, log);
    host = made.host;
    key = made.privateKey;
    if (key === undefined) {
      log.warn(
        'a filter in front of the control port keeps the key of our onion: the address ends with this connection',
        { allow: 'ADD_ONION ED25519-V3:KEY' },
      );
    }
    return made;
  }

  return {
    get host() {
      return host;
    },
    get key() {
      return key;
    },
    async add(client) {
      const target = typeof options.target === 'function' ? options.target(client) : options.target;
      const clients = await clientsNow(options);
      const request = { virtualPort, target, pow, clients };
      if (folder !== undefined && host !== undefined) {
        const defences = await addHiddenService(client, { folder, host, ...request }, log);
        return { host, privateKey: undefined, pow: defences };
      }
      const added = await addWithKey(client, request);
      if (added.host !== host) {
        throw new TorError(
          'add-onion',
          'bad-reply',
          'Tor added another onion than it was asked to',
        );
      }
      known = true;
      return added;
    },
    inherit(inheritedHost, privateKey) {
      host = inheritedHost;
      key ??= privateKey;
      known = true;
    },
    forget() {
      key = undefined;
      own = undefined;
    },
  };
}
