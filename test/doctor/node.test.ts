/**
 * `onionmc doctor` about the bitcoin node, the wallets and the disk: each state of a real node, and each fault with
 * its fix.
 */
import { chmod, chown, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { randomBytes } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { silentLog } from '../../src/channel/log.js';
import type { NodeFacts } from '../../src/chain/node/node-facts.js';
import type { DoctorRole, Machine } from '../../src/doctor/check.js';
import { runChecks, type Finding } from '../../src/doctor/run-checks.js';
import { systemClock } from '../../src/overlay/system-clock.js';
import { lockInstance } from '../../src/ops/instance-lock.js';
import { openChain } from '../../src/roles/open-chain.js';
import { startBitcoinNode } from '../helpers/bitcoin-node.js';
import { realNodeTest } from '../helpers/bitcoin-program.js';
import { runCli } from '../helpers/cli.js';
import { loopbackConfig } from '../helpers/config.js';
import { loadChecks, noNode } from '../helpers/doctor-checks.js';

const CHAIN_IDS = new Set(['config', 'node-cookie', 'bitcoin-node', 'block-chain', 'filter-index']);
const WALLET_IDS = new Set(['datadir', 'wallets', 'disk']);
const isRoot = process.geteuid?.() === 0;

async function datadirOf(t: Test, blockchain: string): Promise<string> {
  const datadir = await mkdtemp(join(tmpdir(), 'onionmc-doctor-'));
  t.teardown(() => rm(datadir, { recursive: true, force: true }));
  await chmod(datadir, 0o700);
  const text = loopbackConfig({ blockchain, nodes: '127.0.0.1:1' });
  await writeFile(join(datadir, 'joinmarket.cfg'), text, { mode: 0o600 });
  return datadir;
}

function machineOf(role: DoctorRole, datadir: string): Machine {
  return {
    role,
    datadir,
    nodeVersion: '20.19.0',
    uid: process.geteuid?.(),
    openFiles: () => Promise.resolve(65_536),
    space: () => Promise.resolve({ bytes: 1e9, files: 1e6 }),
    torProgram: 'tor',
    today: Date.now,
    async openChain(settings, signal) {
      const tools = { clock: systemClock, log: silentLog };
      const chain = await openChain({ settings, ...tools, signal, startingMs: 500 });
      if (chain === undefined) throw new Error('no node');
      return chain;
    },
    clock: systemClock,
    randomBytes,
    signal: new AbortController().signal,
  };
}

/** The findings of some checks, by id. */
async function look(
  machine: Machine,
  ids: ReadonlySet<string>,
): Promise<Readonly<Record<string, Finding>>> {
  const checks = (await loadChecks(machine.role)).filter(
    ({ id }) => id === 'datadir' || ids.has(id),
  );
  const findings = await runChecks(checks, machine);
  return Object.fromEntries(findings.map((finding) => [finding.id, finding]));
}

realNodeTest(t, 'a real node', async (t) => {
  const node = await startBitcoinNode(t);
  const at = `network = regtest\nrpc_host = 127.0.0.1\nrpc_port = ${node.rpcPort}\n`;
  const cookie = `rpc_cookie_file = ${node.cookieFile}`;
  const datadir = await datadirOf(t, `${at}${cookie}`);
  const wallet = machineOf('wallet', datadir);

  await t.test('a node that has just been made', async (t) => {
    const found = await look(wallet, CHAIN_IDS);
    t.match(found, {
      'node-cookie': { status: 'ok', text: node.cookieFile },
      'bitcoin-node': { status: 'ok', text: /^\/\S+\/ at 127\.0\.0\.1:\d+, network regtest$/ },
      'block-chain': {
        status: 'note',
        text: /^the node downloads the chain: block 0 of 0, \d+ %$/,
      },
      'filter-index': { status: 'ok', text: 'up to block 0' },
    });
  });

  await t.test('with blocks', async (t) => {
    await node.mine(3);
    const found = await look(wallet, CHAIN_IDS);
    t.match(found, { 'block-chain': { status: 'ok', text: /^block 3, of \d{4}-/ } });
    const { code, stdout } = await runCli(['doctor', '--role', 'wallet', '--datadir', datadir]);
    t.equal(code, 0, 'a fault is not a note');
    t.match(stdout, /✓ bitcoin node +\S+ at 127\.0\.0\.1:\d+, network regtest\n/);
    t.match(stdout, /! wallet folder +there is no .*\/wallets; the first wallet makes it/);
    t.match(stdout, /✓ disk /);
  });

  await t.test('a node of another network', async (t) => {
    const other = await datadirOf(t, `${at.replace('regtest', 'signet')}${cookie}`);
    const found = await look(machineOf('taker', other), CHAIN_IDS);
    t.match(found['bitcoin-node'], {
      status: 'wrong',
      text: /is on regtest, not on signet$/,
      fix: /^correct rpc_port or network in \[BLOCKCHAIN\]; or set blockchain_source = no-blockchain/,
    });
    t.match(found['block-chain'], {
      status: 'skipped',
      text: 'the bitcoin node must answer first',
    });
  });

  await t.test('a wrong password, and one that others can read', async (t) => {
    const given = await datadirOf(t, `${at}rpc_user = alice\nrpc_password = wrong`);
    await chmod(join(given, 'joinmarket.cfg'), 0o644);
    const found = await look(machineOf('ob-watcher', given), CHAIN_IDS);
    t.match(found, {
      'node-cookie': {
        status: 'wrong',
        text: /holds rpc_password, and others can read it$/,
        fix: /^chmod 600 /,
      },
      'bitcoin-node': {
        status: 'wrong',
        text: /refuses access \(tried: rpc_user and rpc_password\)$/,
        fix: /^set rpc_cookie_file, or rpc_user and rpc_password/,
      },
    });
  });

  await t.test('without a filter index, pruned', async (t) => {
    await node.restart(['-blockfilterindex=0', '-prune=1']);
    const found = await look(wallet, CHAIN_IDS);
    t.match(found, {
      'bitcoin-node': { status: 'ok', text: /, pruned: has blocks from 0 on$/ },
      'filter-index': { status: 'note', fix: /^blockfilterindex=1 in the bitcoin\.conf/ },
    });
  });

  await t.test('an old block: the clock has moved on', async (t) => {
    const signet = await datadirOf(t, `${at}${cookie}`);
    const later = { ...machineOf('taker', signet), today: () => Date.now() + 5 * 3_600_000 };
    const found = await look(later, CHAIN_IDS);
    t.match(found['block-chain'], { status: 'ok' }, 'blocks of regtest are made by hand');
  });

  await t.test('stopped: a wallet needs it, a taker goes on', async (t) => {
    await node.stop();
    const found = await look(wallet, CHAIN_IDS);
    t.match(found, {
      'node-cookie': {
        status: 'wrong',
        text: /rpc_cookie_file\) cannot be read \(ENOENT\)$/,
        fix: /^start the node/,
      },
      'bitcoin-node': {
        status: 'wrong',
        text: /^no bitcoin node answers at 127\.0\.0\.1:\d+ \(ECONNREFUSED\)$/,
      },
    });
    const taker = await look(machineOf('taker', datadir), CHAIN_IDS);
    t.match(taker['bitcoin-node'], { status: 'note', fix: /no-blockchain/ });
  });
});

