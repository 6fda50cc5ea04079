/** Sections 3, 5 and 12.1 of docs/protocol.md: handshakes, locations, peer lists. */
import { ed25519 } from '@noble/curves/ed25519.js';
import { bytesToHex, hexToBytes } from '@noble/hashes/utils.js';
import t from 'tap';
import type { Network } from '../../src/protocol/constants.js';
import { decodeEnvelope, encodeEnvelope, fitsOneLine } from '../../src/protocol/envelope.js';
import {
  formatDirectoryHandshake,
  formatPeerHandshake,
  isMismatch,
  parseDirectoryHandshake,
  parsePeerHandshake,
  type HandshakeGarbage,
  type HandshakeMismatch,
} from '../../src/protocol/handshake.js';
import {
  formatLocation,
  isLoopbackHost,
  NOT_SERVING,
  onionHost,
  parseDeclaredLocation,
  parseLocation,
  parseOnionHost,
  sameLocation,
  type Location,
} from '../../src/protocol/location.js';
import {
  formatPeerEntry,
  isFeatureName,
  joinPeerEntries,
  parsePeerlist,
  type PeerEntry,
} from '../../src/protocol/peerlist.js';
import vectors from '../vectors/protocol.json' with { type: 'json' };

const MAKER = 'J52N8GdNkKtMA6TW';
const TAKER = 'J59cTYvZJZEbjWk4';
const DIRECTORY = 'J5Ckon1LuuapPSBM';
const HOST = '2bflemtufo2kwoqtnc6umfpe43icesvxdiawxl4fecrtfslxq43yqmad.onion';
const ONION: Location = { kind: 'onion', host: HOST, port: 5222 };
const LOOPBACK: Location = { kind: 'loopback', host: '127.0.0.1', port: 15_222 };

/** The payload of a captured line. */
function payloadOf(line: string): string {
  const envelope = decodeEnvelope(Buffer.from(line));
  if (!envelope.ok) throw new Error(envelope.reason);
  return envelope.value.line;
}

/** JSON of `base` with some keys changed; `undefined` removes a key. */
function changed(base: object, changes: object): string {
  return JSON.stringify({ ...base, ...changes });
}

const PEER = {
  'app-name': 'joinmarket',
  directory: false,
  'location-string': 'NOT-SERVING-ONION',
  'proto-ver': 5,
  features: {},
  nick: TAKER,
  network: 'testnet',
};

const DN = {
  'app-name': 'joinmarket',
  directory: true,
  'proto-ver-min': 5,
  'proto-ver-max': 5,
  features: {},
  accepted: true,
  nick: DIRECTORY,
  network: 'testnet',
  motd: 'hello',
};

t.test('793: handshakes that a directory or a peer accepts', async (t) => {
  const accepted = { nick: TAKER, location: NOT_SERVING, network: 'testnet', features: [] };
  const rules = { network: 'testnet', kinds: new Set(['onion'] as const) } as const;
  const rows: readonly [string, object, object][] = [
    ['as REF sends it', {}, {}],
    ['an onion', { 'location-string': `${HOST}:5222` }, { location: ONION }],
    [
      'another virtual port',
      { 'location-string': `${HOST}:1` },
      { location: { ...ONION, port: 1 } },
    ],
    ['extra keys', { motd: 'x', 'proto-ver-min': 3 }, {}],
    ['version 5.0 is the integer 5', { 'proto-ver': 5.0 }, {}],
    [
      'features, sorted',
      { features: { ping: true, neutrino_compat: true, nick_auth: true, peerlist_features: true } },
      { features: ['neutrino_compat', 'nick_auth', 'peerlist_features', 'ping'] },
    ],
    [
      'features that are not true or not a name are dropped',
      {
        features: {
          a: 1,
          b: 'true',
          c: false,
          d: null,
          e: { f: true },
          G: true,
          'h;D': true,
          '': true,
          ok: true,
        },
      },
      { features: ['ok'] },
    ],
    ['a nick of 64 characters', { nick: 'n'.repeat(64) }, { nick: 'n'.repeat(64) }],
    ['an odd but harmless nick', { nick: 'x' }, { nick: 'x' }],
  ];
  for (const [name, changes, expected] of rows) {
    t.strictSame(
      parsePeerHandshake(changed(PEER, changes), rules),
      { ok: true, value: { ...accepted, ...expected } },
      name,
    );
  }
  const many = Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`f${i}`, true]));
  const parsed = parsePeerHandshake(changed(PEER, { features: many }), rules);
  t.equal(parsed.ok && parsed.value.features.length, 32, 'at most 32 features are kept');
  t.strictSame(
    parsePeerHandshake(changed(PEER, { 'location-string': '127.0.0.1:15222' }), {
      network: 'testnet',
      kinds: new Set(['onion', 'loopback'] as const),
    }),
    { ok: true, value: { ...accepted, location: LOOPBACK } },
    'a loopback location on a test network',
  );
});

