/** `onionmc wallet freeze` and `unfreeze`. */
import { counted } from '../../kit/decimal.js';
import { formatOutpoint, type Outpoint } from '../../protocol/outpoint.js';
import { print, printJson } from '../print.js';
import { writeWallet, type WriteOptions } from './session.js';

interface FreezeOptions extends WriteOptions {
  readonly json?: boolean;
}

export function runFreeze(
  verb: 'freeze' | 'unfreeze',
  name: string,
  outpoints: readonly Outpoint[],
  options: FreezeOptions,
): Promise<void> {
  return writeWallet(name, { ...options, isKeyless: true }, async ({ wallet }) => {
    await (verb === 'freeze' ? wallet.freeze(outpoints) : wallet.unfreeze(outpoints));
    const frozen = verb === 'freeze';
    if (options.json === true) {
      printJson(outpoints.map((outpoint) => ({ outpoint: formatOutpoint(outpoint), frozen })));
    } else {
      print(`${counted(outpoints.length, 'coin')} ${frozen ? 'frozen' : 'can be spent again'}`);
    }
  });
}
