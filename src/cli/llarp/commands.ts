/** The subcommands of `onionmc llarp`. The code of a command is loaded when it runs. */
import type { Command } from 'commander';

/** Adds them to `onionmc llarp`. */
export function addLlarpCommands(llarp: Command): void {
  llarp
    .command('inspect')
    .description('print the structures and messages of LLARP v0 in a file')
    .argument('<file>', 'bencode: one structure, or a list as bootstrap files hold it')
    .option('--json', 'print JSON')
    .action(async (file, options) => (await import('./inspect.js')).runInspect(file, options));
}
