/** `onionmc coinjoin` with its options. */
import { Option, type Command } from 'commander';
import { LOG_LEVELS } from '../../config/log-level.js';
import { BROADCASTS } from '../../negotiation/taker/api.js';
import { CHOICES } from '../../taker/api.js';
import { parseDatadir, parseLevel, parseSeconds } from '../option-values.js';
import * as wallet from '../wallet/option-values.js';
import * as values from './option-values.js';

/** Seconds for which offers are collected, as in the original. */
const USUAL_WAIT = 15;

const HELP = `
AMOUNT is 0.1, 0.1btc, 10000000sat, or sweep for everything in the mixdepth. DESTINATION is an address, a
bitcoin: link (BIP21), or INTERNAL for a fresh address of the next mixdepth.

With neither --max-fee-abs nor --max-fee-rel the limits are those of [POLICY], else 500 sat and 0.1 %. An offer
is refused only above both.

Exit code: 0 the transaction was sent, 1 it was not, 2 usage, password or configuration, 3 the bitcoin node, Tor
or every directory cannot be reached.`;

/** The options about the fees of makers and miners, the choice of makers and the broadcast. */
export function addLimits(command: Command): Command {
  return command
    .option('--max-fee-abs <sat>', 'most that one maker gets, in satoshi', values.parseMaxFeeAbs)
    .option(
      '--max-fee-rel <f>',
      'most that one maker gets, as a fraction of the amount: 0.001 or 0.1%',
      values.parseShare,
    )
    .option('--accept-high-maker-fee', 'accept a --max-fee-rel above 0.05')
    .addOption(
      new Option('--fee-rate <sat/vb>', 'miner fee in satoshi per virtual byte')
        .argParser(wallet.parseFeeRate)
        .conflicts('blocks'),
    )
    .option(
      '--blocks <n>',
      'miner fee for a confirmation within this many blocks (default: [POLICY] tx_fees)',
      wallet.parseBlocks,
    )
    .addOption(
      new Option('--choice <rule>', 'how makers are drawn').choices(CHOICES).default(CHOICES[0]),
    )
    .addOption(
      new Option(
        '--broadcast <who>',
        'who sends the transaction (default: [POLICY] tx_broadcast)',
      ).choices(BROADCASTS),
    );
}

/** Adds the command. */
export function addCoinjoinOptions(command: Command): void {
  const logLevel = new Option('--log-level <level>', `${LOG_LEVELS.join(', ')} (default: ERROR)`);
  const based = command
    .argument('<name>', 'name of the wallet', wallet.parseWalletName)
    .argument('<amount>', '0.1, 0.1btc, 10000000sat, or sweep')
    .argument('[destination]', 'an address, a bitcoin: link, or INTERNAL')
    .option('--datadir <dir>', 'data directory (default: ~/.joinmarket)', parseDatadir)
    .option(
      '--password-file <file>',
      'read the password from the first line of this file instead of asking',
      wallet.parsePath,
    )
    .option(
      '--passphrase-file <file>',
      'read the passphrase of the seed words from the first line of this file',
      wallet.parsePath,
    )
    .option('--mixdepth <n>', 'mixdepth whose coins are mixed', wallet.parseMixdepth, 0);
  const asking = based
    .option('--makers <n>', 'how many makers to ask (default: 8 to 10)', values.parseMakers)
    .option(
      '--pick <nick>',
      'ask this maker; may be repeated, and then no other is asked',
      values.collectNick,
    );
  addLimits(asking)
    .option('--wait <seconds>', 'how long to collect offers', parseSeconds, USUAL_WAIT)
    .option('--dry-run', 'show it and do nothing')
    .option('--yes', 'do not ask')
    .option('--json', 'print JSON, with amounts in satoshi')
    .option(
      '--mainnet-i-accept-the-risk',
      'spend real bitcoin with this young software (docs/wallet.md)',
    )
    .addOption(logLevel.argParser(parseLevel))
    .addHelpText('after', HELP)
    .action(async (name, amount, destination, options) =>
      (await import('./coinjoin.js')).runCoinjoin(name, amount, destination, options),
    );
}
