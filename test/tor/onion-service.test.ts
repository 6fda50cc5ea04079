import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Socket } from 'node:net';
import t from 'tap';
import type { Log } from '../../src/channel/log.js';
import type { Clock, ServiceState } from '../../src/channel/ports.js';
import { portArgument } from '../../src/tor/onion/add-onion.js';
import {
  connectControl,
  type ControlClient,
  type ControlEnds,
} from '../../src/tor/control/client.js';
import { keepOnionKey } from '../../src/tor/onion/key-folder.js';
import { expandOnionSeed, onionKeyOf, type OnionKey } from '../../src/tor/onion/onion-key.js';
import { isThisMachine, onionTarget, ownAddresses } from '../../src/tor/onion/target.js';
import {
  startOnionService,
  type OnionService,
  type OnionServiceOptions,
} from '../../src/tor/onion/service.js';
import { WATCH_TIMINGS } from '../../src/tor/onion/service-watch.js';
import { fakeControl } from '../helpers/fake-control.js';
import { startOfflineTor, temporaryFolder } from '../helpers/offline-tor.js';

function keyOfSeed(fill: number): OnionKey {
  const key = onionKeyOf(expandOnionSeed(new Uint8Array(32).fill(fill)));
  if (key === undefined) throw new Error('no key');
  return key;
}
const KEY = keyOfSeed(0x11);
const OTHER = keyOfSeed(0x12);
const ID = KEY.host.slice(0, 56);
const never = new AbortController().signal;
const target = { host: '127.0.0.1', port: 4711 };

interface QuickClock extends Clock {
  readonly waits: number[];
  readonly held: Set<() => void>;
  /** The next questions to Tor. */
  readonly asks: Set<() => void>;
}

/** Waits below 100 s end at once, in a later turn; longer ones and questions end when the test says so. */
function quickClock(): QuickClock {
  const waits: number[] = [];
  const held = new Set<() => void>();
  const asks = new Set<() => void>();
  return {
    waits,
    held,
    asks,
    now: () => 0,
    after(ms, fn) {
      if (ms === WATCH_TIMINGS.askMs || ms === WATCH_TIMINGS.blindAskMs) {
        const ask = (): void => {
          asks.delete(ask);
          fn();
        };
        asks.add(ask);
        return () => asks.delete(ask);
      }
      if (ms >= 100_000) {
        held.add(fn);
        return () => held.delete(fn);
      }
      waits.push(ms);
      const handle = setImmediate(fn);
      return () => clearImmediate(handle);
    },
  };
}

/** The reports of a service, and a wait for further ones. */
function recorder() {
  const told: string[] = [];
  const waiting = new Set<() => void>();
  const note = (text: string): void => {
    told.push(text);
    for (const look of waiting) look();
  };
  const logOf = (level: string) => (text: string, fields?: object) =>
    note(`${level}: ${text} ${JSON.stringify(fields ?? {})}`);
  const log: Log = {
    debug: logOf('debug'),
    info: logOf('info'),
    warn: logOf('warn'),
    error: logOf('error'),
  };
  return {
    told,
    log,
    onState: (state: ServiceState) =>
      note(`state ${state.state}${'detail' in state ? `: ${state.detail}` : ''}`),
    /** Resolves once `pattern` has been reported `times` times. */
    heard(pattern: RegExp, times = 1): Promise<void> {
      return new Promise((resolve) => {
        const look = (): void => {
          if (told.filter((line) => pattern.test(line)).length < times) return;
          waiting.delete(look);
          resolve();
        };
        waiting.add(look);
        look();
      });
    },
    count: (pattern: RegExp) => told.filter((line) => pattern.test(line)).length,
  };
}

const connectTo = (port: number) => (signal: AbortSignal) =>
  connectControl({ endpoint: { kind: 'tcp', host: '127.0.0.1', port }, signal, timeoutMs: 60_000 });

