/** `onionmc cluster key`: the key of a node of a cluster. */
import { resolveDatadir } from '../config/paths.js';
import { clusterKeyPath, loadOrCreateClusterKey } from '../ops/cluster-key.js';
import { print, printJson, printNote } from './print.js';

interface KeyOptions {
  readonly datadir?: string;
  readonly json?: boolean;
}

/** Makes the key when it is missing, and prints its public part. */
export async function runClusterKey(options: KeyOptions): Promise<void> {
  const datadir = resolveDatadir(options.datadir);
  const { key, created } = await loadOrCreateClusterKey(datadir);
  const file = clusterKeyPath(datadir);
  if (options.json === true) {
    printJson({ publicKey: key.publicKey, created, file });
    return;
  }
  print(key.publicKey);
  if (created) printNote(`new key in ${file}: keep it secret, and keep a backup`);
}
