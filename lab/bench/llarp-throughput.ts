/**
 * The throughput of one path of three hops over UDP sockets, beside a plain TCP and a plain UDP socket: all ends in one
 * process, the same bytes, one after the other. A profile of the path names the functions that cost most.
 */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { Session } from 'node:inspector/promises';
import { createConnection, createServer } from 'node:net';
import { basename } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { newRouterKeys } from '../../src/llarp/router/contact.js';
import { Router } from '../../src/llarp/router/router.js';
import { UdpPort } from '../../src/lab/llarp/udp-port.js';
import { LAB_NETWORK, systemRandom } from '../../src/lab/llarp/udp-router.js';
import { systemClock } from '../../src/overlay/system-clock.js';
import { deferred } from '../../src/kit/deferred.js';

const TOTAL_BYTES = 5_000_000;
const PACKET_BYTES = 1_200;
/** IP packets in one routing message. */
const PACKETS = 8;
const MEGABYTE = 1_000_000;
const TOP = 3;
/** The receiver of a plain socket says how far it is, so that the sender does not overrun it. */
const WINDOW_BYTES = 100_000;
const LOST_MS = 200;

interface Rate {
  readonly name: string;
  readonly perSecond: readonly number[];
  readonly perCpuSecond: readonly number[];
}

export interface Heavy {
  readonly name: string;
  /** Of the time of all samples, without idle time. */
  readonly share: number;
}

async function startRouter(onBytes: (count: number) => void): Promise<[Router, UdpPort]> {
  const late: { router?: Router } = {};
  const port = await UdpPort.bind({
    host: '127.0.0.1',
    port: 0,
    onPacket: (packet, from) => late.router?.receive(packet, from),
    onError: (error) => {
      throw error;
    },
  });
  const router = new Router({
    clock: systemClock,
    wallClock: () => BigInt(Date.now()),
    randomBytes: systemRandom,
    keys: newRouterKeys(systemRandom),
    network: LAB_NETWORK,
    host: '127.0.0.1',
    port: port.port,
    send: (packet, address) => port.send(packet, address),
    farEnd: {
      onMessage: (message) => {
        if (message.kind !== 'traffic') return;
        for (const packet of message.packets) onBytes(packet.length - 8);
      },
    },
  });
  late.router = router;
  return [router, port];
}

/** MB a second over a path of three hops. */
async function overPath(): Promise<number> {
  let arrived = 0;
  const all = deferred<void>();
  const onBytes = (count: number): void => {
    arrived += count;
    if (arrived >= TOTAL_BYTES) all.resolve();
  };
  const started = await Promise.all(Array.from({ length: 4 }, () => startRouter(onBytes)));
  const [creator, ...hops] = started.map(([router]) => router);
  const [first] = hops;
  if (!creator || !first) throw new Error('no routers');
  const ready = deferred<void>();
  creator.book.put(first.contact, BigInt(Date.now()));
  const path = creator.createPath(
    hops.map(({ contact }) => contact),
    {
      onReady: () => ready.resolve(),
      onEnd: (reason) => all.reject(new Error(`the path ended: ${reason}`)),
      onMessage: () => undefined,
      onFrame: () => undefined,
    },
  );
  await ready.promise;
  const packets = Array.from({ length: PACKETS }, () => new Uint8Array(8 + PACKET_BYTES));
  const began = performance.now();
  for (let sent = 0; sent < TOTAL_BYTES;) {
    // What waits is bounded as in the plain sockets: a window in flight.
    if (
      sent - arrived < WINDOW_BYTES &&
      path?.send({ kind: 'traffic', packets, version: 0n }) === true
    ) {
      sent += PACKETS * PACKET_BYTES;
    }
    // oxlint-disable-next-line no-await-in-loop -- the routers run between two messages
    else await turn();
  }
  await all.promise;
  const seconds = (performance.now() - began) / 1_000;
  for (const [router, port] of started) {
    router.close();
    // oxlint-disable-next-line no-await-in-loop
    await port.close();
  }
  return TOTAL_BYTES / MEGABYTE / seconds;
}

