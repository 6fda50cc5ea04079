/** The subcommands of `onionmc directories` with their options. The code of a command is loaded when it runs. */
import { InvalidArgumentError, Option, type Command } from 'commander';
import { LIST_BOUNDS } from '../../directory-lists/limits.js';
import { KEY, PLAIN_TEXT } from '../../directory-lists/members.js';
import { NETWORKS } from '../../protocol/constants.js';
import { INTERVAL_SECONDS } from '../defaults.js';
import * as values from '../option-values.js';
import { parsePath } from '../wallet/option-values.js';

const JSON_OPTION = ['--json', 'print JSON'] as const;
const DATADIR = [
  '--datadir <dir>',
  'data directory (default: ~/.joinmarket)',
  values.parseDatadir,
] as const;
const BEFORE = ['--before <list>', 'the list that this one replaces', parsePath] as const;
const PASSWORD_FILE = [
  '--password-file <file>',
  'read the password of the key from the first line of this file',
  parsePath,
] as const;

function networkOption(words: string): Option {
  return new Option('--network <name>', words).choices(NETWORKS);
}

function whole(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d{1,9}$/.test(text) && value >= least && value <= most) return value;
    throw new InvalidArgumentError(`a whole number from ${least} to ${most}.`);
  };
}

function parseKey(text: string): string {
  const key = text.toLowerCase();
  if (KEY.test(key)) return key;
  throw new InvalidArgumentError('64 hex digits.');
}

const parseKeys = (text: string): readonly string[] =>
  text.split(',').map((each) => parseKey(each.trim()));

function parseNote(text: string): string {
  if (PLAIN_TEXT.test(text) && text.length <= LIST_BOUNDS.noteLength) return text;
  throw new InvalidArgumentError(`at most ${LIST_BOUNDS.noteLength} printable ASCII characters.`);
}

function parseDay(text: string): number {
  const ms = /^\d{4}-\d\d-\d\d$/.test(text) ? Date.parse(text) : Number.NaN;
  if (ms >= 0) return ms / 1000;
  throw new InvalidArgumentError('a day such as 2026-01-31.');
}

const collect = (text: string, before: readonly string[] = []): readonly string[] => [
  ...before,
  parsePath(text),
];

function addMakers(directories: Command): void {
  directories
    .command('key')
    .description('make a key that signs lists, and print its public key')
    .argument('<file>', 'a file that does not exist; mode 0600', parsePath)
    .option('--password', 'ask for a password that encrypts the key')
    .option(...PASSWORD_FILE)
    .option(...JSON_OPTION)
    .action(async (file, options) => (await import('./make.js')).runKey(file, options));
  directories
    .command('draft')
    .description('write a list without signatures, and show what it changes')
    .argument('<file>', 'a file that does not exist', parsePath)
    .option(...BEFORE)
    .addOption(networkOption('the network of a first list'))
    .option(
      '--entries <file>',
      'all entries, as a JSON array (default: those of the list before)',
      parsePath,
    )
    .option(
      '--announcement <file>',
      'add the directory of this announcement; may be repeated',
      collect,
    )
    .option('--remove <address>', 'leave out this directory; may be repeated', collect)
    .option('--keys <keys>', 'public keys that sign from now on, with commas between', parseKeys)
    .option('--needed <n>', 'how many of --keys have to sign', whole(1, LIST_BOUNDS.keys))
    .option('--days <n>', 'the list expires after so many days', whole(1, 732), 90)
    .option(...JSON_OPTION)
    .action(async (file, options) => (await import('./make.js')).runDraft(file, options));
  directories
    .command('sign')
    .description('show what a draft changes, ask, and write a signed copy')
    .argument('<draft>', 'the draft, or a copy that others signed', parsePath)
    .argument('<file>', 'the signed copy: a file that does not exist', parsePath)
    .requiredOption('--key <file>', 'the key file of "directories key"', parsePath)
    .option(...BEFORE)
    .option(...PASSWORD_FILE)
    .option('--yes', 'do not ask')
    .option(...JSON_OPTION)
    .action(async (draft, file, options) =>
      (await import('./make.js')).runSign(draft, file, options),
    );
  directories
    .command('combine')
    .description('join signed copies of a draft into the list')
    .argument('<file>', 'the list: a file that does not exist', parsePath)
    .argument('<copies...>', 'signed copies')
    .option(...JSON_OPTION)
    .action(async (file, copies, options) =>
      (await import('./make.js')).runCombine(file, copies, options),
    );
}

function addLooks(directories: Command): void {
  const list = ['[file]', 'the list (default: the one kept in the data directory)'] as const;
  directories
    .command('show')
    .description('show a list, its keys and signatures; with --before only what changed')
    .argument(...list)
    .option(...BEFORE)
    .option(...DATADIR)
    .option(...JSON_OPTION)
    .action(async (file, options) => (await import('./look.js')).runShow(file, options));
  directories
    .command('verify')
    .description('decide whether a list is valid here and now')
    .argument(...list)
    .option('--list-keys <fingerprint>', 'the key set to trust (default: list_keys)', parseKey)
    .addOption(networkOption('the network (default: as configured)'))
    .option(...BEFORE)
    .option(...DATADIR)
    .option(...JSON_OPTION)
    .addHelpText('after', '\nExit code: 0 valid, 1 refused, 2 usage.')
    .action(async (file, options) => (await import('./look.js')).runVerify(file, options));
  directories
    .command('check')
    .description('probe every directory of a list, and keep a history')
    .option('--list <file>', 'the list (default: the one kept in the data directory)', parsePath)
    .option('--relay', 'also send messages between two throw-away nicks')
    .option('--watch', 'repeat the probe')
    .option(
      '--interval <seconds>',
      'with --watch: between rounds',
      values.parseInterval,
      INTERVAL_SECONDS.usual,
    )
    .option(
      '--history <file>',
      'where results are kept (default: directories-history.jsonl)',
      parsePath,
    )
    .option('--socks <host:port>', 'SOCKS port of Tor (default: as configured)', values.parseSocks)
    .addOption(networkOption('the network (default: as configured)'))
    .option(...DATADIR)
    .option(...JSON_OPTION)
    .action(async (options) => (await import('./look.js')).runCheckList(options));
  directories
    .command('announce')
    .description('sign a statement that this directory wants to be listed')
    .option('--note <text>', 'a note for people', parseNote)
    .option('--since <day>', 'when it began to serve (default: today)', parseDay)
    .option('--out <file>', 'a file that does not exist (default: standard output)', parsePath)
    .option(...DATADIR)
    .action(async (options) => (await import('./look.js')).runAnnounce(options));
}

export function addDirectoriesCommands(directories: Command): void {
  addMakers(directories);
  addLooks(directories);
}