/** Starts a service with test doubles for everything that is not given. */
function start(
  port: number,
  more: Partial<OnionServiceOptions> = {},
): {
  service: Promise<OnionService>;
  record: ReturnType<typeof recorder>;
  clock: ReturnType<typeof quickClock>;
} {
  const record = recorder();
  const clock = quickClock();
  const service = startOnionService({
    connect: connectTo(port),
    identity: { kind: 'persistent', key: KEY },
    target,
    signal: never,
    clock,
    log: record.log,
    random: () => 1,
    onState: record.onState,
    ...more,
  });
  return { service, record, clock };
}

/** The address of the key in an ADD_ONION. */
function hostIn(line: string): string {
  const blob = /ED25519-V3:(\S+)/.exec(line)?.[1] ?? '';
  return onionKeyOf(Buffer.from(blob, 'base64'))?.host ?? '';
}

/** A fake Tor without authentication; `answer` sees what follows, undefined = the usual answer. */
async function fakeTor(
  answer: (line: string, socket: Socket, connection: number) => string | undefined = () =>
    undefined,
  version = '0.4.9.11',
) {
  return fakeControl((line, socket, connection) => {
    const special = answer(line, socket, connection);
    if (special !== undefined) return special;
    if (line.startsWith('PROTOCOLINFO')) {
      return '250-PROTOCOLINFO 1\r\n250-AUTH METHODS=NULL\r\n250 OK\r\n';
    }
    if (line === 'GETINFO version') return `250-version=${version}\r\n250 OK\r\n`;
    if (line.startsWith('GETINFO status/bootstrap-phase')) {
      return (
        '250-status/bootstrap-phase=WARN BOOTSTRAP PROGRESS=10 TAG=conn SUMMARY="Connecting" ' +
        'WARNING="Network is unreachable"\r\n250 OK\r\n'
      );
    }
    if (line.startsWith('ADD_ONION NEW')) {
      return `250-ServiceID=${ID}\r\n250-PrivateKey=ED25519-V3:${KEY.blob}\r\n250 OK\r\n`;
    }
    if (line.startsWith('ADD_ONION')) {
      return `250-ServiceID=${hostIn(line).slice(0, 56)}\r\n250 OK\r\n`;
    }
    if (line === 'QUIT') {
      socket.end('250 closing connection\r\n');
      return undefined;
    }
    return '250 OK\r\n';
  });
}

const uploads = (id = ID) =>
  [
    `CREATED ${id} UNKNOWN UNKNOWN b1`,
    `CREATED ${id} UNKNOWN UNKNOWN b2`,
    `UPLOAD ${id} UNKNOWN $A~r1 b1 HSDIR_INDEX=1`,
    `UPLOAD ${id} UNKNOWN $B~r2 b2 HSDIR_INDEX=2`,
    `UPLOADED ${id} UNKNOWN $A~r1`,
    `UPLOADED ${id} UNKNOWN $B~r2`,
  ].map((text) => `650 HS_DESC ${text}\r\n`);

const sent = (lines: readonly string[], word: string) =>
  lines.filter((line) => line.split(' ')[1] === word).map((line) => line.replace(/^\d+ /, ''));

const refusesPow = (line: string) =>
  line.includes('PoW')
    ? '512 Bad arguments to ADD_ONION: Unrecognized keyword argument "PoWDefensesEnabled"\r\n'
    : undefined;

