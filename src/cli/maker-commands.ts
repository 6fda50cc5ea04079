/** `onionmc maker` and its subcommands with their options. The code of each is loaded when it runs. */
import { Option, type Command } from 'commander';
import { DEFAULT_SIZE } from './defaults.js';
import * as values from './option-values.js';
import { parsePath, parseWalletName } from './wallet/option-values.js';

const DATADIR = [
  '--datadir <dir>',
  'data directory (default: ~/.joinmarket)',
  values.parseDatadir,
] as const;
const PASSWORD_FILE = [
  '--password-file <file>',
  'read the password of the wallet from the first line of this file instead of asking',
  parsePath,
] as const;

/** Adds the options of the maker itself. */
export function addMaker(maker: Command): void {
  maker
    // Options behind a subcommand belong to it.
    .enablePositionalOptions()
    .option('--wallet <name>', 'take part in coinjoins with this wallet', parseWalletName)
    .addOption(
      new Option(
        '--size <satoshi>',
        'without a wallet: largest amount to offer; nothing is behind it',
      )
        .argParser(values.parseSatoshi)
        .default(DEFAULT_SIZE)
        .conflicts('wallet'),
    )
    .option(...PASSWORD_FILE)
    .option(
      '--passphrase-file <file>',
      'read the passphrase of the seed words from the first line of this file',
      parsePath,
    )
    .option(
      '--mainnet-i-accept-the-risk',
      'with a wallet: spend real bitcoin with this young software (docs/wallet.md)',
    )
    .action(async (options) => (await import('./maker.js')).runMaker(options));
  addHistory(maker);
  addWhy(maker);
}

function addHistory(maker: Command): void {
  maker
    .command('history')
    .description('list the coinjoins of a wallet as a maker, with what they earned')
    .argument('<name>', 'name of the wallet', parseWalletName)
    .option(...DATADIR)
    .option(...PASSWORD_FILE)
    .option('--offline', 'do not ask the node: show what the wallet knows')
    .option('--json', 'print JSON, with amounts in satoshi')
    .action(async (name, options) =>
      (await import('./maker-history.js')).runMakerHistory(name, options),
    );
}

function addWhy(maker: Command): void {
  maker
    .command('why')
    .description('the rank of the offers in the present orderbook, and what would change it')
    .argument('<name>', 'name of the wallet', parseWalletName)
    .option(...DATADIR)
    .option(...PASSWORD_FILE)
    .option(
      '--amount <amount>',
      'an amount to look at, such as 0.1btc; may be repeated (default: 0.001 to 1 BTC)',
      values.collectAmount,
    )
    .option(
      '--wait <seconds>',
      'how long to collect offers (default: [TIMEOUT] maker_timeout_sec)',
      values.parseSeconds,
    )
    .option('--json', 'print JSON, with amounts in satoshi')
    .action(async (name, options) => (await import('./maker-why.js')).runMakerWhy(name, options));
}
