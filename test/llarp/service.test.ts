/** Hidden services that keep conversations going, over routers in one process. */
import t, { type Test } from 'tap';
import type { Path } from '../../src/llarp/path/path.js';
import { readLlarp } from '../../src/llarp/read.js';
import { HIDDEN_SERVICE_FRAME, type HiddenServiceFrame } from '../../src/llarp/routing-messages.js';
import { keyText } from '../../src/llarp/router/distance.js';
import type { PathHandlers } from '../../src/llarp/router/router.js';
import { RENEW_AFTER_MS } from '../../src/llarp/service/conversation.js';
import { MAX_SEARCHES } from '../../src/llarp/service/dht-client.js';
import { MAX_REMOTES, ServiceEndpoint } from '../../src/llarp/service/endpoint.js';
import { beginConversation, MAX_PAYLOAD_BYTES } from '../../src/llarp/service/frames.js';
import {
  Handshakes,
  HANDSHAKES_PER_SECOND,
  MAX_REPLY_LIFE_MS,
  MAX_WAITING,
} from '../../src/llarp/service/handshakes.js';
import {
  addressOfService,
  makeIntroset,
  newServiceKeys,
  serviceInfo,
  type ServiceKeys,
} from '../../src/llarp/service/keys.js';
import type { PathMaker } from '../../src/llarp/service/path-pool.js';
import { MAX_QUEUED, MAX_QUEUED_BYTES } from '../../src/llarp/service/outbox.js';
import type { PublishState } from '../../src/llarp/service/publisher.js';
import { Lab, seeded } from './lab.js';

const PROTOCOL = 7n;
const aliceKeys = newServiceKeys(seeded('alice'));
const bobKeys = newServiceKeys(seeded('bob'));
const alice = keyText(addressOfService(aliceKeys));
const bob = keyText(addressOfService(bobKeys));

/** A service on a router of the lab, and what it saw. */
class Service {
  readonly messages: string[] = [];
  readonly states: PublishState[] = [];
  readonly faults: string[] = [];
  readonly paths: Path[] = [];
  readonly frames: { readonly bytes: Uint8Array; readonly again: () => void }[] = [];
  readonly endpoint: ServiceEndpoint;
  /** Gets the frames in place of the service, where it is set. */
  onLost: ((bytes: Uint8Array) => void) | undefined;

  constructor(lab: Lab, index: number, keys: ServiceKeys, publishes = true) {
    const { clock, wallClock } = lab;
    const router = lab.router(index);
    const watched: PathMaker = {
      book: router.book,
      get contact() {
        return router.contact;
      },
      createPath: (routers, handlers, lifetime) => {
        const path = router.createPath(routers, this.#watching(handlers), lifetime);
        if (path) this.paths.push(path);
        return path;
      },
    };
    this.endpoint = new ServiceEndpoint({
      clock,
      wallClock,
      randomBytes: seeded(`service ${index} ${clock.now()}`),
      router: watched,
      keys,
      publishes,
      onMessage: (from, protocol, payload) => {
        if (protocol !== PROTOCOL) throw new Error(`protocol ${protocol}`);
        this.messages.push(`${from.slice(0, 4)} ${Buffer.from(payload).toString()}`);
      },
      onState: (state) => this.states.push(state),
      onUnreachable: (_, fault) => this.faults.push(fault),
    });
  }

  /** Texts of the messages. */
  get texts(): readonly string[] {
    return this.messages.map((message) => message.slice(5));
  }

  send(to: string, text: string): boolean {
    return this.endpoint.send(to, PROTOCOL, Buffer.from(text));
  }

  #watching(handlers: PathHandlers): PathHandlers {
    return {
      ...handlers,
      onFrame: (bytes) => {
        if (this.onLost) {
          this.onLost(bytes);
          return;
        }
        this.frames.push({ bytes, again: () => handlers.onFrame(bytes) });
        handlers.onFrame(bytes);
      },
    };
  }
}

function kindsOf(service: Service): readonly string[] {
  return service.frames.map(({ bytes }) => {
    const read = readLlarp(HIDDEN_SERVICE_FRAME, bytes);
    return read.ok ? read.value.kind : read.reason;
  });
}

interface Scene {
  readonly lab: Lab;
  readonly alice: Service;
  readonly bob: Service;
}

/** Alice only reaches others; Bob can be found. */
function scene(t: Test, routers = 12): Scene {
  const lab = new Lab(routers);
  const services = {
    alice: new Service(lab, 0, aliceKeys, false),
    bob: new Service(lab, 1, bobKeys),
  };
  t.teardown(() => {
    services.alice.endpoint.close();
    services.bob.endpoint.close();
  });
  lab.clock.advance(4_000);
  return { lab, ...services };
}

