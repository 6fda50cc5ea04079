/** Exits over three hops (rows D25, D26, D29 and D30): granted, used, refused, moved, closed, and what strangers cannot do. */
import t from 'tap';
import { MAX_LIFETIME_SECONDS, MAX_WAITING } from '../../src/llarp/exit/exits.js';
import { BYTES_PER_SECOND } from '../../src/llarp/exit/granted.js';
import { newSigningKeys } from '../../src/llarp/crypto.js';
import { FIRST_RATE, LEAST_PACE, Pace } from '../../src/llarp/exit/pace.js';
import { NO_SIGNATURE, signedBy } from '../../src/llarp/exit/signing.js';
import type { AccessRequest } from '../../src/llarp/exit/access.js';
import type { Unnumbered } from '../../src/llarp/path/path.js';
import type { RoutingMessage } from '../../src/llarp/routing-messages.js';
import type { TrafficPolicy } from '../../src/llarp/structures.js';
import { createTestClock } from '../helpers/test-clock.js';
import { address, CLIENT, EXIT, ExitScene, SERVER, udp } from './exit-scene.js';
import { seeded } from './lab.js';

const random = seeded('exit test');
const drops = (protocol: number, port: number): TrafficPolicy => ({
  protocol: BigInt(protocol),
  port: BigInt(port),
  drop: true,
  version: 0n,
});
const blank = { nonce: random(16), signature: NO_SIGNATURE, version: 0n } as const;
const withCode = (text: string) => ({ code: Uint8Array.from(Buffer.from(text)) });
const to = (port: number) => ({ ...SERVER, port });
/** A packet behind its number, as TITM holds it. */
function numbered(n: number, packet: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(8 + packet.length);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(n));
  bytes.set(packet, 8);
  return bytes;
}
const titm = (n: number, text: string): Unnumbered<RoutingMessage> => ({
  kind: 'traffic',
  packets: [numbered(n, udp(text))],
  version: 0n,
});
/** Answers of promises arrive after the turn. */
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function obtain(key: Uint8Array, lifetime = 600n): Unnumbered<RoutingMessage> {
  return {
    kind: 'obtainExit',
    forbidden: [],
    internet: true,
    key,
    transaction: 7n,
    required: [],
    lifetime,
    signature: NO_SIGNATURE,
    version: 0n,
  };
}

t.test(
  'a client that closes its exit while it moves ends, also when the new path does not last',
  (t) => {
    const scene = new ExitScene();
    const { exit, events } = scene.client();
    scene.pass();
    const { path } = scene.lab.path(0, [1, 2, EXIT]);
    scene.pass();
    t.ok(exit.moveTo(path));
    exit.close();
    exit.onPathEnd(path, 'link');
    t.equal(exit.state, 'closing');
    scene.lab.clock.advance(20_000);
    t.equal(exit.state, 'ended');
    t.same(events, ['open', 'closed']);
    t.end();
  },
);

t.test('an exit is granted, carries packets both ways, and is closed by its client', (t) => {
  const scene = new ExitScene();
  const { exit, events, packets } = scene.client();
  t.equal(exit.state, 'asking');
  t.notOk(exit.send(udp('too early')), 'not open yet');
  scene.pass();
  t.equal(exit.state, 'open');
  t.same(events, ['open']);
  t.ok(exit.send(udp('one'), udp('two')));
  t.ok(exit.send(udp('three')));
  scene.pass();
  t.same(scene.target.texts, ['one', 'two', 'three']);
  const [first] = scene.target.seen;
  t.same(first?.packet.source, address(10, 0, 0, 2), 'the address of the exit, not of the client');
  t.same(first?.exit.route.gateway, address(10, 0, 0, 1));
  t.equal(first?.exit.route.lifetimeMs, 600_000n);
  t.ok(first?.exit.toClient(udp('answer', CLIENT, SERVER)));
  t.ok(first?.exit.toClient(udp('another', CLIENT, SERVER)));
  scene.pass();
  t.same(packets, [udp('answer', CLIENT, SERVER), udp('another', CLIENT, SERVER)]);
  exit.close();
  scene.pass();
  t.same(events, ['open', 'closed']);
  t.equal(scene.exits.size, 0);
  t.equal(scene.target.closedExits.length, 1);
  t.notOk(first?.exit.toClient(udp('late', CLIENT, SERVER)));
  t.end();
});

