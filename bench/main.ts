/** `scripts/bench`: which benchmark, how thoroughly. */
import { benchFanout } from './fanout.js';
import { benchMemory } from './memory.js';
import { printMachine } from './table.js';

const BENCHMARKS = { fanout: benchFanout, memory: benchMemory };
const USAGE = 'usage: scripts/bench fanout|memory [--quick]';

const args = process.argv.slice(2);
const quick = args.includes('--quick');
const [name, ...more] = args.filter((arg) => arg !== '--quick');
if (more.length > 0 || (name !== 'fanout' && name !== 'memory')) {
  console.error(USAGE);
  process.exitCode = 2;
} else {
  printMachine(`scripts/bench ${args.join(' ')}`);
  await BENCHMARKS[name](quick);
}
