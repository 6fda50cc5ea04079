/** Properties of every parser: it never throws, and it reads written values back unchanged. */
import * as fc from 'fast-check';
import t, { type Test } from 'tap';
import {
  COMMANDS,
  OFFER_TYPES,
  parseCommands,
  type CommandName,
} from '../../src/protocol/commands.js';
import { NETWORKS } from '../../src/protocol/constants.js';
import {
  asciiJson,
  asciiJsonString,
  decodeEnvelope,
  encodeEnvelope,
  fitsOneLine,
} from '../../src/protocol/envelope.js';
import {
  formatDirectoryHandshake,
  formatPeerHandshake,
  parseDirectoryHandshake,
  parsePeerHandshake,
} from '../../src/protocol/handshake.js';
import { createLineFramer } from '../../src/protocol/line-framer.js';
import {
  addLocationKind,
  formatLocation,
  kindsNamedOver,
  NOT_SERVING,
  onionHost,
  parseDeclaredLocation,
  parseLocation,
  parseOnionHost,
  type DeclaredLocation,
  type Location,
  type LocationKind,
} from '../../src/protocol/location.js';
import {
  formatPrivmsg,
  formatPubmsg,
  parseRoute,
  verifyPrivmsg,
} from '../../src/protocol/message.js';
import { createNickKey, isRoutableNick, nickMatchesKey } from '../../src/protocol/nick.js';
import {
  formatOffer,
  isRelative,
  MAX_SATOSHI,
  offerFee,
  parseOffer,
} from '../../src/protocol/offer.js';
import {
  formatPeerEntry,
  joinPeerEntries,
  parsePeerlist,
  type PeerEntry,
} from '../../src/protocol/peerlist.js';
import { ok } from '../../src/protocol/result.js';
import { signText, verifyText } from '../../src/protocol/signature.js';
import { unicodeText } from '../helpers/unicode-text.js';
import { MEMORY_ROW } from '../helpers/memory-overlay.js';
import vectors from '../vectors/protocol.json' with { type: 'json' };

/** Tries a property `runs` times; the failure shows the seed and the smallest counterexample. */
function holds<T>(test: Test, name: string, property: fc.IProperty<T>, runs = 100): void {
  const message = fc.defaultReportMessage(fc.check(property, { numRuns: runs }));
  test.equal(message, undefined, name);
}

/** Any text, also with unpaired surrogates. */
const anyText = fc
  .array(fc.oneof(fc.integer({ min: 0, max: 0xffff }), fc.integer({ min: 32, max: 126 })), {
    maxLength: 80,
  })
  .map((units) => String.fromCharCode(...units));
/** Any text that is valid Unicode. */
const unicode = unicodeText({ maxLength: 80 });

const payloads = [...Object.values(vectors.refLines), ...Object.values(vectors.ngLines)].flatMap(
  (line) => {
    const envelope = decodeEnvelope(Buffer.from(line));
    return envelope.ok ? [envelope.value.line] : [];
  },
);
const signed = vectors.privmsgOffers.payload.split('!').slice(2).join('!');
const OFFER_TEXT = 'sw0reloffer 0 27300 500000000 0 0.00002';
const samples = [...payloads, signed, OFFER_TEXT, vectors.onion[0]?.host ?? '', '127.0.0.1:5222'];

/** A valid text with a part replaced by any text; it gets deeper into a parser than noise. */
const nearlyReal = fc
  .tuple(fc.constantFrom(...samples), fc.nat(), fc.nat(8), anyText)
  .map(([text, at, length, piece]) => {
    const from = at % (text.length + 1);
    return text.slice(0, from) + piece + text.slice(from + length);
  });
const hostile = fc.oneof(anyText, nearlyReal);

const port = fc.integer({ min: 1, max: 65_535 });
const onion = fc
  .tuple(fc.uint8Array({ minLength: 32, maxLength: 32 }), port)
  .map(([key, p]): Location => ({ kind: 'onion', host: onionHost(key), port: p }));
const loopback = fc
  .tuple(fc.constantFrom('localhost', '127.0.0.1', '127.1.20.255'), port)
  .map(([host, p]): Location => ({ kind: 'loopback', host, port: p }));
