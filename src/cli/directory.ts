/** `onionmc directory`: a directory node, without a wallet. */
import { errorText } from '../kit/error-text.js';
import type { KeyName } from '../config/changed-keys.js';
import { camelCase } from '../config/read-section.js';
import type { DirectorySettings, Settings } from '../config/settings.js';
import type { Overlay, ServiceState } from '../channel/ports.js';
import type { Parcels } from '../kit/movable.js';
import {
  serveRequests,
  programAnswers,
  UPGRADE_REQUEST,
  type UpgradeAnswer,
} from '../ops/request-socket.js';
import { createNotifier, type Notifier } from '../ops/systemd-notifier.js';
import { smallYoungGeneration } from '../ops/young-generation.js';
import { systemClock } from '../overlay/system-clock.js';
import { VIRTUAL_PORT } from '../protocol/constants.js';
import { formatLocation } from '../protocol/location.js';
import { limitsFrom, type DirectoryLimits } from '../directory/limits.js';
import {
  openOverlay,
  type OpenedOverlay,
  type OpenOverlayOptions,
} from '../overlay/factory/open-overlays.js';
import { checkClients } from '../overlay/factory/restricted.js';
import {
  startDirectoryNode,
  type DirectoryNode,
  type DirectoryNodeOptions,
} from '../roles/directory-node.js';
import {
  declineInheritance,
  DirectoryInheritance,
  isSuccessor,
} from '../roles/directory-inheritance.js';
import {
  answerOperator,
  parseOperatorRequest,
  refusedRequest,
} from '../roles/operator-requests.js';
import type { OpenCluster } from '../roles/node-cluster.js';
import { openListServer } from '../roles/directories/from-settings.js';
import type { ListServer } from '../roles/directories/list-server.js';
import { DIRECTORY_POW_QUEUE } from '../tor/onion/add-onion.js';
import { loadOrCreateOnionKey } from '../tor/onion/key-folder.js';
import { VERSION } from '../roles/version.js';
import { openAdmissionParts } from './admission-parts.js';
import { createUpgrade } from './directory-upgrade.js';
import { UsageError } from './errors.js';
import { print } from './print.js';
import { usesTunnel } from './tor-upstream.js';
import { openProgram, type CommonOptions, type Program } from './program.js';

type NodeOptions = Required<
  Pick<
    DirectoryNodeOptions,
    | 'network'
    | 'motd'
    | 'limits'
    | 'publicWindowMs'
    | 'dialBack'
    | 'nickAuth'
    | 'canaryIntervalMs'
    | 'status'
  >
>;

/** `[DIRECTORY]` in the units of the directory. */
export function limitsOf(settings: DirectorySettings): DirectoryLimits {
  return limitsFrom((key) => settings[camelCase(key)]);
}

/** The options of a directory node from the configuration. */
export function nodeOptions({ network, onion, directory }: Settings): NodeOptions {
  return {
    network,
    motd: directory.motd,
    limits: limitsOf(directory),
    publicWindowMs: directory.publicWindowMs,
    dialBack: directory.dialBack,
    nickAuth: directory.nickAuth,
    // On loopback there is no view from outside.
    canaryIntervalMs: onion.withoutTor ? 0 : directory.canaryIntervalSec * 1000,
    status: {
      host: directory.statusHost,
      port: directory.statusPort,
      hosts: directory.statusHosts,
    },
  };
}

/** Keys of `[DIRECTORY]` that a reload does not change. */
const FIXED_KEYS: ReadonlySet<string> = new Set([
  'public_window_ms',
  'dial_back',
  'canary_interval_sec',
  'nick_auth',
  'status_host',
  'status_port',
  'status_hosts',
]);

/** Whether a reload changes this key. */
export function isLiveKey({ section, key }: KeyName): boolean {
  return section === 'DIRECTORY' && !FIXED_KEYS.has(key);
}

/**
 * The onion address, created offline at the first start; undefined when the key is not this program's.
 */
export async function ownOnionLocation({ onion }: Settings): Promise<string | undefined> {
  if (onion.withoutTor || onion.torMode === 'external' || onion.hiddenServiceDir === undefined) {
    return undefined;
  }
  const { key } = await loadOrCreateOnionKey(onion.hiddenServiceDir);
  return `${key.host}:${VIRTUAL_PORT}`;
}

