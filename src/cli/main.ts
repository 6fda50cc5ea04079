#!/usr/bin/env node
/** The command line: wiring only, one file per command. */
import { Command, CommanderError } from 'commander';
import { ExitCode } from '../ops/exit.js';
import { VERSION } from '../roles/version.js';
import { addDemoCommand } from './demo.js';
import { addDirectoryCommand } from './directory.js';
import { exitCodeFor } from './errors.js';
import { addInitCommand } from './init.js';
import { addMakerCommand } from './maker.js';
import { addTakerCommand } from './taker.js';

const program = new Command('onionmc')
  .description('The JoinMarket onion message channel: directory node, maker and taker over Tor')
  .version(VERSION)
  .showHelpAfterError('(onionmc --help lists the commands, onionmc COMMAND --help its options)')
  .exitOverride();

addDirectoryCommand(program);
addMakerCommand(program);
addTakerCommand(program);
addInitCommand(program);
addDemoCommand(program);

function fail(error: unknown): void {
  if (error instanceof CommanderError) {
    // It has said what is wrong already; 0 is for --help and --version.
    process.exit(error.exitCode === 0 ? ExitCode.OK : ExitCode.USAGE);
  }
  const message = error instanceof Error ? error.message : String(error);
  process.stderr.write(`onionmc: ${message.replaceAll('\n', ' ')}\n`);
  process.exit(exitCodeFor(error));
}

process.on('unhandledRejection', fail);
program.parseAsync().catch(fail);
