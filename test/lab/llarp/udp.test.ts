/** Routers of the lab on real UDP sockets: in one process, and across processes that know each other from files. */
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { setTimeout as pause } from 'node:timers/promises';
import t, { type Test } from 'tap';
import type { Path, PathEnd } from '../../../src/llarp/path/path.js';
import { ROUTER_CONTACT, type RouterContact } from '../../../src/llarp/structures.js';
import type { RoutingMessage } from '../../../src/llarp/routing-messages.js';
import { HIDDEN_SERVICE_FRAME } from '../../../src/llarp/routing-messages.js';
import { addressOf, makeContact, newRouterKeys } from '../../../src/llarp/router/contact.js';
import { deobfuscate } from '../../../src/llarp/iwp/obfuscation.js';
import { readPacket } from '../../../src/llarp/iwp/packet.js';
import { readLlarp, writeLlarp } from '../../../src/llarp/read.js';
import { deferred } from '../../../src/kit/deferred.js';
import { BootstrapFolder } from '../../../src/lab/llarp/bootstrap-folder.js';
import { parseBootstrap, readBootstrap, writeBootstrap } from '../../../src/lab/llarp/bootstrap.js';
import { UdpPort } from '../../../src/lab/llarp/udp-port.js';
import { LAB_NETWORK, systemRandom, UdpRouter } from '../../../src/lab/llarp/udp-router.js';
import { systemClock } from '../../../src/overlay/system-clock.js';
import type { Clock } from '../../../src/kit/clock.js';
import { createTestClock } from '../../helpers/test-clock.js';

const PROGRAM = fileURLToPath(new URL('router-program.ts', import.meta.url));
const REGISTER = new URL('../../runner/register.mjs', import.meta.url).href;

async function startRouters(
  t: Test,
  count: number,
  options: Partial<Parameters<typeof UdpRouter.start>[0]> = {},
): Promise<readonly UdpRouter[]> {
  const routers: UdpRouter[] = [];
  for (let i = 0; i < count; i++) {
    // oxlint-disable-next-line no-await-in-loop -- each takes a port
    const router = await UdpRouter.start({ network: LAB_NETWORK, ...options });
    t.teardown(() => router.close());
    routers.push(router);
  }
  for (const router of routers) router.meet(routers.map(({ contact }) => contact));
  return routers;
}

/** A path, and what arrives on it. */
class Watched {
  readonly frames: string[] = [];
  readonly messages: RoutingMessage[] = [];
  readonly ready = deferred<void>();
  readonly ended = deferred<PathEnd>();
  readonly path: Path;
  #onFrame: (count: number) => void = () => undefined;

  constructor(creator: UdpRouter, hops: readonly RouterContact[]) {
    const path = creator.node.router.createPath(hops, {
      onReady: () => this.ready.resolve(),
      onEnd: (reason) => {
        this.ready.reject(new Error(`the path ended: ${reason}`));
        this.ended.resolve(reason);
      },
      onMessage: (message) => this.messages.push(message),
      onFrame: (bytes) => {
        const read = readLlarp(HIDDEN_SERVICE_FRAME, bytes);
        if (!read.ok || read.value.kind !== 'next') throw new Error('not a frame');
        this.frames.push(Buffer.from(read.value.data).toString());
        this.#onFrame(this.frames.length);
      },
    });
    if (!path) throw new Error('the path was not asked for');
    this.path = path;
  }

  /** Resolves when so many frames arrived. */
  async untilFrames(count: number): Promise<void> {
    if (this.frames.length >= count) return;
    const enough = deferred<void>();
    this.#onFrame = (now) => {
      if (now >= count) enough.resolve();
    };
    await enough.promise;
  }

  /** Sends text to another path with the same end. */
  transfer(to: Path, text: string): boolean {
    const frame = {
      kind: 'next',
      data: Uint8Array.from(Buffer.from(text)),
      nonce: new Uint8Array(32),
      tag: new Uint8Array(16),
      source: new Uint8Array(16),
      signature: new Uint8Array(64),
      version: 0n,
    } as const;
    return this.path.send({ kind: 'transfer', pathId: to.farthestId, frame, version: 0n });
  }
}

const contactsOf = (routers: readonly (UdpRouter | undefined)[]): RouterContact[] =>
  routers.flatMap((router) => (router ? [router.contact] : []));

