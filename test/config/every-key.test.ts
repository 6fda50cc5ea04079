/**
 * Changes every key of the key tables in turn. The settings must change, and so must a value that some part
 * of the product receives from them. A new key without an effect fails here.
 */
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import t from 'tap';
import { silentLog } from '../../src/channel/log.js';
import { isLiveKey, limitsOf, nodeOptions } from '../../src/cli/directory.js';
import { offerFromSettings } from '../../src/cli/maker-offers.js';
import { watcherOptions } from '../../src/cli/ob-watcher.js';
import { feeWish } from '../../src/cli/wallet/send.js';
import { logOptions } from '../../src/cli/program.js';
import { patienceOf } from '../../src/cli/taker.js';
import { parseCfg } from '../../src/config/cfg-file.js';
import { whole } from '../../src/config/cfg-value.js';
import { changedKeys } from '../../src/config/changed-keys.js';
import type { OnionSettings } from '../../src/config/onion-settings.js';
import {
  ADMISSION_KEYS,
  BLOCKCHAIN_KEYS,
  CLUSTER_KEYS,
  DIRECTORIES_KEYS,
  DIRECTORY_KEYS,
  LOGGING_KEYS,
  LOKINET_KEYS,
  OBWATCHER_KEYS,
  ONION_KEYS,
  POLICY_KEYS,
  TIMEOUT_KEYS,
  TOR_KEYS,
  YIELDGENERATOR_KEYS,
  type SectionKeys,
} from '../../src/config/settings-keys.js';
import { settingsFrom, type Role, type Settings } from '../../src/config/settings.js';
import { commitmentsFilePath } from '../../src/config/data-files.js';
import { walletRules } from '../../src/config/wallet-rules.js';
import { LIMIT_ROWS } from '../../src/directory/limits.js';
import { systemClock } from '../../src/overlay/system-clock.js';
import { bondValue } from '../../src/protocol/fidelity-bond.js';
import { fundedOffers } from '../../src/maker/offers.js';
import { onionHost } from '../../src/protocol/location.js';
import { listSourceOf } from '../../src/roles/directories/from-settings.js';
import { makerPageAddress } from '../../src/roles/maker-page.js';
import {
  blacklistOptions,
  bondFilePath,
  bondPolicy,
  choicePolicy,
  commitmentListPath,
  requestLimits,
  makerPolicy,
  offerTerms,
  sessionLimits,
  takerPolicy,
} from '../../src/roles/negotiation-settings.js';
import { openOverlay } from '../../src/overlay/factory/open-overlays.js';

const ONION_SECTION = 'MESSAGING:onion';
const LOKINET_SECTION = 'MESSAGING:lokinet';
const TABLES: Readonly<Record<string, SectionKeys>> = {
  BLOCKCHAIN: BLOCKCHAIN_KEYS,
  [ONION_SECTION]: ONION_KEYS,
  [LOKINET_SECTION]: LOKINET_KEYS,
  LOGGING: LOGGING_KEYS,
  TOR: TOR_KEYS,
  TIMEOUT: TIMEOUT_KEYS,
  POLICY: POLICY_KEYS,
  YIELDGENERATOR: YIELDGENERATOR_KEYS,
  DIRECTORY: DIRECTORY_KEYS,
  CLUSTER: CLUSTER_KEYS,
  DIRECTORIES: DIRECTORIES_KEYS,
  OBWATCHER: OBWATCHER_KEYS,
  ADMISSION: ADMISSION_KEYS,
};

interface Other {
  /** A value that differs from the default. */
  readonly value: string;
  /** Other lines of the section before and after, for a key that has a meaning only with them. */
  readonly beside?: Readonly<Record<string, string>>;
  /** The roles that can use the key; all if absent. */
  readonly roles?: readonly Role[];
}

/** A service of Lokinet. */
const LOKI = 'dw68y1xhptqbhcm5s8aaaip6dbopykagig5q5u1za4c7pzxto77y.loki';
const LARGE_FEES = { cjfee_r: '0.01', txfee_contribution: '200' };

const KEYS = ['11'.repeat(32), '22'.repeat(32)] as const;
const IN_CLUSTER = {
  nats: 'tls://10.0.0.4',
  name: 'one',
  node: 'a',
  nodes: `a:${KEYS[0]}, b:${KEYS[1]}`,
};
const WITH_CERTIFICATE = { ...IN_CLUSTER, nats_certificate: 'node.pem', nats_key: 'node.key' };

