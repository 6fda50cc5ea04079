/** A node that is restarted, killed, slow to start, gone; cookies that change. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { bytesToHex } from '@noble/hashes/utils.js';
import t, { type Test } from 'tap';
import { ChainError } from '../../src/chain/chain-error.js';
import { openNode, type NodeSettings } from '../../src/chain/node/open-node.js';
import { systemClock } from '../../src/overlay/system-clock.js';
import { freePort, startBitcoinNode, type BitcoinNode } from '../helpers/bitcoin-node.js';
import { realNodeTest } from '../helpers/bitcoin-program.js';
import { nodeWorld, openTestNode, settingsOf } from '../helpers/node-chain.js';
import { signedTransaction, testScript } from '../helpers/test-keys.js';
import { faultOf, scanAll, TestWatch, txidOf } from './compliance.js';

const signal = new AbortController().signal;

/** The error with which an opening fails; its message must be one line. */
async function openError(
  t: Test,
  settings: NodeSettings,
  cookieFolders: readonly string[] = [],
): Promise<ChainError> {
  const error: unknown = await openNode({ settings, clock: systemClock, cookieFolders }).then(
    () => new Error('it opened'),
    (reason: unknown) => reason,
  );
  if (!(error instanceof ChainError)) throw error;
  t.notMatch(error.message, '\n');
  return error;
}

/** A folder like that of a node, with a cookie. */
async function folderWith(t: Test, cookie: string, network = 'regtest'): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'onionmc-cookie-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  await mkdir(join(folder, network));
  await writeFile(join(folder, network, '.cookie'), cookie);
  return folder;
}

/** Resolves when the next HTTP request was written. */
function nextRequest(): Promise<void> {
  const channel = 'http.client.request.start';
  return new Promise((resolve) => {
    const written = (): void => {
      unsubscribe(channel, written);
      resolve();
    };
    subscribe(channel, written);
  });
}

realNodeTest(t, 'restarts', async (t) => {
  const node = await startBitcoinNode(t);
  const world = await nodeWorld(t, node);
  const { chain } = world;

  await t.test('K13 a new cookie is read after a restart', async (t) => {
    const before = await readFile(node.cookieFile, 'utf8');
    const tip = await chain.tip();
    await node.restart();
    t.not(await readFile(node.cookieFile, 'utf8'), before);
    t.same(await chain.tip(), tip, 'the call sees no error');
  });

  await t.test('K13 a killed node leaves its cookie, which is no sign of a node', async (t) => {
    await node.stop('SIGKILL');
    t.ok((await readFile(node.cookieFile, 'utf8')).startsWith('__cookie__:'));
    const error = await openError(t, settingsOf(node));
    t.match(error, {
      fault: 'unreachable',
      message:
        /^no bitcoin node answers at 127\.0\.0\.1:\d+ \(ECONNREFUSED\): start it, or correct rpc_host and rpc_port in \[BLOCKCHAIN\]$/,
    });
    t.equal(await faultOf(chain.tip()), 'unreachable');
    t.equal(await faultOf(chain.coins([{ txid: 'ab'.repeat(32), vout: 0 }])), 'unreachable');
    await node.start();
    t.ok(await chain.tip());
  });

  await t.test('who waits for a block or a transaction waits through a restart', async (t) => {
    const [coin] = await world.pay([{ script: testScript(50), value: 50_000 }]);
    await world.mine();
    if (coin === undefined) return t.fail('nothing was paid');
    const bytes = signedTransaction([coin], [{ script: testScript(51), value: 49_000 }]);
    const known = await chain.tip();
    const next = chain.nextTip(known, signal);
    const seen = chain.seen(coin.txid, signal);
    const later = chain.seen(txidOf(bytes), signal);
    await node.flush();
    await node.restart([], 'SIGKILL');
    await node.rpc('sendrawtransaction', bytesToHex(bytes));
    await later;
    await seen;
    const mined = await world.mine();
    t.equal((await next).hash, mined.hash);
    return undefined;
  });

  for (const kill of ['SIGTERM', 'SIGKILL'] as const) {
    // oxlint-disable-next-line no-await-in-loop
    await t.test(`a scan continues after ${kill} and a start of the node`, async (t) => {
      const script = testScript(60);
      const start = await chain.tip();
      for (let i = 0; i < 5; i += 1) {
        // oxlint-disable-next-line no-await-in-loop
        await world.pay([{ script, value: 20_000 + i }]);
        // oxlint-disable-next-line no-await-in-loop
        await world.mine(3);
      }
      await node.flush();
      const watch = new TestWatch([script]);
      let stopped = false;
      let starting: Promise<void> = Promise.resolve();
      await scanAll(chain, watch, { known: [start] }, async (step) => {
        if (step.kind !== 'block' || stopped) return;
        stopped = true;
        await node.stop(kill);
        starting = node.start();
      });
      await starting;
      t.ok(stopped);
      t.equal(watch.found().length, 5);
      t.same(watch.last(), { kind: 'reached', block: await chain.tip() });
    });
  }

  for (const kill of ['SIGTERM', 'SIGKILL'] as const) {
    // oxlint-disable-next-line no-await-in-loop
    await t.test(`the unspent outputs are read after ${kill} in the middle`, async (t) => {
      const script = testScript(kill === 'SIGTERM' ? 61 : 62);
      await world.pay([{ script, value: 31_000 }]);
      const { hash } = await world.mine();
      await node.flush();
      const { pid } = node;
      if (pid === undefined) return t.fail('the node runs');
      // A node that stands still has the request, and not yet an answer.
      process.kill(pid, 'SIGSTOP');
      const requested = nextRequest();
      const unspent = chain.unspent([script], signal);
      await requested;
      const stopped = node.stop(kill);
      if (kill === 'SIGTERM') process.kill(pid, 'SIGCONT');
      await stopped;
      await node.start();
      const { block, outputs } = await unspent;
      t.equal(block.hash, hash);
      t.match(outputs, [{ script, value: 31_000 }]);
      t.equal(outputs.length, 1);
      return undefined;
    });
  }

  await t.test('a view that is closed ends what waits', async (t) => {
    const closing = await openTestNode(t, node, { pollMs: 60_000 });
    const waiting = faultOf(closing.nextTip(await closing.tip(), signal));
    const seen = faultOf(closing.seen('ab'.repeat(32), signal));
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
    await closing.close();
    t.equal(await waiting, 'unable');
    t.not(await seen, 'none');
    t.not(await faultOf(closing.tip()), 'none');
  });
});

