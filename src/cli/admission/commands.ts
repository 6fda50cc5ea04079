/** The subcommands of `onionmc admission` with their options. The code of a command is loaded when it runs. */
import { Option, type Command } from 'commander';
import { LOG_LEVELS } from '../../config/log-level.js';
import { parseDatadir, parseLevel, parseSeconds } from '../option-values.js';
import * as values from './option-values.js';

const DATADIR = [
  '--datadir <dir>',
  'data directory (default: ~/.joinmarket)',
  parseDatadir,
] as const;
const CODES = [
  '--codes <file>',
  'the file of codes (default: admission/codes.json in the data directory)',
  values.parsePath,
] as const;
const BIND = [
  '--bind <address>',
  'tcp://127.0.0.1:5555, ipc:///path/to/auth.socket, or curve://HOST:PORT, which proves the key of the server',
  values.parseBind,
] as const;
const METHOD = [
  '--method <name>',
  'the method that the endpoint calls: its auth-lmq-method (default: llarp.auth)',
  values.parseMethod,
] as const;

function addServe(admission: Command): void {
  admission
    .command('serve')
    .description('answer Lokinet endpoints whether a client with a code may enter (auth=lmq)')
    .requiredOption(...BIND)
    .option(
      '--cmd <program>',
      'ask a program: two arguments, ADDRESS.loki and the base64 of the code; exit code 0 admits',
      values.parsePath,
    )
    .option(
      '--codes <file>',
      'our own file of codes, or lines of SHA-256 as the guide has them (default: admission/codes.json)',
      values.parsePath,
    )
    .option(
      '--list <file>',
      'a fixed list: one code in clear, or one .loki address, a line; mode 0600',
      values.parsePath,
    )
    .option(...DATADIR)
    .option(...METHOD)
    .option('--payme', 'answer PAYME instead of REJECT for codes that expired or are used up')
    .option('--cmd-timeout <seconds>', 'longest run of the program (default: 5)', parseSeconds)
    .option(
      '--cmd-at-once <n>',
      'most runs of the program at a time (default: 4)',
      values.parseCount,
    )
    .option('--plain-beyond-loopback', 'allow a socket without CURVE that other machines can reach')
    .addOption(
      new Option(
        '--log-level <level>',
        `how much to say on standard error: ${LOG_LEVELS.join(', ')} (default: INFO)`,
      ).argParser(parseLevel),
    )
    .action(async (options) => (await import('./serve.js')).runServe(options));
  admission
    .command('lokinet-config')
    .description('print the lines of lokinet.ini for an exit that asks this server')
    .requiredOption(...BIND)
    .option(...DATADIR)
    .option(...METHOD)
    .option(
      '--keyfile <file>',
      "the exit's key file (default: /var/lib/lokinet/exit.private)",
      values.parsePath,
    )
    .option('--service', 'for a service that is no exit, such as a private directory')
    .action(async (options) => (await import('./lokinet-config.js')).runLokinetConfig(options));
}

function addCode(admission: Command): void {
  const code = admission.command('code').description('make, list, revoke and check codes');
  const withFile = (name: string, description: string): Command =>
    code
      .command(name)
      .description(description)
      .option(...DATADIR)
      .option(...CODES)
      .option('--json', 'print JSON');
  withFile('add', 'make a code with 128 random bits and print it, once')
    .option('--name <text>', 'for yourself; "list" shows it', values.parseName)
    .option(
      '--not-before <time>',
      'valid from then on: 2027-01-31, or 12h from now',
      values.parseMoment,
    )
    .option(
      '--not-after <time>',
      'valid until then: 2027-01-31, or 30d from now',
      values.parseMoment,
    )
    .option(
      '--address <address>',
      'only for this .loki address, onion or nick; may be repeated',
      values.collectAddress,
    )
    .option('--max-uses <n>', 'most sessions ever', values.parseCount)
    .option('--max-concurrent <n>', 'most sessions at a time', values.parseCount)
    .option('--per-minute <n>', 'most requests in a minute', values.parseCount)
    .option(
      '--chosen-file <file>',
      'take the first line of this file as the code, instead of a random one',
      values.parsePath,
    )
    .action(async (options) => (await import('./code.js')).runCodeAdd(options));
  withFile('list', 'list the codes, without the codes themselves').action(async (options) =>
    (await import('./code.js')).runCodeList(options),
  );
  withFile('revoke', 'revoke a code')
    .argument('<id>', 'as "list" shows it', values.parseId)
    .option('--remove', 'also remove its record')
    .action(async (id, options) => (await import('./code.js')).runCodeRevoke(id, options));
  withFile('check', 'read a code from standard input and say what the file decides now')
    .addOption(
      new Option('--door <door>', 'where')
        .choices(['lokinet', 'handshake', 'page'] as const)
        .default('lokinet' as const),
    )
    .option(
      '--address <address>',
      'the client: .loki address, onion, nick; may be repeated',
      values.collectAddress,
    )
    .action(async (options) => (await import('./code.js')).runCodeCheck(options));
}

function addTorClient(admission: Command): void {
  const client = admission
    .command('tor-client')
    .description('keys of Tor clients for the onion of a private directory');
  const add = (name: string, description: string): Command =>
    client
      .command(name)
      .description(description)
      .option(...DATADIR)
      .option('--json', 'print JSON');
  add('add', 'make a key for a client and print its side, once')
    .argument('<name>', 'of the client', values.parseClientName)
    .action(async (name, options) => (await import('./tor-client.js')).runClientAdd(name, options));
  add('revoke', 'take the key of a client away')
    .argument('<name>', 'of the client', values.parseClientName)
    .action(async (name, options) =>
      (await import('./tor-client.js')).runClientRevoke(name, options),
    );
  add('list', 'list the clients').action(async (options) =>
    (await import('./tor-client.js')).runClientList(options),
  );
  add(
    'use',
    'on the client: store the key that the operator gave (standard input), and add it to Tor',
  )
    .argument('<name>', 'for the file', values.parseClientName)
    .action(async (name, options) => (await import('./tor-client.js')).runClientUse(name, options));
}

export function addAdmissionCommands(admission: Command): void {
  addServe(admission);
  addCode(admission);
  addTorClient(admission);
}
