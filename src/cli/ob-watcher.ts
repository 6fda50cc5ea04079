/** `onionmc ob-watcher`: a passive peer with a page of the orderbook. */
import type { Settings } from '../config/settings.js';
import { createNotifier } from '../ops/systemd-notifier.js';
import { systemClock } from '../overlay/system-clock.js';
import { isLoopbackHost } from '../protocol/location.js';
import { bondPolicy } from '../roles/negotiation-settings.js';
import { startWatcher, type WatcherOptions } from '../roles/watcher.js';
import { openAdmissionParts } from './admission-parts.js';
import { openBonds, openPeer, startAudit } from './peer.js';
import { print } from './print.js';
import { openProgram, type CommonOptions } from './program.js';

interface WatcherCommandOptions extends CommonOptions {
  readonly host?: string;
  readonly port?: number;
}

/** The options of a watcher from the configuration; an address on the command line has priority. */
export function watcherOptions(
  settings: Settings,
  { host, port }: Pick<WatcherCommandOptions, 'host' | 'port'> = {},
): Pick<WatcherOptions, 'network' | 'page' | 'bondPolicy'> {
  const { network, obWatcher } = settings;
  return {
    network,
    page: {
      host: host ?? obWatcher.host,
      port: port ?? obWatcher.port,
      hosts: obWatcher.pageHosts,
    },
    bondPolicy: bondPolicy(settings),
  };
}

export async function runWatcher(options: WatcherCommandOptions): Promise<void> {
  const program = await openProgram('ob-watcher', options, {
    endsWithTerminal: true,
    onStopping: () => notifier.stopping(),
  });
  const { settings, log, shutdown } = program;
  const notifier = createNotifier({ log, clock: systemClock });
  shutdown.onStop('systemd notifier', () => notifier.close());
  const configured = watcherOptions(settings, options);
  const { host } = configured.page;
  if (!isLoopbackHost(host)) log.warn('the orderbook page is shown to other machines', { host });
  const { door } = await openAdmissionParts(program);
  const { channel } = await openPeer(program, false, true);
  const audit = await startAudit(program, channel);
  const chain = openBonds(program);
  const watcher = await startWatcher({
    ...configured,
    page: { ...configured.page, door },
    ...(chain && { chain }),
    channel,
    clock: systemClock,
    random: Math.random,
    log,
    audit,
  });
  shutdown.onStop('watcher', () => watcher.stop());
  log.info('orderbook page is served', { url: watcher.url });
  print(watcher.url);
  notifier.ready(watcher.url);
}
