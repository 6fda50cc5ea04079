/** Answers that no node gives, or gives seldom: each is one typed error, and nothing is left open. */
import t, { type Test } from 'tap';
import { openNode, type OpenNodeOptions } from '../../src/chain/node/open-node.js';
import type { NodeChain } from '../../src/chain/node/node-chain.js';
import { ChainError } from '../../src/chain/chain-error.js';
import { recordOf } from '../../src/kit/json-record.js';
import { systemClock } from '../../src/overlay/system-clock.js';
import { startFakeNode, type FakeAnswer, type FakeNode } from '../helpers/fake-node.js';
import { FakeNodeError, fakeHash, FAKE_HEIGHT, usualAnswer } from '../helpers/fake-node-answers.js';
import { createTestClock } from '../helpers/test-clock.js';
import { faultOf, scanAll, TestWatch } from './compliance.js';

const settings = {
  network: 'regtest',
  host: '127.0.0.1',
  user: 'alice',
  password: 'secret',
  cookieFile: undefined,
} as const;

async function open(
  t: Test,
  node: FakeNode,
  more: Partial<OpenNodeOptions> = {},
): Promise<NodeChain> {
  const chain = await openNode({
    settings: { ...settings, port: node.port },
    clock: systemClock,
    pollMs: 10,
    ...more,
  });
  t.teardown(() => chain.close());
  return chain;
}

/** The one line of the error with which a call rejects. */
async function lineOf(t: Test, call: Promise<unknown>): Promise<string> {
  const error: unknown = await call.then(
    () => new Error('it resolved'),
    (reason: unknown) => reason,
  );
  if (!(error instanceof ChainError)) throw error;
  t.notMatch(error.message, '\n');
  return error.message;
}

void t.test('wrong answers', async (t) => {
  const node = await startFakeNode(t);
  const chain = await open(t, node);
  t.equal((await chain.tip()).height, FAKE_HEIGHT);
  const answers: readonly (readonly [string, FakeAnswer, string])[] = [
    ['a page', { body: '<html>hello</html>' }, 'answer'],
    ['nothing', { body: '' }, 'answer'],
    ['another value', { body: '7' }, 'answer'],
    ['no result', { body: '{"jsonrpc":"2.0","id":1}' }, 'answer'],
    ['another id', { body: '{"jsonrpc":"2.0","id":999999,"result":7}' }, 'answer'],
    ['an error without a code', { body: '{"id":1,"error":"no"}' }, 'answer'],
    ['status 404', { status: 404, body: 'not here' }, 'answer'],
    ['status 413', { status: 413, body: '<html>too large</html>' }, 'answer'],
    ['status 401', { status: 401, body: '' }, 'access'],
    ['status 403', { status: 403, body: '' }, 'access'],
    ['a cut', 'close', 'unreachable'],
    ['an endless answer', 'endless', 'answer'],
  ];
  for (const [name, answer, fault] of answers) {
    node.respond = () => answer;
    // oxlint-disable-next-line no-await-in-loop
    t.equal(await faultOf(chain.tip()), fault, name);
    // oxlint-disable-next-line no-await-in-loop
    t.equal(await faultOf(open(t, node)), fault, `${name}, at the opening`);
  }
  node.respond = undefined;
  t.equal((await chain.tip()).height, FAKE_HEIGHT, 'the view works again');
  node.respond = () => ({ status: 403, body: '' });
  t.match(await lineOf(t, open(t, node)), /refuses this machine: add its address to rpcallowip/);
});

void t.test('an error of the old protocol, with HTTP status 500', async (t) => {
  const node = await startFakeNode(t);
  const chain = await open(t, node);
  node.respond = ([call]) =>
    call?.method === 'getblockhash'
      ? {
          status: 500,
          body: JSON.stringify({ id: call.id, result: null, error: { code: -8, message: 'out' } }),
        }
      : undefined;
  t.equal(await chain.blockAt(999), undefined);
});

