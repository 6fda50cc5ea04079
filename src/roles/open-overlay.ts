/**
 * The overlay that a configuration asks for: loopback, or Tor in one of its modes (`tor_mode`).
 */
import { join } from 'node:path';
import { hostAndPort } from '../kit/host-name.js';
import type { Log } from '../channel/log.js';
import type { Clock, Overlay, Random } from '../channel/ports.js';
import { ownTorFolder } from '../config/data-files.js';
import type { Settings } from '../config/settings.js';
import type { Movable, Parcels } from '../handover/parcel.js';
import { createRateCappedLog } from '../ops/rate-capped-log.js';
import { createLoopbackOverlay } from '../overlay/loopback.js';
import { createTorOverlay, type TorServing } from '../overlay/tor.js';
import { connectControl, type ControlClient } from '../tor/control/client.js';
import { loadOrCreateOnionKey } from '../tor/onion/key-folder.js';
import type { PowQueue } from '../tor/onion/add-onion.js';
import type { OnionIdentity } from '../tor/onion/service.js';
import type { SocksEndpoint } from '../tor/socks/dialer.js';
import { TorError } from '../tor/tor-error.js';
import { hasInheritedTor, startTorProcess, type TorProcess } from '../tor/process/tor-process.js';
import { socksAnswers } from './socks-probe.js';

/** Different lines of which a few are logged in a minute each; all further ones share one count. */
const DIFFERENT_LINES = 64;

/** In the folder of our own Tor's sockets. */
const ONION_SOCKET = 'onion.sock';

export interface OpenOverlayOptions {
  readonly settings: Pick<Settings, 'datadir' | 'onion' | 'role'>;
  /** Whether this program serves an onion, or only dials. */
  readonly serves: boolean;
  /**
   * Whether connections are to carry their Tor circuit, where Tor is ours (`tor_mode = managed`, or
   * `auto` without another Tor); they come through a unix socket then, and not by
   * `onion_serving_port`.
   */
  readonly circuits?: boolean;
  /** How many introductions per second Tor lets through under its proof-of-work defence. */
  readonly pow?: PowQueue;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly signal: AbortSignal;
  /** What another process handed over, to go on with; to be given to `Overlay.serve`, too. */
  readonly inherited?: Parcels | undefined;
}

export interface OpenedOverlay {
  readonly overlay: Overlay;
  /** The tor process that is ours, if any: it ends with `close`. */
  readonly ownsTor: boolean;
  /** Our tor process, for another process to go on with; absent where there is none. */
  readonly move?: Movable;
  close(): Promise<void>;
}

/** Where bytes leave for Tor, and where it takes orders; a managed Tor has both. */
interface TorAccess {
  readonly socks: SocksEndpoint;
  readonly connect: (signal: AbortSignal) => Promise<ControlClient>;
  readonly process: TorProcess | undefined;
}

function theirTor({ settings }: OpenOverlayOptions): TorAccess {
  const { socks, control, controlPassword } = settings.onion;
  return {
    socks: { kind: 'tcp', ...socks },
    connect: (signal) =>
      connectControl({
        endpoint: control,
        signal,
        ...(controlPassword === undefined ? {} : { password: controlPassword }),
      }),
    process: undefined,
  };
}

async function ownTor({ settings, ...tools }: OpenOverlayOptions): Promise<TorAccess> {
  const { log } = tools;
  const process = await startTorProcess({
    dataDir: ownTorFolder(settings.datadir, settings.role),
    ...tools,
    onBootstrap: (percent, summary) => log.info(`our tor: ${percent}% ${summary}`),
  });
  return { socks: process.socks, connect: (signal) => process.connectControl(signal), process };
}

/** How a connection fails where no Tor is. */
const NOBODY_THERE: ReadonlySet<TorError['code']> = new Set(['refused', 'no-socket', 'timeout']);

/** Whether the operator's Tor answers; throws when it answers but refuses us. */
async function findTheirTor(options: OpenOverlayOptions): Promise<TorAccess | TorError> {
  const access = theirTor(options);
  if (!options.serves) {
    const { socks } = options.settings.onion;
    if (await socksAnswers(socks, options.signal)) return access;
    return new TorError(
      'connect',
      'refused',
      `nothing listens at Tor's SOCKS port ${hostAndPort(socks.host, socks.port)}`,
      { remedy: 'unreachable' },
    );
  }
  try {
    (await access.connect(options.signal)).close();
    return access;
  } catch (error) {
    // A Tor that answers and refuses is for the operator to mend: never fall back in silence.
    if (error instanceof TorError && NOBODY_THERE.has(error.code)) return error;
    throw error;
  }
}

