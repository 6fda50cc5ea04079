/** Introsets in the DHT of the lab, and the frames of conversations between hidden services. */
import t from 'tap';
import { Introsets, serviceAddress } from '../../src/llarp/dht/introsets.js';
import { ANSWER_MS } from '../../src/llarp/dht/transactions.js';
import type { DhtMessage } from '../../src/llarp/dht-messages.js';
import { byDistance } from '../../src/llarp/router/distance.js';
import type { HiddenServiceData } from '../../src/llarp/routing-messages.js';
import {
  acceptConversation,
  beginConversation,
  isFrameOf,
  nextFrame,
  readNext,
  rejectFrame,
} from '../../src/llarp/service/frames.js';
import {
  addressOfService,
  makeIntroset,
  newServiceKeys,
  serviceInfo,
} from '../../src/llarp/service/keys.js';
import type { Introduction, Introset } from '../../src/llarp/structures.js';
import { Lab, seeded, type SeenPath } from './lab.js';

const service = newServiceKeys(seeded('service'));
const other = newServiceKeys(seeded('other'));

function introduction(expires: bigint): Introduction {
  return { router: new Uint8Array(32), pathId: new Uint8Array(16), expires, version: 0n };
}

/** Sends a DHT message over a path and returns what came back. */
function ask(
  lab: Lab,
  { path, messages }: SeenPath,
  message: DhtMessage,
  ms = 2_000,
): readonly DhtMessage[] {
  const before = messages.length;
  path.send({ kind: 'dht', messages: [message], version: 0n });
  lab.clock.advance(ms);
  return messages.slice(before).flatMap((each) => (each.kind === 'dht' ? each.messages : []));
}

function publish(introset: Introset, transaction: bigint, stored?: bigint): DhtMessage {
  const counter = stored === undefined ? {} : { stored };
  return { kind: 'publish', introset, randomWalk: 0n, transaction, version: 0n, ...counter };
}

function find(address: Uint8Array, transaction: bigint, recursive = true): DhtMessage {
  return { kind: 'findIntroset', recursive, address, transaction, version: 0n };
}

t.test('the counter of a publication says how many routers hold it: above 3 it is refused', (t) => {
  const lab = new Lab(1);
  const introset = makeIntroset(
    service,
    [introduction(lab.wallClock() + 600_000n)],
    lab.wallClock(),
  );
  const { dht } = lab.node(0);
  const cases = [
    [2n ** 64n - 1n, 0n],
    [4n, 0n],
    [3n, 1n],
    [0n, 1n],
  ] as const;
  for (const [stored, holders] of cases) {
    const answers: DhtMessage[] = [];
    const before = dht.stored;
    dht.onPath([publish(introset, 1n, stored)], (answer) => {
      answers.push(answer);
    });
    t.match(answers, [{ kind: 'acknowledge', holders }], `${stored}`);
    t.equal(dht.stored, holders === 0n ? before : 1);
  }
  t.end();
});

t.test('an introset that is published over one path is found over another', (t) => {
  const lab = new Lab(20);
  const publisher = lab.path(0, [1, 2, 3]);
  const reader = lab.path(4, [5, 6, 7]);
  lab.clock.advance(3_000);
  const introset = makeIntroset(
    service,
    [introduction(lab.wallClock() + 600_000n)],
    lab.wallClock(),
  );
  t.match(ask(lab, publisher, publish(introset, 7n)), [
    { kind: 'acknowledge', holders: 4n, transaction: 7n },
  ]);
  const holders = lab.nodes.filter(({ dht }) => dht.stored === 1);
  t.equal(holders.length, 4);
  const address = addressOfService(service);
  const nearest = lab.routers
    .map(({ contact }) => contact.signingKey)
    .toSorted(byDistance(address))
    .slice(0, 4);
  t.same(
    holders.map(({ router }) => router.contact.signingKey).toSorted(byDistance(address)),
    nearest,
    'the four nearest routers have it',
  );
  t.match(ask(lab, reader, find(address, 8n)), [
    { kind: 'gotIntroset', introsets: [introset], transaction: 8n },
  ]);
  t.match(ask(lab, reader, find(addressOfService(other), 9n)), [
    { kind: 'gotIntroset', introsets: [] },
  ]);
  t.end();
});

