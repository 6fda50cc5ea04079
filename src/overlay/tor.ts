/**
 * The Tor overlay: dials v3 onions through SOCKS, and serves one through a local listener to which Tor
 * forwards.
 */
import { randomBytes } from 'node:crypto';
import { isRecord } from '../kit/json-record.js';
import { silentLog, type Log } from '../channel/log.js';
import type { Clock, Overlay, Random, ServeOptions, Served } from '../channel/ports.js';
import type { Movable, Parcels } from '../kit/movable.js';
import { VIRTUAL_PORT } from '../protocol/constants.js';
import { formatLocation, isLoopbackHost } from '../protocol/location.js';
import type { ControlClient } from '../tor/control/client.js';
import { TorState } from '../tor/control/tor-state.js';
import { readOnionHostname } from '../tor/onion/key-folder.js';
import type { PowQueue } from '../tor/onion/add-onion.js';
import type { ServedFolder } from '../tor/onion/hidden-service-dir.js';
import {
  startOnionService,
  type OnionIdentity,
  type OnionServiceOptions,
} from '../tor/onion/service.js';
import { onionTarget } from '../tor/onion/target.js';
import { startSelfTest, type SelfTest } from '../tor/onion/self-test.js';
import { createSocksDialer, type SocksDialer, type SocksEndpoint } from '../tor/socks/dialer.js';
import { listen, type ListenAddress, type Listening, type UnixSocket } from './listen.js';
import { groupSocket, noteTcp, socketForTor, type SocketPlace } from './onion-socket.js';
import { OverlayError } from './overlay-error.js';
import { socketConnection } from './socket-connection.js';
import { systemClock } from './system-clock.js';
import { TorDoor } from './tor-door.js';

const KIND = 'onion';

/** How the onion is served. */
export type TorServing =
  /** Through a control connection, to the operator's Tor or to the one that the program started. */
  | {
      /** Whether the program adds the onion through a control port, or the torrc has it. */
      readonly kind: 'control';
      /** The key of the onion. */
      readonly identity: OnionIdentity;
      /** The address to which Tor forwards; port 0 takes any free port. */
      readonly listen: ListenAddress;
      /** Opens an authenticated control connection; rejects with a TorError. */
      readonly connectControl: (signal: AbortSignal) => Promise<ControlClient>;
      /**
       * The host at which Tor reaches the listener; by default found out from the control connection.
       */
      readonly targetHost?: string | undefined;
      /** The queue of Tor's proof of work defence; default `DEFAULT_POW_QUEUE`. */
      readonly pow?: PowQueue;
      /**
       * For a Tor that the program started, and a persistent identity: serve out of the key folder
       * through a unix socket with this path, so that every connection carries its circuit. `listen` is
       * not used then.
       */
      readonly circuits?: {
        /** The folder of the onion's key. */
        readonly folder: ServedFolder;
        /** Path of the unix socket. */
        readonly socket: string;
      };
      /** Public keys of the only clients that may find the onion, read each time it is added; absent: all. */
      readonly clients?: (() => Promise<readonly string[]>) | undefined;
      /**
       * Serve through a unix socket, where this Tor can reach one; else, and when a dial shows that it
       * cannot, through `listen`.
       */
      readonly socket?: SocketPlace;
      /** Longest wait for the descriptor uploads, in milliseconds. */
      readonly uploadTimeoutMs?: number;
      /**
       * Whether to repeat the self-test at intervals (default false), for programs without a canary.
       */
      readonly selfTestRounds?: boolean;
      /** The intervals of requests to Tor and of self-tests, in milliseconds. */
      readonly watchTimings?: OnionServiceOptions['watchTimings'];
    }
  /** The operator's torrc serves it; the overlay only listens and reads `hostname`. */
  | {
      /** Whether the program adds the onion through a control port, or the torrc has it. */
      readonly kind: 'external';
      /** The folder that the torrc names, with its `hostname` file. */
      readonly hiddenServiceDir: string;
      /** The address to which the torrc forwards. */
      readonly listen: ListenAddress;
      /** A unix socket, if the torrc forwards to that. */
      readonly socket?: {
        /** Path of the unix socket. */
        readonly path: string;
        /** Whether the torrc has HiddenServiceExportCircuitID, so that each connection begins with a PROXY line. */
        readonly circuits: boolean;
      };
    };

