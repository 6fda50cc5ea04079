/** A maker whose turns of the event loop are measured, over loopback. */
import { silentLog } from '../../src/channel/log.js';
import { openChannel } from '../../src/roles/library.js';
import { createLoopbackOverlay } from '../../src/overlay/loopback.js';
import { systemClock } from '../../src/overlay/system-clock.js';
import { startMaker } from '../../src/roles/maker.js';
import { createMakerWallet, createMemoryCommitments } from '../../test/helpers/coinjoin-world.js';
import { cpuMs, makerKey, NETWORK, OFFER, sessionCoins } from './coinjoin-scene.js';
import { answerQuestions } from './process.js';

// `file`: where the coins of a wallet on the disk are written; without it the wallet is in memory.
const [sessions = '', port = '', file] = process.argv.slice(2);
const channel = openChannel({
  network: NETWORK,
  directories: [{ kind: 'loopback', host: '127.0.0.1', port: Number(port) }],
  nickKey: makerKey('busy', 0),
  serve: true,
  clock: systemClock,
  random: Math.random,
  log: silentLog,
  overlay: createLoopbackOverlay({ host: '127.0.0.1', port: 0 }),
});
const ready = new Promise<void>((resolve) => {
  channel.on('welcome', () => resolve());
});
const { chain, maker: coins } = sessionCoins(Number(sessions));
// The version before has no such wallet.
const real = file === undefined ? undefined : await import('./coinjoin-wallet.js');
const opened = file === undefined ? undefined : await real?.openBusyWallet(Number(sessions), file);
const outcomes: string[] = [];
const maker = startMaker({
  channel,
  offers: [OFFER],
  clock: systemClock,
  log: silentLog,
  blacklist: { store: createMemoryCommitments() },
  coinjoins: {
    network: NETWORK,
    wallet: opened?.wallet ?? createMakerWallet('busy', coins),
    chain: (opened && real?.withTakers(opened.chain, chain)) ?? chain,
    onOutcome: (_, outcome) => void outcomes.push(outcome.result),
  },
});

/** CPU time of the process between two iterations of the event loop: all that ran in one of them. */
let longestMs = 0;
let totalMs = 0;
let before = cpuMs();
let isWatching = false;
function turn(): void {
  const now = cpuMs();
  longestMs = Math.max(longestMs, now - before);
  totalMs += now - before;
  // Read again: the reading itself is not part of a turn.
  before = cpuMs();
  if (isWatching) setImmediate(turn);
}

answerQuestions(async (question) => {
  if (question === 'ready') return ready;
  if (question === 'watch') {
    longestMs = 0;
    totalMs = 0;
    isWatching = true;
    before = cpuMs();
    setImmediate(turn);
    return null;
  }
  if (question === 'turns') {
    isWatching = false;
    return { longestMs, totalMs, sessions: maker.sessions, outcomes: outcomes.length };
  }
  if (question === 'close') {
    maker.stop();
    return opened?.close();
  }
  throw new Error(`unknown question: ${question}`);
});
