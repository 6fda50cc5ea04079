/** The SOCKS5 dialer against a scripted proxy: every byte of the dialogue is the test's. */
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Socket } from 'node:net';
import { inspect } from 'node:util';
import * as fc from 'fast-check';
import t, { type Test } from 'tap';
import type { Log } from '../../src/channel/log.js';
import { silentLog } from '../../src/channel/log.js';
import { systemClock } from '../../src/overlay/system-clock.js';
import { onionHost, type Location } from '../../src/protocol/location.js';
import { createDialSlots } from '../../src/tor/socks/dial-slots.js';
import { createSocksDialer, type SocksEndpoint } from '../../src/tor/socks/dialer.js';
import { SocksError } from '../../src/tor/socks/error.js';
import { readSocksMessage, type SocksStep } from '../../src/tor/socks/reply.js';
import { GRANTED, startSocksServer } from '../helpers/socks-server.js';
import { createTestClock } from '../helpers/test-clock.js';

const signal = new AbortController().signal;
const host = onionHost(new Uint8Array(32).fill(7));
const onion: Location = { kind: 'onion', host, port: 5222 };
const where = `${host}:5222`;

const full = (): Error => new SocksError('too-many-dials', 'full');

function dialerTo(socks: SocksEndpoint, log: Log = silentLog) {
  return createSocksDialer({ socks, clock: systemClock, log });
}

/** Everything the socket still gives until it has `count` bytes. */
async function readBytes(socket: Socket, count: number): Promise<string> {
  let text = '';
  await new Promise<void>((resolve) => {
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
      if (text.length >= count) resolve();
    });
    socket.resume();
  });
  return text;
}

t.test('it sends the name, with isolation credentials', async (t) => {
  const server = await startSocksServer();
  const dialer = dialerTo(server.endpoint);
  const other = dialerTo(server.endpoint);
  for (const [from, isolation] of [
    [dialer, 'directory:a'],
    [dialer, 'directory:a'],
    [dialer, 'peer:b'],
    [dialer, undefined],
    [other, 'directory:a'],
    // Tor gives such user names another meaning, and refuses most (proposal 351).
    [dialer, '<torS0X>1'],
    [dialer, '<torS0X>0foo'],
  ] as const) {
    const socket = await from.dial(
      onion,
      isolation === undefined ? { signal } : { signal, isolation },
    );
    socket.destroy();
  }
  const [first, again, peer, none, elsewhere] = server.requests;
  t.match(first, { command: 1, addressType: 3, host, port: 5222 });
  t.match(first?.username, /^[0-9a-f]{32}$/);
  t.match(first?.password, /^[0-9a-f]{32}$/);
  t.notMatch(inspect(first), 'directory:a', 'the name itself is not sent');
  t.equal(again?.username, first?.username);
  t.not(peer?.username, first?.username);
  t.not(none?.username, first?.username);
  for (const { username } of server.requests) t.match(username, /^[0-9a-f]{32}$/);
  t.equal(server.requests.length, 7);
  t.equal(new Set(server.requests.slice(0, 4).map((request) => request.password)).size, 1);
  t.not(elsewhere?.password, first?.password, 'another process shares no circuit');
  await server.idle();
  await server.close();
});

t.test('only v3 onions are dialled; for others the proxy gets no request', async (t) => {
  const server = await startSocksServer();
  const dialer = dialerTo(server.endpoint);
  const refused: readonly Location[] = [
    { kind: 'loopback', host: '127.0.0.1', port: 80 },
    { kind: 'onion', host: 'example.com', port: 80 },
    { kind: 'onion', host: `${'a'.repeat(56)}.onion`, port: 80 },
    { kind: 'onion', host: 'expyuzz4wqqyqhjn.onion', port: 80 },
    // Tor does not treat this as an onion, and would ask exit relays for the name.
    { kind: 'onion', host: `${host}.`, port: 5222 },
    { kind: 'onion', host: `www.${host}`, port: 5222 },
  ];
  for (const location of refused) {
    await t.rejects(dialer.dial(location, { signal }), {
      name: 'SocksError',
      code: 'location-refused',
      message: location.host,
    });
  }
  t.equal(server.open, 0);
  t.equal(server.requests.length, 0);
  await server.close();
});