/** By section and key. */
const OTHER: Readonly<Record<string, Readonly<Record<string, string | Other>>>> = {
  BLOCKCHAIN: {
    blockchain_source: 'no-blockchain',
    network: 'signet',
    rpc_host: '10.0.0.3',
    rpc_port: '8333',
    rpc_user: 'alice',
    rpc_password: 'secret',
    rpc_cookie_file: '/run/cookie',
  },
  [ONION_SECTION]: {
    // Another type makes this another section, so the defaults apply.
    type: { value: 'irc', beside: { socks5_port: '9150' } },
    socks5_host: '[::1]',
    socks5_port: '9150',
    tor_control_host: 'unix:///run/tor/control',
    tor_control_port: '9151',
    tor_control_password: 'secret',
    tor_target_host: '10.0.0.2',
    tor_mode: 'control',
    onion_serving_host: '0.0.0.0',
    onion_serving_port: '8081',
    onion_serving_socket: 'unix:/run/directory/onion.sock',
    onion_serving_circuits: {
      value: 'yes',
      beside: { tor_mode: 'external', onion_serving_socket: 'unix:/run/directory/onion.sock' },
    },
    hidden_service_dir: 'keys',
    directory_nodes: `${onionHost(new Uint8Array(32).fill(7))}:5222`,
    overlays: 'tor, loopback',
    loopback_serving_port: { value: '5223', beside: { overlays: 'tor, loopback' } },
    // A directory dials no address, so the addresses are valid before and after.
    regtest_count: { value: '1,1', roles: ['directory'] },
  },
  [LOKINET_SECTION]: {
    type: 'irc',
    dns: '127.0.0.1:5300',
    rpc: 'tcp://127.0.0.1:1190',
    serve: 'false',
    virtual_port: '5223',
    directory_nodes: `${LOKI}:5223`,
    same_nick: 'true',
  },
  LOGGING: { console_log_level: 'DEBUG', color: 'false' },
  TIMEOUT: { maker_timeout_sec: '30', unconfirm_timeout_sec: '90' },
  POLICY: {
    segwit: 'false',
    native: 'false',
    merge_algorithm: 'greedy',
    gaplimit: '2000',
    max_sats_freeze_reuse: '10000',
    minimum_makers: '2',
    max_cj_fee_abs: '1000',
    max_cj_fee_rel: '0.01',
    tx_fees: '2000',
    tx_fees_factor: '0.5',
    absurd_fee_per_kb: '100000',
    max_sweep_fee_change: '0.5',
    tx_broadcast: 'self',
    taker_utxo_retries: '5',
    taker_utxo_age: '10',
    taker_utxo_amtpercent: '50',
    accept_commitment_broadcasts: 'false',
    commit_file_location: 'proofs.json',
    commitment_list_location: '~/used',
    interest_rate: '0.03',
    bondless_makers_allowance: '0.5',
    max_bond_share: '0.5',
    min_bonded_share: '0.5',
    bond_value_exponent: '1',
  },
  YIELDGENERATOR: {
    ordertype: 'absoffer',
    cjfee_a: { value: '900', beside: { ordertype: 'absoffer' } },
    cjfee_r: '0.005',
    cjfee_factor: { value: '0.5', beside: LARGE_FEES },
    txfee_contribution: { value: '100', beside: { cjfee_r: '0.01' } },
    txfee_contribution_factor: { value: '0.1', beside: LARGE_FEES },
    minsize: '200000',
    size_factor: '0.2',
    dual_offers: 'true',
    session_timeout_sec: '600',
    pending_tx_timeout_min: '30',
    max_sessions: '3',
    fills_per_minute: '3',
    fills_per_second: '2',
    orderbook_interval_sec: '20',
    orderbook_per_second: '5',
    bond_file: 'bond.json',
    status_host: '::1',
    status_port: '62602',
    status_hosts: 'page.example.org',
  },
  DIRECTORY: {
    public_window_ms: '100',
    motd: 'Greetings',
    ...Object.fromEntries(
      LIMIT_ROWS.map(({ key, least = 0 }): [string, string] => [key, String(Math.max(7, least))]),
    ),
    dial_back: 'true',
    canary_interval_sec: '7',
    nick_auth: 'prefer_verified',
    status_host: '::1',
    status_port: '7',
    status_hosts: 'page.example.org',
  },
  TOR: { upstream: 'socks5://127.0.0.1:1080' },
  CLUSTER: {
    nats: { value: 'tls://nats.example.org', beside: IN_CLUSTER },
    nats_credentials: { value: 'node.creds', beside: IN_CLUSTER },
    nats_ca: { value: 'ca.pem', beside: IN_CLUSTER },
    // Each only with the other.
    nats_certificate: { value: 'other.pem', beside: WITH_CERTIFICATE },
    nats_key: { value: 'other.key', beside: WITH_CERTIFICATE },
    nats_plain: { value: 'anywhere', beside: IN_CLUSTER },
    name: { value: 'other', beside: IN_CLUSTER },
    node: { value: 'b', beside: IN_CLUSTER },
    nodes: { value: `a:${KEYS[0]}`, beside: IN_CLUSTER },
  },
  ADMISSION: {
    private: 'true',
    tor_clients: { value: 'false', beside: { private: 'true' } },
    pages: 'true',
    codes_file: 'own.json',
    command: '/usr/bin/decide',
    directory_codes: `${onionHost(new Uint8Array(32).fill(7))}:5222=omc-code`,
  },
  DIRECTORIES: {
    list_keys: 'ab'.repeat(32),
    list_source: 'list.json',
    taker_directories: '7',
    maker_directories: '7',
  },
  OBWATCHER: { host: '[::1]', port: '7', page_hosts: 'page.example.org' },
};

