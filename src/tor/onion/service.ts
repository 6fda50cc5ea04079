/**
 * An onion service that stays up: added over the control port, watched until its descriptors are
 * published, and added again with the same key when the control connection is lost (a service lives
 * exactly as long as its connection; docs/protocol.md, section 12.2) or Tor reports that it no longer
 * has the service.
 */
import { pause } from '../../kit/pause.js';
import { errorText } from '../../kit/error-text.js';
import { HandoverError, type Movable, type Parcel, type Parcels } from '../../kit/movable.js';
import type { ControlClient } from '../control/client.js';
import { deferred } from '../../kit/deferred.js';
import { removeHiddenService } from './hidden-service-dir.js';
import {
  keylessError,
  createOnionRegistration,
  type OnionRegistration,
} from './onion-registration.js';
import { TorError } from '../tor-error.js';
import { retryDelays } from './retry.js';
import { ROUND_TIMINGS, startSelfTestRounds, type RoundTimings } from './self-test-rounds.js';
import type { OnionService, OnionServiceOptions } from './service-api.js';
import { holdService, inheritedService } from './service-handover.js';
import { askForFolder, askForOnion } from './service-presence.js';
import {
  WATCH_TIMINGS,
  watchService,
  type ServiceWatch,
  type WatchTimings,
} from './service-watch.js';
import { followUploads } from './upload-follower.js';

export type { OnionIdentity } from './onion-registration.js';
export type { OnionService, OnionServiceOptions } from './service-api.js';

const DEFAULT_VIRTUAL_PORT = 5222;
const DEFAULT_UPLOAD_TIMEOUT_MS = 180_000;
const DEL_ONION_TIMEOUT_MS = 2_000;
/** A Tor that has just lost our last connection may still be removing the service. */
const COLLISION_RETRIES = 4;
/** A filter that closes the connection at this command is not asked again. */
const MAX_CUTS = 2;

/** One control connection with the service on it. */
interface Session {
  readonly client: ControlClient;
  readonly host: string;
  /** The reason why we closed the connection; undefined if we did not. */
  closeReason: string | undefined;
  watch: ServiceWatch | undefined;
}

class HealingService implements OnionService {
  readonly reachable: Promise<void>;
  readonly move: Movable;
  readonly #options: OnionServiceOptions;
  readonly #virtualPort: number;
  readonly #timings: WatchTimings & RoundTimings;
  readonly #registration: OnionRegistration;
  readonly #retry: ReturnType<typeof retryDelays>;
  readonly #stop = new AbortController();
  readonly #reachable = deferred<void>();
  readonly #onAbort = (): void => void this.close();
  #session: Session | undefined;
  #isReachable = false;
  /** The last progress text, so that each is reported once. */
  #lastDetail = '';
  #stopRounds: (() => void) | undefined;
  /** First requests in a row that ended the connection instead of being answered. */
  #cuts = 0;
  #hasReportedPow = false;
  /** Why the service that Tor is being asked to add must be added again: its clients have changed meanwhile. */
  #outdated: string | undefined;
  /** Ends when the service is closed. */
  #healing: Promise<void> = Promise.resolve();
  #closing: Promise<void> | undefined;