t.test('a service publishes itself, and another one talks with it', (t) => {
  const at = scene(t);
  t.same(at.bob.states, ['reachable']);
  at.alice.send(bob, 'beep');
  at.alice.send(bob, 'boop');
  at.lab.clock.advance(3_000);
  t.same(at.bob.messages, [`${alice.slice(0, 4)} beep`, `${alice.slice(0, 4)} boop`]);
  t.same(kindsOf(at.bob), ['begin', 'next', 'next'], 'both variants');
  at.bob.send(alice, 'hello alice');
  at.lab.clock.advance(1_000);
  t.same(at.alice.texts, ['hello alice'], 'the other side needs no introset to answer');
  t.same(kindsOf(at.alice), ['next', 'next'], 'the answer to the first frame, and the message');
  t.throws(() => at.alice.endpoint.send(bob, PROTOCOL, new Uint8Array(MAX_PAYLOAD_BYTES + 1)));
  at.alice.endpoint.send(bob, PROTOCOL, new Uint8Array(MAX_PAYLOAD_BYTES));
  at.lab.clock.advance(1_000);
  t.equal(at.bob.texts.at(-1)?.length, MAX_PAYLOAD_BYTES, 'the longest message fits');
  t.end();
});

t.test('look-ups use other ends than introductions', (t) => {
  const at = scene(t, 16);
  const [introductions, lookUps] = [at.bob.paths.slice(0, 3), at.bob.paths.slice(3, 5)];
  const ends = [...introductions, ...lookUps].map(({ farthestRouter }) => keyText(farthestRouter));
  t.equal(new Set(ends).size, 5);
  for (const { hops } of at.bob.paths) {
    const routers = new Set(hops.map(({ router }) => keyText(router)));
    t.equal(routers.size, 3, 'three different routers');
    t.notOk(routers.has(keyText(at.lab.router(1).contact.signingKey)), 'never its own');
  }
  t.end();
});

t.test('an address without a service is not found, and nothing is kept', (t) => {
  const at = scene(t);
  at.alice.send('ab'.repeat(32), 'anybody?');
  at.lab.clock.advance(10_000);
  t.same(at.alice.faults, ['not-found']);
  at.lab.clock.advance(180_000);
  t.equal(at.alice.endpoint.sizes.remotes, 0);
  t.end();
});

t.test('a service that can be found and does not answer is given up after five tries', (t) => {
  const at = scene(t);
  const lost: string[] = [];
  // Its paths are there, and what comes through them is thrown away.
  at.bob.onLost = (bytes) => {
    const read = readLlarp(HIDDEN_SERVICE_FRAME, bytes);
    lost.push(read.ok ? read.value.kind : read.reason);
  };
  t.ok(at.alice.send(bob, 'anybody?'));
  at.lab.clock.advance(18_000);
  t.same(at.alice.faults, [], 'five first frames, with 4 s for each');
  at.lab.clock.advance(12_000);
  t.same(at.alice.faults, ['no-answer']);
  t.same(lost, ['begin', 'begin', 'begin', 'begin', 'begin']);
  at.lab.clock.advance(60_000);
  t.equal(lost.length, 5, 'what waited is dropped');
  at.bob.onLost = undefined;
  at.alice.send(bob, 'and now?');
  at.lab.clock.advance(10_000);
  t.same(at.bob.texts, ['and now?'], 'the next message has five tries of its own');
  t.end();
});

t.test('a service that lost its memory rejects, and the conversation begins anew', (t) => {
  const at = scene(t);
  at.alice.send(bob, 'before');
  at.lab.clock.advance(3_000);
  t.same(at.bob.texts, ['before']);
  at.bob.endpoint.close();
  const again = new Service(at.lab, 1, bobKeys);
  t.teardown(() => again.endpoint.close());
  at.lab.clock.advance(6_000);
  at.alice.send(bob, 'after');
  at.lab.clock.advance(20_000);
  t.same(again.texts, ['after'], 'the message was not lost');
  t.end();
});

t.test('an unknown tag is answered with a reject that the service signed', (t) => {
  const at = scene(t);
  at.alice.send(bob, 'before');
  at.lab.clock.advance(3_000);
  const forged: HiddenServiceFrame = {
    kind: 'reject',
    rejected: 1n,
    tag: tagOf(at.alice.frames[0]?.bytes),
    source: new Uint8Array(16),
    signature: new Uint8Array(64),
    version: 0n,
  };
  const [path] = at.bob.paths.filter(({ state }) => state === 'ready');
  const [end] = at.alice.paths.filter(
    (each) => path && keyText(each.farthestRouter) === keyText(path.farthestRouter),
  );
  if (path && end) {
    path.send({ kind: 'transfer', pathId: end.farthestId, frame: forged, version: 0n });
  }
  at.lab.clock.advance(1_000);
  t.equal(at.alice.endpoint.countsOf(bob)?.rejected, 0, 'a forged one changes nothing');
  t.equal(at.alice.endpoint.sizes.conversations, 1);
  t.end();
});

