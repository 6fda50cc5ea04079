/**
 * A bus over NATS. The client library is an optional package, loaded only here. Four of its habits are
 * guarded: what is published while the connection is away is lost without an error, what the server does not
 * take is queued without a bound, and so is what a subscription does not read. So nothing is published
 * while the connection is away, the bytes on their way are bounded, and each packet is handled at once.
 * And a subscription that the server denied once is not made again, also after a reconnect to a server that allows
 * it (transport-node 3.3.1, findings/nats-denied-subscription.sh). So a denied one ends the connection, and all begins anew.
 */
import type { ConnectionOptions, NatsConnection, Subscription } from '@nats-io/transport-node';
import { errorText } from '../../kit/error-text.js';
import type { Clock } from '../../kit/clock.js';
import type { Bus, BusHandler } from '../bus.js';
import { accessOptions, loadNats, type NatsAccess, type NatsLibrary } from './access.js';

export interface NatsBusOptions extends NatsAccess {
  readonly clock: Clock;
}

/** Most bytes that were published and not confirmed by the server. */
const MAX_UNCONFIRMED_BYTES = 16_777_216;
/** Bytes after which a confirmation is asked for. */
const CONFIRM_BYTES = 65_536;
const RETRY_MS = 1_000;
/** An operator must change the permissions first. */
const DENIED_RETRY_MS = 5_000;
const CLOSE_MS = 1_000;

class NatsBus implements Bus {
  readonly #options: NatsBusOptions;
  #connection: NatsConnection | undefined;
  #up = false;
  #closing = false;
  #prefix = '';
  #unconfirmed = 0;
  #confirming = false;
  #cancelRetry: (() => void) | undefined;

  constructor(options: NatsBusOptions) {
    this.#options = options;
  }

  async open(prefix: string, node: string, handler: BusHandler): Promise<void> {
    const library = await loadNats();
    this.#prefix = prefix;
    void this.#connect(library, node, handler);
  }

  publish(to: string | undefined, bytes: Uint8Array): boolean {
    const connection = this.#connection;
    if (!connection || !this.#up) return false;
    if (this.#unconfirmed + bytes.length > MAX_UNCONFIRMED_BYTES) {
      void this.#confirm(connection);
      return false;
    }
    try {
      connection.publish(
        to === undefined ? `${this.#prefix}.all` : `${this.#prefix}.to.${to}`,
        bytes,
      );
    } catch {
      return false;
    }
    this.#unconfirmed += bytes.length;
    if (this.#unconfirmed >= CONFIRM_BYTES) void this.#confirm(connection);
    return true;
  }

  async close(): Promise<void> {
    this.#closing = true;
    this.#cancelRetry?.();
    const connection = this.#connection;
    if (!connection) return;
    const { clock } = this.#options;
    if (this.#up) {
      await Promise.race([
        connection.flush().catch(() => {}),
        new Promise<void>((resolve) => void clock.after(CLOSE_MS, resolve)),
      ]);
    }
    this.#up = false;
    await connection.close().catch(() => {});
  }

  /** Asks the server for a sign that it took everything so far. */
  async #confirm(connection: NatsConnection): Promise<void> {
    if (this.#confirming) return;
    this.#confirming = true;
    const asked = this.#unconfirmed;
    try {
      await connection.flush();
    } catch {
      // The connection is away, and what was on its way is lost.
    }
    this.#confirming = false;
    this.#unconfirmed = Math.max(0, this.#unconfirmed - asked);
  }

  async #connect(library: NatsLibrary, node: string, handler: BusHandler): Promise<void> {
    let wait = RETRY_MS;
    try {
      const connection = await library.connect(this.#connectOptions(library));
      if (this.#closing) {
        await connection.close().catch(() => {});
        return;
      }
      this.#connection = connection;
      const denied = await this.#serve(connection, node, handler);
      if (denied !== undefined) wait = DENIED_RETRY_MS;
      const reason = denied ?? (await connection.closed());
      this.#lost(handler, reason ? errorText(reason) : 'the connection was closed');
    } catch (error) {
      this.#lost(handler, errorText(error));
    }
    if (this.#closing) return;
    this.#cancelRetry = this.#options.clock.after(
      wait,
      () => void this.#connect(library, node, handler),
    );
  }

  /** Subscribes, and resolves when the connection has ended: with an error if the server denied a subject. */
  async #serve(
    connection: NatsConnection,
    node: string,
    handler: BusHandler,
  ): Promise<Error | undefined> {
    let denied: Error | undefined;
    const watchDenied = async ({ closed }: Subscription): Promise<void> => {
      // Resolves with the error, if there is one.
      const reason = await closed;
      if (!(reason instanceof Error)) return;
      denied ??= reason;
      await connection.close().catch(() => {});
    };
    for (const each of this.#subscribe(connection, node, handler)) void watchDenied(each);
    try {
      // A server that denies a subject says so before it confirms.
      await connection.flush();
    } catch (error) {
      await connection.close().catch(() => {});
      if (denied === undefined) throw error;
    }
    if (!connection.isClosed()) {
      this.#up = true;
      handler.state({ connected: true });
      void this.#watch(connection, handler);
    }
    await connection.closed();
    return denied;
  }

  #connectOptions(library: NatsLibrary): ConnectionOptions {
    return {
      ...accessOptions(this.#options, library),
      maxReconnectAttempts: -1,
      reconnectTimeWait: RETRY_MS,
      reconnectJitter: 500,
      ignoreAuthErrorAbort: true,
      pingInterval: 2_000,
      maxPingOut: 2,
      timeout: 5_000,
    };
  }

  #subscribe(
    connection: NatsConnection,
    node: string,
    handler: BusHandler,
  ): readonly Subscription[] {
    return [`${this.#prefix}.all`, `${this.#prefix}.to.${node}`].map((subject) =>
      connection.subscribe(subject, {
        callback: (error, message) => {
          if (!error && !this.#closing) handler.packet(message.data);
        },
      }),
    );
  }

  async #watch(connection: NatsConnection, handler: BusHandler): Promise<void> {
    for await (const status of connection.status()) {
      if (status.type === 'disconnect' || status.type === 'staleConnection') {
        this.#lost(handler, 'the connection to the server was lost');
      } else if (status.type === 'reconnect' && !this.#closing) {
        this.#unconfirmed = 0;
        this.#up = true;
        handler.state({ connected: true });
      } else if (status.type === 'error') {
        handler.state({ connected: this.#up, detail: errorText(status.error) });
      }
    }
  }

  #lost(handler: BusHandler, detail: string): void {
    this.#up = false;
    if (!this.#closing) handler.state({ connected: false, detail });
  }
}

/** A bus over NATS servers. */
export function natsBus(options: NatsBusOptions): Bus {
  return new NatsBus(options);
}