const location = fc.oneof(onion, loopback, fc.constant(NOT_SERVING));
const nick = fc
  .string({ unit: 'grapheme-ascii', minLength: 1, maxLength: 64 })
  .map((text) => text.replaceAll(/[!;,+ ]/g, '_'))
  .filter((text) => text !== 'PUBLIC');
const features = fc
  .uniqueArray(fc.stringMatching(/^[a-z0-9_]{1,64}$/), { maxLength: 32 })
  .map((names) => names.toSorted());
const entry: fc.Arbitrary<PeerEntry> = fc.oneof(
  fc.record({ nick, location, left: fc.constant(false), features }),
  fc.record({ nick, location, left: fc.constant(true), features: fc.constant([]) }),
);
const ALL_KINDS: ReadonlySet<LocationKind> = new Set(['onion', 'loopback']);
const EMPTY_ENTRY: PeerEntry = { nick: '', location: NOT_SERVING, left: false, features: [] };
const nickKeys = fc
  .uint8Array({ minLength: 16, maxLength: 16 })
  .map((seed) => createNickKey(() => seed));

t.test('any cut of any lines gives the same lines', async (t) => {
  const line = fc
    .uint8Array({ maxLength: 60 })
    .map((bytes) => bytes.filter((byte) => byte !== 0x0a && byte !== 0x0d));
  const input = fc.array(fc.tuple(line, fc.boolean()), { maxLength: 12 });
  const cuts = fc.array(fc.nat(), { maxLength: 20 });
  holds(
    t,
    'the lines, and the rest',
    fc.property(input, cuts, line, (lines, places, rest) => {
      const stream = Buffer.concat([
        ...lines.flatMap(([bytes, crlf]) => [bytes, Buffer.from(crlf ? '\r\n' : '\n')]),
        rest,
      ]);
      const at = places.map((place) => place % (stream.length + 1)).toSorted((a, b) => a - b);
      const framer = createLineFramer(60);
      const got: string[] = [];
      for (const [i, from] of [0, ...at].entries()) {
        const alive = framer.push(stream.subarray(from, at[i] ?? stream.length), (bytes) => {
          got.push(Buffer.from(bytes).toString('hex'));
        });
        if (!alive) return false;
      }
      const expected = lines.map(([bytes]) => Buffer.from(bytes).toString('hex'));
      return got.join() === expected.join() && framer.pendingBytes === rest.length;
    }),
    500,
  );
});

t.test(
  'any bytes, cut anywhere: lines and memory stay within the bound, without a throw',
  async (t) => {
    const byte = fc.oneof(fc.constantFrom(0x0a, 0x0d), fc.nat(255));
    const chunk = fc.array(byte, { maxLength: 20 }).map((bytes) => Uint8Array.from(bytes));
    holds(
      t,
      'bounds',
      fc.property(
        fc.array(chunk, { maxLength: 10 }),
        fc.integer({ min: 1, max: 16 }),
        (chunks, max) => {
          const framer = createLineFramer(max);
          return chunks.every((bytes) => {
            let fits = true;
            framer.push(bytes, (line) => {
              fits &&= line.length <= max && !line.includes(0x0a);
              decodeEnvelope(line);
            });
            return fits && framer.pendingBytes <= max + 1;
          });
        },
      ),
      500,
    );
  },
);

t.test('no parser throws, for any text', async (t) => {
  const rules = { network: 'testnet', kinds: ALL_KINDS } as const;
  const parsers: readonly [string, (text: string) => unknown][] = [
    ['decodeEnvelope', (text) => decodeEnvelope(Buffer.from(text))],
    ['parsePeerHandshake', (text) => parsePeerHandshake(text, rules)],
    ['parseDirectoryHandshake', (text) => parseDirectoryHandshake(text, 'testnet')],
    ['parsePeerlist', parsePeerlist],
    ['parseLocation', parseLocation],
    ['parseDeclaredLocation', parseDeclaredLocation],
    ['parseOnionHost', parseOnionHost],
    ['parseRoute', parseRoute],
    ['parseCommands', parseCommands],
    ['isRoutableNick', isRoutableNick],
    ['nickMatchesKey', (text) => nickMatchesKey(text, text)],
    ['asciiJsonString', asciiJsonString],
  ];
  for (const [name, parse] of parsers) {
    const property = fc.property(hostile, (text) => {
      parse(text);
    });
    holds(t, name, property, 400);
  }
});