t.test('an exit refuses, and says what and when to ask again', (t) => {
  const policies = [drops(17, 25), drops(6, 25)];
  const scene = new ExitScene({ policies });
  const cases = [
    { request: { required: [drops(17, 25), drops(17, 53)] }, counter: 'policy', rejected: 1 },
    { request: { internet: false }, counter: 'kind', rejected: 0 },
    { request: { lifetime: 0n }, counter: 'lifetime', rejected: 0 },
    { request: { lifetime: MAX_LIFETIME_SECONDS + 1n }, counter: 'lifetime', rejected: 0 },
  ] as const;
  for (const { request, counter, rejected } of cases) {
    const before = scene.exits.refused[counter];
    const { exit, events, rejections } = scene.client(request);
    scene.pass();
    t.equal(exit.state, 'ended');
    t.same(events, ['rejected']);
    t.equal(scene.exits.refused[counter], before + 1, counter);
    t.match(rejections, [{ backoffMs: 10_000n }]);
    t.equal(rejections[0]?.policies.length, rejected);
  }
  t.equal(scene.exits.size, 0);
  t.end();
});

t.test('packets that the exit or its client does not want are dropped', (t) => {
  const scene = new ExitScene({ policies: [drops(17, 25)] });
  const { exit, packets } = scene.client({ forbidden: [drops(17, 99)] });
  scene.pass();
  exit.send(udp('mail', to(25)), udp('forbidden', to(99)), udp('fine', to(53)));
  exit.send(Uint8Array.of(1, 2, 3), new Uint8Array(40).fill(0x45));
  scene.pass();
  t.same(scene.target.texts, ['fine']);
  t.equal(scene.exits.dropped.policy, 2);
  t.equal(scene.exits.dropped.packet, 2);
  const [seen] = scene.target.seen;
  t.notOk(seen?.exit.toClient(udp('from 99', CLIENT, to(99))));
  t.ok(seen?.exit.toClient(udp('from 53', CLIENT, to(53))));
  scene.pass();
  t.same(packets, [udp('from 53', CLIENT, to(53))]);
  t.end();
});

t.test('an exit moves to a new path, also after its path is gone', (t) => {
  const scene = new ExitScene();
  const { exit, events, packets, newPath, seen } = scene.client({}, { lifetime: 60n });
  scene.pass();
  exit.send(udp('over the first'));
  const second = newPath(0, [4, 5, EXIT], 120n);
  t.ok(exit.moveTo(second.path));
  t.equal(exit.state, 'moving');
  scene.pass();
  t.equal(exit.state, 'open');
  exit.send(udp('over the second'));
  scene.pass();
  t.same(scene.target.texts, ['over the first', 'over the second']);
  scene.target.seen[0]?.exit.toClient(udp('back', CLIENT, SERVER));
  scene.pass();
  t.same(packets, [udp('back', CLIENT, SERVER)]);
  scene.pass(70_000);
  t.same(seen.ends, ['expired']);
  t.equal(exit.state, 'open', 'the end of the first path does not matter');
  scene.pass(60_000);
  t.equal(exit.state, 'stranded');
  const third = newPath(0, [6, 7, EXIT]);
  t.ok(exit.moveTo(third.path));
  scene.pass();
  t.equal(exit.state, 'open');
  exit.send(udp('over the third'));
  scene.pass();
  t.same(scene.target.texts.slice(2), ['over the third']);
  t.equal(scene.exits.size, 1);
  t.same(events, ['open', 'stranded']);
  t.notOk(exit.moveTo(newPath(0, [1, 2, 4]).path), 'the end of a new path must be the same router');
  t.end();
});

t.test('an exit without a path is closed after a while', (t) => {
  const scene = new ExitScene();
  const { exit, events } = scene.client({}, { lifetime: 20n });
  scene.pass(25_000);
  t.equal(exit.state, 'stranded');
  t.equal(scene.exits.size, 1);
  scene.pass(40_000);
  t.equal(scene.exits.size, 0);
  exit.close();
  t.same(events, ['open', 'stranded', 'closed']);
  t.end();
});

