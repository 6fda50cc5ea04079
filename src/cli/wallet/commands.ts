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
const MAINNET = [
  '--mainnet-i-accept-the-risk',
  'spend real bitcoin with this young software (docs/wallet.md)',
] as const;

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
  add(
    wallet,
    'import',
    'take over a wallet of the original (.jmdat), of joinmarket-ng, or a backup',
  )
    .argument('<file>', 'the file of the other program, or of "wallet backup"', values.parsePath)
    .argument(
      '[name]',
      'name of the new wallet (default: that of the file)',
      values.parseWalletName,
    )
    .option('--passphrase', 'ask for the passphrase that belongs to the seed words')
    .option(
      '--file-password-file <file>',
      'read the password of the imported file from the first line of this file',
      values.parsePath,
    )
    .option(
      '--from <height>',
      'height from which it may have coins (default: 0)',
      values.parseHeight,
    )
    .option(...JSON_OPTION)
    .action(async (file, name, options) =>
      (await import('./import.js')).runImport(file, name, options),
    );
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
    .option(...JSON_OPTION)
    .action(async (name, action, file, options) =>
      (await import('./labels.js')).runLabels(name, action, file, options),
    );
}

function addSpenders(wallet: Command): void {
  addNamed(wallet, 'send', 'pay an address; shows inputs, change and fee before it asks')
    .argument('<amount>', '0.1, 0.1btc, 10000000sat, or all')
    .argument(
      '[address]',
      'an address, or a bitcoin: link (BIP21); a link with an amount needs no other',
    )
    .option(
      '--mixdepth <n>',
      'mixdepth that pays (default: 0, or that of --coin)',
      values.parseMixdepth,
    )
    .option('--coin <outpoint>', 'spend this coin; may be repeated', values.collectOutpoint)
    .addOption(
      new Option('--fee-rate <sat/vb>', 'fee in satoshi per virtual byte')
        .argParser(values.parseFeeRate)
        .conflicts('blocks'),
    )
    .option(
      '--blocks <n>',
      'fee for a confirmation within this many blocks (default: tx_fees of joinmarket.cfg)',
      values.parseBlocks,
    )
    .option('--accept-absurd-fee', 'pay a fee above the limit')
    .option('--dry-run', 'show it and do nothing')
    .option(
      '--psbt <file>',
      'write an unsigned PSBT to this file instead of paying',
      values.parsePath,
    )
    .option(...YES)
    .option(...JSON_OPTION)
    .option(...MAINNET)
    .action(async (name, amount, address, options) =>
      (await import('./send.js')).runSend(name, amount, address, options),
    );
  addNamed(wallet, 'bump', 'replace an unconfirmed payment by one with a higher fee')
    .argument('<txid>', 'the payment', values.parseTxid)
    .option('--fee-rate <sat/vb>', 'fee in satoshi per virtual byte', values.parseFeeRate)
    .option('--accept-absurd-fee', 'pay a fee above the limit')
    .option('--dry-run', 'show it and do nothing')
    .option(...YES)
    .option(...JSON_OPTION)
    .option(...MAINNET)
    .action(async (name, txid, options) =>
      (await import('./bump.js')).runBump(name, txid, options),
    );
  addNamed(wallet, 'reclaim', 'pay the coins of a coinjoin that never appeared back to the wallet')
    .argument('<txid>', 'the coinjoin', values.parseTxid)
    .option('--fee-rate <sat/vb>', 'fee in satoshi per virtual byte', values.parseFeeRate)
    .option(...YES)
    .option(...JSON_OPTION)
    .option(...MAINNET)
    .action(async (name, txid, options) =>
      (await import('./reclaim.js')).runReclaim(name, txid, options),
    );
  addNamed(wallet, 'bond', 'fidelity bonds: locked coins that let a maker be chosen more often')
    .addArgument(
      new Argument('<action>', 'what to do').choices([
        'list',
        'address',
        'certify',
        'cold-message',
        'cold-import',
        'redeem',
      ]),
    )
    .argument('[arguments...]', 'see below')
    .option('--public-key <hex>', 'address: the key is in another wallet', values.parsePublicKey)
    .option('--periods <n>', 'certify: validity in periods of 2016 blocks', values.parsePeriods)
    .option('--fee-rate <sat/vb>', 'redeem: fee in satoshi per virtual byte', values.parseFeeRate)
    .option('--accept-absurd-fee', 'redeem: pay a fee above the limit')
    .option('--dry-run', 'redeem: show it and do nothing')
    .option('--psbt <file>', 'redeem: write an unsigned PSBT to this file', values.parsePath)
    .option(...YES)
    .option(...JSON_OPTION)
    .option(...MAINNET)
    .addHelpText('after', BOND_HELP)
    .action(async (name, action, rest, options) =>
      (await import('./bond.js')).runBond(name, action, rest, options),
    );
}

const BOND_HELP = `
Actions:
  list                        bonds, their state, and the next step
  address YYYY-MM             address of a bond that is locked until that month
  certify OUTPOINT            certificate with a key of this wallet, for the maker
  cold-message OUTPOINT FILE  the message that another wallet must sign
  cold-import FILE            the certificate with that signature
  redeem OUTPOINT ADDRESS     spend a bond after its lock time`;

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
  addSpenders(wallet);
}
