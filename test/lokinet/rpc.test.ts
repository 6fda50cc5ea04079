/** The RPC of Lokinet: the forms of replies in all versions, and the errors of a socket that does not answer. */
import * as fc from 'fast-check';
import t, { type Test } from 'tap';
import { silentLog } from '../../src/channel/log.js';
import { watchLokinet } from '../../src/lokinet/daemon.js';
import { createLokinetOverlay } from '../../src/lokinet/overlay.js';
import { parseReply, parseStatus, parseVersion } from '../../src/lokinet/rpc-reply.js';
import { createLokinetRpc } from '../../src/lokinet/rpc.js';
import { LokinetNetwork } from '../helpers/lokinet/network.js';
import { rpcAnswers, startRpc, statusOf, type RpcAnswer } from '../helpers/lokinet/rpc-router.js';
import { createTestClock } from '../helpers/test-clock.js';

const HOST = 'dw68y1xhptqbhcm5s8aaaip6dbopykagig5q5u1za4c7pzxto77y.loki';
const METHOD = 'llarp.version';
const { signal } = new AbortController();
const frames = (...texts: readonly string[]): Buffer[] => texts.map((text) => Buffer.from(text));

t.test('replies of 0.9.11 and of later versions', async (t) => {
  for (const [received, expected] of [
    [['REPLY', 'tag', '{"error":null,"result":{"a":1}}'], { kind: 'result', result: { a: 1 } }],
    [['REPLY', 'tag', '{"result":"x"}'], { kind: 'result', result: 'x' }],
    [['REPLY', 'tag', '{"result":null}'], { kind: 'result', result: null }],
    [['REPLY', 'tag', '{"error":"no such exit"}'], { kind: 'error', error: 'no such exit' }],
    [['REPLY', 'tag', '{"error":"no","result":null}'], { kind: 'error', error: 'no' }],
    [['UNKNOWNCOMMAND', METHOD], { kind: 'unknown-method' }],
    [['UNKNOWNCOMMAND', 'REPLY', 'tag'], { kind: 'unknown-method' }],
    [['FORBIDDEN', 'REPLY', 'tag'], { kind: 'refused', code: 'FORBIDDEN' }],
    [['NOT_A_SERVICE_NODE', 'REPLY', 'tag'], { kind: 'refused', code: 'NOT_A_SERVICE_NODE' }],
    [['NO_REPLY_TAG', METHOD], { kind: 'refused', code: 'NO_REPLY_TAG' }],
  ] as const) {
    t.strictSame(
      parseReply(frames(...received), METHOD, 'tag'),
      { ok: true, value: expected },
      received.join(' | '),
    );
  }
  for (const [received, reason] of [
    [[], 'frames'],
    [['REPLY'], 'frames'],
    [['REPLY', 'tag'], 'frames'],
    [['REPLY', 'tag', '{}', 'x'], 'frames'],
    [['REPLY', 'other', '{"result":1}'], 'other-tag'],
    [['FORBIDDEN', 'REPLY', 'other'], 'other-tag'],
    [['UNKNOWNCOMMAND', 'llarp.other'], 'frames'],
    [['reply', 'tag', '{"result":1}'], 'frames'],
    [['REPLY', 'tag', ''], 'body'],
    [['REPLY', 'tag', '[]'], 'body'],
    [['REPLY', 'tag', '{}'], 'body'],
    [['REPLY', 'tag', '{"error":{}}'], 'body'],
    [['REPLY', 'tag', 'd6:result1:xe'], 'body'],
    [['REPLY', 'tag', `{"result":"${'x'.repeat(1_000_000)}"}`], 'body'],
  ] as const) {
    t.strictSame(parseReply(frames(...received), METHOD, 'tag'), { ok: false, reason });
  }
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 5 }), (received) => {
      const reply = parseReply(received, METHOD, 'tag');
      return reply.ok || ['frames', 'other-tag', 'body'].includes(reply.reason);
    }),
  );
});

t.test('a status holds only values of the right form', async (t) => {
  t.strictSame(parseStatus(statusOf(HOST)), {
    address: HOST,
    networkReady: true,
    paths: 4,
    peers: 8,
    routers: 11,
  });
  for (const hostile of [
    undefined,
    null,
    [],
    'text',
    { lokiAddress: 'localhost.loki', networkReady: 'yes', numPathsBuilt: -1 },
    { lokiAddress: `${HOST}\n`, numPathsBuilt: 1.5, numPeersConnected: 1e9 },
    { lokiAddress: 'probably.loki', numRoutersKnown: '8' },
  ]) {
    t.strictSame(parseStatus(hostile), {});
  }
  t.equal(parseVersion({ version: 'lokinet-0.9.11' }), 'lokinet-0.9.11');
  t.equal(parseVersion('0.9.14'), '0.9.14');
  t.equal(parseVersion({ version: 7 }), undefined);
  t.match(parseVersion('\u001b[2J'), /^\\u001b/);
});

