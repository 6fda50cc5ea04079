/** Sections 6.1 and 7 of docs/protocol.md: nicks, signatures, pubmsg and privmsg payloads. */
import { createHash } from 'node:crypto';
import { bytesToHex, hexToBytes } from '@noble/hashes/utils.js';
import t from 'tap';
import { decodeEnvelope, encodeEnvelope } from '../../src/protocol/envelope.js';
import {
  formatPrivmsg,
  formatPubmsg,
  parseRoute,
  verifyPrivmsg,
} from '../../src/protocol/message.js';
import {
  createNickKey,
  isRoutableNick,
  nickHash,
  nickKey,
  nickMatchesKey,
  nickOf,
} from '../../src/protocol/nick.js';
import { signedMessageHash, signText, verifyText } from '../../src/protocol/signature.js';
import vectors from '../vectors/protocol.json' with { type: 'json' };

const maker = nickKey(hexToBytes(vectors.privmsgFill.makerKey));
const taker = nickKey(hexToBytes(vectors.privmsgFill.takerKey));

const sha256 = (data: Uint8Array): Buffer => createHash('sha256').update(data).digest();

/** A payload signed by the maker; each part can be replaced. */
function signed(
  parts: { command?: string; args?: string; key?: string; over?: string; signature?: string } = {},
): string {
  const { command = 'pubkey', args = 'abc', key = maker.publicKeyHex } = parts;
  const { over = `${args}onion-network` } = parts;
  const { signature = signText(over, maker.privateKey) } = parts;
  return `${command} ${args} ${key} ${signature}`;
}

t.test('nicks', async (t) => {
  for (const { privateKey, publicKey, hash, nick } of vectors.nicks) {
    const key = nickKey(hexToBytes(privateKey));
    t.strictSame(key, { nick, privateKey: hexToBytes(privateKey), publicKeyHex: publicKey }, nick);
    t.equal(nickOf(publicKey), nick);
    t.equal(nick, `J5${nickHash(publicKey)}`.padEnd(16, 'O'));
    t.equal(sha256(Buffer.from(publicKey)).subarray(0, 10).toString('hex'), hash);
    t.equal(nickMatchesKey(nick, publicKey), true);
  }
  const random = Uint8Array.from({ length: 16 }, (_, i) => i);
  const asked: number[] = [];
  const made = createNickKey((count) => {
    asked.push(count);
    return random;
  });
  t.strictSame(asked, [16]);
  t.equal(bytesToHex(made.privateKey), sha256(random).toString('hex'), 'SHA-256 of 16 bytes');
  t.equal(made.nick.length, 16);
  for (const [name, secret] of [
    ['zero', new Uint8Array(32)],
    ['31 bytes', new Uint8Array(31).fill(1)],
    ['above the order', new Uint8Array(32).fill(255)],
  ] as const) {
    t.throws(() => nickKey(secret), name);
  }
});

t.test('whether a key belongs to a nick', async (t) => {
  const key = maker.publicKeyHex;
  const padded = vectors.nicks[3];
  if (padded === undefined) throw new Error('vector missing');
  const upper = key.toUpperCase();
  const rows: readonly [string, string, string, boolean][] = [
    ['its own', maker.nick, key, true],
    ['padding is ignored', padded.nick, padded.publicKey, true],
    ['upper-case hex of the same key', maker.nick, upper, true],
    ['a nick made of upper-case hex', nickOf(upper), upper, true],
    ['that nick and lower-case hex', nickOf(upper), key, false],
    ['another key', maker.nick, taker.publicKeyHex, false],
    ['one character off', `${maker.nick.slice(0, -1)}X`, key, false],
    ['other letters in front', `J6${maker.nick.slice(2)}`, key, false],
    ['too short', maker.nick.slice(0, -1), key, false],
    ['too long', `${maker.nick}O`, key, false],
    ['empty', '', key, false],
    ['only padding', 'J5OOOOOOOOOOOOOO', key, false],
  ];
  for (const [name, nick, hex, matches] of rows) t.equal(nickMatchesKey(nick, hex), matches, name);
});