/** Options of a Tor overlay. */
export interface TorOverlayOptions {
  /** Tor's SocksPort; a function where it may change. */
  readonly socks: SocksEndpoint | (() => SocksEndpoint);
  /** Absent for a peer that only dials. */
  readonly serving?: TorServing;
  /** Longest time of a dial, in milliseconds (default 120,000). */
  readonly dialDeadlineMs?: number;
  /** Most dials at the same time (default 16). */
  readonly maxPendingDials?: number;
  /** Gives Tor what it needs to dial a host: a key of client authorisation. Must not reject. */
  readonly beforeDial?: (host: string) => Promise<void>;
  /** The time of all timers; default the system's. */
  readonly clock?: Clock;
  /** Default `silentLog`. */
  readonly log?: Log;
  /** For random waits; default `Math.random`. */
  readonly random?: Random;
}

interface Tools {
  readonly clock: Clock;
  readonly log: Log;
  readonly random: Random;
  readonly selfTest: SelfTest;
}

/** How a service is handed over: its listener, and the onion service if the program added it. */
function accepting(
  door: TorDoor,
  service: Movable | undefined,
): Required<Pick<Served, 'listensOn' | 'begin' | 'adopt' | 'move'>> {
  return {
    get listensOn() {
      return door.listening.text;
    },
    begin() {
      service?.release();
      door.listening.begin();
      door.release();
    },
    adopt: (parcel) => door.listening.adopt(parcel),
    move: {
      async hold() {
        door.hold();
        try {
          // First, because this one may refuse.
          const parcels = (await service?.hold()) ?? [];
          try {
            return [...parcels, ...(await door.listening.move.hold())];
          } catch (error) {
            service?.release();
            throw error;
          }
        } catch (error) {
          door.release();
          throw error;
        }
      },
      release() {
        service?.release();
        door.listening.move.release();
        door.release();
      },
      leave: () => door.listening.move.leave(),
    },
  };
}

async function serveByControl(
  serving: TorServing & { readonly kind: 'control' },
  door: TorDoor,
  { signal, onState, inherited }: ServeOptions,
  tools: Tools,
): Promise<Served> {
  const { identity, connectControl, pow, uploadTimeoutMs, circuits, targetHost } = serving;
  const { selfTestRounds, watchTimings, clients } = serving;
  const service = await startOnionService({
    connect: connectControl,
    identity,
    virtualPort: VIRTUAL_PORT,
    target({ ends }) {
      const { host, port, socket } = door.listening;
      if (socket !== undefined) return { unix: socket.path };
      return onionTarget({ host, port, explicit: targetHost, ends });
    },
    ...(circuits === undefined || door.listening.socket?.circuits !== true
      ? {}
      : { folder: circuits.folder }),
    clients,
    inherited,
    signal,
    ...tools,
    onState(state) {
      if (state.state === 'lost') door.listening.anotherTor();
      door.reachable(state.state === 'reachable');
      onState?.(state, KIND);
    },
    ...(pow === undefined ? {} : { pow }),
    ...(uploadTimeoutMs === undefined ? {} : { uploadTimeoutMs }),
    ...(selfTestRounds === undefined ? {} : { selfTestRounds }),
    ...(watchTimings === undefined ? {} : { watchTimings }),
  });
  // Reported by `onState`, so no caller must await this promise.
  service.reachable.catch(() => {});
  door.leadsFrom(service);
  const torState = new TorState({ connect: connectControl, clock: tools.clock, log: tools.log });
  const accept = accepting(door, service.move);
  return {
    locations: [service.location],
    get listensOn() {
      return accept.listensOn;
    },
    begin: accept.begin,
    adopt: accept.adopt,
    move: {
      ...accept.move,
      leave() {
        torState.stop();
        return accept.move.leave();
      },
    },
    reportUnreachable: () => service.reportUnreachable(),
    renew: () => service.renew(),
    daemon: () => torState.read(),
    async close() {
      torState.stop();
      door.close();
      await service.close();
    },
  };
}

/** The key of the parcel that says whether the operator's onion was reached from outside. */
const SEEN = 'external-onion';

