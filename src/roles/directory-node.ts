/** A directory node: an overlay that serves, the relay, and its status page. */
import { randomBytes } from 'node:crypto';
import { silentLog } from '../channel/log.js';
import type { Clock, Served } from '../channel/ports.js';
import type { Directory } from '../directory/directory.js';
import { DEFAULT_LIMITS, limitsInForce, type DirectoryLimits } from '../directory/limits.js';
import { deferred } from '../kit/deferred.js';
import type { Metrics } from '../ops/metrics.js';
import { NO_METRICS } from '../ops/no-metrics.js';
import { createRateCappedLog, type RateCappedLog } from '../ops/rate-capped-log.js';
import type { Health } from '../http/health.js';
import { startStatusServer, type StatusServer } from '../ops/status-server.js';
import { systemClock } from '../overlay/system-clock.js';
import type { Location } from '../protocol/location.js';
import { createNickKey } from '../protocol/nick.js';
import type { Parcel } from '../kit/movable.js';
import type { Canary } from './canary.js';
import { isReached } from './canary-report.js';
import { canaryCounts, type CanaryCounts } from './canary-metrics.js';
import { bansIn, moveBans } from './directory-bans.js';
import { registerDirectoryMetrics, registerFlushMetrics } from './directory-metrics.js';
import type { MovingDirectory } from './directory-handover.js';
import type { InheritedState } from './directory-inheritance.js';
import type { DirectoryNode, DirectoryNodeOptions } from './directory-node-api.js';
import { movableFigures, earlierFigures, type DirectoryFigures } from './directory-figures.js';
import { DirectoryHistory, historyIn } from './directory-history.js';
import { directoryPageRoutes } from './directory-page.js';
import { createNodeCanary } from './node-canary.js';
import { NodeCluster } from './node-cluster.js';
import { createNodeDirectory } from './node-directory.js';
import { useFastCurves } from './fast-curves.js';
import { NodeService } from './node-service.js';
import { NodeStates } from './node-states.js';
import { nodeStatus } from './node-status.js';
import { SelfTests } from './self-tests.js';
import type { ServiceJson } from './service-states.js';
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
  readonly #canaryCounts: CanaryCounts;
  readonly #selfTests = new SelfTests();
  readonly #canary: Canary;
  readonly #reachable = deferred<void>();
  readonly #states: NodeStates;
  readonly #cluster: NodeCluster;
  readonly #history: DirectoryHistory;
  readonly #service: NodeService;
  #isServing: boolean;
  #motd: string;
  #limits: DirectoryLimits;
  #page: StatusServer | undefined;
  #moving: MovingDirectory | undefined;

  constructor(options: DirectoryNodeOptions, clock: Clock, metrics: Metrics) {
    const { inherited } = options;
    this.#options = options;
    this.#clock = clock;
    this.#service = new NodeService({
      ...options,
      clock,
      accept: (connection) => this.directory.accept(connection),
      onState: () => this.#onState(),
    });
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
    this.#canaryCounts = canaryCounts(this.#past?.selfTests);
    this.#canary = this.#createCanary();
    this.#cluster = new NodeCluster(options.cluster, {
      network: options.network,
      clock,
      log: this.#log,
      version: VERSION,
      inherits: inherited !== undefined,
      facts: () => ({
        motd: this.#motd,
        // A node that is open beside private ones shows strangers the peers of all.
        limits: `${JSON.stringify(this.#limits)}${options.gate ? ' private' : ''}`,
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
    return this.#service.locations;
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
    this.#service.begin();
    this.#page?.begin();
    this.#states.resumeTime(this.#past?.stateSeconds ?? 0);
    this.#record();
    this.#notifyCanary();
  }

  adopt(parcel: Parcel): void {
    this.#service.adopt(parcel);
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
    this.#service.renew();
  }

  admitTest(nicks: readonly string[]): string | undefined {
    const code = this.#selfTests.newCode();
    for (const nick of nicks) {
      if (!this.directory.operator.hasPeer(nick)) this.#selfTests.add(nick, code);
    }
    return this.#options.gate === undefined ? undefined : code;
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
    await Promise.all([this.#canary.stop(), this.#service.close(), this.directory.close()]);
    await this.#page?.close();
    this.#log.close();
  }

  #createCanary(): Canary {
    return createNodeCanary(this.#options, {
      nick: this.nick,
      clock: this.#clock,
      log: this.#log,
      metrics: this.#metrics,
      selfTests: this.#selfTests,
      counts: this.#canaryCounts,
      past: this.#past?.canary,
      onUnreachable: () => this.#service.reportUnreachable(),
    });
  }

  #createDirectory(): Directory {
    const observeFlush = registerFlushMetrics(this.#metrics);
    return createNodeDirectory(this.#options, {
      nick: this.nick,
      location: (via) => this.#service.locationFor(via),
      motd: () => this.#motd,
      limits: this.#limits,
      selfTests: this.#selfTests,
      cluster: this.#cluster,
      onFlush: (report) => {
        observeFlush(report);
        this.#history.flushed(report);
      },
      clock: this.#clock,
      log: this.#log,
    });
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
    return this.#service.json(this.#isServing);
  }

  #status(): Record<string, unknown> {
    return nodeStatus({
      network: this.#options.network,
      states: this.#states,
      served: this.#service.served,
      services: this.#servicesNow(),
      upSeconds: this.#upSeconds(),
      health: this.health(),
      canary: this.#canary,
      cluster: this.#cluster,
      directory: this.directory,
      isPrivate: this.#options.gate !== undefined,
    });
  }

  async #serve(): Promise<void> {
    const { inherited } = this.#options;
    const served = await this.#service.start();
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

  #onState(): void {
    if (this.#states.name === 'stopping') return;
    const { together } = this.#service;
    this.#states.enter(together);
    this.#notifyCanary();
    if (together.state === 'reachable') this.#reachable.resolve();
    this.#options.onState?.(together);
  }

  /** It tests the first location, while that is reachable. */
  #notifyCanary(): void {
    if (!this.#isServing) return;
    const isStopping = this.#states.name === 'stopping';
    this.#canary.published(isStopping ? undefined : this.#service.reachable);
  }

  #upSeconds(): number {
    return Math.round((this.#clock.now() - this.#startedAt) / 1000);
  }

  #pastNow(): DirectoryFigures {
    return {
      upSeconds: this.#upSeconds(),
      stateSeconds: this.#states.seconds,
      entered: this.#states.entered,
      selfTests: this.#canaryCounts,
      canary: this.#canary.report(),
    };
  }
}
