/**
 * Thousands of peers connect or leave at once, at a directory in its own process: every peer is served, no
 * peer receives a leave twice, and the processor time stays small.
 */
import t from 'tap';
import { startDirectoryProcess } from '../helpers/directory-process.js';
import { joinMany, nickOf, NO_RATES_CONFIG, type Mass, type OnLine } from './many.js';
import { onion, oneProcess, until } from './wire.js';
import { freePort } from '../../src/lab/private-network/free-ports.js';

const PEERS = 2_000;
const OBSERVERS = 20;

/** The nicks of the leaves in one line. */
function leavesIn(line: string): string[] {
  const [, payload = ''] = /^\{"type": 789, "line": "(.*)"\}$/.exec(line) ?? [];
  const left = payload.split(',').filter((entry) => entry.endsWith(';D'));
  return left.map((entry) => entry.slice(0, entry.indexOf(';')));
}

void t.test(
  '2,000 peers connect at once, receive one message, and leave in one tick',
  oneProcess(
    'processor time and descriptors of one program; `scripts/bench cluster` has 3,000 at three',
  ),
  async (t) => {
    const statusPort = await freePort();
    // With the default of 1,000 the speed of the machine would decide which of 2,000 are in after two seconds;
    // relay.test.ts has that rule on the clock of the test.
    const config = `${NO_RATES_CONFIG}max_unhandshaked = ${PEERS}\n`;
    const directory = await startDirectoryProcess(t, statusPort, config);
    const descriptorsBefore = await directory.descriptors();
    const all: Mass[] = [];
    t.teardown(() => {
      for (const { socket } of all) socket.destroy();
    });
    const add = (nick: string, onLine?: OnLine, location?: string): Mass => {
      const peer = joinMany(directory.port, nick, onLine, location ? { location } : {});
      all.push(peer);
      return peer;
    };

    const heard = Array.from({ length: OBSERVERS }, () => new Map<string, number>());
    const observers = heard.map((leaves, n) =>
      add(nickOf('Watch', n), (line) => {
        for (const nick of leavesIn(line.toString('latin1'))) {
          leaves.set(nick, (leaves.get(nick) ?? 0) + 1);
        }
      }),
    );
    t.strictSame(
      new Set(await Promise.all(observers.map((peer) => peer.accepted))),
      new Set([true]),
    );

    // All dial in one tick; every second one serves.
    const cameAt = performance.now();
    const cpuBeforeArrival = await directory.cpuSeconds();
    const peers = Array.from({ length: PEERS }, (_, n) =>
      add(nickOf('Crowd', n), undefined, n % 2 === 0 ? onion(n % 256) : undefined),
    );
    const accepted = await Promise.all(peers.map((peer) => peer.accepted));
    const arrivalMs = performance.now() - cameAt;
    const arrivalCpu = (await directory.cpuSeconds()) - cpuBeforeArrival;
    t.equal(accepted.filter(Boolean).length, PEERS, 'all are accepted');
    t.match((await directory.status())['closed'], { 'unhandshaked-limit': 0, 'closed-by-peer': 0 });

    const [speaker] = peers;
    if (!speaker) throw new Error('no peer connected');
    speaker.send(687, `${speaker.nick}!PUBLIC!orderbook`);
    await until(() => [...peers, ...observers].every((peer) => peer === speaker || peer.lines > 0));
    t.equal(speaker.lines, 0, 'the speaker does not receive its own message');
    t.ok(
      peers.every((peer) => peer === speaker || peer.lines === 1),
      'every other peer receives it once, and no other line',
    );

    // All leave in one tick, half of them with a reset; a newcomer connects after them.
    const cpuBefore = await directory.cpuSeconds();
    peers.forEach(({ socket }, n) => {
      if (n % 2 === 0) socket.resetAndDestroy();
      else socket.destroy();
    });
    const askedAt = performance.now();
    const newcomer = add(nickOf('New', 0));
    t.ok(await newcomer.accepted, 'the newcomer is accepted');
    const newcomerMs = performance.now() - askedAt;

    await until(() => heard.every((leaves) => leaves.size === PEERS));
    const cpu = (await directory.cpuSeconds()) - cpuBefore;
    const names = new Set(peers.map(({ nick }) => nick));
    for (const leaves of heard) {
      t.ok(
        [...leaves].every(([nick, times]) => names.has(nick) && times === 1),
        'each leave exactly once, and no other',
      );
    }
    const { peers: ready, connections } = await directory.status();
    t.strictSame(
      { peers: ready, connections },
      { peers: OBSERVERS + 1, connections: OBSERVERS + 1 },
    );

    for (const { socket } of all) socket.destroy();
    await t.resolves(directory.untilDescriptors(descriptorsBefore), 'descriptors are closed');
    t.comment(
      `${PEERS} handshakes: ${arrivalMs.toFixed(0)} ms, ${arrivalCpu.toFixed(2)} s of processor; ` +
        `${PEERS} leaves to ${OBSERVERS} observers: ${cpu.toFixed(2)} s of processor, ` +
        `newcomer in after ${newcomerMs.toFixed(0)} ms`,
    );
  },
);