void t.test('a batch: its bounds, its ids', async (t) => {
  const node = await startFakeNode(t);
  const chain = await open(t, node);
  const coins = Array.from({ length: 1_234 }, (_, vout) => ({ txid: 'ab'.repeat(32), vout }));
  t.equal((await chain.coins(coins)).length, 1_234);
  t.equal(Math.max(...node.sizes), 100);
  t.equal(
    node.sizes.reduce((sum, size) => sum + size, 0),
    1_234 + 3,
  );
  const entries = (ids: (ids: unknown[]) => unknown[]) => {
    node.respond = (calls) => ({
      body: JSON.stringify(ids(calls.map(({ id }) => id)).map((id) => ({ id, result: null }))),
    });
  };
  entries((ids) => ids.toReversed());
  t.same(await chain.coins(coins.slice(0, 3)), [undefined, undefined, undefined], 'in any order');
  entries((ids) => ids.slice(1));
  t.equal(await faultOf(chain.coins(coins.slice(0, 3))), 'answer', 'one is missing');
  entries((ids) => ids.map(() => ids[0]));
  t.equal(await faultOf(chain.coins(coins.slice(0, 3))), 'answer', 'one id three times');
  entries((ids) => [...ids, 77]);
  t.equal(await faultOf(chain.coins(coins.slice(0, 3))), 'answer', 'one too many');
  node.respond = () => ({ body: '{}' });
  t.equal(await faultOf(chain.coins(coins.slice(0, 3))), 'answer', 'no batch');
});

void t.test('a node that starts is awaited, with one line, and for a bounded time', async (t) => {
  const node = await startFakeNode(t);
  let left = 3;
  node.results.set('getnetworkinfo', () => {
    if (left <= 0) return { version: 290_400, subversion: '/x/', localrelay: true };
    left -= 1;
    throw new FakeNodeError(-28, 'Loading block index…');
  });
  const waiting: string[] = [];
  const onWaiting = (text: string): void => void waiting.push(text);
  const chain = await open(t, node, { onWaiting });
  t.equal(left, 0);
  t.same(waiting, [
    `the bitcoin node at 127.0.0.1:${node.port} is starting (Loading block index…); waiting`,
  ]);
  left = Infinity;
  t.equal(await faultOf(chain.facts(AbortSignal.timeout(50))), 'other', 'until it is aborted');
  const hasty = open(t, node, { startingMs: 100 });
  t.match(await lineOf(t, hasty), /^the bitcoin node at \S+ is starting \(Loading block index…\)$/);
});

void t.test('a busy node is asked again', async (t) => {
  const node = await startFakeNode(t);
  const chain = await open(t, node);
  let busy = 2;
  node.respond = () => {
    busy -= 1;
    return busy < 0 ? undefined : { status: 503, body: 'Work queue depth exceeded' };
  };
  t.equal((await chain.tip()).height, FAKE_HEIGHT);
});

void t.test('a node that does not answer', async (t) => {
  const node = await startFakeNode(t);
  const chain = await open(t, node);
  node.respond = () => 'hang';
  const abort = new AbortController();
  const aborted = chain.tip(abort.signal);
  abort.abort(new Error('enough'));
  await t.rejects(aborted, { message: 'enough' });
  const late = chain.minimumFeePerKb();
  await chain.close();
  t.not(await faultOf(late), 'none', 'closing ends an open request');
});

void t.test('the time limit of a call', async (t) => {
  const node = await startFakeNode(t);
  const clock = createTestClock();
  const chain = await open(t, node, { clock });
  t.equal(clock.pending, 0, 'an answer ends its limit');
  const signal = new AbortController().signal;
  const limits: readonly (readonly [number, () => Promise<unknown>])[] = [
    [60, () => chain.tip()],
    [60, () => chain.coins([{ txid: 'ab'.repeat(32), vout: 0 }])],
    [3_600, () => chain.unspent(['51'], signal)],
  ];
  for (const [seconds, call] of limits) {
    const asked = new Promise<void>((resolve) => {
      node.respond = () => {
        resolve();
        return 'hang';
      };
    });
    let line: string | undefined;
    const failed = lineOf(t, call()).then((text) => (line = text));
    // oxlint-disable-next-line no-await-in-loop
    await asked;
    clock.advance(seconds * 1_000 - 1);
    // oxlint-disable-next-line no-await-in-loop
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
    t.same([line, clock.pending], [undefined, 1], 'not before');
    clock.advance(1);
    const text = `the bitcoin node at 127.0.0.1:${node.port} gives no answer within ${seconds} s: it may be busy; try again`;
    // oxlint-disable-next-line no-await-in-loop
    t.equal(await failed, text);
    t.equal(clock.pending, 0);
    node.respond = undefined;
    // oxlint-disable-next-line no-await-in-loop
    t.equal((await chain.tip()).height, FAKE_HEIGHT, 'the next call is answered');
  }
});

