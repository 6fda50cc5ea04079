/** Replies and events of Tor's control port, and messages of its SOCKS proxy. */
import {
  controlReplyParser,
  DEFAULT_PARSER_LIMITS,
  type ControlMessage,
  type ParserLimits,
  type Pushed,
  type Reply,
} from '../../../src/tor/control/reply.js';
import {
  infoValue,
  parseAddedOnion,
  parseAuthChallenge,
  parseBootstrap,
  parseHsDesc,
  parseKeywords,
  parseProtocolInfo,
  parseQuoted,
  parseQuotedList,
  parseTorVersion,
  quote,
} from '../../../src/tor/control/values.js';
import { socksReplyError } from '../../../src/tor/socks/error.js';
import { MAX_SOCKS_MESSAGE_BYTES, readSocksMessage } from '../../../src/tor/socks/reply.js';
import { must, mustEqual, pieces, type Target } from '../target.js';

const HASH = '0123456789abcdef'.repeat(4);
const ONION = '2bflemtufo2kwoqtnc6umfpe43icesvxdiawxl4fecrtfslxq43yqmad';

/** As Tor 0.4.9 sends it. */
const CONTROL_SEEDS = [
  '250-PROTOCOLINFO 1\r\n250-AUTH METHODS=COOKIE,SAFECOOKIE,HASHEDPASSWORD COOKIEFILE="/run/tor/control.authcookie"\r\n250-VERSION Tor="0.4.9.11"\r\n250 OK\r\n',
  `250 AUTHCHALLENGE SERVERHASH=${HASH} SERVERNONCE=${HASH}\r\n250 OK\r\n`,
  `250-ServiceID=${ONION}\r\n250-PrivateKey=ED25519-V3:${'A'.repeat(86)}==\r\n250 OK\r\n`,
  '250-net/listeners/socks="127.0.0.1:9050" "unix:/run/tor/socks"\r\n250 OK\r\n',
  '250+config-text=\r\nSocksPort 9050\r\n..dotted\r\n.\r\n250 OK\r\n',
  '650 STATUS_CLIENT NOTICE BOOTSTRAP PROGRESS=100 TAG=done SUMMARY="Done"\r\n',
  '250-status/bootstrap-phase=NOTICE BOOTSTRAP PROGRESS=50 TAG=loading SUMMARY="Loading \\"x\\" \\303\\244"\r\n250 OK\r\n',
  `650 HS_DESC UPLOADED ${ONION} UNKNOWN $FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF~relay\r\n`,
  `650 HS_DESC FAILED ${ONION} UNKNOWN $FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF REASON=UPLOAD_REJECTED\r\n`,
  '515 Authentication failed: Wrong length on authentication cookie.\r\n',
  '550 Onion address collision\r\n552 Unrecognized key "x"\r\n',
];

const LARGE = { maxLineBytes: 200_000, maxReplyBytes: 4_194_304 };
const LIMITS = [{ maxLineBytes: 120, maxReplyBytes: 400 }, DEFAULT_PARSER_LIMITS];

function parsedIn(chunks: readonly Uint8Array[], limits: ParserLimits): Pushed {
  const parser = controlReplyParser(limits);
  const messages: ControlMessage[] = [];
  let fault: Pushed['fault'];
  for (const chunk of chunks) {
    const pushed = parser.push(chunk);
    must(fault === undefined || pushed.messages.length === 0, 'no message after a fault');
    messages.push(...pushed.messages);
    fault = pushed.fault;
  }
  return fault === undefined ? { messages } : { messages, fault };
}

/** A reply as Tor would write it. */
function rewritten({ code, lines }: Reply): string {
  return lines
    .map(({ text, data }, i) => {
      if (data === undefined) return `${code}${i === lines.length - 1 ? ' ' : '-'}${text}\r\n`;
      const stuffed = data.split('\n').map((line) => (line.startsWith('.') ? `.${line}` : line));
      // A block without lines and one with an empty line are the same text.
      return `${code}+${text}\r\n${data === '' ? '' : `${stuffed.join('\r\n')}\r\n`}.\r\n`;
    })
    .join('');
}

function verdict(name: string, result: { ok: boolean } | undefined): string {
  return `${name}-${result?.ok === true ? 'ok' : 'no'}`;
}

