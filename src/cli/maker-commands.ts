/** `onionmc maker` and its subcommands with their options. The code of each is loaded when it runs. */
import { Option, type Command, type OptionValues } from 'commander';
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
    .action(async (name, _, command) =>
      (await import('./maker-history.js')).runMakerHistory(name, subcommandOptions(command)),
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
    .action(async (name, _, command) =>
      (await import('./maker-why.js')).runMakerWhy(name, subcommandOptions(command)),
    );
}

/** Options of the running maker alone, by the name of their value. */
const OF_THE_MAKER = {
  wallet: '--wallet',
  size: '--size',
  mainnetIAcceptTheRisk: '--mainnet-i-accept-the-risk',
} as const;

/**
 * The options of a subcommand. Those that `maker` has too are read by it, wherever they stand; the others
 * of `maker` are refused.
 */
export function subcommandOptions(command: Command): OptionValues {
  const { parent } = command;
  for (const [name, option] of Object.entries(OF_THE_MAKER)) {
    if (parent?.getOptionValueSource(name) === 'cli') {
      command.error(`error: unknown option '${option}' for '${command.name()}'`);
    }
  }
  return command.optsWithGlobals();
}
