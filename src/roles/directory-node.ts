/** A directory node: an overlay that serves, the relay, and its status page. */
import { randomBytes } from 'node:crypto';
import { silentLog, type Log } from '../channel/log.js';
import type { Clock, Overlay, Random, Served, ServiceState } from '../channel/ports.js';
import { createDirectory, directoryMotd, type Directory } from '../directory/directory.js';
import { DEFAULT_LIMITS, type DirectoryLimits } from '../directory/limits.js';
import type { Metrics } from '../ops/metrics.js';
import { NO_METRICS } from '../ops/no-metrics.js';
import { createRateCappedLog } from '../ops/rate-capped-log.js';
import type { Health } from '../http/health.js';
import { startStatusServer, type StatusServer } from '../ops/status-server.js';
import { systemClock } from '../overlay/system-clock.js';
import type { Network } from '../protocol/constants.js';
import { formatLocation, type Location } from '../protocol/location.js';
import type { ProbeResult } from '../probe/probe.js';
import { createNickKey } from '../protocol/nick.js';
import type { Parcel, Parcels } from '../handover/parcel.js';
import { createCanary } from './canary.js';
import { registerCanaryMetrics, selfTestCounts } from './canary-metrics.js';
import type { NickAuthMode } from '../protocol/nick-auth.js';
import {
  registerDirectoryMetrics,
  registerFlushMetrics,
  SERVICE_STATES,
  type NodeStateName,
} from './directory-metrics.js';
import { openInheritedDirectory, type MovingDirectory } from './directory-handover.js';
import { movePast, pastIn } from './directory-past.js';
import { VERSION } from './version.js';

/** What a directory needs; only `network` and `overlay` are required. */
export interface DirectoryNodeOptions {
  /** The bitcoin network; peers of another one are refused. */
  readonly network: Network;
  /** Must be able to serve. The caller closes it. */
  readonly overlay: Overlay;
  /** The operator's text, below the two standard lines of the MOTD. */
  readonly motd?: string;
  /** The limits; default `DEFAULT_LIMITS`. */
  readonly limits?: DirectoryLimits;
  /** Dial declared locations through the overlay and read the nick there (default false). */
  readonly dialBack?: boolean;
  /** Interval of the canary, milliseconds; 0 = off (the default). */
  readonly canaryIntervalMs?: number;
  /** Called with the result of each test of the canary. */
  readonly onSelfTest?: (result: ProbeResult) => void;
  /** Whether peers are asked to prove the key of their nick (default `disabled`; JMP-0005). */
  readonly nickAuth?: NickAuthMode;
  /** Where `/healthz`, `/metrics` and `/status` are served; absent or port 0 = nowhere. */
  readonly status?: {
    /** Address on which the status server listens. */
    readonly host: string;
    /** Its port; 0 = no server. */
    readonly port: number;
    /** Further names of the page, as `canonicalHost` gives them. */
    readonly hosts?: readonly string[];
  };
  /**
   * The state of another process, to continue with. Peers are not served before `DirectoryNode.begin`.
   */
  readonly inherited?: Parcels | undefined;
  /** Aborts the start; later use `close`. */
  readonly signal?: AbortSignal;
  /** Called whenever the state of the location changes. */
  readonly onState?: (state: ServiceState) => void;
  /** The time of all timers; default the system's. */
  readonly clock?: Clock;
  /** For random waits; default `Math.random`. */
  readonly random?: Random;
  /** Default `silentLog`. */
  readonly log?: Log;
}

export interface DirectoryNode {
  /** The location of the directory. */
  readonly location: Location;
  readonly nick: string;
  readonly directory: Directory;
  /** Resolves when peers can connect for the first time; never rejects. */
  readonly reachable: Promise<void>;
  health(): Health;
  /** The movable parts; undefined when the overlay cannot be handed over. */
  readonly moving: MovingDirectory | undefined;
  /** Starts serving with inherited sockets. */
  begin(): void;
  /** Takes a connection that reached the previous process while it did not accept. */
  adopt(parcel: Parcel): void;
  /** After the handover: closes what was not handed over, within three seconds. */
  leave(): Promise<void>;
  /** Changes the settings that can change without a disconnect. */
  reload(changes: { readonly motd?: string; readonly limits?: DirectoryLimits }): void;
  /** Withdraws the service, closes all connections and the status page. */
  close(): Promise<void>;
}

/** Lines of one kind that a directory logs in a minute; further ones are counted. */
const LINES_PER_MINUTE = 2;

type NodeState = ServiceState | { readonly state: 'stopping' };

function healthOf(state: NodeState): Health {
  switch (state.state) {
    case 'reachable':
      return { ok: true };
    case 'starting':
      return { ok: false, reason: `starting: ${state.detail}` };
    case 'lost':
      return { ok: false, reason: `not reachable: ${state.detail}` };
    case 'stopping':
      return { ok: false, reason: 'stopping' };
  }
}

/** How many peers have bytes waiting, and the largest amount, for a person. */
function lagOf(queued: readonly number[]): { readonly peers: number; readonly mostBytes: number } {
  return {
    peers: queued.filter((bytes) => bytes > 0).length,
    mostBytes: queued.reduce((most, bytes) => Math.max(most, bytes), 0),
  };
}

/** Loaded only when there is a page to show them. */
async function metricsFor({ status }: DirectoryNodeOptions): Promise<Metrics> {
  if (status === undefined) return NO_METRICS;
  const { createMetrics } = await import('../ops/metrics.js');
  return createMetrics();
}

/**
 * Starts a directory node. Resolves when its location is known and accepted; `reachable` resolves when
 * peers can connect. Rejects with the error of the overlay or the status page; nothing is left running
 * then.
 */
