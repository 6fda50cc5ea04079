/** Routers of the lab: paths, the messages over them, and what strangers cannot do. */
import t from 'tap';
import { encode } from '../../src/bencode/encode.js';
import { isDict } from '../../src/bencode/value.js';
import { newExchangeKeys } from '../../src/llarp/crypto.js';
import { sealFrame } from '../../src/llarp/frame.js';
import { readLlarp, writeLlarp } from '../../src/llarp/read.js';
import { signed } from '../../src/llarp/signed.js';
import { RELAY_RECORD, ROUTER_CONTACT, type RouterContact } from '../../src/llarp/structures.js';
import { HIDDEN_SERVICE_FRAME, type HiddenServiceFrame } from '../../src/llarp/routing-messages.js';
import {
  contactFault,
  makeContact,
  MAX_CONTACT_BYTES,
  newRouterKeys,
} from '../../src/llarp/router/contact.js';
import { ContactBook } from '../../src/llarp/router/contact-book.js';
import { byDistance } from '../../src/llarp/router/distance.js';
import { makeCommit, readCommit } from '../../src/llarp/path/commit.js';
import { Hops, MAX_HOPS_OF_ONE, type Hop } from '../../src/llarp/path/hops.js';
import { Sequencer } from '../../src/llarp/path/sequencer.js';
import { createTestClock } from '../helpers/test-clock.js';
import { Lab, NETWORK, seeded } from './lab.js';

function frame(text: string): HiddenServiceFrame {
  return {
    kind: 'next',
    data: Uint8Array.from(Buffer.from(text)),
    nonce: new Uint8Array(32),
    tag: new Uint8Array(16),
    source: new Uint8Array(16),
    signature: new Uint8Array(64),
    version: 0n,
  };
}

function textOf(bytes: Uint8Array): string {
  const read = readLlarp(HIDDEN_SERVICE_FRAME, bytes);
  if (!read.ok || read.value.kind !== 'next') throw new Error('not a frame');
  return Buffer.from(read.value.data).toString();
}

const id = (n: number): Uint8Array => Uint8Array.from(Buffer.from(String(n).padStart(16)));
const at = (time: bigint) => ({ network: NETWORK, now: time });
const key = (byte: number): Uint8Array => new Uint8Array(32).fill(byte);

t.test('a path of one to eight hops is confirmed and measured', (t) => {
  const lab = new Lab(10);
  for (let length = 1; length <= 8; length++) {
    const hops = Array.from({ length }, (_, i) => i + 1);
    const { path, ends } = lab.path(0, hops);
    lab.clock.advance(2_000);
    t.equal(path.state, 'ready', `${length} hops`);
    t.ok((path.latencyMs ?? 0) >= 2 * length * lab.delayMs, 'a round trip');
    t.same(path.farthestRouter, lab.router(length).contact.signingKey);
    t.same(ends, []);
  }
  t.equal(lab.router(1).hops, 8);
  t.equal(lab.router(8).hops, 1);
  t.throws(() => lab.path(0, [1, 2, 3, 4, 5, 6, 7, 8, 9]), /1 to 8 hops/);
  t.end();
});

t.test('a frame goes from one path to another at their common end', (t) => {
  const lab = new Lab(8);
  const alice = lab.path(0, [1, 2, 3]);
  const bob = lab.path(4, [5, 6, 3]);
  lab.clock.advance(2_000);
  for (let i = 0; i < 5; i++) {
    t.ok(
      alice.path.send({
        kind: 'transfer',
        pathId: bob.path.farthestId,
        frame: frame(`to bob ${i}`),
        version: 0n,
      }),
    );
    t.ok(
      bob.path.send({
        kind: 'transfer',
        pathId: alice.path.farthestId,
        frame: frame(`to alice ${i}`),
        version: 0n,
      }),
    );
  }
  lab.clock.advance(1_000);
  t.same(
    bob.frames.map(textOf),
    [0, 1, 2, 3, 4].map((i) => `to bob ${i}`),
  );
  t.same(
    alice.frames.map(textOf),
    [0, 1, 2, 3, 4].map((i) => `to alice ${i}`),
  );
  t.same([alice.messages, bob.messages], [[], []]);
  t.end();
});

t.test('a frame for a path that is not there is answered with its number', (t) => {
  const lab = new Lab(5);
  const { path, messages } = lab.path(0, [1, 2, 3]);
  lab.clock.advance(2_000);
  path.send({ kind: 'transfer', pathId: new Uint8Array(16), frame: frame('lost'), version: 0n });
  lab.clock.advance(1_000);
  t.match(messages, [{ kind: 'discarded', pathId: new Uint8Array(16), sequence: 1n }]);
  t.equal(lab.router(3).droppedAtEnd.discarded, 1);
  t.end();
});

