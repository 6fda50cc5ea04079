/** All checks of `onionmc doctor`, for each program, each after the checks it depends on. */
import type { Check, DoctorRole } from './check.js';
import { authenticationCheck, controlCheck } from './control-checks.js';
import { directoriesCheck } from './directories-check.js';
import { configCheck, datadirCheck, keyCheck } from './files-checks.js';
import { nodeCheck, openFilesCheck, torProgramCheck } from './machine-checks.js';
import { bondCheck, commitmentsCheck, makerCheck } from './maker-checks.js';
import { publishedCheck, reachableCheck, relayCheck } from './onion-checks.js';
import { directoryCheck, portCheck } from './running-checks.js';
import { clockCheck, dialerSocksCheck, socksCheck, torNetworkCheck } from './tor-checks.js';
import { pageCheck } from './watcher-checks.js';

/** For a directory. */
export const CHECKS: readonly Check[] = [
  nodeCheck,
  datadirCheck,
  configCheck,
  keyCheck,
  openFilesCheck,
  torProgramCheck,
  directoryCheck,
  portCheck,
  controlCheck,
  authenticationCheck,
  socksCheck,
  torNetworkCheck,
  clockCheck,
  publishedCheck,
  reachableCheck,
  relayCheck,
];

/** A maker serves an onion, and dials. */
const MAKER_CHECKS: readonly Check[] = [
  nodeCheck,
  datadirCheck,
  configCheck,
  keyCheck,
  bondCheck,
  commitmentsCheck,
  torProgramCheck,
  makerCheck,
  portCheck,
  controlCheck,
  authenticationCheck,
  socksCheck,
  torNetworkCheck,
  clockCheck,
  publishedCheck,
  directoriesCheck,
];

/** A taker only dials: no onion, no control port, no status page. */
const TAKER_CHECKS: readonly Check[] = [
  nodeCheck,
  datadirCheck,
  configCheck,
  torProgramCheck,
  dialerSocksCheck,
  directoriesCheck,
];

/** A taker with a page. */
const WATCHER_CHECKS: readonly Check[] = [
  nodeCheck,
  datadirCheck,
  configCheck,
  torProgramCheck,
  pageCheck,
  dialerSocksCheck,
  directoriesCheck,
];

export const CHECKS_OF: Readonly<Record<DoctorRole, readonly Check[]>> = {
  directory: CHECKS,
  maker: MAKER_CHECKS,
  taker: TAKER_CHECKS,
  'ob-watcher': WATCHER_CHECKS,
};
