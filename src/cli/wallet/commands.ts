/** The subcommands of `onionmc wallet` with their options. The code of a command is loaded when it runs. */
import { Argument, Option, type Command } from 'commander';
import { parseDatadir } from '../option-values.js';
import * as values from './option-values.js';

const NAME = ['<name>', 'name of the wallet', values.parseWalletName] as const;
const JSON_OPTION = ['--json', 'print JSON, with amounts in satoshi'] as const;
const PASSWORD_FILE = [
  '--password-file <file>',
  'read the password from the first line of this file instead of asking',
  values.parsePath,
] as const;
const PASSPHRASE_FILE = [
  '--passphrase-file <file>',
  'read the passphrase of the seed words from the first line of this file',
  values.parsePath,
] as const;
const YES = ['--yes', 'do not ask'] as const;
/** A subcommand with the options that all of them have. */
function add(wallet: Command, name: string, description: string): Command {
  return wallet
    .command(name)
    .description(description)
    .option('--datadir <dir>', 'data directory (default: ~/.joinmarket)', parseDatadir)
    .option(...PASSWORD_FILE)
    .option(...PASSPHRASE_FILE);
}

const addNamed = (wallet: Command, name: string, description: string): Command =>
  add(wallet, name, description).argument(...NAME);

function addMakers(wallet: Command): void {
  const words = new Option('--words <n>', 'number of seed words')
    .choices(['12', '24'])
    .default('12');
  addNamed(wallet, 'create', 'make a new wallet, and show its seed words once')
    .addOption(words)
    .option('--passphrase', 'ask for a passphrase that belongs to the words, and is not stored')
    .option('--mixdepths <n>', 'number of mixdepths', values.parseMixdepths, 5)
    .option(...JSON_OPTION)
    .action(async (name, options) => (await import('./create.js')).runCreate(name, options));
  addNamed(wallet, 'recover', 'make a wallet from its seed words, and look for its coins')
    .option('--passphrase', 'ask for the passphrase that belongs to the words')
    .option('--words-file <file>', 'read the seed words from this file', values.parsePath)
    .option(
      '--from <height>',
      'height from which it may have coins (default: 0)',
      values.parseHeight,
    )
    .option('--mixdepths <n>', 'number of mixdepths', values.parseMixdepths, 5)
    .option('--nested', "the addresses of old wallets: m/49', nested segwit")
    .option(...JSON_OPTION)
    .action(async (name, options) => (await import('./recover.js')).runRecover(name, options));
}

function addReaders(wallet: Command): void {
  const offline = ['--offline', 'do not ask the node: show what the wallet knows'] as const;
  addNamed(wallet, 'show', 'show the balance of each mixdepth')
    .option(...offline)
    .option('--mixdepth <n>', 'only this one', values.parseMixdepth)
    .option(...JSON_OPTION)
    .action(async (name, options) => (await import('./show.js')).runShow(name, options));
  addNamed(wallet, 'coins', 'list the coins, what they came from, and what holds them back')
    .option(...offline)
    .option(...JSON_OPTION)
    .action(async (name, options) => (await import('./coins.js')).runCoins(name, options));
  addNamed(wallet, 'history', 'list the transactions')
    .option(...offline)
    .addOption(new Option(JSON_OPTION[0], JSON_OPTION[1]).conflicts('csv'))
    .option('--csv', 'print comma-separated values, with amounts in satoshi')
    .action(async (name, options) => (await import('./history.js')).runHistory(name, options));
  addNamed(wallet, 'seed', 'show the seed words')
    .option(...YES)
    .option(...JSON_OPTION)
    .action(async (name, options) => (await import('./seed.js')).runSeed(name, options));
  addNamed(wallet, 'check', 'prove the backup: the seed words typed again give the same address')
    .option('--words-file <file>', 'read the seed words from this file', values.parsePath)
    .option(...JSON_OPTION)
    .action(async (name, options) => (await import('./check.js')).runCheck(name, options));
}

function addWriters(wallet: Command): void {
  addNamed(wallet, 'address', 'hand out a deposit address that was not used before')
    .option('--mixdepth <n>', 'mixdepth that the deposit goes to', values.parseMixdepth, 0)
    .option(...JSON_OPTION)
    .action(async (name, options) => (await import('./address.js')).runAddress(name, options));
  for (const verb of ['freeze', 'unfreeze'] as const) {
    addNamed(wallet, verb, verb === 'freeze' ? 'do not spend coins' : 'let frozen coins be spent')
      .argument('<outpoint...>', 'txid:number of each coin', values.collectOutpoint)
      .option(...JSON_OPTION)
      .action(async (name, outpoints, options) =>
        (await import('./freeze.js')).runFreeze(verb, name, outpoints, options),
      );
  }
  addNamed(wallet, 'rescan', 'read the block chain again')
    .option(
      '--from <height>',
      'height of the first block (default: birth of the wallet)',
      values.parseHeight,
    )
    .option(...JSON_OPTION)
    .action(async (name, options) => (await import('./rescan.js')).runRescan(name, options));
  addNamed(wallet, 'password', 'change the password')
    .option(
      '--new-password-file <file>',
      'read the new password from the first line of this file',
      values.parsePath,
    )
    .action(async (name, options) => (await import('./password.js')).runPassword(name, options));
  addNamed(wallet, 'backup', 'copy the wallet, encrypted, to one file')
    .argument('<file>', 'a file that does not exist', values.parsePath)
    .action(async (name, file, options) =>
      (await import('./backup.js')).runBackup(name, file, options),
    );
  addNamed(wallet, 'labels', 'write or read labels and freezes as a BIP329 file')
    .addArgument(new Argument('<action>', 'what to do').choices(['export', 'import']))
    .argument('<file>', 'JSON lines, as BIP329 has them', values.parsePath)
    .action(async (name, action, file, options) =>
      (await import('./labels.js')).runLabels(name, action, file, options),
    );
}

const WALLET_HELP = `
A wallet is a folder of the data directory: wallets/NAME. Its password comes from --password-file, from the
credential wallet-password of systemd, or is asked for at the terminal.

Exit code: 0 fine, 1 failed, 2 usage, password or configuration, 3 the bitcoin node cannot be reached.`;

/** Adds every subcommand. */
export function addWalletCommands(wallet: Command): void {
  wallet.addHelpText('after', WALLET_HELP);
  addMakers(wallet);
  addReaders(wallet);
  addWriters(wallet);
}
