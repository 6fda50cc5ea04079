/** The files of a data directory, and those whose place is configured. */
import { join } from 'node:path';
import { expandPath } from './paths.js';
import type { Role, Settings } from './settings.js';

const DEFAULT_COMMITMENTS = join('cmtdata', 'commitments.json');
const DEFAULT_LIST = join('cmtdata', 'commitmentlist');

/** `[POLICY] commitment_list_location`, absolute; relative paths start at the data directory. */
export function commitmentListPath({ datadir, policy }: Settings): string {
  const location = policy.commitmentListLocation;
  return expandPath(location === '' || location === '.' ? DEFAULT_LIST : location, datadir);
}

/** `[POLICY] commit_file_location`, absolute; relative paths start at the data directory. */
export function commitmentsFilePath({ datadir, policy }: Settings): string {
  const location = policy.commitFileLocation;
  return expandPath(location === '' ? DEFAULT_COMMITMENTS : location, datadir);
}

/** `[YIELDGENERATOR] bond_file`, absolute; undefined when it is not set. */
export function bondFilePath({ datadir, yieldGenerator }: Settings): string | undefined {
  const { bondFile } = yieldGenerator;
  return bondFile === '' ? undefined : expandPath(bondFile, datadir);
}

/**
 * The DataDirectory of the tor process that the program starts. Programs that share a data directory
 * need one each.
 */
export function ownTorFolder(datadir: string, role: Role): string {
  return join(datadir, role === 'directory' ? 'tor' : `tor-${role}`);
}

/** The keys for onions that need client authorisation, as Tor's ClientOnionAuthDir has them. */
export function onionAuthFolder(datadir: string): string {
  return join(datadir, 'onion-auth');
}

/** The folder of the unix socket to which the operator's Tor forwards, when it runs as the same user. */
export function onionSocketFolder(datadir: string): string {
  return join(datadir, 'onion-socket');
}

/** The lock of the running maker. */
export function makerLockPath(datadir: string): string {
  return join(datadir, 'maker.lock');
}

/** The folder with a folder for each wallet. */
export function walletsFolder(datadir: string): string {
  return join(datadir, 'wallets');
}

/** The statement of a maker, where the original has it. */
export function yieldStatementPath(datadir: string): string {
  return join(datadir, 'logs', 'yigen-statement.csv');
}