t.test('nicks that can be routed', async (t) => {
  for (const nick of [maker.nick, 'J512T4i6q3rsJ8sz', 'a', 'x'.repeat(64), '"\\<>&:', 'PUBLICx']) {
    t.equal(isRoutableNick(nick), true, nick);
  }
  const bad = [
    '',
    'x'.repeat(65),
    'a!',
    'a;b',
    ',a',
    'a+',
    'a b',
    ' ',
    'a\t',
    'a\n',
    '\u0000',
    '\u007f',
    'é',
    '😀',
    'PUBLIC',
  ];
  for (const nick of bad) t.equal(isRoutableNick(nick), false, JSON.stringify(nick));
});

t.test('signatures', async (t) => {
  const { privateKey, publicKey, rows, highS } = vectors.signatures;
  for (const { text, messageHash, signature } of rows) {
    const name = text.slice(0, 40);
    t.equal(bytesToHex(signedMessageHash(text)), messageHash, `${name}: hash`);
    t.equal(signText(text, hexToBytes(privateKey)), signature, `${name}: signature`);
    t.equal(verifyText(text, publicKey, signature), true, `${name}: verifies`);
  }
  const { text, signature } = vectors.ioauthSignature;
  t.equal(signText(text, hexToBytes(vectors.ioauthSignature.privateKey)), signature, 'ioauth');
  t.equal(verifyText(text, vectors.ioauthSignature.publicKey, signature), true);
  t.equal(verifyText(highS.text, publicKey, highS.signature), true, 'high S is accepted');
  t.not(signText(highS.text, hexToBytes(privateKey)), highS.signature, 'high S is never made');
  t.throws(() => signText('x', new Uint8Array(32)), 'an invalid key');

  const sizes: readonly [number, readonly number[]][] = [
    [0, [0]],
    [252, [252]],
    [253, [0xfd, 0xfd, 0]],
    [65_535, [0xfd, 0xff, 0xff]],
    [65_536, [0xfe, 0, 0, 1, 0]],
    [70_000, [0xfe, 0x70, 0x11, 1, 0]],
  ];
  for (const [size, prefix] of sizes) {
    const body = Buffer.alloc(size, 'x');
    const magic = Buffer.from('\x18Bitcoin Signed Message:\n', 'latin1');
    const expected = sha256(sha256(Buffer.concat([magic, Buffer.from(prefix), body])));
    t.equal(
      bytesToHex(signedMessageHash(body.toString())),
      expected.toString('hex'),
      `a text of ${size} bytes`,
    );
  }
  t.strictSame(
    signedMessageHash('é'),
    Uint8Array.from(
      sha256(sha256(Buffer.from('\x18Bitcoin Signed Message:\n\x02\xc3\xa9', 'latin1'))),
    ),
    'the length counts UTF-8 bytes',
  );
});

t.test('the form of a signature', async (t) => {
  const [row] = vectors.signatures.rows;
  if (row === undefined) throw new Error('vector missing');
  const { text, signature } = row;
  const { publicKey: key } = vectors.signatures;
  const der = Buffer.from(signature, 'base64');
  const negative = Buffer.from(der);
  negative[4] = 0x80;
  const rows: readonly [string, string, string, string, boolean][] = [
    ['as made', text, key, signature, true],
    ['key in capitals', text, key.toUpperCase(), signature, true],
    ['base64 without padding', text, key, signature.replace(/=+$/, ''), true],
    ['half the padding', text, key, signature.slice(0, -1), true],
    ['another text', `${text} `, key, signature, false],
    ['another key', text, taker.publicKeyHex, signature, false],
    ['the other parity', text, key.replace(/^03/, '02'), signature, false],
    ['uncompressed', text, `04${key.slice(2)}${key.slice(2)}`, signature, false],
    ['key too short', text, key.slice(2), signature, false],
    ['key too long', text, `${key}00`, signature, false],
    ['key not hex', text, key.replace('a', 'g'), signature, false],
    ['a key that is not a point', text, `02${'f'.repeat(64)}`, signature, false],
    ['key empty', text, '', signature, false],
    ['signature empty', text, key, '', false],
    ['padding alone', text, key, '==', false],
    ['not base64', text, key, signature.replace('+', '-'), false],
    ['blank inside', text, key, signature.replace('+', ' '), false],
    ['padding inside', text, key, `${signature}${signature}`, false],
    ['line break after it', text, key, `${signature}\n`, false],
    ['cut', text, key, der.subarray(0, -1).toString('base64'), false],
    ['a byte more', text, key, Buffer.concat([der, Buffer.of(0)]).toString('base64'), false],
    ['negative r', text, key, negative.toString('base64'), false],
    ['64 bytes without DER', text, key, Buffer.alloc(64, 1).toString('base64'), false],
    ['zeros', text, key, Buffer.from('3006020100020100', 'hex').toString('base64'), false],
    ['very long', text, key, 'A'.repeat(30_000), false],
  ];
  for (const [name, ...input] of rows) {
    const [over, publicKey, proof, valid] = input;
    t.equal(verifyText(over, publicKey, proof), valid, name);
  }
  const half = signText('a\ufffdb', maker.privateKey);
  t.equal(verifyText('a\ufffdb', maker.publicKeyHex, half), true, 'U+FFFD is a character');
  t.equal(verifyText('a\ud83db', maker.publicKeyHex, half), false, 'half a character is not');
});

