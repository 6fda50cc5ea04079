/**
 * A whole directory with one hostile peer and two that listen: for any lines of the hostile peer, the lines
 * to the others are bounded, canonical and under its own nick, and no state of it is left.
 */
import { silentLog } from '../../../src/channel/log.js';
import { createDirectory } from '../../../src/directory/directory.js';
import { DEFAULT_LIMITS } from '../../../src/directory/limits.js';
import { MAX_LINE_BYTES, MessageType } from '../../../src/protocol/constants.js';
import { decodeEnvelope, encodeEnvelope } from '../../../src/protocol/envelope.js';
import { formatPeerHandshake } from '../../../src/protocol/handshake.js';
import { NOT_SERVING } from '../../../src/protocol/location.js';
import { parseRoute } from '../../../src/protocol/message.js';
import { parsePeerlist } from '../../../src/protocol/peerlist.js';
import { memoryPeer, type MemoryPeer } from '../../../test/directory/memory-connection.js';
import { createTestClock } from '../../../test/helpers/test-clock.js';
import type { Seeds } from '../seeds.js';
import { must, pieces, type Target } from '../target.js';

const HOSTILE = 'J5HostileOOOOOOO';
const PLAIN = 'J5PlainOOOOOOOOO';
const MODERN = 'J5ModernOOOOOOOO';
const DIRECTORY = 'J5DirectoryOOOOO';
const OTHERS: ReadonlySet<string> = new Set([PLAIN, MODERN, DIRECTORY]);
const OUTPUT_TYPES: ReadonlySet<number> = new Set([
  MessageType.PRIVMSG,
  MessageType.PUBMSG,
  MessageType.PEERLIST,
  MessageType.DN_HANDSHAKE,
]);
/** The most bytes that a listener may get for each byte that the hostile peer sends. */
const MAX_GROWTH = 8;

function hello(nick: string, features: readonly string[]): string {
  const handshake = { nick, location: NOT_SERVING, network: 'signet', features } as const;
  return encodeEnvelope(MessageType.HANDSHAKE, formatPeerHandshake(handshake));
}

/** Checks that a listener got only allowed lines. */
function mustBeClean(text: string, pings: boolean): void {
  const names = new Set<string>();
  must(/^(?:[ -~]*\r\n)*$/.test(text), 'only lines of ASCII are sent');
  for (const [i, line] of text.split('\r\n').slice(0, -1).entries()) {
    must(line.length + 2 <= MAX_LINE_BYTES, 'no line above 40,000 bytes is sent');
    const envelope = decodeEnvelope(Buffer.from(line, 'latin1'));
    must(envelope.ok, 'only envelopes are sent');
    const { type, line: payload } = envelope.value;
    must((type === MessageType.DN_HANDSHAKE) === (i === 0), 'a 795 comes first, and once');
    must(
      OUTPUT_TYPES.has(type) || (pings && (type === MessageType.PING || type === MessageType.PONG)),
      `type ${type} is never sent to this peer`,
    );
    if (type === MessageType.PUBMSG || type === MessageType.PRIVMSG) {
      const route = parseRoute(payload);
      must(route.ok && !OTHERS.has(route.value.from), 'no peer sends under the nick of another');
      names.add(route.value.from);
      must(names.size === 1, 'one connection has one name');
    } else if (type === MessageType.PEERLIST) {
      must(parsePeerlist(payload).malformed === 0, 'a peer list is well formed');
    }
  }
}

export function directoryTarget({ streams }: Seeds): Target {
  const own = [
    encodeEnvelope(MessageType.PUBMSG, `${HOSTILE}!PUBLIC!!orderbook`),
    encodeEnvelope(MessageType.PUBMSG, `${HOSTILE}!PUBLIC!sw0reloffer 0 27300 500000000 0 0.00002`),
    encodeEnvelope(MessageType.PRIVMSG, `${HOSTILE}!${PLAIN}!fill 0 1 a b c d`),
    encodeEnvelope(MessageType.PRIVMSG, `${HOSTILE}!${MODERN}!pubkey a b c`),
    encodeEnvelope(MessageType.PRIVMSG, `${HOSTILE}!J5NobodyOOOOOOOO!fill 0 1 a b c d`),
    encodeEnvelope(MessageType.GETPEERLIST, ''),
    encodeEnvelope(MessageType.PING, ''),
    encodeEnvelope(MessageType.PONG, ''),
    encodeEnvelope(MessageType.DISCONNECT, ''),
  ];
  const greeting = [hello(HOSTILE, []), hello(HOSTILE, ['ping', 'peerlist_features'])];
  return {
    name: 'directory',
    seeds: [
      ...greeting.map((first) => Buffer.from(first + own.slice(0, -1).join(''))),
      ...greeting.map((first) => Buffer.from(first + own.slice(4).join(''))),
      // Only a listener for Tor may interpret such a line.
      Buffer.from(`PROXY TCP6 fc00:dead:beef:4dad::0:16 ::1 22 5222\r\n${greeting[0]}`),
      ...streams.filter(({ length }) => length < 3_000).slice(0, 40),
    ],
    words: [...own, ...greeting, HOSTILE, PLAIN, `${HOSTILE}!PUBLIC!`, `${HOSTILE}!${PLAIN}!`],
    maxBytes: 60_000,
    *run(input, random) {
      const clock = createTestClock();
      const directory = createDirectory({
        network: 'signet',
        nick: DIRECTORY,
        location: () => ({ kind: 'loopback', host: '127.0.0.1', port: 5222 }),
        reachable: new Set(['loopback']),
        motd: () => 'fuzz',
        limits: DEFAULT_LIMITS,
        clock,
        random: () => random.next(),
        log: silentLog,
      });
      const plain = memoryPeer();
      const modern = memoryPeer();
      const hostile = memoryPeer();
      const all: readonly MemoryPeer[] = [plain, modern, hostile];
      for (const { connection } of all) directory.accept(connection);
      plain.say(hello(PLAIN, []));
      modern.say(hello(MODERN, ['ping', 'peerlist_features']));
      const drain = (): void => {
        for (const peer of all) peer.drain();
      };
      drain();
      const before = plain.received.length;
      for (const chunk of pieces(input, random)) {
        hostile.say(chunk);
        if (random.oneIn(2)) drain();
        if (random.oneIn(4)) clock.advance(random.below(2_000));
      }
      clock.advance(100);
      drain();
      must(directory.peerCount >= 2, 'the listeners are still connected');
      must(
        plain.received.length - before <= 1_000 + MAX_GROWTH * input.length,
        'the cost for the others is in proportion',
      );
      mustBeClean(plain.received, false);
      mustBeClean(modern.received, true);
      for (const peer of all) peer.leave();
      clock.advance(40_000);
      drain();
      must(directory.connectionCount === 0, 'no connection is left');
      must(clock.pending === 0, 'no timer is left');
      const stats = directory.stats();
      const counters = { ...stats.dropped, ...stats.handshakesRejected, ...stats.closed };
      for (const [reason, count] of Object.entries(counters)) if (count > 0) yield reason;
      for (const [kind, count] of Object.entries(stats.messagesIn))
        if (count > 0) yield `in-${kind}`;
    },
  };
}
