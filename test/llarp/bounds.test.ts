/**
 * What strangers and neighbours can fill in a router: each map, queue and timer of `iwp`, `path`, `router` and `dht` with
 * its bound, shown filled and freed. The first test compares the table with the sources, so that none is forgotten.
 * Streams, hidden services and exits have tables of their own in their tests.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { newExchangeKeys, newSigningKeys } from '../../src/llarp/crypto.js';
import { Introsets } from '../../src/llarp/dht/introsets.js';
import { ANSWER_MS, Transactions } from '../../src/llarp/dht/transactions.js';
import { Endpoint } from '../../src/llarp/iwp/endpoint.js';
import type { Link } from '../../src/llarp/iwp/links.js';
import { shortHash } from '../../src/llarp/crypto.js';
import { writeSigned } from '../../src/llarp/iwp/packet.js';
import { Reassembly } from '../../src/llarp/iwp/reassembly.js';
import { ReplayWindow } from '../../src/llarp/iwp/replay-window.js';
import { MAX_QUEUED_BYTES, Transmission } from '../../src/llarp/iwp/transmission.js';
import { makeCommit } from '../../src/llarp/path/commit.js';
import { Hops, MAX_HOPS, MAX_HOPS_OF_ONE, type Hop } from '../../src/llarp/path/hops.js';
import { MAX_WAITING, Sequencer, WaitingRoom } from '../../src/llarp/path/sequencer.js';
import { ContactBook } from '../../src/llarp/router/contact-book.js';
import {
  CONTACT_LIFETIME_MS,
  makeContact,
  newRouterKeys,
  type RouterKeys,
} from '../../src/llarp/router/contact.js';
import { makeIntroset, newServiceKeys } from '../../src/llarp/service/keys.js';
import { createTestClock } from '../helpers/test-clock.js';
import { Lab, NETWORK, seeded } from './lab.js';

const ROOT = fileURLToPath(new URL('../../src/llarp', import.meta.url));
const FOLDERS = ['iwp', 'path', 'router', 'dht'];

/** What holds something, or sets a timer: `file #field`, or `file after`. */
function holders(): string[] {
  const found = new Set<string>();
  for (const folder of FOLDERS) {
    for (const file of readdirSync(join(ROOT, folder))) {
      const text = readFileSync(join(ROOT, folder, file), 'utf8');
      const place = `${folder}/${file.replace('.ts', '')}`;
      const fields = text.matchAll(
        /^ {2}(?:readonly )?(#\w+)(?:: [^;=]*)?(?: =\s*(?:new (?:Map|Set|Bounded\w+)\b|\[\]|new Uint32Array)|: (?:Map|Set|Bounded\w+)<)/gm,
      );
      for (const [, field] of fields) found.add(`${place} ${field}`);
      for (const [, field] of text.matchAll(/^ {2}readonly (#\w+): Bounded\w+</gm)) {
        found.add(`${place} ${field}`);
      }
      if (/\.after\(/.test(text)) found.add(`${place} after`);
    }
  }
  return [...found].toSorted();
}

function endpointFor(options: { address?: string; maxLinks?: number } = {}) {
  const clock = createTestClock();
  const identity = newSigningKeys(seeded('endpoint'));
  const sent: { packet: Uint8Array; to: string }[] = [];
  const faults: string[] = [];
  const links: Link[] = [];
  const endpoint = new Endpoint({
    clock,
    wallClock: () => BigInt(clock.now()),
    randomBytes: seeded('endpoint random'),
    identity,
    network: NETWORK,
    obfuscates: false,
    ...(options.maxLinks === undefined ? {} : { maxLinks: options.maxLinks }),
    send: (packet, to) => sent.push({ packet, to }),
    onLink: (link) => links.push(link),
    onMessage: () => undefined,
    onEnd: () => undefined,
    onFailed: (_, fault) => faults.push(fault),
  });
  return { clock, identity, endpoint, sent, faults, links };
}

/** Strangers that finish their handshakes with an endpoint, and send nothing afterwards. */
function handshake(
  { endpoint, sent }: ReturnType<typeof endpointFor>,
  stranger: string,
  address: string,
): void {
  const { seed, publicKey } = newSigningKeys(seeded(stranger));
  const obtain = { kind: 'obtain', network: NETWORK, time: 0n, identity: publicKey } as const;
  endpoint.receive(writeSigned(obtain, seed), address);
  const given = sent.at(-1)?.packet ?? new Uint8Array(0);
  const flowId = given.slice(8, 24);
  const { publicKey: ephemeralKey } = newExchangeKeys(seeded(`${stranger} ${address}`));
  endpoint.receive(
    writeSigned({ kind: 'establish', flowId, ephemeralKey, counter: 0n }, seed),
    address,
  );
}

function fullSessions(t: Test): void {
  const clock = createTestClock();
  let lost = 0;
  const transmission = new Transmission({
    clock,
    send: () => undefined,
    onLost: () => lost++,
  });
  let taken = 0;
  while (transmission.send(new Uint8Array(32_768))) taken += 32_768;
  t.ok(taken > MAX_QUEUED_BYTES - 32_768 && taken <= MAX_QUEUED_BYTES);
  t.equal(transmission.queuedBytes, taken, 'full: no more is taken');
  clock.advance(60_000);
  t.same([lost, transmission.queuedBytes, clock.pending], [1, 0, 0], 'the other side is gone');
}

const id = (n: number): Uint8Array => Uint8Array.from(Buffer.from(String(n).padStart(16)));

function hopOf(n: number, previous: string, expiresAt: number): Hop {
  return {
    key: new Uint8Array(32),
    receiveId: id(n),
    transmitId: id(n),
    previous,
    next: n % 2 === 0 ? 'next' : undefined,
    expiresAt,
    sequence: 0n,
  };
}

function contactOf(keys: RouterKeys, port: number, now: bigint) {
  return makeContact(keys, { network: NETWORK, host: '127.9.9.9', port, now });
}

/** Each row: what is bounded, and the proof that it fills up to its bound and is freed. */
const TABLE: readonly {
  readonly holds: readonly string[];
  readonly bound: string;
  readonly show: (t: Test) => void;
}[] = [
  {
    holds: ['iwp/given-flows #flows'],
    bound: '200 O a second; 4,096 flow ids; each for 30 seconds',
    show(t) {
      const { clock, endpoint, sent } = endpointFor();
      const { seed, publicKey } = newSigningKeys(seeded('flood'));
      const flood = writeSigned(
        { kind: 'obtain', network: NETWORK, time: 0n, identity: publicKey },
        seed,
      );
      for (let i = 0; i < 300; i++) endpoint.receive(flood, `127.0.0.1:${i}`);
      t.same([endpoint.flows, sent.length, endpoint.dropped.rate], [200, 200, 100]);
      clock.advance(31_000);
      endpoint.receive(flood, '127.0.0.1:1');
      t.equal(endpoint.flows, 1, 'the old ones are forgotten');
      endpoint.close();
      t.equal(endpoint.flows, 0);
    },
  },
  {
    holds: ['iwp/attempts #attempts', 'iwp/attempts after'],
    bound: '256 attempts, each with 8 packets at intervals of half a second',
    show(t) {
      const { clock, identity, endpoint, sent, faults } = endpointFor();
      for (let i = 0; i < 300; i++)
        endpoint.connect({ address: `127.0.0.1:${i}`, identity: identity.publicKey });
      t.equal(endpoint.attempts, 256);
      t.same(
        faults,
        Array.from({ length: 44 }, () => 'too-many'),
      );
      clock.advance(5_000);
      t.same([endpoint.attempts, clock.pending], [0, 0], 'no answer');
      t.equal(sent.length, 256 * 8);
    },
  },
  {
    holds: ['iwp/links #open'],
    bound: '1,024 links, 4 with one router; one that is silent ends after 30 seconds',
    show(t) {
      const endpoint = endpointFor({ maxLinks: 6 });
      for (let i = 0; i < 8; i++) handshake(endpoint, 'one stranger', `127.0.0.1:${i}`);
      t.equal(endpoint.endpoint.links, 4, 'of one');
      for (let i = 0; i < 5; i++) handshake(endpoint, `stranger ${i}`, `127.0.0.2:${i}`);
      t.equal(endpoint.endpoint.links, 6, 'of all');
      t.equal(endpoint.endpoint.dropped.full, 3);
      endpoint.clock.advance(40_000);
      t.equal(endpoint.endpoint.links, 0, 'handshakes that lead to nothing end');
      t.equal(endpoint.clock.pending, 0);
    },
  },
  {
    holds: ['iwp/session after'],
    bound:
      'one timer for keep-alives and one for new keys; 4 new keys of the other side, then one in 10 seconds',
    show(t) {
      const lab = new Lab(2);
      lab.path(0, [1]);
      lab.clock.advance(2_000);
      const both = lab.clock.pending;
      lab.kill(0);
      lab.kill(1);
      t.ok(both > 4);
      lab.clock.advance(1_000);
      t.equal(lab.clock.pending, 0);
    },
  },
  {
    holds: ['iwp/transmission #waiting', 'iwp/transmission #inFlight', 'iwp/transmission after'],
    bound: '1 MiB, 32 messages in flight; lost after 8 attempts',
    show: fullSessions,
  },
  {
    holds: ['iwp/reassembly #partial', 'iwp/reassembly #delivered', 'iwp/reassembly after'],
    bound:
      '64 messages and 1 MiB that are not complete, for 10 seconds; 4,096 numbers of delivered ones',
    show(t) {
      const clock = createTestClock();
      let delivered = 0;
      const reassembly = new Reassembly({
        clock,
        send: () => undefined,
        deliver: () => delivered++,
      });
      const fragment = new Uint8Array(1_280);
      for (let sequence = 1; sequence <= 100; sequence++) {
        for (let n = 1; n <= 50; n++) {
          reassembly.fragment({
            kind: 'continue',
            isLast: false,
            offset: n * 1_280,
            sequence,
            fragment,
          });
          reassembly.fragment({
            kind: 'continue',
            isLast: false,
            offset: n * 1_280,
            sequence,
            fragment,
          });
        }
      }
      t.ok(reassembly.partialBytes > 983_040 && reassembly.partialBytes <= 1_048_576);
      for (let sequence = 200; sequence < 400; sequence++) {
        reassembly.fragment({ kind: 'continue', isLast: false, offset: 1_280, sequence, fragment });
      }
      t.equal(reassembly.partial, 64);
      clock.advance(11_000);
      t.same([reassembly.partial, reassembly.partialBytes, clock.pending], [0, 0, 0]);
      const hash = shortHash(Uint8Array.of(1));
      for (let sequence = 1_000; sequence < 6_000; sequence++) {
        reassembly.fragment({
          kind: 'start',
          isWhole: true,
          size: 1,
          sequence,
          hash,
          fragment: Uint8Array.of(1),
        });
      }
      t.same([delivered, clock.pending], [5_000, 0]);
    },
  },
  {
    holds: ['iwp/replay-window #seen'],
    bound: '4,096 bits',
    show(t) {
      const window = new ReplayWindow();
      t.ok(window.accept(2n ** 63n));
      t.notOk(window.accept(2n ** 63n - 5_000n), 'too old');
      t.ok(window.accept(2n ** 63n - 4_000n));
    },
  },
  {
    holds: ['path/hops #upstream', 'path/hops #downstream', 'path/hops #ends', 'path/hops #counts'],
    bound: '8,192 paths, 2,048 of one neighbour, each for at most 10 minutes',
    show(t) {
      const clock = createTestClock();
      const hops = new Hops(clock);
      const refused = Array.from({ length: MAX_HOPS + 10 }, (_, n) =>
        hops.add(hopOf(n, `neighbour ${n % 5}`, clock.now() + 600_000)),
      ).filter((fault) => fault !== undefined);
      t.same([hops.size, refused.length], [MAX_HOPS, 10]);
      t.ok(MAX_HOPS_OF_ONE < MAX_HOPS);
      hops.removeNeighbour('neighbour 0');
      t.ok(hops.size < MAX_HOPS);
      clock.advance(600_000);
      hops.expire();
      t.equal(hops.size, 0);
    },
  },
  {
    holds: ['path/sequencer #waiting', 'path/sequencer #missing', 'path/sequencer after'],
    bound: '64 messages that wait, 1,024 at a router; 1,024 numbers that were given up',
    show(t) {
      const clock = createTestClock();
      const room = new WaitingRoom(100);
      const seen: number[] = [];
      const two = [0, 1].map(() => new Sequencer<number>(clock, (n) => seen.push(n), room));
      for (const sequencer of two) {
        for (let n = 1; n <= 64; n++) sequencer.add(BigInt(2 * n), n);
      }
      t.same(
        two.map(({ waiting }) => waiting),
        [MAX_WAITING, 100 - MAX_WAITING],
      );
      t.notOk(two[0]?.add(10_000n, 0), 'too far ahead');
      clock.advance(60_000);
      t.same([two[0]?.waiting, two[1]?.waiting, clock.pending], [0, 0, 0], 'gaps are given up');
      for (const sequencer of two) sequencer.close();
    },
  },
  {
    holds: ['path/path after', 'router/router #paths'],
    bound: '1,024 own paths, each with three timers, for 10 minutes at most',
    show(t) {
      const lab = new Lab(2, undefined, { maxPaths: 80 });
      const before = lab.clock.pending;
      const contact = lab.router(1).contact;
      const handlers = {
        onReady: () => undefined,
        onEnd: () => undefined,
        onMessage: () => undefined,
        onFrame: () => undefined,
      };
      let paths = 0;
      const ask = (most: number): void => {
        for (let i = 0; i < most; i++) if (lab.router(0).createPath([contact], handlers)) paths++;
      };
      ask(70);
      t.equal(paths, 64, 'so many questions wait for the link');
      lab.clock.advance(11_000);
      t.ok(lab.router(1).hops <= 64, 'a flood of questions is bounded at the other side');
      paths = lab.router(1).hops;
      for (let second = 0; second < 4; second++) {
        ask(30);
        lab.clock.advance(1_000);
      }
      t.same([paths, lab.router(1).hops], [80, 80], 'and so many paths at a time');
      lab.clock.advance(900_000);
      t.equal(lab.router(1).hops, 0);
      t.ok(lab.clock.pending <= before + 8, 'only the timers of the link are left');
      t.ok(lab.router(0).createPath([contact], handlers), 'there is room again');
    },
  },
  {
    holds: ['path/work #used'],
    bound: '8,192 proofs that were used; test/llarp/work.test.ts',
    show: (t) => t.pass(),
  },
  {
    holds: ['router/contact-book #contacts'],
    bound: '4,096 contacts, each for an hour',
    show(t) {
      const book = new ContactBook(NETWORK, undefined, 8);
      for (let i = 1; i <= 12; i++) {
        t.equal(book.put(contactOf(newRouterKeys(seeded(`contact ${i}`)), i, 0n), 0n), undefined);
      }
      t.equal(book.size, 8);
      book.expire(CONTACT_LIFETIME_MS);
      t.equal(book.size, 0);
    },
  },
  {
    holds: [
      'router/neighbours #neighbours',
      'router/introduced-links #links',
      'router/introduced-links after',
    ],
    bound:
      '1,024 neighbours, 64 messages that wait for the link of one; a link without introduction ends after 10 seconds',
    show(t) {
      const lab = new Lab(1);
      const before = lab.clock.pending;
      const router = lab.router(0);
      const silent = contactOf(newRouterKeys(seeded('silent')), 9, lab.wallClock());
      t.equal(router.book.put(silent, lab.wallClock()), undefined);
      const sends = Array.from({ length: 70 }, () =>
        router.sendLink(silent.signingKey, { kind: 'dht', messages: [], version: 0n }),
      );
      t.equal(sends.filter(Boolean).length, 64);
      lab.clock.advance(6_000);
      t.equal(
        lab.clock.pending,
        before,
        'a router without an answer is forgotten, with what waited',
      );
      t.ok(router.sendLink(silent.signingKey, { kind: 'dht', messages: [], version: 0n }));
    },
  },
  {
    holds: ['router/ends #orders'],
    bound: 'one order for each path that ends here',
    show(t) {
      const lab = new Lab(3);
      lab.path(0, [1, 2], 60n);
      lab.clock.advance(2_000);
      t.equal(lab.router(2).hops, 1);
      lab.clock.advance(80_000);
      t.equal(lab.router(2).hops, 0);
    },
  },
  {
    holds: ['router/router #commitsOf', 'router/router after'],
    bound:
      '40 questions for paths a second of one neighbour, 100 of all; 1,024 neighbours are counted',
    show(t) {
      const lab = new Lab(2);
      const { signingKey } = lab.router(1).contact;
      const { frames } = makeCommit([lab.router(1).contact], seeded('commit')) ?? { frames: [] };
      lab.router(0).sendLink(signingKey, { kind: 'dht', messages: [], version: 0n });
      lab.clock.advance(1_000);
      for (let i = 0; i < 60; i++) {
        lab.router(0).sendLink(signingKey, { kind: 'commit', frames, version: 0n });
      }
      lab.clock.advance(300);
      const { rate, hop } = lab.router(1).dropped;
      t.ok(rate >= 5 && hop <= 54, `${rate} were not read`);
      lab.clock.advance(5_000);
      lab.router(0).sendLink(signingKey, { kind: 'commit', frames, version: 0n });
      lab.clock.advance(300);
      t.equal(lab.router(1).dropped.rate, rate, 'later ones are read again');
    },
  },
  {
    holds: ['dht/transactions #open', 'dht/transactions after'],
    bound: '1,024 questions to others, each for 5 seconds',
    show(t) {
      const clock = createTestClock();
      const transactions = new Transactions(clock, seeded('transactions'));
      let unanswered = 0;
      const opened = Array.from({ length: 1_030 }, () =>
        transactions.open('router', () => unanswered++),
      );
      t.equal(opened.filter((each) => each !== undefined).length, 1_024);
      clock.advance(ANSWER_MS);
      t.same([transactions.size, unanswered, clock.pending], [0, 1_024, 0]);
    },
  },
  {
    holds: ['dht/introsets #stored'],
    bound: '2,048 introsets, each until its last introduction expires',
    show(t) {
      const introsets = new Introsets(4);
      const keys = newServiceKeys(seeded('service'));
      for (let i = 0; i < 6; i++) {
        const signing = newSigningKeys(seeded(`service ${i}`));
        const way = {
          router: new Uint8Array(32),
          pathId: new Uint8Array(16),
          expires: 1_000n,
          version: 0n,
        };
        t.equal(introsets.put(makeIntroset({ ...keys, signing }, [way], 1n), 1n), undefined);
      }
      t.equal(introsets.size, 4);
      introsets.expire(1_000n);
      t.equal(introsets.size, 0);
    },
  },
];

t.test('every map, queue and timer is in the table', (t) => {
  t.same(holders(), TABLE.flatMap(({ holds }) => holds).toSorted());
  t.end();
});

for (const { holds, bound, show } of TABLE) {
  t.test(`${holds.join(', ')}: ${bound}`, (t) => {
    show(t);
    t.end();
  });
}
