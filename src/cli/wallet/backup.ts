/** `onionmc wallet backup`: one encrypted file with everything that the folder of the wallet has. */
import { resolve } from 'node:path';
import { print } from '../print.js';
import { withFolder, type FolderOptions } from './session.js';

export function runBackup(name: string, file: string, options: FolderOptions): Promise<void> {
  return withFolder(name, options, 'read', async ({ store }) => {
    const path = resolve(file);
    await store.backup(path);
    print(
      `${path}: a backup, encrypted with the password of the wallet; "onionmc wallet import" opens it`,
    );
  });
}
