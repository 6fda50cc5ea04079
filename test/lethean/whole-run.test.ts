/**
 * Section 4.1 with real programs in the places of the coin and of the exit: monerod on regtest, a wallet RPC for each
 * side, haproxy with TLS 1.3 in front of the HTTP gate, sshd behind the SSH gate. The manager and its dispatcher are
 * those of the tests; the dispatcher reads the provider's wallet.
 */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { silentLog } from '../../src/channel/log.js';
import { freePorts } from '../../src/lab/private-network/free-ports.js';
import { LetheanClient } from '../../src/lethean/client.js';
import { OrderBook } from '../../src/lethean/payment/order-book.js';
import { WalletPayer } from '../../src/lethean/payment/payer.js';
import { WalletRpc } from '../../src/lethean/payment/wallet-rpc.js';
import { Wallet } from '../../src/lethean/payment/wallet.js';
import { createTransports } from '../../src/lethean/transport/transports.js';
import { systemClock } from '../../src/overlay/system-clock.js';
import { startHaproxy } from '../helpers/haproxy.js';
import { echoed, startEcho } from '../helpers/lethean-exit.js';
import { BLOCKS_TO_SPEND, startMonero, WALLET_LOGIN, type MoneroNode } from '../helpers/monero.js';
import { certify, makeKey, sshProgram, startSshd } from '../helpers/sshd.js';
import { LINK, TestCoin, TestProvider } from './provider.js';
import { PROVIDER_ID, sshGate } from './samples.js';
import { statesOf, until } from './world.js';

t.setTimeout(300_000);
const signal = AbortSignal.timeout(280_000);
const DAY = 86_400;
const LIMIT = 10n ** 12n;

async function folderFor(t: Test): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'onionmc-whole-run-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

async function walletOn(t: Test, node: MoneroNode, name: string, folder: string): Promise<Wallet> {
  const program = await node.walletRpc({ folder });
  const rpc = new WalletRpc({ url: program.url, credentials: WALLET_LOGIN, clock: systemClock });
  t.teardown(() => rpc.close());
  return new Wallet({ rpc, name, password: 'secret', address: undefined });
}

/** The provider's view of the chain: what its wallet received, by payment id. */
async function lookAt(wallet: Wallet, address: string, coin: TestCoin): Promise<void> {
  await wallet.refresh(signal);
  const received = (await wallet.transfers(signal)).filter(
    ({ type }) => type === 'in' || type === 'pool',
  );
  coin.transfers.length = 0;
  for (const { txid, paymentId = '', amount, confirmations } of received) {
    const destinations = [{ address, amount }];
    const order = { sessionId: '', paymentId, days: 1, destinations };
    coin.transfers.push({ order, txid, blocks: confirmations });
  }
}

