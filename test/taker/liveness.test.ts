/** The probe before `!fill`: which makers are there, how long it takes, and the order afterwards. */
import { EventEmitter } from 'eventemitter3';
import t from 'tap';
import type { MessageChannelEvents } from '../../src/channel/channel-api.js';
import { orderByLiveness, probeMakers, type ProbeOptions } from '../../src/taker/liveness.js';
import { createTestClock } from '../helpers/test-clock.js';

type Privmsg = Parameters<MessageChannelEvents['privmsg']>[0];

/** A channel on which every nick has a route, except those named. */
function channelWithout(...unreachable: readonly string[]) {
  const events = new EventEmitter<MessageChannelEvents>();
  const sent: (readonly [string, string, string])[] = [];
  const channel: ProbeOptions['channel'] = {
    send(nick, command, args) {
      if (unreachable.includes(nick)) return { sent: false, reason: 'no-route' };
      sent.push([nick, command, args]);
      return { sent: true, route: { kind: 'direct' } };
    },
    on: (event, listener) => void events.on(event, listener),
    off: (event, listener) => void events.off(event, listener),
  };
  const says = (from: string): void => {
    const commands: Privmsg['commands'] = [{ name: 'sw0reloffer', args: [] }];
    events.emit('privmsg', {
      from,
      to: 'us',
      publicKeyHex: '',
      commands,
      route: { kind: 'direct' },
    });
  };
  const stops = (): void => void events.emit('stopped');
  return { channel, sent, says, stops, listeners: () => events.eventNames().length };
}

t.test('answers, silence, no route', async (t) => {
  const clock = createTestClock();
  const { channel, sent, says, listeners } = channelWithout('c');
  const seen: number[] = [];
  const done = probeMakers(['a', 'b', 'c', 'a'], {
    channel,
    clock,
    waitMs: 10_000,
    onAnswer: (answers) => seen.push(answers.size),
  });
  t.strictSame(sent, [['a', 'orderbook', 'signed']], 'one after the other');
  clock.advance(200);
  t.strictSame(
    sent.map(([nick]) => nick),
    ['a', 'b'],
    'each once',
  );
  says('a');
  says('a');
  says('stranger');
  clock.advance(10_000);
  t.strictSame(Object.fromEntries(await done), { a: true, c: false });
  t.strictSame(seen, [1, 2]);
  t.equal(listeners(), 0, 'no listener stays');
  t.equal(clock.pending, 0, 'no timer stays');
});

t.test('when it ends', async (t) => {
  const rows: readonly (readonly [string, Partial<ProbeOptions>, number])[] = [
    ['at once when all have answered', {}, 3],
    ['a moment after enough have', { enough: 2, graceMs: 500 }, 2],
  ];
  for (const [name, part, answers] of rows) {
    const clock = createTestClock();
    const { channel, says } = channelWithout();
    const done = probeMakers(['a', 'b', 'c'], { channel, clock, ...part });
    clock.advance(200);
    says('a');
    says('b');
    if (answers === 3) says('c');
    else clock.advance(500);
    t.equal((await done).size, answers, name);
    t.equal(clock.pending, 0, 'no timer stays');
  }
  const clock = createTestClock();
  const { channel, stops, listeners } = channelWithout();
  const stopped = probeMakers(['a'], { channel, clock });
  stops();
  t.equal((await stopped).size, 0, 'the channel stopped');
  const abort = new AbortController();
  const aborted = probeMakers(['a'], { channel, clock, signal: abort.signal });
  abort.abort();
  t.equal((await aborted).size, 0, 'it was aborted');
  const early = probeMakers(['a'], { channel, clock, signal: abort.signal });
  t.equal((await early).size, 0, 'it was aborted before');
  t.equal((await probeMakers([], { channel, clock })).size, 0, 'no makers');
  t.equal(listeners() + clock.pending, 0, 'nothing stays');
});

t.test('the order afterwards', (t) => {
  const candidates = ['a', 'b', 'c', 'd', 'e'].map((nick) => ({ nick }));
  const answers = new Map([
    ['a', false],
    ['c', true],
    ['e', true],
  ]);
  const order = (enough: number): string =>
    orderByLiveness(candidates, (nick) => answers.get(nick), enough)
      .map(({ nick }) => nick)
      .join('');
  t.equal(order(3), 'cebda', 'those without an answer are asked last');
  t.equal(order(2), 'ce', 'or not at all, where enough others are there');
  t.end();
});
