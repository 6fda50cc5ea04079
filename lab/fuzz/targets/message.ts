/** The message grammar: routes, commands, offers and signed private messages. */
import { MAX_COMMANDS, parseCommands, type Command } from '../../../src/protocol/commands.js';
import { HOST_ID, MAX_LINE_BYTES, MessageType } from '../../../src/protocol/constants.js';
import { parseRoute, verifyPrivmsg } from '../../../src/protocol/message.js';
import { nickKey, nickMatchesKey } from '../../../src/protocol/nick.js';
import {
  DUST_THRESHOLD,
  formatOffer,
  isRelative,
  MAX_SATOSHI,
  offerFee,
  parseOffer,
} from '../../../src/protocol/offer.js';
import { signText } from '../../../src/protocol/signature.js';
import type { Seeds } from '../seeds.js';
import { must, mustEqual, payloadOf, type Target } from '../target.js';

const KEY = nickKey(new Uint8Array(32).fill(7));
const AMOUNTS = [1, DUST_THRESHOLD, 123_456_789, MAX_SATOSHI];

/**
 * `@nick`, `@key` and `@sig` stand for a nick, its key and a valid signature of the text before them, so that
 * mutation reaches the text after the signature.
 */
function signed(payload: string): string {
  const text = payload.replaceAll('@nick', KEY.nick);
  const end = text.indexOf(' @key @sig');
  if (end < 0) return text;
  const body = text.slice(text.indexOf('!', text.indexOf('!') + 1) + 1, end).replace(/^!+/, '');
  const args = body.slice(body.indexOf(' ') + 1);
  const signature = signText(args + HOST_ID, KEY.privateKey);
  return text.replace(' @key @sig', () => ` ${KEY.publicKeyHex} ${signature}`);
}

function* offers(commands: readonly Command[]): Iterable<string> {
  for (const command of commands) {
    must(!/[! ]/.test(command.name + command.args.join('')), 'no separator inside a command');
    const offer = parseOffer(command);
    if (!offer.ok) {
      yield offer.reason;
      continue;
    }
    const { value } = offer;
    must(value.minsize >= DUST_THRESHOLD && value.maxsize >= value.minsize, 'sizes are in order');
    must(value.maxsize <= MAX_SATOSHI && value.txfee <= MAX_SATOSHI, 'no more than all coins');
    for (const amount of AMOUNTS) {
      const fee = offerFee(value, amount);
      must(Number.isSafeInteger(fee) && fee >= 0, 'the fee is a number of satoshi');
      must(!isRelative(value.type) || fee <= amount, 'a share is less than the whole');
    }
    const [again] = read(formatOffer(value));
    must(again !== undefined, 'an offer written again is a command');
    mustEqual(parseOffer(again), offer, 'decode(encode(x)) = x');
    yield `offer-${value.type}`;
  }
}

function read(text: string): readonly Command[] {
  const commands = parseCommands(text);
  return commands.ok ? commands.value : [];
}

function* privmsg(from: string, to: string, text: string): Iterable<string> {
  const verified = verifyPrivmsg(from, to, text);
  if (!verified.ok) {
    yield verified.reason;
    return;
  }
  const { commands, publicKeyHex } = verified.value;
  must(nickMatchesKey(from, publicKeyHex), 'the nick is that of the key');
  must(!/\p{Surrogate}/u.test(text), 'a signed text has no unpaired surrogate');
  const body = text.replace(/^!+/, '');
  const blank = body.indexOf(' ');
  const other = body.charAt(blank + 1) === 'x' ? 'y' : 'x';
  const forged = `${body.slice(0, blank + 1)}${other}${body.slice(blank + 2)}`;
  mustEqual(verifyPrivmsg(from, to, forged).ok, false, 'another text needs another signature');
  yield `verified-${commands.length > 1 ? 'several' : 'one'}`;
}

export function messageTarget({ payloads }: Seeds): Target {
  const seeds = [
    ...(payloads.get(MessageType.PUBMSG) ?? []),
    ...(payloads.get(MessageType.PRIVMSG) ?? []),
    '@nick!J5TakerOOOOOOOOO!sw0reloffer 0 27300 500000000 0 0.00002!tbond AAAA @key @sig',
    '@nick!J5TakerOOOOOOOOO!fill 0 100000 pk commitment @key @sig',
    '@nick!J5TakerOOOOOOOOO!fill 0 100000 pk \\ud800 @key @sig',
    '@nick!PUBLIC!!sw0absoffer 3 27300 999999999 100 500!swreloffer 1 1 2100000000000000 0 1e-5',
  ];
  return {
    name: 'message',
    seeds: seeds.map((text) => Buffer.from(text)),
    words: [
      '!PUBLIC!',
      '@nick',
      ' @key @sig',
      '!tbond ',
      'sw0reloffer 0 27300 500000000 0 0.00002',
      'sw0absoffer 0 27300 500000000 0 500',
      '!orderbook',
      '!hp2 ',
      'fill 0 1 a b',
      'auth ',
      '0.5e-3',
      '2100000000000000',
    ],
    maxBytes: MAX_LINE_BYTES,
    *run(input) {
      const payload = signed(payloadOf(input));
      const route = parseRoute(payload);
      if (!route.ok) {
        yield route.reason;
        return;
      }
      const { from, to, text } = route.value;
      must(`${from}!${to ?? 'PUBLIC'}!${text}` === payload, 'no part of the payload is lost');
      const commands = parseCommands(text);
      if (commands.ok) {
        must(commands.value.length <= MAX_COMMANDS, 'at most 100 commands');
        const joined = commands.value.map(({ name, args }) => [name, ...args].join(' ')).join('!');
        mustEqual(read(joined), commands.value, 'commands written again are the same');
        yield* offers(commands.value);
      } else {
        yield commands.reason;
      }
      if (to === undefined) yield 'public';
      else yield* privmsg(from, to, text);
    },
  };
}