t.test('every reply code is a typed error', async (t) => {
  const server = await startSocksServer();
  const dialer = dialerTo(server.endpoint);
  const cases: readonly (readonly [number, string, RegExp])[] = [
    [0x01, 'general-failure', /the program behind it .* try again later \(SOCKS reply 1\)/],
    [0x02, 'not-allowed', /SocksPolicy/],
    [0x03, 'network-unreachable', /no network/],
    [0x04, 'host-unreachable', /not online/],
    [0x05, 'connection-refused', /does not serve this port/],
    [0x06, 'ttl-expired', /gave up/],
    [0x07, 'command-not-supported', /SocksPort of Tor/],
    [0x08, 'address-type-not-supported', /SocksPort of Tor/],
    [0xf0, 'onion-not-found', /SOCKS reply 0xf0/],
    [0xf1, 'onion-descriptor-invalid', /descriptor/],
    [0xf2, 'onion-introduction-failed', /try again/],
    [0xf3, 'onion-rendezvous-failed', /rendezvous/],
    [0xf4, 'onion-auth-missing', /no key/],
    [0xf5, 'onion-auth-wrong', /key in Tor is wrong/],
    [0xf6, 'onion-address-invalid', /not a valid onion/],
    [0xf7, 'onion-introduction-timeout', /in time/],
    [0x09, 'unknown-reply', /SOCKS reply 9/],
    [0xff, 'unknown-reply', /SOCKS reply 0xff/],
  ];
  for (const [reply, code, message] of cases) {
    // Two bytes are enough to know; a proxy may close right after them.
    for (const bytes of [
      Buffer.from([5, reply, 0, 1, 0, 0, 0, 0, 0, 0]),
      Buffer.from([5, reply]),
    ]) {
      server.script = { reply: bytes, close: true };
      await t.rejects(dialer.dial(onion, { signal }), { name: 'SocksError', code, reply, message });
    }
  }
  await server.idle();
  t.equal(dialer.pending, 0);
  await server.close();
});

t.test('bytes after the reply arrive once, wherever the segments are cut', async (t) => {
  const data = 'first line\r\nsecond line\r\n';
  const replies: Readonly<Record<string, Buffer>> = {
    ipv4: GRANTED,
    ipv6: Buffer.from([5, 0, 0, 4, ...randomBytes(16), 0, 80]),
    name: Buffer.from([5, 0, 0, 3, 5, ...Buffer.from('proxy'), 0, 80]),
    'empty name': Buffer.from([5, 0, 0, 3, 0, 0, 80]),
  };
  const server = await startSocksServer();
  const dialer = dialerTo(server.endpoint);
  for (const [name, head] of Object.entries(replies)) {
    const reply = Buffer.concat([head, Buffer.from(data)]);
    const splits = [
      ...Array.from({ length: reply.length + 1 }, (_, at) => at),
      'every-byte',
    ] as const;
    for (const split of splits) {
      server.script = { reply, split };
      const socket = await dialer.dial(onion, { signal });
      const got = await readBytes(socket, data.length);
      if (got !== data) t.fail(`${name}, split at ${split}: ${JSON.stringify(got)}`);
      socket.destroy();
      await server.idle();
    }
    t.pass(`${name}: ${splits.length} ways to cut`);
  }
  await server.close();
});

t.test('the stream works both ways afterwards, and its end is reported', async (t) => {
  const server = await startSocksServer({
    reply: Buffer.concat([GRANTED, Buffer.from('hi')]),
    close: true,
  });
  const socket = await dialerTo(server.endpoint).dial(onion, { signal });
  t.equal(await readBytes(socket, 2), 'hi');
  await new Promise((resolve) => socket.once('close', resolve));
  await server.close();
});