t.test('a path with a third of all datagrams lost still carries everything, in order', (t) => {
  const lab = new Lab(8);
  const alice = lab.path(0, [1, 2, 3]);
  const bob = lab.path(4, [5, 6, 3]);
  lab.clock.advance(2_000);
  let seed = 1;
  lab.loses = () => {
    seed = (seed * 48_271) % 2_147_483_647;
    return seed % 3 === 0;
  };
  const sent = Array.from({ length: 50 }, (_, i) => `message ${i}`);
  for (const text of sent) {
    alice.path.send({
      kind: 'transfer',
      pathId: bob.path.farthestId,
      frame: frame(text),
      version: 0n,
    });
  }
  lab.clock.advance(20_000);
  t.same(bob.frames.map(textOf).toSorted(), sent.toSorted());
  t.end();
});

t.test('a path ends with its lifetime, and its hops forget it', (t) => {
  const lab = new Lab(5);
  const { path, ends } = lab.path(0, [1, 2, 3], 60n);
  lab.clock.advance(59_000);
  t.equal(path.state, 'ready');
  t.equal(lab.router(2).hops, 1);
  lab.clock.advance(20_000);
  t.same(ends, ['expired']);
  t.equal(lab.router(2).hops, 0);
  t.notOk(path.send({ kind: 'latency', version: 0n }));
  t.end();
});

t.test('a hop that dies ends the path, at the first hop and in the middle', (t) => {
  for (const victim of [1, 2, 3]) {
    const lab = new Lab(5);
    const { path, ends } = lab.path(0, [1, 2, 3]);
    lab.clock.advance(2_000);
    t.equal(path.state, 'ready');
    lab.kill(victim);
    lab.clock.advance(120_000);
    t.equal(ends.length, 1, `hop ${victim}`);
    t.match(ends[0], /^(link|silent)$/);
  }
  const dead = new Lab(5);
  dead.kill(2);
  const { ends } = dead.path(0, [1, 2, 3]);
  dead.clock.advance(20_000);
  t.same(ends, ['not-built']);
  t.end();
});

t.test(
  'no hop learns its place: all commits look alike, and each hop reads only its own record',
  (t) => {
    const random = seeded('commit');
    const routers = Array.from({ length: 3 }, () => {
      const keys = newRouterKeys(random);
      return {
        keys,
        contact: makeContact(keys, { network: NETWORK, host: '127.0.0.1', port: 1, now: 5n }),
      };
    });
    const commit = makeCommit(
      routers.map(({ contact }) => contact),
      random,
    );
    if (!commit) throw new Error('no commit');
    let { frames } = commit;
    const shape = JSON.stringify(frames.map(({ length }) => length));
    for (const [i, { keys }] of routers.entries()) {
      t.equal(JSON.stringify(frames.map(({ length }) => length)), shape);
      for (const other of routers) {
        if (other.keys !== keys)
          t.match(readCommit(frames, other.keys.path, random), { reason: 'frame' });
      }
      const read = readCommit(frames, keys.path, random);
      if (!read.ok) throw new Error(read.reason);
      t.same(read.value.key, commit.hops[i]?.key);
      t.same(read.value.record.receiveId, commit.hops[i]?.receiveId);
      t.same(read.value.record.nextHop, (routers[i + 1] ?? routers[i])?.contact.signingKey);
      t.equal(read.value.lifetimeMs, 600_000);
      frames = read.value.frames;
    }
    t.match(
      readCommit(frames.slice(1), routers[0]?.keys.path ?? newRouterKeys(random).path, random),
      {
        reason: 'frames',
      },
    );
    t.end();
  },
);

t.test('replayed and foreign datagrams change nothing', (t) => {
  const lab = new Lab(5);
  lab.records = true;
  const alice = lab.path(0, [1, 2, 3]);
  const bob = lab.path(4, [2, 1, 3]);
  lab.clock.advance(2_000);
  alice.path.send({
    kind: 'transfer',
    pathId: bob.path.farthestId,
    frame: frame('once'),
    version: 0n,
  });
  lab.clock.advance(1_000);
  lab.records = false;
  const before = lab.routers.map(({ hops, links }) => ({ hops, links }));
  for (const { packet, from, to } of lab.recorded) lab.carry(packet, from, to);
  for (const { packet, to } of lab.recorded.slice(0, 50)) lab.carry(packet, '10.9.9.9:1', to);
  lab.clock.advance(3_000);
  t.same(bob.frames.map(textOf), ['once']);
  t.same(
    lab.routers.map(({ hops, links }) => ({ hops, links })),
    before,
  );
  t.same([alice.path.state, bob.path.state], ['ready', 'ready']);
  t.end();
});