t.test('the line that is sent, and proof of work', async (t) => {
  const port = 'Port=5222,127.0.0.1:4711';
  const pow = 'PoWDefensesEnabled=1 PoWQueueRate=25 PoWQueueBurst=250';
  const key = `ED25519-V3:${KEY.blob}`;
  const cases: readonly {
    name: string;
    version: string;
    answer?: (line: string) => string | undefined;
    more?: Partial<OnionServiceOptions>;
    lines: string[];
    notices: number;
  }[] = [
    {
      name: 'a Tor that has it',
      version: '0.4.9.11',
      lines: [`ADD_ONION ${key} ${pow} ${port}`],
      notices: 0,
    },
    {
      name: 'a Tor before it',
      version: '0.4.8.17',
      answer: refusesPow,
      lines: [`ADD_ONION ${key} ${pow} ${port}`, `ADD_ONION ${key} ${port}`],
      notices: 1,
    },
    {
      name: 'a Tor built without it',
      version: '0.4.9.2',
      answer: refusesPow,
      lines: [`ADD_ONION ${key} ${pow} ${port}`, `ADD_ONION ${key} ${port}`],
      notices: 1,
    },
    {
      name: 'a directory, another port, a unix target',
      version: '0.5.0.1-alpha',
      more: { pow: { rate: 200, burst: 2_000 }, virtualPort: 80, target: { unix: '/run/x.sock' } },
      lines: [
        `ADD_ONION ${key} PoWDefensesEnabled=1 PoWQueueRate=200 PoWQueueBurst=2000 Port=80,unix:/run/x.sock`,
      ],
      notices: 0,
    },
  ];
  for (const { name, version, answer, more, lines, notices } of cases) {
    const fake = await fakeTor(answer, version);
    const { service, record } = start(fake.port, more);
    const running = await service;
    t.strictSame(sent(fake.lines, 'ADD_ONION'), lines, name);
    t.equal(record.count(/info: .*without proof-of-work/), notices, `${name}: notices`);
    t.strictSame(running.location, {
      kind: 'onion',
      host: KEY.host,
      port: more?.virtualPort ?? 5222,
    });
    const all = fake.lines.join('\n');
    t.ok(all.indexOf('SETEVENTS HS_DESC') < all.indexOf('ADD_ONION'), 'events first');
    await running.close();
    t.strictSame(sent(fake.lines, 'DEL_ONION'), [`DEL_ONION ${ID}`]);
    t.equal(record.count(new RegExp(KEY.blob.slice(0, 20))), 0, 'the key is never logged');
    await fake.close();
  }
  t.equal(portArgument(5222, { host: '::1', port: 1 }), 'Port=5222,[::1]:1');
  for (const bad of [
    { host: 'a b', port: 1 },
    { host: '127.0.0.1', port: 0 },
    { unix: 'relative' },
    { unix: '/with blank' },
    { unix: '/x\r\nQUIT' },
  ]) {
    t.throws(() => portArgument(5222, bad), { code: 'bad-target', remedy: 'configuration' });
  }
  t.throws(() => portArgument(0, target), { code: 'bad-target' });
});

t.test('the target address for Tor', (t) => {
  const own = ['127.0.0.1', '192.168.1.5', 'fe80::1', '::1'];
  const LAN = { local: '192.168.1.5', remote: '192.168.1.9' };
  const cases: readonly [string, string, ControlEnds | undefined, string | undefined, string][] = [
    ['a unix socket', '127.0.0.1', undefined, undefined, '127.0.0.1'],
    ['a unix socket, every interface', '0.0.0.0', undefined, undefined, '127.0.0.1'],
    ['every IPv6 interface', '::', undefined, undefined, '::1'],
    ['loopback', '127.0.0.1', { local: '127.0.0.1', remote: '127.0.0.1' }, undefined, '127.0.0.1'],
    [
      'all of 127/8',
      '0.0.0.0',
      { local: '127.0.0.9', remote: '127.8.9.10' },
      undefined,
      '127.0.0.1',
    ],
    ['IPv6 loopback', '127.0.0.1', { local: '::1', remote: '::1' }, undefined, '127.0.0.1'],
    [
      'IPv4 on an IPv6 socket',
      '0.0.0.0',
      { local: '::ffff:127.0.0.1', remote: '::ffff:127.0.0.1' },
      undefined,
      '127.0.0.1',
    ],
    [
      'an address of this machine',
      '127.0.0.1',
      { local: '192.168.1.5', remote: '192.168.1.5' },
      undefined,
      '127.0.0.1',
    ],
    [
      'another address of this machine',
      '127.0.0.1',
      { local: '127.0.0.1', remote: 'fe80::1%eth0' },
      undefined,
      '127.0.0.1',
    ],
    ['another machine, every interface', '0.0.0.0', LAN, undefined, '192.168.1.5'],
    ['another machine, every IPv6 interface', '::', LAN, undefined, '192.168.1.5'],
    [
      'another machine over IPv6',
      '::',
      { local: 'fd00::5', remote: 'fd00::9' },
      undefined,
      'fd00::5',
    ],
    [
      'another machine, IPv4 on an IPv6 socket',
      '::',
      { local: '::ffff:10.0.0.5', remote: '::ffff:10.0.0.9' },
      undefined,
      '10.0.0.5',
    ],
    ['another machine, one interface', '10.1.1.1', LAN, undefined, '10.1.1.1'],
    ['as configured', '127.0.0.1', LAN, 'host.containers.internal', 'host.containers.internal'],
    ['as configured, through a tunnel', '0.0.0.0', undefined, '10.9.9.9', '10.9.9.9'],
  ];
  for (const [name, host, ends, explicit, expected] of cases) {
    t.strictSame(
      onionTarget({ host, port: 7, ends, explicit, own }),
      { host: expected, port: 7 },
      name,
    );
  }
  for (const host of ['127.0.0.1', '127.3.3.3', '::1', 'localhost']) {
    t.throws(() => onionTarget({ host, port: 7, ends: LAN, explicit: undefined, own }), {
      code: 'bad-target',
      remedy: 'configuration',
      message: /is at 192\.168\.1\.9\) .* Fix: set onion_serving_host to 192\.168\.1\.5, or tor_/,
    });
  }
  t.end();
});