  constructor(options: OnionServiceOptions) {
    this.#options = options;
    this.#virtualPort = options.virtualPort ?? DEFAULT_VIRTUAL_PORT;
    this.#timings = { ...WATCH_TIMINGS, ...ROUND_TIMINGS, ...options.watchTimings };
    this.#registration = createOnionRegistration({ ...options, virtualPort: this.#virtualPort });
    this.#retry = retryDelays(options.random);
    this.reachable = this.#reachable.promise;
    // No caller must await this promise.
    this.reachable.catch(() => {});
    this.move = { hold: () => this.#hold(), release: () => this.#release() };
  }

  get location(): OnionService['location'] {
    const host = this.#registration.host;
    if (host === undefined) throw new Error('the onion was requested before it is known');
    return { kind: 'onion', host, port: this.#virtualPort };
  }

  /** Adds the service, or continues the inherited one. Rejects as `startOnionService` does. */
  async start(): Promise<void> {
    const { signal, inherited, log } = this.#options;
    const abortStart = (): void => this.#stop.abort();
    if (signal.aborted) abortStart();
    signal.addEventListener('abort', abortStart, { once: true });
    if (inherited === undefined) this.#starting('connecting to Tor');
    try {
      this.#session = await (inherited === undefined
        ? this.#firstPublish()
        : this.#inherit(inherited));
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      signal.removeEventListener('abort', abortStart);
    }
    const session = this.#session;
    if (session === undefined || signal.aborted) {
      session?.client.close();
      throw new TorError('add-onion', 'aborted', 'starting the onion service was cancelled');
    }
    this.#healing = this.#keepUp();
    signal.addEventListener('abort', this.#onAbort, { once: true });
    if (inherited !== undefined) this.#nowReachable();
    else
      log.info('onion service accepted by Tor', { onion: session.host, port: this.#virtualPort });
  }

  reportUnreachable(): void {
    this.#session?.watch?.reportUnreachable();
  }

  renew(): void {
    this.recreate('its authorised clients have changed');
  }

  readonly recreate = (reason: string): void => {
    const session = this.#session;
    if (session === undefined || session.client.closed) {
      this.#outdated = reason;
      return;
    }
    session.closeReason = reason;
    session.client.close();
  };

  close(): Promise<void> {
    this.#closing ??= this.#withdraw();
    return this.#closing;
  }

  #starting(detail: string): void {
    if (detail === this.#lastDetail || this.#stop.signal.aborted) return;
    this.#lastDetail = detail;
    this.#options.onState?.({ state: 'starting', detail });
  }

  #nowReachable(): void {
    if (this.#stop.signal.aborted) return;
    this.#retry.reset();
    this.#lastDetail = '';
    this.#isReachable = true;
    this.#options.log.info('onion service reachable', { onion: this.#registration.host });
    this.#reachable.resolve();
    this.#options.onState?.({ state: 'reachable' });
    this.#testInRounds();
  }

  #testInRounds(): void {
    const { selfTest, selfTestRounds, clock, random, log } = this.#options;
    const { host } = this.#registration;
    if (selfTest === undefined || selfTestRounds !== true || host === undefined) return;
    this.#stopRounds?.();
    this.#stopRounds = startSelfTestRounds({
      selfTest,
      host,
      timings: this.#timings,
      clock,
      random,
      log,
      onUnreachable: () => this.reportUnreachable(),
    });
  }

  /** Starts to ask whether Tor still has the service; ends the connection when it does not. */
  #watchOver(watched: Session): void {
    const { client, host } = watched;
    const { folder, clock, log } = this.#options;
    watched.watch = watchService({
      ask: async (bounds) => {
        if (this.#cuts >= MAX_CUTS) return 'untold';
        if (folder === undefined) return askForOnion(client, host, bounds);
        return askForFolder(client, folder.dir, bounds);
      },
      onFirst: (ended) => {
        if (ended === 'cut') this.#cuts++;
        else if (this.#cuts < MAX_CUTS) this.#cuts = 0;
      },
      timings: this.#timings,
      clock,
      log,
      canReturn: () => folder !== undefined || this.#registration.key !== undefined,
      onGone(reason) {
        watched.closeReason = reason;
        client.close();
      },
    });
    void client.lost.then(() => watched.watch?.stop());
  }

  /** Adds the service on a new connection, which is closed again when a step fails. */
  async #publish(): Promise<Session> {
    const { signal } = this.#stop;
    const client = await this.#options.connect(signal);
    // An abort must also end the wait for a reply.
    const hangUp = () => client.close();
    signal.addEventListener('abort', hangUp, { once: true });
    try {
      signal.throwIfAborted();
      const published = await this.#addTo(client);
      this.#watchOver(published);
      return published;
    } catch (error) {
      client.close();
      throw error;
    } finally {
      signal.removeEventListener('abort', hangUp);
    }
  }

  async #addTo(client: ControlClient): Promise<Session> {
    const { clock, log, selfTest, uploadTimeoutMs } = this.#options;
    const uploads = followUploads({
      client,
      clock,
      log,
      timeoutMs: uploadTimeoutMs ?? DEFAULT_UPLOAD_TIMEOUT_MS,
      onProgress: (detail) => this.#starting(detail),
      onReachable: () => this.#nowReachable(),
      selfTest,
    });
    await uploads.listen();
    this.#outdated = undefined;
    const { host, pow } = await this.#registration.add(client);
    if (!pow.on && !this.#hasReportedPow) {
      this.#hasReportedPow = true;
      log.info('onion service without proof-of-work defences', { reason: pow.reason });
    }
    uploads.begin(host);
    return { client, host, closeReason: undefined, watch: undefined };
  }

  async #firstPublish(): Promise<Session> {
    const { signal } = this.#stop;
    for (let attempt = 0; ; attempt++) {
      try {
        return await this.#publish();
      } catch (error) {
        const collision = error instanceof TorError && error.code === 'collision';
        if (!collision || attempt >= COLLISION_RETRIES || signal.aborted) throw error;
        this.#starting('the address is still in use; waiting for Tor to free it');
        await pause(this.#options.clock, this.#retry.next(), signal);
      }
    }
  }

  /** Tries until it succeeds; undefined when stopped. */
  async #republish(): Promise<Session | undefined> {
    const { clock, log, onState } = this.#options;
    const { signal } = this.#stop;
    let lastReason = '';
    for (;;) {
      await pause(clock, this.#retry.next(), signal);
      if (signal.aborted) return undefined;
      try {
        return await this.#publish();
      } catch (error) {
        if (signal.aborted) return undefined;
        const reason = errorText(error);
        if (reason === lastReason) log.debug('onion service still lost', { reason });
        else log.warn('onion service cannot be re-created yet; trying again', { reason });
        if (reason !== lastReason) onState?.({ state: 'lost', detail: reason });
        lastReason = reason;
      }
    }
  }

  /** Adds the service again whenever its connection is lost, until it is closed or has no key. */
  async #keepUp(): Promise<void> {
    const { folder, log, onState } = this.#options;
    while (this.#session !== undefined) {
      const cause = await this.#session.client.lost;
      if (this.#stop.signal.aborted) return;
      this.#stopRounds?.();
      const detail =
        this.#session.closeReason ?? cause?.message ?? 'the control connection was closed';
      log.warn('onion service lost; re-creating it', { reason: detail });
      this.#lastDetail = '';
      this.#isReachable = false;
      if (this.#registration.key === undefined && folder === undefined) {
        const { message } = keylessError();
        log.error(message);
        onState?.({ state: 'lost', detail: message });
        return;
      }
      onState?.({ state: 'lost', detail });
      this.#session = await this.#republish();
      // Closed just after it succeeded: #withdraw did not see this connection.
      if (this.#stop.signal.aborted) this.#session?.client.close();
      else log.info('onion service re-created', { onion: this.#session?.host });
      if (this.#outdated !== undefined) this.recreate(this.#outdated);
    }
  }

  async #remove({ client, host }: Session): Promise<void> {
    const { folder, log } = this.#options;
    const bounded = { timeoutMs: DEL_ONION_TIMEOUT_MS };
    if (folder === undefined) {
      await client.command(`DEL_ONION ${host.replace(/\.onion$/, '')}`, bounded);
    } else await removeHiddenService(client, folder, log, bounded);
  }

  async #withdraw(): Promise<void> {
    const { signal, log } = this.#options;
    this.#stop.abort();
    signal.removeEventListener('abort', this.#onAbort);
    this.#reachable.reject(new TorError('upload', 'closed', 'the onion service was closed'));
    this.#registration.forget();
    this.#stopRounds?.();
    const current = this.#session;
    current?.watch?.stop();
    if (current !== undefined && !current.client.closed) {
      await this.#remove(current).catch((error: unknown) =>
        log.debug('Tor did not take the onion service away', { reason: errorText(error) }),
      );
      current.client.close();
    }
    await this.#healing;
  }

  #inherit(parcels: Parcels): Session {
    const { client, host, privateKey } = inheritedService(parcels);
    if (this.#registration.host !== undefined && this.#registration.host !== host) {
      throw new HandoverError(
        'the key folder holds the key of another onion than the one that is served: restart instead',
      );
    }
    this.#registration.inherit(host, privateKey);
    return { client, host, closeReason: undefined, watch: undefined };
  }

  async #hold(): Promise<readonly Parcel[]> {
    const { identity, clock } = this.#options;
    try {
      return await holdService({
        // No request may be running.
        current: () => {
          if (!this.#isReachable || this.#session === undefined) return undefined;
          this.#session.watch?.stop();
          return this.#session;
        },
        privateKey: () => (identity.kind === 'ephemeral' ? this.#registration.key : undefined),
        clock,
        signal: this.#stop.signal,
      });
    } catch (error) {
      if (this.#session !== undefined) this.#watchOver(this.#session);
      throw error;
    }
  }

  #release(): void {
    const session = this.#session;
    if (session === undefined || session.client.closed) return;
    session.client.release();
    this.#watchOver(session);
  }
}

/**
 * Starts the service; resolves when Tor has accepted it, which is before peers can reach it. Rejects
 * with a TorError, and then nothing is left open. From then on it restores itself until it is closed or
 * aborted.
 */
export async function startOnionService(options: OnionServiceOptions): Promise<OnionService> {
  const service = new HealingService(options);
  await service.start();
  return service;
}
