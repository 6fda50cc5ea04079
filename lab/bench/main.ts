/** `scripts/bench`: selects the benchmark, and how thorough it is. */
import { benchMakerRequests } from './maker-requests.js';
import { benchFanout } from './fanout.js';
import { benchMemory } from './memory.js';
import { benchOrderbook } from './orderbook.js';
import { benchStart } from './start.js';
import { printMachine } from './table.js';
import { benchUpgrade } from './upgrade.js';
import { benchWallet } from './wallet.js';

const BENCHMARKS = {
  fanout: benchFanout,
  memory: benchMemory,
  orderbook: benchOrderbook,
  requests: benchMakerRequests,
  start: benchStart,
  upgrade: benchUpgrade,
  wallet: benchWallet,
};
const USAGE =
  'usage: scripts/bench fanout|memory|orderbook|requests|start|upgrade|wallet [--quick]; upgrade [--peers N]';

const isBenchmark = (text: string | undefined): text is keyof typeof BENCHMARKS =>
  text !== undefined && Object.hasOwn(BENCHMARKS, text);

const args = process.argv.slice(2);
const quick = args.includes('--quick');
const [name, option, count, ...more] = args.filter((arg) => arg !== '--quick');
const peers = option === '--peers' && name === 'upgrade' ? Number(count) : undefined;
const isWrong = option !== undefined && !(Number.isSafeInteger(peers) && Number(peers) >= 4);
if (more.length > 0 || isWrong || !isBenchmark(name)) {
  console.error(USAGE);
  process.exitCode = 2;
} else {
  printMachine(`scripts/bench ${args.join(' ')}`);
  await BENCHMARKS[name](quick, peers);
}