/** Nested arrays. */
function nested(depth: number): unknown {
  return depth === 0 ? 0 : [nested(depth - 1)];
}

t.test('793: handshakes that are refused, with or without an answer', async (t) => {
  const rows: readonly (readonly [
    string,
    object | string,
    HandshakeGarbage | HandshakeMismatch,
  ])[] = [
    ['not JSON', 'hello', 'handshake-json'],
    ['empty', '', 'handshake-json'],
    ['array', '[]', 'handshake-json'],
    ['null', 'null', 'handshake-json'],
    ['nested', { features: { x: nested(100) } }, 'handshake-json'],
    ...Object.keys(PEER).map(
      (key) => [`without ${key}`, { [key]: undefined }, 'handshake-keys'] as const,
    ),
    ['version a string', { 'proto-ver': '5' }, 'handshake-types'],
    ['version a fraction', { 'proto-ver': 5.5 }, 'handshake-types'],
    ['version true', { 'proto-ver': true }, 'handshake-types'],
    ['features an array', { features: ['ping'] }, 'handshake-types'],
    ['features null', { features: null }, 'handshake-types'],
    ['features a string', { features: 'ping' }, 'handshake-types'],
    ['nick a number', { nick: 5 }, 'handshake-types'],
    ['network null', { network: null }, 'handshake-types'],
    ['nick empty', { nick: '' }, 'handshake-nick'],
    ['nick of 65 characters', { nick: 'n'.repeat(65) }, 'handshake-nick'],
    ...['a!b', 'a;b', 'a,b', 'a+b', 'a b', 'a\nb', 'a\u007f', 'é', 'PUBLIC'].map(
      (nick) => [`nick ${JSON.stringify(nick)}`, { nick }, 'handshake-nick'] as const,
    ),
    ['another application', { 'app-name': 'JoinMarket' }, 'app-name'],
    ['application a number', { 'app-name': 5 }, 'app-name'],
    ['a directory', { directory: true }, 'directory-flag'],
    ['directory 1', { directory: 1 }, 'directory-flag'],
    ['directory a string', { directory: 'false' }, 'directory-flag'],
    ['directory 0', { directory: 0 }, 'directory-flag'],
    ['directory null', { directory: null }, 'directory-flag'],
    ['version 4', { 'proto-ver': 4 }, 'proto-ver'],
    ['version 6', { 'proto-ver': 6 }, 'proto-ver'],
    ['version -5', { 'proto-ver': -5 }, 'proto-ver'],
    ['another network', { network: 'mainnet' }, 'network'],
    ['network in capitals', { network: 'TESTNET' }, 'network'],
    ['network empty', { network: '' }, 'network'],
    ['location empty', { 'location-string': '' }, 'location'],
    ['location a number', { 'location-string': 5222 }, 'location'],
    ['location null', { 'location-string': null }, 'location'],
    ['not an onion', { 'location-string': 'foo:123' }, 'location'],
    ['port 0', { 'location-string': `${HOST}:0` }, 'location'],
    ['port -1', { 'location-string': `${HOST}:-1` }, 'location'],
    ['no port', { 'location-string': HOST }, 'location'],
    ['two colons', { 'location-string': `${HOST}:1:2` }, 'location'],
    ['a wrong checksum', { 'location-string': `${'a'.repeat(56)}.onion:5222` }, 'location'],
    ['loopback outside test networks', { 'location-string': '127.0.0.1:5222' }, 'location'],
  ];
  for (const [name, changes, reason] of rows) {
    const payload = typeof changes === 'string' ? changes : changed(PEER, changes);
    const rules = { network: 'testnet', kinds: new Set(['onion'] as const) } as const;
    t.strictSame(parsePeerHandshake(payload, rules), { ok: false, reason }, name);
  }
  const answered = [...new Set(rows.map(([, , reason]) => reason).filter(isMismatch))];
  t.strictSame(
    answered,
    ['app-name', 'directory-flag', 'proto-ver', 'network', 'location'],
    'a well-formed handshake with another value is answered, a malformed one is not',
  );
});

