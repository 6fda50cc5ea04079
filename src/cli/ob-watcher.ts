/** `onionmc ob-watcher`: a passive peer with a page of the orderbook. */
import { InvalidArgumentError, type Command } from 'commander';
import { createNotifier } from '../ops/notify.js';
import { systemClock } from '../overlay/system-clock.js';
import { isLoopbackHost } from '../protocol/location.js';
import { startWatcher } from '../roles/watcher.js';
import { openPeer, startAudit } from './peer.js';
import { print } from './print.js';
import { openProgram, withCommonOptions, type CommonOptions } from './program.js';

interface WatcherCommandOptions extends CommonOptions {
  readonly host?: string;
  readonly port?: number;
}

function parseHost(text: string): string {
  if (!/^[\w.:-]{1,255}$/.test(text)) throw new InvalidArgumentError('a host name or an address.');
  return text;
}

function parsePort(text: string): number {
  const value = Number(text);
  if (!/^\d{1,5}$/.test(text) || value > 65_535) {
    throw new InvalidArgumentError('a port number, at most 65535 (0 = any that is free).');
  }
  return value;
}

async function runWatcher(options: WatcherCommandOptions): Promise<void> {
  const program = await openProgram('ob-watcher', options, {
    endsWithTerminal: true,
    onStopping: () => notifier.stopping(),
  });
  const { settings, log, shutdown } = program;
  const notifier = createNotifier({ log, clock: systemClock });
  shutdown.onStop('systemd notifier', () => notifier.close());
  const page = {
    host: options.host ?? settings.obWatcher.host,
    port: options.port ?? settings.obWatcher.port,
    hosts: settings.obWatcher.pageHosts,
  };
  if (!isLoopbackHost(page.host)) {
    log.warn('the orderbook page is shown to other machines', { host: page.host });
  }
  const { channel } = await openPeer(program, false, true);
  const audit = await startAudit(program, channel);
  const watcher = await startWatcher({
    channel,
    network: settings.network,
    page,
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

export function addObWatcherCommand(program: Command): void {
  withCommonOptions(
    program
      .command('ob-watcher')
      .description('watch the orderbook and show it on a page on this machine; read only')
      .option('-H, --host <host>', 'address of the page (default: [OBWATCHER] host)', parseHost)
      .option('-p, --port <port>', 'port of the page (default: [OBWATCHER] port)', parsePort),
  ).action(runWatcher);
}