t.test('an iterative search names a nearer router; routers are found', (t) => {
  const lab = new Lab(20);
  const seen = lab.path(0, [1]);
  lab.clock.advance(1_000);
  const address = addressOfService(service);
  const compare = byDistance(address);
  const end = lab.router(1).contact.signingKey;
  const [nearest] = lab.routers.map(({ contact }) => contact.signingKey).toSorted(compare);
  const [got] = ask(lab, seen, find(address, 1n, false));
  t.match(got, { kind: 'gotIntroset', introsets: [], closer: nearest });
  t.ok(nearest && compare(nearest, end) < 0);
  const target = lab.router(9).contact;
  const question = {
    kind: 'findRouter',
    key: target.signingKey,
    transaction: 2n,
    version: 0n,
  } as const;
  t.match(ask(lab, seen, question), [{ kind: 'gotRouter', contacts: [target] }]);
  const [near] = ask(lab, seen, { ...question, key: address, exploratory: true, iterative: true });
  t.match(near, { kind: 'gotRouter', contacts: [], closer: nearest });
  t.ok(near?.kind === 'gotRouter' && near.near?.length === 16);
  t.end();
});

t.test('a router that does not answer costs a search its time, not more', (t) => {
  const lab = new Lab(12);
  const address = addressOfService(service);
  const order = lab.routers
    .map(({ contact }, index) => ({ key: contact.signingKey, index }))
    .toSorted((a, b) => byDistance(address)(a.key, b.key));
  const [nearest, , , creator, end] = order.map(({ index }) => index);
  if (nearest === undefined || creator === undefined || end === undefined) throw new Error('order');
  const seen = lab.path(creator, [end]);
  lab.clock.advance(1_000);
  lab.kill(nearest);
  t.same(ask(lab, seen, find(address, 1n), 500), []);
  lab.clock.advance(ANSWER_MS);
  t.match(seen.messages, [{ kind: 'dht', messages: [{ kind: 'gotIntroset', introsets: [] }] }]);
  t.end();
});

t.test('what is stored: valid, the newest, not expired', (t) => {
  const store = new Introsets();
  const now = 1_000_000n;
  const good = makeIntroset(service, [introduction(now + 10n)], now);
  t.equal(store.put(good, now), undefined);
  t.same(store.get(serviceAddress(good.publisher), now), good);
  t.equal(store.get(serviceAddress(good.publisher), now + 10n), undefined, 'expired');
  t.equal(store.put({ ...good, published: now + 1n }, now), 'signature');
  t.equal(store.put(makeIntroset(service, [introduction(now + 10n)], now - 1n), now), 'older');
  t.equal(store.put(makeIntroset(service, [introduction(now)], now), now), 'no-introduction');
  t.equal(store.put(makeIntroset(service, [introduction(now * 2n)], now + 60_001n), now), 'future');
  store.expire(now + 10n);
  t.equal(store.size, 0);
  const topic = new Uint8Array(16).fill(5);
  t.same(store.withTopic(topic, [], { now, most: 4 }), []);
  t.end();
});

t.test('the first frame and the next ones of a conversation', (t) => {
  const random = seeded('conversation');
  const tag = random(16);
  const source = random(16);
  const data = (text: string, sequence: bigint): HiddenServiceData => ({
    protocol: 0n,
    payload: Uint8Array.from(Buffer.from(text)),
    replyTo: introduction(5n),
    sequence,
    sender: serviceInfo(service),
    tag,
    version: 0n,
  });
  const target = makeIntroset(other, [introduction(5n)], 1n);
  const begun = beginConversation(service, target, { data: data('beep', 0n), source }, random);
  if (begun?.frame.kind !== 'begin') throw new Error('no frame');
  const accepted = acceptConversation(other, begun.frame);
  t.equal(Buffer.from(accepted?.data.payload ?? []).toString(), 'beep');
  t.same(accepted?.key, begun.key, 'both have the key of the conversation');
  t.equal(acceptConversation(service, begun.frame), undefined, 'another service');
  t.equal(acceptConversation(other, { ...begun.frame, source: random(16) }), undefined, 'changed');
  const next = nextFrame(service, begun.key, { data: data('boop', 1n), source }, random);
  if (next.kind !== 'next') throw new Error('no frame');
  t.equal(
    Buffer.from(readNext(next, begun.key, serviceInfo(service))?.payload ?? []).toString(),
    'boop',
  );
  t.equal(readNext(next, random(32), serviceInfo(service)), undefined, 'another key');
  t.equal(readNext(next, begun.key, serviceInfo(other)), undefined, 'another sender');
  t.equal(readNext({ ...next, tag: random(16) }, begun.key, serviceInfo(service)), undefined);
  const reject = rejectFrame(other, tag, source);
  t.ok(isFrameOf(reject, serviceInfo(other)));
  t.notOk(isFrameOf(reject, serviceInfo(service)));
  t.end();
});