async function serveExternally(
  serving: TorServing & { readonly kind: 'external' },
  door: TorDoor,
  { onState, inherited }: ServeOptions,
  { selfTest, clock, log }: Tools,
): Promise<Served> {
  const host = await readOnionHostname(serving.hiddenServiceDir);
  let stopTest: (() => void) | undefined;
  const before = inherited?.get(SEEN)?.value;
  let seen = isRecord(before) && before['seen'] === true;
  if (seen) onState?.({ state: 'reachable' }, KIND);
  else {
    // The operator's Tor reports nothing, so only a self-test can tell.
    const detail = 'not yet seen from outside; the HiddenServiceDir in your torrc serves it';
    onState?.({ state: 'starting', detail }, KIND);
    stopTest = startSelfTest({
      selfTest,
      host,
      clock,
      log,
      onReached() {
        seen = true;
        log.info('onion service reachable', { onion: host });
        onState?.({ state: 'reachable' }, KIND);
      },
    });
  }
  const move: Movable = {
    hold: () => Promise.resolve([{ key: SEEN, value: { seen } }]),
    release() {},
  };
  return {
    locations: [{ kind: KIND, host, port: VIRTUAL_PORT }],
    ...accepting(door, move),
    close: () => {
      stopTest?.();
      door.close();
      return Promise.resolve();
    },
  };
}

/** The unix socket to which Tor is to forward; undefined for TCP. */
async function socketOf(
  serving: TorServing,
  signal: AbortSignal,
  log: Log,
): Promise<UnixSocket | undefined> {
  if (serving.kind === 'external') {
    return serving.socket && groupSocket(serving.socket.path, serving.socket.circuits);
  }
  const { circuits, socket, connectControl } = serving;
  if (circuits) return { path: circuits.socket, circuits: true, group: undefined };
  if (socket === undefined) return undefined;
  const client = await connectControl(signal);
  try {
    return await socketForTor(client, socket, log);
  } finally {
    client.close();
  }
}

/** Nobody named the socket, so TCP is as good. */
function choosesSocket(serving: TorServing): boolean {
  return serving.kind === 'control' && serving.socket?.path === undefined && !serving.circuits;
}

async function serve(
  serving: TorServing,
  onConnection: Parameters<Overlay['serve']>[0],
  options: ServeOptions,
  tools: Tools,
): Promise<Served> {
  const { clock, log, selfTest } = tools;
  const { signal, inherited } = options;
  const open = (socket?: UnixSocket, from?: Parcels): Promise<Listening> => {
    if (socket === undefined && !isLoopbackHost(serving.listen.host)) {
      log.warn(
        `onion_serving_host ${serving.listen.host} is not loopback: other machines can connect without Tor`,
      );
    }
    const address = serving.listen;
    return listen({
      address,
      socket,
      via: KIND,
      inherited: from,
      onConnection,
      signal,
      clock,
      log,
    });
  };
  const socket = inherited === undefined ? await socketOf(serving, signal, log) : undefined;
  const listening = await open(socket, inherited).catch((error: unknown) => {
    if (!choosesSocket(serving) || !(error instanceof OverlayError)) throw error;
    noteTcp(log, error);
    return open();
  });
  const door = new TorDoor({ listening, openTcp: () => open(), selfTest, clock, log });
  try {
    return serving.kind === 'control'
      ? await serveByControl(serving, door, options, tools)
      : await serveExternally(serving, door, options, tools);
  } catch (error) {
    door.close();
    throw error;
  }
}

/**
 * The Tor overlay. `dial` rejects with a SocksError; `serve` with an OverlayError or a TorError, and
 * then leaves no listener behind. `close` does not end a Tor; the code that started it does.
 */
export function createTorOverlay(options: TorOverlayOptions): Overlay {
  const { clock = systemClock, log = silentLog, random = Math.random, serving } = options;
  const dialer: SocksDialer = createSocksDialer({
    socks: options.socks,
    clock,
    log,
    ...(options.dialDeadlineMs === undefined ? {} : { deadlineMs: options.dialDeadlineMs }),
    ...(options.maxPendingDials === undefined ? {} : { maxPending: options.maxPendingDials }),
  });
  /** Over a circuit of its own, and closed at once. */
  const selfTest: SelfTest = async (host, signal) => {
    const location = { kind: KIND, host, port: VIRTUAL_PORT } as const;
    await options.beforeDial?.(host);
    const isolation = `self-test:${randomBytes(8).toString('hex')}`;
    (await dialer.dial(location, { signal, isolation })).destroy();
  };
  return {
    reachable: new Set([KIND]),
    async dial(location, dialOptions) {
      if (location.kind === KIND) await options.beforeDial?.(location.host);
      const socket = await dialer.dial(location, dialOptions);
      return socketConnection(socket, { via: KIND, clock, remote: formatLocation(location) });
    },
    async serve(onConnection, serveOptions) {
      if (serving === undefined) {
        throw new OverlayError(
          'not-serving',
          'this program only dials: it was set up not to serve',
        );
      }
      return serve(serving, onConnection, serveOptions, { clock, log, random, selfTest });
    },
    close: () => Promise.resolve(),
  };
}
