/** The operator's commands in the directory: the list of peers, kicks, and bans with their bounds and expiry. */
import t, { type Test } from 'tap';
import { MAX_BAN_MS, MAX_BANS, Bans } from '../../src/directory/entry/bans.js';
import type { Directory } from '../../src/directory/directory.js';
import { encodeEnvelope } from '../../src/protocol/envelope.js';
import { formatNickProof, parseNickChallenge, proveNick } from '../../src/protocol/nick-auth.js';
import { addLocationKind } from '../../src/protocol/location.js';
import { nickKey } from '../../src/protocol/nick.js';
import { ok } from '../../src/protocol/result.js';
import { bansIn, moveBans } from '../../src/roles/directory-bans.js';
import { createTestClock, type TestClock } from '../helpers/test-clock.js';
import type { MemoryPeer } from './memory-connection.js';
import {
  CLUSTER_TIMERS,
  connectPeer,
  hello,
  onion,
  openDirectory,
  oneProcess,
  testDirectory,
  type Hello,
} from './wire.js';

const HOUR = 3_600_000;
const host = (n: number): string => onion(n).replace(/:\d+$/, '');

const randomBytes = (count: number): Uint8Array => new Uint8Array(count).fill(7);
const nicks = (from: number, count: number) =>
  Array.from({ length: count }, (_, i) => ({ kind: 'nick' as const, name: `J5n${from + i}` }));

interface Scene {
  readonly directory: Directory;
  readonly clock: TestClock;
  /** A connection that has sent its handshake and has read the answer. */
  readonly join: (nick: string, options?: Hello) => MemoryPeer;
}

/** Bans, and the peers of one onion, are those of the node on which the operator gives the command. */
const AT_ONE_NODE = true;

async function scene(
  t: Test,
  options: Parameters<typeof testDirectory>[0] = {},
  isOneNode = false,
): Promise<Scene> {
  const clock = createTestClock();
  const directory = await openDirectory(
    (more) => testDirectory({ ...options, ...more }),
    clock,
    isOneNode,
  );
  const peers: MemoryPeer[] = [];
  t.teardown(() => {
    for (const peer of peers) peer.leave();
    if (clock.pending > CLUSTER_TIMERS) throw new Error('a timer is left');
  });
  return {
    directory,
    clock,
    join(nick, options_) {
      const peer = connectPeer(directory);
      peers.push(peer);
      peer.say(encodeEnvelope(793, hello(nick, options_)));
      peer.drain();
      return peer;
    },
  };
}

const isAccepted = ({ received }: MemoryPeer): boolean => received.includes('\\"accepted\\": true');
const REFUSED = /"accepted\\": false.*Rejected: the operator of this directory does not serve/;

t.test('the list has each peer, its time of connection and its message counts', async (t) => {
  const { directory, clock, join } = await scene(
    t,
    { ownNicks: new Set(['J5canary']) },
    // A list of peers at two nodes has more lines.
    AT_ONE_NODE,
  );
  const maker = join('J5maker', { location: onion(1), features: { ping: true, zeta: true } });
  join('J5canary');
  clock.advance(5_000);
  const taker = join('J5taker');
  maker.say(encodeEnvelope(687, 'J5maker!PUBLIC!hello'));
  maker.say(encodeEnvelope(685, 'J5maker!J5taker!hello'));
  taker.say(encodeEnvelope(791, ''));
  const rows = directory.operator.list(10);
  const common = { direction: 'in' } as const;
  t.match(rows, [
    {
      ...common,
      nick: 'J5maker',
      kind: 'serving',
      location: { kind: 'onion', host: host(1) },
      features: ['ping', 'zeta'],
      connectedMs: 5_000,
      queuedBytes: 0,
      messagesIn: 2,
      // Its 795; its own broadcast is not sent back.
      messagesOut: 1,
    },
    {
      ...common,
      nick: 'J5taker',
      kind: 'not-serving',
      features: [],
      connectedMs: 0,
      messagesIn: 1,
      // 795, the broadcast, the private message with a peer list behind it, and the answer to 791.
      messagesOut: 5,
    },
  ]);
  t.equal(rows.length, 2, 'the canary is not listed');
  t.ok((rows[1]?.queuedBytes ?? 0) > 0, 'the peer has read nothing yet');
  t.equal(taker.received.split('\r\n').length - 1, 1);
  taker.drain();
  t.equal(taker.received.split('\r\n').length - 1, 5, 'the counted messages arrived');
  t.equal(directory.operator.list(10)[1]?.queuedBytes, 0);
  t.same(
    directory.operator.list(1).map(({ nick }) => nick),
    ['J5maker'],
    'the oldest first, at most the requested number',
  );
});

