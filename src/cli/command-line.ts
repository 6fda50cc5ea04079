/** All commands with their options. The code of a command is loaded when the command runs. */
import { Command, CommanderError, Option } from 'commander';
import { LOG_LEVELS } from '../config/log-level.js';
import { shownLine } from '../kit/shown-text.js';
import { ExitCode } from '../ops/exit.js';
import { NETWORKS } from '../protocol/constants.js';
import {
  DEFAULT_STATUS_URL,
  DOCTOR_ROLES,
  HISTORY_FILE,
  INTERVAL_SECONDS,
  SYSTEM_UNIT_DIR,
} from './defaults.js';
import { addMaker } from './maker-commands.js';
import * as values from './option-values.js';
import { parseWalletName } from './wallet/option-values.js';

const DATADIR = ['--datadir <dir>', 'data directory (default: ~/.joinmarket)'] as const;

/** `--datadir` and `--log-level`, the same in every long-running command. */
function withCommonOptions(command: Command): Command {
  const logLevel = new Option(
    '--log-level <level>',
    `how much to say on standard error: ${LOG_LEVELS.join(', ')} (default: [LOGGING] console_log_level)`,
  ).argParser(values.parseLevel);
  return command.option(...DATADIR, values.parseDatadir).addOption(logLevel);
}

function addPrograms(program: Command): void {
  withCommonOptions(
    program
      .command('directory')
      .description('run a directory node: it relays messages and has no wallet')
      .argument('[motd]', 'text that peers see when they connect (overrides [DIRECTORY] motd)'),
  ).action(async (motd, options) => (await import('./directory.js')).runDirectory(motd, options));
  addMaker(
    withCommonOptions(
      program
        .command('maker')
        .description('serve an onion and announce offers; with a wallet, take part in coinjoins'),
    ),
  );
  withCommonOptions(
    program
      .command('taker')
      .description('dial out, collect the orderbook, and talk to makers; coinjoin mixes coins')
      .option('--once', 'collect for a while, print the orderbook and end')
      .option(
        '--ask <words...>',
        'NICK COMMAND ARGS: send one private message and print the answer',
      )
      .option('--json', 'print JSON; with --once or --ask')
      .option(
        '--wait <seconds>',
        'how long to collect, or to wait for an answer (default: [TIMEOUT] maker_timeout_sec)',
        values.parseSeconds,
      ),
  ).action(async (options) => (await import('./taker.js')).runTaker(options));
  withCommonOptions(
    program
      .command('ob-watcher')
      .description('watch the orderbook and show it on a page on this machine; read only')
      .option(
        '-H, --host <host>',
        'address of the page (default: [OBWATCHER] host)',
        values.parseHost,
      )
      .option(
        '-p, --port <port>',
        'port of the page (default: [OBWATCHER] port)',
        values.parsePort,
      ),
  ).action(async (options) => (await import('./ob-watcher.js')).runWatcher(options));
}

function addOperatorTools(program: Command): void {
  program
    .command('init')
    .description(
      'prepare a directory: data directory, configuration, onion key, address and unit; or a maker',
    )
    .addOption(
      new Option('--role <program>', 'the program to prepare')
        .choices(['directory', 'maker'])
        .default('directory'),
    )
    .option(...DATADIR, values.parseDatadir)
    .option(
      '--wallet <name>',
      'of a maker: the wallet that the next commands name',
      parseWalletName,
    )
    .option(
      '--import-key <dir>',
      'copy the onion key of another HiddenServiceDir, after checking it',
    )
    .option('--prefix <letters>', 'search for an address that begins with these letters')
    .addOption(
      new Option(
        '--systemd [what]',
        'print the filled-in systemd unit, or install it (as root)',
      ).choices(['print', 'install']),
    )
    .option('--unit-dir <dir>', 'where --systemd install puts the unit', SYSTEM_UNIT_DIR)
    .option('--json', 'print the result as JSON')
    .action(async (options) => (await import('./init.js')).runInit(options));
  program
    .command('doctor')
    .description('check a program and its machine: what is wrong, and how to fix it')
    .addOption(
      new Option('--role <program>', 'the program to look at')
        .choices(DOCTOR_ROLES)
        .default('directory'),
    )
    .option(...DATADIR, values.parseDatadir)
    .option('--json', 'print the findings as JSON')
    .action(async (options) => (await import('./doctor.js')).runDoctor(options));
  program
    .command('upgrade')
    .description('continue the running directory in a new process, without a disconnect')
    .option(...DATADIR, values.parseDatadir)
    .option('--json', 'print the outcome as JSON')
    .action(async (options) => (await import('./upgrade.js')).runUpgrade(options));
  addPeerTools(program);
  addCluster(program);
}