t.test('the addresses of this machine, where a sandbox keeps them from us', (t) => {
  const own = ownAddresses(() => {
    throw new Error('A system error occurred: uv_interface_addresses returned 97');
  });
  t.strictSame(own, []);
  t.ok(ownAddresses().includes('127.0.0.1'));
  // Our units forbid AF_NETLINK, and then Node throws: a control port on this machine needs no list.
  t.ok(isThisMachine({ local: '127.0.0.1', remote: '127.0.0.1' }, own));
  t.ok(isThisMachine({ local: '192.168.1.5', remote: '192.168.1.5' }, own));
  t.notOk(isThisMachine({ local: '192.168.1.5', remote: '192.168.1.9' }, own));
  t.end();
});

t.test('reachable when every descriptor is up', async (t) => {
  let control: Socket | undefined;
  const events = uploads();
  const fake = await fakeTor((line, socket) => {
    control = socket;
    // The first event in one piece with the reply.
    return line.startsWith('ADD_ONION')
      ? `250-ServiceID=${ID}\r\n250 OK\r\n${events[0] ?? ''}`
      : undefined;
  });
  const { service, record, clock } = start(fake.port);
  const running = await service;
  t.equal(clock.held.size, 1, 'one deadline');
  control?.write(uploads(OTHER.host.slice(0, 56)).join(''));
  control?.write(events.slice(1, 5).join(''));
  await record.heard(/state starting: descriptor uploads: 1 of 2/);
  t.equal(record.count(/state reachable/), 0, 'another onion and one of two do not suffice');
  control?.write(events.slice(5).join(''));
  await running.reachable;
  await record.heard(/state reachable/);
  t.strictSame(
    record.told.filter((line) => line.startsWith('state')),
    [
      'state starting: connecting to Tor',
      'state starting: Tor has the onion service and is building circuits for it',
      'state starting: Tor is uploading the descriptors',
      'state starting: descriptor uploads: 1 of 2',
      'state reachable',
    ],
  );
  t.equal(clock.held.size, 0, 'the deadline is cancelled');
  await running.close();
  await running.close();
  t.equal(fake.lines.filter((line) => line === '1 SETEVENTS').length, 1, 'stopped listening');
  await fake.close();
});

t.test('the deadline logs a warning, and the wait continues', async (t) => {
  let control: Socket | undefined;
  const fake = await fakeTor((_line, socket) => {
    control = socket;
    return undefined;
  });
  const { service, record, clock } = start(fake.port);
  const running = await service;
  for (const fire of clock.held) fire();
  await record.heard(/warn: onion service not reachable yet/);
  t.match(
    record.told.find((line) => line.startsWith('warn')),
    /"after_sec":180,"bootstrapped":"10 % \(Network is unreachable\)","sent":0/,
  );
  t.equal(record.count(/state (reachable|lost)/), 0);
  control?.write(
    uploads()
      .join('')
      .replace(
        /650 HS_DESC UPLOAD \S+ UNKNOWN \$B.*\r\n/,
        (line) => `${line}${line.replace('$B~r2', '$C~r3')}`,
      ),
  );
  await running.reachable;
  t.equal(record.count(/warn: not every upload of the onion descriptor was answered/), 1);
  await running.close();
  await t.rejects(
    startOnionServiceClosed(fake.port),
    { code: 'closed' },
    'closed before it was reachable',
  );
  await fake.close();
});

