/** Opens the Tor overlay in one of its modes (`tor_mode`). */
import { join } from 'node:path';
import { hostAndPort } from '../../kit/host-name.js';
import type { Overlay } from '../../channel/ports.js';
import { onionAuthFolder, onionSocketFolder, ownTorFolder } from '../../config/data-files.js';
import type { Parcels } from '../../kit/movable.js';
import { connectControl, type ControlClient } from '../../tor/control/client.js';
import { loadOrCreateOnionKey } from '../../tor/onion/key-folder.js';
import { ClientCredentials } from '../../tor/onion/client-credentials.js';
import type { OnionIdentity } from '../../tor/onion/service.js';
import {
  hasInheritedTor,
  startTorProcess,
  type TorProcess,
} from '../../tor/process/tor-process.js';
import type { SocksEndpoint } from '../../tor/socks/dialer.js';
import { torrcString } from '../../tor/process/tor-program.js';
import { upstreamLines } from '../../tor/process/upstream-lines.js';
import { TorError } from '../../tor/tor-error.js';
import type { SocketPlace } from '../onion-socket.js';
import { createTorOverlay, type TorServing } from '../tor.js';
import type { OpenedOverlay, OpenOverlayOptions } from './opened.js';
import { authorizeSelf, checkClients, clientKeys, ownCredentials } from './restricted.js';
import { socksAnswers } from './socks-port.js';

/** In the folder of the sockets of our Tor. */
const ONION_SOCKET = 'onion.sock';

/** Tor's SOCKS port and its control port; a managed Tor has both. */
interface TorAccess {
  readonly socks: SocksEndpoint;
  readonly connect: (signal: AbortSignal) => Promise<ControlClient>;
  readonly process: TorProcess | undefined;
}

function operatorTor({ settings }: OpenOverlayOptions): TorAccess {
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

function badUpstream(text: string): TorError {
  return new TorError('process', 'bad-torrc', text, { remedy: 'configuration' });
}

/**
 * The proxy of our Tor. Throws a TorError (`process`, `bad-torrc`) where it cannot be used: Tor must not find a
 * direct way instead.
 */
function proxyLines({
  upstream,
  torMode,
}: OpenOverlayOptions['settings']['onion']): readonly string[] {
  if (upstream === undefined) return [];
  if (torMode !== 'managed')
    throw badUpstream(`[TOR] upstream needs tor_mode = managed, not ${torMode}`);
  if (upstream.kind !== 'lthn') return upstreamLines(upstream);
  throw badUpstream(
    `[TOR] upstream = ${upstream.link} works in the commands of onionmc only: elsewhere open it with "onionmc lethean connect", and use socks5:// with the address that it shows`,
  );
}

async function ownTor({ settings, ...tools }: OpenOverlayOptions): Promise<TorAccess> {
  const { log } = tools;
  const hasKeys = (await ownCredentials(settings)).length > 0;
  const keys = onionAuthFolder(settings.datadir);
  const process = await startTorProcess({
    dataDir: ownTorFolder(settings.datadir, settings.role),
    ...tools,
    extraTorrc: [
      ...proxyLines(settings.onion),
      ...(hasKeys ? [`ClientOnionAuthDir ${torrcString(keys)}`] : []),
    ],
    onBootstrap: (percent, summary) => log.info(`our tor: ${percent}% ${summary}`),
  });
  return { socks: process.socks, connect: (signal) => process.connectControl(signal), process };
}

/** The errors of a connection when no Tor listens. */
const NOT_LISTENING: ReadonlySet<TorError['code']> = new Set(['refused', 'no-socket', 'timeout']);

/** Whether the operator's Tor answers; throws when it answers but refuses access. */
async function findOperatorTor(options: OpenOverlayOptions): Promise<TorAccess | TorError> {
  const access = operatorTor(options);
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
    // When a Tor answers and refuses access, the operator must fix that: no silent fallback.
    if (error instanceof TorError && NOT_LISTENING.has(error.code)) return error;
    throw error;
  }
}

