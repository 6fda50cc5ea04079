/** What nodes of one directory should have in common, as each sees it of the others. */
import t from 'tap';
import { createWorld, type World } from './world.js';

const ABC = ['a', 'b', 'c'];

function seenBy(world: World, node: string, other: string) {
  const state = world
    .node(node)
    .cluster.state()
    .nodes.find(({ name }) => name === other);
  if (!state) throw new Error(`no node ${other}`);
  const { clockAheadMs, sameMotd, sameLimits, reached } = state;
  return { clockAheadMs, sameMotd, sameLimits, reached };
}

t.test('clocks, MOTD, limits and canary of the others', async (t) => {
  let motdOfB = 'welcome';
  const world = await createWorld(ABC, {
    clockOffset: (name) => (name === 'c' ? 90_000 : 0),
    facts: (name) => ({
      motd: name === 'b' ? motdOfB : 'welcome',
      limits: name === 'c' ? '{"maxPeers":5}' : '{"maxPeers":10}',
      reached: { a: undefined, b: true, c: false }[name],
    }),
  });
  const same = { clockAheadMs: 0, sameMotd: true, sameLimits: true, reached: undefined };
  t.strictSame(seenBy(world, 'a', 'b'), { ...same, reached: true });
  t.strictSame(seenBy(world, 'b', 'a'), same);
  const ofC = { clockAheadMs: 90_000, sameMotd: true, sameLimits: false, reached: false };
  t.strictSame(seenBy(world, 'a', 'c'), ofC);
  t.equal(seenBy(world, 'c', 'b').clockAheadMs, -90_000, 'from its side');
  motdOfB = 'another text';
  world.pass(2_000);
  t.equal(seenBy(world, 'a', 'b').sameMotd, false);
  t.equal(seenBy(world, 'b', 'a').sameMotd, false);
  t.equal(seenBy(world, 'a', 'c').sameMotd, true);
});