t.test('795: how a client reads it', async (t) => {
  const value = {
    nick: DIRECTORY,
    network: 'testnet',
    accepted: true,
    motd: 'hello',
    features: [],
  };
  const refused = { ...value, accepted: false };
  const accepts: readonly [string, object, object][] = [
    ['as REF sends it', {}, value],
    ['with a location, as RS sends it', { 'location-string': `${HOST}:5222` }, value],
    ['a range around 5', { 'proto-ver-min': 3, 'proto-ver-max': 9 }, value],
    [
      'proto-ver in place of the range',
      { 'proto-ver-min': undefined, 'proto-ver-max': undefined, 'proto-ver': 5 },
      value,
    ],
    [
      'features',
      { features: { ping: true, peerlist_features: true, x: 0 } },
      { ...value, features: ['peerlist_features', 'ping'] },
    ],
    ['no features', { features: undefined }, value],
    ['no MOTD', { motd: undefined }, { ...value, motd: '' }],
    ['a MOTD of the wrong type', { motd: 5 }, { ...value, motd: '' }],
    ['a refusal', { accepted: false }, refused],
    [
      'a refusal with other faults is a refusal',
      { accepted: false, 'app-name': 'x', directory: false, 'proto-ver-min': 9 },
      refused,
    ],
    [
      'a refusal by another network',
      { accepted: false, network: 'mainnet' },
      { ...refused, network: 'mainnet' },
    ],
  ];
  for (const [name, changes, expected] of accepts) {
    t.strictSame(
      parseDirectoryHandshake(changed(DN, changes), 'testnet'),
      { ok: true, value: expected },
      name,
    );
  }
  const faults: readonly [string, object | string, string][] = [
    ['not JSON', '{', 'handshake-json'],
    ['a string', '"x"', 'handshake-json'],
    ['no accepted', { accepted: undefined }, 'handshake-types'],
    ['accepted 1', { accepted: 1 }, 'handshake-types'],
    ['no nick', { nick: undefined }, 'handshake-types'],
    ['no network', { network: undefined }, 'handshake-types'],
    [
      'no version at all',
      { 'proto-ver-min': undefined, 'proto-ver-max': undefined },
      'handshake-types',
    ],
    ['version a string', { 'proto-ver-min': '5' }, 'handshake-types'],
    ['a malformed nick', { nick: 'a!b' }, 'handshake-types'],
    ['another application', { 'app-name': 'JoinMarket' }, 'app-name'],
    ['no directory', { directory: false }, 'directory-flag'],
    ['directory 1', { directory: 1 }, 'directory-flag'],
    ['only newer versions', { 'proto-ver-min': 6, 'proto-ver-max': 9 }, 'proto-ver'],
    ['only older versions', { 'proto-ver-min': 1, 'proto-ver-max': 4 }, 'proto-ver'],
    ['another network', { network: 'signet' }, 'network'],
    ['a peer answers instead', { accepted: undefined, ...PEER }, 'handshake-types'],
  ];
  for (const [name, changes, reason] of faults) {
    const payload = typeof changes === 'string' ? changes : changed(DN, changes);
    t.strictSame(parseDirectoryHandshake(payload, 'testnet'), { ok: false, reason }, name);
  }
});