const ROLES: readonly Role[] = ['directory', 'maker', 'taker', 'ob-watcher'];

async function read(
  section: string,
  lines: Readonly<Record<string, string>>,
  role: Role,
): Promise<Settings> {
  const written = {
    ...(section === ONION_SECTION ? { type: 'onion' } : {}),
    ...(section === LOKINET_SECTION ? { type: 'lokinet', directory_nodes: LOKI } : {}),
    ...lines,
  };
  const text = [
    ...(section === ONION_SECTION ? [] : [`[${ONION_SECTION}]`, 'type = onion']),
    // Only a Tor of our own has a proxy.
    ...(section === 'TOR' ? ['tor_mode = managed'] : []),
    `[${section}]`,
    ...Object.entries(written).map(([key, value]) => `${key} = ${value}`),
  ].join('\n');
  const cfg = parseCfg(text, 'joinmarket.cfg');
  if (!cfg.ok) throw new Error(cfg.fault.fault);
  return (await settingsFrom(cfg.value, { datadir: '/data', role })).settings;
}

const FUNDS = { mixdepth: 0, available: 100_000_000, held: 0 };
const STORE = { size: 0, has: () => false, add: async () => true };
const BOND = { satoshi: 1e8, confirmationTime: 1.5e9, lockTime: 1.9e9, now: 1.7e9 };

/** Sizes and fees, varied by the same random number each time. */
function offerOf(settings: Settings) {
  const chance = Math.random;
  Math.random = () => 0.9;
  try {
    return offerFromSettings(settings, 10_000_000);
  } finally {
    Math.random = chance;
  }
}

/** The values that the commands receive, except those of the overlay. */
function inCommands(settings: Settings): unknown {
  return {
    every: [logOptions(settings), settings.network, settings.onion.directoryNodes],
    // The program opens the cluster with these settings as they are.
    directory: [nodeOptions(settings), settings.cluster],
    maker: [
      offerOf(settings),
      fundedOffers(offerTerms(settings, 'sw0'), [FUNDS], () => 0.9),
      requestLimits(settings),
      commitmentListPath(settings),
      blacklistOptions(settings, { store: STORE }),
      bondFilePath(settings),
      makerPageAddress(settings),
      makerPolicy(settings),
      sessionLimits(settings),
    ],
    taker: [
      patienceOf(settings),
      commitmentsFilePath(settings),
      takerPolicy(settings),
      choicePolicy(settings),
    ],
    bond: bondValue({ ...bondPolicy(settings), ...BOND }),
    // `openChoice` and `openListServer` take them as they are.
    lists: [settings.directories, listSourceOf(settings)],
    watcher: watcherOptions(settings),
    wallet: [walletRules(settings), settings.policy.mergeAlgorithm, feeWish({}, settings)],
    // `openAdmissionParts` takes it as it is, and each channel the codes in it.
    admission: settings.admission,
    // `openChain` takes it as it is.
    node: settings.node,
  };
}

const LOKINET = {
  dns: { host: '127.3.2.1', port: 53 },
  rpc: undefined,
  serve: true,
  virtualPort: 5222,
  directoryNodes: [],
  portFromSrv: new Set<string>(),
  sameNick: false,
};