t.test('a kick closes the peer, and the other peers are told that it left', async (t) => {
  const { directory, clock, join } = await scene(t);
  const observer = join('J5observer');
  const maker = join('J5maker', { location: onion(1) });
  t.same(directory.operator.kick({ by: 'nick', name: 'J5maker' }), {
    done: true,
    nicks: ['J5maker'],
    banned: [],
    sharedWith: 0,
  });
  t.ok(maker.closed);
  clock.advance(1_000);
  observer.drain();
  t.match(observer.received, `"line": "J5maker;${onion(1)};D"`);
  t.match(directory.stats(), { peers: 1, bans: 0, closed: { kicked: 1 } });
  t.ok(isAccepted(join('J5maker', { location: onion(1) })), 'without a ban it may come again');
});

t.test('by an onion: each peer that declares it, whatever the port', async (t) => {
  const { directory, join } = await scene(t, {}, AT_ONE_NODE);
  const same = [
    join('J5one', { location: onion(1) }),
    join('J5two', { location: onion(1).replace('5222', '80') }),
  ];
  const other = join('J5other', { location: onion(2) });
  const local = join('J5local', { location: '127.0.0.1:4000' });
  const result = directory.operator.kick({ by: 'onion', name: host(1) }, HOUR);
  t.match(result, { done: true, nicks: ['J5one', 'J5two'], sharedWith: 0 });
  t.ok(same.every(({ closed }) => closed));
  t.notOk(other.closed);
  t.same(
    directory.operator.bans().map(({ kind, name }) => `${kind} ${name}`),
    ['nick J5one', 'nick J5two', `onion ${host(1)}`],
  );
  t.match(directory.operator.kick({ by: 'loopback', name: '127.0.0.1:4000' }, HOUR), {
    nicks: ['J5local'],
    banned: [{ kind: 'nick', name: 'J5local' }],
  });
  t.ok(local.closed, 'a location on this machine is closed, and only its nick is banned');
});

t.test('a kick without a matching peer closes and bans nothing', async (t) => {
  const { directory, join } = await scene(t, { ownNicks: new Set(['J5canary']) });
  const canary = join('J5canary');
  join('J5maker', { location: onion(1) });
  for (const target of [
    { by: 'nick', name: 'J5absent' },
    { by: 'nick', name: 'J5canary' },
    { by: 'nick', name: onion(1) },
    { by: 'onion', name: host(2) },
    { by: 'loopback', name: onion(1) },
  ] as const) {
    const result = directory.operator.kick(target, HOUR);
    t.same(result, { done: false, fault: 'unknown-peer' }, target.name);
  }
  t.notOk(canary.closed);
  t.match(directory.stats(), { peers: 1, bans: 0 });
});

t.test('a ban refuses the nick and the onion until its time is over', async (t) => {
  const { directory, clock, join } = await scene(t, {}, AT_ONE_NODE);
  join('J5maker', { location: onion(1) });
  directory.operator.kick({ by: 'nick', name: 'J5maker' }, HOUR);
  const refused = [
    join('J5maker', { location: onion(2) }),
    join('J5maker'),
    join('J5fresh', { location: onion(1) }),
  ];
  for (const peer of refused) t.match(peer.received, REFUSED);
  t.ok(isAccepted(join('J5fresh')), 'a new nick without the onion is accepted in spite of the ban');
  t.match(directory.stats(), { bans: 2, handshakesRejected: { banned: 3 } });
  t.equal(directory.operator.bans()[0]?.leftMs, HOUR);
  clock.advance(HOUR - 1);
  t.match(join('J5maker').received, REFUSED, 'one millisecond before the end');
  clock.advance(1);
  t.ok(isAccepted(join('J5maker', { location: onion(1) })));
  t.equal(directory.stats().bans, 0);
});