t.test('handshakes are written byte for byte as deployed peers write them', async (t) => {
  const network: Network = 'testnet';
  const { refLines, ngLines } = vectors;
  const client = { nick: TAKER, location: NOT_SERVING, network, features: [] };
  t.equal(
    encodeEnvelope(793, formatPeerHandshake(client)),
    `${refLines.clientHandshake}\r\n`,
    'REF client',
  );
  const directories = [
    {
      name: 'REF directory',
      line: refLines.directoryHandshake,
      accepted: true,
      motd: 'DIRECTORY NODE: 127.0.0.1:15222\nJOINMARKET VERSION: 0.9.12\nhello',
      features: [],
    },
    {
      name: 'NG directory',
      line: ngLines.accepted,
      accepted: true,
      motd: 'JoinMarket NG Directory Server https://github.com/joinmarket-ng/joinmarket-ng/\nJoinMarket NG version: 0.37.0',
      features: ['ping', 'peerlist_features'],
    },
    {
      name: 'NG refusal',
      line: ngLines.duplicateNick,
      accepted: false,
      motd: `Rejected: Peer nick already registered: ${TAKER}`,
      features: [],
    },
  ];
  for (const { name, line, accepted, motd, features } of directories) {
    const handshake = { nick: DIRECTORY, network, accepted, motd, features };
    t.equal(encodeEnvelope(795, formatDirectoryHandshake(handshake)), `${line}\r\n`, name);
    t.strictSame(
      parseDirectoryHandshake(payloadOf(line), network),
      { ok: true, value: { ...handshake, features: features.toSorted() } },
      `${name}, read`,
    );
  }
  t.strictSame(
    parsePeerHandshake(payloadOf(refLines.clientHandshake), {
      network,
      kinds: new Set(['onion'] as const),
    }),
    { ok: true, value: client },
    'REF client, read',
  );
});

t.test('onion names', async (t) => {
  for (const { seed, publicKey, host } of vectors.onion) {
    const key = ed25519.getPublicKey(hexToBytes(seed));
    if (publicKey !== undefined) t.equal(bytesToHex(key), publicKey);
    t.equal(onionHost(key), host, host);
    t.strictSame(parseOnionHost(host), { ok: true, value: key });
    const name = host.slice(0, 56);
    for (let at = 0; at < 56; at++) {
      const other = name[at] === 'q' ? 'r' : 'q';
      const wrong = `${name.slice(0, at)}${other}${name.slice(at + 1)}.onion`;
      t.equal(parseOnionHost(wrong).ok, false, `character ${at} changed`);
    }
  }
  const rows: readonly [string, string, string][] = [
    ['no .onion', HOST.slice(0, 56), 'location-host'],
    ['a dot after it', `${HOST}.`, 'onion-dot'],
    ['a dot before it', `.${HOST}`, 'onion-length'],
    ['www', `www.${HOST}`, 'onion-length'],
    ['another name', 'example.com', 'location-host'],
    ['a name in front', `www.${HOST}`, 'onion-length'],
    ['version 2', 'expyuzz4wqqyqhjn.onion', 'onion-length'],
    ['one too short', HOST.slice(1), 'onion-length'],
    ['one too long', `a${HOST}`, 'onion-length'],
    ['capitals', HOST.toUpperCase().replace('ONION', 'onion'), 'onion-alphabet'],
    ['digits outside base32', HOST.replace('2', '1'), 'onion-alphabet'],
    ['a blank', HOST.replace('2', ' '), 'onion-alphabet'],
    ['all a, as in REF test networks', `${'a'.repeat(56)}.onion`, 'onion-version'],
    ['another version', HOST.replace('yqmad.', 'yqmae.'), 'onion-version'],
    ['a wrong checksum', HOST.replace('2b', 'ab'), 'onion-checksum'],
    ['empty', '', 'location-host'],
  ];
  for (const [name, host, reason] of rows) {
    t.strictSame(parseOnionHost(host), { ok: false, reason }, name);
  }
  for (const length of [0, 31, 33]) {
    t.throws(() => onionHost(new Uint8Array(length)), RangeError, `a key of ${length} bytes`);
  }
});

