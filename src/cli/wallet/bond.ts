/** `onionmc wallet bond`: the arguments of each action. The actions are in `bond-actions.ts`. */
import { bondMonthFaultText, parseBondMonth } from '../../bitcoin/bond.js';
import { counted } from '../../kit/decimal.js';
import { quotedLine } from '../../kit/shown-text.js';
import { parseOutpoint, type Outpoint } from '../../protocol/outpoint.js';
import { UsageError } from '../errors.js';
import {
  bondAddress,
  certifyBond,
  coldImport,
  coldMessage,
  redeemBond,
  showBonds,
  type BondOptions,
} from './bond-actions.js';

/** The names of the arguments behind each action. */
const ARGUMENTS: Readonly<Record<string, readonly string[]>> = {
  list: [],
  address: ['YYYY-MM'],
  certify: ['OUTPOINT'],
  'cold-message': ['OUTPOINT', 'FILE'],
  'cold-import': ['FILE'],
  redeem: ['OUTPOINT', 'ADDRESS'],
};

/** Options that only some actions have. */
const OWN_OPTIONS: readonly (readonly [keyof BondOptions, string, readonly string[]])[] = [
  ['publicKey', '--public-key', ['address']],
  ['periods', '--periods', ['certify', 'cold-message']],
  ['feeRate', '--fee-rate', ['redeem']],
  ['acceptAbsurdFee', '--accept-absurd-fee', ['redeem']],
  ['dryRun', '--dry-run', ['redeem']],
  ['psbt', '--psbt', ['redeem']],
];

function checkArguments(action: string, given: readonly string[], options: BondOptions): void {
  const names = ARGUMENTS[action] ?? [];
  if (given.length !== names.length) {
    const wanted = names.length === 0 ? 'no more arguments' : names.join(' ');
    throw new UsageError(
      `bond ${action} takes ${wanted}, not ${counted(given.length, 'argument')}`,
    );
  }
  for (const [key, option, actions] of OWN_OPTIONS) {
    if (options[key] !== undefined && !actions.includes(action)) {
      throw new UsageError(`${option} belongs to bond ${actions.join(' and ')}, not to ${action}`);
    }
  }
}

function outpointOf(text: string): Outpoint {
  const parsed = parseOutpoint(text);
  if (parsed.ok && parsed.value.metadata === undefined) return parsed.value;
  throw new UsageError(
    `${quotedLine(text, 80)} is not a coin: write TXID:NUMBER, as bond list shows it`,
  );
}

export async function runBond(
  name: string,
  action: string,
  given: readonly string[],
  options: BondOptions,
): Promise<void> {
  checkArguments(action, given, options);
  const [first = '', second = ''] = given;
  switch (action) {
    case 'address': {
      const month = parseBondMonth(first);
      if (!month.ok) {
        throw new UsageError(`${quotedLine(first, 20)}: ${bondMonthFaultText(month.reason)}`);
      }
      return bondAddress(name, month.value, options);
    }
    case 'certify':
      return certifyBond(name, outpointOf(first), options);
    case 'cold-message':
      return coldMessage(name, outpointOf(first), second, options);
    case 'cold-import':
      return coldImport(name, first, options);
    case 'redeem':
      return redeemBond(name, outpointOf(first), second, options);
    default:
      return showBonds(name, options);
  }
}
