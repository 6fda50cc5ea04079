/** `onionmc wallet password`: encrypts the wallet file with another password. */
import { print } from '../print.js';
import { nextPassword } from './secrets.js';
import { withFolder, type FolderOptions } from './session.js';

interface PasswordOptions extends FolderOptions {
  readonly newPasswordFile?: string;
}

export function runPassword(name: string, options: PasswordOptions): Promise<void> {
  return withFolder(name, options, 'write', async ({ store, asker }) => {
    await store.changePassword(await nextPassword(options.newPasswordFile, asker));
    print(`${name}: the password was changed; backups made before still open with the old one`);
  });
}