t.test('locations', async (t) => {
  const accepts: readonly [string, Location][] = [
    [`${HOST}:5222`, ONION],
    [`${HOST}:1`, { ...ONION, port: 1 }],
    [`${HOST}:65535`, { ...ONION, port: 65_535 }],
    ['127.0.0.1:15222', LOOPBACK],
    ['127.255.255.255:1', { kind: 'loopback', host: '127.255.255.255', port: 1 }],
    ['localhost:5222', { kind: 'loopback', host: 'localhost', port: 5222 }],
  ];
  for (const [text, value] of accepts) {
    t.strictSame(parseLocation(text), { ok: true, value }, text);
    t.strictSame(parseDeclaredLocation(text), { ok: true, value }, text);
    t.equal(formatLocation(value), text);
  }
  const rejects: readonly [string, string][] = [
    ['', 'location-empty'],
    [HOST, 'location-port'],
    [':5222', 'location-port'],
    [`${HOST}:`, 'location-port'],
    [`${HOST}:0`, 'location-port'],
    [`${HOST}:-1`, 'location-port'],
    [`${HOST}:65536`, 'location-port'],
    [`${HOST}:99999`, 'location-port'],
    [`${HOST}:123456`, 'location-port'],
    [`${HOST}:05222`, 'location-port'],
    [`${HOST}:+5222`, 'location-port'],
    [`${HOST}: 5222`, 'location-port'],
    [`${HOST}:5222 `, 'location-port'],
    [`${HOST}:5222\n`, 'location-port'],
    [`${HOST}:5e3`, 'location-port'],
    [`${HOST}:0x10`, 'location-port'],
    [`${HOST}:٥`, 'location-port'],
    [`${HOST}:1:2`, 'location-host'],
    [`${HOST}.:5222`, 'onion-dot'],
    ['foo:123', 'location-host'],
    ['10.0.0.1:5222', 'location-host'],
    ['0.0.0.0:5222', 'location-host'],
    ['127.0.0.256:5222', 'location-host'],
    ['127.999.0.1:5222', 'location-host'],
    ['127.0.0.1.example.com:5222', 'location-host'],
    ['127.0.1:5222', 'location-host'],
    ['127.0.0.01:5222', 'location-host'],
    ['::1:5222', 'location-host'],
    ['NOT-SERVING-ONION:5222', 'location-host'],
    [`${'a'.repeat(56)}.onion:5222`, 'onion-version'],
  ];
  for (const [text, reason] of rejects) {
    t.strictSame(parseLocation(text), { ok: false, reason }, JSON.stringify(text));
    t.strictSame(parseDeclaredLocation(text), { ok: false, reason });
  }
  t.strictSame(parseDeclaredLocation('NOT-SERVING-ONION'), { ok: true, value: NOT_SERVING });
  t.strictSame(parseLocation('NOT-SERVING-ONION'), { ok: false, reason: 'location-port' });
  t.equal(parseDeclaredLocation('not-serving-onion').ok, false, 'exactly in capitals');
  t.equal(formatLocation(NOT_SERVING), 'NOT-SERVING-ONION');
  t.equal(sameLocation({ ...ONION }, ONION), true);
  t.equal(sameLocation({ ...ONION, port: 1 }, ONION), false);
  t.equal(sameLocation(NOT_SERVING, ONION), false);
  for (const host of ['localhost', '::1', '127.0.0.1', '127.9.10.249']) {
    t.equal(isLoopbackHost(host), true, host);
  }
  for (const host of ['', 'localhost.', '127.0.0.300', '128.0.0.1', '1270.0.1', '::', HOST]) {
    t.equal(isLoopbackHost(host), false, host);
  }
});

function entry(nick: string, more: Partial<PeerEntry> = {}): PeerEntry {
  return { nick, location: ONION, left: false, features: [], ...more };
}

