/** A directory node: an overlay that serves, the relay, and its status page. */
import { randomBytes } from 'node:crypto';
import { silentLog } from '../channel/log.js';
import type { Clock, Connection, Served } from '../channel/ports.js';
import { createDirectory, directoryMotd, type Directory } from '../directory/directory.js';
import { DEFAULT_LIMITS, limitsInForce, type DirectoryLimits } from '../directory/limits.js';
import { deferred } from '../kit/deferred.js';
import type { Metrics } from '../ops/metrics.js';
import { NO_METRICS } from '../ops/no-metrics.js';
import { createRateCappedLog, type RateCappedLog } from '../ops/rate-capped-log.js';
import type { Health } from '../http/health.js';
import { startStatusServer, type StatusServer } from '../ops/status-server.js';
import { systemClock } from '../overlay/system-clock.js';
import { formatLocation, type Location, type LocationKind } from '../protocol/location.js';
import { createNickKey } from '../protocol/nick.js';
import type { Parcel } from '../kit/movable.js';
import { Canary } from './canary.js';
import { isReached } from './canary-report.js';
import { registerCanaryMetrics, canaryCounts, type CanaryCounts } from './canary-metrics.js';
import { bansIn, moveBans } from './directory-bans.js';
import { registerDirectoryMetrics, registerFlushMetrics } from './directory-metrics.js';
import type { MovingDirectory } from './directory-handover.js';
import type { InheritedState } from './directory-inheritance.js';
import type { DirectoryNode, DirectoryNodeOptions } from './directory-node-api.js';
import { movableFigures, earlierFigures, type DirectoryFigures } from './directory-figures.js';
import { DirectoryHistory, historyIn } from './directory-history.js';
import { directoryPageRoutes, lagOf } from './directory-page.js';
import { NodeCluster } from './node-cluster.js';
import { useFastCurves } from './fast-curves.js';
import { NodeStates } from './node-states.js';
import { daemonJson, ServiceStates, type ServiceJson } from './service-states.js';
import { VERSION } from './version.js';

export type { DirectoryNode, DirectoryNodeOptions } from './directory-node-api.js';

/** Lines of one kind that a directory logs in a minute; further ones are counted. */
const LINES_PER_MINUTE = 2;

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
  const { clock = systemClock } = options;
  useFastCurves();
  const node = new RunningNode(options, clock, await metricsFor(options));
  await node.start();
  return node;
}

class RunningNode implements DirectoryNode {
  readonly nick: string;
  readonly directory: Directory;
  readonly #options: DirectoryNodeOptions;
  readonly #clock: Clock;
  readonly #log: RateCappedLog;
  readonly #past: DirectoryFigures | undefined;
  readonly #startedAt: number;
  readonly #metrics: Metrics;
  readonly #selfTests: CanaryCounts;
  readonly #canary: Canary;
  readonly #reachable = deferred<void>();
  readonly #states: NodeStates;
  readonly #cluster: NodeCluster;
  readonly #history: DirectoryHistory;
  /** The states of its locations. */
  readonly #services: ServiceStates;
  #isServing: boolean;
  #motd: string;
  #limits: DirectoryLimits;
  #served: Served | undefined;
  #page: StatusServer | undefined;
  #moving: MovingDirectory | undefined;