t.test('a proxy that is not a SOCKS5 proxy, or stops being one', async (t) => {
  const server = await startSocksServer();
  const dialer = dialerTo(server.endpoint);
  const cases: readonly (readonly [string, (typeof server)['script'], string])[] = [
    [
      'HTTP',
      { method: Buffer.from('HTTP/1.0 501 Tor is not an HTTP Proxy\r\n') },
      'proxy-protocol',
    ],
    ['SOCKS4', { method: Buffer.from([4, 90]) }, 'proxy-protocol'],
    ['no method fits', { method: Buffer.from([5, 0xff]) }, 'proxy-protocol'],
    ['GSSAPI', { method: Buffer.from([5, 1]) }, 'proxy-protocol'],
    ['credentials refused', { auth: Buffer.from([1, 1]) }, 'proxy-protocol'],
    ['wrong version of the auth answer', { auth: Buffer.from([5, 0]) }, 'proxy-protocol'],
    ['wrong version of the reply', { reply: Buffer.from([4, 0, 0, 1]) }, 'proxy-protocol'],
    ['unknown address type', { reply: Buffer.from([5, 0, 0, 9, 0, 0]) }, 'proxy-protocol'],
    ['closed in the reply', { reply: GRANTED.subarray(0, 7), close: true }, 'proxy-closed'],
    ['closed before the reply', { close: true }, 'proxy-closed'],
  ];
  for (const [name, script, code] of cases) {
    server.script = script;
    await t.rejects(
      dialer.dial(onion, { signal }),
      { name: 'SocksError', code, message: where },
      name,
    );
    await server.idle();
  }
  await server.close();
});

t.test('a proxy that answers everything in advance', async (t) => {
  const server = await startSocksServer({
    method: Buffer.concat([Buffer.from([5, 2, 1, 0]), GRANTED, Buffer.from('data')]),
    auth: undefined,
  });
  const socket = await dialerTo(server.endpoint).dial(onion, { signal });
  t.equal(await readBytes(socket, 4), 'data');
  socket.destroy();
  await server.close();
});

t.test('a proxy without authentication works, with one warning', async (t) => {
  const warnings: string[] = [];
  const log: Log = { ...silentLog, warn: (text) => warnings.push(text) };
  const server = await startSocksServer({ method: Buffer.from([5, 0]), reply: GRANTED });
  const dialer = dialerTo(server.endpoint, log);
  for (let i = 0; i < 2; i += 1) (await dialer.dial(onion, { signal })).destroy();
  t.match(warnings, [/share circuits/]);
  t.equal(warnings.length, 1);
  await server.close();
});

/** A folder of the system for sockets, whose paths have at most 107 bytes: Node.js 24 refuses longer ones. */
async function shortFolder(t: Test): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'omc-'));
  t.teardown(() => rm(folder, { recursive: true }));
  return folder;
}

t.test('without a Tor, the error names the fix', async (t) => {
  const server = await startSocksServer();
  await server.close();
  await t.rejects(dialerTo(server.endpoint).dial(onion, { signal }), {
    code: 'proxy-unreachable',
    message: /nothing listens at Tor's SOCKS port 127\.0\.0\.1:\d+: start Tor .*socks5_port/,
  });
  const path = join(await shortFolder(t), 'none.sock');
  await t.rejects(dialerTo({ kind: 'unix', path }).dial(onion, { signal }), {
    code: 'proxy-unreachable',
    message: `nothing listens at Tor's SOCKS port unix:${path}`,
  });
});

t.test('a unix socket works too, and the endpoint may change', async (t) => {
  const path = join(await shortFolder(t), 's.sock');
  const unix = await startSocksServer({ reply: GRANTED }, path);
  const tcp = await startSocksServer();
  let endpoint = unix.endpoint;
  const dialer = createSocksDialer({ socks: () => endpoint, clock: systemClock });
  (await dialer.dial(onion, { signal })).destroy();
  endpoint = tcp.endpoint;
  (await dialer.dial(onion, { signal })).destroy();
  t.equal(unix.requests.length, 1);
  t.equal(tcp.requests.length, 1);
  await unix.close();
  await tcp.close();
});

t.test('abort and deadline close the connection to the proxy, at every step', async (t) => {
  const server = await startSocksServer();
  const silentSteps = { greeting: { method: undefined }, reply: {} };
  for (const [step, script] of Object.entries(silentSteps)) {
    server.script = script;
    const clock = createTestClock();
    const dialer = createSocksDialer({ socks: server.endpoint, clock, deadlineMs: 5_000 });

    const abort = new AbortController();
    const asked = server.asked();
    const aborted = dialer.dial(onion, { signal: abort.signal });
    await asked;
    abort.abort(new Error('the user left'));
    await t.rejects(aborted, { code: 'dial-aborted', message: where }, `abort: ${step}`);
    await server.idle();

    const askedAgain = server.asked();
    const late = dialer.dial(onion, { signal });
    await askedAgain;
    clock.advance(4_999);
    t.equal(server.open, 1);
    clock.advance(1);
    await t.rejects(late, { code: 'dial-timeout', message: /within 5 s/ }, `deadline: ${step}`);
    await server.idle();
    t.equal(clock.pending, 0, 'no timer is left');
    t.equal(dialer.pending, 0);
  }
  await server.close();
});