t.test('clients that change while Tor is adding the service', async (t) => {
  const keys = ['A', 'B', 'C'].map((letter) => letter.repeat(51) + 'A');
  let authorized = keys;
  let held: Socket | undefined;
  let control: Socket | undefined;
  let asked: (() => void) | undefined;
  const fake = await fakeTor((line, socket, connection) => {
    control = socket;
    if (connection !== 2 || !line.startsWith('ADD_ONION')) return undefined;
    held = socket;
    asked?.();
    // Answered by the test.
    return '';
  });
  const { service, record } = start(fake.port, { clients: () => Promise.resolve(authorized) });
  const running = await service;
  const isAdding = new Promise<void>((resolve) => (asked = resolve));
  control?.destroy();
  await isAdding;
  authorized = keys.slice(0, 1);
  running.renew();
  held?.write(`250-ServiceID=${ID}\r\n250 OK\r\n`);
  await record.heard(/info: onion service re-created/, 2);
  const clients = sent(fake.lines, 'ADD_ONION').map((line) => [...line.matchAll(/ClientAuthV3=/g)]);
  t.strictSame(
    clients.map(({ length }) => length),
    [3, 3, 1],
    'the revoked clients are gone',
  );
  await running.close();
  await fake.close();
});

async function startOnionServiceClosed(port: number): Promise<void> {
  const running = await start(port).service;
  await running.close();
  await running.reachable;
}

t.test('lost and added again', async (t) => {
  for (const identity of [{ kind: 'ephemeral' }, { kind: 'persistent', key: KEY }] as const) {
    const sockets: Socket[] = [];
    let down = false;
    const fake = await fakeTor((line, socket, connection) => {
      sockets[connection] = socket;
      if (down) socket.destroy();
      else if (line.startsWith('ADD_ONION') && connection === 4)
        return '550 Onion address collision\r\n';
      return undefined;
    });
    const { service, record, clock } = start(fake.port, { identity });
    const running = await service;
    sockets[1]?.write(uploads(running.location.host.slice(0, 56)).join(''));
    await running.reachable;
    down = true;
    sockets[1]?.destroy();
    await record.heard(/state lost/, 2);
    await record.heard(/debug: onion service still lost/, 1);
    down = false;
    await record.heard(/info: onion service re-created/);
    const lines = sent(fake.lines, 'ADD_ONION');
    t.equal(hostIn(lines[0] ?? ''), running.location.host);
    t.equal(hostIn(lines.at(-1) ?? ''), running.location.host, `${identity.kind}: the same key`);
    t.equal(running.location.host === KEY.host, identity.kind === 'persistent');
    sockets.at(-1)?.write(uploads(running.location.host.slice(0, 56)).join(''));
    await record.heard(/state reachable/, 2);
    t.strictSame(clock.waits.slice(0, 3), [500, 750, 1_125], 'growing waits');
    await running.close();
    await fake.allClosed();
    t.equal(clock.held.size, 0, 'no timer left');
    const before = fake.lines.length;
    await new Promise(setImmediate);
    t.equal(fake.lines.length, before, 'no line after close');
    await fake.close();
  }
});

const isQuestion = (line: string): boolean => line === 'GETINFO onions/current';