export async function startDirectoryNode(options: DirectoryNodeOptions): Promise<DirectoryNode> {
  const { network, overlay, clock = systemClock, random = Math.random } = options;
  // Other machines cause these lines in any number, and a disk fills in real time, whatever the clock.
  const log = createRateCappedLog(options.log ?? silentLog, systemClock, {
    lines: LINES_PER_MINUTE,
  });
  const { nickAuth = 'disabled' } = options;
  const inherited = options.inherited && openInheritedDirectory(options.inherited, clock);
  const nick = inherited?.state.nick ?? createNickKey(randomBytes).nick;
  const past = pastIn(options.inherited);
  const started = clock.now() - (past?.upSeconds ?? 0) * 1000;
  let isServing = inherited === undefined;
  const signal = options.signal ?? new AbortController().signal;
  let motd = options.motd ?? '';
  let location: Location | undefined;
  let served: Served | undefined;
  let state: NodeState = { state: 'starting', detail: 'not served yet' };
  const entered: Record<NodeStateName, number> = {
    starting: 1,
    reachable: 0,
    lost: 0,
    stopping: 0,
  };
  let tellReachable: (() => void) | undefined;
  const reachable = new Promise<void>((resolve) => (tellReachable = resolve));

  const ownLocation = (): Location => {
    if (location === undefined) throw new Error('the location is asked for before it is served');
    return location;
  };
  const metrics = await metricsFor(options);
  const selfTests = selfTestCounts(past?.selfTests);
  const canary = createCanary({
    past: past?.canary,
    dialer: overlay,
    network,
    nick,
    intervalMs: options.canaryIntervalMs ?? 0,
    newNickKey: () => createNickKey(randomBytes),
    clock,
    random,
    log,
    onUnreachable: () => served?.doubt?.(),
    onTest(result) {
      countSelfTest(result);
      options.onSelfTest?.(result);
    },
  });
  const countSelfTest = registerCanaryMetrics(metrics, () => canary.report(), selfTests);
  const directory = createDirectory({
    network,
    nick,
    location: ownLocation,
    acceptLoopback: overlay.name === 'loopback',
    motd: () => directoryMotd(formatLocation(ownLocation()), VERSION, motd),
    limits: options.limits ?? DEFAULT_LIMITS,
    ...(options.dialBack === true
      ? { dialBack: { dialer: overlay, newNick: () => createNickKey(randomBytes).nick } }
      : {}),
    ownNicks: canary.ownNicks,
    ...(nickAuth === 'disabled'
      ? {}
      : { nickAuth: { required: nickAuth === 'require_verified', randomBytes } }),
    onFlush: registerFlushMetrics(metrics),
    clock,
    random,
    log,
  });

  function enter(next: NodeState): void {
    if (next.state !== state.state) entered[next.state]++;
    state = next;
  }

  function health(): Health {
    const service = healthOf(state);
    const trouble = canary.trouble();
    return service.ok && trouble !== undefined ? { ok: false, reason: trouble } : service;
  }

  function upSeconds(): number {
    return Math.round((clock.now() - started) / 1000);
  }

  function tellCanary(): void {
    if (!isServing) return;
    canary.published(state.state === 'reachable' ? location : undefined);
  }

  function onState(next: ServiceState): void {
    if (state.state === 'stopping') return;
    enter(next);
    tellCanary();
    if (next.state === 'reachable') tellReachable?.();
    options.onState?.(next);
  }

  registerDirectoryMetrics(metrics, { directory, state: () => state.state, entered });
  const page: StatusServer | undefined =
    options.status &&
    (await startStatusServer({
      ...options.status,
      health,
      status: () => ({
        version: VERSION,
        network,
        state: state.state,
        location: location && formatLocation(location),
        listensOn: served?.listensOn,
        uptimeSeconds: upSeconds(),
        health: health(),
        canary: canary.report(),
        kinds: directory.kinds(),
        ...directory.stats(),
        lag: lagOf(directory.queuedBytes()),
      }),
      metrics,
      log,
      inherited: options.inherited,
    }));
  try {
    const service = await overlay.serve(
      (connection) => {
        // The location is not public before it is announced, so a connection this early is dropped.
        if (location === undefined) {
          connection.attach({ data() {}, closed() {} });
          connection.destroy();
        } else directory.accept(connection);
      },
      {
        signal,
        onState,
        ...(options.inherited === undefined ? {} : { inherited: options.inherited }),
      },
    );
    served = service;
    location = service.location;
    if (inherited) directory.restore(inherited.state, inherited.peers);
    else tellCanary();
    return {
      location,
      nick,
      directory,
      reachable,
      health,
      moving: service.move && {
        directory,
        service: service.move,
        parts: [
          ...(page === undefined ? [] : [page.move]),
          movePast(() => ({ upSeconds: upSeconds(), entered, selfTests, canary: canary.report() })),
        ],
      },
      begin() {
        isServing = true;
        // The previous process entered this state.
        for (const name of SERVICE_STATES) entered[name] = past?.entered[name] ?? entered[name];
        inherited?.release();
        service.begin?.();
        page?.begin();
        tellCanary();
      },
      adopt(parcel) {
        service.adopt?.(parcel);
      },
      async leave() {
        await Promise.all([canary.stop(), page?.close(), directory.refusedGone()]);
      },
      reload(changes) {
        motd = changes.motd ?? motd;
        if (changes.limits) directory.setLimits(changes.limits);
      },
      async close() {
        enter({ state: 'stopping' });
        directory.stopAccepting();
        await Promise.all([canary.stop(), service.close(), directory.close()]);
        await page?.close();
        log.close();
      },
    };
  } catch (error) {
    await Promise.all([canary.stop(), directory.close(), page?.close()]);
    log.close();
    throw error;
  }
}
