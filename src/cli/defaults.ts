/** Values that both the help and the code of a command use. */

/** Size of the offer of a maker without a wallet, in satoshi. */
export const DEFAULT_SIZE = 10_000_000;
export const DEFAULT_STATUS_URL = new URL('http://127.0.0.1:62600');
export const SYSTEM_UNIT_DIR = '/etc/systemd/system';
/** File in the data directory for the results of `onionmc check --watch`. */
export const HISTORY_FILE = 'check-history.jsonl';
/** Time between two rounds of `onionmc check --watch`. */
export const INTERVAL_SECONDS = { least: 10, most: 86_400, usual: 300 } as const;
export const DOCTOR_ROLES = ['directory', 'maker', 'taker', 'ob-watcher', 'wallet'] as const;