t.test('an exit ends with its lifetime, and its client is told', (t) => {
  const scene = new ExitScene();
  const { events } = scene.client({ lifetime: 30n });
  scene.pass(31_000);
  t.same(events, ['open', 'closed-by-exit']);
  t.equal(scene.exits.size, 0);
  t.end();
});

t.test('the exit router goes: closed with a word, or silent', (t) => {
  const polite = new ExitScene();
  const told = polite.client();
  polite.pass();
  polite.exits.close();
  polite.pass();
  t.same(told.events, ['open', 'closed-by-exit']);

  const silent = new ExitScene();
  const left = silent.client();
  silent.pass();
  silent.lab.kill(EXIT);
  silent.pass(120_000);
  t.equal(left.events[1], 'stranded');
  t.notOk(left.exit.send(udp('nowhere')));

  const dead = new ExitScene();
  const { exit, events, seen } = dead.client();
  dead.lab.kill(EXIT);
  dead.pass(16_000);
  t.same(events, ['no-answer'], 'asked three times');
  t.equal(exit.state, 'ended');
  t.equal(seen.path.state, 'ready');
  t.end();
});

t.test('messages of another path, key or number change nothing', (t) => {
  const scene = new ExitScene();
  const { exit, seen } = scene.client();
  scene.pass();
  const other = scene.lab.path(4, [5, 6, EXIT]);
  scene.pass(1_000);
  const { path } = other;
  const mallory = newSigningKeys(random);
  // Traffic and the end of an exit that this path does not have.
  path.send({ kind: 'traffic', packets: [new Uint8Array(40)], version: 0n });
  path.send({ kind: 'closeExit', ...blank }, signedBy(mallory.seed));
  scene.pass();
  t.equal(scene.exits.dropped.unexpected, 2);
  // The exit of another client, moved with another key.
  const previousPath = seen.path.farthestId;
  const update = { kind: 'updateExit', previousPath, transaction: 1n, ...blank } as const;
  path.send(update, signedBy(mallory.seed));
  path.send({ ...update, previousPath: random(16) }, signedBy(mallory.seed));
  // An OXM whose signature is of another key, and one without a signature.
  path.send(obtain(exit.key), signedBy(mallory.seed));
  path.send(obtain(mallory.publicKey));
  // The client's own path, closed with another key.
  seen.path.send({ kind: 'closeExit', ...blank }, signedBy(mallory.seed));
  scene.pass();
  t.equal(scene.exits.dropped.signature, 4);
  t.equal(scene.exits.dropped.unexpected, 3);
  t.equal(scene.exits.size, 1);
  t.ok(exit.send(udp('still mine')));
  scene.pass();
  t.same(scene.target.texts, ['still mine']);
  // Answers that the exit did not sign, over the client's own path.
  const answers: readonly Unnumbered<RoutingMessage>[] = [
    { kind: 'closeExit', ...blank },
    { kind: 'rejectExit', backoffMs: 1n, rejected: [], transaction: 1n, ...blank },
  ];
  for (const answer of answers) {
    exit.onMessage(signedBy(mallory.seed)({ ...answer, sequence: 99n }), seen.path);
  }
  t.equal(exit.dropped.signature, 2);
  t.equal(exit.state, 'open');
  t.end();
});

t.test('one exit for a path and for a key; a repeated request gets the same answer', (t) => {
  const scene = new ExitScene();
  const keys = newSigningKeys(random);
  const { path, messages } = scene.lab.path(0, [1, 2, EXIT]);
  scene.pass(1_000);
  path.send(obtain(keys.publicKey), signedBy(keys.seed));
  path.send(obtain(keys.publicKey), signedBy(keys.seed));
  scene.pass();
  t.match(
    messages.map(({ kind }) => kind),
    ['grantExit', 'grantExit'],
  );
  const others = newSigningKeys(random);
  path.send(obtain(others.publicKey), signedBy(others.seed));
  const second = scene.lab.path(4, [5, 6, EXIT]);
  scene.pass(1_000);
  second.path.send(obtain(keys.publicKey), signedBy(keys.seed));
  scene.pass();
  t.equal(messages.at(-1)?.kind, 'rejectExit', 'the path has an exit');
  t.match(second.messages, [{ kind: 'rejectExit', transaction: 7n }], 'the key has an exit');
  t.equal(scene.exits.size, 1);
  t.end();
});