/** Time that passes `times` as fast: keys rotate within seconds, or a busy machine has more time for a path. */
function scaledClock(times: number): Clock {
  return {
    now: () => systemClock.now() * times,
    after: (ms, fn) => systemClock.after(ms / times, fn),
  };
}

const TEXTS = Array.from({ length: 20 }, (_, i) => `message ${i} ${'.'.repeat(i * 150)}`);

t.test('paths of three hops over sockets, obfuscated and not', async (t) => {
  for (const obfuscates of [true, false]) {
    // oxlint-disable-next-line no-await-in-loop -- one lab after the other
    const [alice, bob, a, b, c, d, end] = await startRouters(t, 7, {
      obfuscates,
      clock: scaledClock(1 / 4),
    });
    if (!alice || !bob) throw new Error('no routers');
    const up = new Watched(alice, contactsOf([a, b, end]));
    const down = new Watched(bob, contactsOf([c, d, end]));
    // oxlint-disable-next-line no-await-in-loop
    await Promise.all([up.ready.promise, down.ready.promise]);
    for (const text of TEXTS) t.ok(up.transfer(down.path, text));
    for (const text of TEXTS) t.ok(down.transfer(up.path, text));
    // oxlint-disable-next-line no-await-in-loop
    await Promise.all([up.untilFrames(TEXTS.length), down.untilFrames(TEXTS.length)]);
    t.same(down.frames.toSorted(), TEXTS.toSorted(), `up, obfuscated: ${obfuscates}`);
    t.same(up.frames.toSorted(), TEXTS.toSorted(), 'down');
    t.ok((up.path.latencyMs ?? Infinity) < 5_000, 'measured');
    t.same(alice.port.dropped, { address: 0, queue: 0, failed: 0, closed: 0 });
  }
});

const NO_HANDLERS = {
  onReady: () => undefined,
  onEnd: () => undefined,
  onMessage: () => undefined,
  onFrame: () => undefined,
};

t.test('the first packet of an obfuscated router shows nothing of its form', async (t) => {
  for (const obfuscates of [true, false]) {
    const first = deferred<Uint8Array>();
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    const sink = await UdpPort.bind({
      host: '127.0.0.1',
      port: 0,
      onPacket: (packet) => first.resolve(packet),
      onError: () => undefined,
    });
    t.teardown(() => sink.close());
    const keys = newRouterKeys(systemRandom);
    const place = { network: LAB_NETWORK, host: '127.0.0.1', port: sink.port };
    const silent = makeContact(keys, { ...place, now: BigInt(Date.now()) });
    // oxlint-disable-next-line no-await-in-loop
    const [router] = await startRouters(t, 1, { obfuscates });
    if (!router) throw new Error('no router');
    t.equal(router.meet([silent]), 1);
    router.node.router.createPath([silent], NO_HANDLERS);
    // oxlint-disable-next-line no-await-in-loop
    const packet = await first.promise;
    const clear = obfuscates ? deobfuscate(packet, keys.signing.publicKey) : packet;
    const read = readPacket(clear ?? packet);
    t.match(read, { ok: true, value: { packet: { kind: 'obtain' } } });
    t.equal(readPacket(packet).ok, !obfuscates);
  }
});

t.test(
  'a port sends to loopback only, resolves no name, and holds a bounded number of bytes',
  async (t) => {
    const arrived: string[] = [];
    const options = { host: '127.0.0.1', port: 0, onError: () => undefined };
    const got = deferred<void>();
    const one = await UdpPort.bind({ ...options, maxQueuedBytes: 100, onPacket: () => undefined });
    const other = await UdpPort.bind({
      ...options,
      host: '127.0.0.2',
      onPacket: (packet, from) => {
        arrived.push(`${packet.length} ${from}`);
        got.resolve();
      },
    });
    t.teardown(() => Promise.all([one.close(), other.close()]));
    const packet = new Uint8Array(100);
    const wrong = ['10.0.0.1:53', 'localhost:53', '127.0.0.999:53', '127.0.0.1:0', '::1:53', ''];
    for (const address of [...wrong, '127.0.0.1:65536', '8.8.8.8']) one.send(packet, address);
    t.equal(one.dropped.address, wrong.length + 2);
    one.send(new Uint8Array(101), `127.0.0.2:${other.port}`);
    t.equal(one.dropped.queue, 1);
    one.send(packet, `127.0.0.2:${other.port}`);
    await got.promise;
    t.same(arrived, [`100 127.0.0.1:${one.port}`]);
    await t.rejects(UdpPort.bind({ ...options, host: '0.0.0.0', onPacket: () => undefined }), {
      message: 'the lab binds to 127.0.0.0/8 only, not to 0.0.0.0:0',
    });
    const taken = { ...options, port: one.port, onPacket: () => undefined };
    await t.rejects(UdpPort.bind(taken), { code: 'EADDRINUSE' });
    await t.rejects(UdpRouter.start({ network: LAB_NETWORK, port: one.port }), {
      code: 'EADDRINUSE',
    });
    await one.close();
    await one.close();
    one.send(packet, `127.0.0.2:${other.port}`);
    t.match(one, { port: 0, queuedBytes: 0, dropped: { closed: 1 } });
  },
);

