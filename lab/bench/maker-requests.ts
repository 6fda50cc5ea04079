/**
 * The cost of a flood of fresh nicks for a maker that could take part in coinjoins: CPU, memory, files,
 * answers. The signatures of incoming messages are not included, since the channel has checked them before.
 */
import { EventEmitter } from 'eventemitter3';
import { randomBytes } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { MessageChannelEvents } from '../../src/channel/message-channel.js';
import { silentLog } from '../../src/channel/log.js';
import type { Clock } from '../../src/channel/ports.js';
import {
  createRequestLimiter,
  DEFAULT_REQUEST_LIMITS,
} from '../../src/negotiation/maker/request-limits.js';
import { DEFAULT_MAKER_POLICY } from '../../src/negotiation/maker/api.js';
import { MakerSessions, DEFAULT_SESSION_LIMITS } from '../../src/negotiation/maker/sessions.js';
import { createBoxKeyPair, openBoxSession } from '../../src/protocol/encryption.js';
import { formatPrivmsg } from '../../src/protocol/message.js';
import { createNickKey } from '../../src/protocol/nick.js';
import { formatOffer, type Offer } from '../../src/protocol/offer.js';
import { createPodle, formatRevelation } from '../../src/protocol/podle.js';
import { printTable } from './table.js';

const OFFER: Offer = {
  type: 'sw0reloffer',
  oid: 0,
  minsize: 27_300,
  maxsize: 500_000_000,
  txfee: 0,
  cjfee: '0.00002',
};

/** A clock that stands still until it is advanced. */
function createStandingClock(): Clock & { go(ms: number): void } {
  let now = 0;
  const timers = new Set<{ readonly due: number; readonly fn: () => void }>();
  return {
    now: () => now,
    after(ms, fn) {
      const timer = { due: now + ms, fn };
      timers.add(timer);
      return () => void timers.delete(timer);
    },
    go(ms) {
      now += ms;
      for (const timer of timers) {
        if (timer.due > now) continue;
        timers.delete(timer);
        timer.fn();
      }
    },
  };
}

function collectGarbage(): void {
  setFlagsFromString('--expose-gc');
  const collect: unknown = runInNewContext('gc');
  if (typeof collect === 'function') collect();
}

const heap = (): number => {
  collectGarbage();
  return process.memoryUsage().heapUsed;
};
const files = (): number => readdirSync('/proc/self/fd').length;

const unused = (): never => {
  throw new Error('not reached in this benchmark');
};

/** The most proofs that a session accepts. */
const PROOFS = DEFAULT_MAKER_POLICY.attempts;

/** Fails only in the last step, after every point was tried. */
const FALSE_PROOF = (() => {
  const { commitment, revelation } = createPodle(
    new Uint8Array(32).fill(7),
    { txid: 'ab'.repeat(32), vout: 0 },
    0,
  );
  return { commitment, text: formatRevelation({ ...revelation, s: '11'.repeat(32) }) };
})();

interface Flood {
  readonly nicks: number;
  /** Of simulated time. */
  readonly seconds: number;
  /** With `proof`, each accepted `fill` is followed by proofs that do not verify. */
  readonly kind: 'orderbook' | 'fill' | 'proof';
}

function flood({ nicks, seconds, kind }: Flood): readonly string[] {
  const clock = createStandingClock();
  const events = new EventEmitter<MessageChannelEvents>();
  const key = createNickKey(randomBytes);
  const taker = createBoxKeyPair(randomBytes);
  let sent = 0;
  let answered: string | undefined;
  const send = (to: string, command: string, args: string) => {
    formatPrivmsg(key, to, command, args);
    sent += 1;
    if (command === 'pubkey') [answered] = args.split(' ');
    return { sent: true as const, route: { kind: 'direct' as const } };
  };
  const limiter = createRequestLimiter(clock, DEFAULT_REQUEST_LIMITS);
  const sessions = new MakerSessions({
    channel: {
      on: (event, listener) => void events.on(event, listener),
      off: (event, listener) => void events.off(event, listener),
      send,
    },
    network: 'signet',
    offers: [OFFER],
    wallet: { reserve: unused, sign: unused, settle: unused },
    chain: { coins: unused, broadcast: unused, seen: unused },
    commitments: { has: () => false, add: unused, size: 0 },
    policy: DEFAULT_MAKER_POLICY,
    limits: DEFAULT_SESSION_LIMITS,
    limiter,
    clock,
    randomBytes,
    log: silentLog,
  });
  const answer = formatOffer(OFFER);
  const heapBefore = heap();
  const filesBefore = files();
  const cpuBefore = process.cpuUsage();
  let most = 0;
  // Microseconds of processor time that the flood itself costs.
  let floodCpu = 0;
  const proofs = (makerKey: string): readonly string[] => {
    const since = process.cpuUsage();
    const box = openBoxSession(taker, makerKey);
    const args = box.ok
      ? Array.from({ length: PROOFS }, () => box.value.encrypt(FALSE_PROOF.text, randomBytes))
      : [];
    const { user, system } = process.cpuUsage(since);
    floodCpu += user + system;
    return args;
  };
  for (let n = 0; n < nicks; n += 1) {
    clock.go((seconds * 1_000) / nicks);
    const from = `J5${n.toString(36).padStart(14, 'x')}`;
    const location = { kind: 'loopback', host: '127.0.0.1', port: 1 + (n % 2) } as const;
    const route = { kind: 'directory', location } as const;
    if (kind === 'orderbook') {
      if (limiter.mayAskOrderbook(from, route)) send(from, OFFER.type, answer);
    } else {
      const commitment =
        kind === 'fill' ? n.toString(16).padStart(64, '0') : FALSE_PROOF.commitment;
      const say = (name: string, args: readonly string[]): void =>
        sessions.receive({
          from,
          to: key.nick,
          commands: [{ name, args }],
          publicKeyHex: '',
          route,
        });
      answered = undefined;
      say('fill', ['0', '100000', taker.publicKeyHex, `P${commitment}`]);
      if (kind === 'proof' && answered !== undefined) {
        for (const args of proofs(answered)) say('auth', [args]);
      }
    }
    most = Math.max(most, sessions.size);
  }
  const { user, system } = process.cpuUsage(cpuBefore);
  const held = (heap() - heapBefore) / 1024;
  const opened = files() - filesBefore;
  const { remembered } = limiter;
  sessions.close();
  const cpu = (user + system - floodCpu) / 1_000;
  return [
    `${kind}, ${nicks.toLocaleString('en-US')} nicks in ${seconds} s`,
    cpu.toFixed(0),
    ((cpu * 1_000) / nicks).toFixed(1),
    (cpu / seconds / 10).toFixed(1),
    held.toFixed(0),
    String(opened),
    String(sent),
    String(most),
    String(remembered),
  ];
}

export function benchMakerRequests(quick: boolean): void {
  const nicks = quick ? 10_000 : 100_000;
  flood({ nicks: 1_000, seconds: 1, kind: 'fill' });
  printTable(
    [
      'flood',
      'CPU ms',
      'µs per request',
      '% of a core',
      'heap KiB kept',
      'files',
      'sent',
      'most sessions',
      'remembered',
    ],
    [
      flood({ nicks, seconds: 100, kind: 'orderbook' }),
      flood({ nicks, seconds: 10, kind: 'orderbook' }),
      flood({ nicks, seconds: 100, kind: 'fill' }),
      flood({ nicks, seconds: 10, kind: 'fill' }),
      flood({ nicks, seconds: 100, kind: 'proof' }),
    ],
  );
}