t.test('any bytes as a line, any JSON as a handshake', async (t) => {
  const bytes = fc.uint8Array({ maxLength: 200 });
  holds(
    t,
    'any bytes as a line',
    fc.property(bytes, (line) => typeof decodeEnvelope(line).ok === 'boolean'),
  );

  const peerKeys = [
    'app-name',
    'directory',
    'location-string',
    'proto-ver',
    'features',
    'nick',
    'network',
  ];
  const directoryKeys = [...peerKeys, 'proto-ver-min', 'proto-ver-max', 'accepted', 'motd'];
  const likely = fc.oneof(
    fc.constantFrom(
      'joinmarket',
      'testnet',
      'NOT-SERVING-ONION',
      'J59cTYvZJZEbjWk4',
      5,
      true,
      false,
    ),
    fc.constant({ ping: true }),
    fc.jsonValue(),
  );
  const json = (keys: readonly string[]): fc.Arbitrary<string> =>
    fc.dictionary(fc.constantFrom(...keys), likely).map((value) => JSON.stringify(value));
  holds(
    t,
    '793',
    fc.property(json(peerKeys), fc.constantFrom('onion', 'loopback'), (payload, via) => {
      const kinds = new Set([via]);
      const parsed = parsePeerHandshake(payload, { network: 'testnet', kinds });
      if (!parsed.ok) return true;
      const { nick: name, location: declared } = parsed.value;
      return isRoutableNick(name) && (declared.kind === 'not-serving' || declared.kind === via);
    }),
    1_000,
  );
  holds(
    t,
    '795',
    fc.property(json(directoryKeys), (payload) => {
      const parsed = parseDirectoryHandshake(payload, 'testnet');
      return !parsed.ok || !parsed.value.accepted || isRoutableNick(parsed.value.nick);
    }),
    1_000,
  );
});

t.test('values that a parser accepts are harmless', async (t) => {
  holds(
    t,
    'peer lists',
    fc.property(hostile, (text) => {
      const { entries, malformed } = parsePeerlist(text);
      const again = parsePeerlist(entries.map((e) => formatPeerEntry(e, false)).join(','));
      return malformed <= text.length + 1 && again.entries.length === entries.length;
    }),
    500,
  );
  holds(
    t,
    'locations',
    fc.property(hostile, (text) => {
      const parsed = parseLocation(text);
      return !parsed.ok || formatLocation(parsed.value) === text;
    }),
    500,
  );
  const token = fc.oneof(
    fc.nat().map(String),
    fc.double().map(String),
    fc.stringMatching(/^[0-9.eE+-]{0,40}$/),
    anyText,
  );
  holds(
    t,
    'offers',
    fc.property(
      fc.constantFrom(...OFFER_TYPES, 'x'),
      fc.array(token, { maxLength: 7 }),
      (name, args) => {
        const parsed = parseOffer({ name, args });
        if (!parsed.ok) return true;
        const { minsize, maxsize, oid, txfee } = parsed.value;
        const fee = offerFee(parsed.value, maxsize);
        return (
          [oid, minsize, maxsize, txfee, fee].every((n) => Number.isSafeInteger(n) && n >= 0) &&
          minsize <= maxsize &&
          (!isRelative(parsed.value.type) || fee <= maxsize)
        );
      },
    ),
    2_000,
  );
});

t.test('verifyPrivmsg neither throws nor accepts an unsigned text', async (t) => {
  const word = fc.constantFrom(...Object.keys(COMMANDS), 'x', '');
  const text = fc.oneof(
    hostile,
    fc
      .tuple(
        word,
        anyText,
        fc.stringMatching(/^[0-9a-f]{0,70}$/),
        fc.base64String({ maxLength: 110 }),
      )
      .map((parts) => parts.join(' ')),
    fc
      .tuple(
        word,
        anyText,
        fc.constantFrom(...vectors.nicks.map((row) => row.publicKey)),
        fc.constantFrom(...vectors.signatures.rows.map((row) => row.signature)),
      )
      .map((parts) => parts.join(' ')),
  );
  holds(
    t,
    'a privmsg',
    fc.property(hostile, text, (from, body) => !verifyPrivmsg(from, 'J59cTYvZJZEbjWk4', body).ok),
    500,
  );
  holds(
    t,
    'a signature',
    fc.property(hostile, hostile, hostile, (over, key, proof) => !verifyText(over, key, proof)),
    300,
  );
});

