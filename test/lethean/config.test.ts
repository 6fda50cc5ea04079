/** client.ini, the environment and the command line: every option at each of the four levels. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import t from 'tap';
import { readIni } from '../../src/lethean/config/ini.js';
import {
  OPTION_NAMES,
  OPTIONS,
  variablesOf,
  type OptionName,
} from '../../src/lethean/config/options.js';
import { configPlaces, platformOf, usualFolders } from '../../src/lethean/config/places.js';
import { resolveOptions, type Sources } from '../../src/lethean/config/resolve.js';
import { loadLetheanSettings } from '../../src/lethean/config/settings.js';
import { unicodeText } from '../helpers/unicode-text.js';

const SOURCES: Sources = {
  commandLine: {},
  environment: {},
  files: [],
  home: '/home/u',
  varDir: '/home/u/.local/share/lvpn',
  cfgDir: '/home/u/.config/lvpn',
};
const KEY = `${'A'.repeat(43)}=`;
const ADDRESS = '4'.repeat(95);

/** Three texts of each option, and a text that it refuses. */
const TEXTS: Readonly<Record<OptionName, readonly [string, string, string, string | undefined]>> = {
  'log-level': ['DEBUG', 'WARNING', 'ERROR', 'LOUD'],
  'log-file': ['/a', '/b', '/c', 'a'],
  'audit-file': ['/a', '/b', '/c', 'a'],
  'http-port': ['1', '2', '3', '65536'],
  'var-dir': ['/a', '/b', '/c', 'a'],
  'cfg-dir': ['/a', '/b', '/c', 'a'],
  'app-dir': ['/a', '/b', '/c', 'a'],
  'tmp-dir': ['/a', '/b', '/c', 'a'],
  'daemon-host': ['a', '192.0.2.1', '[::1]', '-a'],
  'daemon-bin': ['a', 'b', '/c', './c'],
  'daemon-rpc-url': ['http://localhost:1/', 'https://b/', 'http://127.0.0.1/', 'http://node/'],
  'daemon-p2p-port': ['1', '2', '3', '-1'],
  'wallet-rpc-bin': ['a', 'b', 'c', 'a b'],
  'wallet-cli-bin': ['a', 'b', 'c', ''],
  'wallet-rpc-url': [
    'http://[::1]:1/',
    'https://b/',
    'http://127.0.0.1:3/',
    'http://u:p@localhost/',
  ],
  'wallet-rpc-port': ['1', '2', '3', '1.5'],
  'wallet-rpc-user': ['a', 'b', 'c', '\u0000'],
  'wallet-rpc-password': ['a', 'b', 'c', '\n\u0000'],
  'wallet-address': [ADDRESS, ADDRESS.replace('4', '5'), ADDRESS.replace('4', '6'), '4'],
  'spaces-dir': ['/a', '/b', '/c', 'a'],
  'gates-dir': ['/a', '/b', '/c', 'a'],
  'providers-dir': ['/a', '/b', '/c', 'a'],
  'sessions-dir': ['/a', '/b', '/c', 'a'],
  'coin-type': ['lethean', 'LETHEAN', 'Lethean', 'monero'],
  'coin-unit': ['1e-08', '0.00000001', '1e-8', '1e-12'],
  'lthn-price': ['1', '*2', '3', '\u0001'],
  'default-pay-days': ['2', '3', '4', '0'],
  'unpaid-expiry': ['60', '61', '62', '59'],
  'use-tx-pool': ['1', '0', 'yes', '2'],
  'enable-wg': ['1', '0', 'true', ''],
  'run-gui': ['0', '1', 'off', 'x'],
  'run-proxy': ['0', '1', 'no', '-'],
  'run-wallet': ['1', '0', 'on', '3'],
  'run-daemon': ['1', '0', '1', '3'],
  'auto-connect': ['lthn://a/b', 'g/s', 'lthn://c/d', 'a b'],
  'auto-reconnect': ['0', '1', '2', 'x'],
  'auto-pay-days': ['1', '2', '3', '-1'],
  'free-session-days': ['2', '3', '4', '0'],
  'my-providers-dir': ['/a', '/b', '/c', 'a'],
  'wallet-name': ['a', 'b', 'c', '../c'],
  'wg-map-device': ['g,wg1', 'g,wg2', 'g,wg3', 'g'],
  'wg-map-privkey': [`a,${KEY}`, `b,${KEY}`, `c,${KEY}`, 'a,short'],
  'wg-cmd-prefix': ['a', 'b', 'sudo', '\u0002'],
  'wg-shutdown-on-disconnect': ['0', '1', '0', 'x'],
  'wg-cmd-create-interface': ['a', 'b', 'c', ''],
  'wg-cmd-delete-interface': ['a', 'b', 'c', ''],
  'wg-cmd-set-ip': ['a', 'b', 'c', ''],
  'wg-cmd-set-interface-up': ['a', 'b', 'c', ''],
  'wg-cmd-route': ['a', 'b', 'c', ''],
  'my-spaces-dir': ['/a', '/b', '/c', 'a'],
  'my-gates-dir': ['/a', '/b', '/c', 'a'],
  'manager-local-bind': ['::1', '127.0.0.2', 'localhost', '0.0.0.0'],
  'manager-bearer-auth': ['a', 'b', 'c', '\u0003'],
  'readonly-providers': ['a', 'b', 'c', '\u0004'],
  'force-manager-url': ['https://a/', 'https://b/', 'http://127.0.0.1:8123/', 'ftp://c/'],
  'force-manager-wallet': ['a', 'b', 'c', '\u0005'],
  'on-session-activation': ['/a', '/b', '/c', 'a b'],
  'wallet-password': ['a', 'b', 'c', '\u0006'],
  'edge-bin': ['a', 'b', 'c', '\u0008'],
  'chromium-bin': ['a', 'b', 'c', 'a b'],
  'use-http-proxy': ['http://a:1', 'http://b:2', 'http://c:3/', 'socks5://c:3'],
  'local-bind': ['::1', '127.0.0.2', 'localhost', '192.168.1.1'],
  'max-tls-connections': ['1', '2', '3', '0'],
  'ssh-engine': ['ssh', 'SSH', 'ssh', 'paramiko'],
  'connect-and-exit': ['1', '0', '1', 'x'],
  contributions: ['a', 'b', 'c', '\u000e'],
  'wallet-dir': ['/a', '/b', '/c', './d'],
  'sdp-url': ['https://a/', 'https://b/', 'http://localhost/c', 'http://sdp/'],
  'proxy-port': ['1', '2', '3', 'x'],
  'max-payment': ['1', '0.5', '2', '-1'],
  'max-per-day': ['1', '0.5', '2', '1,5'],
  'max-day-price': ['1', '0.5', '2', '0.000000001'],
  'max-fee': ['1', '0.5', '2', 'x'],
  'wait-blocks': ['0', '2', '1', '3'],
};

