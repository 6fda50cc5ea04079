/** The subcommands of `onionmc lethean` with their options. The code of a command is loaded when it runs. */
import { InvalidArgumentError, Option, type Command } from 'commander';
import { parseAmount } from '../../lethean/amount.js';
import { parseSpeed } from '../../lethean/market/units.js';
import { withSettings } from './options.js';

const JSON_OPTION = ['--json', 'print JSON'] as const;

function parseDays(text: string): number {
  const days = Number(text);
  if (/^\d{1,4}$/.test(text) && days >= 1 && days <= 3_660) return days;
  throw new InvalidArgumentError('a whole number of days from 1 to 3660.');
}

function parseCountry(text: string): string {
  if (/^[A-Za-z]{2}$/.test(text)) return text.toUpperCase();
  throw new InvalidArgumentError('two letters (ISO 3166-1), such as AU.');
}

function parseCost(text: string): bigint {
  const amount = parseAmount(text);
  if (amount !== undefined) return amount;
  throw new InvalidArgumentError('LTHN for a day, such as 0.5.');
}

function parseMinSpeed(text: string): number {
  const kbps = parseSpeed(text);
  if (kbps !== undefined) return kbps;
  throw new InvalidArgumentError('a speed with its unit, such as 10mbps.');
}

function parseLink(text: string): string {
  if (/^[\x21-\x7e]{1,400}$/.test(text)) return text;
  throw new InvalidArgumentError('lthn://PROVIDER/SERVICE, or GATE/SPACE.');
}

function addMarket(lethean: Command): void {
  withSettings(
    lethean
      .command('providers')
      .description('search providers and list what they offer (sections 3.2 and 3.3)')
      .option('--kept', 'do not ask the SDP server: list the kept descriptions')
      .addOption(new Option('--type <type>', 'only this type').choices(['vpn', 'proxy']))
      .option('--country <code>', 'only in this country', parseCountry)
      .option('--max-cost <lthn>', 'at most so much for a day', parseCost)
      .option('--min-speed <speed>', 'at least so fast, such as 10mbps', parseMinSpeed)
      .option('--keep-unknown', 'keep offers that do not name their country or speed')
      .addOption(
        new Option('--first <what>', 'order of the list')
          .choices(['cost', 'speed'])
          .default('cost'),
      )
      .option(...JSON_OPTION),
  ).action(async (options) => (await import('./providers.js')).runProviders(options));
  withSettings(
    lethean
      .command('connect')
      .description('buy a session, or continue a paid one, and keep its tunnel open')
      .argument(
        '[link]',
        'lthn://PROVIDER/SERVICE or GATE/SPACE (default: auto-connect)',
        parseLink,
      )
      .option('--days <n>', 'days to pay for (default: default-pay-days)', parseDays)
      .option('--yes', 'pay without a question, within the limits max-payment and the like')
      .option(...JSON_OPTION),
  ).action(async (link, options) => (await import('./connect.js')).runConnect(link, options));
  withSettings(
    lethean
      .command('page')
      .description('continue open sessions, and serve a page to browse, pay and connect')
      .option(...JSON_OPTION),
  ).action(async (options) => (await import('./connect.js')).runPage(options));
}

function addSessions(lethean: Command): void {
  withSettings(
    lethean
      .command('sessions')
      .description('list the sessions')
      .option(...JSON_OPTION),
  ).action(async (options) => (await import('./sessions.js')).runSessions(options));
  withSettings(
    lethean
      .command('disconnect')
      .description('end the tunnel of a session; a paid one can be connected again')
      .argument('<session>', 'as "sessions" lists it', parseLink)
      .option(...JSON_OPTION),
  ).action(async (key, options) => (await import('./sessions.js')).runDisconnect(key, options));
}

function addWallet(lethean: Command): void {
  const wallet = lethean.command('wallet').description('the wallet behind the wallet RPC');
  withSettings(
    wallet
      .command('show', { isDefault: true })
      .description('address, coins and history')
      .option(...JSON_OPTION),
  ).action(async (options) => (await import('./wallet.js')).runWallet(options));
  withSettings(
    wallet
      .command('create')
      .description('make the wallet file, and print its address')
      .option(...JSON_OPTION),
  ).action(async (options) => (await import('./wallet.js')).runCreate(options));
  withSettings(
    wallet
      .command('payments')
      .description('payments of this client, with their proofs')
      .option(...JSON_OPTION),
  ).action(async (options) => (await import('./wallet.js')).runPayments(options));
  withSettings(
    wallet
      .command('forget')
      .description('forget a payment that was surely not made, so that its session can be paid')
      .argument('<session>', 'the id of the session', parseLink)
      .option('--yes', 'do not ask')
      .option(...JSON_OPTION),
  ).action(async (id, options) => (await import('./wallet.js')).runForget(id, options));
}

export function addLetheanCommands(lethean: Command): void {
  addMarket(lethean);
  addSessions(lethean);
  addWallet(lethean);
  withSettings(
    lethean
      .command('options')
      .description('list every option: its value, where it comes from, what it means')
      .option(...JSON_OPTION),
  ).action(async (options) => (await import('./wallet.js')).runOptions(options));
}