async function rpcFor(t: Test, answer: RpcAnswer) {
  const standIn = await startRpc(answer);
  const rpc = createLokinetRpc(standIn.address, { replyMs: 1_000 });
  t.teardown(() => {
    rpc.close();
    standIn.close();
  });
  return { standIn, rpc };
}

t.test('version and status over the socket', async (t) => {
  for (const old of [true, false]) {
    // oxlint-disable-next-line no-await-in-loop
    const { standIn, rpc } = await rpcFor(t, rpcAnswers(HOST, old));
    // oxlint-disable-next-line no-await-in-loop
    t.equal(await rpc.version(signal), 'lokinet-0.9.11-178ac1757');
    // oxlint-disable-next-line no-await-in-loop
    t.match(await rpc.status(signal), { address: HOST, networkReady: true });
    t.same(standIn.asked, ['llarp.version {}', 'llarp.get_status {}'], 'no HI before');
  }
});

t.test('each failure has its own words', async (t) => {
  const { standIn, rpc } = await rpcFor(t, () => undefined);
  await t.rejects(rpc.version(signal), {
    code: 'no-answer',
    message: /does not answer \(no reply\): start Lokinet, or correct rpc/,
  });
  for (const [answer, message] of [
    [(method) => ['UNKNOWNCOMMAND', method], /UNKNOWNCOMMAND: this version does not have it/],
    [(_, tag) => ['UNKNOWNCOMMAND', 'REPLY', tag], /UNKNOWNCOMMAND/],
    [(_, tag) => ['FORBIDDEN', 'REPLY', tag], /with FORBIDDEN/],
    [(_, tag) => ['REPLY', tag, '{"error":"busy"}'], /with an error: busy/],
    [(_, tag) => ['REPLY', tag, 'x'], /something else \(body\)/],
    [() => ['REPLY', 'x', '{"result":1}'], /something else \(other-tag\)/],
    [(_, tag) => ['REPLY', tag, '{"result":{}}'], /tells no version/],
  ] as const satisfies readonly (readonly [RpcAnswer, RegExp])[]) {
    standIn.answer = answer;
    // oxlint-disable-next-line no-await-in-loop
    await t.rejects(rpc.version(signal), { code: 'refused', message });
  }
  standIn.answer = () => undefined;
  const abort = new AbortController();
  const waiting = rpc.version(abort.signal);
  abort.abort(new Error('stopped'));
  await t.rejects(waiting, { message: 'stopped' });

  const absent = createLokinetRpc(standIn.address, {
    load: () => Promise.reject(new Error('Cannot find package')),
  });
  await t.rejects(absent.version(signal), {
    code: 'package',
    message: /needs the package zeromq: npm install --ignore-scripts zeromq@6/,
  });
});

t.test('the state for a status page and metrics', async (t) => {
  const { standIn, rpc } = await rpcFor(t, rpcAnswers(HOST, true));
  const clock = createTestClock();
  const daemon = watchLokinet({ rpc, clock, log: silentLog });
  t.teardown(() => daemon.stop());
  t.match(daemon.read(), { name: 'Lokinet', connected: false });
  const next = async (): Promise<void> => {
    while (clock.pending === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  };
  await next();
  t.strictSame(daemon.read(), {
    name: 'Lokinet',
    connected: true,
    version: 'lokinet-0.9.11-178ac1757',
    circuits: true,
    networkLive: true,
    answeredAt: clock.now(),
  });
  standIn.answer = rpcAnswers(HOST, false, false);
  clock.advance(30_000);
  await next();
  t.match(daemon.read(), { connected: true, circuits: false, networkLive: false });
  standIn.answer = () => undefined;
  clock.advance(30_000);
  await next();
  t.match(daemon.read(), { connected: false, detail: /does not answer/, version: /0\.9\.11/ });
});

t.test('a service takes its name from the RPC where the resolver does not tell it', async (t) => {
  const network = new LokinetNetwork();
  t.teardown(() => network.close());
  const node = await network.node();
  node.tellsName = false;
  const { rpc } = await rpcFor(t, rpcAnswers(node.host, true));
  const without = createLokinetOverlay({ dns: node.dns, virtualPort: 5222 });
  await t.rejects(
    without.serve(() => {}, { signal }),
    { code: 'carrier-unreachable', message: /Lokinet knows no such name/ },
  );
  const overlay = createLokinetOverlay({ dns: node.dns, virtualPort: 5222, rpc });
  const served = await overlay.serve(() => {}, { signal });
  t.equal(served.locations[0].host, node.host);
  t.match(served.daemon?.('loki'), { name: 'Lokinet' });
  await served.close();
  await overlay.close();
});
