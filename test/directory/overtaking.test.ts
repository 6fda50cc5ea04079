/**
 * Frames for one peer that may not wait leave before the public frames that wait for that peer, except
 * before those of the nick that they speak of.
 */
import t from 'tap';
import { createBroadcastLog } from '../../src/directory/fanout/broadcast-log.js';
import { Outboxes } from '../../src/directory/fanout/outbox.js';
import { UnsettledNicks } from '../../src/directory/fanout/unsettled.js';
import { createTally } from '../../src/directory/stats.js';
import { MessageType } from '../../src/protocol/constants.js';
import { encodeEnvelope } from '../../src/protocol/envelope.js';
import { createTestClock, type TestClock } from '../helpers/test-clock.js';
import { memoryPeer, type MemoryPeer } from './memory-connection.js';
import { hello, parseLine, testDirectory } from './wire.js';

interface Scene {
  readonly clock: TestClock;
  readonly join: (nick: string) => MemoryPeer;
  /** What a peer got since the last question: without numbers, the words that end its lines. */
  readonly heard: (peer: MemoryPeer) => readonly string[];
  /** All peers leave; returns the number of timers that are left. */
  readonly end: () => number;
}

function scene(): Scene {
  const clock = createTestClock();
  const directory = testDirectory({ clock, publicWindowMs: 250, flushWindowMs: 25 });
  const seen = new Map<MemoryPeer, number>();
  const heard = (peer: MemoryPeer): readonly string[] => {
    peer.drain();
    const text = peer.received.slice(seen.get(peer));
    seen.set(peer, peer.received.length);
    return text
      .split('\r\n')
      .slice(0, -1)
      .map((line) => parseLine(line))
      .map(({ type, line }) =>
        type === MessageType.PEERLIST || type === MessageType.PONG
          ? String(type)
          : (line.split(' ')[1] ?? ''),
      );
  };
  return {
    clock,
    heard,
    end() {
      for (const peer of seen.keys()) peer.leave();
      return clock.pending;
    },
    join(nick) {
      const peer = memoryPeer();
      directory.accept(peer.connection);
      peer.say(encodeEnvelope(793, hello(nick, { features: { ping: true } })));
      seen.set(peer, 0);
      heard(peer);
      return peer;
    },
  };
}

const publicly = (peer: MemoryPeer, nick: string, word: string): void =>
  peer.say(encodeEnvelope(687, `${nick}!PUBLIC!hp2 ${word}`));
const privately = (peer: MemoryPeer, nick: string, to: string, word: string): void =>
  peer.say(encodeEnvelope(685, `${nick}!${to}!fill ${word}`));

void t.test('a private message overtakes public messages of others', (t) => {
  const { join, heard, end } = scene();
  const [alice, bob, carol] = [join('J5alice'), join('J5bob'), join('J5carol')];
  publicly(alice, 'J5alice', 'public-1');
  publicly(bob, 'J5bob', 'own');
  privately(carol, 'J5carol', 'J5bob', 'private-1');
  t.strictSame(heard(bob), ['private-1', '789', 'public-1'], 'and they leave with it');
  privately(carol, 'J5carol', 'J5bob', 'private-2');
  t.strictSame(heard(bob), ['private-2', '789'], 'once');
  t.strictSame(heard(alice), [], 'for others they wait on');
  t.equal(end(), 0, 'no timer is left');
  t.end();
});

void t.test('not those of its own sender', (t) => {
  const { clock, join, heard, end } = scene();
  const [alice, bob, carol] = [join('J5alice'), join('J5bob'), join('J5carol')];
  publicly(alice, 'J5alice', 'public-1');
  publicly(carol, 'J5carol', 'public-2');
  privately(alice, 'J5alice', 'J5bob', 'private-1');
  t.strictSame(heard(bob), ['public-1', 'public-2', 'private-1', '789']);
  publicly(carol, 'J5carol', 'public-3');
  privately(alice, 'J5alice', 'J5bob', 'private-2');
  t.strictSame(heard(bob), ['private-2', '789', 'public-3'], 'what bob has is not overtaken');
  clock.advance(250);
  heard(bob);
  publicly(carol, 'J5carol', 'public-4');
  privately(alice, 'J5alice', 'J5bob', 'private-3');
  t.strictSame(heard(bob), ['private-3', '789', 'public-4']);
  t.equal(end(), 0, 'no timer is left');
  t.end();
});

