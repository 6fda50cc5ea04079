/**
 * All checks of `onionmc doctor`, for each program, each after the checks it depends on. The code of a check is
 * loaded when it is its turn.
 */
import type { Check, DoctorRole } from './check.js';

type LoadCheck = () => Promise<Check>;

const nodeCheck: LoadCheck = async () => (await import('./node-check.js')).nodeCheck;
const datadirCheck: LoadCheck = async () => (await import('./files-checks.js')).datadirCheck;
const configCheck: LoadCheck = async () => (await import('./files-checks.js')).configCheck;
const keyCheck: LoadCheck = async () => (await import('./files-checks.js')).keyCheck;
const openFilesCheck: LoadCheck = async () => (await import('./machine-checks.js')).openFilesCheck;
const torProgramCheck: LoadCheck = async () =>
  (await import('./machine-checks.js')).torProgramCheck;
const bondCheck: LoadCheck = async () => (await import('./maker-checks.js')).bondCheck;
const commitmentsCheck: LoadCheck = async () =>
  (await import('./maker-checks.js')).commitmentsCheck;
const makerCheck: LoadCheck = async () => (await import('./maker-checks.js')).makerCheck;
const directoryCheck: LoadCheck = async () => (await import('./running-checks.js')).directoryCheck;
const lokinetCheck: LoadCheck = async () => (await import('./lokinet-checks.js')).lokinetCheck;
const lokinetRpcCheck: LoadCheck = async () =>
  (await import('./lokinet-checks.js')).lokinetRpcCheck;
const clusterKeyCheck: LoadCheck = async () =>
  (await import('./cluster-checks.js')).clusterKeyCheck;
const clusterNatsCheck: LoadCheck = async () =>
  (await import('./cluster-checks.js')).clusterNatsCheck;
const clusterNodesCheck: LoadCheck = async () =>
  (await import('./cluster-checks.js')).clusterNodesCheck;
const portCheck: LoadCheck = async () => (await import('./running-checks.js')).portCheck;
const pageCheck: LoadCheck = async () => (await import('./watcher-checks.js')).pageCheck;
const controlCheck: LoadCheck = async () => (await import('./control-checks.js')).controlCheck;
const authenticationCheck: LoadCheck = async () =>
  (await import('./control-checks.js')).authenticationCheck;
const socksCheck: LoadCheck = async () => (await import('./tor-checks.js')).socksCheck;
const dialerSocksCheck: LoadCheck = async () => (await import('./tor-checks.js')).dialerSocksCheck;
const torNetworkCheck: LoadCheck = async () => (await import('./tor-checks.js')).torNetworkCheck;
const clockCheck: LoadCheck = async () => (await import('./tor-checks.js')).clockCheck;
const publishedCheck: LoadCheck = async () => (await import('./onion-checks.js')).publishedCheck;
const reachableCheck: LoadCheck = async () => (await import('./onion-checks.js')).reachableCheck;
const relayCheck: LoadCheck = async () => (await import('./onion-checks.js')).relayCheck;
const cookieCheck: LoadCheck = async () => (await import('./chain-checks.js')).cookieCheck;
const bitcoinNodeCheck: LoadCheck = async () =>
  (await import('./chain-checks.js')).bitcoinNodeCheck;
const blockChainCheck: LoadCheck = async () => (await import('./chain-checks.js')).blockChainCheck;
const filterIndexCheck: LoadCheck = async () =>
  (await import('./chain-checks.js')).filterIndexCheck;
const walletsCheck: LoadCheck = async () => (await import('./wallet-checks.js')).walletsCheck;
const makerPageCheck: LoadCheck = async () =>
  (await import('./maker-service-checks.js')).makerPageCheck;
const makerServiceCheck: LoadCheck = async () =>
  (await import('./maker-service-checks.js')).makerServiceCheck;
const diskCheck: LoadCheck = async () => (await import('./wallet-checks.js')).diskCheck;
const directoriesCheck: LoadCheck = async () =>
  (await import('./directories-check.js')).directoriesCheck;

/** The bitcoin node, for every program but a directory. */
const NODE_CHECKS: readonly LoadCheck[] = [cookieCheck, bitcoinNodeCheck, blockChainCheck];

/** For a directory. */
const DIRECTORY_CHECKS: readonly LoadCheck[] = [
  nodeCheck,
  datadirCheck,
  configCheck,
  keyCheck,
  openFilesCheck,
  lokinetCheck,
  lokinetRpcCheck,
  torProgramCheck,
  directoryCheck,
  clusterKeyCheck,
  clusterNatsCheck,
  clusterNodesCheck,
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
const MAKER_CHECKS: readonly LoadCheck[] = [
  nodeCheck,
  datadirCheck,
  configCheck,
  keyCheck,
  walletsCheck,
  diskCheck,
  bondCheck,
  commitmentsCheck,
  ...NODE_CHECKS,
  lokinetCheck,
  lokinetRpcCheck,
  torProgramCheck,
  makerCheck,
  makerServiceCheck,
  makerPageCheck,
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
const TAKER_CHECKS: readonly LoadCheck[] = [
  nodeCheck,
  datadirCheck,
  configCheck,
  ...NODE_CHECKS,
  lokinetCheck,
  lokinetRpcCheck,
  torProgramCheck,
  dialerSocksCheck,
  directoriesCheck,
];

/** A taker with a page. */
const WATCHER_CHECKS: readonly LoadCheck[] = [
  nodeCheck,
  datadirCheck,
  configCheck,
  ...NODE_CHECKS,
  lokinetCheck,
  lokinetRpcCheck,
  torProgramCheck,
  pageCheck,
  dialerSocksCheck,
  directoriesCheck,
];

/** A wallet dials nothing but its node. */
const WALLET_CHECKS: readonly LoadCheck[] = [
  nodeCheck,
  datadirCheck,
  configCheck,
  walletsCheck,
  diskCheck,
  ...NODE_CHECKS,
  filterIndexCheck,
];

const CHECKS_OF: Readonly<Record<DoctorRole, readonly LoadCheck[]>> = {
  directory: DIRECTORY_CHECKS,
  maker: MAKER_CHECKS,
  taker: TAKER_CHECKS,
  'ob-watcher': WATCHER_CHECKS,
  wallet: WALLET_CHECKS,
};

/** The checks of a program, in order. */
export async function* checksOf(role: DoctorRole): AsyncGenerator<Check> {
  // oxlint-disable-next-line no-await-in-loop -- a check is loaded when those before it have run
  for (const load of CHECKS_OF[role]) yield await load();
}
