/** What others can fill in the overlay of Lokinet: each buffer, timer and list, with its bound, filled and freed. */
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { Router } from 'zeromq';
import { createLokinetOverlay } from '../../src/lokinet/overlay.js';
import { createLokinetRpc } from '../../src/lokinet/rpc.js';
import {
  MAX_BODY_BYTES,
  parseReply,
  parseStatus,
  parseVersion,
} from '../../src/lokinet/rpc-reply.js';
import { LokinetNetwork } from '../helpers/lokinet/network.js';
import { createTestClock } from '../helpers/test-clock.js';

const { signal } = new AbortController();

const frames = (text: string): Buffer[] => ['REPLY', 'tag', text].map((each) => Buffer.from(each));
const long = (length: number): string => JSON.stringify({ error: 'x'.repeat(length) });

/** Each row: what is bounded, and the proof. */
const TABLE: readonly {
  readonly holds: readonly string[];
  readonly bound: string;
  readonly show: (t: Test) => Promise<void>;
}[] = [
  {
    holds: ['rpc-reply.ts'],
    bound: 'a body of 1,000,000 bytes; texts of 200 and 100 characters; counts of a million',
    show(t) {
      const full = parseReply(frames(long(MAX_BODY_BYTES - 12)), 'method', 'tag');
      if (!full.ok || full.value.kind !== 'error') throw new Error('not an error');
      t.ok(full.value.error.length <= 201);
      t.match(parseReply(frames(long(MAX_BODY_BYTES - 11)), 'method', 'tag'), { reason: 'body' });
      t.same(parseStatus({ numPathsBuilt: 1_000_001, numPeersConnected: 1_000_000 }), {
        peers: 1_000_000,
      });
      t.ok((parseVersion('x'.repeat(1_000)) ?? '').length <= 101);
      return Promise.resolve();
    },
  },
  {
    holds: ['rpc.ts'],
    bound:
      'one socket for each call, closed after the answer, five seconds, or the end of the overlay',
    async show(t) {
      const folder = await mkdtemp(join(tmpdir(), 'onionmc-lokinet-'));
      t.teardown(() => rm(folder, { recursive: true, force: true }));
      const address = `ipc://${join(folder, 'rpc')}`;
      const silent = new Router({ linger: 0 });
      await silent.bind(address);
      t.teardown(() => silent.close());
      const impatient = createLokinetRpc(address, { replyMs: 50 });
      await t.rejects(impatient.version(signal), { code: 'no-answer' });
      const rpc = createLokinetRpc(address);
      const calls = Array.from({ length: 20 }, () => rpc.version(signal));
      rpc.close();
      const ended = await Promise.allSettled(calls);
      t.same(new Set(ended.map(({ status }) => status)), new Set(['rejected']));
    },
  },
  {
    holds: ['overlay.ts'],
    bound: 'one timer for each dial, freed with it',
    async show(t) {
      const network = new LokinetNetwork({ pathMs: 50 });
      t.teardown(() => network.close());
      const [client, dead] = [await network.node(), await network.node()];
      dead.isReachable = false;
      const clock = createTestClock();
      const overlay = createLokinetOverlay({ dns: client.dns, virtualPort: undefined, clock });
      const location = { kind: 'loki', host: dead.host, port: 5_222 } as const;
      const dials = Array.from({ length: 20 }, () => overlay.dial(location, { signal }));
      t.ok(clock.pending > 0 && clock.pending <= 20);
      const ended = await Promise.allSettled(dials);
      t.same(new Set(ended.map(({ status }) => status)), new Set(['rejected']));
      t.equal(clock.pending, 0);
    },
  },
  {
    holds: ['service.ts'],
    bound:
      'one timer and one question about the own name, however often it is reported unreachable',
    async show(t) {
      const network = new LokinetNetwork({ pathMs: 50 });
      t.teardown(() => network.close());
      const node = await network.node();
      const clock = createTestClock();
      const overlay = createLokinetOverlay({ dns: node.dns, virtualPort: 5_222, clock });
      const states: string[] = [];
      const lost = new EventTarget();
      const served = await overlay.serve(() => undefined, {
        signal,
        onState: ({ state }) => {
          states.push(state);
          lost.dispatchEvent(new Event(state));
        },
      });
      t.equal(clock.pending, 1);
      await node.stop();
      const event = once(lost, 'lost');
      for (let i = 0; i < 50; i++) served.reportUnreachable?.('loki');
      await event;
      t.same(states, ['starting', 'reachable', 'lost']);
      t.equal(clock.pending, 1);
      await served.close();
      t.equal(clock.pending, 0);
      await overlay.close();
    },
  },
];

/** These hold nothing and set no timer of their own. */
const STATELESS = ['daemon.ts', 'lokinet-error.ts', 'lokinet-ini.ts', 'resolver.ts'];

t.test('every file is in the table, or holds nothing', async (t) => {
  const folder = fileURLToPath(new URL('../../src/lokinet', import.meta.url));
  const files = await readdir(folder);
  const named = [...TABLE.flatMap(({ holds }) => holds), ...STATELESS];
  t.same(files.toSorted(), named.toSorted());
  for (const file of STATELESS) {
    // oxlint-disable-next-line no-await-in-loop -- few small files
    const text = await readFile(join(folder, file), 'utf8');
    t.notMatch(text, /^ {2}(?:readonly )?#\w+.*new (?:Map|Set|Bounded)|\.after\(/m, file);
  }
});

for (const { holds, bound, show } of TABLE) {
  t.test(`${holds.join(', ')}: ${bound}`, (t) => show(t));
}