t.test(
  'a message that is repeated on a path has no effect, and the order of numbers is kept',
  (t) => {
    const scene = new ExitScene();
    const { exit, seen } = scene.client();
    scene.pass();
    seen.path.send(titm(1, 'second'));
    seen.path.send(titm(0, 'first'));
    seen.path.send(titm(0, 'again'));
    seen.path.send(titm(2, 'third'));
    scene.pass();
    t.same(scene.target.texts, ['first', 'second', 'third']);
    t.equal(scene.exits.dropped.order, 1);
    // A nonce that was used: the exit stays where it is.
    const moved = scene.lab.path(0, [4, 5, EXIT]);
    scene.pass(1_000);
    t.equal(exit.state, 'open');
    t.equal(moved.path.state, 'ready');
    t.end();
  },
);

t.test('a UXPM is taken once: its nonce does not count again', (t) => {
  const scene = new ExitScene();
  const keys = newSigningKeys(random);
  const { seen } = scene.client({ keys });
  scene.pass();
  const second = scene.lab.path(0, [4, 5, EXIT]);
  scene.pass(1_000);
  const previousPath = seen.path.farthestId;
  const update = { kind: 'updateExit', previousPath, transaction: 1n, ...blank } as const;
  second.path.send(update, signedBy(keys.seed));
  second.path.send(update, signedBy(keys.seed));
  scene.pass();
  t.match(second.messages, [{ kind: 'verifyExit', transaction: 1n }]);
  t.equal(second.messages.length, 1);
  t.equal(scene.exits.dropped.unexpected, 1);
  t.end();
});

t.test(
  'an exit that asks for a code: admitted, refused, without, of another key, and too late',
  async (t) => {
    const asked: AccessRequest[] = [];
    let answer: (() => void) | undefined;
    const scene = new ExitScene({
      async admits(request) {
        asked.push(request);
        const text = Buffer.from(request.code).toString();
        if (text === 'slow') {
          await new Promise<void>((resolve) => {
            answer = resolve;
          });
        }
        if (text === 'broken') throw new Error('no answer');
        return text === 'wrong' ? 'REJECT' : 'OKAY';
      },
    });
    const pass = async (): Promise<void> => {
      scene.pass();
      await turn();
      scene.pass();
    };
    const good = scene.client(withCode('good'));
    await pass();
    t.equal(good.exit.state, 'open');
    t.same(asked[0]?.client, good.exit.key);
    for (const [text, creator] of [
      ['wrong', 4],
      ['broken', 5],
    ] as const) {
      const refused = scene.client(withCode(text), { creator });
      await pass();
      t.same(refused.events, ['rejected'], text);
    }
    const without = scene.client({}, { creator: 6 });
    await pass();
    t.same(without.events, ['rejected'], 'no code');
    t.equal(asked.length, 3);
    // The path ends while the decision is made.
    const slow = scene.client(withCode('slow'), { creator: 7 });
    scene.pass();
    t.equal(scene.exits.waiting, 1);
    slow.seen.path.end('closed');
    scene.lab.kill(7);
    scene.pass(700_000);
    answer?.();
    await pass();
    t.equal(scene.exits.waiting, 0);
    t.notOk(slow.events.includes('open'));
    t.equal(scene.exits.refused.code, 3);
  },
);

t.test('too fast for the exit: DDFM for each dropped message, and the client slows down', (t) => {
  const scene = new ExitScene();
  const { exit, seen } = scene.client();
  scene.pass();
  const packet = udp('x'.repeat(15_000));
  // A client that does not pace itself: two packets in each message.
  let sent = 0;
  for (let round = 0; round < 10; round++) {
    for (let i = 0; i < 8; i++) {
      const packets = [numbered(2 * sent, packet), numbered(2 * sent + 1, packet)];
      if (seen.path.send({ kind: 'traffic', packets, version: 0n })) sent++;
    }
    scene.pass(60);
  }
  scene.pass(3_000);
  const discarded = seen.messages.filter(({ kind }) => kind === 'discarded');
  t.ok(discarded.length > 0, `${discarded.length} of ${sent}`);
  t.equal(scene.target.seen.length / 2 + discarded.length, sent, 'carried or reported');
  t.ok(scene.target.seen.length * packet.length <= 3 * BYTES_PER_SECOND);
  t.equal(exit.dropped.discarded, discarded.length);
  t.ok(exit.rate < FIRST_RATE, `${exit.rate} bytes a second`);
  t.equal(scene.exits.dropped.rate, discarded.length);
  t.end();
});