async function autoTor(options: OpenOverlayOptions): Promise<TorAccess> {
  const found = await findOperatorTor(options);
  if (!(found instanceof TorError)) return found;
  // The usual state of a machine without a Tor: no fault. The fix of the message would read like one.
  const [reason = ''] = found.message.split(': ');
  options.log.info(
    `starting our own tor process (tor_mode = auto), since ${reason}; to use the Tor of this machine instead, start it, then restart this program`,
  );
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

/** The Tor that the previous process used, whatever the configuration says now. */
async function inheritedTor(options: OpenOverlayOptions, parcels: Parcels): Promise<TorAccess> {
  return hasInheritedTor(parcels) ? ownTor(options) : operatorTor(options);
}

async function identityOf(hiddenServiceDir: string | undefined): Promise<OnionIdentity> {
  if (hiddenServiceDir === undefined) return { kind: 'ephemeral' };
  const { key } = await loadOrCreateOnionKey(hiddenServiceDir);
  return { kind: 'persistent', key };
}

/** With `tor_mode = external`: the operator's torrc serves the onion, and this program only listens. */
function external({ settings, clock, random, log }: OpenOverlayOptions, serves: boolean): Overlay {
  const { socks, serving, servingSocket, servingCircuits, hiddenServiceDir } = settings.onion;
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
      ? {
          serving: {
            kind: 'external',
            hiddenServiceDir,
            listen: serving,
            ...(servingSocket.kind === 'unix'
              ? { socket: { path: servingSocket.path, circuits: servingCircuits } }
              : {}),
          },
        }
      : {}),
  });
}

/** Where the unix socket for the operator's Tor may be; undefined: TCP only. */
function socketPlace({ settings, severalLocations }: OpenOverlayOptions): SocketPlace | undefined {
  const { servingSocket, targetHost, control } = settings.onion;
  if (servingSocket.kind === 'tcp' || targetHost !== undefined) return undefined;
  const path = servingSocket.kind === 'unix' ? servingSocket.path : undefined;
  // Only a directory has so many connections that it matters.
  if (severalLocations === true || (path === undefined && settings.role !== 'directory')) {
    return undefined;
  }
  return {
    path,
    // The first of several.
    runtimeFolder: process.env['RUNTIME_DIRECTORY']?.split(':')[0],
    ownFolder: onionSocketFolder(settings.datadir),
    controlSocket: control.kind === 'unix' ? control.path : undefined,
  };
}

/** Opens Tor in the mode of the settings. Rejects as `openOverlay`; nothing is left running then. */
export async function openTor(options: OpenOverlayOptions): Promise<OpenedOverlay> {
  const { settings, serves, clock, random, log } = options;
  const { onion } = settings;
  // Checked in every mode, before anything is opened.
  proxyLines(onion);
  const restricted = serves && options.restricted === true ? onion.hiddenServiceDir : undefined;
  if (restricted !== undefined) await checkClients(restricted);
  if (onion.torMode === 'external') {
    const overlay = external(options, serves);
    return { overlay, close: () => overlay.close() };
  }
  // The key is read first: a faulty folder is reported before a program is started.
  const identity = serves ? await identityOf(onion.hiddenServiceDir) : undefined;
  if (restricted !== undefined && identity?.kind === 'persistent') {
    await authorizeSelf(restricted, settings.datadir, identity.key.host);
  }
  const open = { auto: autoTor, managed: ownTor, control: async () => operatorTor(options) };
  const access = await (options.inherited === undefined
    ? open[onion.torMode](options)
    : inheritedTor(options, options.inherited));
  const { process } = access;
  const socket = process === undefined ? socketPlace(options) : undefined;
  const serving: TorServing | undefined = identity && {
    kind: 'control',
    identity,
    listen:
      options.severalLocations === true && identity.kind === 'ephemeral'
        ? { ...onion.serving, port: 0 }
        : onion.serving,
    connectControl: access.connect,
    // A Tor that was started here is on this machine.
    targetHost: process === undefined ? onion.targetHost : undefined,
    // A directory has its canary (`Canary`), which tests more, and more often.
    selfTestRounds: settings.role !== 'directory',
    ...(options.pow === undefined ? {} : { pow: options.pow }),
    ...(restricted === undefined ? {} : { clients: () => clientKeys(restricted) }),
    ...(socket === undefined ? {} : { socket }),
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
  // A Tor that was started here reads them from their folder.
  const credentials = process === undefined ? await ownCredentials(settings) : [];
  const keys =
    credentials.length === 0
      ? undefined
      : new ClientCredentials({ credentials, connect: access.connect, log });
  const overlay = createTorOverlay({
    socks: access.socks,
    clock,
    random,
    log,
    ...(keys === undefined ? {} : { beforeDial: (host) => keys.ensure(host) }),
    ...(serving === undefined ? {} : { serving }),
  });
  return {
    overlay,
    ...(process === undefined ? {} : { move: process.move }),
    async close() {
      keys?.close();
      await overlay.close();
      await process?.close();
    },
  };
}
