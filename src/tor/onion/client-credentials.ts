/**
 * Credentials for onions with client authorisation, in a Tor that this program does not start: added over its
 * control port before the first dial, and again when that Tor has forgotten them. It forgets them when it ends, and
 * (0.4.9.11) at each SETCONF or reload of anybody (findings/tor-forgets-client-keys.sh). So it is asked
 * before each dial.
 */
import { errorText } from '../../kit/error-text.js';
import type { Log } from '../../channel/log.js';
import type { ControlClient } from '../control/client.js';
import { isRefusal } from '../tor-error.js';
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
    if (await this.#isKnown(host)) return;
    this.#adding ??= this.#add().finally(() => (this.#adding = undefined));
    await this.#adding;
  }

  close(): void {
    this.#stop.abort();
    this.#client?.close();
  }

  /** Whether Tor has the key of a host. A control port that does not tell is taken to have what it was given. */
  async #isKnown(host: string): Promise<boolean> {
    const client = this.#client;
    if (client === undefined || client.closed) return false;
    try {
      const id = host.replace(/\.onion$/, '');
      const { lines } = await client.command(`ONION_CLIENT_AUTH_VIEW ${id}`);
      return lines.some(({ text }) => text.startsWith(`CLIENT ${id} `));
    } catch (error) {
      return isRefusal(error);
    }
  }

  async #add(): Promise<void> {
    const { credentials, connect, log } = this.#options;
    try {
      const open = this.#client;
      const client = open?.closed === false ? open : await connect(this.#stop.signal);
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
