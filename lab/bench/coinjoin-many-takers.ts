/**
 * Takers that ask one maker at the same time. Their messages of one step wait until every taker has one, and
 * then go out together.
 */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { silentLog } from '../../src/channel/log.js';
import type { OnionMessageChannel } from '../../src/channel/message-channel.js';
import { openChannel } from '../../src/roles/library.js';
import { runCoinjoin } from '../../src/negotiation/taker/coinjoin.js';
import type { NegotiationChannel } from '../../src/negotiation/resender.js';
import { createLoopbackOverlay } from '../../src/overlay/loopback.js';
import { systemClock } from '../../src/overlay/system-clock.js';
import { createNickKey } from '../../src/protocol/nick.js';
import { formatOutpoint } from '../../src/protocol/outpoint.js';
import {
  createMemoryCommitments,
  createTakerWallet,
  type TestCoin,
} from '../../test/helpers/coinjoin-world.js';
import {
  AMOUNT,
  makerKey,
  NETWORK,
  OFFER,
  sessionCoins,
  signCoins,
  type SharedCoin,
} from './coinjoin-scene.js';
import { answerQuestions } from './process.js';

const [sessions = '', port = '', route = '', file] = process.argv.slice(2);
const { nick: maker } = makerKey('busy', 0);
const { chain, takers } = sessionCoins(Number(sessions));
// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- written by the maker's process
const shared = (file === undefined ? [] : JSON.parse(readFileSync(file, 'utf8'))) as SharedCoin[];
const byName = new Map(shared.map((coin) => [formatOutpoint(coin), { ...coin, confirmations: 6 }]));
const waiting: (() => void)[] = [];
let onFull: (() => void) | undefined;
const results: Promise<string>[] = [];

async function open(): Promise<OnionMessageChannel> {
  const channel = openChannel({
    network: NETWORK,
    directories: [{ kind: 'loopback', host: '127.0.0.1', port: Number(port) }],
    nickKey: createNickKey(randomBytes),
    serve: false,
    clock: systemClock,
    random: Math.random,
    log: silentLog,
    overlay: createLoopbackOverlay({ host: '127.0.0.1', port: 0 }),
    // Only the route that is measured.
    ...(route === 'direct' ? {} : { timings: { peerDialJitterMs: 3_600_000 } }),
  });
  const answered = new Promise<void>((resolve) => {
    channel.on('privmsg', () => resolve());
  });
  await new Promise<void>((resolve) => {
    channel.on('welcome', () => resolve());
  });
  channel.publish('orderbook');
  await answered;
  if (route === 'direct' && !(await channel.connectTo(maker))) throw new Error('no direct link');
  return channel;
}

/** Sends when all takers have something to send. */
function gated(channel: OnionMessageChannel): NegotiationChannel {
  return {
    on: (event, listener) => channel.on(event, listener),
    off: (event, listener) => channel.off(event, listener),
    send(to, command, ...more) {
      waiting.push(() => channel.send(to, command, ...more));
      if (waiting.length === takers.length) onFull?.();
      return { sent: true, route: { kind: 'direct' } };
    },
  };
}

async function run(channel: OnionMessageChannel, coins: readonly TestCoin[]): Promise<string> {
  const result = await runCoinjoin({
    channel: gated(channel),
    network: NETWORK,
    wallet: {
      ...createTakerWallet(channel.nick, coins),
      sign: async (request) => signCoins(coins, request),
    },
    chain: {
      ...chain,
      async coins(outpoints, signal) {
        const found = await chain.coins(outpoints, signal);
        return outpoints.map((outpoint, n) => found[n] ?? byName.get(formatOutpoint(outpoint)));
      },
      broadcast: async () => {},
    },
    commitments: createMemoryCommitments(),
    amount: AMOUNT,
    makers: 1,
    candidates: [{ nick: maker, offer: OFFER }],
    policy: { minimumMakers: 1, maxCjFeeAbs: 900, broadcast: 'self' },
    clock: systemClock,
    randomBytes,
    log: silentLog,
  });
  return result.ok ? 'complete' : `${result.fault}: ${result.detail}`;
}

async function full(): Promise<void> {
  if (waiting.length === takers.length) return;
  await new Promise<void>((resolve) => {
    onFull = resolve;
  });
}

answerQuestions(async (question) => {
  switch (question) {
    case 'start': {
      for (const coins of takers) {
        // The directory admits a few connections of one address at a time.
        // oxlint-disable-next-line no-await-in-loop
        results.push(run(await open(), coins));
      }
      return null;
    }
    case 'full':
      return full();
    case 'release':
      for (const send of waiting.splice(0)) send();
      return null;
    case 'results':
      return Promise.all(results);
    default:
      throw new Error(`unknown question: ${question}`);
  }
});
