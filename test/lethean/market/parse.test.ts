/** Descriptions, search answers and sessions: both forms, the rules, hostile input (rows C1, C3). */
import * as fc from 'fast-check';
import t from 'tap';
import { DescriptionError, readFields } from '../../../src/lethean/market/fields.js';
import { formatGate, formatProvider, formatSpace } from '../../../src/lethean/market/format.js';
import { parseGate } from '../../../src/lethean/market/parse-gate.js';
import { parseProvider, parseSpace } from '../../../src/lethean/market/parse-provider.js';
import { formatSessionRequest, parseSession } from '../../../src/lethean/market/parse-session.js';
import { MAX_OBJECTS, MAX_VDP, parseVdp } from '../../../src/lethean/market/parse-vdp.js';
import {
  gate,
  jsonOf,
  KEY,
  oldVdp,
  OTHER_ID,
  provider,
  PROVIDER_ID,
  session,
  space,
  sshGate,
  vdp,
  WALLET,
  wireGuardGate,
} from '../samples.js';

const readProvider = (value: unknown): unknown => parseProvider(readFields(jsonOf(value)));
const readSpace = (value: unknown): unknown => parseSpace(readFields(jsonOf(value)));
const readGate = (value: unknown): unknown => parseGate(readFields(jsonOf(value)));
const readSession = (value: unknown): unknown => parseSession(jsonOf(value));

t.test('a VDP of version 1.1', (t) => {
  const read = parseVdp(jsonOf(vdp()));
  t.same(read.refused, []);
  t.match(read.providers, [
    { providerId: PROVIDER_ID, managerUrl: 'https://exit.example:8790', wallet: WALLET },
  ]);
  t.same(read.providers[0]?.spaces, [`${PROVIDER_ID}.1st`, `${PROVIDER_ID}.free`]);
  t.match(read.spaces, [{ spaceId: `${PROVIDER_ID}.1st`, pricePerDay: 25_000_000n }]);
  t.match(read.gates, [
    { gateId: `${PROVIDER_ID}.http-proxy`, type: 'http-proxy', pricePerDay: 10_000_000n },
    { gateId: `${PROVIDER_ID}.wg`, wg: { endpoint: { host: 'exit.example', port: 8774 } } },
    { gateId: `${PROVIDER_ID}.ssh`, ssh: { port: 8880, tls: false, username: 'lvpn' } },
  ]);
  t.end();
});

t.test('a VDP of version 1.0', (t) => {
  const read = parseVdp(jsonOf(oldVdp));
  t.same(read.refused, []);
  t.match(read.providers, [{ providerId: PROVIDER_ID }]);
  t.match(read.providers[0]?.ca[0], /^-----BEGIN CERTIFICATE-----\n.{64}\n/);
  t.match(read.spaces, [
    { spaceId: PROVIDER_ID, ipv4Networks: ['198.51.100.0/24'], ipv6Networks: [] },
  ]);
  t.match(read.gates, [
    { gateId: `${PROVIDER_ID}-http`, spaces: [PROVIDER_ID], proxy: { port: 8123, tls: true } },
  ]);
  t.end();
});

t.test('a faulty object of a VDP is left out and told; the others count', (t) => {
  const read = parseVdp(
    jsonOf(
      vdp({
        gates: [
          gate(),
          gate(),
          gate({ gateid: 'b', type: 'carrier-pigeon' }),
          gate({ gateid: 'c', providerid: OTHER_ID, spaces: [] }),
          7,
        ],
      }),
    ),
  );
  t.equal(read.gates.length, 1);
  t.same(
    read.refused.map(({ message }) => message),
    [
      'gates[1]: has the id of another object',
      'gates[2].type: must be one of wg, http-proxy, socks-proxy, daemon-rpc-proxy, daemon-p2p-proxy, wg-tcp, ssh, tls-ssh',
      'gates[3].providerid: is not the id of a provider in this VDP',
      'gates[4]: must be an object',
    ],
  );
  const many = Array.from({ length: 100 }, () => 0);
  const faulty = parseVdp(jsonOf(vdp({ gates: many })));
  t.equal(faulty.refusedCount, 100);
  t.equal(faulty.refused.length, 20);
  t.end();
});