t.test(
  'bootstrap files: a list, one contact, a line feed at the end, and what is refused',
  async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'onionmc-llarp-'));
    t.teardown(() => rm(folder, { recursive: true, force: true }));
    const contacts = Array.from({ length: 3 }, (_, i) =>
      makeContact(newRouterKeys(systemRandom), {
        network: LAB_NETWORK,
        host: '127.0.0.1',
        port: 1_000 + i,
        now: 1n,
      }),
    );
    const path = join(folder, 'some.signed');
    await writeBootstrap(path, contacts);
    t.same(await readBootstrap(path), contacts);
    const [first] = contacts;
    if (!first) throw new Error('no contact');
    const alone = new Uint8Array(writeLlarp(ROUTER_CONTACT, first));
    t.same(parseBootstrap(alone), { ok: true, value: [first] });
    t.same(parseBootstrap(new Uint8Array(Buffer.concat([alone, Buffer.from('\n')]))), {
      ok: true,
      value: [first],
    });
    t.match(parseBootstrap(Buffer.concat([alone, Buffer.from('\n\n')])), { ok: false });
    t.match(parseBootstrap(new Uint8Array(0)), { ok: false });
    t.match(parseBootstrap(Buffer.from('le')), { ok: true, value: [] });
    t.match(parseBootstrap(Buffer.from('l'.repeat(40))), { ok: false });
    await writeFile(path, 'other text');
    await t.rejects(readBootstrap(path), /some\.signed is not a bootstrap file/);
  },
);

t.test('a router that leaves the folder while its file is written leaves no file', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'onionmc-llarp-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  const clock = createTestClock();
  const keys = newRouterKeys(systemRandom);
  const place = { network: LAB_NETWORK, host: '127.0.0.1', port: 1_000 };
  const member = { contact: makeContact(keys, { ...place, now: 1n }), meet: () => 0 };
  const onError = (error: Error): void => {
    t.fail(error.message);
  };
  const joined = await BootstrapFolder.join({ folder, name: 'a', member, clock, onError });
  t.same(await readdir(folder), ['a.signed']);
  member.contact = makeContact(keys, { ...place, now: 2n });
  clock.advance(10_000);
  await joined.leave();
  t.same(await readdir(folder), []);
  t.equal(clock.pending, 0);
});

t.test('a router whose contact cannot be made frees its port', async (t) => {
  const free = await UdpPort.bind({
    host: '127.0.0.1',
    port: 0,
    onPacket: () => undefined,
    onError: () => undefined,
  });
  const { port } = free;
  await free.close();
  const exit = {
    address: new Uint8Array(16),
    netmask: new Uint8Array(16),
    key: new Uint8Array(32),
  };
  const exits = Array.from({ length: 10 }, () => ({ ...exit, policies: [], version: 0n }));
  await t.rejects(UdpRouter.start({ network: LAB_NETWORK, port, exits }), /fewer exits/);
  const router = await UdpRouter.start({ network: LAB_NETWORK, port });
  t.equal(router.port.port, port);
  await router.close();
});

/** A path that is ready. In fast time the first ones may end while their links are made. */
async function readyPath(
  creator: UdpRouter,
  hops: readonly RouterContact[],
  tries = 10,
): Promise<Watched> {
  const path = new Watched(creator, hops);
  try {
    await path.ready.promise;
    return path;
  } catch (error) {
    if (tries <= 1) throw error;
    return readyPath(creator, hops, tries - 1);
  }
}

async function until(condition: () => boolean): Promise<void> {
  // oxlint-disable-next-line no-await-in-loop -- looked at again and again
  while (!condition()) await pause(20);
}