/** `--datadir`, `--json` of the commands that ask the running directory over its socket. */
function withSocketOptions(command: Command): Command {
  return command.option(...DATADIR, values.parseDatadir).option('--json', 'print for programs');
}

function addPeerTools(program: Command): void {
  const logNames = ['--log-names', 'let the log of the directory name them, too'] as const;
  withSocketOptions(
    program
      .command('list')
      .description('list the peers of the running directory')
      .option('--locations', 'also show the location of each peer'),
  ).action(async (options) => (await import('./operator.js')).runList(options));
  withSocketOptions(
    program
      .command('kick')
      .description('close peers of the running directory, and refuse them for a while with --ban')
      .argument('<who>', 'a nick, or an onion (all peers that declare it)')
      .option('--ban <time>', 'refuse them for so long: 30m, 1h, 7d', values.parseBanTime)
      .option('--nick', 'WHO is a nick, even if it looks like an onion')
      .option(...logNames),
  ).action(async (who, options) => (await import('./operator.js')).runKick(who, options));
  withSocketOptions(
    program.command('bans').description('list the bans of the running directory'),
  ).action(async (options) => (await import('./operator.js')).runBans(options));
  withSocketOptions(
    program
      .command('unban')
      .description('lift bans of the running directory')
      .argument('[who]', 'a nick or an onion')
      .option('--all', 'lift all of them')
      .option(...logNames),
  ).action(async (who, options) => (await import('./operator.js')).runUnban(who, options));
}

function addCluster(program: Command): void {
  withSocketOptions(
    program
      .command('cluster')
      .description('one directory on several machines (docs/cluster.md)')
      .command('key')
      .description('print the public key of this node for [CLUSTER] nodes; made when missing'),
  ).action(async (options) => (await import('./cluster.js')).runClusterKey(options));
}

function addViews(program: Command): void {
  withCommonOptions(
    program
      .command('check')
      .description('probe directories of any kind from outside, with times')
      .argument('[address...]', 'onions of directories (default: directory_nodes)')
      .option('--relay', 'also send messages between two throw-away nicks')
      .option('--json', 'print JSON; with --watch one line for each round')
      .option('--watch', 'repeat the probe, and show the uptime')
      .option(
        '--interval <seconds>',
        'with --watch: between rounds',
        values.parseInterval,
        INTERVAL_SECONDS.usual,
      )
      .option(
        '--history <file>',
        `where results are kept (default with --watch: ${HISTORY_FILE} in the data directory)`,
        values.parseDatadir,
      )
      .option(
        '--code-file <file>',
        'the code for a private directory, in the first line of this file (default: [ADMISSION] directory_codes)',
        values.parseDatadir,
      )
      .option(
        '--socks <host:port>',
        'SOCKS port of Tor (default: as configured, else a Tor of our own)',
        values.parseSocks,
      )
      .addOption(
        new Option('--network <name>', 'the network to ask for (default: as configured)').choices(
          NETWORKS,
        ),
      )
      .addHelpText(
        'after',
        '\nExit code: 0 all directories are fine, 1 some are not, 2 usage, 3 Tor cannot be reached.',
      ),
  ).action(async (given, options) => (await import('./check.js')).runCheck(given, options));
  program
    .command('status')
    .description('show the state of a running directory or maker')
    .addOption(
      new Option('--role <program>', 'the program to look at')
        .choices(['directory', 'maker'])
        .default('directory'),
    )
    .option('--watch', 'repeat until Ctrl-C')
    .option('--json', 'print /status as it is; with --watch one line for each reading')
    .option(
      '--url <url>',
      `where its status page is (default: ${DEFAULT_STATUS_URL.origin})`,
      values.parseUrl,
    )
    .option(
      '--datadir <dir>',
      'data directory of the program; its configuration has the address',
      values.parseDatadir,
    )
    .option(
      '--code-file <file>',
      'the code of a page that needs one, in the first line of this file',
      values.parseDatadir,
    )
    .action(async (options) => (await import('./status.js')).runStatus(options));
  program
    .command('demo')
    .description('show all roles on a private Tor network on this machine; ends with Ctrl-C')
    .option('--seconds <n>', 'end by itself after that long', values.parseSeconds)
    .addOption(
      new Option(
        '--overlay <name>',
        'the network; llarp is a laboratory in this process that gives nobody privacy (default: tor)',
      ).choices(['tor', 'loopback', 'llarp']),
    )
    .addOption(
      new Option(
        '--loopback',
        'the same as --overlay loopback: plain sockets, without Tor',
      ).conflicts('overlay'),
    )
    .option('--json', 'print the figures as JSON at the end')
    .action(async (options) => (await import('./demo.js')).runDemoCommand(options));
}