t.test('the number of dials at once is bounded; the others wait and can be aborted', async (t) => {
  const server = await startSocksServer({});
  const dialer = createSocksDialer({ socks: server.endpoint, clock: systemClock, maxPending: 2 });
  const abort = new AbortController();
  const abortWaiting = new AbortController();
  const asked = (async () => {
    await server.asked();
    await server.asked();
  })();
  const running = [1, 2].map(() => dialer.dial(onion, { signal: abort.signal }));
  const waiting = dialer.dial(onion, { signal: abortWaiting.signal });
  const last = dialer.dial(onion, { signal });
  await asked;
  t.equal(dialer.pending, 4);
  t.equal(server.requests.length, 2, 'only two reached the proxy');
  abortWaiting.abort();
  await t.rejects(waiting, { code: 'dial-aborted' });
  server.script = { reply: GRANTED };
  abort.abort();
  await Promise.all(running.map((dial) => t.rejects(dial, { code: 'dial-aborted' })));
  (await last).destroy();
  t.equal(server.requests.length, 3);
  t.equal(dialer.pending, 0);
  await server.close();
});

t.test('the queue is bounded and in order', async (t) => {
  const slots = createDialSlots(1, 2);
  const release = await slots.acquire(signal, full);
  const order: number[] = [];
  const waiting = [1, 2].map(async (number) => {
    const done = await slots.acquire(signal, full);
    order.push(number);
    done();
    done();
  });
  await t.rejects(slots.acquire(signal, full), { code: 'too-many-dials' });
  await t.rejects(slots.acquire(AbortSignal.abort(new Error('gone')), full), { message: 'gone' });
  release();
  await Promise.all(waiting);
  t.strictSame(order, [1, 2]);
  t.equal(slots.busy, 0, 'a slot given back twice counts once');
  t.equal(slots.waiting, 0);
});

t.test('no error shows the credentials', async (t) => {
  const server = await startSocksServer({});
  const dialer = dialerTo(server.endpoint);
  const scripts = [
    { reply: Buffer.from([5, 4]) },
    { auth: Buffer.from([1, 1]) },
    { reply: Buffer.from([5, 0, 0, 9, 0]) },
    { close: true },
  ];
  const errors: unknown[] = [];
  for (const script of scripts) {
    server.script = script;
    await dialer.dial(onion, { signal }).catch((error: unknown) => errors.push(error));
  }
  const password = server.requests[0]?.password ?? '';
  t.match(password, /^[0-9a-f]{32}$/);
  t.equal(errors.length, scripts.length);
  t.notOk(inspect(errors, { depth: 10, showHidden: true }).includes(password));
  await server.close();
});

t.test('the message reader: any bytes, cut anywhere', (t) => {
  const steps: readonly SocksStep[] = ['method', 'auth', 'reply'];
  fc.assert(
    fc.property(fc.constantFrom(...steps), fc.uint8Array({ maxLength: 300 }), (step, bytes) => {
      const whole = readSocksMessage(step, bytes);
      // A result for a part stays true for the whole.
      for (let length = 0; length < bytes.length; length += 1) {
        const part = readSocksMessage(step, bytes.subarray(0, length));
        if (part.kind === 'incomplete') continue;
        t.strictSame(part, whole);
        break;
      }
      return whole.kind !== 'complete' || whole.length <= bytes.length;
    }),
  );
  fc.assert(
    fc.property(
      fc.oneof(
        fc.uint8Array({ minLength: 4, maxLength: 4 }).map((a) => [1, ...a]),
        fc.uint8Array({ minLength: 16, maxLength: 16 }).map((a) => [4, ...a]),
        fc.uint8Array({ maxLength: 255 }).map((a) => [3, a.length, ...a]),
      ),
      fc.uint8Array({ maxLength: 50 }),
      (address, rest) => {
        const reply = Uint8Array.from([5, 0, 0, ...address, 20, 21]);
        const read = readSocksMessage('reply', Uint8Array.from([...reply, ...rest]));
        return read.kind === 'complete' && read.length === reply.length && read.value === 0;
      },
    ),
  );
  t.end();
});
