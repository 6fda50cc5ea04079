/** Frames of OxenMQ, metainfo and addresses to bind: tables and properties, without a socket. */
import { randomBytes } from 'node:crypto';
import * as fc from 'fast-check';
import t from 'tap';
import { decided, type AdmissionRequest, type Decision } from '../../src/admission/api.js';
import { parseAuthInfo } from '../../src/admission/omq/auth-info.js';
import {
  clientAddress,
  isExposed,
  parseBindAddress,
  zmqAddress,
} from '../../src/admission/omq/bind-address.js';
import { parseOmqMessage, replyFrames } from '../../src/admission/omq/frames.js';
import { AuthServer } from '../../src/admission/omq/server.js';
import { silentLog } from '../../src/channel/log.js';
import { lokiHost } from '../../src/protocol/loki-address.js';
import { createTestClock } from '../helpers/test-clock.js';
import { CLIENT, CLIENT_KEY, metainfo, NOW } from './sample.js';

const bytes = (text: string): Uint8Array => Buffer.from(text, 'latin1');
const TAG = new Uint8Array(15).fill(7);

t.test('each message of an endpoint', (t) => {
  t.same(parseOmqMessage([bytes('HI')]), { kind: 'hello' });
  for (const name of ['BYE', 'HELLO', 'REPLY', 'UNKNOWNCOMMAND', '']) {
    t.same(parseOmqMessage([bytes(name), TAG]), { kind: 'silent' }, name);
  }
  t.same(parseOmqMessage([]), { kind: 'silent' });
  t.match(parseOmqMessage([bytes('llarp.auth'), TAG, bytes('m'), bytes('c')]), {
    kind: 'auth',
    tag: TAG,
    parts: [bytes('m'), bytes('c')],
  });
  t.match(parseOmqMessage([bytes('llarp.auth')]), { kind: 'no-tag' });
  t.match(parseOmqMessage([bytes('llarp.auth'), new Uint8Array(65)]), { kind: 'no-tag' });
  t.match(parseOmqMessage([bytes('llarp.auth'), TAG], 'own.method'), { kind: 'unknown', tag: TAG });
  t.match(parseOmqMessage([bytes('own.method'), TAG], 'own.method'), { kind: 'auth' });
  const long = parseOmqMessage([new Uint8Array(5_000).fill(65), TAG]);
  t.ok(long.kind === 'unknown' && long.command.length === 128, 'a long name is cut');
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 80 }), { maxLength: 6 }), (frames) =>
      ['hello', 'silent', 'auth', 'no-tag', 'unknown'].includes(parseOmqMessage(frames).kind),
    ),
  );
  t.end();
});

t.test('the metainfo of a request', (t) => {
  const info = parseAuthInfo(metainfo());
  t.match(info, { ok: true, value: { protocol: 4n, sender: { signingKey: CLIENT_KEY } } });
  t.match(CLIENT, /^[ybndrfg8ejkmcpqxot1uwisza345h769]{52}\.loki$/);
  const FAULTS: readonly (readonly [Uint8Array, string])[] = [
    [bytes('de'), 'shape'],
    [bytes('le'), 'shape'],
    [Buffer.concat([metainfo(), bytes('x')]), 'trailing'],
    [metainfo([['v', 1n]]), 'version'],
    [metainfo([['t', new Uint8Array(15)]]), 'shape'],
    [metainfo([['i', 1n]]), 'shape'],
    [new Uint8Array(5_000), 'too-long'],
  ];
  for (const [input, reason] of FAULTS) t.same(parseAuthInfo(input), { ok: false, reason });
  t.ok(parseAuthInfo(metainfo([['z', bytes('more')]])).ok, 'a key of a later version is ignored');
  fc.assert(fc.property(fc.uint8Array(), (input) => typeof parseAuthInfo(input).ok === 'boolean'));
  t.end();
});