const refusals: readonly (readonly [string, () => unknown, RegExp])[] = [
  ['a text that is no JSON', () => parseVdp('<html>'), /^not valid JSON: a value was expected/],
  ['a list', () => parseVdp('[]'), /^must be an object$/],
  ['another kind of file', () => parseVdp(jsonOf(provider())), /^file_type: must be "VPNDesc/],
  ['another version', () => readGate(gate({ file_version: '2.0' })), /^file_version: must be/],
  ['a VDP that is too large', () => parseVdp(' '.repeat(MAX_VDP + 1)), /at most 4194304 char/],
  [
    'too many objects',
    () => parseVdp(jsonOf(vdp({ gates: Array.from({ length: MAX_OBJECTS + 1 }, () => 0) }))),
    /^gates: must have at most 2000 items/,
  ],
  ['a provider without an id', () => readProvider(provider({ providerid: '5e' })), /64 hex/],
  [
    'a manager over http',
    () => readProvider(provider({ 'manager-url': 'http://exit.example' })),
    /^manager-url: must be/,
  ],
  [
    'a manager with a user',
    () => readProvider(provider({ 'manager-url': 'https://a@b.example' })),
    /^manager-url/,
  ],
  ['no certificate', () => readProvider(provider({ ca: [] })), /^ca: must have at least one/],
  ['a certificate that is text', () => readProvider(provider({ ca: ['-oProxyCommand=x'] })), /^ca/],
  ['a wallet that is no base58', () => readProvider(provider({ wallet: `0${WALLET}` })), /^wallet/],
  ['a name that is too long', () => readProvider(provider({ name: 'x'.repeat(257) })), /^name/],
  ['a name that is a number', () => readProvider(provider({ name: 7 })), /^name: must be text/],
  ['an id with a path', () => readGate(gate({ gateid: '../../etc/passwd' })), /^gateid/],
  ['an id of another provider', () => readGate(gate({ gateid: `${OTHER_ID}.x` })), /^gateid/],
  [
    'a host with a blank',
    () => readGate(gate({ 'http-proxy': { host: 'a b', port: 1 } })),
    /^http-proxy\.host/,
  ],
  [
    'a host that is an option',
    () => readGate(sshGate({ ssh: { host: '-oX', port: 1, username: 'u' } })),
    /^ssh\.host/,
  ],
  [
    'a user that is an option',
    () => readGate(sshGate({ ssh: { host: 'a.example', port: 1, username: '-x' } })),
    /^ssh\.username/,
  ],
  [
    'port 0',
    () => readGate(gate({ 'http-proxy': { host: 'a.example', port: 0 } })),
    /^http-proxy\.port/,
  ],
  [
    'a gate without its object',
    () => readGate(gate({ type: 'socks-proxy' })),
    /^socks-proxy: is missing/,
  ],
  ['a negative price', () => readGate(gate({ price: { 'per-day': -1 } })), /^price\.per-day/],
  [
    'a price beyond 64 bits',
    () => readGate(gate({ price: { 'per-day': 1e15 } })),
    /^price\.per-day/,
  ],
  [
    'a key of 31 bytes',
    () => readGate(wireGuardGate({ wg: { endpoint: 'a.example:1', public_key: 'AAAA' } })),
    /^wg\.public_key/,
  ],
  [
    'a network that is none',
    () => readSpace(space({ ipv4_networks: ['10.0.0.0/33'] })),
    /^ipv4_networks/,
  ],
  [
    'a network with a command',
    () => readSpace(space({ ipv4_networks: ['10.0.0.0/8; id'] })),
    /^ipv4_networks/,
  ],
  [
    'a DNS server that is a name',
    () => readSpace(space({ dns_servers: ['ns.example'] })),
    /^dns_servers/,
  ],
  [
    'a space of 1.1 without a price',
    () => readSpace(space({ price: undefined })),
    /^price: is missing/,
  ],
  [
    'a session without a wallet',
    () => readSession(session({ wallet: undefined })),
    /^wallet: is missing/,
  ],
  ['a session id with a path', () => readSession(session({ sessionid: '../x' })), /^sessionid/],
  [
    'a payment id of 15 digits',
    () => readSession(session({ paymentid: '1'.repeat(15) })),
    /^paymentid/,
  ],
  ['0 days', () => readSession(session({ days: 0 })), /^days/],
  ['half a day', () => readSession(session({ days: 0.5 })), /^days/],
  ['a user that breaks a header', () => readSession(session({ username: 'a\r\nb' })), /^username/],
  [
    'a password that breaks a header',
    () => readSession(session({ password: 'a\nb' })),
    /^password/,
  ],
  ['a time before 1970', () => readSession(session({ expires: -1 })), /^expires/],
  [
    'a payment without its txid',
    () => readSession(session({ payments: [{ amount: 1 }] })),
    /^payments\[0\]\.txid/,
  ],
  [
    'an SSH key that is none',
    () => readSession(session({ ssh: { key: 'x', crt: 'y' } })),
    /^ssh\.key/,
  ],
];

for (const [name, read, reason] of refusals) {
  t.test(`refused: ${name}`, (t) => {
    try {
      read();
      t.fail('was read');
    } catch (error) {
      t.ok(error instanceof DescriptionError, 'a DescriptionError');
      t.match(error instanceof Error ? error.message : '', reason);
    }
    t.end();
  });
}

const pem = (kind: string): string => `-----BEGIN ${kind}-----\nQUJD\n-----END ${kind}-----\n`;

t.test('a session: unpaid, and with all that it can have', (t) => {
  t.match(parseSession(jsonOf(session())), {
    sessionId: 'a1b2c3d4e5f60718',
    price: 70_000_000n,
    paid: false,
    activated: 0,
    wg: undefined,
    ssh: undefined,
  });
  const full = parseSession(
    jsonOf(
      session({
        paid: true,
        activated: 1_800_000_600,
        payments: [{ height: 7, txid: 'AB'.repeat(32), amount: 0.7 }],
        contributions: [{ purpose: 'referral', price: 0.1, wallet: WALLET }],
        parent: 'ffff',
        wg: {
          client_public_key: KEY,
          server_public_key: KEY,
          psk: KEY,
          client_ipv4_address: '100.65.0.9',
          ipv4_prefix: 16,
          server_ipv4_address: '100.65.0.1',
          client_ipv6_address: 'fc00::9',
          server_ipv4_networks: ['198.51.100.0/24'],
          server_ipv6_networks: ['fc00::/64'],
          dns: ['198.51.100.16'],
        },
        proxy: { key: pem('PRIVATE KEY'), crt: pem('CERTIFICATE') },
        ssh: {
          key: pem('OPENSSH PRIVATE KEY'),
          crt: 'ecdsa-sha2-nistp256-cert-v01@openssh.com QUJD lvpn-x\n',
          port: 40_001,
        },
      }),
    ),
  );
  t.match(full, {
    paid: true,
    activated: 1_800_000_600,
    payments: [{ height: 7, txid: 'ab'.repeat(32), amount: 70_000_000n }],
    contributions: [{ wallet: WALLET, price: 10_000_000n }],
    wg: {
      ipv4Address: '100.65.0.9/16',
      ipv6Address: 'fc00::9/128',
      networks: ['198.51.100.0/24', 'fc00::/64'],
    },
    ssh: { reversePort: 40_001 },
  });
  t.end();
});

t.test('the request of a session', (t) => {
  const request = { spaceId: 's', gateId: 'g', days: 3, wireGuard: undefined };
  t.same(JSON.parse(formatSessionRequest(request)), { spaceid: 's', gateid: 'g', days: 3 });
  const withKey = { ...request, wireGuard: { publicKey: KEY, endpoint: 'dynamic' } };
  t.match(JSON.parse(formatSessionRequest(withKey)), {
    wg: { endpoint: 'dynamic', public_key: KEY },
  });
  t.end();
});

t.test('property: no change of a description makes a parser throw anything else', (t) => {
  const texts = [
    jsonOf(vdp()),
    jsonOf(oldVdp),
    jsonOf(session({ wg: {}, proxy: {}, payments: [{}] })),
  ];
  const changed = fc
    .tuple(fc.constantFrom(...texts), fc.nat(), fc.nat(40), fc.string({ maxLength: 12 }))
    .map(([text, at, length, put]) => {
      const start = at % text.length;
      return text.slice(0, start) + put + text.slice(start + length);
    });
  fc.assert(
    fc.property(changed, (text) => {
      for (const parse of [parseVdp, parseSession]) {
        try {
          parse(text);
        } catch (error) {
          if (!(error instanceof DescriptionError)) throw error;
        }
      }
    }),
    { numRuns: 1_000 },
  );
  t.end();
});

t.test('a description survives its file', (t) => {
  const read = parseVdp(jsonOf(vdp({ gates: [gate(), wireGuardGate(), sshGate()] })));
  for (const value of read.providers) {
    t.same(parseProvider(readFields(formatProvider(value))), value);
  }
  for (const value of read.spaces) t.same(parseSpace(readFields(formatSpace(value))), value);
  for (const value of read.gates) t.same(parseGate(readFields(formatGate(value))), value);
  const [first] = read.providers;
  if (first === undefined) throw new Error('no provider');
  const dated = { ...first, revision: 100, validUntil: 160 };
  t.same(parseProvider(readFields(formatProvider(dated))), dated);
  t.match(read.gates.map(formatGate)[0], /"per-day": 0\.1\n/);
  t.end();
});