t.test('no node', async (t) => {
  const datadir = await datadirOf(t, 'network = signet\nblockchain_source = bitcoin-rpc');
  const at = (role: DoctorRole): Machine => ({ ...machineOf(role, datadir), openChain: noNode });
  for (const role of ['taker', 'ob-watcher', 'maker'] as const) {
    const found = await look(at(role), CHAIN_IDS);
    t.match(found['bitcoin-node'], {
      status: 'note',
      text: /^no bitcoin node answers .*; the program goes on without it, and bonds have no value$/,
      fix: /^start it, or correct rpc_host.*; or set blockchain_source = no-blockchain in \[BLOCKCHAIN\]/,
    });
  }
  const found = await look(at('wallet'), CHAIN_IDS);
  t.match(found['bitcoin-node'], { status: 'wrong', fix: /^start it, or correct rpc_host/ });

  const config = join(datadir, 'joinmarket.cfg');
  const text = await readFile(config, 'utf8');
  await writeFile(config, `${text}\n[YIELDGENERATOR]\nbond_file = bond.json\n`);
  const maker = await look(at('maker'), CHAIN_IDS);
  t.match(
    maker['bitcoin-node'],
    { status: 'wrong', text: /: a start fails$/ },
    'a maker with a bond',
  );

  await writeFile(config, text.replace('bitcoin-rpc', 'no-blockchain'));
  t.match(await look(at('taker'), CHAIN_IDS), {
    'node-cookie': { status: 'ok' },
    'bitcoin-node': { status: 'ok', text: /^none is asked/ },
    'block-chain': { status: 'ok', text: 'is not read: no node is asked' },
  });
  t.match((await look(at('wallet'), CHAIN_IDS))['bitcoin-node'], {
    status: 'wrong',
    fix: /^set blockchain_source = bitcoin-rpc/,
  });
});