t.test('addresses to bind', (t) => {
  const GOOD = [
    ['tcp://127.0.0.1:5555', 'tcp://127.0.0.1:5555', false],
    ['tcp://0.0.0.0:5555/', 'tcp://0.0.0.0:5555', true],
    ['tcp://[::1]:5555', 'tcp://[::1]:5555', false],
    ['curve://10.0.0.1:5555', 'tcp://10.0.0.1:5555', false],
    ['tcp+curve://10.0.0.1:5555', 'tcp://10.0.0.1:5555', false],
    ['ipc:///run/a/auth.socket', 'ipc:///run/a/auth.socket', false],
    ['ipc+curve:///run/auth', 'ipc:///run/auth', false],
  ] as const;
  for (const [text, zmq, exposed] of GOOD) {
    const address = parseBindAddress(text);
    t.ok(address.ok, text);
    if (!address.ok) continue;
    t.equal(zmqAddress(address.value), zmq);
    t.equal(isExposed(address.value), exposed, text);
  }
  // `tcp://` is what the guide prints, and what nobody can bind.
  for (const bad of [
    'tcp://',
    '10.0.3.1:5555',
    'tcp://host:5555',
    'tcp://1.2.3.4:0',
    'tcp://1.2.3.4:70000',
    'ipc://',
    'ipc://relative',
    'ipc:///a/',
    'udp://1.2.3.4:1',
    `ipc:///${'a'.repeat(120)}`,
  ]) {
    t.notOk(parseBindAddress(bad).ok, bad);
  }
  const curve = parseBindAddress('curve://10.0.0.1:5555');
  if (curve.ok) t.equal(clientAddress(curve.value, 'ab'), 'curve://10.0.0.1:5555/ab');
  const ipc = parseBindAddress('ipc+curve:///run/auth');
  if (ipc.ok) t.equal(clientAddress(ipc.value, 'ab'), 'ipc+curve:///run/auth/ab');
  t.end();
});

/** A server on a socket of the test. */
function server(decide: (request: AdmissionRequest) => Decision | Promise<Decision>) {
  const clock = createTestClock();
  const sent: (readonly Uint8Array[])[] = [];
  const inbox: (readonly Uint8Array[])[] = [];
  const auth = new AuthServer({
    router: {
      bind: () => Promise.resolve(),
      async *messages() {
        yield* inbox;
      },
      send(frames) {
        sent.push(frames);
        return Promise.resolve(true);
      },
      close() {},
    },
    engine: { decide },
    addressOf: lokiHost,
    clock,
    now: () => NOW,
    log: silentLog,
  });
  return { auth, clock, sent, inbox };
}

const ROUTE = bytes('route');
const ask = (code: string, tag = TAG): readonly Uint8Array[] => [
  ROUTE,
  bytes('llarp.auth'),
  tag,
  metainfo(),
  bytes(code),
];

t.test('answers come in the order of decisions, each with its tag', async (t) => {
  let late: ((decision: Decision) => void) | undefined;
  const { auth, sent, inbox } = server(({ code }) =>
    Buffer.from(code).toString() === 'slow'
      ? new Promise((resolve) => (late = resolve))
      : decided('OKAY', 'admitted'),
  );
  const slow = new Uint8Array(randomBytes(15));
  inbox.push(ask('slow', slow), ask('fast'));
  await auth.run();
  t.same(sent, [[ROUTE, ...replyFrames(TAG, 'OKAY', 'OK')]], 'a slow decision delays no other');
  late?.(decided('REJECT', 'program'));
  await new Promise(setImmediate);
  t.same(sent[1], [ROUTE, ...replyFrames(slow, 'REJECT', 'the code was refused')]);
});

t.test('a decision that never comes is answered before the endpoint gives up', async (t) => {
  const { auth, clock, sent, inbox } = server(() => new Promise(() => {}));
  inbox.push(...Array.from({ length: 600 }, () => ask('x')));
  await auth.run();
  await new Promise(setImmediate);
  t.equal(sent.length, 600 - 512, 'those over the bound are answered at once');
  clock.advance(10_000);
  await new Promise(setImmediate);
  t.equal(sent.length, 600);
  t.ok(sent.every((frames) => Buffer.from(frames[3] ?? []).toString() === 'LIMITED'));
  t.equal(clock.pending, 0);
});

t.test('an engine that fails is a refusal', async (t) => {
  const { auth, sent, inbox } = server(() => Promise.reject(new Error('broken')));
  inbox.push(ask('x'));
  await auth.run();
  await new Promise(setImmediate);
  await new Promise(setImmediate);
  t.equal(Buffer.from(sent[0]?.[3] ?? []).toString(), 'REJECT');
});