void t.test('a node that shuts down in the middle of a call', async (t) => {
  const node = await startFakeNode(t);
  const waiting: string[] = [];
  const chain = await open(t, node, { onWaiting: (text) => void waiting.push(text) });
  let left = 1;
  const shutDown = (): never => {
    left -= 1;
    throw new FakeNodeError(-9, 'Shutting down');
  };
  const scan = { success: true, bestblock: fakeHash(FAKE_HEIGHT), unspents: [] };
  node.results.set('scantxoutset', () => (left > 0 ? shutDown() : scan));
  const { block } = await chain.unspent(['51'], new AbortController().signal);
  t.equal(block.height, FAKE_HEIGHT, 'a scan of minutes begins again');
  const line = `the bitcoin node at 127.0.0.1:${node.port} is shutting down: start it again`;
  t.same(waiting, [`${line}; waiting`]);
  node.results.set('getbestblockhash', shutDown);
  t.equal(await lineOf(t, chain.tip()), line);
  t.equal(await faultOf(chain.tip()), 'unreachable');
});

void t.test('an old node, and a node of another network', async (t) => {
  const node = await startFakeNode(t);
  node.results.set('getnetworkinfo', () => ({ version: 230_000, subversion: '/Satoshi:23.0.0/' }));
  t.match(
    await lineOf(t, open(t, node)),
    /\(\/Satoshi:23\.0\.0\/\) is too old: version 24 or later is needed/,
  );
  node.results.delete('getnetworkinfo');
  node.results.set('getblockchaininfo', () => ({
    chain: 'evil\u001b[31m\n',
    blocks: 1,
    headers: 1,
    initialblockdownload: false,
    verificationprogress: 1,
    pruned: false,
  }));
  t.equal(await faultOf(open(t, node)), 'network');
  t.notMatch(await lineOf(t, open(t, node)), '\u001b');
});

void t.test('a node of a chain with another proof of work', async (t) => {
  const node = await startFakeNode(t);
  const chain = await open(t, node);
  // As Knots 29.4.3 after its change (findings/knots-other-chain.sh).
  const facts = usualAnswer('getblockchaininfo', []);
  node.results.set('getblockchaininfo', () => ({ ...recordOf(facts), difficulty_blake2b: 2 }));
  const line =
    /follows a chain with another proof of work than Bitcoin's, whose coins other peers do not see: use Bitcoin Core$/;
  t.match(await lineOf(t, open(t, node)), line);
  t.equal(await faultOf(open(t, node)), 'network');
  t.equal(await faultOf(scanAll(chain, new TestWatch([]), { from: 100 })), 'network', 'later, too');
});

void t.test('a node that began with a snapshot and has no older blocks yet', async (t) => {
  const node = await startFakeNode(t);
  const { results } = node;
  // As Knots 29.4 (findings/knots-snapshot-blocks.sh): not pruned, an index that is synced, and no blocks.
  const network = recordOf(usualAnswer('getnetworkinfo', []));
  results.set('getnetworkinfo', () => ({
    ...network,
    localservicesnames: ['WITNESS', 'NETWORK_LIMITED'],
  }));
  results.set('getindexinfo', () => ({
    'basic block filter index': { synced: true, best_block_height: 0 },
  }));
  results.set('getchainstates', () => ({
    headers: FAKE_HEIGHT,
    chainstates: [
      { blocks: 0, validated: true },
      { blocks: FAKE_HEIGHT, snapshot_blockhash: fakeHash(110), validated: false },
    ],
  }));
  results.set('getblock', () => {
    throw new FakeNodeError(-1, 'Block not available (not fully downloaded)');
  });
  const chain = await open(t, node);
  t.equal(await chain.firstReadable(), 111);
  t.notOk(chain.abilities.quickHistory, 'its filters are not built');
  const scan = (): Promise<void> => scanAll(chain, new TestWatch([]), { from: 100 });
  t.equal(await faultOf(scan()), 'unable');
  t.match(
    await lineOf(t, scan()),
    /does not have block 100 \(pruned, or not downloaded yet\): rescan from a later height/,
  );

  results.set('getchainstates', () => ({
    chainstates: [{ blocks: FAKE_HEIGHT, validated: true }],
  }));
  t.equal(await chain.firstReadable(), 0, 'all blocks are there');
  results.delete('getchainstates');
  t.equal(await chain.firstReadable(), 0, 'a node without this method');
});