t.test('blocks that do not come', async (t) => {
  const datadir = await datadirOf(t, 'network = signet\nblockchain_source = bitcoin-rpc');
  const facts = {
    chain: 'signet',
    version: 290_400,
    userAgent: '/Satoshi:29.4.0/',
    height: 200_000,
    headers: 200_001,
    initialDownload: false,
    progress: 1,
    firstBlock: 0,
    pruned: false,
    snapshot: false,
    otherWork: false,
    relays: true,
    filterIndex: { present: true, synced: false, height: 12_000 },
  } as const;
  const time = 1_700_000_000;
  const tip = { height: 200_000, hash: 'aa'.repeat(32), time, medianTime: time };
  const machine = (changes: Partial<NodeFacts> = {}, hours = 1): Machine => ({
    ...machineOf('wallet', datadir),
    today: () => (time + hours * 3_600) * 1_000,
    openChain: () =>
      Promise.resolve({
        facts: () => Promise.resolve({ ...facts, ...changes }),
        tip: () => Promise.resolve(tip),
        close: () => Promise.resolve(),
      }),
  });
  t.match(await look(machine(), CHAIN_IDS), {
    'block-chain': { status: 'ok', text: 'block 200 000, of 2023-11-14T22:13:20.000Z' },
    'filter-index': { status: 'note', text: 'is being built: block 12 000 of 200 000' },
  });
  t.match((await look(machine({}, 4), CHAIN_IDS))['block-chain'], {
    status: 'note',
    text: /^block 200 000 is 4 hours old/,
  });
  t.match(
    (await look(machine({ snapshot: true, firstBlock: 190_001 }), CHAIN_IDS))['bitcoin-node'],
    {
      status: 'note',
      text: /: it began with a snapshot, and does not have the blocks below 190 001 yet$/,
    },
  );
});

t.test('the wallet folder and the disk', async (t) => {
  const datadir = await datadirOf(t, 'network = signet\nblockchain_source = no-blockchain');
  const machine = machineOf('wallet', datadir);
  const folder = join(datadir, 'wallets');
  const wallets = async (): Promise<Finding | undefined> =>
    (await look(machine, WALLET_IDS))['wallets'];
  t.match(await wallets(), { status: 'note', fix: 'onionmc wallet create NAME' });
  await mkdir(folder, { mode: 0o755 });
  t.match(await wallets(), {
    status: 'wrong',
    text: /has mode 0755: other users can read it$/,
    fix: /^chmod 700 /,
  });
  await chmod(folder, 0o700);
  t.match(await wallets(), { status: 'note', text: /^no wallet in / });
  const one = join(folder, 'savings');
  await mkdir(one, { mode: 0o700 });
  t.match(await wallets(), {
    status: 'wrong',
    text: /savings\/wallet cannot be read \(ENOENT\)$/,
    fix: /^restore the wallet from a backup/,
  });
  await writeFile(join(one, 'wallet'), 'x', { mode: 0o644 });
  t.match(await wallets(), { status: 'wrong', text: /wallet has mode 0644/, fix: /^chmod 600 / });
  await chmod(join(one, 'wallet'), 0o600);
  t.match(await wallets(), { status: 'ok', text: '1 wallet: savings' });
  const lock = await lockInstance(join(one, 'lock'));
  t.match(await wallets(), {
    status: 'ok',
    text: `1 wallet: savings (in use by process ${process.pid})`,
  });
  await lock.release();
  await rm(folder, { recursive: true });
  await writeFile(folder, '');
  t.match(await wallets(), { status: 'wrong', text: /is not a folder$/, fix: /^mv / });

  const full = { ...machine, space: () => Promise.resolve({ bytes: 100_000_000, files: 1e6 }) };
  t.match((await look(full, WALLET_IDS))['disk'], {
    status: 'note',
    text: '100 MB are free: a wallet signs nothing when it cannot write first',
  });
  t.match((await look(machine, WALLET_IDS))['disk'], { status: 'ok', text: '1 000 MB are free' });
});

t.test('a cookie that the user of the program cannot read', { skip: !isRoot }, async (t) => {
  const datadir = await datadirOf(t, 'network = signet');
  const cookie = join(datadir, '.cookie');
  await writeFile(cookie, '__cookie__:x', { mode: 0o600 });
  const config = join(datadir, 'joinmarket.cfg');
  const text = await readFile(config, 'utf8');
  await writeFile(
    config,
    text.replace('network = signet', `network = signet\nrpc_cookie_file = ${cookie}`),
  );
  const other = 65_534;
  await Promise.all([datadir, config].map((path) => chown(path, other, other)));
  const found = await look({ ...machineOf('taker', datadir), openChain: noNode }, CHAIN_IDS);
  t.match(found['node-cookie'], {
    status: 'wrong',
    text: /cannot be read by the user of this program: .*\.cookie has mode 0600$/,
    fix: /^rpccookieperms=group in the bitcoin\.conf/,
  });
});