t.test('payloads are cut at their first two exclamation marks', async (t) => {
  const rows: readonly [string, string, string | undefined, string][] = [
    ['a!PUBLIC!orderbook', 'a', undefined, 'orderbook'],
    ['a!b!fill 0 1', 'a', 'b', 'fill 0 1'],
    ['a!PUBLIC!cancel 0!cancel 1', 'a', undefined, 'cancel 0!cancel 1'],
    ['a!PUBLIC!!orderbook', 'a', undefined, '!orderbook'],
    ['a!public!x', 'a', 'public', 'x'],
    ['a!PUBLIC!x ', 'a', undefined, 'x '],
    ['é !\n!\u0000', 'é ', '\n', '\u0000'],
  ];
  for (const [payload, from, to, text] of rows) {
    const value = { from, to, text };
    t.strictSame(parseRoute(payload), { ok: true, value }, JSON.stringify(payload));
  }
  const rejects: readonly [string, string][] = [
    ['', 'route-separators'],
    ['hello', 'route-separators'],
    ['a!PUBLIC', 'route-separators'],
    ['!', 'route-separators'],
    ['!!', 'route-from'],
    ['!PUBLIC!orderbook', 'route-from'],
    ['a!!orderbook', 'route-to'],
    ['a!PUBLIC!', 'route-text'],
    ['a!b!', 'route-text'],
  ];
  for (const [payload, reason] of rejects) {
    t.strictSame(parseRoute(payload), { ok: false, reason }, JSON.stringify(payload));
  }
  t.equal(
    encodeEnvelope(687, formatPubmsg('J59cTYvZJZEbjWk4', 'orderbook')),
    `${vectors.refLines.pubmsgRelay}\r\n`,
    'a pubmsg as REF writes it',
  );
  const relayed = decodeEnvelope(Buffer.from(vectors.refLines.privmsgRelay));
  t.strictSame(relayed.ok && parseRoute(relayed.value.line), {
    ok: true,
    value: { from: taker.nick, to: maker.nick, text: 'fill 0 100000 pk Pc' },
  });
});

t.test('signed private messages byte for byte', async (t) => {
  const { line } = vectors.privmsgFill;
  const fillArgs =
    '0 100000 1cf579aba45a10ba1d1ef06d91fca2aa9ed0a1150515653155405d0b18cb9a67 Pfe99dd497da305a24635cb868e3849b9e1517f8269abb2dc646bcac2b20d0e82';
  t.equal(encodeEnvelope(685, formatPrivmsg(taker, maker.nick, 'fill', fillArgs)), `${line}\r\n`);

  const { bond, signedText, messageHash, signature, payload } = vectors.privmsgOffers;
  const args = signedText.slice(0, -'onion-network'.length);
  t.equal(bytesToHex(signedMessageHash(signedText)), messageHash);
  t.equal(signText(signedText, maker.privateKey), signature);
  t.equal(formatPrivmsg(maker, taker.nick, 'sw0reloffer', args), payload, 'offers and bond');

  const route = parseRoute(payload);
  t.strictSame(route.ok && verifyPrivmsg(maker.nick, taker.nick, route.value.text), {
    ok: true,
    value: {
      from: maker.nick,
      to: taker.nick,
      publicKeyHex: maker.publicKeyHex,
      commands: [
        { name: 'sw0reloffer', args: ['0', '27300', '500000000', '0', '0.00002'] },
        { name: 'sw0absoffer', args: ['1', '27300', '500000000', '0', '500'] },
        { name: 'tbond', args: [bond] },
      ],
    },
  });
  for (const blank of ['', ' ', '  ']) {
    t.throws(() => formatPrivmsg(maker, taker.nick, 'orderbook', blank), RangeError);
  }
});