/** Logs the state of the service. */
function notifyState(notifier: Notifier | undefined, state: ServiceState): void {
  if (state.state === 'starting') notifier?.status(state.detail);
  else if (state.state === 'reachable') notifier?.status('reachable');
  else notifier?.status(`not reachable: ${state.detail}`);
}

/** The tunnel of the present process is the only way of the Tor that would be handed over. */
const TUNNEL_STAYS = refusedRequest(
  'no upgrade with [TOR] upstream = lthn://: the tunnel cannot change its process; restart the directory',
);
const STARTING = refusedRequest('the directory is still starting; try again when it is up');

/** The parts of `onionmc directory` in one process, and what its signals do. */
class DirectoryProgram {
  readonly #program: Program;
  /** Of the command line; it has priority over the configuration. */
  readonly #motd: string | undefined;
  readonly #tools: Pick<OpenOverlayOptions, 'clock' | 'random' | 'log' | 'signal'>;
  #node: DirectoryNode | undefined;
  #notifier: Notifier | undefined;
  #upgrade: (() => Promise<UpgradeAnswer>) | undefined;
  #lists: ListServer | undefined;
  /** Upgrades that are under way, and one that succeeded: another process has the peers then. */
  #upgrades = 0;

  constructor(program: Program, motd: string | undefined) {
    const { log, shutdown } = program;
    this.#program = program;
    this.#motd = motd;
    this.#tools = { clock: systemClock, random: Math.random, log, signal: shutdown.signal };
  }

  async runFresh(): Promise<void> {
    const { settings, log, shutdown } = this.#program;
    if (await programAnswers(settings.datadir)) {
      throw new UsageError(
        `a directory runs with the data directory ${settings.datadir} already: stop it first, or give this one another --datadir`,
      );
    }
    // From the start on, so that a second process finds it.
    await this.#takeRequests();
    this.#notify();
    const address = await ownOnionLocation(settings);
    if (address !== undefined) {
      const { hiddenServiceDir } = settings.onion;
      // A start that is refused shows no address.
      if (this.#isRestricted() && hiddenServiceDir !== undefined) {
        await checkClients(hiddenServiceDir);
      }
      // At once: an operator can publish the address before Tor is ready.
      print(address);
    }
    const opened = await this.#open(undefined);
    shutdown.onStop('overlay', () => opened.close());
    const node = await this.#start(opened.overlay, undefined);
    shutdown.onStop('directory', () => node.close());
    this.#run(opened, node);
    const locations = node.locations.map(formatLocation);
    for (const location of locations) if (location !== address) print(location);
    log.info('directory node is up', {
      location: locations.join(', '),
      network: settings.network,
    });
  }

  /** Until it has taken over, the new process owns nothing: it ends without stopping any part. */
  async runInherited(): Promise<void> {
    const { log, shutdown } = this.#program;
    // Loaded now, while the previous process still serves its peers.
    await import('../ops/metrics.js');
    const inheritance = await DirectoryInheritance.receive(VERSION, systemClock);
    try {
      const opened = await this.#open(inheritance.parcels);
      const node = await this.#start(opened.overlay, inheritance);
      inheritance.prepare(node.directory, opened.overlay.reachable);
      node.restore(await inheritance.rest());
      await inheritance.takeOver(
        () => {
          opened.move?.release();
          node.begin();
          this.#notify();
          shutdown.onStop('overlay', () => opened.close());
          shutdown.onStop('directory', () => node.close());
        },
        (parcel) => node.adopt(parcel),
      );
      log.info('took over from the previous process', {
        peers: node.directory.peerCount,
        location: node.locations.map(formatLocation).join(', '),
      });
      this.#run(opened, node);
      await this.#takeRequests();
      inheritance.finish();
    } catch (error) {
      await inheritance.fail(errorText(error));
      throw error;
    }
  }

