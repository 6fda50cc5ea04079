/** What the help of the commands and the commands themselves both name. */

/** The offer of a maker without a wallet, in satoshi. */
export const DEFAULT_SIZE = 10_000_000;
export const DEFAULT_STATUS_URL = new URL('http://127.0.0.1:62600');
export const SYSTEM_UNIT_DIR = '/etc/systemd/system';
/** `onionmc check --watch` keeps its results there, in the data directory. */
export const HISTORY_FILE = 'check-history.jsonl';
/** `onionmc check --watch`: between two rounds. */
export const INTERVAL_SECONDS = { least: 10, most: 86_400, usual: 300 } as const;
export const DOCTOR_ROLES = ['directory', 'maker', 'taker', 'ob-watcher'] as const;