function tagOf(bytes: Uint8Array | undefined): Uint8Array {
  const read = bytes && readLlarp(HIDDEN_SERVICE_FRAME, bytes);
  if (read?.ok !== true || read.value.kind === 'begin') throw new Error('no tag');
  return read.value.tag;
}

t.test('frames that are repeated have no effect', (t) => {
  const at = scene(t, 6);
  at.alice.send(bob, 'once');
  at.lab.clock.advance(3_000);
  t.same(at.bob.texts, ['once']);
  const { conversations, tags } = at.bob.endpoint.sizes;
  for (const { again } of at.bob.frames.slice()) again();
  at.lab.clock.advance(3_000);
  t.same(at.bob.texts, ['once']);
  t.equal(at.bob.endpoint.countsOf(alice)?.replay, 1);
  t.equal(at.bob.endpoint.handshakesDropped.repeated, 1);
  t.match(at.bob.endpoint.sizes, { conversations, tags });
  at.lab.clock.advance(Number(MAX_REPLY_LIFE_MS));
  t.equal(at.bob.endpoint.sizes.tags, 0, 'tags are forgotten');
  for (const { again } of at.bob.frames.slice(0, 2)) again();
  at.lab.clock.advance(3_000);
  t.equal(at.bob.endpoint.handshakesDropped.stale, 1, 'since the frame is too old then');
  t.same(at.bob.texts, ['once']);
  t.end();
});

/** The routers of the path that a service used last for a message. */
function usedHops({ lab, alice: { paths } }: Scene): readonly number[] {
  const used = paths.findLast(({ state, hops }) => state === 'ready' && hops.length === 3);
  const numbers = lab.routers.map(({ contact }) => keyText(contact.signingKey));
  return (used?.hops ?? []).map(({ router }) => numbers.indexOf(keyText(router)));
}

t.test('a path of the sender dies: the conversation takes another one', (t) => {
  const at = scene(t, 16);
  at.alice.send(bob, 'first');
  at.lab.clock.advance(3_000);
  const [, middle = -1] = usedHops(at);
  at.lab.kill(middle);
  at.alice.send(bob, 'lost on its way');
  at.lab.clock.advance(1_000);
  at.alice.endpoint.doubt(bob);
  at.lab.clock.advance(8_000);
  at.alice.send(bob, 'second');
  at.bob.send(alice, 'answer');
  at.lab.clock.advance(3_000);
  t.equal(at.bob.texts.at(-1), 'second');
  t.equal(at.alice.texts.at(-1), 'answer', 'the answer takes the new way');
  t.ok((at.alice.endpoint.countsOf(bob)?.moved ?? 0) > 0);
  t.end();
});

t.test('the router of an introduction dies: another introduction is used', (t) => {
  const at = scene(t, 16);
  at.alice.send(bob, 'first');
  at.lab.clock.advance(3_000);
  const end = usedHops(at).at(-1) ?? -1;
  at.lab.kill(end);
  at.alice.endpoint.doubt(bob);
  at.lab.clock.advance(8_000);
  at.alice.send(bob, 'second');
  at.lab.clock.advance(3_000);
  t.equal(at.bob.texts.at(-1), 'second');
  at.bob.send(alice, 'answer');
  at.lab.clock.advance(8_000);
  t.equal(at.alice.texts.at(-1), 'answer');
  t.end();
});

t.test('a path of the receiver that is gone is reported, and the message is sent again', (t) => {
  const at = scene(t, 16);
  at.alice.send(bob, 'first');
  at.lab.clock.advance(3_000);
  // Both sides have heard from each other, so none of them looks for another way.
  at.lab.clock.advance(8_000);
  const used = usedHops(at);
  const end = at.lab.router(used.at(-1) ?? -1).contact.signingKey;
  const numbers = at.lab.routers.map(({ contact }) => keyText(contact.signingKey));
  const [, before] =
    at.bob.paths.find(({ farthestRouter }) => keyText(farthestRouter) === keyText(end))?.hops ?? [];
  const dead = numbers.indexOf(keyText(before?.router ?? new Uint8Array(32)));
  t.notOk(used.includes(dead) || dead < 2, 'a router that only the path of Bob uses');
  at.lab.kill(dead);
  // The last router loses the link to it, and forgets the path.
  at.lab.clock.advance(36_000);
  at.alice.send(bob, 'second');
  at.alice.send(bob, 'third');
  at.lab.clock.advance(12_000);
  t.same(at.bob.texts.toSorted(), ['first', 'second', 'third']);
  t.ok((at.alice.endpoint.countsOf(bob)?.discarded ?? 0) > 0);
  t.end();
});