t.test('an onion that another peer declares too is not banned', async (t) => {
  const { directory, join } = await scene(t, {}, AT_ONE_NODE);
  const honest = join('J5honest', { location: onion(1) });
  join('J5liar', { location: onion(1) });
  t.match(directory.operator.kick({ by: 'nick', name: 'J5liar' }, HOUR), {
    banned: [{ kind: 'nick', name: 'J5liar' }],
    sharedWith: 1,
  });
  t.equal(directory.operator.bans().length, 1);
  honest.leave();
  t.ok(isAccepted(join('J5honest', { location: onion(1) })), 'the owner of the onion is accepted');
});

t.test('a newcomer that waits for the banned nick is refused', async (t) => {
  const { directory, join } = await scene(t, {}, AT_ONE_NODE);
  join('J5maker', { features: { ping: true } });
  const newcomer = join('J5maker');
  t.equal(newcomer.received, '', 'it waits');
  directory.operator.kick({ by: 'nick', name: 'J5maker' }, HOUR);
  newcomer.drain();
  t.match(newcomer.received, REFUSED);
});

t.test('a key that is proved does not lift a ban', async (t) => {
  const key = nickKey(new Uint8Array(32).fill(0x11));
  const { directory, clock, join } = await scene(
    t,
    { nickAuth: { required: false, randomBytes } },
    AT_ONE_NODE,
  );
  const features = { nick_auth: true };
  join(key.nick);
  const owner = join(key.nick, { features });
  directory.operator.kick({ by: 'nick', name: key.nick }, HOUR);
  const [, payload = ''] = /"type": 803, "line": (".*")\}/.exec(owner.received) ?? [];
  const challenge = parseNickChallenge(JSON.parse(payload));
  if (!challenge.ok) throw new Error(challenge.reason);
  const proof = proveNick(key, challenge.value, hello(key.nick, { features }));
  owner.say(encodeEnvelope(805, formatNickProof(proof)));
  clock.advance(20);
  owner.drain();
  t.match(owner.received, /"type": 807.*policy/);
  t.match(join(key.nick, { features }).received, REFUSED, 'asked before it is challenged');
  t.equal(directory.peerCount, 0);
});

t.test('bans are lifted by name, or all', async (t) => {
  const { directory, join } = await scene(t, {}, AT_ONE_NODE);
  for (const n of [1, 2]) join(`J5maker${n}`, { location: onion(n) });
  for (const n of [1, 2]) directory.operator.kick({ by: 'nick', name: `J5maker${n}` }, HOUR);
  t.same(directory.operator.unban('J5other'), []);
  t.match(directory.operator.unban('J5maker1'), [{ kind: 'nick', name: 'J5maker1' }]);
  t.match(join('J5maker1', { location: onion(1) }).received, REFUSED, 'the onion is still banned');
  t.match(directory.operator.unban(host(1)), [{ kind: 'onion', name: host(1) }]);
  t.ok(isAccepted(join('J5maker1', { location: onion(1) })));
  t.equal(directory.operator.unban(undefined).length, 2);
  t.equal(directory.stats().bans, 0);
});