  /** SIGHUP. */
  reload({ directory }: Settings): void {
    this.#node?.reload({
      limits: limitsOf(directory),
      ...(this.#motd === undefined ? { motd: directory.motd } : {}),
    });
  }

  /** SIGUSR2. */
  upgrade(): void {
    if (this.#upgrade) void this.#upgrade();
    else this.#program.log.warn('no upgrade while the directory is starting');
  }

  stopping(): void {
    this.#notifier?.stopping();
  }

  /** Whether only Tor clients with a key may reach the onion. */
  #isRestricted(): boolean {
    const { admission } = this.#program.settings;
    return admission.private && admission.torClients;
  }

  async #open(inherited: Parcels | undefined): Promise<OpenedOverlay> {
    return openOverlay({
      ...this.#tools,
      settings: this.#program.settings,
      serves: true,
      circuits: true,
      restricted: this.#isRestricted(),
      pow: DIRECTORY_POW_QUEUE,
      inherited,
    });
  }

  async #start(
    overlay: Overlay,
    inherited: DirectoryInheritance | undefined,
  ): Promise<DirectoryNode> {
    const motd = this.#motd;
    const { settings, shutdown } = this.#program;
    const { gate, door } = await openAdmissionParts(this.#program);
    const options = nodeOptions(settings);
    const lists = await openListServer({ ...this.#tools, settings, overlay });
    this.#lists = lists;
    if (lists) shutdown.onStop('lists of directories', () => lists.close());
    const cluster = await this.#openCluster();
    return startDirectoryNode({
      ...this.#tools,
      ...options,
      gate,
      status: { ...options.status, door },
      ...(motd === undefined ? {} : { motd }),
      ...(cluster === undefined ? {} : { cluster }),
      overlay,
      ...(lists && { directoryList: lists.served }),
      onState: (state) => notifyState(this.#notifier, state),
      inherited,
    });
  }

  /** Nothing of a cluster is loaded without `[CLUSTER]`. */
  async #openCluster(): Promise<OpenCluster | undefined> {
    const { settings } = this.#program;
    if (settings.cluster === undefined) return undefined;
    const { openCluster } = await import('../roles/open-cluster.js');
    return openCluster(settings.cluster, settings);
  }

  #notify(): Notifier {
    const { log, shutdown } = this.#program;
    const notifier = createNotifier({ log, clock: systemClock });
    this.#notifier = notifier;
    shutdown.onStop('systemd notifier', () => notifier.close());
    return notifier;
  }

  /** From here on the operator's commands reach this process. */
  #run(opened: OpenedOverlay, node: DirectoryNode): void {
    const { log, shutdown } = this.#program;
    const notifier = this.#notifier ?? this.#notify();
    this.#node = node;
    void this.#lists?.start(node.locations);
    const upgrade = createUpgrade({ node, opened, notifier, shutdown, log });
    this.#upgrade = async () => {
      if (usesTunnel(this.#program.settings)) {
        log.warn(TUNNEL_STAYS.why);
        return TUNNEL_STAYS;
      }
      this.#upgrades++;
      const answer = await upgrade();
      if (!answer.done) this.#upgrades--;
      return answer;
    };
    notifier.ready();
  }

  /** Answers one request of the socket; undefined for one that is not known. */
  #respond(line: string): Promise<unknown> | undefined {
    if (line === UPGRADE_REQUEST) return this.#upgrade?.() ?? Promise.resolve(STARTING);
    const request = parseOperatorRequest(line);
    if (!request.ok) return undefined;
    if (!this.#node) return Promise.resolve(STARTING);
    if (this.#upgrades > 0) {
      return Promise.resolve(refusedRequest('an upgrade is under way; try again'));
    }
    if (request.value.ask === 'tor-clients') {
      this.#node.renewLocations();
      return Promise.resolve({ done: true });
    }
    if (request.value.ask === 'self-test') {
      return Promise.resolve({ done: true, code: this.#node.admitTest(request.value.nicks) });
    }
    const { operator } = this.#node.directory;
    return Promise.resolve(answerOperator(operator, request.value, this.#program.log));
  }

  async #takeRequests(): Promise<void> {
    const { settings, log, shutdown } = this.#program;
    try {
      const requests = await serveRequests(settings.datadir, (line) => this.#respond(line));
      shutdown.onStop('requests of the operator', () => requests.close());
    } catch (error) {
      const reason = errorText(error);
      log.warn('"onionmc upgrade", "list" and "kick" cannot be used; SIGUSR2 upgrades', { reason });
    }
  }
}

export async function runDirectory(
  motd: string | undefined,
  options: CommonOptions,
): Promise<void> {
  smallYoungGeneration();
  let directory: DirectoryProgram | undefined;
  const program = await openProgram('directory', options, {
    onReload: (fresh) => directory?.reload(fresh),
    isLive: isLiveKey,
    onUpgrade: () => directory?.upgrade(),
    onStopping: () => directory?.stopping(),
  }).catch(async (error: unknown) => {
    await declineInheritance(errorText(error));
    throw error;
  });
  directory = new DirectoryProgram(program, motd);
  await (isSuccessor() ? directory.runInherited() : directory.runFresh());
}
