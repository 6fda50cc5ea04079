/** `onionmc wallet address`: hands out a deposit address. Its index is on the disk before it is printed. */
import { print, printJson } from '../print.js';
import { checkMixdepth, writeWallet, type WriteOptions } from './session.js';

interface AddressOptions extends WriteOptions {
  readonly mixdepth: number;
  readonly json?: boolean;
}

export function runAddress(name: string, options: AddressOptions): Promise<void> {
  return writeWallet(name, options, async ({ wallet }) => {
    const { mixdepth } = options;
    checkMixdepth(wallet, mixdepth);
    const { address, path } = await wallet.handOut({ mixdepth, purpose: 'deposit' });
    if (options.json === true) printJson({ address, path });
    else print(address);
  });
}