realNodeTest(t, 'how the program identifies itself', async (t) => {
  const node = await startBitcoinNode(t);
  const opens = async (
    t: Test,
    settings: Partial<NodeSettings>,
    cookieFolders: readonly string[] = [],
  ): Promise<void> => {
    const chain = await openTestNode(t, node, {
      settings: settingsOf(node, settings),
      cookieFolders,
    });
    t.equal(chain.network, 'regtest');
  };

  await t.test('the cookie is found in the usual folder of the node', async (t) => {
    await opens(t, { cookieFile: undefined }, ['/does/not/exist', node.datadir]);
    await opens(t, { cookieFile: undefined, user: '', password: '' }, [node.datadir]);
  });
  await t.test('the old cookie of another node does not stand in the way', async (t) => {
    const stale = await folderWith(t, '__cookie__:00ff');
    await opens(t, { cookieFile: undefined }, [stale, node.datadir]);
  });
  await t.test('a configured cookie file wins over a password', async (t) => {
    await opens(t, { user: 'alice', password: 'wrong' });
  });
  await t.test('a configured password is not replaced by a cookie', async (t) => {
    const settings = settingsOf(node, { cookieFile: undefined, user: 'alice', password: 'wrong' });
    t.match(await openError(t, settings, [node.datadir]), {
      fault: 'access',
      message: /\(tried: rpc_user and rpc_password\)/,
    });
  });
  await t.test('without any, the message names what is missing', async (t) => {
    const settings = settingsOf(node, { cookieFile: undefined });
    t.match(await openError(t, settings, ['/does/not/exist']), {
      fault: 'access',
      message: /\(tried: no cookie was found, and the default rpc_password\)/,
    });
  });
  await t.test('a cookie file that cannot be read', async (t) => {
    const missing = settingsOf(node, { cookieFile: '/does/not/exist/.cookie' });
    t.match(await openError(t, missing), {
      fault: 'access',
      message: /cannot read rpc_cookie_file \/does\/not\/exist\/\.cookie \(ENOENT\)/,
    });
    const folder = settingsOf(node, { cookieFile: dirname(node.cookieFile) });
    t.match(await openError(t, folder), { message: /cannot read .* \(EISDIR\)/ });
    const other = await folderWith(t, 'not a cookie\n');
    const wrong = settingsOf(node, { cookieFile: join(other, 'regtest', '.cookie') });
    t.match(await openError(t, wrong), { message: /\(it is not a cookie file\)/ });
    const denied = await mkdtemp(join(tmpdir(), 'onionmc-cookie-'));
    t.teardown(() => rm(denied, { recursive: true, force: true }));
    await mkdir(join(denied, 'regtest', '.cookie'), { recursive: true });
    const usual = settingsOf(node, { cookieFile: undefined });
    t.match(await openError(t, usual, [denied]), {
      message: /; cannot read \S+\/regtest\/\.cookie, and/,
    });
  });
  await t.test('a node of another network is refused in one line', async (t) => {
    for (const network of ['mainnet', 'testnet', 'signet'] as const) {
      // oxlint-disable-next-line no-await-in-loop
      t.match(await openError(t, settingsOf(node, { network })), {
        fault: 'network',
        message: `on regtest, not on ${network}: correct rpc_port or network in [BLOCKCHAIN]`,
      });
    }
  });
  await t.test('nothing listens at the port', async (t) => {
    const settings = settingsOf(node, { port: await freePort() });
    t.equal((await openError(t, settings)).fault, 'unreachable');
  });
});

realNodeTest(t, 'a node with rpcuser and rpcpassword', async (t) => {
  const settings = { rpcUser: 'alice', rpcPassword: 'pass word ü%' };
  const node: BitcoinNode = await startBitcoinNode(t, settings);
  const { rpcUser: user, rpcPassword: password } = settings;
  const chain = await openTestNode(t, node, {
    settings: settingsOf(node, { user, password, cookieFile: undefined }),
  });
  t.equal((await chain.tip()).height, 0);
  await node.restart();
  t.equal((await chain.tip()).height, 0);
});