t.test(
  'discover, pay, confirm, connect, transfer, renew, expire, reconnect, over SSH too',
  async (t) => {
    const folder = await folderFor(t);
    // The coin.
    const node = await startMonero(t);
    const wallet = await walletOn(t, node, 'client', join(folder, 'client'));
    const till = await walletOn(t, node, 'provider', join(folder, 'provider'));
    const own = await wallet.create(signal);
    const address = await till.create(signal);
    await node.mine(BLOCKS_TO_SPEND, own);
    await wallet.refresh(signal);

    // The provider.
    let ahead = 0;
    const now = (): number => Math.floor(Date.now() / 1_000) + ahead;
    const coin = new TestCoin();
    const look = (): Promise<void> => lookAt(till, address, coin);
    const provider = await TestProvider.start(t, { coin, now, wallet: address, look });
    const { authority } = provider;
    const pem = await authority.server('gate', 'IP:127.0.0.1');
    const [tlsPort = 0, sshPort = 0] = await freePorts(2);
    const config = `global
  nbthread 1
defaults
  mode tcp
  timeout connect 5s
  timeout client 60s
  timeout server 60s
frontend gate
  bind 127.0.0.1:${tlsPort} ssl crt ${pem} ssl-min-ver TLSv1.3
  default_backend exit
backend exit
  server exit 127.0.0.1:${provider.gatePort}
`;
    let haproxy = await startHaproxy(t, tlsPort, config);
    const [hostKey, userKey, userAuthority] = await Promise.all(
      ['host', 'user', 'authority'].map((name) => makeKey(folder, name)),
    );
    if (hostKey === undefined || userKey === undefined || userAuthority === undefined) {
      throw new Error('a key is missing');
    }
    const hostCertificate = await certify(authority.keyFile, hostKey, '-h', '-n', '127.0.0.1');
    const sshd = await startSshd(t, sshPort, hostKey, [
      `HostCertificate ${hostCertificate}`,
      `TrustedUserCAKeys ${userAuthority}.pub`,
      'AuthorizedKeysFile none',
    ]);
    const certificate = await certify(userAuthority, userKey, '-n', sshd.user);
    provider.describe = { gate: { 'http-proxy': { host: '127.0.0.1', port: tlsPort, tls: true } } };
    provider.moreGates = [
      sshGate({
        revision: undefined,
        gates: [],
        ssh: { host: '127.0.0.1', port: sshPort, username: sshd.user },
      }),
    ];

    // The client.
    const echo = await startEcho(t);
    const limits = { payment: LIMIT, perDay: LIMIT, dayPrice: LIMIT, fee: LIMIT };
    const book = new OrderBook(join(folder, 'payments.json'));
    const payer = new WalletPayer({
      wallet,
      book,
      limits,
      clock: systemClock,
      log: silentLog,
      now,
      pollMs: 50,
    });
    const states: string[] = [];
    const client = await LetheanClient.open({
      folders: {
        providers: join(folder, 'providers'),
        myProviders: join(folder, 'my-providers'),
        spaces: join(folder, 'spaces'),
        gates: join(folder, 'gates'),
        sessions: join(folder, 'sessions'),
      },
      payer,
      transports: createTransports({
        proxy: { watchMs: 200 },
        ssh: { program: sshProgram('ssh') },
      }),
      sdpUrl: provider.searchUrl,
      sdpCa: [authority.pem],
      settings: { confirmations: 1, pollManager: 0.1, autoReconnect: 0.1 },
      clock: systemClock,
      now,
      log: silentLog,
      onSession: (_, { state }) => void states.push(state.state),
    });
    t.teardown(() => client.close());
    /** Mines while a payment is waited for. */
    const withBlocks = async <T>(work: Promise<T>): Promise<T> => {
      const paying = states.length;
      await until(
        () => states.length > paying && states.at(-1) === 'CONFIRMING',
        'the order is on disk',
      );
      const progress = { isDone: false };
      void work.then(
        () => (progress.isDone = true),
        () => (progress.isDone = true),
      );
      while (!progress.isDone) {
        // oxlint-disable-next-line no-await-in-loop -- one block after the other
        if ((await node.pool()).length > 0) await node.mine(1, own);
        // oxlint-disable-next-line no-await-in-loop
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      return work;
    };
    const transfer = async (): Promise<string> => {
      const [connection] = client.connections;
      const { tunnel } = connection ?? {};
      if (tunnel === undefined) throw new Error('no tunnel stands');
      return String(
        await echoed(await tunnel.connect('127.0.0.1', echo, signal), Buffer.from('hello')),
      );
    };

    t.equal((await client.search({ type: 'proxy' })).offers.length, 2, 'discovered');
    const connection = await withBlocks(client.connect(LINK, { days: 1, signal }));
    t.same(states, ['UNPAID', 'CONFIRMING', 'CONNECTING', 'ACTIVE']);
    t.equal(
      await transfer(),
      'hello',
      'through haproxy, with TLS 1.3 and an authority of the provider',
    );
    const [paid] = coin.transfers;
    t.equal(
      paid?.order.destinations[0]?.amount,
      35_000_000n,
      'the wallet of the provider has the price',
    );
    const receipt = 'payment' in connection.state ? connection.state.payment?.receipt : undefined;
    t.equal(receipt?.txids[0], paid?.txid);
    t.ok(receipt?.proofs[0]?.signature.startsWith('OutProof'), 'and the client has a proof');

    await haproxy.kill();
    await until(() => connection.tunnel === undefined, 'the gate is lost');
    haproxy = await startHaproxy(t, tlsPort, config);
    await until(() => connection.tunnel !== undefined, 'reconnected');
    t.equal(await transfer(), 'hello');

    // The change of the first payment is locked for ten blocks.
    await node.mine(10, own);
    await withBlocks(client.renew(connection.key, { days: 2, signal }));
    t.same(statesOf(client).toSorted(), ['ACTIVE', 'EXPIRED (renewed)']);
    t.equal(await transfer(), 'hello', 'renewed');
    ahead = 2 * DAY + 60;
    await t.rejects(transfer(), /refuses|credentials|407/, 'the exit counts the time too');
    await connection.ended;
    t.same(statesOf(client).toSorted(), ['EXPIRED (renewed)', 'EXPIRED (time)']);

    await node.mine(10, own);
    const ssh = {
      key: await readFile(userKey, 'utf8'),
      crt: (await readFile(certificate, 'utf8')).trim(),
    };
    provider.sessionChange = { ssh };
    await withBlocks(client.connect(`lthn://${PROVIDER_ID}.ssh/1st`, { days: 1, signal }));
    t.equal(await transfer(), 'hello', 'through sshd');
    await client.disconnect([...client.connections][0]?.key ?? '');
    t.equal(client.connections.size, 0);
    await client.connect(`lthn://${PROVIDER_ID}.ssh/1st`, { signal });
    t.equal(await transfer(), 'hello', 'connected again without a payment');
    t.equal((await book.all()).length, 3, 'three payments for three sessions');
  },
);
