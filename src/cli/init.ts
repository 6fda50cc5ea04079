/** `onionmc init`: data directory, configuration, onion key and address, before Tor ever runs. */
import type { Command } from 'commander';
import { loadSettings } from '../config/settings.js';
import { ownOnionLocation } from './directory.js';
import { parseDatadir } from './program.js';

interface InitOptions {
  readonly datadir?: string;
  readonly json?: boolean;
}

async function runInit(options: InitOptions): Promise<void> {
  const { settings, createdConfig } = await loadSettings({
    role: 'directory',
    datadir: options.datadir,
  });
  const address = await ownOnionLocation(settings);
  const { datadir, configFile, network, onion } = settings;
  const { hiddenServiceDir } = onion;
  if (options.json === true) {
    const result = { address, datadir, configFile, createdConfig, hiddenServiceDir, network };
    process.stdout.write(`${JSON.stringify(result)}\n`);
    return;
  }
  const lines = [
    `data directory  ${datadir}`,
    `configuration   ${configFile} (${createdConfig ? 'new' : 'was there, unchanged'})`,
    `network         ${network}`,
  ];
  if (address !== undefined && hiddenServiceDir !== undefined) {
    lines.push(`onion key       ${hiddenServiceDir} (back it up: it is the address)`);
    lines.push(`address         ${address}`);
  } else if (onion.loopback) {
    lines.push(`address         ${onion.serving.host}:${onion.serving.port} (loopback test mode)`);
  } else {
    lines.push('address         in the hostname file of the HiddenServiceDir in your torrc');
  }
  lines.push(`next            onionmc directory "your message of the day" --datadir ${datadir}`);
  process.stdout.write(`${lines.join('\n')}\n`);
}

export function addInitCommand(program: Command): void {
  program
    .command('init')
    .description('prepare a directory: data directory, configuration, onion key and address')
    .option('--datadir <dir>', 'data directory (default: ~/.joinmarket)', parseDatadir)
    .option('--json', 'print the result as JSON')
    .action(runInit);
}
