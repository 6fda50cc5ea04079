/**
 * Every key that a program of this package reads, with its default (docs/protocol.md, section 13.1).
 * `joinmarket.cfg.example` explains each of them; a test keeps the two equal. Keys that only a wallet
 * needs are not among them.
 */
import {
  DEFAULT_PUBLIC_WINDOW_MS,
  LIMIT_ROWS,
  type LimitKey,
  type LimitRow,
} from '../directory/limits.js';
import { NETWORKS } from '../protocol/constants.js';
import { NICK_AUTH_MODES } from '../protocol/nick-auth.js';
import {
  decimal,
  host,
  hosts,
  limit,
  localSocket,
  loopbackHost,
  nearAddress,
  oneOf,
  oneOfAnyCase,
  optional,
  path,
  port,
  positiveSeconds,
  secret,
  seconds,
  someOf,
  freeText,
  whole,
  yesNo,
  type ValueSpec,
} from './cfg-value.js';
import { clusterNodes, natsServers, nodeName } from './cluster-values.js';
import { MAX_SOCKET_PATH_BYTES, unixSocketPath } from '../kit/socket-path.js';
import { LOG_LEVELS } from './log-level.js';
import { OVERLAY_NAMES } from './overlays.js';
import { SHIPPED_DIRECTORIES } from './shipped-directories.js';
import { upstreamValue } from './tor-upstream.js';

/** How the onion is served: see `tor_mode` in `joinmarket.cfg.example`. */
export const TOR_MODES = ['auto', 'control', 'managed', 'external'] as const;
export type TorMode = (typeof TOR_MODES)[number];

const MAX_SATS = 2_100_000_000_000_000;
const FRACTION = { min: 0, max: 1 };

/** Where the chain is read from: a node, a node on regtest whatever `network` says, or nothing. */
export const BLOCKCHAIN_SOURCES = [
  'bitcoin-rpc',
  'bitcoin-rpc-no-history',
  'regtest',
  'no-blockchain',
] as const;

export const BLOCKCHAIN_KEYS = {
  blockchain_source: oneOf('bitcoin-rpc', BLOCKCHAIN_SOURCES),
  network: oneOf('mainnet', NETWORKS),
  rpc_host: host('localhost', 'rpc_port'),
  rpc_port: optional(whole(0, { min: 1, max: 65_535 }, 'a port number')),
  rpc_user: freeText('bitcoin', 1000),
  rpc_password: { ...secret(1000), fallback: 'password' },
  rpc_cookie_file: path(''),
};

/** Two whole numbers; anything but `0,0` is loopback mode. */
const regtestCount: ValueSpec<boolean> = {
  fallback: '0,0',
  allowed: 'two whole numbers with a comma between; anything but 0,0 means loopback mode',
  secret: false,
  parse(value) {
    const match = /^\s*([+-]?\d+)\s*,\s*([+-]?\d+)\s*$/.exec(value);
    return match === null ? undefined : Number(match[1]) !== 0 || Number(match[2]) !== 0;
  },
};

const plainHost = host('localhost', 'tor_control_port');

const controlHost: ValueSpec<string> = {
  ...plainHost,
  allowed: `a host name, an IP address, or unix:/path of a socket (at most ${MAX_SOCKET_PATH_BYTES} bytes)`,
  parse(value) {
    const socket = unixSocketPath(value);
    if (socket === undefined) return plainHost.parse(value);
    const fits = Buffer.byteLength(socket) <= MAX_SOCKET_PATH_BYTES;
    return fits && /^\/[^\n\0]+$/.test(socket) ? `unix:${socket}` : undefined;
  },
};

/** `onion_serving_socket`. */
export type ServingSocket =
  | { readonly kind: 'auto' }
  | { readonly kind: 'tcp' }
  | { readonly kind: 'unix'; readonly path: string };

/** The listener is bound under a name that is one byte longer. */
const MAX_SERVING_PATH_BYTES = MAX_SOCKET_PATH_BYTES - 1;

