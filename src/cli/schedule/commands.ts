/** The subcommands of `onionmc schedule` with their options. The code of a command is loaded when it runs. */
import { Option, type Command } from 'commander';
import { DEFAULT_RUN_TERMS } from '../../schedule/decide.js';
import { DEFAULT_PLAN_OPTIONS as PLAN } from '../../schedule/plan-options.js';
import { addLimits } from '../coinjoin/commands.js';
import { LOG_LEVELS } from '../../config/log-level.js';
import { parseDatadir, parseLevel, parseSeconds } from '../option-values.js';
import * as wallet from '../wallet/option-values.js';
import * as values from './option-values.js';

const NAME = ['<name>', 'name of the wallet', wallet.parseWalletName] as const;

function add(schedule: Command, name: string, description: string): Command {
  return schedule
    .command(name)
    .description(description)
    .argument(...NAME)
    .option('--datadir <dir>', 'data directory (default: ~/.joinmarket)', parseDatadir)
    .option(
      '--file <file>',
      'the schedule (default: schedules/NAME.schedule in the data directory)',
      wallet.parsePath,
    )
    .option('--json', 'print JSON, with amounts in satoshi');
}

function withPassword(command: Command): Command {
  return command
    .option(
      '--password-file <file>',
      'read the password from the first line of this file instead of asking',
      wallet.parsePath,
    )
    .option(
      '--passphrase-file <file>',
      'read the passphrase of the seed words from the first line of this file',
      wallet.parsePath,
    );
}

const MINCJAMOUNT = [
  '--mincjamount <sat>',
  'smallest amount of a coinjoin, in satoshi',
  values.parseAmount,
] as const;

/** A list as a person types it. */
const typed = (numbers: readonly number[]): string => numbers.join(',');

const PLAN_HELP = `
Every ADDRESS gets the rest of one mixdepth, in the order given. Where --addrcount is higher, "run" asks for the
others when it needs them. The options are those of the original's tumbler, with its defaults.`;

function addPlan(schedule: Command): void {
  withPassword(add(schedule, 'plan', 'plan coinjoins that end with all coins at your addresses'))
    .argument('[addresses...]', 'where the coins end')
    .option(
      '--addrcount <n>',
      'addresses in total (default: 3, or all that are given)',
      values.parseDepths,
    )
    .addOption(
      new Option('--makercountrange <mean,sd>', 'makers of a coinjoin: mean and deviation')
        .argParser(values.parseMakersRange)
        .default(PLAN.makercountrange, typed(PLAN.makercountrange)),
    )
    .option('--minmakercount <n>', 'fewest makers', values.parseLeastMakers, PLAN.minmakercount)
    .option(
      '--mixdepthcount <n>',
      'mixdepths that the coins go through',
      values.parseDepths,
      PLAN.mixdepthcount,
    )
    .addOption(
      new Option('--txcountparams <mean,sd>', 'coinjoins from each mixdepth: mean and deviation')
        .argParser(values.parseTransactions)
        .default(PLAN.txcountparams, typed(PLAN.txcountparams)),
    )
    .option(
      '--mintxcount <n>',
      'fewest coinjoins from each mixdepth',
      values.parseLeastTransactions,
      PLAN.mintxcount,
    )
    .option(
      '--timelambda <minutes>',
      'mean wait between two coinjoins',
      values.parseMinutes,
      PLAN.timelambda,
    )
    .option(
      '--stage1-timelambda-increase <f>',
      'factor of that wait after the first sweeps',
      values.parseFactor,
      PLAN.stage1TimelambdaIncrease,
    )
    .option(...MINCJAMOUNT, PLAN.mincjamount)
    .option(
      '--rounding-chance <f>',
      'share of the amounts that are rounded',
      values.parseChance,
      PLAN.roundingChance,
    )
    .addOption(
      new Option('--rounding-sigfig-weights <w,w,w,w,w>', 'weights of 1 to 5 significant figures')
        .argParser(values.parseWeights)
        .default(PLAN.roundingSigfigWeights, typed(PLAN.roundingSigfigWeights)),
    )
    .option('--offline', 'do not ask the node: plan with the coins that the wallet knows')
    .option('--replace', 'in the place of the schedule that is there')
    .option('--dry-run', 'show the plan and write nothing')
    .addHelpText('after', PLAN_HELP)
    .action(async (name, addresses, options) =>
      (await import('./plan.js')).runPlan(name, addresses, options),
    );
}

const RUN_HELP = `
It may be ended at any time, also by kill -9, and continues where it was when it is started again. The first
Ctrl-C, or SIGTERM, ends it after the coinjoin that runs, the second one at once.

Exit code: 0 the schedule is done, or was stopped, 1 a step failed too often, 2 usage, password or configuration,
3 the bitcoin node, Tor or every directory cannot be reached.`;

function addRun(schedule: Command): void {
  const logLevel = new Option('--log-level <level>', `${LOG_LEVELS.join(', ')} (default: WARNING)`);
  const run = withPassword(
    add(schedule, 'run', 'do the coinjoins of a schedule, one after the other'),
  );
  addLimits(run)
    .option(...MINCJAMOUNT, DEFAULT_RUN_TERMS.mincjamount)
    .option(
      '--liquiditywait <seconds>',
      'wait before the second attempt of a step',
      values.parseWaitSeconds,
      DEFAULT_RUN_TERMS.liquiditywait,
    )
    .option(
      '--attempts <n>',
      'attempts of one step',
      values.parseAttempts,
      DEFAULT_RUN_TERMS.attempts,
    )
    .option('--wait <seconds>', 'how long to collect offers before each coinjoin', parseSeconds, 15)
    .option('--dry-run', 'show what each step would do now, and what it costs at worst')
    .option('--yes', 'do not ask')
    .option(
      '--mainnet-i-accept-the-risk',
      'spend real bitcoin with this young software (docs/wallet.md)',
    )
    .addOption(logLevel.argParser(parseLevel))
    .addHelpText('after', RUN_HELP)
    .action(async (name, options) => (await import('./run.js')).runRun(name, options));
}

/** Adds the commands. */
export function addScheduleCommands(schedule: Command): void {
  addPlan(schedule);
  add(schedule, 'show', 'show the steps of a schedule, and what comes next').action(
    async (name, options) => (await import('./show.js')).runShow(name, options),
  );
  addRun(schedule);
  add(schedule, 'stop', 'end a running schedule after the coinjoin that runs').action(
    async (name, options) => (await import('./stop.js')).runStop(name, options),
  );
}
