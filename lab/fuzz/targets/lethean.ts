/** What the Lethean client reads: VDPs, search answers, sessions, files of sessions, links, client.ini. */
import { LetheanConfigError } from '../../../src/lethean/config/config-error.js';
import { readIni } from '../../../src/lethean/config/ini.js';
import { resolveOptions } from '../../../src/lethean/config/resolve.js';
import { DescriptionError, Fields, readFields } from '../../../src/lethean/market/fields.js';
import { formatGate, formatProvider, formatSpace } from '../../../src/lethean/market/format.js';
import { formatLink, parseLink } from '../../../src/lethean/market/link.js';
import { parseGate } from '../../../src/lethean/market/parse-gate.js';
import { parseProvider, parseSpace } from '../../../src/lethean/market/parse-provider.js';
import {
  formatSession,
  parseSession,
  sessionOf,
} from '../../../src/lethean/market/parse-session.js';
import { parseVdp } from '../../../src/lethean/market/parse-vdp.js';
import { parseSdpAnswer } from '../../../src/lethean/market/sdp.js';
import type { Session, Vdp } from '../../../src/lethean/model.js';
import { formatRecord, parseRecord } from '../../../src/lethean/session/record-file.js';
import { must, type Target } from '../target.js';

const ID = '5e'.repeat(32);
const WALLET = `iz${'4LfSfmUJ6aSM1PA8d7w'.repeat(5)}`;
const NOW = 1_800_000_000;

const DESCRIBED = { file_version: '1.1', providerid: ID, revision: 1_710_354_815 };
const SPACE = {
  ...DESCRIBED,
  file_type: 'LetheanSpace',
  spaceid: '1st',
  ipv4_networks: ['198.51.100.0/24'],
  ipv6_networks: ['fc00:0:0:129::/64'],
  dns_servers: ['198.51.100.16'],
  price: { 'per-day': 0.25 },
};
const GATE = {
  ...DESCRIBED,
  file_type: 'LetheanGateway',
  gateid: 'proxy',
  name: 'a proxy',
  type: 'http-proxy',
  price: { 'per-day': 0.1 },
  'http-proxy': { host: 'exit.example', port: 8080, tls: false },
  spaces: [`${ID}.1st`],
};
const WIREGUARD = {
  ...GATE,
  gateid: 'wg',
  type: 'wg',
  wg: {
    endpoint: 'exit.example:8774',
    public_key: Buffer.alloc(32, 7).toString('base64'),
    ipv4_network: '100.65.0.0/16',
    ipv4_gateway: '100.65.0.1',
    use_psk: false,
  },
};
const SSH = {
  ...GATE,
  gateid: 'ssh',
  type: 'ssh',
  ssh: { host: 'exit.example', port: 8880, username: 'lvpn' },
  gates: [`${ID}.proxy`],
};
const VDP = {
  file_type: 'VPNDescriptionProtocol',
  file_version: '1.1',
  providers: [
    {
      ...DESCRIBED,
      file_type: 'LetheanProvider',
      name: 'a provider',
      ca: ['QUJD'],
      'manager-url': 'https://exit.example:8790/',
      spaces: ['1st'],
      wallet: WALLET,
    },
  ],
  spaces: [SPACE],
  gates: [GATE, WIREGUARD, SSH],
};
const SERVICES = {
  protocolVersion: 1,
  providers: [
    {
      id: '1A',
      provider: ID,
      name: 'a service',
      type: 'proxy',
      cost: '0.00012',
      downloadSpeed: 20,
    },
  ],
};
const SESSION = {
  sessionid: 'a1b2c3d4',
  paymentid: '1122334455667788',
  wallet: WALLET,
  price: 0.7,
  days: 2,
  created: NOW,
  expires: NOW + 3_600,
  gateid: `${ID}.proxy`,
  password: '0011',
  payments: [{ height: 7, txid: 'ab'.repeat(32), amount: 0.7 }],
};
const KEY = Buffer.alloc(32, 7).toString('base64');
const WIREGUARD_SESSION = {
  ...SESSION,
  price: [0.7],
  wg: {
    server_public_key: KEY,
    client_public_key: KEY,
    client_ipv4_address: '100.65.0.9',
    ipv4_prefix: 16,
    client_ipv6_address: 'fc00::9',
    server_ipv4_address: '100.65.0.1',
    server_ipv4_networks: ['198.51.100.0/24'],
    dns: ['198.51.100.16'],
  },
};
const ORDER = {
  sessionId: 'a1b2c3d4',
  paymentId: '1122334455667788',
  days: 2,
  destinations: [{ address: WALLET, amount: '0.7' }],
};
const RECORD = {
  version: 1,
  state: 'CONFIRMING',
  since: NOW,
  selected: { providerId: ID, gateId: 'g', spaceId: 's', days: 2, pricePerDay: '0.35' },
  session: SESSION,
  payment: { order: ORDER, receipt: { txids: ['ab'.repeat(32)], spent: '0.71', proofs: [] } },
  usage: { sent: 1, received: 2 },
};

const SEEDS = [
  ...[VDP, SERVICES, SESSION, WIREGUARD_SESSION, RECORD].map((value) => JSON.stringify(value)),
  JSON.stringify({ ...RECORD, state: 'EXPIRED', cause: 'time' }),
  JSON.stringify({ ...RECORD, state: 'UNPAID', payBy: NOW }),
  JSON.stringify({ ...RECORD, state: 'DISCONNECTED', cause: 'failed', reason: 'x' }),
  `lthn://${ID}/1A`,
  `lthn://${ID}.proxy/${ID}.1st`,
  '[global]\nhttp-port = 8124\n--max_payment=0.5\n# a comment\nwallet-rpc-password = "a b"\n',
  'auto-connect = lthn://a/b\nauto-connect = lthn://c/d\n',
];