t.test('envelopes: decode(encode(x)) = x', async (t) => {
  const type = fc.maxSafeInteger().filter((n) => !Object.is(n, -0));
  holds(
    t,
    'envelopes',
    fc.property(type, fc.oneof(anyText, unicode), (number, line) => {
      const encoded = encodeEnvelope(number, line);
      const decoded = decodeEnvelope(Buffer.from(encoded.slice(0, -2), 'latin1'));
      return (
        /^[ -~]*\r\n$/.test(encoded) &&
        decoded.ok &&
        decoded.value.type === number &&
        decoded.value.line === line
      );
    }),
    1_000,
  );
  holds(
    t,
    'JSON values',
    fc.property(fc.json(), (json) => {
      const text = asciiJson(JSON.parse(json));
      return /^[ -~]*$/.test(text) && JSON.stringify(JSON.parse(text)) === json;
    }),
  );
});

const memory = fc
  .tuple(fc.nat(999_999_999), port)
  .map(([n, p]): Location => ({ kind: 'x-memory', host: `s${n}.memory`, port: p }));

const round = (value: DeclaredLocation): boolean =>
  JSON.stringify(parseDeclaredLocation(formatLocation(value))) ===
  JSON.stringify({ ok: true, value });
const read = (text: string): string => JSON.stringify(parseLocation(text));

t.test('locations: parse(format(x)) = x, also of a kind that was added', async (t) => {
  const located = fc.oneof(onion, loopback);
  holds(t, 'known kinds', fc.property(located, round));
  holds(
    t,
    'an unknown kind',
    fc.property(memory, (value) => !parseLocation(formatLocation(value)).ok),
  );
  const remove = addLocationKind('x-memory', MEMORY_ROW);
  holds(t, 'every kind', fc.property(fc.oneof(located, memory), round));
  t.throws(() => addLocationKind('x-memory', MEMORY_ROW), { message: /exists already/ });
  remove();
  t.notOk(parseLocation('s1.memory:5222').ok);
  t.throws(() => addLocationKind('x-', MEMORY_ROW), RangeError);
});

t.test(
  'a kind that reads every host changes no other kind, and lets no separator in',
  async (t) => {
    const texts = fc.oneof(
      hostile,
      fc.oneof(onion, loopback).map(formatLocation),
      fc.tuple(hostile, port).map(([host, p]) => `${host}:${p}`),
    );
    const known = fc.sample(texts, 500).map((text) => [text, read(text)] as const);
    const remove = addLocationKind('x-greedy', { read: (host) => ok(host), sharesHost: false });
    t.teardown(remove);
    for (const [text, was] of known) {
      const now = parseLocation(text);
      if (now.ok && now.value.kind === 'x-greedy') continue;
      t.equal(read(text), was);
    }
    holds(
      t,
      'what is read can stand in a peer list',
      fc.property(texts, (text) => {
        const parsed = parseLocation(text);
        if (!parsed.ok) return true;
        const entries = `x;${formatLocation(parsed.value)}`;
        return (
          /^[a-z0-9.:-]+$/i.test(text) &&
          formatPeerEntry(parsePeerlist(entries).entries[0] ?? EMPTY_ENTRY, false) === entries
        );
      }),
      1_000,
    );
    for (const host of ['a b', 'a;b', 'a,b', 'A', 'a:b', '.a', 'a.', '', 'x'.repeat(256)]) {
      t.notOk(parseLocation(`${host}:1`).ok, host);
    }
  },
);

t.test('what may be named over a link', async (t) => {
  const kinds = fc.uniqueArray(fc.constantFrom<LocationKind>('onion', 'loopback', 'x-memory'), {
    minLength: 1,
  });
  holds(
    t,
    'never a location of another overlay of ours, except an onion that none of them reaches',
    fc.property(kinds, (ours) => {
      const reachable = new Set(ours);
      return ours.every((via) => {
        const named = kindsNamedOver(via, reachable);
        const others = ours.filter((kind) => kind !== via);
        return named.has(via) && !others.some((kind) => named.has(kind));
      });
    }),
  );
});

