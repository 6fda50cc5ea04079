/** `onionmc directory`: a no-wallet directory node. */
import type { Command } from 'commander';
import type { DirectorySettings, Settings } from '../config/settings.js';
import { createNotifier } from '../ops/notify.js';
import { smallYoungGeneration } from '../ops/young-generation.js';
import { systemClock } from '../overlay/system-clock.js';
import { VIRTUAL_PORT } from '../protocol/constants.js';
import { formatLocation } from '../protocol/location.js';
import type { DirectoryLimits } from '../directory/limits.js';
import { openOverlay } from '../roles/open-overlay.js';
import { startDirectoryNode, type DirectoryNode } from '../roles/directory-node.js';
import { DIRECTORY_POW_QUEUE } from '../tor/add-onion.js';
import { loadOrCreateOnionKey } from '../tor/key-folder.js';
import { openProgram, withCommonOptions, type CommonOptions } from './program.js';

/** `[DIRECTORY]` in the directory's own units. */
export function limitsOf(settings: DirectorySettings): DirectoryLimits {
  return {
    maxPeers: settings.maxPeers,
    // The directory knows no "none" for these two: without an end is what 0 asks for.
    maxUnhandshaked: settings.maxUnhandshaked || Infinity,
    handshakeTimeoutMs: settings.handshakeTimeoutSec * 1000 || Infinity,
    heartbeatIntervalMs: settings.heartbeatIntervalSec * 1000,
    heartbeatIdleMs: settings.heartbeatIdleSec * 1000,
    heartbeatPongWaitMs: settings.heartbeatPongWaitSec * 1000,
    heartbeatEvictMs: settings.heartbeatEvictSec * 1000,
    writeStallTimeoutMs: settings.writeStallTimeoutSec * 1000,
    sendQueueBytes: settings.sendQueueBytes,
    pubmsgPerMinute: settings.pubmsgPerMinute,
    orderbookPerMinute: settings.orderbookPerMinute,
    privmsgPerSecond: settings.privmsgPerSecond,
    getpeerlistPerMinute: settings.getpeerlistPerMinute,
    junkPerMinute: settings.junkPerMinute,
    deliveriesPerSecond: settings.deliveriesPerSecond,
    orderbookPerSecond: settings.orderbookPerSecond,
    streamsPerCircuit: settings.streamsPerCircuit,
  };
}

/** The onion address, made offline on the first start; undefined where it is not ours to make. */
export async function ownOnionLocation({ onion }: Settings): Promise<string | undefined> {
  if (onion.loopback || onion.torMode === 'external' || onion.hiddenServiceDir === undefined) {
    return undefined;
  }
  const { key } = await loadOrCreateOnionKey(onion.hiddenServiceDir);
  return `${key.host}:${VIRTUAL_PORT}`;
}

async function runDirectory(motd: string | undefined, options: CommonOptions): Promise<void> {
  smallYoungGeneration();
  let node: DirectoryNode | undefined;
  const { settings, log, shutdown } = await openProgram('directory', options, {
    onReload: (fresh) =>
      node?.reload({
        limits: limitsOf(fresh.directory),
        ...(motd === undefined ? { motd: fresh.directory.motd } : {}),
      }),
    onStopping: () => notifier.stopping(),
  });
  const notifier = createNotifier({ log, clock: systemClock });
  shutdown.onStop('systemd notifier', () => notifier.close());

  const address = await ownOnionLocation(settings);
  // At once: an operator can publish the address before Tor has done anything.
  if (address !== undefined) process.stdout.write(`${address}\n`);

  const tools = { clock: systemClock, random: Math.random, log, signal: shutdown.signal };
  const opened = await openOverlay({
    ...tools,
    settings,
    serves: true,
    circuits: true,
    pow: DIRECTORY_POW_QUEUE,
  });
  shutdown.onStop('overlay', () => opened.close());
  node = await startDirectoryNode({
    ...tools,
    network: settings.network,
    overlay: opened.overlay,
    motd: motd ?? settings.directory.motd,
    limits: limitsOf(settings.directory),
    dialBack: settings.directory.dialBack,
    nickAuth: settings.directory.nickAuth,
    status: { host: settings.directory.statusHost, port: settings.directory.statusPort },
    onState: (state) => {
      if (state.state === 'starting') notifier.status(state.detail);
      else if (state.state === 'reachable') notifier.status('reachable');
      else notifier.status(`not reachable: ${state.detail}`);
    },
  });
  shutdown.onStop('directory', () => node?.close());
  const location = formatLocation(node.location);
  if (address === undefined) process.stdout.write(`${location}\n`);
  log.info('directory node is up', { location, network: settings.network });
  notifier.ready();
}

export function addDirectoryCommand(program: Command): void {
  withCommonOptions(
    program
      .command('directory')
      .description('run a directory node: it relays messages and has no wallet')
      .argument('[motd]', 'text that peers see when they connect (wins over [DIRECTORY] motd)'),
  ).action(runDirectory);
}