t.test('a conversation lives longer than its paths and keys, and loses nothing', (t) => {
  const at = scene(t, 8);
  const sent: string[] = [];
  const answered: string[] = [];
  const minutes = 13;
  for (let i = 0; i < minutes * 6; i++) {
    const text = `message ${i}`;
    sent.push(text);
    at.alice.send(bob, text);
    if (i % 3 === 2) {
      answered.push(text);
      at.bob.send(alice, text);
    }
    at.lab.clock.advance(10_000);
  }
  t.same(at.bob.texts, sent);
  t.same(at.alice.texts, answered);
  const begins = kindsOf(at.bob).filter((kind) => kind === 'begin').length;
  t.ok(begins >= Math.floor((minutes * 60_000) / RENEW_AFTER_MS), `${begins} conversations`);
  t.ok(at.alice.paths.length > 4, `${at.alice.paths.length} paths`);
  t.same(at.bob.states, ['reachable'], 'it could be found all the time');
  const { conversations, paths } = at.alice.endpoint.sizes;
  t.ok(conversations <= 4 && paths <= 12, `${conversations} conversations, ${paths} paths now`);
  t.end();
});

t.test('what waits, and how many services are kept, is bounded', (t) => {
  // No path can be built: the only router is the own one.
  const lab = new Lab(1);
  const service = new Service(lab, 0, aliceKeys, false);
  t.teardown(() => service.endpoint.close());
  const sent = Array.from({ length: MAX_QUEUED + 5 }, (_, i) => service.send(bob, `${i}`));
  t.equal(sent.filter(Boolean).length, MAX_QUEUED);
  const long = new Uint8Array(MAX_PAYLOAD_BYTES);
  let bytes = 0;
  while (service.endpoint.send('ef'.repeat(32), PROTOCOL, long)) bytes += long.length;
  t.ok(bytes <= MAX_QUEUED_BYTES && bytes > MAX_QUEUED_BYTES - long.length, `${bytes} bytes`);
  const addresses = Array.from({ length: MAX_REMOTES + 10 }, (_, i) =>
    keyText(seeded(`address ${i}`)(32)),
  );
  const taken = addresses.filter((address) => service.send(address, 'hello'));
  t.equal(taken.length, MAX_REMOTES - 2, 'the two above are kept as well');
  t.equal(service.endpoint.sizes.remotes, MAX_REMOTES);
  t.equal(service.faults.length, taken.length + 2 - MAX_SEARCHES, 'look-ups are bounded, too');
  t.ok(service.faults.every((fault) => fault === 'too-many'));
  lab.clock.advance(300_000);
  t.equal(service.endpoint.sizes.remotes, 0, 'and all of it is forgotten');
  t.same(service.messages, []);
  t.end();
});

t.test('first frames wait in a queue, and are opened at a bounded rate', (t) => {
  const lab = new Lab(2);
  const seen = lab.path(0, [1]);
  lab.clock.advance(1_000);
  const { clock, wallClock } = lab;
  const random = seeded('flood');
  const begun: string[] = [];
  const handshakes = new Handshakes({
    clock,
    wallClock,
    keys: bobKeys,
    onBegun: ({ data }) => begun.push(keyText(data.tag)),
  });
  const introset = makeIntroset(bobKeys, [], wallClock());
  const source = random(16);
  const frameOf = (life: bigint, router = seen.path.farthestRouter) => {
    const data = {
      protocol: 0n,
      payload: new Uint8Array(0),
      replyTo: { router, pathId: source, expires: wallClock() + life, version: 0n },
      sequence: 0n,
      sender: serviceInfo(aliceKeys),
      tag: random(16),
      version: 0n,
    };
    const { frame } = beginConversation(aliceKeys, introset, { data, source }, random) ?? {};
    if (frame?.kind !== 'begin') throw new Error('no frame');
    return frame;
  };
  const right = frameOf(600_000n);
  for (let i = 0; i < MAX_WAITING + 36; i++) {
    handshakes.add({ ...right, nonce: random(32) }, seen.path);
  }
  t.equal(handshakes.waiting, MAX_WAITING);
  t.equal(handshakes.dropped.queue, 36);
  clock.advance(1_000);
  t.ok(handshakes.dropped.wrong <= 2 * HANDSHAKES_PER_SECOND);
  clock.advance(10_000);
  t.equal(handshakes.waiting, 0);
  t.same(begun, []);
  for (const frame of [
    right,
    right,
    frameOf(-1n),
    frameOf(MAX_REPLY_LIFE_MS + 1n),
    frameOf(600_000n, random(32)),
  ]) {
    handshakes.add(frame, seen.path);
  }
  clock.advance(2_000);
  t.equal(begun.length, 1);
  t.match(handshakes.dropped, { wrong: MAX_WAITING + 1, stale: 2, repeated: 1 });
  handshakes.close();
  t.end();
});
