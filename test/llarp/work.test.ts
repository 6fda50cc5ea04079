/** Proof of work (row D17) as far as it is workable, and the lifetimes of paths and links. */
import * as fc from 'fast-check';
import t from 'tap';
import { lifetimeOf } from '../../src/llarp/path/commit.js';
import {
  makeWork,
  MAX_WORKED_SECONDS,
  WorkCheck,
  workZeroBytes,
} from '../../src/llarp/path/work.js';
import { Lab, seeded } from './lab.js';
import vectors from '../vectors/llarp/work.json' with { type: 'json' };

const NOW = 1_796_000_000_000n;
const random = seeded('work');
const fromHex = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex, 'hex'));

t.test('zero bytes: the natural logarithm of the seconds, rounded down', (t) => {
  const cases = [
    [1, 0],
    [2, 0],
    [3, 1],
    [7, 1],
    [8, 2],
    [20, 2],
    [21, 3],
    [54, 3],
    [55, 4],
    [600, 6],
    [0xffff_ffff, 22],
  ] as const;
  for (const [seconds, zeros] of cases) t.equal(workZeroBytes(seconds), zeros, `${seconds} s`);
  t.end();
});

t.test('proofs of an independent program are taken, and one bit more or less is not', (t) => {
  for (const { seconds, created, nonce, hash } of vectors.works) {
    const work = {
      created: BigInt(created),
      extendedSeconds: BigInt(seconds),
      nonce: fromHex(nonce),
      version: 0n,
    };
    t.equal(new WorkCheck().extensionMs(work, NOW), seconds * 1_000, hash.slice(0, 8));
    const changed = { ...work, nonce: work.nonce.map((byte, i) => (i === 31 ? byte ^ 1 : byte)) };
    t.equal(
      new WorkCheck().extensionMs(changed, NOW),
      workZeroBytes(seconds) === 0 ? seconds * 1_000 : 0,
    );
  }
  t.end();
});

t.test('a proof is made, counts once, and only while it is fresh', (t) => {
  for (const seconds of [1, 2, 3, 7]) {
    const work = makeWork(seconds, NOW, random);
    const check = new WorkCheck();
    t.equal(check.extensionMs(work, NOW + 60_000n), seconds * 1_000);
    t.equal(check.extensionMs(work, NOW), 0, 'used');
    t.equal(new WorkCheck().extensionMs(work, NOW + 61_000n), 0, 'too old');
    t.equal(new WorkCheck().extensionMs(work, NOW - 61_000n), 0, 'of the future');
  }
  for (const seconds of [0, 1.5, MAX_WORKED_SECONDS + 1]) {
    t.throws(() => makeWork(seconds, NOW, random), /1 to 20 seconds/);
  }
  t.end();
});

t.test(
  'a lifetime of more than 10 and less than 600 seconds is taken, any other means 600',
  (t) => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), (asked) => {
        t.equal(lifetimeOf(asked), asked > 10n && asked < 600n ? asked : 600n);
      }),
      { numRuns: 200 },
    );
    for (const asked of [10n, 11n, 599n, 600n, 601n]) {
      t.equal(lifetimeOf(asked), asked === 11n || asked === 599n ? asked : 600n);
    }
    t.end();
  },
);

t.test('work prolongs a path at each of its hops and at its creator', (t) => {
  const lab = new Lab(5);
  const plain = lab.path(0, [1, 2, 3], 30n);
  const worked = lab.path(0, [1, 2, 3], 30n, {}, 7);
  lab.clock.advance(32_000);
  t.same([plain.ends, worked.ends], [['expired'], []]);
  t.equal(worked.path.state, 'ready');
  t.equal(worked.path.expires - plain.path.expires, 7_000n);
  lab.clock.advance(20_000);
  t.same(worked.ends, ['expired']);
  for (const i of [1, 2, 3]) t.equal(lab.router(i).hops, 0, `router ${i}`);
  t.end();
});

t.test('a link ends an hour after its introduction, as LIM says', (t) => {
  const lab = new Lab(2);
  const { ends } = lab.path(0, [1]);
  lab.clock.advance(500_000);
  t.equal(lab.router(0).links, 1);
  t.same(ends, []);
  lab.clock.advance(3_200_000);
  t.equal(lab.router(0).links, 0, 'an hour');
  t.equal(lab.router(1).links, 0);
  t.end();
});