t.test('the list of bans has a bound', oneProcess('the list itself, without a directory'), (t) => {
  const clock = createTestClock();
  const bans = new Bans({ clock });
  t.ok(bans.add(nicks(0, MAX_BANS - 1), HOUR));
  t.notOk(bans.add(nicks(MAX_BANS, 2), HOUR), 'two more do not fit');
  t.equal(bans.size, MAX_BANS - 1, 'and no ban was added');
  t.ok(bans.add(nicks(MAX_BANS, 1), 2 * HOUR));
  t.notOk(bans.add(nicks(MAX_BANS + 1, 1), HOUR));
  t.ok(bans.add(nicks(0, 1), 3 * HOUR), 'one that is banned already gets the new time');
  clock.advance(HOUR);
  t.equal(bans.size, 2, 'the others have expired, and make room');
  t.ok(bans.add(nicks(5_000, MAX_BANS - 2), 2 * MAX_BAN_MS));
  t.equal(bans.all().at(-1)?.leftMs, MAX_BAN_MS, 'no ban is longer than the longest');
  t.end();
});

t.test('a kick whose bans do not fit closes no connection', async (t) => {
  const { directory, join } = await scene(t, {}, AT_ONE_NODE);
  const maker = join('J5maker', { location: onion(1) });
  const many = Array.from({ length: MAX_BANS - 1 }, (_, i) => ({
    kind: 'nick' as const,
    name: `J5n${i}`,
    leftMs: HOUR,
  }));
  directory.operator.restore(many);
  t.same(directory.operator.kick({ by: 'nick', name: 'J5maker' }, HOUR), {
    done: false,
    fault: 'too-many-bans',
  });
  t.notOk(maker.closed);
  t.equal(directory.stats().bans, MAX_BANS - 1);
});

t.test('bans continue in the process after an upgrade', async (t) => {
  const { directory, join } = await scene(t, {}, AT_ONE_NODE);
  join('J5maker', { location: onion(1) });
  directory.operator.kick({ by: 'nick', name: 'J5maker' }, HOUR);
  const parcels = await moveBans(() => directory.operator.bans()).hold();
  const travelled = parcels.map(({ key, value }): [string, { key: string; value: unknown }] => {
    const read: unknown = JSON.parse(JSON.stringify(value));
    return [key, { key, value: read }];
  });
  const next = await scene(t, {}, AT_ONE_NODE);
  next.directory.operator.restore(bansIn(new Map(travelled)));
  t.match(next.join('J5maker').received, REFUSED);
  t.match(next.join('J5fresh', { location: onion(1) }).received, REFUSED);
  t.same(next.directory.operator.bans(), directory.operator.bans());

  t.same(bansIn(undefined), [], 'without a parcel there are no bans');
  const good = { kind: 'nick', name: 'J5maker', leftMs: 1 };
  const bad: readonly unknown[] = [
    7,
    null,
    { ...good, kind: 'ip' },
    { ...good, name: 7 },
    { ...good, name: 'x'.repeat(1_000) },
    { ...good, leftMs: -1 },
    { ...good, leftMs: Number.MAX_VALUE },
  ];
  for (const value of [{}, 'x', bad, [...bad, good]]) {
    const read = bansIn(new Map([['bans', { key: 'bans', value }]]));
    t.same(
      read,
      Array.isArray(value) && value.includes(good) ? [good] : [],
      'invalid bans are left out',
    );
  }
});

const labHost = (text: string) => (text.endsWith('.lab') ? ok(text) : undefined);

t.test(
  'a kind of location that a program adds is banned by its host, as an onion is',
  oneProcess('the list itself, without a directory'),
  (t) => {
    t.teardown(addLocationKind('x-lab', { read: labHost, sharesHost: false }));
    t.teardown(addLocationKind('x-port', { read: (text) => ok(text), sharesHost: true }));
    const bans = new Bans({ clock: createTestClock() });
    t.ok(bans.add([{ kind: 'x-lab', name: 'a.lab' }], HOUR));
    const declares = (host_: string, kind: `x-${string}` = 'x-lab') =>
      bans.holds({ nick: 'J5x', location: { kind, host: host_, port: 7 } });
    t.ok(declares('a.lab'));
    t.notOk(declares('b.lab'));
    t.notOk(declares('a.lab', 'x-port'), 'a host that programs share is never banned');
    t.same(
      bansIn(new Map([['bans', { key: 'bans', value: bans.all() }]])),
      bans.all(),
      'it moves with an upgrade',
    );
    t.end();
  },
);