async function overTcp(): Promise<number> {
  const server = createServer((socket) => {
    let arrived = 0;
    socket.on('data', (bytes) => {
      arrived += bytes.length;
      if (arrived >= TOTAL_BYTES) socket.end('done');
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address ? address.port : 0;
  const client = createConnection({ host: '127.0.0.1', port });
  await once(client, 'connect');
  const chunk = new Uint8Array(PACKET_BYTES);
  const began = performance.now();
  const done = once(client, 'data');
  for (let sent = 0; sent < TOTAL_BYTES; sent += chunk.length) {
    // oxlint-disable-next-line no-await-in-loop
    if (!client.write(chunk)) await once(client, 'drain');
  }
  await done;
  const seconds = (performance.now() - began) / 1_000;
  client.destroy();
  server.close();
  return TOTAL_BYTES / MEGABYTE / seconds;
}

async function overUdp(): Promise<number> {
  const [client, server] = [createSocket('udp4'), createSocket('udp4')];
  let arrived = 0;
  server.on('message', (bytes) => {
    arrived += bytes.length;
  });
  server.bind(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  client.connect(port, '127.0.0.1');
  await once(client, 'connect');
  const packet = new Uint8Array(PACKET_BYTES);
  const began = performance.now();
  // A datagram may be lost: what does not arrive in time is sent again.
  for (let sent = 0, seen = 0, at = began; ;) {
    if (arrived >= TOTAL_BYTES) break;
    if (arrived > seen) [seen, at] = [arrived, performance.now()];
    if (performance.now() - at > LOST_MS) [sent, at] = [arrived, performance.now()];
    if (sent - arrived < WINDOW_BYTES / 4) {
      client.send(packet);
      sent += packet.length;
    }
    // oxlint-disable-next-line no-await-in-loop
    await turn();
  }
  const seconds = (performance.now() - began) / 1_000;
  client.close();
  server.close();
  return TOTAL_BYTES / MEGABYTE / seconds;
}

/** Own time of each function while `run` runs. */
async function profiled(run: () => Promise<unknown>): Promise<readonly Heavy[]> {
  const session = new Session();
  session.connect();
  await session.post('Profiler.enable');
  await session.post('Profiler.start');
  await run();
  const { profile } = await session.post('Profiler.stop');
  session.disconnect();
  const names = new Map(
    profile.nodes.map(({ id, callFrame }) => [
      id,
      `${callFrame.functionName || '(top)'} ${basename(callFrame.url)}`.trim(),
    ]),
  );
  const own = new Map<string, number>();
  let total = 0;
  for (const [i, id] of (profile.samples ?? []).entries()) {
    const name = names.get(id) ?? '';
    if (name === '(idle)') continue;
    const time = profile.timeDeltas?.[i] ?? 0;
    total += time;
    own.set(name, (own.get(name) ?? 0) + time);
  }
  return [...own]
    .map(([name, time]) => ({ name, share: time / total }))
    .toSorted((a, b) => b.share - a.share)
    .slice(0, TOP);
}

/** Each way is measured this often, in turns. */
export async function benchThroughput(
  rounds: number,
): Promise<{ readonly rates: readonly Rate[]; readonly heaviest: readonly Heavy[] }> {
  const ways = [
    { name: 'a path of three hops', run: overPath },
    { name: 'a TCP socket', run: overTcp },
    { name: 'a UDP socket', run: overUdp },
  ].map((way) => ({ ...way, perSecond: [] as number[], perCpuSecond: [] as number[] }));
  for (let round = 0; round < rounds; round++) {
    for (const { run, perSecond, perCpuSecond } of ways) {
      const before = process.cpuUsage();
      // oxlint-disable-next-line no-await-in-loop -- in turns
      perSecond.push(await run());
      const { user, system } = process.cpuUsage(before);
      perCpuSecond.push(TOTAL_BYTES / (user + system));
    }
  }
  return { rates: ways, heaviest: await profiled(overPath) };
}