t.test('keys rotate and contacts are renewed on sockets while a path is used', async (t) => {
  let ahead = 0;
  const wallClock = (): bigint => BigInt(Date.now() + ahead);
  const [alice, bob, a, end] = await startRouters(t, 4, { clock: scaledClock(10), wallClock });
  if (!alice || !bob || !end) throw new Error('no routers');
  const up = await readyPath(alice, contactsOf([a, end]));
  const down = await readyPath(bob, contactsOf([end]));
  // Seventy-five seconds of the clock: a key lives for sixty.
  for (let i = 0; i < 30; i++) {
    up.transfer(down.path, `text ${i}`);
    // oxlint-disable-next-line no-await-in-loop -- spread over the time in which keys change
    await pause(250);
  }
  await down.untilFrames(30);
  t.equal(new Set(down.frames).size, 30);
  const before = end.contact.time;
  ahead = 31 * 60_000;
  await until(() => (bob.node.router.book.get(end.contact.signingKey)?.time ?? 0n) > before);
  t.ok(end.contact.time > before, 'in the middle of its hour a contact is made anew');
});

interface Process {
  readonly child: ChildProcess;
  readonly address: string;
}

async function startProcess(t: Test, folder: string, name: string): Promise<Process> {
  const child = fork(PROGRAM, [folder, name], {
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
    execArgv: ['--import', REGISTER],
  });
  t.teardown(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  });
  if (!child.stdout) throw new Error('no output');
  const [line]: Buffer[] = await once(child.stdout, 'data');
  return { child, address: String(line).trim() };
}

/** A path that is ready. */
async function built(creator: UdpRouter, hops: readonly RouterContact[]): Promise<Watched> {
  const watched = new Watched(creator, hops);
  await watched.ready.promise;
  return watched;
}

t.test(
  'paths across processes that find each other in files; one goes away and comes back',
  async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'onionmc-llarp-'));
    t.teardown(() => rm(folder, { recursive: true, force: true }));
    const names = ['r1', 'r2', 'r3'];
    const processes = await Promise.all(names.map((name) => startProcess(t, folder, name)));
    const creators: UdpRouter[] = [];
    for (const name of ['alice', 'bob']) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      const router = await UdpRouter.start({ network: LAB_NETWORK });
      const member = router;
      const onError = (error: Error): void => {
        t.fail(error.message);
      };
      // oxlint-disable-next-line no-await-in-loop
      const joined = await BootstrapFolder.join({
        folder,
        name,
        member,
        clock: systemClock,
        everyMs: 50,
        onError,
      });
      t.teardown(() => joined.leave());
      t.teardown(() => router.close());
      creators.push(router);
    }
    const [alice, bob] = creators;
    if (!alice || !bob) throw new Error('no creators');
    const contacts = async (): Promise<RouterContact[]> =>
      (
        await Promise.all(names.map((name) => readBootstrap(join(folder, `${name}.signed`))))
      ).flat();
    const talk = async (hops: readonly RouterContact[], label: string): Promise<void> => {
      const [up, down] = await Promise.all([built(alice, hops), built(bob, hops.slice(-1))]);
      for (const text of TEXTS) up.transfer(down.path, text);
      await down.untilFrames(TEXTS.length);
      t.same(down.frames.toSorted(), TEXTS.toSorted(), label);
    };
    const first = await contacts();
    t.same(
      first.map((contact) => addressOf(contact)),
      processes.map(({ address }) => address),
    );
    await talk(first, 'over three processes');

    const [, second] = processes;
    if (!second) throw new Error('no second process');
    second.child.kill('SIGKILL');
    await once(second.child, 'exit');
    const back = await startProcess(t, folder, 'r2');
    t.not(back.address, second.address);
    const renewed = await contacts();
    t.same(renewed[1]?.signingKey, first[1]?.signingKey, 'the same router');
    t.not(renewed[1]?.time, first[1]?.time, 'with a new contact');
    await talk(renewed, 'after one came back at another port');

    back.child.kill('SIGTERM');
    const [code] = await once(back.child, 'exit');
    t.equal(code, 0);
    await t.rejects(readBootstrap(join(folder, 'r2.signed')), { code: 'ENOENT' });
    t.equal((await readFile(join(folder, 'r2.keys'))).length, 96, 'its keys stay');
  },
);