async function autoTor(options: OpenOverlayOptions): Promise<TorAccess> {
  const found = await findTheirTor(options);
  if (!(found instanceof TorError)) return found;
  options.log.warn(`starting our own tor process (tor_mode = auto), since ${found.message}`);
  try {
    return await ownTor(options);
  } catch (error) {
    if (!(error instanceof TorError) || error.code !== 'tor-missing') throw error;
    throw new TorError(
      'connect',
      found.code,
      `${found.message}; and the tor program, to start one of our own, is not installed (apt-get install tor)`,
      { remedy: 'unreachable', cause: found },
    );
  }
}

/** The Tor that another process served by, whatever the configuration says by now. */
async function inheritedTor(options: OpenOverlayOptions, parcels: Parcels): Promise<TorAccess> {
  return hasInheritedTor(parcels) ? ownTor(options) : theirTor(options);
}

async function identityOf(hiddenServiceDir: string | undefined): Promise<OnionIdentity> {
  if (hiddenServiceDir === undefined) return { kind: 'ephemeral' };
  const { key } = await loadOrCreateOnionKey(hiddenServiceDir);
  return { kind: 'persistent', key };
}

/** With `tor_mode = external`: the operator's torrc serves, we only listen. */
function external({ settings, clock, random, log }: OpenOverlayOptions, serves: boolean): Overlay {
  const { socks, serving, hiddenServiceDir } = settings.onion;
  if (serves && hiddenServiceDir === undefined) {
    throw new TorError(
      'key-folder',
      'not-a-folder',
      'tor_mode = external needs hidden_service_dir: the HiddenServiceDir of your torrc, whose hostname file names our onion',
      { remedy: 'configuration' },
    );
  }
  return createTorOverlay({
    socks: { kind: 'tcp', ...socks },
    clock,
    random,
    log,
    ...(serves && hiddenServiceDir !== undefined
      ? { serving: { kind: 'external', hiddenServiceDir, listen: serving } }
      : {}),
  });
}

async function openUncapped(options: OpenOverlayOptions): Promise<OpenedOverlay> {
  const { settings, serves, clock, random, log } = options;
  const { onion } = settings;
  if (onion.loopback) {
    const overlay = createLoopbackOverlay({ ...onion.serving, clock, log });
    return { overlay, ownsTor: false, close: () => overlay.close() };
  }
  if (onion.torMode === 'external') {
    const overlay = external(options, serves);
    return { overlay, ownsTor: false, close: () => overlay.close() };
  }
  // The key first: a faulty folder must show before anything is started.
  const identity = serves ? await identityOf(onion.hiddenServiceDir) : undefined;
  const open = { auto: autoTor, managed: ownTor, control: async () => theirTor(options) };
  const access = await (options.inherited === undefined
    ? open[onion.torMode](options)
    : inheritedTor(options, options.inherited));
  const { process } = access;
  const serving: TorServing | undefined = identity && {
    kind: 'control',
    identity,
    listen: onion.serving,
    connectControl: access.connect,
    // A Tor of our own is on this machine.
    targetHost: process === undefined ? onion.targetHost : undefined,
    // A directory visits itself more often, and more closely (`createCanary`).
    selfTestRounds: settings.role !== 'directory',
    ...(options.pow === undefined ? {} : { pow: options.pow }),
    ...(options.circuits === true && process && onion.hiddenServiceDir !== undefined
      ? {
          circuits: {
            folder: {
              dir: onion.hiddenServiceDir,
              keepInTorrc: (lines) => process.keepInTorrc(lines),
            },
            socket: join(process.socketFolder, ONION_SOCKET),
          },
        }
      : {}),
  };
  const overlay = createTorOverlay({
    socks: access.socks,
    clock,
    random,
    log,
    ...(serving === undefined ? {} : { serving }),
  });
  return {
    overlay,
    ownsTor: process !== undefined,
    ...(process === undefined ? {} : { move: process.move }),
    async close() {
      await overlay.close();
      await process?.close();
    },
  };
}

/**
 * Opens the overlay of the settings. Rejects with a TorError or OverlayError that says what to do;
 * nothing is left running then. A Tor in trouble, or strangers that trouble it, log a bounded number
 * of lines.
 */
export async function openOverlay(options: OpenOverlayOptions): Promise<OpenedOverlay> {
  const log = createRateCappedLog(options.log, options.clock, { texts: DIFFERENT_LINES });
  try {
    const opened = await openUncapped({ ...options, log });
    return {
      ...opened,
      async close() {
        await opened.close();
        log.close();
      },
    };
  } catch (error) {
    log.close();
    throw error;
  }
}
