/** `onionmc lethean` as programs: a provider of the tests, no wallet where none is needed, and two processes at once. */
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { createConnection } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { recordOf } from '../../src/kit/json-record.js';
import { runCli, startCli, type Ended } from '../helpers/cli.js';
import { ordersText } from '../../src/lethean/payment/order-record.js';
import { onTerminal, type Screen } from '../helpers/pty.js';
import { startEcho } from '../helpers/lethean-exit.js';
import { LINK, TestCoin, TestProvider } from '../lethean/provider.js';
import { WALLET } from '../lethean/samples.js';

t.setTimeout(240_000);

const now = (): number => Math.floor(Date.now() / 1_000);

interface Scene {
  readonly provider: TestProvider;
  readonly coin: TestCoin;
  readonly folder: string;
  readonly env: Readonly<Record<string, string>>;
  readonly run: (...args: readonly string[]) => Promise<Ended>;
  readonly start: (...args: readonly string[]) => ReturnType<typeof startCli>;
}

async function scene(t: Test): Promise<Scene> {
  const folder = await mkdtemp(join(tmpdir(), 'onionmc-lethean-cli-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  const coin = new TestCoin();
  const provider = await TestProvider.start(t, { coin, now });
  const authority = join(folder, 'ca.pem');
  await writeFile(authority, provider.authority.pem);
  const config = join(folder, 'client.ini');
  await writeFile(
    config,
    `[client]\nvar-dir = ${join(folder, 'var')}\nsdp-url = ${provider.searchUrl}\n[wallet]\nwallet-rpc-url = http://127.0.0.1:1/json_rpc\n[connection]\nproxy-port = 0\nhttp-port = 0\nauto-reconnect = 1\n`,
  );
  // The built program trusts the certificate of the search server as one of the system.
  const env = { NODE_EXTRA_CA_CERTS: authority, WLC_CONFIG: config };
  return {
    provider,
    coin,
    folder,
    env,
    run: (...args) => runCli(['lethean', ...args], { env, detached: true }),
    start: (...args) => startCli(['lethean', ...args], { env, detached: true }),
  };
}

const parsed = ({ stdout }: Pick<Ended, 'stdout'>) => recordOf(JSON.parse(stdout));

t.test('providers are searched, kept and filtered', async (t) => {
  const { run, provider } = await scene(t);
  const found = parsed(await run('providers', '--json'));
  t.match(found, {
    offers: [{ link: /^lthn:\/\//, type: 'proxy', pricePerDay: '0.35', usable: true }],
    refused: [],
  });
  t.match(parsed(await run('providers', '--kept', '--json', '--max-cost', '0.3')), { offers: [] });
  const table = await run('providers', '--kept');
  t.match(table, { code: 0, stdout: /^PROVIDER +NAME[^]*0\.35[^]*lthn:\/\// });
  provider.faults.set('search', 'error');
  t.match(await run('providers'), { code: 1, stderr: /onionmc: the SDP server localhost/ });
  t.match(await run('providers', '--max-cost', 'much'), { code: 2, stderr: /such as 0\.5/ });
});

t.test('nothing is paid without a yes, a wallet or within a limit', async (t) => {
  const { run, folder, provider } = await scene(t);
  t.match(await run('connect'), { code: 2, stderr: /name what to connect to/ });
  t.match(await run('connect', LINK), { code: 2, stderr: /no terminal to ask before a payment/ });
  t.equal(provider.sessions.length, 0);
  t.match(await run('connect', LINK, '--yes'), {
    code: 3,
    stderr: /nothing was paid: the wallet RPC at http:\/\/127\.0\.0\.1:1 cannot be used/,
  });
  t.match(await run('connect', LINK, '--yes', '--max-day-price', '0.1'), {
    code: 1,
    stderr: /nothing was paid: 0\.35 LTHN is above max-day-price = 0\.1 LTHN/,
  });
  t.notOk((await readdir(join(folder, 'var'))).includes('payments.json'));
  t.match(await run('wallet'), { code: 3, stderr: /start it, or correct wallet-rpc-url/ });
  t.match(parsed(await run('wallet', 'payments', '--json')), { payments: [] });
  t.match(await run('wallet', 'forget', 's-1', '--yes'), { code: 2, stderr: /no payment/ });
  t.match(await run('sessions', '--wallet-nam', 'x'), { code: 2, stderr: /unknown option/ });
});

t.test(
  'wallet forget: a part of a payment with several transactions may have been sent',
  async (t) => {
    const { run, folder, provider } = await scene(t);
    t.match(parsed(await run('providers', '--json')), { refused: [] });
    t.equal(provider.steps.length, 1);
    const txids = ['ab'.repeat(32), 'cd'.repeat(32)];
    const forget = async (count: number): Promise<{ readonly stderr: string }> => {
      const transactions = txids.slice(0, count).map((txid) => ({ txid, fee: 1n, metadata: 'aa' }));
      const order = {
        sessionId: 's-1',
        paymentId: '1'.repeat(16),
        days: 1,
        destinations: [{ address: WALLET, amount: 1n }],
      };
      const state = { kind: 'made' as const, transactions };
      const record = { order, wallet: WALLET, orderedAt: 1, payee: WALLET, state };
      await writeFile(join(folder, 'var', 'payments.json'), ordersText([record]));
      const answer = await run('wallet', 'forget', 's-1', '--yes');
      t.match(answer, { code: 0, stdout: /forgotten/ });
      return answer;
    };
    t.notMatch((await forget(1)).stderr, /may have been sent/, 'one transaction has no parts');
    const { stderr } = await forget(2);
    t.match(stderr, /has 2 transactions, and a part of them may have been sent/);
    t.match(stderr, /Look for them in "onionmc lethean wallet".* in an explorer of the network/);
    for (const txid of txids) t.match(stderr, txid);
  },
);

t.test('the question of connect at a terminal', async (t) => {
  const { env, provider, folder } = await scene(t);
  const ask = (): Screen => onTerminal(['lethean', 'connect', LINK, '--days', '2'], { env });
  const question =
    /0\.7 LTHN for 2 days of 5e[0-9a-f]{62}\.http-proxy \(Example provider\), and the fee of the network:\s+0\.7 LTHN to iz\w{95,}\s+Pay\? \[y\/N\] /;
  const no = ask();
  await no.answer(question, 'no');
  t.equal(await no.ended, 1, no.text);
  t.match(no.text, /the payment was not agreed to: nothing was paid/);
  const interrupted = ask();
  await interrupted.shows(question);
  interrupted.type('\u0003');
  t.equal(await interrupted.ended, 0, interrupted.text);
  t.notOk(
    (await readdir(join(folder, 'var', 'sessions'))).some((name) => name.endsWith('session')),
  );
  const yes = ask();
  await yes.answer(question, 'yes');
  t.equal(await yes.ended, 3, yes.text);
  t.match(yes.text, /nothing was paid: the wallet RPC at http:\/\/127\.0\.0\.1:1 cannot be used/);
  t.equal(provider.sessions.length, 3, 'the provider was asked each time');
});

t.test('options: where each value comes from', async (t) => {
  const { run } = await scene(t);
  const { options } = parsed(await run('options', '--json', '--wallet-password', 'hidden'));
  const rows = Array.isArray(options) ? options.map((row: unknown) => recordOf(row)) : [];
  const row = (name: string) => rows.find((each) => each['name'] === name);
  t.match(row('http-port'), { value: '0', level: 'file' });
  t.match(row('wallet-password'), { value: 'set', level: 'command line' });
  t.match(row('max-payment'), { value: '300', level: 'default' });
  t.notMatch((await run('options', '--wallet-password', 'hidden')).stdout, /hidden/);
});

/** Sends a line through the local proxy to an echo server. */
async function throughProxy(proxy: string, port: number): Promise<string> {
  const [host = '', own = ''] = proxy.split(':');
  const socket = createConnection({ host, port: Number(own) });
  socket.write(`CONNECT 127.0.0.1:${port} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`);
  const [head] = await once(socket, 'data');
  socket.write('hello');
  const [body] = await once(socket, 'data');
  socket.destroy();
  return `${String(head).slice(9, 12)} ${String(body)}`;
}

t.test('a free session: connect, use, look, disconnect from another process', async (t) => {
  const { run, start, provider, coin } = await scene(t);
  const echo = await startEcho(t);
  provider.sessionChange = { price: 0 };
  coin.send({
    sessionId: 's',
    paymentId: '0000000000000001',
    days: 1,
    destinations: [{ address: WALLET, amount: 10n ** 10n }],
  });
  coin.mine();
  const client = start('connect', LINK, '--yes', '--json');
  const [line] = await client.shows('stdout', /^\{.*\}\n/);
  const { connected, proxy, page } = recordOf(JSON.parse(line));
  t.equal(await throughProxy(String(proxy), echo), '200 hello');
  const status: unknown = await (await fetch(new URL('/status', String(page)))).json();
  t.match(status, { sessions: [{ key: connected, state: 'ACTIVE' }], proxy });
  t.match(parsed(await run('sessions', '--json')), { sessions: [{ state: 'ACTIVE' }] });
  t.match(await run('sessions'), { code: 0, stdout: /^SESSION +STATE[^]*ACTIVE/ });
  t.match(await run('connect', LINK, '--yes'), { code: 1, stderr: /locked by process/ });
  t.match(await run('disconnect', 'nothing'), { code: 2, stderr: /there is no session/ });
  t.match(await run('disconnect', String(connected)), { code: 0, stdout: /^disconnected/ });
  t.match(await client.ended, { code: 0, stderr: /the session is over: DISCONNECTED/ });
  t.match(parsed(await run('sessions', '--json')), { sessions: [{ state: 'DISCONNECTED' }] });

  const again = start('page', '--json', '--auto-connect', LINK);
  const [text] = await again.shows('stdout', /^\{.*\}\n/);
  const { page: address } = recordOf(JSON.parse(text));
  t.match(address, /^http:\/\/127\.0\.0\.1:\d+\/#[\w-]{32}$/);
  again.child.kill('SIGTERM');
  t.match(await again.ended, { code: 0 });
});
