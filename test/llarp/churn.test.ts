/**
 * The lab of `scripts/bench llarp` in small, in memory and with a clock of the test: fifty routers, two hundred paths,
 * datagrams that are lost, routers that leave and others that join. Every message is accounted for.
 */
import t from 'tap';
import { Traffic } from '../../lab/bench/llarp-traffic.js';
import { fuzzRandom } from '../../lab/fuzz/random.js';
import { Lab } from './lab.js';

const ROUTERS = 50;
const PAIRS = 100;
const ROUNDS = 12;
const EVERY_MS = 500;

function run() {
  const lab = new Lab(0);
  const random = fuzzRandom('churn');
  const traffic = new Traffic({
    now: () => lab.clock.now(),
    random: (below) => random.below(below),
    reach: 2,
    messageBytes: 600,
  });
  const indices = new Map<unknown, number>();
  const join = (): void => {
    const router = lab.add();
    indices.set(router, lab.nodes.length - 1);
    traffic.add({ router });
  };
  for (let i = 0; i < ROUTERS; i++) join();
  lab.loses = () => random.oneIn(50);
  traffic.open(PAIRS);
  lab.clock.advance(3_000);
  const atStart = traffic.readyPaths;
  for (let round = 0; round < ROUNDS; round++) {
    traffic.open(PAIRS);
    traffic.send();
    if (round % 4 === 1) {
      const gone = traffic.leave(random.below(traffic.members.length));
      if (gone) lab.kill(indices.get(gone.router) ?? -1);
      join();
    }
    lab.clock.advance(EVERY_MS);
  }
  lab.clock.advance(20_000);
  const unexplained = traffic.finish();
  const { pending } = lab.clock;
  for (const { router } of traffic.members) lab.kill(indices.get(router) ?? -1);
  lab.clock.advance(1_000);
  return { figures: traffic.figures, unexplained, atStart, pending, left: lab.clock.pending };
}

t.test(
  'fifty routers, two hundred paths, churn and loss: no message is lost without a reason',
  (t) => {
    const { figures, unexplained, atStart, left } = run();
    const { sent, delivered, refused, discarded, broken, twice } = figures;
    t.comment(JSON.stringify({ ...figures, buildMs: 0, oneWayMs: 0, atStart }));
    t.equal(atStart, 2 * PAIRS, 'all paths are ready');
    t.equal(unexplained, 0);
    t.equal(twice, 0);
    t.equal(sent, delivered + refused + discarded + broken);
    t.ok(sent > 2_000, 'there was traffic');
    t.ok(broken > 0 && broken < sent / 10, 'routers that left had messages');
    t.ok(delivered > 0.9 * sent);
    t.equal(left, 0, 'no timer is left');
    t.end();
  },
);