t.test('peer lists in every grammar in use', async (t) => {
  const at = `${HOST}:5222`;
  const two = [entry('a'), entry('b', { location: NOT_SERVING })];
  const rows: readonly [string, string, readonly PeerEntry[], number][] = [
    ['empty', '', [], 0],
    ['one', `a;${at}`, [entry('a')], 0],
    ['two', `a;${at},b;NOT-SERVING-ONION`, two, 0],
    ['blanks around entries', ` a;${at} , b;NOT-SERVING-ONION`, two, 0],
    ['left', `a;${at};D`, [entry('a', { left: true })], 0],
    ['features', `a;${at};F:nick_auth+ping`, [entry('a', { features: ['nick_auth', 'ping'] })], 0],
    [
      'features come out sorted',
      `a;${at};F:ping+a_1`,
      [entry('a', { features: ['a_1', 'ping'] })],
      0,
    ],
    ['both', `a;${at};D;F:ping`, [entry('a', { left: true, features: ['ping'] })], 0],
    ['both, reversed', `a;${at};F:ping;D`, [entry('a', { left: true, features: ['ping'] })], 0],
    ['no feature', `a;${at};F:`, [entry('a')], 0],
    ['malformed features', `a;${at};F:Ping++x y+ok`, [entry('a', { features: ['ok'] })], 0],
    ['unknown fields', `a;${at};X;Y:z;;d`, [entry('a')], 0],
    ['a loopback location', 'a;127.0.0.1:15222', [entry('a', { location: LOOPBACK })], 0],
    ['one bad among good', `a;${at},x;foo:123,b;NOT-SERVING-ONION`, two, 1],
    ['no location', 'a', [], 1],
    ['location empty', 'a;', [], 1],
    ['nick empty', `;${at}`, [], 1],
    ['nick with a blank', `a b;${at}`, [], 1],
    ['nick too long', `${'n'.repeat(65)};${at}`, [], 1],
    ['nick PUBLIC', `PUBLIC;${at}`, [], 1],
    ['wrong checksum', `a;${'a'.repeat(56)}.onion:5222`, [], 1],
    ['only commas', ',,', [], 3],
    [
      'a leave with a malformed location',
      'a;foo:123;D',
      [entry('a', { location: NOT_SERVING, left: true })],
      0,
    ],
    ['a leave without a nick', ';foo:123;D', [], 1],
  ];
  for (const [name, payload, entries, malformed] of rows) {
    t.strictSame(parsePeerlist(payload), { entries, malformed }, name);
  }
  const names = Array.from({ length: 40 }, (_, i) => `f${i}`).join('+');
  t.equal(
    parsePeerlist(`a;${at};F:${names}`).entries[0]?.features.length,
    32,
    'at most 32 features',
  );
});

t.test('captured peer lists', async (t) => {
  const { refLines, ngLines } = vectors;
  const self = entry(DIRECTORY, { location: LOOPBACK });
  const rows: readonly [string, string, readonly PeerEntry[], number][] = [
    ['REF push (its test onion has no checksum)', refLines.peerlistPush, [self], 1],
    [
      'REF: a maker leaves',
      refLines.makerLeave,
      [entry(MAKER, { location: NOT_SERVING, left: true }), self],
      0,
    ],
    [
      'REF: a taker leaves',
      refLines.takerLeave,
      [entry(TAKER, { location: NOT_SERVING, left: true }), self],
      0,
    ],
    [
      'NG push',
      ngLines.locationPush,
      [entry('J5MMMMMMMMMMMMMM', { features: ['neutrino_compat', 'ping'] })],
      0,
    ],
    [
      'NG leave',
      ngLines.leave,
      [entry('J5TTTTTTTTTTTTTT', { location: NOT_SERVING, left: true })],
      0,
    ],
    [
      'NG answer to GETPEERLIST',
      ngLines.getpeerlistAnswer,
      [
        entry('J5AAAAAAAAAAAAAA', { location: NOT_SERVING }),
        entry('J5MMMMMMMMMMMMMM'),
        entry('J5TTTTTTTTTTTTTT', { location: NOT_SERVING }),
      ],
      0,
    ],
  ];
  for (const [name, line, entries, malformed] of rows) {
    t.strictSame(parsePeerlist(payloadOf(line)), { entries, malformed }, name);
    if (malformed > 0 || name === 'REF: a maker leaves') continue;
    const written = entries.map((e) => formatPeerEntry(e, true)).join(',');
    t.equal(encodeEnvelope(789, written), `${line}\r\n`, `${name}, written again`);
  }
});

