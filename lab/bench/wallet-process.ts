/** A process that opens a wallet and reads the chain; or loads the same code, and does nothing. */
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { openNode } from '../../src/chain/node/open-node.js';
import { smallYoungGeneration } from '../../src/ops/young-generation.js';
import { systemClock } from '../../src/overlay/system-clock.js';
import { openWalletStore } from '../../src/wallet/store/store.js';
import { Wallet } from '../../src/wallet/wallet.js';
import { answerQuestions } from './process.js';

const [folder = '', port = '', cookieFile = ''] = process.argv.slice(2);

/** V8 hands pages back to the system some seconds after the collection that emptied them. */
const QUIET_MS = 6_000;

async function rssBytes(): Promise<number> {
  globalThis.gc?.();
  await sleep(QUIET_MS);
  globalThis.gc?.();
  return process.memoryUsage.rss();
}

async function idle(): Promise<unknown> {
  return { kdfMs: 0, openMs: 0, syncMs: 0, coins: 0, rssBytes: await rssBytes() };
}

async function sync(): Promise<unknown> {
  const began = performance.now();
  const store = await openWalletStore(folder, 'bench', { mode: 'write' });
  const kdf = performance.now();
  const settings = {
    network: 'regtest',
    host: '127.0.0.1',
    port: Number(port),
    user: '',
    password: '',
    cookieFile,
  } as const;
  const chain = await openNode({ settings, clock: systemClock });
  const opening = performance.now();
  const wallet = await Wallet.open({
    store,
    chain,
    unixTime: () => Math.floor(Date.now() / 1_000),
    randomBytes: (bytes) => randomBytes(bytes),
  });
  const open = performance.now();
  await wallet.sync({ signal: new AbortController().signal });
  const end = performance.now();
  const coins = wallet.coins().length;
  const report = {
    kdfMs: kdf - began,
    openMs: open - opening,
    syncMs: end - open,
    coins,
    rssBytes: await rssBytes(),
  };
  await wallet.close();
  await chain.close();
  return report;
}

smallYoungGeneration();
answerQuestions((question) => (question === 'sync' ? sync() : idle()));