t.test('private messages that verify', async (t) => {
  const upper = maker.publicKeyHex.toUpperCase();
  const rows: readonly [string, string, string, readonly string[]][] = [
    ['one argument', maker.nick, signed(), ['pubkey abc']],
    ['further arguments are tolerated', maker.nick, signed({ args: 'a b c' }), ['pubkey a b c']],
    ['an encrypted one', maker.nick, signed({ command: 'ioauth', args: 'AAEC' }), ['ioauth AAEC']],
    [
      'free text',
      maker.nick,
      signed({ command: 'error', args: 'no such é oid' }),
      ['error no such é oid'],
    ],
    ['doubled blanks are signed as they are', maker.nick, signed({ args: 'a  b' }), ['pubkey a b']],
    ['leading exclamation marks', maker.nick, `!!${signed()}`, ['pubkey abc']],
    ['key in capitals', maker.nick, signed({ key: upper }), ['pubkey abc']],
    ['a nick of a key in capitals', nickOf(upper), signed({ key: upper }), ['pubkey abc']],
    [
      'unknown commands after it',
      maker.nick,
      signed({ args: 'abc!what 1!tbond x' }),
      ['pubkey abc', 'what 1', 'tbond x'],
    ],
    [
      'a blank before the next command',
      maker.nick,
      signed({ args: 'abc !tbond x' }),
      ['pubkey abc', 'tbond x'],
    ],
    [
      'the command word is not signed, so a relay can change it (quirk Q18)',
      maker.nick,
      signed().replace('pubkey', 'push'),
      ['push abc'],
    ],
  ];
  for (const [name, from, text, expected] of rows) {
    const result = verifyPrivmsg(from, taker.nick, text);
    if (!result.ok) {
      t.fail(`${name}: ${result.reason}`);
      continue;
    }
    t.strictSame(
      result.value.commands.map((command) => [command.name, ...command.args].join(' ')),
      expected,
      name,
    );
    t.strictSame([result.value.from, result.value.to], [from, taker.nick]);
  }
});