t.test('a target that is full: DDFM, the client halves its rate, and recovers', (t) => {
  const scene = new ExitScene();
  const { exit, seen } = scene.client();
  scene.pass();
  scene.target.isFull = true;
  const rates = [exit.rate];
  for (let i = 0; i < 4; i++) {
    exit.send(udp(`lost ${i}`));
    scene.pass(600);
    rates.push(exit.rate);
  }
  t.match(
    seen.messages.map(({ kind }) => kind),
    ['grantExit', 'discarded', 'discarded', 'discarded', 'discarded'],
  );
  t.same(
    seen.messages.slice(1).map((each) => 'pathId' in each && each.pathId),
    Array.from({ length: 4 }, () => seen.path.farthestId),
  );
  for (let i = 1; i < rates.length; i++) t.ok((rates[i] ?? 0) < (rates[i - 1] ?? 0), `${rates[i]}`);
  scene.target.isFull = false;
  t.ok(exit.send(udp('after')));
  scene.pass(20_000);
  t.same(scene.target.texts, ['after']);
  t.ok(exit.rate >= FIRST_RATE, 'faster with each second without a DDFM');
  t.end();
});

t.test('the pace: half for each congestion, never below its least', (t) => {
  const clock = createTestClock();
  const pace = new Pace(clock);
  t.ok(pace.take(FIRST_RATE));
  t.notOk(pace.take(1));
  pace.slower();
  pace.slower();
  t.equal(pace.rate, FIRST_RATE / 2, 'one burst counts once');
  for (let i = 0; i < 50; i++) {
    clock.advance(500);
    pace.slower();
  }
  t.ok(pace.rate >= LEAST_PACE && pace.rate < 2 * LEAST_PACE + 32_768);
  clock.advance(3_600_000);
  t.equal(pace.rate, 4_194_304, 'and not above its most');
  t.end();
});

t.test('floods of requests are bounded', (t) => {
  let waiting = 0;
  const scene = new ExitScene({
    admits() {
      waiting++;
      return new Promise(() => undefined);
    },
  });
  const code = Uint8Array.of(1);
  const flood = Array.from({ length: MAX_WAITING + 5 }, () =>
    scene.client({ code }, { hops: [EXIT], buildMs: 100 }),
  );
  scene.pass();
  t.equal(waiting, MAX_WAITING);
  t.equal(scene.exits.waiting, MAX_WAITING);
  t.equal(flood.filter(({ events }) => events[0] === 'rejected').length, 5);

  const open = new ExitScene();
  const keys = newSigningKeys(random);
  const { path } = open.lab.path(0, [EXIT]);
  open.pass(1_000);
  for (let i = 0; i < 300; i++) path.send(obtain(keys.publicKey), signedBy(keys.seed));
  open.pass(1_000);
  t.ok(open.exits.dropped.checks >= 150, `${open.exits.dropped.checks} unchecked`);
  t.equal(open.exits.size, 1);
  t.end();
});

t.test('more exits than there is room for are refused, and a closed one makes room', (t) => {
  const scene = new ExitScene({ most: 20 });
  const made: ReturnType<typeof scene.client>[] = [];
  for (let i = 0; i <= 20; i++) {
    made.push(scene.client({}, { hops: [EXIT], buildMs: 50 }));
  }
  scene.pass();
  t.equal(scene.exits.size, 20);
  t.same(made.at(-1)?.events, ['rejected']);
  t.equal(scene.exits.refused.full, 1);
  made[5]?.exit.close();
  scene.pass();
  t.equal(scene.exits.size, 19);
  const late = scene.client({}, { hops: [EXIT] });
  scene.pass();
  t.same(late.events, ['open']);
  late.exit.send(udp('with the address of the closed one'));
  scene.pass();
  t.same(scene.target.seen[0]?.packet.source, address(10, 0, 0, 7));
  t.end();
});
