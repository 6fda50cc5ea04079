/**
 * A bus over NATS. The client library is an optional package, loaded only here. Three of its habits are
 * guarded: what is published while the connection is away is lost without an error, what the server does not
 * take is queued without a bound, and so is what a subscription does not read. So nothing is published
 * while the connection is away, the bytes on their way are bounded, and each packet is handled at once.
 */
import type { ConnectionOptions, NatsConnection } from '@nats-io/transport-node';
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
    try {
      const connection = await library.connect(this.#connectOptions(library));
      if (this.#closing) {
        await connection.close().catch(() => {});
        return;
      }
      this.#connection = connection;
      this.#subscribe(connection, node, handler);
      this.#up = true;
      handler.state({ connected: true });
      void this.#watch(connection, handler);
      const reason = await connection.closed();
      this.#lost(handler, reason ? errorText(reason) : 'the connection was closed');
    } catch (error) {
      this.#lost(handler, errorText(error));
    }
    if (this.#closing) return;
    this.#cancelRetry = this.#options.clock.after(
      RETRY_MS,
      () => void this.#connect(library, node, handler),
    );
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

  #subscribe(connection: NatsConnection, node: string, handler: BusHandler): void {
    for (const subject of [`${this.#prefix}.all`, `${this.#prefix}.to.${node}`]) {
      connection.subscribe(subject, {
        callback: (error, message) => {
          if (!error && !this.#closing) handler.packet(message.data);
        },
      });
    }
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
