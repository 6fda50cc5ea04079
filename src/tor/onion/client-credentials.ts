/**
 * Credentials for onions with client authorisation, in a Tor that this program does not start: added over its
 * control port before the first dial, and again after that Tor was restarted. Tor forgets them when it ends.
 */
import { errorText } from '../../kit/error-text.js';
import type { Log } from '../../channel/log.js';
import type { ControlClient } from '../control/client.js';
import { controlKey, type OnionCredential } from './client-keys.js';

export interface ClientCredentialsOptions {
  readonly credentials: readonly OnionCredential[];
  /** Opens an authenticated control connection. */
  readonly connect: (signal: AbortSignal) => Promise<ControlClient>;
  readonly log: Log;
}

/**
 * Adds one credential. Resolves to whether Tor had a descriptor already that it can read now (252). 250, 251
 * (another key was replaced) and 252 are success. Rejects with a TorError.
 */
export async function addCredential(
  client: ControlClient,
  { host, privateKey }: OnionCredential,
): Promise<number> {
  const id = host.replace(/\.onion$/, '');
  const reply = await client.command(
    `ONION_CLIENT_AUTH_ADD ${id} x25519:${controlKey(privateKey)}`,
  );
  return reply.code;
}

export class ClientCredentials {
  readonly #options: ClientCredentialsOptions;
  readonly #hosts: ReadonlySet<string>;
  readonly #stop = new AbortController();
  /** Its loss means that Tor may have been restarted. */
  #client: ControlClient | undefined;
  #adding: Promise<void> | undefined;
  #lastReason = '';

  constructor(options: ClientCredentialsOptions) {
    this.#options = options;
    this.#hosts = new Set(options.credentials.map(({ host }) => host));
  }

  /** Before a dial of this host. A failure is logged: the dial then fails, and says why. */
  async ensure(host: string): Promise<void> {
    if (!this.#hosts.has(host) || this.#stop.signal.aborted) return;
    if (this.#client?.closed === false) return;
    this.#adding ??= this.#add().finally(() => (this.#adding = undefined));
    await this.#adding;
  }

  close(): void {
    this.#stop.abort();
    this.#client?.close();
  }

  async #add(): Promise<void> {
    const { credentials, connect, log } = this.#options;
    try {
      const client = await connect(this.#stop.signal);
      this.#client = client;
      for (const credential of credentials) {
        // oxlint-disable-next-line no-await-in-loop -- commands run in order
        await addCredential(client, credential);
      }
      this.#lastReason = '';
      log.info('keys for private onions were added to Tor', { onions: credentials.length });
    } catch (error) {
      this.#client?.close();
      const reason = errorText(error);
      if (reason !== this.#lastReason && !this.#stop.signal.aborted) {
        log.warn('keys for private onions cannot be added to Tor over its control port', {
          reason,
        });
      }
      this.#lastReason = reason;
    }
  }
}
