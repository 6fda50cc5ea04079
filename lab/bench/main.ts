/** `scripts/bench`: selects the benchmark, and how thorough it is. */
import { benchAdmission } from './admission.js';
import { benchCoinjoin } from './coinjoin.js';
import { benchMakerRequests } from './maker-requests.js';
import { benchCluster } from './cluster.js';
import { benchFanout } from './fanout.js';
import { benchLists } from './lists.js';
import { benchLlarp } from './llarp.js';
import { benchMemory } from './memory.js';
import { benchOrderbook } from './orderbook.js';
import { benchStart } from './start.js';
import { printMachine } from './table.js';
import { torBenchOptions } from './tor-options.js';
import { benchTor } from './tor.js';
import { benchUpgrade } from './upgrade.js';
import { benchWallet } from './wallet.js';

const BENCHMARKS = {
  admission: benchAdmission,
  cluster: benchCluster,
  fanout: benchFanout,
  lists: benchLists,
  llarp: benchLlarp,
  memory: benchMemory,
  orderbook: benchOrderbook,
  requests: benchMakerRequests,
  start: benchStart,
  upgrade: benchUpgrade,
  wallet: benchWallet,
};
const USAGE =
  'usage: scripts/bench admission|cluster|coinjoin|fanout|lists|llarp|memory|orderbook|requests|start|tor|upgrade|wallet [--quick]; ' +
  'upgrade [--peers N]; coinjoin [--before FOLDER]; tor [--before FOLDER] [--peers N] [--rates N,N] ' +
  '[--seconds N] [--rounds N] [--without before,now,naive] [--mtu N] [--quick-acks]';

const isBenchmark = (text: string | undefined): text is keyof typeof BENCHMARKS =>
  text !== undefined && Object.hasOwn(BENCHMARKS, text);

function wrong(): void {
  console.error(USAGE);
  process.exitCode = 2;
}

const args = process.argv.slice(2);
const quick = args.includes('--quick');
const [name, option, value, ...more] = args.filter((arg) => arg !== '--quick');
const printHead = (): void => printMachine(`scripts/bench ${args.join(' ')}`);
const hasPeers = option === '--peers' && Number.isSafeInteger(Number(value)) && Number(value) >= 4;
const torOptions = name === 'tor' ? torBenchOptions(args.slice(1)) : undefined;
if (torOptions !== undefined) {
  printHead();
  await benchTor(torOptions);
} else if (
  more.length === 0 &&
  name === 'coinjoin' &&
  (option === undefined || value !== undefined)
) {
  if (option === undefined || option === '--before') {
    printHead();
    await benchCoinjoin(quick, value);
  } else wrong();
} else if (
  more.length > 0 ||
  !isBenchmark(name) ||
  (option !== undefined && !(name === 'upgrade' && hasPeers))
) {
  wrong();
} else {
  printHead();
  await BENCHMARKS[name](quick, option === undefined ? undefined : Number(value));
}
