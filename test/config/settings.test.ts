import { spawnSync } from 'node:child_process';
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { parseCfg, type CfgFile } from '../../src/config/cfg-file.js';
import { ConfigError } from '../../src/config/config-error.js';
import { defaultConfigText } from '../../src/config/default-config.js';
import { nearestName } from '../../src/kit/nearest-name.js';
import { expandPath, resolveDatadir } from '../../src/config/paths.js';
import { readSection } from '../../src/config/read-section.js';
import {
  BLOCKCHAIN_KEYS,
  ADMISSION_KEYS,
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
} from '../../src/config/settings-keys.js';
import { loadSettings, settingsFrom, type Role, type Settings } from '../../src/config/settings.js';
import { FORMER_LISTS, SHIPPED_DIRECTORIES } from '../../src/config/shipped-directories.js';
import { SHIPPED_LIST_KEYS } from '../../src/config/shipped-list-keys.js';
import { commitmentListPath } from '../../src/roles/negotiation-settings.js';
import { formatLocation, onionHost, parseLocation } from '../../src/protocol/location.js';

const ROLES: readonly Role[] = ['directory', 'maker', 'taker', 'ob-watcher'];
const ONION = `${onionHost(new Uint8Array(32).fill(7))}:5222`;
const OTHER = `${onionHost(new Uint8Array(32).fill(8))}:5222`;

function cfgOf(text: string): CfgFile {
  const parsed = parseCfg(text, 'joinmarket.cfg');
  if (!parsed.ok) throw new Error(`line ${parsed.fault.line}: ${parsed.fault.fault}`);
  return parsed.value;
}

function read(text: string, role: Role = 'maker', datadir = '/data') {
  return settingsFrom(cfgOf(text), { datadir, role });
}

/** The message of the ConfigError for a text, or the other result. */
async function faultOf(text: string, role: Role = 'maker'): Promise<string> {
  try {
    await read(text, role);
    return 'accepted';
  } catch (error) {
    return error instanceof ConfigError ? error.message : String(error);
  }
}

function comparable({ cfg: _cfg, configFile: _file, ...settings }: Settings): unknown {
  return settings;
}