const WALLET_WORDS = 'hold, send and lock coins of your own, with a bitcoin node';

/** The subcommands of `wallet` are loaded only when it is named. */
async function addWallet(program: Command): Promise<void> {
  const wallet = program.command('wallet').description(WALLET_WORDS);
  if (!process.argv.includes('wallet')) return;
  (await import('./wallet/commands.js')).addWalletCommands(wallet);
}

/** The options of `coinjoin` are loaded only when it is named. */
async function addCoinjoin(program: Command): Promise<void> {
  const coinjoin = program
    .command('coinjoin')
    .description('mix coins of a wallet with those of makers, or pay so; needs a bitcoin node');
  if (!process.argv.includes('coinjoin')) return;
  (await import('./coinjoin/commands.js')).addCoinjoinOptions(coinjoin);
}

/** The subcommands of `schedule` are loaded only when it is named. */
async function addSchedule(program: Command): Promise<void> {
  const schedule = program
    .command('schedule')
    .description('plan and run coinjoins one after the other, with waits; needs a bitcoin node');
  if (!process.argv.includes('schedule')) return;
  (await import('./schedule/commands.js')).addScheduleCommands(schedule);
}

/** The subcommands of `admission` are loaded only when it is named. */
async function addAdmission(program: Command): Promise<void> {
  const admission = program
    .command('admission')
    .description(
      'codes for Lokinet endpoints and private directories, and who may enter with them',
    );
  if (!process.argv.includes('admission')) return;
  (await import('./admission/commands.js')).addAdmissionCommands(admission);
}

/** The subcommands of `llarp` are loaded only when it is named. */
async function addLlarp(program: Command): Promise<void> {
  const llarp = program
    .command('llarp')
    .description(
      'a laboratory of LLARP v0, the historic protocol of Lokinet; no network speaks it',
    );
  if (!process.argv.includes('llarp')) return;
  (await import('./llarp/commands.js')).addLlarpCommands(llarp);
}

/** The subcommands of `lethean` are loaded only when it is named. */
async function addLethean(program: Command): Promise<void> {
  const lethean = program
    .command('lethean')
    .description(
      'paid exits of Lethean (RFC-0005); optional, never tried against the live network',
    );
  if (!process.argv.includes('lethean')) return;
  (await import('./lethean/commands.js')).addLetheanCommands(lethean);
}

/** The subcommands of `directories` are loaded only when it is named. */
async function addDirectories(program: Command): Promise<void> {
  const directories = program
    .command('directories')
    .description('make, verify and check signed lists of directories');
  if (!process.argv.includes('directories')) return;
  (await import('./directories/commands.js')).addDirectoriesCommands(directories);
}

/** Commander's errors of several lines become one line, like every other error. */
function usageError(text: string): string {
  const said = text
    .replace(/^error: /, '')
    .trim()
    .replaceAll('\n', ' ')
    .replace(/\.$/, '');
  return `onionmc: ${shownLine(said, 2_000)}; see onionmc --help, or onionmc COMMAND --help\n`;
}

/** Runs the command that the arguments of this process name. */
export async function runCommandLine(version: string): Promise<void> {
  const program = new Command('onionmc')
    .description(
      'The JoinMarket onion message channel: directory node, maker, taker and orderbook over Tor',
    )
    .version(version)
    // Commands that have commands of their own (maker) need it, too: options behind one belong to it.
    .enablePositionalOptions()
    .configureOutput({ outputError: (text, write) => write(usageError(text)) })
    .exitOverride();
  addPrograms(program);
  addOperatorTools(program);
  addViews(program);
  await addWallet(program);
  await addCoinjoin(program);
  await addSchedule(program);
  await addDirectories(program);
  await addAdmission(program);
  await addLlarp(program);
  await addLethean(program);
  try {
    await program.parseAsync();
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    // Commander has already printed the error; 0 is for --help and --version.
    process.exit(error.exitCode === 0 ? ExitCode.OK : ExitCode.USAGE);
  }
}
