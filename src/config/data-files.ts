/** What programs keep in a data directory, or where their configuration says. */
import { join } from 'node:path';
import { expandPath } from './paths.js';
import type { Role, Settings } from './settings.js';

const DEFAULT_LIST = join('cmtdata', 'commitmentlist');

/** `[POLICY] commitment_list_location`, absolute; relative paths start at the data directory. */
export function commitmentListPath({ datadir, policy }: Settings): string {
  const location = policy.commitmentListLocation;
  return expandPath(location === '' || location === '.' ? DEFAULT_LIST : location, datadir);
}

/** `[YIELDGENERATOR] bond_file`, absolute; undefined when none is named. */
export function bondFilePath({ datadir, yieldGenerator }: Settings): string | undefined {
  const { bondFile } = yieldGenerator;
  return bondFile === '' ? undefined : expandPath(bondFile, datadir);
}

/** The DataDirectory of a Tor of our own. Programs that share a data directory each need one. */
export function ownTorFolder(datadir: string, role: Role): string {
  return join(datadir, role === 'directory' ? 'tor' : `tor-${role}`);
}

/** Held by the maker that runs. */
export function makerLockPath(datadir: string): string {
  return join(datadir, 'maker.lock');
}