const valueOf = (name: OptionName, text: string): unknown => {
  const found = OPTIONS[name].kind.read(text);
  if (found === undefined) throw new Error(`${name} refuses ${text}`);
  return found;
};

for (const name of OPTION_NAMES) {
  t.test(`${name} at each level`, async (t) => {
    const [inFile, inEnvironment, given, refused] = TEXTS[name];
    const files = [{ path: 'client.ini', text: `[any]\n${name} = ${inFile}\n` }];
    const [variable = ''] = variablesOf(name);
    const environment = { [variable]: inEnvironment };
    for (const [level, sources, text] of [
      ['file', { files }, inFile],
      ['environment', { files, environment }, inEnvironment],
      ['command line', { files, environment, commandLine: { [name]: given } }, given],
    ] as const) {
      const { values, levels } = resolveOptions({ ...SOURCES, ...sources });
      t.same(values[name], valueOf(name, text), level);
      t.equal(levels[name], level);
    }
    const usual = resolveOptions(SOURCES);
    t.equal(usual.levels[name], 'default');
    t.equal(usual.values[name] === undefined, OPTIONS[name].usual === undefined);
    const { notices } = resolveOptions({ ...SOURCES, commandLine: { [name]: given } });
    t.equal(notices.length, 'unused' in OPTIONS[name] ? 1 : 0, 'an option without effect is named');
    if (refused === undefined) return;
    const commandLine = { [name]: refused };
    t.throws(() => resolveOptions({ ...SOURCES, commandLine }), {
      name: 'LetheanConfigError',
      exitCode: 2,
      message: new RegExp(`^--${name}: .*allowed: `),
    });
  });
}

const count = (source: string): number =>
  OPTION_NAMES.filter((name) => OPTIONS[name].source === source).length;

t.test('the options of the document', async (t) => {
  // Appendix A without --help and --config.
  t.equal(count('appendix A'), 38);
  t.equal(count('section 8'), 9);
  t.equal(OPTION_NAMES.length, Object.keys(TEXTS).length);
});

t.test('docs/lethean.md has each option with its default and meaning', async (t) => {
  const page = await readFile(new URL('../../docs/lethean.md', import.meta.url), 'utf8');
  const rows = new Set(page.split('\n').map((line) => line.replace(/ {2,}/g, ' ')));
  for (const name of OPTION_NAMES) {
    const { usual, source, about, ...option } = OPTIONS[name];
    const shown = usual ? ` \`${usual}\`` : '';
    const unused = 'unused' in option ? `. No effect: ${option.unused}` : '';
    const row = `| \`${name}\` |${shown} | ${source} | ${about}${unused} |`;
    t.ok(rows.has(row), row);
  }
});

t.test('defaults', async (t) => {
  const { values } = resolveOptions(SOURCES);
  t.match(values, {
    'wallet-rpc-port': 14_660,
    'wallet-rpc-user': 'client',
    'http-port': 8_124,
    'auto-pay-days': 0,
    'sessions-dir': '/home/u/.local/share/lvpn/sessions',
    'max-payment': 30_000_000_000n,
  });
  const moved = resolveOptions({ ...SOURCES, environment: { WLC_VAR_DIR: '~/v' } });
  t.equal(moved.values['gates-dir'], '/home/u/v/gates', 'folders follow var-dir, ~ is the home');
});

