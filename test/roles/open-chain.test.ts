import t, { type Test } from 'tap';
import { silentLog } from '../../src/channel/log.js';
import type { Log } from '../../src/channel/log.js';
import { bondView } from '../../src/chain/bond-view.js';
import { MemoryChain } from '../../src/chain/memory.js';
import type { NodeChain } from '../../src/chain/node/node-chain.js';
import { parseCfg } from '../../src/config/cfg-file.js';
import { settingsFrom, type Role, type Settings } from '../../src/config/settings.js';
import { systemClock } from '../../src/overlay/system-clock.js';
import { onionHost } from '../../src/protocol/location.js';
import { openChain } from '../../src/roles/open-chain.js';
import { faultOf } from '../chain/compliance.js';
import { startFakeNode } from '../helpers/fake-node.js';
import { FAKE_HEIGHT } from '../helpers/fake-node-answers.js';
import { GRANTED, startSocksServer } from '../helpers/socks-server.js';
import { testScript } from '../helpers/test-keys.js';

const ONION = onionHost(new Uint8Array(32).fill(9));

async function settingsOf(
  blockchain: string,
  { role = 'wallet', onion = '' }: { role?: Role; onion?: string } = {},
): Promise<Settings> {
  const text = `[BLOCKCHAIN]\n${blockchain}\n[MESSAGING:onion]\ntype = onion\n${onion}\n`;
  const cfg = parseCfg(text, 'joinmarket.cfg');
  if (!cfg.ok) throw new Error(cfg.fault.fault);
  return (await settingsFrom(cfg.value, { datadir: '/data', role })).settings;
}

async function open(
  t: Test,
  settings: Settings,
  log: Log = silentLog,
): Promise<NodeChain | undefined> {
  const chain = await openChain({ settings, clock: systemClock, log });
  t.teardown(() => chain?.close());
  return chain;
}

void t.test('the node of a file of the original', async (t) => {
  const original = [
    'blockchain_source = bitcoin-rpc',
    'network = mainnet',
    'rpc_host = localhost',
    'rpc_port =',
    'rpc_user = bitcoin',
    'rpc_password = password',
    'rpc_wallet_file =',
  ].join('\n');
  t.same((await settingsOf(original)).node, {
    network: 'mainnet',
    host: 'localhost',
    port: undefined,
    user: 'bitcoin',
    password: 'password',
    cookieFile: undefined,
  });
  t.same((await settingsOf('')).node, (await settingsOf(original)).node, 'these are the defaults');
  const own = 'rpc_port = 18443\nrpc_cookie_file = node/.cookie\nrpc_user = a\nrpc_password = b%%c';
  t.same((await settingsOf(`${own}\nnetwork = testnet\nblockchain_source = regtest`)).node, {
    network: 'regtest',
    host: 'localhost',
    port: 18_443,
    user: 'a',
    password: 'b%c',
    cookieFile: '/data/node/.cookie',
  });
  t.equal((await settingsOf('blockchain_source = bitcoin-rpc-no-history')).node?.host, 'localhost');
  t.equal((await settingsOf('blockchain_source = no-blockchain\nrpc_port = x')).node, undefined);
  t.equal(
    (await settingsOf('rpc_port = x', { role: 'directory' })).node,
    undefined,
    'it asks no node',
  );
  for (const [line, message] of [
    ['rpc_port = 0', /rpc_port: found "0"; allowed: a port number, 1 to 65535, or nothing$/],
    ['blockchain_source = electrum', /blockchain_source: found "electrum"; allowed: bitcoin-rpc, /],
    ['rpc_host = localhost:8332', /a host with a port, which belongs into rpc_port/],
    [`rpc_password = ${'x'.repeat(1_001)}`, /rpc_password: found a value that is not shown/],
  ] as const) {
    // oxlint-disable-next-line no-await-in-loop
    await t.rejects(settingsOf(line), { message });
  }
});

void t.test('no-blockchain opens nothing', async (t) => {
  t.equal(await open(t, await settingsOf('blockchain_source = no-blockchain')), undefined);
});

void t.test('a node in the local network is reached directly', async (t) => {
  const node = await startFakeNode(t);
  const rpc = `blockchain_source = regtest\nrpc_host = 127.0.0.1\nrpc_port = ${node.port}`;
  const chain = await open(t, await settingsOf(`${rpc}\nrpc_user = a\nrpc_password = b`));
  t.equal(chain?.network, 'regtest');
  t.equal((await chain?.tip())?.height, FAKE_HEIGHT);
});

void t.test('a node behind an onion is reached through the SOCKS port', async (t) => {
  const node = await startFakeNode(t);
  const socks = await startSocksServer({ reply: GRANTED, forward: () => node.port });
  t.teardown(() => socks.close());
  if (socks.endpoint.kind !== 'tcp') return t.fail('no port');
  const onion = `socks5_host = 127.0.0.1\nsocks5_port = ${socks.endpoint.port}`;
  const rpc = `blockchain_source = regtest\nrpc_host = ${ONION}\nrpc_user = a\nrpc_password = b`;
  const settings = await settingsOf(rpc, { onion });
  const chain = await open(t, settings);
  t.equal((await chain?.tip())?.height, FAKE_HEIGHT);
  t.match(
    socks.requests,
    [{ host: ONION, port: 18_443, addressType: 3 }],
    'one connection for all calls',
  );
  socks.script = { reply: Buffer.from([5, 4, 0, 1, 0, 0, 0, 0, 0, 0]), close: true };
  const refused: unknown = await open(t, settings).catch((reason: unknown) => reason);
  t.match(refused, { fault: 'unreachable', message: ONION });
  t.notMatch(String(refused), '\n');
  await socks.close();
  t.equal(await faultOf(open(t, settings)), 'unreachable', 'no Tor');
  return undefined;
});

void t.test('the values of bonds come from any chain that finds coins of others', async (t) => {
  const chain = new MemoryChain();
  const view = bondView(chain);
  const paid = chain.pay(testScript(3), 77_000);
  t.same(await view.output(paid.txid, 0), { found: false }, 'not confirmed');
  const block = chain.mine();
  chain.mine(5);
  t.same(await view.output(paid.txid, 0), {
    found: true,
    amount: 77_000,
    confirmedAt: block.time,
    scriptHex: testScript(3),
  });
  t.same(await view.output('ab'.repeat(32), 0), { found: false });
  t.match(await view.tip(), { height: 6 });
});