void t.test('a scan stops at a node that contradicts itself', async (t) => {
  const node = await startFakeNode(t);
  const chain = await open(t, node);
  const scan = (): Promise<void> => scanAll(chain, new TestWatch([]), { from: 100 });
  for (const block of ['', '00', 'zz', 'ab'.repeat(80), 'ab'.repeat(200), 7, null, {}]) {
    node.results.set('getblock', () => block);
    // oxlint-disable-next-line no-await-in-loop
    t.equal(await faultOf(scan()), 'answer', JSON.stringify(block).slice(0, 20));
  }
  node.results.set('getblockheader', () => ({ hash: fakeHash(1), height: 1 }));
  t.equal(await faultOf(scan()), 'answer', 'the header of another block');
});

void t.test('a scan of a chain that never fits together ends', { timeout: 20_000 }, async (t) => {
  const node = await startFakeNode(t);
  const chain = await open(t, node);
  const known = [{ height: FAKE_HEIGHT, hash: fakeHash(FAKE_HEIGHT) }];
  const scan = (): Promise<void> => scanAll(chain, new TestWatch([]), { from: 100, known });
  node.results.set('getbestblockhash', () => fakeHash(FAKE_HEIGHT - 1));
  t.equal(await faultOf(scan()), 'answer', 'the best block is below a block of the best chain');
  node.results.set('getbestblockhash', () => fakeHash(FAKE_HEIGHT + 1));
  t.equal(await faultOf(scan()), 'answer', 'the best block is missing in the best chain');
  node.results.set('getblockhash', () => {
    throw new FakeNodeError(-8, 'Block height out of range');
  });
  t.equal(await faultOf(scan()), 'answer', 'no block is in the best chain');
});

void t.test('amounts and fee rates are exact', async (t) => {
  const node = await startFakeNode(t);
  const chain = await open(t, node);
  t.equal(await chain.feePerKb(6), 12_345);
  node.results.set('getmempoolinfo', () => ({ mempoolminfee: 0.000_01, minrelaytxfee: 0.000_2 }));
  t.equal(await chain.feePerKb(6), 20_000, 'never below what is relayed');
  for (const value of [20_999_999.999_999_99, 0.1, 0.000_000_01, 0, 1.1]) {
    node.results.set('gettxout', () => ({
      value,
      confirmations: 3,
      bestblock: fakeHash(FAKE_HEIGHT),
      scriptPubKey: { hex: '51' },
    }));
    // oxlint-disable-next-line no-await-in-loop
    const [coin] = await chain.coins([{ txid: 'ab'.repeat(32), vout: 0 }]);
    t.equal(coin?.value, Number(BigInt(Math.round(value * 1e8))));
    t.equal(coin?.height, FAKE_HEIGHT - 2);
  }
  for (const value of [-1, 21_000_001, 1e300, '1', null]) {
    node.results.set('gettxout', () => ({
      value,
      confirmations: 3,
      bestblock: fakeHash(1),
      scriptPubKey: { hex: '51' },
    }));
    // oxlint-disable-next-line no-await-in-loop
    t.equal(
      await faultOf(chain.coins([{ txid: 'ab'.repeat(32), vout: 0 }])),
      'answer',
      String(value),
    );
  }
});
