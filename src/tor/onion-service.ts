/**
 * An onion service of ours that stays up: added over the control port, watched until its descriptors
 * are published, and added again with the same key whenever the control connection is lost, for a
 * service lives exactly as long as its connection (protocol document, section 12.2).
 */
import type { Log } from '../channel/log.js';
import type { Clock, Random, ServiceState } from '../channel/ports.js';
import { socketOver } from '../handover/native-handle.js';
import { HandoverError, isRecord, type Movable, type Parcels } from '../handover/parcel.js';
import { parseOnionHost, type Location } from '../protocol/location.js';
import type { OnionTarget, PowQueue } from './add-onion.js';
import { controlClientOver, type ControlClient } from './control-client.js';
import { deferred } from './deferred.js';
import { removeHiddenService, type ServedFolder } from './hidden-service-dir.js';
import { keylessError, onionAdder, type OnionIdentity, type TargetOf } from './onion-adder.js';
import { TorError } from './tor-error.js';
import { pause, retryDelays } from './retry.js';
import type { SelfTest } from './self-test.js';
import { followUploads } from './upload-follower.js';

export interface OnionServiceOptions {
  /**
   * Opens a control connection; called again after a loss. The service owns what it gets, and
   * closes it. Must respect the signal.
   */
  readonly connect: (signal: AbortSignal) => Promise<ControlClient>;
  readonly identity: OnionIdentity;
  /** The port that peers dial (default 5222). */
  readonly virtualPort?: number;
  /**
   * The folder of the persistent identity's key, to be served out of it by a Tor of our own: every
   * stream then begins with a PROXY line that names its circuit.
   */
  readonly folder?: ServedFolder;
  /** Where our listener is, as Tor has to dial it; may depend on how we are connected to Tor. */
  readonly target: OnionTarget | TargetOf;
  /** Aborts the start; later the same as `close`. */
  readonly signal: AbortSignal;
  readonly clock: Clock;
  readonly log: Log;
  readonly random: Random;
  readonly onState?: (state: ServiceState) => void;
  /** After this long without a complete upload a warning says what is missing; waiting goes on (default 180,000). */
  readonly uploadTimeoutMs?: number;
  /** Goes on with the service of another process, and its control connection. */
  readonly inherited?: Parcels | undefined;
  /** Dials the onion as a stranger does, for where nobody tells whether it is published. */
  readonly selfTest?: SelfTest;
  /** Default `DEFAULT_POW_QUEUE`; a directory wants `DIRECTORY_POW_QUEUE`. */
  readonly pow?: PowQueue;
}

export interface OnionService {
  readonly location: Location & { readonly kind: 'onion' };
  /** Resolves when peers can reach it for the first time; rejects if it is closed before. */
  readonly reachable: Promise<void>;
  /** Only while peers can reach it. */
  readonly move: Movable;
  /** Withdraws the service (DEL_ONION, at most 2 s), closes the control connection, forgets an ephemeral key. */
  close(): Promise<void>;
}

export type { OnionIdentity } from './onion-adder.js';

const DEFAULT_VIRTUAL_PORT = 5222;
const DEFAULT_UPLOAD_TIMEOUT_MS = 180_000;
const DEL_ONION_TIMEOUT_MS = 2_000;
/** A Tor that has just lost our last connection may still be clearing the service away. */
const COLLISION_RETRIES = 4;

/** The key of the parcel that holds the control connection of the service. */
const SERVICE = 'onion-service';
/** Most tries, and their distance in milliseconds, to find the control connection at rest. */
const HOLD_TRIES = 50;
const HOLD_RETRY_MS = 20;
const PRIVATE_KEY = /^ED25519-V3:[A-Za-z\d+/]{86}==$/;

interface InheritedService {
  readonly client: ControlClient;
  readonly host: string;
  readonly privateKey: string | undefined;
}

function inheritedService(parcels: Parcels): InheritedService {
  const { value, handle } = parcels.get(SERVICE) ?? {};
  const { host, privateKey }: Readonly<Record<string, unknown>> = isRecord(value) ? value : {};
  if (handle === undefined || typeof host !== 'string' || !parseOnionHost(host).ok) {
    throw new HandoverError('no onion service was handed over');
  }
  return {
    client: controlClientOver(socketOver(handle), 'Tor', true),
    host,
    privateKey:
      typeof privateKey === 'string' && PRIVATE_KEY.test(privateKey) ? privateKey : undefined,
  };
}

/** One control connection with the service on it. */
interface Session {
  readonly client: ControlClient;
  readonly host: string;
}

const messageOf = (error: unknown) => (error instanceof Error ? error.message : String(error));

/**
 * Starts the service; resolves when Tor has accepted it, which is before peers can reach it. Rejects
 * with a TorError, and then nothing is left open. From then on it heals itself, for ever, until it
 * is closed or aborted.
 */
export async function startOnionService(options: OnionServiceOptions): Promise<OnionService> {
  const { identity, clock, log, random, signal } = options;
  const virtualPort = options.virtualPort ?? DEFAULT_VIRTUAL_PORT;
  const uploadTimeoutMs = options.uploadTimeoutMs ?? DEFAULT_UPLOAD_TIMEOUT_MS;
  const stop = new AbortController();
  const retry = retryDelays(random);
  const adder = onionAdder({ ...options, virtualPort });
  let toldAboutPow = false;
  let lastDetail = '';
  let isReachable = false;
  const reachable = deferred<void>();
  // Nobody has to wait for it.
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
  }

  /** Adds the service on a fresh connection. Closes it again when anything fails. */
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
      return { client, host: added.host };
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

  /** Tries until it works; undefined when stopped. */
  async function republish(): Promise<Session | undefined> {
    let lastProblem = '';
    for (;;) {
      await pause(clock, retry.next(), stop.signal);
      if (stop.signal.aborted) return undefined;
      try {
        return await publish();
      } catch (error) {
        if (stop.signal.aborted) return undefined;
        const problem = messageOf(error);
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
      const detail = cause === undefined ? 'the control connection was closed' : cause.message;
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
      // Closed just when it had worked: withdraw() did not see this one.
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
    const current = session;
    if (current !== undefined && !current.client.closed) {
      await remove(current).catch((error: unknown) =>
        log.debug('Tor did not take the onion service away', { why: messageOf(error) }),
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
    return { client, host };
  }

  const move: Movable = {
    async hold() {
      for (let tries = 0; tries < HOLD_TRIES; tries++) {
        if (!isReachable || session === undefined) {
          throw new HandoverError('the onion is not reachable now; try again when it is');
        }
        const { client, host } = session;
        const handle = client.hold();
        if (handle !== undefined) {
          const privateKey = identity.kind === 'ephemeral' ? adder.key : undefined;
          return [{ key: SERVICE, value: { host, privateKey }, handle }];
        }
        // oxlint-disable-next-line no-await-in-loop -- each try needs the one before
        await pause(clock, HOLD_RETRY_MS, stop.signal);
      }
      throw new HandoverError('the control connection to Tor is busy; try again');
    },
    release: () => session?.client.release(),
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
    close,
  };
}