/** The value, or undefined for a text that breaks a rule; any other error is a crash. */
function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof DescriptionError)) throw error;
    must(error.message.length <= 1_000, 'a fault is a short text');
    return undefined;
  }
}

const isAmount = (amount: bigint): boolean => amount >= 0n && amount < 2n ** 64n;

/** As text; amounts are digits. */
const textOf = (value: unknown): string =>
  JSON.stringify(value, (_, each: unknown) => (typeof each === 'bigint' ? String(each) : each));

function mustBeSame(again: unknown, value: unknown, what: string): void {
  must(textOf(again) === textOf(value), what);
}

function checkDescriptions({ providers, spaces, gates }: Vdp): void {
  for (const each of providers) {
    mustBeSame(parseProvider(readFields(formatProvider(each))), each, 'a provider is read again');
  }
  for (const each of spaces) {
    must(isAmount(each.pricePerDay), 'a price of a space is in range');
    mustBeSame(parseSpace(readFields(formatSpace(each))), each, 'a space is read again');
  }
  for (const each of gates) {
    must(isAmount(each.pricePerDay), 'a price of a gate is in range');
    mustBeSame(parseGate(readFields(formatGate(each))), each, 'a gate is read again');
  }
  const known = new Set(providers.map(({ providerId }) => providerId));
  must(
    [...gates, ...spaces].every(({ providerId }) => known.has(providerId)),
    'every gate and space has its provider',
  );
}

function* onMarket(text: string): Iterable<string> {
  const vdp = attempt(() => parseVdp(text));
  if (vdp !== undefined) {
    must(vdp.refused.length <= 20, 'few refused objects are told one by one');
    checkDescriptions(vdp);
    yield 'vdp';
    if (vdp.refusedCount > 0) yield 'vdp-refused';
    for (const { type } of vdp.gates) yield `gate-${type}`;
  }
  const answer = attempt(() => parseSdpAnswer(text, NOW));
  if (answer === undefined) return;
  must(
    answer.offers.every(({ pricePerDay }) => pricePerDay >= 0n),
    'no offer has a negative price',
  );
  yield `answer-${answer.form}`;
  if (answer.offers.length > 0) yield `offers-${answer.form}`;
}

function checkSession(session: Session): void {
  must(/^[\w-]+$/.test(session.sessionId), 'the id of a session is safe as a file name');
  must(isAmount(session.price), 'the price of a session is in range');
  must(session.days >= 1, 'a session has days');
  const secrets = [session.username, session.password, session.bearer];
  must(
    secrets.every((secret) => secret === undefined || /^[!-~]+$/.test(secret)),
    'credentials fit a header line',
  );
  const again = sessionOf(readFields(JSON.stringify(formatSession(session))));
  mustBeSame(again, session, 'a session is read again');
}

function* onSession(text: string): Iterable<string> {
  const session = attempt(() => parseSession(text));
  if (session !== undefined) {
    checkSession(session);
    yield session.wg === undefined ? 'session' : 'session-wg';
    if (session.price === 0n) yield 'session-free';
  }
  const record = attempt(() => parseRecord(text));
  if (record === undefined) return;
  checkSession(record.state.session);
  mustBeSame(parseRecord(formatRecord(record)), record, 'a file of a session is read again');
  yield `record-${record.state.state}`;
}

function* onLink(text: string): Iterable<string> {
  const link = parseLink(text);
  if (link === undefined) return;
  const shown = formatLink(link);
  must(/^lthn:\/\/[\w.-]+\/[\w.-]+$/.test(shown), 'a link is plain text');
  mustBeSame(parseLink(shown), link, 'a link is read again');
  yield `link-${link.kind}`;
}

function* onSettings(text: string): Iterable<string> {
  const lines = readIni(text);
  if (!lines.ok) {
    yield 'ini-line';
    return;
  }
  must(lines.entries.length <= 1_000, 'entries are bounded');
  must(
    lines.entries.every(({ key }) => /^[a-z][a-z0-9-]*$/.test(key)),
    'keys have one spelling',
  );
  const files = [{ path: 'client.ini', text }];
  const folders = { home: '/home/a', varDir: '/home/a/var', cfgDir: '/home/a/cfg' };
  try {
    const { levels } = resolveOptions({ commandLine: {}, environment: {}, files, ...folders });
    yield Object.values(levels).includes('file') ? 'settings' : 'settings-usual';
  } catch (error) {
    if (!(error instanceof LetheanConfigError)) throw error;
    must(/^[^\p{Cc}]{1,2000}$/u.test(error.message), 'a fault of the settings is one line');
    yield 'settings-refused';
  }
}

export function letheanTarget(): Target {
  return {
    name: 'lethean',
    seeds: SEEDS.map((text) => Buffer.from(text)),
    words: [
      'lthn://',
      ID,
      WALLET,
      '"price":{"per-day":1e-8}',
      '"wg":{}',
      '18446744073709551616',
      'http-port = ',
      'max-payment = ',
      '"state":"ACTIVE"',
      '"state":"DISCONNECTED","cause":"user"',
      '"gateways":',
      '"ssh"',
      '"sessionid":"../',
      `lthn://${ID}/`,
      '%20',
      ' ',
      '/',
    ],
    maxBytes: 6_000,
    *run(input) {
      const text = Buffer.from(input).toString('utf8');
      yield* onMarket(text);
      yield* onSession(text);
      yield* onLink(text);
      yield* onSettings(text);
      yield attempt(() => readFields(text)) instanceof Fields ? 'object' : 'not-an-object';
    },
  };
}