const servingSocket: ValueSpec<ServingSocket> = {
  fallback: 'auto',
  allowed: `auto, tcp, or unix:/path of a socket (at most ${MAX_SERVING_PATH_BYTES} bytes, without blanks and quotes)`,
  secret: false,
  parse(value) {
    if (value === 'auto' || value === 'tcp') return { kind: value };
    const socket = unixSocketPath(value);
    if (socket === undefined || Buffer.byteLength(socket) > MAX_SERVING_PATH_BYTES)
      return undefined;
    return /^\/[^\s"\\\0]+$/.test(socket) ? { kind: 'unix', path: socket } : undefined;
  },
};

const targetHost = host('');

const hostOrNone: ValueSpec<string> = {
  ...targetHost,
  fallback: '',
  allowed: 'a host name, an IP address, or nothing',
  parse: (value) => (value === '' ? value : targetHost.parse(value)),
};

export const ONION_KEYS = {
  type: oneOfAnyCase('onion', ['onion']),
  socks5_host: host('localhost', 'socks5_port'),
  socks5_port: port(9050),
  tor_control_host: controlHost,
  tor_control_port: port(9051),
  tor_control_password: secret(1000),
  tor_target_host: hostOrNone,
  tor_mode: oneOf('auto', TOR_MODES),
  onion_serving_host: host('127.0.0.1', 'onion_serving_port'),
  onion_serving_port: whole(8080, { min: 0, max: 65_535 }, 'a port number (0 = any that is free)'),
  onion_serving_socket: servingSocket,
  onion_serving_circuits: yesNo(false),
  hidden_service_dir: path(''),
  directory_nodes: freeText(SHIPPED_DIRECTORIES.mainnet.join(','), 65_536),
  overlays: {
    ...someOf('tor', OVERLAY_NAMES),
    // Named, so that nobody looks for it elsewhere.
    remark: (text: string) =>
      /\bllarp\b/i.test(text)
        ? 'where llarp is a laboratory that gives nobody privacy: only `onionmc demo --overlay llarp` uses it'
        : undefined,
  },
  loopback_serving_port: whole(
    5222,
    { min: 0, max: 65_535 },
    'a port number (0 = any that is free)',
  ),
  regtest_count: regtestCount,
};

/** `[TOR]`: the Tor that this program starts. */
export const TOR_KEYS = { upstream: upstreamValue };

/** The section with `type = lokinet`, which also turns the overlay on. */
export const LOKINET_KEYS = {
  type: oneOfAnyCase('lokinet', ['lokinet']),
  dns: nearAddress('127.3.2.1:53', 53),
  rpc: localSocket(),
  serve: yesNo(true),
  virtual_port: port(5222),
  directory_nodes: freeText('', 65_536),
  same_nick: yesNo(false),
};

export const LOGGING_KEYS = {
  console_log_level: oneOfAnyCase('INFO', LOG_LEVELS),
  color: yesNo(true),
};

/** `[POLICY] merge_algorithm`. */
const SELECTION_RULES = ['default', 'gradual', 'greedy', 'greediest'] as const;

export const TIMEOUT_KEYS = {
  maker_timeout_sec: positiveSeconds(60),
  unconfirm_timeout_sec: positiveSeconds(180),
};

export const POLICY_KEYS = {
  segwit: yesNo(true),
  native: yesNo(true),
  merge_algorithm: oneOf('default', SELECTION_RULES),
  gaplimit: whole(6, { min: 1, max: 100_000 }, 'addresses'),
  max_sats_freeze_reuse: whole(-1, { min: -1, max: MAX_SATS }, 'satoshi (-1 = every coin)'),
  minimum_makers: whole(4, { min: 1, max: 1000 }),
  max_cj_fee_abs: optional(whole(0, { min: 0, max: MAX_SATS }, 'satoshi')),
  max_cj_fee_rel: optional(decimal('0', FRACTION)),
  tx_fees: whole(3, { min: 1, max: MAX_SATS }, 'blocks up to 1000, sat/kvB above'),
  tx_fees_factor: decimal('0.2', { min: 0, max: 100 }),
  absurd_fee_per_kb: whole(350_000, { min: 1, max: MAX_SATS }, 'sat/kvB'),
  max_sweep_fee_change: decimal('0.8', { min: 0, max: 100 }),
  tx_broadcast: oneOf('random-peer', ['self', 'random-peer', 'not-self']),
  taker_utxo_retries: whole(3, { min: 1, max: 256 }),
  taker_utxo_age: whole(5, { min: 0, max: 1_000_000 }, 'confirmations'),
  taker_utxo_amtpercent: whole(20, { min: 0, max: 1000 }, 'percent'),
  accept_commitment_broadcasts: yesNo(true),
  commit_file_location: path('cmtdata/commitments.json'),
  commitment_list_location: path('cmtdata/commitmentlist'),
  interest_rate: decimal('0.015', FRACTION),
  bondless_makers_allowance: decimal('0.125', FRACTION),
  max_bond_share: decimal('0.2', { min: 0.01, max: 1 }),
  min_bonded_share: decimal('0', FRACTION),
  bond_value_exponent: decimal('1.3', { min: 0, max: 10 }),
};

export const YIELDGENERATOR_KEYS = {
  ordertype: oneOf('reloffer', ['reloffer', 'absoffer']),
  cjfee_a: whole(500, { min: 0, max: MAX_SATS }, 'satoshi'),
  cjfee_r: decimal('0.00002', FRACTION),
  cjfee_factor: decimal('0', FRACTION),
  txfee_contribution: whole(0, { min: 0, max: MAX_SATS }, 'satoshi'),
  txfee_contribution_factor: decimal('0.3', FRACTION),
  minsize: whole(100_000, { min: 0, max: MAX_SATS }, 'satoshi'),
  size_factor: decimal('0.1', FRACTION),
  dual_offers: yesNo(false),
  session_timeout_sec: positiveSeconds(300),
  pending_tx_timeout_min: whole(60, { min: 1, max: 1_000_000 }, 'minutes'),
  max_sessions: whole(20, { min: 1, max: 1000 }),
  fills_per_minute: whole(6, { min: 1, max: 1000 }),
  fills_per_second: decimal('4', { min: 0.01, max: 1000 }),
  orderbook_interval_sec: positiveSeconds(10),
  orderbook_per_second: decimal('10', { min: 0.01, max: 1000 }),
  bond_file: path(''),
  status_host: loopbackHost('127.0.0.1', 'status_port'),
  status_port: whole(0, { min: 0, max: 65_535 }, 'a port number (0 = off)'),
  status_hosts: hosts(),
};

/** How a limit of the directory's own table is read. */
function limitSpec({ unit, fallback, least = 0, most = 0 }: LimitRow): ValueSpec<number> {
  switch (unit) {
    case 'count':
      return limit(fallback, most);
    case 'bytes':
      return whole(fallback, { min: least, max: most }, 'bytes');
    case 'seconds':
      return seconds(fallback);
    case 'positive seconds':
      return positiveSeconds(fallback);
  }
}

// One entry for each key of the table.
// oxlint-disable-next-line no-unsafe-type-assertion
const LIMIT_KEYS = Object.fromEntries(LIMIT_ROWS.map((row) => [row.key, limitSpec(row)])) as Record<
  LimitKey,
  ValueSpec<number>
>;

export const DIRECTORY_KEYS = {
  motd: freeText('', 2000),
  ...LIMIT_KEYS,
  public_window_ms: whole(
    DEFAULT_PUBLIC_WINDOW_MS,
    { min: 0, max: 5_000 },
    'milliseconds (0 = public messages do not wait for each other)',
  ),
  dial_back: yesNo(false),
  canary_interval_sec: seconds(60),
  nick_auth: oneOf('disabled', NICK_AUTH_MODES),
  status_host: host('127.0.0.1', 'status_port'),
  status_port: whole(62_600, { min: 0, max: 65_535 }, 'a port number (0 = off)'),
  status_hosts: hosts(),
};

export const ADMISSION_KEYS = {
  private: yesNo(false),
  tor_clients: yesNo(true),
  pages: yesNo(false),
  codes_file: path(''),
  command: path(''),
  directory_codes: secret(65_536),
};

/** The fingerprint of a key set: 64 hex digits, or nothing. */
const fingerprint: ValueSpec<string> = {
  fallback: '',
  allowed: 'the fingerprint of a key set: 64 hex digits (onionmc directories show), or nothing',
  secret: false,
  parse(value) {
    const text = value.toLowerCase();
    return text === '' || /^[0-9a-f]{64}$/.test(text) ? text : undefined;
  },
};

/** A file, or `http://` and an onion; nothing else is ever asked for. */
const listSource: ValueSpec<string> = {
  ...freeText('', 4096),
  allowed: 'the path of a file, http://ONION.onion/PATH, or nothing',
  parse(value) {
    if (!/^[a-z]+:\/\//i.test(value)) return value.length > 4096 ? undefined : value;
    return /^http:\/\/[a-z2-7]{56}\.onion(:\d{1,5})?\/[!-~]{0,1000}$/.test(value)
      ? value
      : undefined;
  },
};

const directoryCount = (fallback: number): ValueSpec<number> =>
  whole(fallback, { min: 5, max: 64 }, 'directories');

export const DIRECTORIES_KEYS = {
  list_keys: fingerprint,
  list_source: listSource,
  taker_directories: directoryCount(5),
  maker_directories: directoryCount(64),
};

export const OBWATCHER_KEYS = {
  host: host('127.0.0.1', 'port'),
  port: port(62_601),
  page_hosts: hosts(),
};

export const CLUSTER_KEYS = {
  nats: natsServers(),
  nats_credentials: path(''),
  nats_ca: path(''),
  nats_certificate: path(''),
  nats_key: path(''),
  nats_plain: oneOf('loopback', ['loopback', 'anywhere']),
  name: nodeName(),
  node: nodeName(),
  nodes: clusterNodes(),
};

/** The keys of one section. */
export type SectionKeys = Readonly<Record<string, ValueSpec<unknown>>>;

/** `max_peers` becomes `maxPeers`. */
export type Camel<S extends string> = S extends `${infer Head}_${infer Tail}`
  ? `${Head}${Capitalize<Camel<Tail>>}`
  : S;

/** The typed values of a section: `max_peers` becomes `maxPeers`. */
export type SectionValues<K extends SectionKeys> = {
  readonly [N in keyof K & string as Camel<N>]: K[N] extends ValueSpec<infer T> ? T : never;
};
