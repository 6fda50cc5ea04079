/**
 * Takers in a process of their own: each round has a new nick and new circuits. The CPU time of the process
 * is measured from the call of `runCoinjoin` to its result.
 */
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { silentLog } from '../../src/channel/log.js';
import { openChannel } from '../../src/roles/library.js';
import { runCoinjoin } from '../../src/negotiation/taker/coinjoin.js';
import type { NegotiationChannel } from '../../src/negotiation/resender.js';
import { systemClock } from '../../src/overlay/system-clock.js';
import { createTorOverlay } from '../../src/overlay/tor.js';
import { createNickKey } from '../../src/protocol/nick.js';
import { createMemoryCommitments, createTakerWallet } from '../../test/helpers/coinjoin-world.js';
import {
  AMOUNT,
  cpuMs,
  makerKey,
  NETWORK,
  nowMs,
  OFFER,
  Scene,
  signCoins,
  stampsOf,
  type Stamp,
} from './coinjoin-scene.js';
import { answerQuestions } from './process.js';

const [side = '', makers = '', socks = '', host = '', port = ''] = process.argv.slice(2);
const nicks = Array.from({ length: Number(makers) }, (_, n) => makerKey(side, n).nick);
const scene = new Scene(nicks.length);
/** How often a look for missing makers is repeated, in milliseconds. */
const LOOK_MS = 50;
/** Longest wait for the offers of all makers, in milliseconds. */
const OFFERS_MS = 60_000;

/** What a round took. */
export interface TakerReport {
  readonly nick: string;
  /** The nicks of the makers, in the order of their processes. */
  readonly makers: readonly string[];
  readonly fault: string | undefined;
  readonly startedMs: number;
  readonly endedMs: number;
  readonly cpuMs: number;
  readonly bytes: number;
  readonly stamps: readonly Stamp[];
}

async function round(): Promise<TakerReport> {
  const { taker: coins } = scene.next();
  const channel = openChannel({
    network: NETWORK,
    directories: [{ kind: 'onion', host, port: Number(port) }],
    nickKey: createNickKey(randomBytes),
    serve: false,
    clock: systemClock,
    random: Math.random,
    log: silentLog,
    overlay: createTorOverlay({ socks: { kind: 'tcp', host: '127.0.0.1', port: Number(socks) } }),
  });
  const missing = new Set(nicks);
  channel.on('privmsg', ({ from }) => void missing.delete(from));
  await new Promise<void>((resolve) => {
    channel.on('welcome', () => resolve());
  });
  // As takers do: the answers show that the makers are there, and by which directory.
  channel.publish('orderbook');
  const until = nowMs() + OFFERS_MS;
  while (missing.size > 0) {
    if (nowMs() > until) throw new Error(`${missing.size} makers made no offer`);
    // oxlint-disable-next-line no-await-in-loop -- until all have answered
    await sleep(LOOK_MS);
  }
  const { stamps, sent } = stampsOf(channel);
  const negotiation: NegotiationChannel = {
    on: (event, listener) => channel.on(event, listener),
    off: (event, listener) => channel.off(event, listener),
    send(to, command, ...more) {
      const result = channel.send(to, command, ...more);
      sent(to, command);
      return result;
    },
  };
  let broadcast: Uint8Array | undefined;
  const wallet = {
    ...createTakerWallet('taker', coins),
    sign: async (request: Parameters<typeof signCoins>[1]) => signCoins(coins, request),
  };
  const startedMs = nowMs();
  const cpuBefore = cpuMs();
  const result = await runCoinjoin({
    channel: negotiation,
    network: NETWORK,
    wallet,
    chain: {
      ...scene.chain,
      // A node checks the transaction: not in the time that is measured.
      broadcast: async (bytes) => {
        broadcast = bytes;
      },
    },
    commitments: createMemoryCommitments(),
    amount: AMOUNT,
    makers: nicks.length,
    candidates: nicks.map((nick) => ({ nick, offer: OFFER })),
    policy: { minimumMakers: nicks.length, maxCjFeeAbs: 900, broadcast: 'self' },
    clock: systemClock,
    randomBytes,
    log: silentLog,
  });
  const cpu = cpuMs() - cpuBefore;
  const endedMs = nowMs();
  await channel.close();
  // Verifies every signature by the library's own hash.
  if (broadcast !== undefined) await scene.chain.broadcast(broadcast);
  return {
    nick: channel.nick,
    makers: nicks,
    fault: result.ok ? undefined : `${result.fault}: ${result.detail}`,
    startedMs,
    endedMs,
    cpuMs: cpu,
    bytes: broadcast?.length ?? 0,
    stamps: [...stamps],
  };
}

answerQuestions(async (question) => {
  if (question === 'round') return round();
  throw new Error(`unknown question: ${question}`);
});
