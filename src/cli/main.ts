#!/usr/bin/env node
/** The command line: wiring only, one file per command. */
import { Command, CommanderError } from 'commander';
import { shownLine } from '../kit/shown-text.js';
import { ExitCode } from '../ops/exit.js';
import { VERSION } from '../roles/version.js';
import { addCheckCommand } from './check.js';
import { addDemoCommand } from './demo.js';
import { addDirectoryCommand } from './directory.js';
import { addDoctorCommand } from './doctor.js';
import { addInitCommand } from './init.js';
import { endWithOutput, failWith } from './lifecycle.js';
import { addMakerCommand } from './maker.js';
import { addStatusCommand } from './status.js';
import { addObWatcherCommand } from './ob-watcher.js';
import { addTakerCommand } from './taker.js';
import { addUpgradeCommand } from './upgrade.js';

const program = new Command('onionmc')
  .description(
    'The JoinMarket onion message channel: directory node, maker, taker and orderbook over Tor',
  )
  .version(VERSION)
  .configureOutput({
    // One line, like every other error.
    outputError: (text, write) => {
      const said = text
        .replace(/^error: /, '')
        .trim()
        .replaceAll('\n', ' ')
        .replace(/\.$/, '');
      write(`onionmc: ${shownLine(said, 2_000)}; see onionmc --help, or onionmc COMMAND --help\n`);
    },
  })
  .exitOverride();

addDirectoryCommand(program);
addMakerCommand(program);
addTakerCommand(program);
addObWatcherCommand(program);
addInitCommand(program);
addDoctorCommand(program);
addUpgradeCommand(program);
addCheckCommand(program);
addStatusCommand(program);
addDemoCommand(program);

function fail(error: unknown): void {
  // Commander has said what is wrong already; 0 is for --help and --version.
  if (error instanceof CommanderError) {
    process.exit(error.exitCode === 0 ? ExitCode.OK : ExitCode.USAGE);
  }
  failWith(error);
}

endWithOutput();
process.on('unhandledRejection', fail);
process.on('uncaughtException', fail);
program.parseAsync().catch(fail);