void t.test('pongs and gone notices overtake, but not what the absent nick said', (t) => {
  const { join, heard, end } = scene();
  const [alice, bob, carol] = [join('J5alice'), join('J5bob'), join('J5carol')];
  publicly(alice, 'J5alice', 'public-1');
  bob.say(encodeEnvelope(MessageType.PING, ''));
  t.strictSame(heard(bob), ['799', 'public-1'], 'the pong first');
  publicly(alice, 'J5alice', 'public-2');
  privately(bob, 'J5bob', 'J5nobody', 'lost');
  t.strictSame(heard(bob), ['789', 'public-2'], 'the gone notice first');
  publicly(carol, 'J5carol', 'public-3');
  carol.leave();
  privately(bob, 'J5bob', 'J5carol', 'lost');
  t.strictSame(heard(bob), ['public-3', '789'], 'a nick never speaks after it is gone');
  t.equal(end(), 0, 'no timer is left');
  t.end();
});

void t.test('a nick that left and is back is not gone after its message', (t) => {
  const { join, heard, clock, end } = scene();
  const [carol, bob] = [join('J5carol'), join('J5bob')];
  carol.leave();
  const again = join('J5carol');
  privately(again, 'J5carol', 'J5bob', 'private-1');
  t.strictSame(heard(bob), ['789', 'private-1', '789'], 'the leave, the message, the entry');
  clock.advance(1_000);
  t.strictSame(heard(bob), []);
  t.equal(end(), 0, 'no timer is left');
  t.end();
});

void t.test('an outbox refuses while it cannot keep the order of frames for one peer', (t) => {
  const clock = createTestClock();
  const log = createBroadcastLog();
  const outboxes = new Outboxes({ log, clock, tally: createTally() });
  const peer = memoryPeer();
  const box = outboxes.open(peer.connection);
  outboxes.begin(box);
  log.append('public ');
  t.ok(outboxes.overtake(box, Buffer.from('one '), 1));
  t.ok(outboxes.overtake(box, Buffer.from('two '), 1), 'behind the first');
  outboxes.cutOut(box, log.append('own '));
  t.ok(outboxes.overtake(box, Buffer.from('three '), 1));
  outboxes.direct(box, Buffer.from('last '));
  t.notOk(
    outboxes.overtake(box, Buffer.from('four '), 1),
    'another frame waits behind the broadcasts',
  );
  t.equal(Buffer.from(outboxes.owed(box)).toString(), 'one two three public last ');
  outboxes.pump(box);
  t.notOk(outboxes.overtake(box, Buffer.from('five '), 1), 'a write is in progress');
  peer.drain();
  t.equal(peer.received, 'one two three public last ');
  t.equal(outboxes.lag(box), 0);
  t.equal(outboxes.lines(box), 5);
  outboxes.close(box);
  t.notOk(outboxes.overtake(box, Buffer.from('six '), 1), 'it is closed');
  t.end();
});

void t.test('nicks are remembered until every peer was given their frames', (t) => {
  const nicks = new UnsettledNicks();
  nicks.note('a', 100);
  nicks.note('b', 200);
  t.notOk(nicks.allBefore('a', 99));
  t.ok(nicks.allBefore('a', 100));
  t.ok(nicks.allBefore('c', 0));
  nicks.settle(150);
  t.equal(nicks.size, 1);
  t.ok(nicks.allBefore('a', 0));
  t.notOk(nicks.allBefore('b', 199));
  nicks.note('b', 300);
  nicks.settle(299);
  t.equal(nicks.size, 1);
  nicks.settle(300);
  t.equal(nicks.size, 0);
  t.end();
});