t.test('peer entries as written', async (t) => {
  const featured = entry('a', { features: ['ping', 'nick_auth'] });
  const rows: readonly [string, PeerEntry, boolean, string][] = [
    ['plain', entry('a'), false, `a;${HOST}:5222`],
    ['no features to write', entry('a'), true, `a;${HOST}:5222`],
    ['features only when asked for', featured, false, `a;${HOST}:5222`],
    ['features sorted', featured, true, `a;${HOST}:5222;F:nick_auth+ping`],
    ['a leave has three fields', { ...featured, left: true }, true, `a;${HOST}:5222;D`],
    [
      'not serving',
      entry('a', { location: NOT_SERVING, left: true }),
      false,
      'a;NOT-SERVING-ONION;D',
    ],
  ];
  for (const [name, value, withFeatures, text] of rows) {
    t.equal(formatPeerEntry(value, withFeatures), text, name);
  }
  for (const name of ['ping', 'a', '0', '_', 'f'.repeat(64)])
    t.equal(isFeatureName(name), true, name);
  for (const name of ['', 'Ping', 'a b', 'a+b', 'a;D', 'a,b', 'a-b', 'é', 'a\n', 'f'.repeat(65)]) {
    t.equal(isFeatureName(name), false, JSON.stringify(name));
  }
});

function plain(count: number): string[] {
  return Array.from({ length: count }, (_, i) => formatPeerEntry(entry(`nick${i}`), false));
}

t.test('chunks hold at most 20 entries, and each chunk fits a line', async (t) => {
  const counts: readonly [number, readonly number[]][] = [
    [0, []],
    [1, [1]],
    [20, [20]],
    [21, [20, 1]],
    [41, [20, 20, 1]],
  ];
  for (const [count, sizes] of counts) {
    const payloads = joinPeerEntries(plain(count));
    t.strictSame(
      payloads.map((p) => p.split(',').length),
      sizes,
      `${count} entries`,
    );
    t.equal(payloads.join(','), plain(count).join(','), 'all entries, in order');
  }
  const features = Array.from({ length: 32 }, (_, i) => `${i}`.padStart(64, 'f'));
  const left = { left: true, location: NOT_SERVING };
  const hostile: readonly [string, readonly string[], number][] = [
    [
      'long features',
      Array.from({ length: 40 }, () => formatPeerEntry(entry('n'.repeat(64), { features }), true)),
      20,
    ],
    [
      'names that double when escaped',
      Array.from({ length: 40 }, () => formatPeerEntry(entry('\\'.repeat(64), { features }), true)),
      20,
    ],
    [
      'many peers with such names leave',
      Array.from({ length: 2_000 }, () => formatPeerEntry(entry('"'.repeat(64), left), false)),
      1_000,
    ],
    [
      'many peers leave',
      Array.from({ length: 2_000 }, () => formatPeerEntry(entry(MAKER, { left: true }), false)),
      1_000,
    ],
  ];
  for (const [name, entries, maxEntries] of hostile) {
    const payloads = joinPeerEntries(entries, maxEntries);
    const sizes = payloads.map((payload) => encodeEnvelope(789, payload).length);
    t.ok(
      payloads.every((payload) => fitsOneLine(encodeEnvelope(789, payload))),
      `${name}: ${Math.max(...sizes)} bytes at most`,
    );
    t.ok(Math.max(...sizes) > 35_000, `${name}: the lines are filled`);
    t.equal(payloads.join(','), entries.join(','), `${name}: all entries`);
  }
});