t.test('lost while the connection stays open', async (t) => {
  const sockets: Socket[] = [];
  let onions = ID;
  const fake = await fakeTor((line, socket, connection) => {
    sockets[connection] = socket;
    if (line.startsWith('ADD_ONION')) onions = ID;
    return line === 'GETINFO onions/current'
      ? `250-onions/current=${onions}\r\n250 OK\r\n`
      : undefined;
  });
  const { service, record, clock } = start(fake.port);
  const running = await service;
  sockets[1]?.write(uploads().join(''));
  await running.reachable;
  const asked = async (times: number): Promise<void> => {
    while (sent(fake.lines, 'GETINFO').filter(isQuestion).length < times) {
      await new Promise(setImmediate);
    }
    while (clock.asks.size === 0) await new Promise(setImmediate);
  };
  await asked(1);
  for (const ask of clock.asks) ask();
  await asked(2);
  t.equal(record.count(/state lost/), 0);
  onions = '';
  running.reportUnreachable();
  await record.heard(/state lost: Tor does not have the onion service any more/);
  await record.heard(/info: onion service re-created/);
  sockets[2]?.write(uploads().join(''));
  await record.heard(/state reachable/, 2);
  await asked(4);
  await running.close();
  await fake.allClosed();
  t.equal(clock.asks.size + clock.held.size, 0, 'no timer is left');
  t.equal(sent(fake.lines, 'ADD_ONION').length, 2);
  await fake.close();
});

t.test('a filter that cuts the connection at the question', async (t) => {
  const sockets: Socket[] = [];
  const fake = await fakeTor((line, socket, connection) => {
    sockets[connection] = socket;
    if (isQuestion(line)) socket.destroy();
    return undefined;
  });
  const { service, record } = start(fake.port);
  const running = await service;
  await record.heard(/info: onion service re-created/, 2);
  sockets[3]?.write(uploads().join(''));
  await running.reachable;
  t.equal(sent(fake.lines, 'GETINFO').filter(isQuestion).length, 2, 'is not asked a third time');
  t.equal(record.count(/state lost/), 2);
  await running.close();
  await fake.allClosed();
  await fake.close();
});

t.test('the waits grow to 15 s, and jitter halves them at most', async (t) => {
  const fake = await fakeTor();
  let connects = 0;
  const abort = new AbortController();
  const record = recorder();
  const clock = quickClock();
  let client: ControlClient | undefined;
  const running = await startOnionService({
    connect: async (signal) => {
      connects++;
      if (connects === 1) return (client = await connectTo(fake.port)(signal));
      if (connects === 15) abort.abort();
      throw new Error('Tor is away');
    },
    identity: { kind: 'ephemeral' },
    target,
    signal: abort.signal,
    clock,
    log: record.log,
    random: () => 0,
    onState: record.onState,
  });
  client?.close();
  await record.heard(/debug: onion service still lost/, 12);
  await running.close();
  t.equal(clock.waits[0], 250);
  t.equal(Math.max(...clock.waits), 7_500);
  t.equal(record.count(/warn: onion service cannot be re-created/), 1, 'one warning, not fourteen');
  await fake.allClosed();
  await fake.close();
});

t.test('a start that fails or is cancelled leaves no connection open', async (t) => {
  const cases: readonly [
    string,
    (line: string) => string | undefined,
    { step: string; code: string; remedy?: string; message?: RegExp },
  ][] = [
    [
      'bad key',
      (line) =>
        line.startsWith('ADD_ONION') ? '512 Failed to decode ED25519-V3 key\r\n' : undefined,
      { step: 'add-onion', code: 'bad-key', remedy: 'configuration' },
    ],
    [
      'single-onion mode',
      (line) =>
        line.startsWith('ADD_ONION')
          ? '512 Tor is in non-anonymous hidden service mode\r\n'
          : undefined,
      { step: 'add-onion', code: 'rejected', message: /HiddenServiceNonAnonymousMode/ },
    ],
    [
      'another onion',
      (line) =>
        line.startsWith('ADD_ONION')
          ? `250-ServiceID=${OTHER.host.slice(0, 56)}\r\n250 OK\r\n`
          : undefined,
      { step: 'add-onion', code: 'bad-reply' },
    ],
    [
      'nonsense',
      (line) => (line.startsWith('ADD_ONION') ? '250 OK\r\n' : undefined),
      { step: 'add-onion', code: 'bad-reply' },
    ],
    [
      'collision at every try',
      (line) => (line.startsWith('ADD_ONION') ? '550 Onion address collision\r\n' : undefined),
      { step: 'add-onion', code: 'collision', remedy: 'configuration', message: /Another process/ },
    ],
  ];
  for (const [name, answer, expected] of cases) {
    const fake = await fakeTor(answer);
    const { service, clock } = start(fake.port);
    await t.rejects(service, expected, name);
    t.equal(clock.held.size, 0);
    const tries = sent(fake.lines, 'PROTOCOLINFO').length;
    t.equal(tries, name.startsWith('collision') ? 5 : 1, `${name}: tries`);
    await fake.close();
  }
  const abort = new AbortController();
  const hanging = await fakeTor((line, socket) => {
    if (!line.startsWith('ADD_ONION')) return undefined;
    abort.abort();
    socket.pause();
    return '';
  });
  await t.rejects(start(hanging.port, { signal: abort.signal }).service, { code: 'aborted' });
  await t.rejects(start(hanging.port, { signal: abort.signal }).service, { code: 'aborted' });
  await hanging.close();

  const later = new AbortController();
  const fake = await fakeTor();
  const { service } = start(fake.port, { signal: later.signal });
  const running = await service;
  later.abort();
  await running.close();
  t.strictSame(sent(fake.lines, 'DEL_ONION'), [`DEL_ONION ${ID}`], 'abort = close');
  await fake.allClosed();
  await fake.close();
});