  constructor(options: DirectoryNodeOptions, clock: Clock, metrics: Metrics) {
    const { inherited } = options;
    this.#options = options;
    this.#services = new ServiceStates(options.overlay.reachable);
    this.#clock = clock;
    // Other machines cause these lines in any number, and a disk fills in real time, whatever the clock.
    this.#log = createRateCappedLog(options.log ?? silentLog, systemClock, {
      lines: LINES_PER_MINUTE,
    });
    this.#past = earlierFigures(inherited?.parcels);
    this.#startedAt = clock.now() - (this.#past?.upSeconds ?? 0) * 1000;
    this.#metrics = metrics;
    this.#states = new NodeStates(clock);
    this.#limits = options.limits ?? DEFAULT_LIMITS;
    this.#isServing = inherited === undefined;
    this.#motd = options.motd ?? '';
    this.nick = inherited?.nick ?? createNickKey(randomBytes).nick;
    this.#selfTests = canaryCounts(this.#past?.selfTests);
    this.#canary = this.#createCanary();
    this.#cluster = new NodeCluster(options.cluster, {
      network: options.network,
      clock,
      log: this.#log,
      version: VERSION,
      inherits: inherited !== undefined,
      facts: () => ({
        motd: this.#motd,
        limits: JSON.stringify(this.#limits),
        reached: isReached(this.#canary.report().state),
      }),
    });
    this.directory = this.#createDirectory();
    this.#history = new DirectoryHistory({
      directory: this.directory,
      canary: () => this.#canary.report(),
      clock,
      past: historyIn(inherited?.parcels),
    });
    registerDirectoryMetrics(metrics, {
      directory: this.directory,
      state: () => this.#states.name,
      entered: this.#states.entered,
      services: () => this.#servicesNow(),
    });
    this.#cluster.registerMetrics(metrics);
  }

  /** Serves the status page and the location. Rejects with their errors; nothing is left running then. */
  async start(): Promise<void> {
    try {
      this.#page = await this.#openPage();
      await this.#cluster.start();
      await this.#serve();
      if (this.#isServing) this.#record();
    } catch (error) {
      await this.#cluster.close();
      await Promise.all([this.#canary.stop(), this.directory.close(), this.#page?.close()]);
      this.#log.close();
      throw error;
    }
  }

  get location(): Location {
    return this.locations[0];
  }

  get locations(): Served['locations'] {
    if (this.#served) return this.#served.locations;
    throw new Error('the location is not known before it is served');
  }

  get reachable(): Promise<void> {
    return this.#reachable.promise;
  }

  get moving(): MovingDirectory | undefined {
    return this.#moving;
  }

  health(): Health {
    const service = this.#states.health();
    const reason = this.#canary.reason();
    return service.ok && reason !== undefined
      ? { ok: false, reason }
      : this.#cluster.remarkOn(service);
  }

  restore({ state, peers }: InheritedState): void {
    this.directory.restore(state, peers);
  }

  begin(): void {
    this.#isServing = true;
    this.#states.resume(this.#past?.entered);
    this.#options.inherited?.release();
    this.#served?.begin?.();
    this.#page?.begin();
    this.#states.resumeTime(this.#past?.stateSeconds ?? 0);
    this.#record();
    this.#notifyCanary();
  }

  adopt(parcel: Parcel): void {
    this.#served?.adopt?.(parcel);
  }

  async leave(): Promise<void> {
    this.#history.stop();
    await Promise.all([
      this.#cluster.leave(),
      this.#canary.stop(),
      this.#page?.close(),
      this.directory.refusedGone(),
    ]);
  }

  renewLocations(): void {
    this.#served?.renew?.();
  }

  reload({ motd, limits }: { readonly motd?: string; readonly limits?: DirectoryLimits }): void {
    this.#motd = motd ?? this.#motd;
    if (!limits) return;
    this.#limits = limits;
    this.directory.setLimits(limits);
  }

  async close(): Promise<void> {
    this.#states.enter({ state: 'stopping' });
    this.#history.stop();
    this.directory.stopAccepting();
    await this.#cluster.close();
    await Promise.all([this.#canary.stop(), this.#served?.close(), this.directory.close()]);
    await this.#page?.close();
    this.#log.close();
  }

  #createCanary(): Canary {
    const { network, overlay, canaryIntervalMs = 0, random = Math.random } = this.#options;
    const canary = new Canary({
      past: this.#past?.canary,
      dialer: overlay,
      network,
      nick: this.nick,
      intervalMs: canaryIntervalMs,
      newNickKey: () => createNickKey(randomBytes),
      clock: this.#clock,
      random,
      log: this.#log,
      onUnreachable: () => this.#served?.reportUnreachable?.(this.location.kind),
      onTest: (result) => {
        countProbe(result);
        this.#options.onCanaryProbe?.(result);
      },
    });
    const countProbe = registerCanaryMetrics(this.#metrics, () => canary.report(), this.#selfTests);
    return canary;
  }

  #createDirectory(): Directory {
    const { network, overlay, random = Math.random } = this.#options;
    const observeFlush = registerFlushMetrics(this.#metrics);
    const {
      dialBack = false,
      nickAuth = 'disabled',
      publicWindowMs,
      directoryList,
    } = this.#options;
    return createDirectory({
      network,
      nick: this.nick,
      location: (via) => this.#locationFor(via),
      reachable: overlay.reachable,
      motd: (via) => directoryMotd(formatLocation(this.#locationFor(via)), VERSION, this.#motd),
      limits: this.#limits,
      ...(publicWindowMs === undefined ? {} : { publicWindowMs }),
      ...(dialBack
        ? { dialBack: { dialer: overlay, newNick: () => createNickKey(randomBytes).nick } }
        : {}),
      ownNicks: this.#canary.ownNicks,
      ...this.#cluster.neighbours,
      gate: this.#options.gate,
      ...(nickAuth === 'disabled'
        ? {}
        : { nickAuth: { required: nickAuth === 'require_verified', randomBytes } }),
      ...(directoryList && { directoryList }),
      onFlush: (report) => {
        observeFlush(report);
        this.#history.flushed(report);
      },
      clock: this.#clock,
      random,
      log: this.#log,
    });
  }

  /** The location for peers that dialled this kind: the only one that they may learn. */
  #locationFor(via: LocationKind): Location {
    const { locations } = this;
    const [first] = locations;
    const own = locations.length === 1 ? first : locations.find(({ kind }) => kind === via);
    if (own) return own;
    throw new Error(`a peer dialled ${via}, which is not served`);
  }

  async #openPage(): Promise<StatusServer | undefined> {
    const { status, inherited } = this.#options;
    return (
      status &&
      startStatusServer({
        ...status,
        health: () => this.health(),
        status: () => this.#status(),
        metrics: this.#metrics,
        page: await directoryPageRoutes(
          { history: () => this.#history.json(), limits: () => limitsInForce(this.#limits) },
          this.#log,
        ),
        log: this.#log,
        inherited: inherited?.parcels,
      })
    );
  }

  /** Takes samples and asks for the state of Tor from now on, if there is a page to show them. */
  #record(): void {
    if (!this.#page) return;
    this.#history.start();
    this.#servicesNow();
  }

  #servicesNow(): readonly ServiceJson[] {
    const served = this.#served;
    if (!served || !this.#isServing) return this.#services.of(served?.locations ?? []);
    return this.#services.of(served.locations, (kind) => {
      const state = served.daemon?.(kind);
      return state && daemonJson(state, this.#clock.now());
    });
  }

  #status(): Record<string, unknown> {
    return {
      version: VERSION,
      network: this.#options.network,
      state: this.#states.name,
      stateSeconds: this.#states.seconds,
      stateEntered: this.#states.entered,
      location: this.#served && formatLocation(this.location),
      services: this.#servicesNow(),
      listensOn: this.#served?.listensOn,
      uptimeSeconds: this.#upSeconds(),
      health: this.health(),
      canary: this.#canary.report(),
      ...this.#cluster.status({ peers: this.directory.peerCount, version: VERSION }),
      kinds: this.directory.kinds(),
      ...this.directory.stats(),
      lag: lagOf(this.directory.queuedBytes()),
    };
  }

  async #serve(): Promise<void> {
    const { overlay, inherited, signal = new AbortController().signal } = this.#options;
    const served = await overlay.serve((connection) => this.#accept(connection), {
      signal,
      onState: (state, kind) => {
        this.#services.set(kind, state);
        this.#onState();
      },
      ...(inherited === undefined ? {} : { inherited: inherited.parcels }),
    });
    this.#served = served;
    if (served.locations.length < overlay.reachable.size) {
      this.#services.only(served.locations);
      this.#onState();
    }
    // Before the peers: some of them may wait for a nick.
    this.directory.operator.restore(bansIn(inherited?.parcels));
    this.#notifyCanary();
    this.#moving = served.move && {
      directory: this.directory,
      nick: this.nick,
      service: served.move,
      parts: [
        ...(this.#page === undefined ? [] : [this.#page.move, this.#history.move]),
        moveBans(() => this.directory.operator.bans()),
        movableFigures(() => this.#pastNow()),
      ],
    };
  }

  #accept(connection: Connection): void {
    if (this.#served) return this.directory.accept(connection);
    // The location is not public before it is announced, so a connection this early is dropped.
    connection.attach({ data() {}, closed() {} });
    connection.destroy();
  }

  #onState(): void {
    if (this.#states.name === 'stopping') return;
    const { together } = this.#services;
    this.#states.enter(together);
    this.#notifyCanary();
    if (together.state === 'reachable') this.#reachable.resolve();
    this.#options.onState?.(together);
  }

  /** It tests the first location, while that is reachable. */
  #notifyCanary(): void {
    if (!this.#isServing) return;
    const location = this.#states.name === 'stopping' ? undefined : this.#served?.locations[0];
    this.#canary.published(
      location && this.#services.isReachable(location.kind) ? location : undefined,
    );
  }

  #upSeconds(): number {
    return Math.round((this.#clock.now() - this.#startedAt) / 1000);
  }

  #pastNow(): DirectoryFigures {
    return {
      upSeconds: this.#upSeconds(),
      stateSeconds: this.#states.seconds,
      entered: this.#states.entered,
      selfTests: this.#selfTests,
      canary: this.#canary.report(),
    };
  }
}
