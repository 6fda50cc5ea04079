/**
 * Requests of an operator to a running directory, and its answers: whatever the line, the directory stays whole and
 * the answer is one bounded line of JSON.
 */
import { silentLog } from '../../../src/channel/log.js';
import { createDirectory } from '../../../src/directory/directory.js';
import { MAX_BAN_MS, MAX_BANS } from '../../../src/directory/entry/bans.js';
import { DEFAULT_LIMITS } from '../../../src/directory/limits.js';
import { recordOf } from '../../../src/kit/json-record.js';
import {
  MAX_REQUEST_CHARS,
  parseUpgradeAnswer,
  RequestReader,
} from '../../../src/ops/request-socket.js';
import { MessageType } from '../../../src/protocol/constants.js';
import { encodeEnvelope } from '../../../src/protocol/envelope.js';
import { formatPeerHandshake } from '../../../src/protocol/handshake.js';
import { NOT_SERVING, type DeclaredLocation } from '../../../src/protocol/location.js';
import { answerOperator, parseOperatorRequest } from '../../../src/roles/operator-requests.js';
import { memoryPeer } from '../../../test/directory/memory-connection.js';
import { createTestClock } from '../../../test/helpers/test-clock.js';
import { must, mustEqual, pieces, type Target } from '../target.js';

const MAKER = 'J5MakerOOOOOOOOO';
const TAKER = 'J5TakerOOOOOOOOO';
const HOST = '2bflemtufo2kwoqtnc6umfpe43icesvxdiawxl4fecrtfslxq43yqmad.onion';
const MAX_ANSWER_CHARS = 4_000;

const SEEDS = [
  '{"ask": "list"}\n',
  '{"ask": "bans"}\n',
  `{"ask": "kick", "target": {"by": "nick", "name": "${MAKER}"}}\n`,
  `{"ask": "kick", "target": {"by": "nick", "name": "${TAKER}"}, "banMs": 60000, "logNames": true}\n`,
  `{"ask": "kick", "target": {"by": "onion", "name": "${HOST}"}, "banMs": 3600000}\n`,
  '{"ask": "kick", "target": {"by": "loopback", "name": "127.0.0.1:5222"}}\n',
  '{"ask": "unban"}\n',
  `{"ask": "unban", "name": "${MAKER}", "logNames": true}\n`,
  'upgrade\n',
  '{"done": true, "pid": 7, "version": "0.1.0", "peers": 3, "heldMs": 12.5}\n',
  '{"done": false, "why": "no such peer"}\n',
];

/** A directory with a maker and a taker. */
function directoryWithPeers() {
  const clock = createTestClock();
  const directory = createDirectory({
    network: 'signet',
    nick: 'J5DirectoryOOOOO',
    location: () => ({ kind: 'loopback', host: '127.0.0.1', port: 5222 }),
    reachable: new Set(['onion', 'loopback']),
    motd: () => 'fuzz',
    limits: DEFAULT_LIMITS,
    clock,
    random: () => 0.5,
    log: silentLog,
  });
  const declared: readonly [string, DeclaredLocation][] = [
    [MAKER, { kind: 'onion', host: HOST, port: 5222 }],
    [TAKER, NOT_SERVING],
  ];
  for (const [nick, location] of declared) {
    const peer = memoryPeer(undefined, 'onion');
    directory.accept(peer.connection);
    const handshake = { nick, location, network: 'signet', features: ['ping'] } as const;
    peer.say(encodeEnvelope(MessageType.HANDSHAKE, formatPeerHandshake(handshake)));
  }
  must(directory.peerCount === 2, 'both peers are accepted');
  return { clock, directory };
}

/** The request in these chunks, or why there is none. */
function requestIn(chunks: readonly string[]): string {
  const reader = new RequestReader();
  for (const chunk of chunks) {
    const read = reader.push(chunk);
    if (read.kind === 'request') return `request ${read.text}`;
    if (read.kind === 'refused') return 'refused';
  }
  return 'incomplete';
}

function* answered(line: string): Iterable<string> {
  const request = parseOperatorRequest(line);
  if (!request.ok) {
    yield `refused-${request.reason}`;
    return;
  }
  const { ask } = request.value;
  yield ask;
  mustEqual(parseOperatorRequest(JSON.stringify(request.value)), request, 'decode(encode(x)) = x');
  const { clock, directory } = directoryWithPeers();
  const { operator } = directory;
  // Answered by the program, not by the operator's part.
  if (request.value.ask === 'tor-clients' || request.value.ask === 'self-test') return;
  const answer = answerOperator(operator, request.value, silentLog);
  const text = JSON.stringify(answer);
  must(text.length <= MAX_ANSWER_CHARS && !text.includes('\n'), 'an answer is one bounded line');
  const { done, kicked } = recordOf(answer);
  if (ask === 'kick') yield done === true ? 'kicked' : 'not-kicked';
  const gone = Array.isArray(kicked) ? kicked.length : 0;
  must(directory.peerCount === 2 - gone, 'only kicked peers are closed');
  const bans = operator.bans();
  must(bans.length <= MAX_BANS, 'bans are bounded');
  for (const { leftMs } of bans) must(leftMs > 0 && leftMs <= MAX_BAN_MS, 'a ban ends');
  if (bans.length > 0) yield 'banned';
  clock.advance(MAX_BAN_MS);
  must(operator.bans().length === 0, 'no ban stays for ever');
}

export function operatorTarget(): Target {
  return {
    name: 'operator',
    seeds: SEEDS.map((text) => Buffer.from(text)),
    words: ['"ask": "', '"target": ', '"by": "nick"', '"name": ', '"banMs": ', MAKER, HOST, '\n'],
    maxBytes: 6_000,
    *run(input, random) {
      const text = Buffer.from(input).toString('utf8');
      const end = text.indexOf('\n');
      // What follows the first line is refused, so the division matters there and only there.
      const first = end < 0 ? text : text.slice(0, end + 1);
      const whole = requestIn([first]);
      const chunks = pieces(Buffer.from(first), random).map((chunk) => Buffer.from(chunk));
      if (/^[\0-\x7f]*$/.test(first)) {
        mustEqual(requestIn(chunks.map(String)), whole, 'split anywhere equals whole');
      }
      if (end >= 0 && end < text.length - 1) {
        must(requestIn([text]) === 'refused', 'one request for each connection');
        yield 'two-lines';
      }
      const [kind = ''] = whole.split(' ', 1);
      yield kind;
      if (kind !== 'request') must(kind === 'refused' || end < 0, 'a whole line is a request');
      const line = whole.slice('request '.length);
      must(line.length <= MAX_REQUEST_CHARS, 'a request is bounded');
      yield* answered(kind === 'request' ? line : first);
      const answer = parseUpgradeAnswer(first);
      if (answer.ok) {
        yield answer.value.done ? 'upgraded' : 'not-upgraded';
        mustEqual(
          parseUpgradeAnswer(JSON.stringify(answer.value)),
          answer,
          'decode(encode(x)) = x',
        );
      } else yield `answer-${answer.reason}`;
    },
  };
}
