/**
 * An onion service that stays up: added over the control port, watched until its descriptors are
 * published, and added again with the same key when the control connection is lost (a service lives
 * exactly as long as its connection; docs/protocol.md, section 12.2) or Tor reports that it no longer
 * has the service.
 */
import { pause } from '../../kit/pause.js';
import { errorText } from '../../kit/error-text.js';
import type { Log } from '../../channel/log.js';
import type { Clock, Random, ServiceState } from '../../channel/ports.js';
import { HandoverError, type Movable, type Parcels } from '../../handover/parcel.js';
import type { Location } from '../../protocol/location.js';
import type { OnionTarget, PowQueue } from './add-onion.js';
import type { ControlClient } from '../control/client.js';
import { deferred } from '../../kit/deferred.js';
import { removeHiddenService, type ServedFolder } from './hidden-service-dir.js';
import { keylessError, onionAdder, type OnionIdentity, type TargetOf } from './adder.js';
import { TorError } from '../tor-error.js';
import { retryDelays } from './retry.js';
import { ROUND_TIMINGS, startSelfTestRounds, type RoundTimings } from './self-test-rounds.js';
import type { SelfTest } from './self-test.js';
import { holdService, inheritedService } from './service-handover.js';
import { askForFolder, askForOnion } from './service-presence.js';
import {
  WATCH_TIMINGS,
  watchService,
  type ServiceWatch,
  type WatchTimings,
} from './service-watch.js';
import { followUploads } from './upload-follower.js';

/** What an onion service needs. */
export interface OnionServiceOptions {
  /**
   * Opens a control connection; called again after a loss. The service owns and closes it. Must respect
   * the signal.
   */
  readonly connect: (signal: AbortSignal) => Promise<ControlClient>;
  /** The key of the onion. */
  readonly identity: OnionIdentity;
  /** The port that peers dial (default 5222). */
  readonly virtualPort?: number;
  /**
   * The folder of the persistent key, for a Tor that the program started: every stream then begins with
   * a PROXY line that names its circuit.
   */
  readonly folder?: ServedFolder;
  /** The address of our listener, as Tor must dial it; may depend on the control connection. */
  readonly target: OnionTarget | TargetOf;
  /** Aborts the start; later the same as `close`. */
  readonly signal: AbortSignal;
  /** The time of all timers. */
  readonly clock: Clock;
  /** Receives the log lines of the service. */
  readonly log: Log;
  /** For random waits. */
  readonly random: Random;
  /** Called whenever the state changes. */
  readonly onState?: (state: ServiceState) => void;
  /**
   * After this long without a complete upload a warning says what is missing; the wait continues
   * (default 180,000).
   */
  readonly uploadTimeoutMs?: number;
  /** Continues with the service and the control connection of another process. */
  readonly inherited?: Parcels | undefined;
  /** Dials the onion as any peer does, for when Tor does not report whether it is published. */
  readonly selfTest?: SelfTest;
  /** Whether to repeat the self-test after that, at long intervals (default false). */
  readonly selfTestRounds?: boolean;
  /** The intervals of requests to Tor and of self-tests. */
  readonly watchTimings?: Partial<WatchTimings & RoundTimings>;
  /** Default `DEFAULT_POW_QUEUE`; a directory uses `DIRECTORY_POW_QUEUE`. */
  readonly pow?: PowQueue;
}

/** A running onion service. */
export interface OnionService {
  /** Its onion and virtual port. */
  readonly location: Location & {
    /** Always an onion. */
    readonly kind: 'onion';
  };
  /** Resolves when peers can reach it for the first time; rejects if it is closed before. */
  readonly reachable: Promise<void>;
  /** Undefined while peers cannot reach it. */
  readonly move: Movable;
  /**
   * It was found unreachable from outside: asks Tor at once whether it still has the service, and adds
   * it again if not.
   */
  doubt(): void;
  /**
   * Withdraws the service (DEL_ONION, at most 2 s), closes the control connection, forgets an ephemeral
   * key.
   */
  close(): Promise<void>;
}

export type { OnionIdentity } from './adder.js';

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
  /** Why we closed the connection; undefined if we did not. */
  gone: string | undefined;
  watch: ServiceWatch | undefined;
}

/**
 * Starts the service; resolves when Tor has accepted it, which is before peers can reach it. Rejects
 * with a TorError, and then nothing is left open. From then on it restores itself until it is closed or
 * aborted.
 */