t.test('private messages that do not verify, in the order of the checks', async (t) => {
  const key = maker.publicKeyHex;
  const rows: readonly [string, string, string, string][] = [
    ['empty', maker.nick, '', 'privmsg-unsigned'],
    ['only exclamation marks', maker.nick, '!!!', 'privmsg-unsigned'],
    ['only blanks', maker.nick, '   ', 'privmsg-command'],
    ['a word', maker.nick, 'orderbook', 'privmsg-unsigned'],
    ['a word and a blank, as REF relays it', maker.nick, 'orderbook ', 'privmsg-unsigned'],
    [
      'nothing signed',
      maker.nick,
      `pubkey ${key} ${signText('onion-network', maker.privateKey)}`,
      'privmsg-unsigned',
    ],
    ['an empty text signed', maker.nick, signed({ args: '' }), 'privmsg-unsigned'],
    ['a blank signed', maker.nick, signed({ args: ' ' }), 'privmsg-unsigned'],
    ['an unsigned command', taker.nick, 'fill 0 100000 pk Pc', 'privmsg-signature'],
    ['an unknown command', maker.nick, signed({ command: 'what' }), 'privmsg-command'],
    ['capitals', maker.nick, signed({ command: 'PUBKEY' }), 'privmsg-command'],
    ['a bond first', maker.nick, signed({ command: 'tbond' }), 'privmsg-command'],
    ['a cancel', maker.nick, signed({ command: 'cancel' }), 'privmsg-command'],
    ['inherited property', maker.nick, signed({ command: 'constructor' }), 'privmsg-command'],
    ['__proto__', maker.nick, signed({ command: '__proto__' }), 'privmsg-command'],
    ['a blank in front', maker.nick, ` ${signed()}`, 'privmsg-command'],
    ['signed without the host id', maker.nick, signed({ over: 'abc' }), 'privmsg-signature'],
    ['signed for IRC', maker.nick, signed({ over: 'abcirc.example' }), 'privmsg-signature'],
    [
      'the command word signed too',
      maker.nick,
      signed({ over: 'pubkey abconion-network' }),
      'privmsg-signature',
    ],
    ['a blank after it', maker.nick, `${signed()} `, 'privmsg-signature'],
    ["another peer's key", taker.nick, signed({ key: taker.publicKeyHex }), 'privmsg-signature'],
    ["another peer's nick", taker.nick, signed(), 'privmsg-nick'],
    ['no nick', '', signed(), 'privmsg-nick'],
    ['too few arguments', maker.nick, signed({ command: 'fill', args: '0 1 pk' }), 'privmsg-arity'],
    [
      'an offer too short',
      maker.nick,
      signed({ command: 'sw0reloffer', args: '0 1 2 3' }),
      'privmsg-arity',
    ],
    [
      'arguments of another command do not count',
      maker.nick,
      signed({ command: 'fill', args: '0!x 1 2 3' }),
      'privmsg-arity',
    ],
    [
      'more commands than the bound',
      maker.nick,
      signed({ args: `a${'!x'.repeat(100)}` }),
      'commands-too-many',
    ],
  ];
  for (const [name, from, text, reason] of rows) {
    t.strictSame(verifyPrivmsg(from, taker.nick, text), { ok: false, reason }, name);
  }
});

/** The text with one character replaced. */
function change(whole: string, at: number): string {
  return whole.slice(0, at) + (whole[at] === '2' ? '3' : '2') + whole.slice(at + 1);
}

t.test('a signed message is refused when any one character is changed', async (t) => {
  const route = parseRoute(formatPrivmsg(taker, maker.nick, 'fill', '0 100000 pk Pc'));
  if (!route.ok) throw new Error(route.reason);
  const { from, text } = route.value;
  t.equal(verifyPrivmsg(from, maker.nick, text).ok, true, 'unchanged');
  const accepted: string[] = [];
  for (let at = 0; at < text.length; at++) {
    if (verifyPrivmsg(from, maker.nick, change(text, at)).ok) accepted.push(`text ${at}`);
  }
  for (let at = 0; at < from.length; at++) {
    if (verifyPrivmsg(change(from, at), maker.nick, text).ok) accepted.push(`nick ${at}`);
  }
  t.strictSame(accepted, []);
});

t.test('an equal text is signed once, and each payload verifies', (t) => {
  const makers = [nickKey(new Uint8Array(32).fill(21)), nickKey(new Uint8Array(32).fill(22))];
  const asker = nickKey(new Uint8Array(32).fill(23));
  const texts = ['0 1 pk Pc', '0 1 pk Pc', '0 2 pk Pc', '0 1 pk Pc'];
  const signatures = texts.map((args, n) => {
    const { nick = '' } = makers[n % 2] ?? {};
    const payload = formatPrivmsg(asker, nick, 'fill', args);
    const route = parseRoute(payload);
    if (!route.ok) throw new Error(route.reason);
    t.ok(verifyPrivmsg(asker.nick, nick, route.value.text).ok);
    return payload.split(' ').at(-1);
  });
  t.equal(signatures[0], signatures[1]);
  t.equal(signatures[0], signatures[3]);
  t.not(signatures[0], signatures[2]);
  const [other] = makers;
  if (other === undefined) throw new Error('two makers');
  const payload = formatPrivmsg(other, asker.nick, 'fill', texts[0] ?? '');
  t.not(payload.split(' ').at(-1), signatures[0], 'of another key');
  t.end();
});