/** The command that sets what these lines of a torrc say. */
const setOf = (torrc: readonly string[]) =>
  ['SETCONF', ...torrc.map((line) => line.replace(' ', '='))].join(' ');

t.test('from a HiddenServiceDir, with circuit ids', async (t) => {
  const parent = await temporaryFolder();
  t.teardown(() => parent.remove());
  const dir = join(parent.dir, 'a "b" #c');
  await keepOnionKey(dir, () => expandOnionSeed(new Uint8Array(32).fill(0x11)));
  const quoted = `"${dir.replaceAll('"', '\\"')}"`;
  const lines = [
    `HiddenServiceDir ${quoted}`,
    'HiddenServicePort "5222 unix:/run/x.sock"',
    'HiddenServiceExportCircuitID haproxy',
  ];
  const powLines = [
    'HiddenServicePoWDefensesEnabled 1',
    'HiddenServicePoWQueueRate 25',
    'HiddenServicePoWQueueBurst 250',
  ];
  const set = setOf(lines);
  const setPow = setOf([...lines, ...powLines]);
  /** The lines of the torrc at each change. */
  const torrcs: (readonly string[])[] = [];
  let diskFull = false;
  const keepInTorrc = async (wanted: readonly string[]): Promise<void> => {
    if (diskFull) throw new Error('ENOSPC');
    torrcs.push(wanted);
    await Promise.resolve();
  };
  const more = { folder: { dir, keepInTorrc }, target: { unix: '/run/x.sock' } };
  const cases: readonly (readonly [
    string,
    (line: string) => string | undefined,
    string[],
    (readonly string[])[],
    number,
  ])[] = [
    ['as requested', () => undefined, [setPow], [[], [...lines, ...powLines]], 0],
    [
      'a Tor built without proof of work',
      (line) => (line.includes('PoW') ? '513 Unacceptable option value\r\n' : undefined),
      [setPow, set],
      [[], [...lines, ...powLines], [], lines],
      1,
    ],
  ];
  for (const [name, answer, commands, written, notices] of cases) {
    torrcs.length = 0;
    const fake = await fakeTor((line) => {
      // A reload at this moment must find the service.
      if (line.startsWith('SETCONF'))
        t.equal(setOf(torrcs.at(-1) ?? []), line, 'in the torrc first');
      return answer(line);
    });
    const { service, record } = start(fake.port, more);
    const running = await service;
    t.strictSame(sent(fake.lines, 'SETCONF'), commands, name);
    t.strictSame(torrcs, written, `${name}: the torrc`);
    t.equal(record.count(/info: .*without proof-of-work/), notices, `${name}: notices`);
    t.equal(running.location.host, KEY.host);
    t.strictSame(sent(fake.lines, 'ADD_ONION'), []);
    t.strictSame(
      sent(fake.lines, 'RESETCONF'),
      ['RESETCONF HiddenServiceDir'],
      'from the beginning',
    );
    await running.close();
    t.equal(sent(fake.lines, 'RESETCONF').length, 2, 'removed at the end');
    t.strictSame(torrcs.at(-1), [], 'also from the torrc');
    t.strictSame(sent(fake.lines, 'DEL_ONION'), []);
    await fake.allClosed();
    await fake.close();
  }
  const refusing = await fakeTor((line) =>
    line.startsWith('SETCONF') ? '553 Unable to set option\r\n' : undefined,
  );
  await t.rejects(start(refusing.port, more).service, {
    step: 'add-onion',
    code: 'rejected',
    message: /553 Unable to set option/,
  });
  t.strictSame(torrcs.at(-1), [], 'a torrc with a refused line would end Tor at the next reload');
  await refusing.allClosed();
  await refusing.close();

  const elsewhere = await fakeTor();
  await t.rejects(
    start(elsewhere.port, { ...more, folder: { dir: `${dir} moved`, keepInTorrc } }).service,
    { step: 'key-folder', code: 'mismatch' },
    'Tor would make another key there',
  );
  t.strictSame(sent(elsewhere.lines, 'SETCONF'), []);
  await elsewhere.allClosed();
  await elsewhere.close();

  let connects = 0;
  const fake = await fakeTor();
  diskFull = true;
  const { service, record } = start(fake.port, {
    ...more,
    connect: async (signal) => {
      const client = await connectTo(fake.port)(signal);
      if (++connects === 1) void record.heard(/accepted by Tor/).then(() => client.close());
      return client;
    },
  });
  const running = await service;
  await record.heard(/info: onion service re-created/);
  t.equal(sent(fake.lines, 'SETCONF').length, 2, 'set up again on the next connection');
  t.ok(record.count(/warn: the torrc of our Tor could not be changed/) > 0, 'also on a full disk');
  await running.close();
  await fake.close();
});