export async function startOnionService(options: OnionServiceOptions): Promise<OnionService> {
  const { identity, clock, log, random, signal } = options;
  const virtualPort = options.virtualPort ?? DEFAULT_VIRTUAL_PORT;
  const uploadTimeoutMs = options.uploadTimeoutMs ?? DEFAULT_UPLOAD_TIMEOUT_MS;
  const stop = new AbortController();
  const retry = retryDelays(random);
  const adder = onionAdder({ ...options, virtualPort });
  const timings = { ...WATCH_TIMINGS, ...ROUND_TIMINGS, ...options.watchTimings };
  let stopRounds: (() => void) | undefined;
  /** First requests in a row that ended the connection instead of being answered. */
  let cuts = 0;
  let toldAboutPow = false;
  let lastDetail = '';
  let isReachable = false;
  const reachable = deferred<void>();
  // No caller must await this promise.
  reachable.promise.catch(() => {});

  function starting(detail: string): void {
    if (detail === lastDetail || stop.signal.aborted) return;
    lastDetail = detail;
    options.onState?.({ state: 'starting', detail });
  }

  function nowReachable(): void {
    if (stop.signal.aborted) return;
    retry.reset();
    lastDetail = '';
    isReachable = true;
    log.info('onion service reachable', { onion: adder.host });
    reachable.resolve();
    options.onState?.({ state: 'reachable' });
    testInRounds();
  }

  function testInRounds(): void {
    const { selfTest, selfTestRounds } = options;
    if (selfTest === undefined || selfTestRounds !== true || adder.host === undefined) return;
    stopRounds?.();
    const { host } = adder;
    stopRounds = startSelfTestRounds({
      selfTest,
      host,
      timings,
      clock,
      random,
      log,
      onUnreachable: () => session?.watch?.doubt(),
    });
  }

  /** Starts to ask whether Tor still has the service; ends the connection when it does not. */
  function watchOver(watched: Session): void {
    const { client, host } = watched;
    const { folder } = options;
    watched.watch = watchService({
      async ask(bounds) {
        if (cuts >= MAX_CUTS) return 'untold';
        if (folder === undefined) return askForOnion(client, host, bounds);
        return askForFolder(client, folder.dir, bounds);
      },
      onFirst(ended) {
        if (ended === 'cut') cuts++;
        else if (cuts < MAX_CUTS) cuts = 0;
      },
      timings,
      clock,
      log,
      canReturn: () => folder !== undefined || adder.key !== undefined,
      onGone(why) {
        watched.gone = why;
        client.close();
      },
    });
    void client.lost.then(() => watched.watch?.stop());
  }

  /** Adds the service on a new connection, which is closed again when a step fails. */
  async function publish(): Promise<Session> {
    const client = await options.connect(stop.signal);
    // An abort must also end the wait for a reply.
    const hangUp = () => client.close();
    stop.signal.addEventListener('abort', hangUp, { once: true });
    try {
      stop.signal.throwIfAborted();
      const uploads = followUploads({
        client,
        clock,
        log,
        timeoutMs: uploadTimeoutMs,
        onProgress: starting,
        onReachable: nowReachable,
        selfTest: options.selfTest,
      });
      await uploads.listen();
      const added = await adder.add(client);
      if (!added.pow.on && !toldAboutPow) {
        toldAboutPow = true;
        log.info('onion service without proof-of-work defences', { why: added.pow.why });
      }
      uploads.begin(added.host);
      const published: Session = { client, host: added.host, gone: undefined, watch: undefined };
      watchOver(published);
      return published;
    } catch (error) {
      client.close();
      throw error;
    } finally {
      stop.signal.removeEventListener('abort', hangUp);
    }
  }

  async function firstPublish(): Promise<Session> {
    for (let attempt = 0; ; attempt++) {
      try {
        return await publish();
      } catch (error) {
        const collision = error instanceof TorError && error.code === 'collision';
        if (!collision || attempt >= COLLISION_RETRIES || stop.signal.aborted) throw error;
        starting('the address is still in use; waiting for Tor to free it');
        await pause(clock, retry.next(), stop.signal);
      }
    }
  }

  /** Tries until it succeeds; undefined when stopped. */
  async function republish(): Promise<Session | undefined> {
    let lastProblem = '';
    for (;;) {
      await pause(clock, retry.next(), stop.signal);
      if (stop.signal.aborted) return undefined;
      try {
        return await publish();
      } catch (error) {
        if (stop.signal.aborted) return undefined;
        const problem = errorText(error);
        if (problem === lastProblem) log.debug('onion service still lost', { why: problem });
        else log.warn('onion service cannot be re-created yet; trying again', { why: problem });
        if (problem !== lastProblem) options.onState?.({ state: 'lost', detail: problem });
        lastProblem = problem;
      }
    }
  }

  let session: Session | undefined;
  async function keepUp(): Promise<void> {
    while (session !== undefined) {
      const cause = await session.client.lost;
      if (stop.signal.aborted) return;
      stopRounds?.();
      const detail = session.gone ?? cause?.message ?? 'the control connection was closed';
      log.warn('onion service lost; re-creating it', { why: detail });
      lastDetail = '';
      isReachable = false;
      if (adder.key === undefined && options.folder === undefined) {
        const { message } = keylessError();
        log.error(message);
        options.onState?.({ state: 'lost', detail: message });
        return;
      }
      options.onState?.({ state: 'lost', detail });
      session = await republish();
      // Closed just after it succeeded: withdraw() did not see this connection.
      if (stop.signal.aborted) session?.client.close();
      else log.info('onion service re-created', { onion: session?.host });
    }
  }

  async function remove({ client, host }: Session): Promise<void> {
    const bounded = { timeoutMs: DEL_ONION_TIMEOUT_MS };
    if (options.folder === undefined) {
      await client.command(`DEL_ONION ${host.replace(/\.onion$/, '')}`, bounded);
    } else await removeHiddenService(client, options.folder, log, bounded);
  }

  let closing: Promise<void> | undefined;
  async function withdraw(): Promise<void> {
    stop.abort();
    signal.removeEventListener('abort', onAbort);
    reachable.reject(new TorError('upload', 'closed', 'the onion service was closed'));
    adder.forget();
    stopRounds?.();
    const current = session;
    current?.watch?.stop();
    if (current !== undefined && !current.client.closed) {
      await remove(current).catch((error: unknown) =>
        log.debug('Tor did not take the onion service away', { why: errorText(error) }),
      );
      current.client.close();
    }
    await healing;
  }
  const close = () => (closing ??= withdraw());
  const onAbort = () => void close();

  function inherit(parcels: Parcels): Session {
    const { client, host, privateKey } = inheritedService(parcels);
    if (adder.host !== undefined && adder.host !== host) {
      throw new HandoverError(
        'the key folder holds the key of another onion than the one that is served: restart instead',
      );
    }
    adder.inherit(host, privateKey);
    return { client, host, gone: undefined, watch: undefined };
  }

  const move: Movable = {
    hold: () =>
      holdService({
        // No request may be running.
        current: () => {
          if (!isReachable || session === undefined) return undefined;
          session.watch?.stop();
          return session;
        },
        privateKey: () => (identity.kind === 'ephemeral' ? adder.key : undefined),
        clock,
        signal: stop.signal,
      }).catch((error: unknown) => {
        if (session !== undefined) watchOver(session);
        throw error;
      }),
    release() {
      if (session === undefined || session.client.closed) return;
      session.client.release();
      watchOver(session);
    },
  };

  const abortStart = () => stop.abort();
  if (signal.aborted) abortStart();
  signal.addEventListener('abort', abortStart, { once: true });
  if (options.inherited === undefined) starting('connecting to Tor');
  let healing: Promise<void> = Promise.resolve();
  try {
    session = options.inherited === undefined ? await firstPublish() : inherit(options.inherited);
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    signal.removeEventListener('abort', abortStart);
  }
  if (session === undefined || signal.aborted) {
    session?.client.close();
    throw new TorError('add-onion', 'aborted', 'starting the onion service was cancelled');
  }
  const { host } = session;
  healing = keepUp();
  signal.addEventListener('abort', onAbort, { once: true });
  if (options.inherited === undefined) {
    log.info('onion service accepted by Tor', { onion: host, port: virtualPort });
  } else nowReachable();
  return {
    location: { kind: 'onion', host, port: virtualPort },
    reachable: reachable.promise,
    move,
    doubt: () => session?.watch?.doubt(),
    close,
  };
}
