/** All checks of `onionmc doctor`, in the order in which they build on each other. */
import type { Check } from './check.js';
import { authenticationCheck, controlCheck } from './control-checks.js';
import { configCheck, datadirCheck, keyCheck } from './files-checks.js';
import { nodeCheck, openFilesCheck, torProgramCheck } from './machine-checks.js';
import { publishedCheck, reachableCheck, relayCheck } from './onion-checks.js';
import { directoryCheck, portCheck } from './running-checks.js';
import { clockCheck, socksCheck, torNetworkCheck } from './tor-checks.js';

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