t.test('names of the reference, and lists', async (t) => {
  const environment = { WLC_LOGLEVEL: 'DEBUG', HTTP_PROXY: 'http://p:1', WLC_HTTP_PORT: '' };
  t.match(resolveOptions({ ...SOURCES, environment }).values, {
    'log-level': 'DEBUG',
    'use-http-proxy': 'http://p:1',
    'http-port': 8_124,
  });
  const text = 'wg-map-device=g1,wg0\nwg_map_device = g2,wg1\n--run-gui=0\nwallet-name = "q"';
  const { values } = resolveOptions({ ...SOURCES, files: [{ path: 'f', text }] });
  t.same(values['wg-map-device'], [
    { gate: 'g1', value: 'wg0' },
    { gate: 'g2', value: 'wg1' },
  ]);
  t.equal(values['run-gui'], false);
  t.equal(values['wallet-name'], 'q');
});

t.test('files with faults', async (t) => {
  for (const [text, message] of [
    ['\nwalet-name=x', /^f:2: walet-name: no option has this name. Is wallet-name meant\?/],
    ['nothing-like-it=1', /^f:1: nothing-like-it: no option has this name. docs/],
    ['run-gui=1\nrun-gui=0', /^f:2: run-gui: this key is there before/],
    ['[open\nx', /^f:1: found "\[open"; a line is "key = value"/],
    ['http-port=x', /^f:1: http-port: found "x"; allowed: a port/],
    [
      'wg-map-privkey=gate,SECRETSECRET',
      /^f:1: wg-map-privkey: allowed: .*GATE,KEY with a base64 key$/,
    ],
  ] as const) {
    t.throws(() => resolveOptions({ ...SOURCES, files: [{ path: 'f', text }] }), {
      name: 'LetheanConfigError',
      message,
    });
  }
  t.throws(
    () => resolveOptions({ ...SOURCES, commandLine: { 'run-gu': '1' } }),
    /Is run-gui meant/,
  );
});

t.test('no text breaks the reader', async () => {
  fc.assert(
    fc.property(unicodeText(), (text) => {
      const ini = readIni(text);
      return ini.ok ? ini.entries.every(({ key }) => /^[a-z][\w-]*$/.test(key)) : ini.line > 0;
    }),
  );
});

t.test('the places of client.ini', async (t) => {
  t.same(configPlaces({ platform: 'windows', home: String.raw`C:\Users\u` }), [
    String.raw`C:\Users\u\lvpn\client.ini`,
  ]);
  t.same(configPlaces({ platform: 'linux', home: '/home/u' }), [
    '/etc/lvpn/client.ini',
    '/home/u/.config/lvpn/client.ini',
  ]);
  t.same(configPlaces({ platform: 'macos', home: '/Users/u' }), [
    '/Users/u/Library/Application Support/lvpn/client.ini',
  ]);
  t.match(usualFolders({ platform: 'windows', home: String.raw`C:\U` }), {
    cfgDir: String.raw`C:\U\lvpn`,
    varDir: String.raw`C:\U\lvpn\var`,
  });
  t.same((['win32', 'darwin', 'linux', 'freebsd'] as const).map(platformOf), [
    'windows',
    'macos',
    'linux',
    'linux',
  ]);
});

t.test('the example of the document, from a file', async (t) => {
  const home = await mkdtemp(join(tmpdir(), 'onionmc-ini-'));
  t.teardown(() => rm(home, { recursive: true, force: true }));
  const config = join(home, 'client.ini');
  await writeFile(
    config,
    '[client]\nlog-level=INFO\nrun-gui=1\nrun-proxy=1\nrun-wallet=1\n\n[wallet]\nwallet-rpc-url=http://127.0.0.1:14660/json_rpc\nwallet-name=default\n\n[connection]\nauto-reconnect=30\ndefault-pay-days=1\n\n[wireguard]\nenable-wg=0\nwg-shutdown-on-disconnect=1\n',
  );
  const options = { config, commandLine: {}, home: { platform: 'linux', home } } as const;
  const settings = await loadLetheanSettings({ ...options, environment: {} });
  t.match(settings, {
    files: [config],
    blocks: 1,
    wallet: { name: 'default', credentials: undefined, address: undefined },
    limits: { fee: 100_000_000n },
    paymentsFile: join(home, '.local/share/lvpn/payments.json'),
  });
  t.equal(settings.wallet.url.href, 'http://127.0.0.1:14660/json_rpc');
  t.same(settings.notices, [], 'each of them has an effect');
  const environment = { WLC_CONFIG: config, WLC_USE_TX_POOL: '1', WLC_WALLET_RPC_PASSWORD: 'p' };
  const other = await loadLetheanSettings({ commandLine: {}, environment, home: options.home });
  t.match(other, { blocks: 0, wallet: { credentials: { user: 'client', password: 'p' } } });
  await t.rejects(
    loadLetheanSettings({ ...options, config: join(home, 'absent.ini'), environment: {} }),
    { message: /absent.ini: cannot be read \(ENOENT\)/ },
  );
});