t.test('a path may cross a router twice, and a loop of one router ends', (t) => {
  const lab = new Lab(4);
  const twice = lab.path(0, [1, 2, 1, 3]);
  lab.clock.advance(2_000);
  t.equal(twice.path.state, 'ready');
  const { frames } = makeCommit([lab.router(1).contact], seeded('flood')) ?? { frames: [] };
  for (let i = 0; i < 50; i++) {
    lab
      .router(0)
      .sendLink(lab.router(1).contact.signingKey, { kind: 'commit', frames, version: 0n });
  }
  lab.clock.advance(2_000);
  t.equal(lab.router(1).hops, 3, 'one path with the same id is taken');
  const { hop, rate } = lab.router(1).dropped;
  t.equal(hop + rate, 49, 'and too many at once are not even read');
  t.end();
});

t.test('the paths of one neighbour are bounded, and their ids are their own', (t) => {
  const clock = createTestClock();
  const hops = new Hops(clock);
  const hop = (previous: string, n: number, next?: string): Hop => ({
    key: new Uint8Array(32),
    receiveId: id(n),
    transmitId: id(n),
    previous,
    next,
    expiresAt: clock.now() + 1_000,
    sequence: 0n,
  });
  for (let i = 0; i < MAX_HOPS_OF_ONE; i++)
    t.equal(hops.add(hop('mallory', i, 'carol')), undefined);
  t.equal(hops.add(hop('mallory', 9_999, 'carol')), 'too-many');
  t.equal(hops.add(hop('alice', 9_999, 'carol')), undefined, 'another neighbour has room');
  t.equal(hops.add(hop('alice', 9_999, 'dave')), 'id-taken');
  t.equal(hops.add(hop('alice', 5, 'carol')), 'id-taken', 'an id that mallory uses to carol');
  t.equal(hops.add(hop('alice', 5, 'dave')), undefined);
  t.equal(hops.add(hop('alice', 7)), undefined);
  t.equal(hops.add(hop('bob', 7)), 'id-taken', 'an end that frames are sent to');
  t.equal(hops.end(id(7))?.previous, 'alice');
  t.equal(hops.upstream('bob', id(7)), undefined);
  t.equal(hops.downstream('dave', id(5))?.previous, 'alice');
  hops.removeNeighbour('dave');
  t.equal(hops.downstream('dave', id(5)), undefined);
  clock.advance(1_000);
  t.equal(hops.end(id(7)), undefined, 'expired');
  t.equal(hops.add(hop('mallory', 9_999, 'carol')), undefined, 'expired paths make room');
  t.equal(hops.size, 1);
  t.end();
});

t.test('a contact is used only while it is good', (t) => {
  const keys = newRouterKeys(seeded('contact'));
  const now = 10_000_000n;
  const contact = makeContact(keys, { network: NETWORK, host: '127.0.0.1', port: 5, now });
  t.equal(contactFault(contact, at(now)), undefined);
  t.equal(contactFault(contact, at(now + 3_599_999n)), undefined);
  t.equal(contactFault(contact, at(now + 3_600_000n)), 'expired');
  t.equal(contactFault(contact, at(now - 60_001n)), 'future');
  t.equal(contactFault(contact, { network: new Uint8Array(8), now }), 'network');
  t.equal(contactFault({ ...contact, time: contact.time + 1n }, at(now)), 'signature');
  t.equal(contactFault({ ...contact, addresses: [] }, at(now)), 'address');
  const book = new ContactBook(NETWORK);
  t.equal(book.put(contact, now), undefined);
  const newer = makeContact(keys, { network: NETWORK, host: '127.0.0.1', port: 6, now: now + 5n });
  t.equal(book.put(newer, now), undefined);
  t.equal(book.put(contact, now), undefined);
  t.equal(book.get(contact.signingKey)?.addresses[0]?.port, 6n, 'an older contact does not return');
  book.expire(now + 4_000_000n);
  t.equal(book.size, 0);
  t.end();
});

