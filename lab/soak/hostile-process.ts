/** The attackers, in a process of their own so that they take no time from the honest peers. */
import { setMaxListeners } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { ATTACKS, type Attack, type Scene } from './attacks.js';
import { watchFaults } from './faults.js';
import { dialHostile } from './hostile-link.js';
import { createChance } from './random.js';
import type { HostileOrder, HostileReport, Victim } from './reports.js';

const faults = watchFaults('hostile');
const ending = new AbortController();
// Every open connection listens to it.
setMaxListeners(0, ending.signal);
const attacks: Record<string, number> = {};
let connections = 0;
let open = 0;

/** One attacker: the same attack again and again, with a pause in between. */
async function attacker(attack: Attack, scene: Scene): Promise<void> {
  const { chance } = scene;
  await pause(chance.between(0, 2_000));
  while (!ending.signal.aborted) {
    const link = await scene.dial();
    attacks[attack.name] = (attacks[attack.name] ?? 0) + 1;
    open++;
    await attack.run(link, scene);
    link.cut();
    open--;
    await pause(chance.between(500, 2_000));
  }
}

/** Returns early when all is over. */
async function pause(ms: number): Promise<void> {
  await sleep(ms, undefined, { signal: ending.signal }).catch(() => {});
}

function start(port: number, victims: readonly Victim[], seed: number): void {
  const chance = createChance(seed);
  const scene: Scene = {
    chance,
    victims,
    dial() {
      connections++;
      return dialHostile(port, ending.signal);
    },
  };
  for (const attack of ATTACKS) {
    for (let n = 0; n < attack.attackers; n++) void attacker(attack, scene);
  }
}

function report(): void {
  const said: HostileReport = {
    kind: 'attacks',
    attacks: { ...attacks },
    connections,
    open,
    faults: faults.count,
  };
  process.send?.(said);
}

process.on('message', (order: HostileOrder) => {
  if (order.kind === 'start') start(order.port, order.victims, order.seed);
  else if (order.kind === 'count') report();
  else {
    ending.abort();
    report();
    process.disconnect();
  }
});
process.on('disconnect', () => process.exit(faults.count > 0 ? 1 : 0));