t.test('handshakes: parse(format(x)) = x', async (t) => {
  const peer = fc.record({ nick, location, network: fc.constantFrom(...NETWORKS), features });
  holds(
    t,
    '793',
    fc.property(peer, (value) => {
      const rules = { network: value.network, kinds: ALL_KINDS };
      const parsed = parsePeerHandshake(formatPeerHandshake(value), rules);
      return JSON.stringify(parsed) === JSON.stringify({ ok: true, value });
    }),
  );
  const network = fc.constantFrom(...NETWORKS);
  const directory = fc.record({ nick, network, accepted: fc.boolean(), motd: anyText, features });
  holds(
    t,
    '795',
    fc.property(directory, (value) => {
      const parsed = parseDirectoryHandshake(formatDirectoryHandshake(value), value.network);
      return JSON.stringify(parsed) === JSON.stringify({ ok: true, value });
    }),
  );
});

t.test('locations and peer lists: parse(format(x)) = x', async (t) => {
  holds(
    t,
    'locations',
    fc.property(location, (value) => {
      const parsed = parseDeclaredLocation(formatLocation(value));
      return JSON.stringify(parsed) === JSON.stringify({ ok: true, value });
    }),
  );
  holds(
    t,
    'peer lists',
    fc.property(
      fc.array(entry, { maxLength: 60 }),
      fc.integer({ min: 1, max: 30 }),
      (entries, most) => {
        const chunks = joinPeerEntries(
          entries.map((e) => formatPeerEntry(e, true)),
          most,
        );
        const lists = chunks.map(parsePeerlist);
        return (
          JSON.stringify(lists.flatMap((list) => list.entries)) === JSON.stringify(entries) &&
          lists.every((list) => list.malformed === 0 && list.entries.length <= most) &&
          chunks.every((chunk) => fitsOneLine(encodeEnvelope(789, chunk)))
        );
      },
    ),
    60,
  );
});

t.test('routes and commands: parse(format(x)) = x', async (t) => {
  const text = anyText.filter((value) => value !== '');
  holds(
    t,
    'routes',
    fc.property(nick, text, (from, body) => {
      const parsed = parseRoute(formatPubmsg(from, body));
      return JSON.stringify(parsed) === JSON.stringify({ ok: true, value: { from, text: body } });
    }),
  );
  const word = anyText
    .map((value) => value.replaceAll(/[! ]/g, ''))
    .filter((value) => value !== '');
  const command = fc.record({ name: word, args: fc.array(word, { maxLength: 5 }) });
  holds(
    t,
    'commands',
    fc.property(fc.array(command, { minLength: 1, maxLength: 10 }), (commands) => {
      const written = commands.map(({ name, args }) => [name, ...args].join(' ')).join('!');
      const expected = JSON.stringify({ ok: true, value: commands });
      return JSON.stringify(parseCommands(written)) === expected;
    }),
  );
});

/** `digits / 10^scale`, written in one of the ways a fee may be. */
const share = fc
  .tuple(fc.bigInt({ min: 0n, max: 10n ** 20n - 1n }), fc.nat(11), fc.integer({ min: -6, max: 6 }))
  .map(([digits, more, exponent]) => {
    const scale = digits.toString().length + more;
    const point = scale + exponent;
    const padded = digits.toString().padStart(point + 1, '0');
    const plain =
      point > 0
        ? `${padded.slice(0, -point)}.${padded.slice(-point)}`
        : padded + '0'.repeat(-point);
    return { digits, scale, text: exponent === 0 ? plain : `${plain}e${exponent}` };
  })
  .filter(({ text }) => text.replace(/e.*$/, '').replace('.', '').length <= 32);

/** Whether the fee of `text` = digits / 10^scale is what exact arithmetic gives. */
function feeAgrees(digits: bigint, scale: number, text: string, satoshi: number): boolean {
  const offer = parseOffer({ name: 'sw0reloffer', args: ['0', '0', '500000000', '0', text] });
  if (!offer.ok) return false;
  // floor(x + 1/2) rounds a half up. If x is a half and the result is odd, the even one is one less.
  const twice = 2n * digits * BigInt(satoshi);
  const unit = 10n ** BigInt(scale);
  const rounded = (twice + unit) / (2n * unit);
  const tie = (twice + unit) % (2n * unit) === 0n;
  return (
    BigInt(offerFee(offer.value, satoshi)) === (tie && rounded % 2n === 1n ? rounded - 1n : rounded)
  );
}