t.test('the example file holds exactly the built-in defaults', async (t) => {
  const example = await defaultConfigText();
  for (const role of ROLES) {
    const fromExample = await read(example, role);
    const builtIn = await read('', role);
    t.same(comparable(fromExample.settings), comparable(builtIn.settings), role);
    t.same(fromExample.notices, [], `${role}: no notice`);
  }
  const cfg = cfgOf(example);
  const known = {
    BLOCKCHAIN: BLOCKCHAIN_KEYS,
    'MESSAGING:onion': ONION_KEYS,
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
  t.same(cfg.sections, Object.keys(known), 'every section');
  for (const [section, keys] of Object.entries(known)) {
    t.same(
      cfg.ownKeys(section).toSorted(),
      Object.keys(keys).toSorted(),
      `every key of ${section}`,
    );
  }
});

t.test('the example file has the section of Lokinet as a comment, with its defaults', async (t) => {
  const example = await defaultConfigText();
  const start = example.indexOf('#[MESSAGING:lokinet]');
  const commented = example.slice(start, example.indexOf('[LOGGING]'));
  const cfg = cfgOf(commented.replace(/^#(?=\S)/gm, ''));
  t.same(cfg.sections, ['MESSAGING:lokinet']);
  t.same(cfg.ownKeys('MESSAGING:lokinet'), Object.keys(LOKINET_KEYS), 'every key, in order');
  t.same(
    readSection(LOKINET_KEYS, cfg, 'MESSAGING:lokinet'),
    readSection(LOKINET_KEYS, undefined, undefined),
  );
});

t.test('the contract of [DIRECTORY]', async (t) => {
  const { settings } = await read('', 'directory');
  t.same(settings.directory, {
    motd: '',
    maxPeers: 10_000,
    publicWindowMs: 250,
    maxUnhandshaked: 1000,
    handshakeTimeoutSec: 30,
    heartbeatIntervalSec: 60,
    heartbeatIdleSec: 600,
    heartbeatPongWaitSec: 30,
    heartbeatEvictSec: 1500,
    writeStallTimeoutSec: 30,
    sendQueueBytes: 4_194_304,
    pubmsgPerMinute: 60,
    orderbookPerMinute: 6,
    privmsgPerSecond: 100,
    getpeerlistPerMinute: 6,
    junkPerMinute: 10,
    deliveriesPerSecond: 1_000_000,
    orderbookPerSecond: 100,
    streamsPerCircuit: 16,
    dialBack: false,
    canaryIntervalSec: 60,
    nickAuth: 'disabled',
    statusHost: '127.0.0.1',
    statusPort: 62_600,
    statusHosts: [],
  });
  t.equal(settings.onion.hiddenServiceDir, '/data/hidden_service');
  t.same(settings.onion.directoryNodes, []);
});

t.test('a file of the original implementation works unchanged', async (t) => {
  const text = [
    '[DAEMON]',
    'no_daemon = 1',
    'use_ssl = false',
    '[BLOCKCHAIN]',
    'blockchain_source = no-blockchain',
    'network = signet',
    'rpc_password = 50%',
    '[MESSAGING:tor]',
    'type = onion',
    'socks5_host = 10.0.0.1',
    'socks5_port = 9150',
    'tor_control_host = unix:/run/tor/control',
    'tor_control_port = 9051',
    'onion_serving_port = 8081',
    'hidden_service_dir = ~/hs',
    `directory_nodes = ${ONION}, ${OTHER},`,
    'regtest_count = 0,0',
    '[MESSAGING:hackint]',
    'channel = joinmarket-pit',
    'port = 6667',
    '[POLICY]',
    'native = no',
    'tx_fees = 3',
    '[PAYJOIN]',
    'payjoin_version = 1',
  ].join('\n');
  const { settings, notices } = await read(text);
  t.equal(settings.network, 'signet');
  t.equal(settings.policy.native, false);
  t.equal(settings.cfg.raw('PAYJOIN', 'payjoin_version'), '1', 'unknown sections are kept');
  t.same(
    { ...settings.onion, directoryNodes: settings.onion.directoryNodes.map(formatLocation) },
    {
      overlays: ['tor'],
      lokinet: undefined,
      withoutTor: false,
      torMode: 'auto',
      socks: { host: '10.0.0.1', port: 9150 },
      control: { kind: 'unix', path: '/run/tor/control' },
      controlPassword: undefined,
      targetHost: undefined,
      serving: { host: '127.0.0.1', port: 8081 },
      servingSocket: { kind: 'auto' },
      servingCircuits: false,
      loopbackServing: { host: '127.0.0.1', port: 5222 },
      hiddenServiceDir: join(homedir(), 'hs'),
      directoryNodes: [ONION, OTHER],
      directoriesChosen: true,
    },
  );
  t.equal(notices.length, 1, 'one notice, for IRC');
  t.match(notices[0], /\[MESSAGING:hackint\]/);
});

t.test('one line for each bad value: the place, the value found, the values allowed', async (t) => {
  const onion = '[MESSAGING:x]\ntype = onion\n';
  const cases: readonly (readonly [text: string, message: RegExp])[] = [
    [
      '[BLOCKCHAIN]\nnetwork = Mainnet',
      /^joinmarket\.cfg:2: \[BLOCKCHAIN\] network: found "Mainnet"; allowed: mainnet, testnet, signet, regtest$/,
    ],
    [
      '[DIRECTORY]\n\nmax_peers = many',
      /^joinmarket\.cfg:3: \[DIRECTORY\] max_peers: found "many"; allowed: a whole number \(0 = no limit\), 0 to 1000000$/,
    ],
    ['[DIRECTORY]\nmax_peers = -1', /max_peers: found "-1"/],
    ['[DIRECTORY]\nmax_peers = 1.5', /max_peers: found "1.5"/],
    ['[DIRECTORY]\nmax_peers = 5 # five', /max_peers: found "5 # five"/],
    ['[DIRECTORY]\nmax_peers =', /max_peers: found ""/],
    [
      '[DIRECTORY]\nhandshake_timeout_sec = -1',
      /handshake_timeout_sec: found "-1"; allowed: seconds, 0 to/,
    ],
    ['[DIRECTORY]\nhandshake_timeout_sec = nan', /found "nan"/],
    ['[DIRECTORY]\nhandshake_timeout_sec = inf', /found "inf"/],
    ['[DIRECTORY]\nhandshake_timeout_sec = 1e9', /found "1e9"/],
    [
      '[DIRECTORY]\nwrite_stall_timeout_sec = 0',
      /write_stall_timeout_sec: found "0"; allowed: seconds, more than 0/,
    ],
    ['[DIRECTORY]\nsend_queue_bytes = 0', /send_queue_bytes: found "0"; allowed: bytes, 40000 to/],
    ['[DIRECTORY]\nstatus_port = 65536', /status_port: found "65536"/],
    ['[DIRECTORY]\nstatus_host = a b', /status_host: found "a b"/],
    [
      `[DIRECTORY]\nmotd = ${'m'.repeat(2001)}`,
      /motd: found "m{80}\.\.\."; allowed: at most 2000 characters/,
    ],
    ['[DIRECTORY]\nmotd = a\u001b[31mred', /motd: found "a\\u001b\[31mred"/],
    [
      '[LOGGING]\nconsole_log_level = LOUD',
      /\[LOGGING\] console_log_level: found "LOUD"; allowed: DEBUG, INFO, WARNING, ERROR/,
    ],
    ['[LOGGING]\ncolor = maybe', /color: found "maybe"/],
    ['[TIMEOUT]\nmaker_timeout_sec = 0', /maker_timeout_sec: found "0"/],
    [
      '[YIELDGENERATOR]\nordertype = sw0reloffer',
      /ordertype: found "sw0reloffer"; allowed: reloffer, absoffer/,
    ],
    ['[YIELDGENERATOR]\ncjfee_r = 1.1', /cjfee_r: found "1.1"; allowed: a number, 0 to 1/],
    [
      `${onion}socks5_port = 0`,
      /\[MESSAGING:x\] socks5_port: found "0"; allowed: a port number, 1 to 65535/,
    ],
    [
      `${onion}tor_control_host = unix:relative`,
      /tor_control_host: found "unix:relative"; allowed: .*unix:\/path/,
    ],
    [`${onion}tor_control_host = unix:/${'s'.repeat(107)}`, /tor_control_host: found/],
    [`${onion}tor_control_host = unix:///`, /tor_control_host: found "unix:\/\/\/"/],
    [`${onion}tor_control_host = unix:"/run/tor/control"`, /tor_control_host: found/],
    [
      `${onion}socks5_host = 127.0.0.1:9050`,
      /^joinmarket\.cfg:3: \[MESSAGING:x\] socks5_host: found "127\.0\.0\.1:9050", a host with a port, which belongs into socks5_port; allowed: a host name or an IP address$/,
    ],
    [`${onion}socks5_host = [::1]:9050`, /"\[::1\]:9050", a host with a port, .* socks5_port;/],
    [`${onion}socks5_host = tor:`, /"tor:", a host with a port, .* socks5_port;/],
    [
      `${onion}tor_control_host = tor:9051`,
      /"tor:9051", a host with a port, which belongs into tor_control_port; allowed: a host name, /,
    ],
    [
      `${onion}onion_serving_host = localhost:8080`,
      /a host with a port, which belongs into onion_serving_port;/,
    ],
    [
      `${onion}tor_target_host = 10.0.0.1:8080`,
      /"10.0.0.1:8080", a host with a port, which does not belong here;/,
    ],
    ['[DIRECTORY]\nstatus_host = 0.0.0.0:62600', /a host with a port, .* into status_port;/],
    ['[OBWATCHER]\nhost = 0.0.0.0:62601', /a host with a port, which belongs into port;/],
    [`${onion}socks5_host = [::1`, /socks5_host: found "\[::1"; allowed/],
    [`${onion}socks5_host = ::g`, /socks5_host: found "::g"; allowed/],
    [`${onion}socks5_host = [localhost]`, /socks5_host: found "\[localhost\]"; allowed/],
    [`${onion}socks5_host = http://tor`, /socks5_host: found "http:\/\/tor"; allowed/],
    [
      `${onion}regtest_count = 1,1\nonion_serving_host = [::1]`,
      /onion_serving_host: found "::1"; allowed: this machine only \(127/,
    ],
    [
      `${onion}hidden_service_dir = "~/hs"`,
      /^joinmarket\.cfg:3: \[MESSAGING:x\] hidden_service_dir: found .*~\/hs.*; allowed: a path on one line, without quotes around it$/,
    ],
    [`${onion}hidden_service_dir = '/hs'`, /hidden_service_dir: found .*without quotes/],
    [
      '[POLICY]\ncommitment_list_location = "cmtdata/list"',
      /\[POLICY\] commitment_list_location: found .*without quotes/,
    ],
    ['[YIELDGENERATOR]\nbond_file = "b.json', /\[YIELDGENERATOR\] bond_file: found .*without/],
    [
      `${onion}tor_mode = magic`,
      /tor_mode: found "magic"; allowed: auto, control, managed, external/,
    ],
    [
      `${onion}tor_mode = external\nonion_serving_port = 0`,
      /onion_serving_port: found 0; allowed: the fixed port/,
    ],
    ...[
      'tor_mode = external',
      'tor_mode = managed',
      'tor_mode = control\nonion_serving_socket = unix:/run/x/onion.sock',
    ].map((lines): [string, RegExp] => [
      `${onion}${lines}\nonion_serving_circuits = yes`,
      /onion_serving_circuits: found yes; allowed: no, unless tor_mode = external and /,
    ]),
    [`${onion}regtest_count = 1`, /regtest_count: found "1"; allowed: two whole numbers/],
    [
      `${onion}regtest_count = 1,1\nonion_serving_host = 0.0.0.0`,
      /onion_serving_host: found "0.0.0.0"; allowed: this machine only/,
    ],
    [
      `${onion}regtest_count = 1,1\ndirectory_nodes = ${ONION}`,
      /directory_nodes: found ".{62}:5222"; allowed: addresses of this machine/,
    ],
    [`${onion}regtest_count = 1,1\n`, /directory_nodes: found "jmarket/],
    [
      `${onion}regtest_count = 1,1\ndirectory_nodes =`,
      /directory_nodes: found nothing; allowed: addresses of this machine/,
    ],
    [
      `${onion}directory_nodes = 127.0.0.1:5222`,
      /directory_nodes: found "127.0.0.1:5222"; allowed: onion addresses/,
    ],
    [
      `${onion}directory_nodes = ${ONION},example.com:5222`,
      /directory_nodes: found "example.com:5222" \(neither an onion nor/,
    ],
    [`${onion}directory_nodes = ${ONION.replace(':5222', '')}`, /\(no port from 1 to 65535/],
    [`${onion}directory_nodes = ${ONION.slice(1)}`, /\(not the 56 characters/],
    [`${onion}directory_nodes = b${ONION.slice(1)}`, /\(wrong checksum/],
    [`${onion}directory_nodes = ${ONION.replace(':', '.:')}`, /\(a dot after \.onion: remove it/],
    [
      `${onion}[BLOCKCHAIN]\nnetwork = testnet`,
      /directory_nodes: found the shipped list of mainnet; allowed: host:port of at least one testnet/,
    ],
    [`${onion}[MESSAGING:y]\ntype = ONION`, /:4: \[MESSAGING:y\] type: found a second onion/],
    [
      `${onion}[MESSAGING:y]\ntype = onion`,
      /^joinmarket\.cfg:4: \[MESSAGING:y\] type: found a second onion section, after \[MESSAGING:x\]; allowed: one/,
    ],
    [
      `${onion}tor_control_password = a\u0001geheim`,
      /tor_control_password: found a value that is not shown;/,
    ],
    [
      '[DIRECTORY]\nmotd = 5% off',
      /^joinmarket\.cfg:2: \[DIRECTORY\] motd: found a % that starts no reference/,
    ],
  ];
  for (const [text, message] of cases) {
    const found = await faultOf(text);
    t.match(found, message, text.slice(-60));
    t.notMatch(found, /\n|geheim/, 'one line, no secret');
  }
});

t.test('values in every allowed form', async (t) => {
  const { settings } = await read(
    [
      '[DIRECTORY]',
      'MAX_PEERS: 0',
      'max_unhandshaked = +1_000',
      'handshake_timeout_sec = 0.25',
      'heartbeat_interval_sec = 0',
      'write_stall_timeout_sec = 1e-1',
      'send_queue_bytes = 40000',
      'motd = first # no comment',
      '  second 100%%',
      'status_port = 0',
      '[LOGGING]',
      'console_log_level = debug',
      'color = Off',
      '[MESSAGING:onion]',
      'tor_control_password = 50%%#;"',
      'hidden_service_dir = keys',
      'onion_serving_port = 0',
    ].join('\n'),
    'directory',
  );
  const { directory } = settings;
  t.equal(directory.maxPeers, 0);
  t.equal(directory.maxUnhandshaked, 1000);
  t.equal(directory.handshakeTimeoutSec, 0.25);
  t.equal(directory.heartbeatIntervalSec, 0);
  t.equal(directory.writeStallTimeoutSec, 0.1);
  t.equal(directory.sendQueueBytes, 40_000);
  t.equal(directory.motd, 'first # no comment\nsecond 100%');
  t.equal(directory.statusPort, 0);
  t.equal(settings.logging.consoleLogLevel, 'DEBUG');
  t.equal(settings.logging.color, false);
  t.equal(settings.onion.controlPassword, '50%#;"', 'MESSAGING:onion counts without a type');
  t.equal(settings.onion.hiddenServiceDir, '/data/keys', 'relative to the data directory');
  t.equal(settings.onion.serving.port, 0);
});

t.test('the type of a section is read in any case', async (t) => {
  for (const type of ['onion', 'Onion', 'ONION', 'oNiOn']) {
    const { settings, notices } = await read(
      `[MESSAGING:irc]\nport = 6667\n[MESSAGING:x]\ntype = ${type}\nsocks5_port = 9150\n`,
    );
    t.equal(settings.onion.socks.port, 9150, type);
    t.match(notices, [/only onion channels are served; ignored: \[MESSAGING:irc\]/]);
  }
});

t.test('hosts and sockets in every form', async (t) => {
  const hosts = [
    ['[::1]', '::1'],
    ['::1', '::1'],
    ['[FE80::1%%eth0]', 'FE80::1%eth0'],
    ['[::ffff:127.0.0.1]', '::ffff:127.0.0.1'],
    ['Tor.Example.org', 'Tor.Example.org'],
    ['stack_tor.1', 'stack_tor.1'],
    ['10.0.0.1', '10.0.0.1'],
  ] as const;
  for (const [written, host] of hosts) {
    const { settings } = await read(
      [
        '[MESSAGING:x]\ntype = onion',
        ...['socks5_host', 'tor_control_host', 'tor_target_host', 'onion_serving_host'].map(
          (key) => `${key} = ${written}`,
        ),
        `[DIRECTORY]\nstatus_host = ${written}`,
        `[OBWATCHER]\nhost = ${written}`,
      ].join('\n'),
    );
    const { onion, directory, obWatcher } = settings;
    t.match(onion, { socks: { host }, control: { host }, targetHost: host, serving: { host } });
    t.equal(directory.statusHost, host);
    t.equal(obWatcher.host, host);
  }
  for (const written of [
    'unix:/run/tor/control',
    'unix:///run/tor/control',
    'UNIX:/run/tor/control',
  ]) {
    const { settings } = await read(`[MESSAGING:x]\ntype = onion\ntor_control_host = ${written}\n`);
    t.same(settings.onion.control, { kind: 'unix', path: '/run/tor/control' }, written);
  }
  for (const [written, path] of [
    ['~/used', join(homedir(), 'used')],
    ['used', '/data/used'],
    ['.', '/data/cmtdata/commitmentlist'],
    ['', '/data/cmtdata/commitmentlist'],
    ['/x/"used"', '/x/"used"'],
  ] as const) {
    const { settings } = await read(`[POLICY]\ncommitment_list_location = ${written}\n`);
    t.equal(commitmentListPath(settings), path, written);
  }
});

/** The addresses that a role dials, followed by the notices. */
const nodes = async (text: string, role: Role = 'taker'): Promise<readonly string[]> => {
  const { settings, notices } = await read(`[MESSAGING:a]\ntype = onion\n${text}`, role);
  return [...settings.onion.directoryNodes.map(formatLocation), ...notices];
};

t.test('the directories that a role connects to', async (t) => {
  const mainnet = SHIPPED_DIRECTORIES.mainnet;
  t.same(await nodes(''), mainnet, 'no key: the shipped list');
  t.same(await nodes('directory_nodes =  , '), mainnet, 'blank: the shipped list');
  t.same(await nodes(`directory_nodes = ${ONION},${ONION}`), [ONION], 'duplicates count once');
  t.same(
    await nodes('directory_nodes =\n[BLOCKCHAIN]\nnetwork = signet'),
    SHIPPED_DIRECTORIES.signet,
    'blank: the list of the network',
  );
  const switched = await nodes(
    `directory_nodes = ${mainnet.join(', ')}\n[BLOCKCHAIN]\nnetwork = signet`,
  );
  t.same(
    switched.slice(0, -1),
    SHIPPED_DIRECTORIES.signet,
    'the list of another network is replaced',
  );
  t.match(switched.at(-1), /shipped list of mainnet; using that of signet/);
  t.same(await nodes('regtest_count = 1,1\ndirectory_nodes = localhost:5222,127.0.0.1:5223'), [
    'localhost:5222',
    '127.0.0.1:5223',
  ]);
});

/** The lists that the original wrote into files, by the first letters of each onion. */
const SHIPPED_BEFORE: readonly (readonly [string, string])[] = [
  ['mainnet', '3kxw qqd2'],
  ['mainnet', '3kxw qqd2 jmdir'],
  ['mainnet', '3kxw qqd2 bqlp'],
  ['mainnet', '3kxw jmdir bqlp'],
  ['mainnet', 'g3hv 3kxw jmdir bqlp'],
  ['mainnet', 'g3hv 3kxw bqlp'],
  ['mainnet', 'wkd3 g3hv 3kxw bqlp ylegp'],
  ['mainnet', 'g3hv 3kxw bqlp odpwaf'],
  ['mainnet', '3kxw bqlp coinjoint jmarket odpwaf satoshi2'],
  ['mainnet', 'satoshi2 jmarket coinjoint nakamoto odpwaf'],
  ['mainnet', 'jmv2dir satoshi2 jmarket coinjoint nakamoto odpwaf'],
  ['signet', 'rr6f k74o'],
  ['signet', 'rr6f k74o y2ru'],
];

const isAddress = (text: string): boolean => /^\S+\.onion:\d+$/.test(text);

/** The directories that a taker dials with this list, and the notices. */
const on = async (network: string, list: readonly string[]) => {
  const found = await nodes(
    `directory_nodes = ${list.join(', ')}\n[BLOCKCHAIN]\nnetwork = ${network}`,
  );
  return { dialled: found.filter(isAddress), told: found.filter((text) => !isAddress(text)) };
};

t.test('a former shipped list is replaced, and every other list is kept', async (t) => {
  const all = new Set(FORMER_LISTS.flatMap(({ names }) => names));
  const short = (text: string) =>
    text.split(' ').map((start) => [...all].find((name) => name.startsWith(start)) ?? start);
  t.strictSame(
    FORMER_LISTS.map(({ network, names }) => [network, names]),
    SHIPPED_BEFORE.map(([network, text]) => [network, short(text)]),
  );
  for (const [of, text] of SHIPPED_BEFORE) {
    const list = short(text).map((name) => `${name}.onion:5222`);
    const otherPorts = list
      .toReversed()
      .map((node, n) => node.toUpperCase().replace('5222', String(80 + n)));
    for (const network of ['mainnet', 'signet'] as const) {
      const ours = SHIPPED_DIRECTORIES[network];
      for (const written of [list, otherPorts]) {
        // oxlint-disable-next-line no-await-in-loop -- a table
        const { dialled, told } = await on(network, written);
        t.same(dialled, ours, `${text} on ${network}`);
        t.equal(told.length, 1, 'one notice');
        const instead = of === network ? "today's" : `that of ${network}`;
        t.match(told[0], `directory_nodes is a former shipped list of ${of} (`);
        t.match(told[0], `; using ${instead} instead`);
      }
    }
    const choices = [list.slice(1), list.slice(0, 1), [...list, OTHER], [OTHER]];
    for (const choice of choices) {
      const written = new Set(choice.map((node) => node.replace(/\.onion:\d+$/, '')));
      const isList = SHIPPED_BEFORE.some(
        ([, other]) =>
          short(other).length === written.size && short(other).every((name) => written.has(name)),
      );
      if (isList) continue;
      // oxlint-disable-next-line no-await-in-loop
      const { dialled, told } = await on(of, choice);
      t.same(dialled, choice, 'another list is kept');
      t.same(told, []);
    }
  }
  for (const network of ['mainnet', 'signet'] as const) {
    const ours = SHIPPED_DIRECTORIES[network];
    t.same(await on(network, ours), { dialled: ours, told: [] }, 'the current list');
    t.same((await on(network, ours.slice(1))).dialled, ours.slice(1), 'a part of it is kept');
    const mixed = [
      ...ours.slice(1),
      ...SHIPPED_DIRECTORIES[network === 'mainnet' ? 'signet' : 'mainnet'],
    ];
    t.same((await on(network, mixed)).dialled, mixed);
    for (const node of ours) t.match(parseLocation(node), { ok: true }, 'a valid onion');
  }
  for (const name of all) t.match(parseLocation(`${name}.onion:5222`), { ok: true });
  const { notices } = await read(
    `[MESSAGING:a]\ntype = onion\ndirectory_nodes = ${short('g3hv 3kxw bqlp')
      .map((name) => `${name}.onion:5222`)
      .join(',')}`,
    'directory',
  );
  t.same(notices, [], 'a directory writes no notice');
  t.equal(SHIPPED_DIRECTORIES.mainnet.length, 8);
  t.equal(SHIPPED_DIRECTORIES.signet.length, 6);
});

t.test('the configuration file is not changed when its list is replaced', async (t) => {
  const text = `[MESSAGING:onion]\ntype = onion\ndirectory_nodes = ${(FORMER_LISTS[0]?.names ?? []).map((name) => `${name}.onion:80`).join(',')}\n`;
  const datadir = t.testdir({ 'joinmarket.cfg': text });
  const { settings, notices } = await loadSettings({ datadir, role: 'taker' });
  t.same(settings.onion.directoryNodes.map(formatLocation), SHIPPED_DIRECTORIES.mainnet);
  t.match(notices.join('\n'), /former shipped list of mainnet \(2022-04\); using today's instead/);
  t.equal(await readFile(join(datadir, 'joinmarket.cfg'), 'utf8'), text);
});

t.test('a directory connects to no other directory, and writes one notice', async (t) => {
  const dir = t.testdir({ hidden_service: { hostname: `${ONION.replace(':5222', '')}\n` } });
  const notices = async (line: string, datadir = dir): Promise<readonly string[]> => {
    const result = await read(`[MESSAGING:a]\ntype = onion\n${line}`, 'directory', datadir);
    t.same(result.settings.onion.directoryNodes, []);
    return result.notices;
  };
  t.same(await notices('directory_nodes ='), [], 'blank');
  t.same(
    await notices(`directory_nodes = ${SHIPPED_DIRECTORIES.mainnet.join(',')}`),
    [],
    'shipped',
  );
  t.same(await notices(`directory_nodes = ${ONION}`), [], 'its own address');
  t.match(await notices(`directory_nodes = ${ONION},${OTHER}`), [/connects to no other; 1 of/]);
  t.match(await notices(`directory_nodes = ${OTHER}`, '/nowhere'), [
    /1 of directory_nodes ignored/,
  ]);
  t.same(
    await notices(
      'regtest_count = 1,1\nonion_serving_port = 5222\ndirectory_nodes = 127.0.0.1:5222',
    ),
    [],
    'its own address in loopback mode',
  );
});

t.test('overlays: one or several, each with its own directories', async (t) => {
  const onion = async (lines: string, role: Role = 'maker') =>
    (await read(`[MESSAGING:a]\ntype = onion\n${lines}`, role)).settings.onion;
  const both = await onion(
    `overlays = loopback, tor\nloopback_serving_port = 7\ndirectory_nodes = ${ONION},127.0.0.1:5222`,
  );
  t.match(both, {
    overlays: ['tor', 'loopback'],
    withoutTor: false,
    serving: { port: 8080 },
    loopbackServing: { host: '127.0.0.1', port: 7 },
    directoryNodes: [{ kind: 'onion' }, { kind: 'loopback', port: 5222 }],
  });
  const local = 'directory_nodes = 127.0.0.1:5222';
  for (const lines of [
    'overlays = loopback',
    'regtest_count = 1,1',
    'overlays = tor\nregtest_count = 1,1',
  ]) {
    // oxlint-disable-next-line no-await-in-loop
    const alone = await onion(`${lines}\nonion_serving_port = 7\n${local}`);
    t.match(
      alone,
      { overlays: ['loopback'], withoutTor: true, loopbackServing: { port: 7 } },
      lines,
    );
  }
  for (const [lines, found] of [
    [`overlays = tor\n${local}`, /127\.0\.0\.1:5222/],
    [`overlays = loopback\ndirectory_nodes = ${ONION}`, /addresses of this machine/],
    ['overlays = i2p', /tor, loopback, lokinet, or several with commas between/],
    ['overlays =', /tor, loopback/],
    ['overlays = tor, llarp', /llarp is a laboratory that gives nobody privacy/],
    [`overlays = tor\ndirectory_nodes = ${'y'.repeat(52)}.llarp:5222`, /y\.llarp/],
  ] as const) {
    // oxlint-disable-next-line no-await-in-loop
    await t.rejects(onion(lines), { name: 'ConfigError', message: found }, lines);
  }
  const own = `overlays = tor, loopback\ndirectory_nodes = 127.0.0.1:5222`;
  t.same((await read(`[MESSAGING:a]\ntype = onion\n${own}`, 'directory')).notices, []);
});

t.test('misspelt keys and section names get a notice', async (t) => {
  const { notices } = await read(
    '[DIRECTORY]\nmax_peer = 1\nzzzzzz = 2\n[Directory]\nmax_peers = 1\n[POLICY]\ntx_feez = 1\n' +
      '[MESSAGING:a]\ntype = onion\n',
    'directory',
  );
  t.equal(notices.length, 3);
  t.match(notices[0], /section \[Directory\] is ignored; did you mean \[DIRECTORY\]\?/);
  t.match(
    notices[1],
    /^joinmarket\.cfg:2: \[DIRECTORY\] has no key "max_peer", ignored; did you mean max_peers\?$/,
  );
  t.match(notices[2], /:3: \[DIRECTORY\] has no key "zzzzzz", ignored$/);
  const names = ['max_peers', 'motd', 'status_port'];
  t.equal(nearestName('mtod', names), 'motd');
  t.equal(nearestName('statusport', names), 'status_port');
  t.equal(nearestName('banana', names), undefined);
});

t.test('a page that other machines can read gets a notice', async (t) => {
  const text = '[MESSAGING:a]\ntype = onion\n[DIRECTORY]\nstatus_host = 0.0.0.0\n';
  t.match((await read(text, 'directory')).notices, [
    /status_host 0\.0\.0\.0 shows the status page/,
  ]);
  t.same((await read(`${text}status_port = 0`, 'directory')).notices, []);
  t.same((await read(text, 'taker')).notices, []);
});

t.test('the first start writes the commented default file and continues', async (t) => {
  const datadir = join(t.testdir(), 'new', 'data');
  const first = await loadSettings({ datadir, role: 'directory' });
  t.equal(first.createdConfig, true);
  t.equal(first.settings.datadir, datadir);
  t.equal(first.settings.configFile, join(datadir, 'joinmarket.cfg'));
  t.equal((await stat(datadir)).mode & 0o777, 0o700);
  t.equal((await stat(first.settings.configFile)).mode & 0o777, 0o600);
  t.equal(await readFile(first.settings.configFile, 'utf8'), await defaultConfigText());

  await writeFile(first.settings.configFile, '[DIRECTORY]\nmax_peers = 3\n');
  const second = await loadSettings({ datadir, role: 'directory' });
  t.equal(second.createdConfig, false);
  t.equal(second.settings.directory.maxPeers, 3, 'an existing file is never overwritten');
});

t.test('a data directory that cannot be used', async (t) => {
  const dir = t.testdir({ file: 'x' });
  const datadir = join(dir, 'file');
  await t.rejects(loadSettings({ datadir, role: 'taker' }), { name: 'ConfigError', exitCode: 2 });
  const withFolder = join(dir, 'd');
  await mkdir(join(withFolder, 'joinmarket.cfg'), { recursive: true });
  await t.rejects(loadSettings({ datadir: withFolder, role: 'taker' }), {
    message: /joinmarket\.cfg: found a directory/,
  });
});

t.test('data directories', async (t) => {
  t.equal(resolveDatadir(), join(homedir(), '.joinmarket'));
  t.equal(resolveDatadir('~'), homedir());
  t.equal(resolveDatadir('~/x'), join(homedir(), 'x'));
  t.equal(resolveDatadir('x'), join(process.cwd(), 'x'));
  t.equal(resolveDatadir('/x/'), '/x');
});

// What os.homedir does for a user without an account, as in a container, when HOME is not set.
const noHome = () => {
  throw Object.assign(new Error('A system error occurred'), { code: 'ENOENT' });
};

t.test('without a home directory, only a path of one is an error', async (t) => {
  t.throws(() => expandPath('~/x', '/', noHome), {
    message:
      /HOME: found nothing; allowed: the absolute path of the home directory \(or give --datadir/,
  });
  t.equal(expandPath('/x', '/', noHome), '/x');
});

t.test('the contract of [OBWATCHER]', async (t) => {
  const { settings } = await read('', 'ob-watcher');
  t.same(settings.obWatcher, { host: '127.0.0.1', port: 62_601, pageHosts: [] });
  const named = await read(
    '[OBWATCHER]\npage_hosts = Book.Example.ORG., [FD00:0::1],127.0.0.1 ,book_page\n',
    'ob-watcher',
  );
  t.same(named.settings.obWatcher.pageHosts, [
    'book.example.org',
    'fd00::1',
    '127.0.0.1',
    'book_page',
  ]);
  const refused = [
    '*',
    '*.example.org',
    'a:80',
    'http://a',
    'a/b',
    'a b',
    'a,',
    '1.2.3',
    '[::1',
    'ä',
  ];
  for (const hosts of refused) {
    for (const [section, key] of [
      ['OBWATCHER', 'page_hosts'],
      ['DIRECTORY', 'status_hosts'],
    ] as const) {
      await t.rejects(
        read(`[${section}]\n${key} = ${hosts}\n`, 'ob-watcher'),
        {
          message: /_hosts: found .*host names or IP addresses with commas between/,
        },
        hosts,
      );
    }
  }
  const misspelt = await read('[OBWATCHER]\nprot = 80\n[ObWatcher]\nport = 80\n', 'ob-watcher');
  t.match(misspelt.notices.slice(1), [
    /section \[ObWatcher\] is ignored; did you mean \[OBWATCHER\]\?$/,
    /\[OBWATCHER\] has no key "prot", ignored; did you mean port\?$/,
  ]);
  await t.rejects(read('[OBWATCHER]\nport = 70000\n', 'ob-watcher'), {
    message: /\[OBWATCHER\] port: found "70000"/,
  });
});

t.test('the contract of [DIRECTORIES]', async (t) => {
  const { settings } = await read('', 'taker');
  t.same(settings.directories, {
    listKeys: '',
    listSource: '',
    takerDirectories: 5,
    makerDirectories: 64,
  });
  t.same(Object.values(SHIPPED_LIST_KEYS), ['', '', '', ''], 'nobody signs lists yet');
  const fingerprint = 'AB'.repeat(32);
  const pinned = await read(`[DIRECTORIES]\nlist_keys = ${fingerprint}\n`, 'taker');
  t.equal(pinned.settings.directories.listKeys, fingerprint.toLowerCase());
  for (const [line, allowed] of [
    ['list_keys = abc', /64 hex digits/],
    ['list_source = https://example.org/list', /http:\/\/ONION/],
    ['list_source = http://example.org/list', /http:\/\/ONION/],
    ['taker_directories = 4', /5 to 64/],
    ['maker_directories = 65', /5 to 64/],
  ] as const) {
    await t.rejects(read(`[DIRECTORIES]\n${line}\n`, 'taker'), { message: allowed }, line);
  }
});

t.test('a list of directories never replaces a choice of the user', async (t) => {
  const keys = `[DIRECTORIES]\nlist_keys = ${'ab'.repeat(32)}\n`;
  const chosen = async (line: string, more = ''): Promise<readonly [boolean, number]> => {
    const text = `${keys}[MESSAGING:a]\ntype = onion\n${line}\n${more}`;
    const { onion } = (await read(text, 'taker')).settings;
    return [onion.directoriesChosen, onion.directoryNodes.length];
  };
  const { mainnet } = SHIPPED_DIRECTORIES;
  t.same(await chosen(`directory_nodes = ${ONION}`), [true, 1], 'another address');
  const part = mainnet.slice(1).join(',');
  t.same(await chosen(`directory_nodes = ${part}`), [true, mainnet.length - 1], 'a part');
  const shipped = [false, mainnet.length];
  t.same(await chosen(''), shipped, 'no key');
  t.same(await chosen('directory_nodes ='), shipped, 'empty');
  t.same(await chosen(`directory_nodes = ${mainnet.join(',')}`), shipped, 'the shipped list');
  t.same(
    await chosen('directory_nodes =', '[BLOCKCHAIN]\nnetwork = regtest\n'),
    [false, 0],
    'no directory is shipped: all come from the list',
  );
  await t.rejects(
    read(
      '[MESSAGING:a]\ntype = onion\ndirectory_nodes =\n[BLOCKCHAIN]\nnetwork = regtest\n',
      'taker',
    ),
    { message: /none is shipped/ },
    'without keys the user must name one',
  );
});

t.test('the example and docs/directory.md show the limits of the table', (t) => {
  const { status, stderr } = spawnSync(process.execPath, ['scripts/write-limits.mjs', '--check'], {
    encoding: 'utf8',
    // tap passes its loader on in NODE_OPTIONS; the script does not need it.
    env: { ...process.env, NODE_OPTIONS: '' },
  });
  t.equal(status, 0, stderr);
  t.end();
});