t.test('a contact that is too long for the record of a hop is refused, and stops nobody', (t) => {
  const lab = new Lab(3);
  const keys = newRouterKeys(seeded('long'));
  const place = { network: NETWORK, host: '127.0.9.9', port: 9, now: lab.wallClock() };
  const small = makeContact(keys, place);
  const withAddresses = (count: number) =>
    signed<RouterContact>(
      ROUTER_CONTACT,
      { ...small, addresses: Array.from({ length: count }, () => small.addresses).flat() },
      keys.signing.seed,
    );
  const long = withAddresses(20);
  t.equal(lab.router(0).book.put(long, lab.wallClock()), 'too-long');
  const handlers = {
    onReady: () => undefined,
    onEnd: () => undefined,
    onMessage: () => undefined,
    onFrame: () => undefined,
  };
  for (const hops of [[long], [lab.router(1).contact, long]]) {
    t.equal(lab.router(0).createPath(hops, handlers), undefined);
  }
  // The longest contact that is good leaves room for a proof of work.
  const sizes = Array.from({ length: 20 }, (_, i) => withAddresses(i + 1)).filter(
    (contact) => writeLlarp(ROUTER_CONTACT, contact).length <= MAX_CONTACT_BYTES,
  );
  const longest = sizes.at(-1);
  if (!longest) throw new Error('no contact is short enough');
  const work = { created: 2n ** 64n - 1n, extendedSeconds: 2n ** 32n - 1n, version: 0n };
  const works = [work, work].map((each) => ({ ...each, nonce: new Uint8Array(32) }));
  t.ok(makeCommit([lab.router(1).contact, longest], seeded('commit'), 600n, works));
  const exit = {
    address: new Uint8Array(16),
    netmask: new Uint8Array(16),
    key: new Uint8Array(32),
  };
  const exits = Array.from({ length: 10 }, () => ({ ...exit, policies: [], version: 0n }));
  t.throws(() => makeContact(keys, { ...place, exits }), /name fewer exits and policies/);
  t.end();
});

t.test('the creator of a path tells a hop the contact of the next one, and of no other', (t) => {
  const lab = new Lab(3);
  const random = seeded('told');
  const [told, next] = [newRouterKeys(random), newRouterKeys(random)].map((keys, port) =>
    makeContact(keys, { network: NETWORK, host: '127.0.9.9', port, now: lab.wallClock() }),
  );
  if (!told || !next) throw new Error('no contacts');
  const hop = lab.router(1).contact;
  const ask = (nextHop: Uint8Array): void => {
    const record = RELAY_RECORD.write({
      commitKey: newExchangeKeys(random).publicKey,
      nextHop,
      nonce: random(32),
      receiveId: random(16),
      transmitId: random(16),
      nextContact: told,
      version: 0n,
    });
    if (!isDict(record)) throw new Error('not a dictionary');
    const fill = 1_024 - encode(new Map(record).set('zz', new Uint8Array(0))).length - 2;
    const bytes = encode(new Map(record).set('zz', new Uint8Array(fill)));
    const first = sealFrame(bytes, hop.pathKey, random);
    if (!first) throw new Error('no frame');
    const frames = [first, ...Array.from({ length: 7 }, () => random(first.length))];
    lab.router(0).sendLink(hop.signingKey, { kind: 'commit', frames, version: 0n });
    lab.clock.advance(500);
  };
  ask(next.signingKey);
  t.same(
    [lab.router(1).dropped.commit, lab.router(1).hops],
    [0, 0],
    'read, and there is no way on',
  );
  t.equal(lab.router(1).book.get(told.signingKey), undefined);
  ask(told.signingKey);
  t.same(lab.router(1).book.get(told.signingKey), told);
  t.end();
});

t.test('the nearest keys by exclusive or', (t) => {
  const sorted = [8, 1, 3, 2].map(key).toSorted(byDistance(key(3)));
  t.same(
    sorted.map(([first]) => first),
    [3, 2, 1, 8],
  );
  t.end();
});

t.test(
  'routing messages are delivered in order, each once; a gap is waited for and given up',
  (t) => {
    const clock = createTestClock();
    const seen: number[] = [];
    const sequencer = new Sequencer<number>(clock, (message) => seen.push(message));
    t.ok(sequencer.add(0n, 0));
    t.ok(sequencer.add(2n, 2));
    t.notOk(sequencer.add(2n, 2));
    t.notOk(sequencer.add(0n, 0));
    t.same(seen, [0]);
    t.ok(sequencer.add(1n, 1));
    t.same(seen, [0, 1, 2]);
    sequencer.add(5n, 5);
    clock.advance(499);
    t.same(seen, [0, 1, 2]);
    clock.advance(1);
    t.same(seen, [0, 1, 2, 5]);
    t.ok(sequencer.add(4n, 4), 'late, because a link had to send it again');
    t.notOk(sequencer.add(4n, 4), 'and only once');
    t.same(seen, [0, 1, 2, 5, 4]);
    t.notOk(sequencer.add(2n ** 64n - 1n, 9), 'too far ahead');
    for (let i = 0; i < 200; i++) sequencer.add(7n + BigInt(i), 7 + i);
    t.ok(sequencer.waiting <= 65, 'bounded');
    sequencer.close();
    t.equal(clock.pending, 0);
    t.end();
  },
);