t.test('a fee is the exact product, a half going to the even satoshi', async (t) => {
  const amount = fc.oneof(fc.nat(100), fc.integer({ min: 0, max: MAX_SATOSHI }));
  holds(
    t,
    'any share of any amount',
    fc.property(share, amount, ({ digits, scale, text }, satoshi) =>
      feeAgrees(digits, scale, text, satoshi),
    ),
    1_000,
  );
  // Multiples of 1/8 and small amounts: one case in four is a half.
  holds(
    t,
    'halves',
    fc.property(fc.nat(7), fc.nat(1_000), (eighths, satoshi) =>
      feeAgrees(BigInt(eighths * 125), 3, `0.${`${eighths * 125}`.padStart(3, '0')}`, satoshi),
    ),
    1_000,
  );
});

t.test('offers: parse(format(x)) = x', async (t) => {
  const size = fc.integer({ min: 27_300, max: MAX_SATOSHI });
  const fee = fc.oneof(
    fc.tuple(
      fc.constantFrom(...OFFER_TYPES.filter(isRelative)),
      share.map(({ text }) => text),
    ),
    fc.tuple(
      fc.constantFrom(...OFFER_TYPES.filter((type) => !isRelative(type))),
      fc.integer({ min: 0, max: MAX_SATOSHI }).map(String),
    ),
  );
  holds(
    t,
    'offers',
    fc.property(
      fc.maxSafeNat(),
      size,
      size,
      fc.integer({ min: 0, max: MAX_SATOSHI }),
      fee,
      (oid, a, b, txfee, [type, cjfee]) => {
        const value = { type, oid, minsize: Math.min(a, b), maxsize: Math.max(a, b), txfee, cjfee };
        const commands = parseCommands(formatOffer(value));
        const [first] = commands.ok ? commands.value : [];
        return (
          first !== undefined &&
          JSON.stringify(parseOffer(first)) === JSON.stringify({ ok: true, value })
        );
      },
    ),
  );
});

t.test('a signed private message verifies, and no part of it can be changed', async (t) => {
  const privateNames = Object.keys(COMMANDS).filter((name): name is CommandName => {
    const rule = Object.entries(COMMANDS).find(([known]) => known === name)?.[1];
    return rule !== undefined && rule.private && rule.minArgs <= 1;
  });
  const args = unicode.filter((text) => text.trim() !== '');
  holds(
    t,
    'verifies',
    fc.property(
      nickKeys,
      nick,
      fc.constantFrom(...privateNames),
      args,
      (key, to, command, text) => {
        const line = encodeEnvelope(685, formatPrivmsg(key, to, command, text));
        const envelope = decodeEnvelope(Buffer.from(line));
        const route = envelope.ok ? parseRoute(envelope.value.line) : envelope;
        if (!route.ok || route.value.to !== to) return false;
        const message = verifyPrivmsg(route.value.from, to, route.value.text);
        // Arguments of only blanks and `!` can be signed, but hold too few words.
        if (!message.ok) return message.reason === 'privmsg-arity' && /^[ !]/.test(text);
        return message.value.from === key.nick && message.value.commands[0].name === command;
      },
    ),
    100,
  );
  const ascii = fc
    .string({ unit: 'grapheme-ascii', minLength: 1, maxLength: 60 })
    .filter((text) => text.trim() !== '');
  holds(
    t,
    'does not verify after a change',
    fc.property(
      nickKeys,
      ascii,
      fc.nat(),
      fc.integer({ min: 1, max: 94 }),
      fc.constantFrom('args' as const, 'nick' as const, 'signature' as const),
      (key, text, at, shift, part) => {
        const signature = signText(`${text}onion-network`, key.privateKey);
        const parts = { args: text, nick: key.nick, signature };
        const whole = parts[part];
        const place = at % whole.length;
        const other = String.fromCharCode(32 + ((whole.charCodeAt(place) - 32 + shift) % 95));
        parts[part] = whole.slice(0, place) + other + whole.slice(place + 1);
        const body = `error ${parts.args} ${key.publicKeyHex} ${parts.signature}`;
        return !verifyPrivmsg(parts.nick, 'J59cTYvZJZEbjWk4', body).ok;
      },
    ),
    300,
  );
});