function* values(message: ControlMessage): Iterable<string> {
  if (message.kind === 'event') {
    yield verdict('hs-desc', parseHsDesc(message.text));
    yield verdict('bootstrap', parseBootstrap(message.text));
    return;
  }
  const { reply } = message;
  must(reply.lines.length > 0, 'a reply has a line');
  const again = parsedIn([Buffer.from(rewritten(reply), 'latin1')], LARGE);
  mustEqual(again, { messages: [message] }, 'decode(encode(x)) = x');
  yield verdict('protocolinfo', parseProtocolInfo(reply));
  yield verdict('authchallenge', parseAuthChallenge(reply));
  yield verdict('added-onion', parseAddedOnion(reply));
  for (const { text, data } of reply.lines) {
    if (data !== undefined) yield 'data-block';
    yield verdict('keywords', parseKeywords(text));
    yield verdict('bootstrap', parseBootstrap(infoValue(reply, 'status/bootstrap-phase') ?? text));
    yield verdict('quoted-list', parseQuotedList(text.slice(text.indexOf('=') + 1)));
    parseTorVersion(text);
    const quoted = parseQuoted(`${quote(text)} rest`);
    must(quoted.ok && quoted.value.rest === ' rest', 'a quoted text ends at its last quote');
    const back = Buffer.from(quoted.value.value).toString('latin1');
    must(back === text, 'decode(encode(x)) = x');
  }
}

export function controlTarget(): Target {
  return {
    name: 'control',
    seeds: CONTROL_SEEDS.map((text) => Buffer.from(text)),
    words: [
      '250-',
      '250+',
      '250 OK\r\n',
      '650 ',
      '650+',
      '\r\n.\r\n',
      '\r\n..',
      'COOKIEFILE="',
      '\\"',
      '\\377',
      '\\x',
      'METHODS=',
      'ServiceID=',
    ],
    maxBytes: 70_000,
    *run(input, random) {
      for (const limits of LIMITS) {
        const whole = parsedIn([input], limits);
        mustEqual(parsedIn(pieces(input, random), limits), whole, 'split anywhere equals whole');
        if (whole.fault) {
          must(/^\P{C}{0,500}$/u.test(whole.fault.excerpt), 'an excerpt is short and printable');
          yield whole.fault.code;
        }
        for (const message of whole.messages) {
          yield message.kind;
          yield* values(message);
        }
      }
    },
  };
}

const SOCKS_STEPS = ['method', 'auth', 'reply'] as const;

/** RFC 1928, section 6: a head of four bytes, an address by its type, a port. */
function lengthOf(step: (typeof SOCKS_STEPS)[number], [, , , type, first]: Uint8Array): number {
  if (step !== 'reply') return 2;
  const address = new Map([
    [1, 4],
    [3, 1 + (first ?? 0)],
    [4, 16],
  ]).get(type ?? 0);
  return 4 + (address ?? Number.NaN) + 2;
}

export function socksTarget(): Target {
  return {
    name: 'socks',
    seeds: [
      '0500',
      '0502',
      '05ff',
      '0100',
      '0101',
      '05000001000000000000',
      '0500000309736f6d652e6e616d651466',
      `05000004${'00'.repeat(18)}`,
      '05f000010000000000000d0a',
      '05010001000000000000',
    ].map((hex) => Buffer.from(hex, 'hex')),
    words: ['\u0005\u0000', '\u0005\u0002', '\u0001\u0000'],
    maxBytes: 1_000,
    *run(input, random) {
      for (const step of SOCKS_STEPS) {
        const whole = readSocksMessage(step, input);
        yield `${step}-${whole.kind}`;
        const cut = random.below(input.length + 1);
        const begin = readSocksMessage(step, input.subarray(0, cut));
        if (begin.kind !== 'incomplete') mustEqual(begin, whole, 'more bytes change nothing');
        if (whole.kind === 'complete') {
          must(whole.length === lengthOf(step, input), 'a message is as long as it says');
          must(whole.length <= input.length, 'a complete message is there');
          must(whole.length <= MAX_SOCKS_MESSAGE_BYTES, 'a message is bounded');
        } else if (whole.kind === 'refused') {
          must(socksReplyError(whole.reply, 'x:1').message !== '', 'every refusal has a text');
        } else if (whole.kind === 'incomplete') {
          must(input.length < MAX_SOCKS_MESSAGE_BYTES, 'an incomplete message is bounded');
        }
      }
    },
  };
}