t.test('close is bounded although Tor does not answer', async (t) => {
  const fake = await fakeTor((line) => (/^(DEL_ONION|QUIT)/.test(line) ? '' : undefined));
  const running = await start(fake.port).service;
  await running.close();
  t.strictSame(sent(fake.lines, 'DEL_ONION'), [`DEL_ONION ${ID}`]);
  await fake.close();
});

t.test('a real tor', async (t) => {
  const { dir, remove } = await temporaryFolder();
  t.teardown(() => remove());
  const data = join(dir, 'data');
  await mkdir(data, { mode: 0o700 });
  let tor = await startOfflineTor(data, ['ControlPort 127.0.0.1:auto', 'CookieAuthentication 1']);
  const { port } = tor;
  t.teardown(() => tor.kill());

  const persistent = start(port);
  const first = await persistent.service;
  t.equal(first.location.host, KEY.host);
  t.equal(persistent.record.count(/without proof-of-work/), 0, 'this tor has proof of work');
  await t.rejects(start(port).service, { code: 'collision' }, 'the same key twice');
  await t.rejects(
    start(port, { identity: { kind: 'persistent', key: { ...KEY, blob: 'AAAA' } } }).service,
    { code: 'bad-key' },
  );
  const zero = Buffer.alloc(64).toString('base64');
  await t.rejects(
    start(port, { identity: { kind: 'persistent', key: { ...KEY, blob: zero } } }).service,
    { code: 'bad-key' },
  );
  const ephemeral = start(port, {
    identity: { kind: 'ephemeral' },
    target: { unix: join(dir, 'x.sock') },
  });
  const second = await ephemeral.service;
  t.match(second.location.host, /^[a-z2-7]{56}\.onion$/);
  t.not(second.location.host, KEY.host);

  await tor.kill();
  await Promise.all([persistent, ephemeral].map(({ record }) => record.heard(/state lost/)));
  tor = await startOfflineTor(data, [`ControlPort 127.0.0.1:${port}`, 'CookieAuthentication 1']);
  await Promise.all(
    [persistent, ephemeral].map(({ record }) => record.heard(/info: onion service re-created/)),
  );
  t.match(
    ephemeral.record.told.find((line) => /^info: .*re-created/.test(line)),
    second.location.host,
    'the ephemeral onion has its address again',
  );
  await t.rejects(start(port).service, { code: 'collision' }, 'the persistent one is served again');

  await first.close();
  const again = await start(port).service;
  t.equal(again.location.host, KEY.host, 'after close the address is free');
  await Promise.all([again.close(), second.close()]);
});