/** The parts of the onion settings that `openOverlay` reads, over all modes. */
async function readByOverlay(dir: string): Promise<ReadonlySet<string>> {
  const reads = new Set<string>();
  const { onion } = await read(ONION_SECTION, { hidden_service_dir: join(dir, 'key') }, 'maker');
  const modes: readonly Partial<OnionSettings>[] = [
    { withoutTor: true, overlays: ['loopback'] },
    { torMode: 'control', overlays: ['tor', 'loopback'] },
    { torMode: 'control' },
    { torMode: 'external' },
    { withoutTor: true, overlays: ['lokinet'], lokinet: LOKINET },
  ];
  for (const mode of modes) {
    const watched = new Proxy(
      { ...onion, ...mode },
      {
        get(target, name) {
          reads.add(String(name));
          const value: unknown = Reflect.get(target, name);
          return value;
        },
      },
    );
    // oxlint-disable-next-line no-await-in-loop -- they share a key folder
    const opened = await openOverlay({
      settings: { datadir: dir, role: 'maker', onion: watched },
      serves: true,
      clock: systemClock,
      random: Math.random,
      log: silentLog,
      signal: new AbortController().signal,
    });
    // oxlint-disable-next-line no-await-in-loop
    await opened.close();
  }
  return reads;
}

/** Parts of the onion settings that differ. */
function changedOnion(before: OnionSettings, after: OnionSettings): readonly string[] {
  const now = new Map<string, unknown>(Object.entries(after));
  return Object.entries(before).flatMap(([name, value]) =>
    isDeepStrictEqual(value, now.get(name)) ? [] : [name],
  );
}

interface Effects {
  readonly settings: boolean;
  readonly commands: boolean;
  /** Whether a program of some role detects the change when it reads the file again. */
  readonly noticed: boolean;
}

const typed = ({ cfg: _cfg, ...settings }: Settings): unknown => settings;

async function effectsOf(
  section: string,
  key: string,
  given: string | Other,
  overlay: ReadonlySet<string>,
): Promise<Effects> {
  const other: Other = typeof given === 'string' ? { value: given } : given;
  const effects = { settings: false, commands: false, noticed: false };
  for (const role of other.roles ?? ROLES) {
    // oxlint-disable-next-line no-await-in-loop
    const before = await read(section, { ...other.beside }, role);
    // oxlint-disable-next-line no-await-in-loop
    const after = await read(section, { ...other.beside, [key]: other.value }, role);
    const differ = (part: (settings: Settings) => unknown): boolean =>
      !isDeepStrictEqual(part(before), part(after));
    effects.settings ||= differ(typed);
    effects.commands ||=
      differ(inCommands) ||
      changedOnion(before.onion, after.onion).some((name) => overlay.has(name));
    effects.noticed ||= changedKeys(before, after).some(
      (name) => name.section === section && name.key === key,
    );
  }
  return effects;
}

/** The faults of the keys of these tables. */
async function faultsOf(
  tables: Readonly<Record<string, SectionKeys>>,
  others: Readonly<Record<string, Readonly<Record<string, string | Other>>>>,
  overlay: ReadonlySet<string>,
): Promise<readonly string[]> {
  const faults: string[] = [];
  for (const [section, keys] of Object.entries(tables)) {
    for (const key of Object.keys(keys)) {
      const name = `[${section}] ${key}`;
      const other = others[section]?.[key];
      if (other === undefined) {
        faults.push(`${name}: no other value is known here`);
        continue;
      }
      // oxlint-disable-next-line no-await-in-loop
      const { settings, commands, noticed } = await effectsOf(section, key, other, overlay);
      if (!settings) faults.push(`${name}: the settings stay the same`);
      if (!commands) faults.push(`${name}: nothing gets it`);
      // Another type makes another section; the change of its other keys is detected.
      if (!noticed && key !== 'type') faults.push(`${name}: no program detects a change`);
    }
  }
  return faults;
}

t.test('every key has an effect', async (t) => {
  const overlay = await readByOverlay(t.testdir());
  t.same(await faultsOf(TABLES, OTHER, overlay), []);
  const tables = { POLICY: { brand_new: whole(1, { min: 0, max: 9 }) } };
  t.same(
    await faultsOf(tables, OTHER, overlay),
    ['[POLICY] brand_new: no other value is known here'],
    'a new key fails',
  );
  t.match(
    await faultsOf(tables, { POLICY: { brand_new: '2' } }, overlay),
    ['[POLICY] brand_new: the settings stay the same', '[POLICY] brand_new: nothing gets it'],
    'also with a second value',
  );
});

const live = ({ directory }: Settings): unknown => [limitsOf(directory), directory.motd];

t.test('a reload applies exactly the keys that it names as live', async (t) => {
  for (const [key, given] of Object.entries(OTHER['DIRECTORY'] ?? {})) {
    const before = await read('DIRECTORY', {}, 'directory');
    const value = typeof given === 'string' ? given : given.value;
    const after = await read('DIRECTORY', { [key]: value }, 'directory');
    t.equal(
      isLiveKey({ section: 'DIRECTORY', key }),
      !isDeepStrictEqual(live(before), live(after)),
      key,
    );
  }
});
