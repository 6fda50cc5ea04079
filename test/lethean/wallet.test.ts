/** The wallet over a real monero-wallet-rpc, with a real node on regtest. */
import t, { type Test } from 'tap';
import { WalletRpc } from '../../src/lethean/payment/wallet-rpc.js';
import { Wallet, type WalletOptions } from '../../src/lethean/payment/wallet.js';
import type { WalletError } from '../../src/lethean/payment/wallet-error.js';
import { systemClock } from '../../src/overlay/system-clock.js';
import { startMonero, WALLET_LOGIN, type WalletProgram } from '../helpers/monero.js';

t.setTimeout(300_000);

const signal = AbortSignal.timeout(280_000);

let program: WalletProgram;
let loginAddress = '';
t.before(async () => {
  program = await (await startMonero(t)).walletRpc();
});

function rpcTo(t: Test, url: URL, credentials: { user: string; password: string } | undefined) {
  const rpc = new WalletRpc({ url, credentials, clock: systemClock });
  t.teardown(() => rpc.close());
  return rpc;
}

function walletOf(t: Test, name: string, more: Partial<WalletOptions> = {}): Wallet {
  const rpc = more.rpc ?? rpcTo(t, program.url, WALLET_LOGIN);
  return new Wallet({ rpc, name, password: 'secret', address: undefined, ...more });
}

const fault = (name: WalletError['fault'], text: RegExp) => ({
  name: 'WalletError',
  fault: name,
  message: text,
});

t.test('a login that is right, wrong or missing', async (t) => {
  const wallet = walletOf(t, 'login');
  loginAddress = await wallet.create(signal);
  t.equal(await wallet.height(signal), 1);
  const wrong = rpcTo(t, program.url, { user: 'client', password: 'x' });
  await t.rejects(
    walletOf(t, 'login', { rpc: wrong }).open(signal),
    fault('unauthorised', /refuses this user and password\): set wallet-rpc-user/),
  );
  const without = rpcTo(t, program.url, undefined);
  await t.rejects(
    walletOf(t, 'login', { rpc: without }).open(signal),
    fault('unauthorised', /asks for a login/),
  );
  t.equal(await wallet.height(signal), 1, 'the failed ones did not disturb it');
});

t.test('twenty calls at once use one nonce and one connection', async (t) => {
  const wallet = walletOf(t, 'login', { address: loginAddress });
  const heights = await Promise.all(Array.from({ length: 20 }, () => wallet.height(signal)));
  t.same(new Set(heights), new Set([1]));
});

t.test('after a failed open the wallet before does not answer for the one meant', async (t) => {
  const rpc = rpcTo(t, program.url, WALLET_LOGIN);
  const absent = walletOf(t, 'absent', { rpc });
  const refused = fault(
    'no-wallet',
    /wallet absent cannot be opened: wallet-name or wallet-password/,
  );
  await t.rejects(absent.open(signal), refused);
  await t.rejects(absent.balance(signal), refused, 'the next call fails as well');
  const badPassword = walletOf(t, 'login', { rpc, password: 'wrong' });
  await t.rejects(badPassword.balance(signal), fault('no-wallet', /wallet login cannot be opened/));
  const login = walletOf(t, 'login', { rpc, address: loginAddress });
  t.equal(await login.address(signal), loginAddress, 'the one before is open still');

  const other = walletOf(t, 'other', { rpc });
  const address = await other.create(signal);
  await t.rejects(login.balance(signal), fault('wrong-wallet', /another wallet than login/));
  await t.rejects(other.create(signal), fault('refused', /the wallet other exists/));
  const mistaken = walletOf(t, 'login', { rpc, address });
  t.equal(await mistaken.address(signal), address, 'the address counts, whatever the name');
  await t.rejects(mistaken.open(signal), fault('wrong-wallet', /another wallet than login/));
});

t.test('a restarted wallet RPC, and one that is away', async (t) => {
  const wallet = walletOf(t, 'login', { address: loginAddress });
  await wallet.address(signal);
  await program.kill();
  await t.rejects(
    wallet.balance(signal),
    fault('unreachable', /cannot be used \(ECONNREFUSED\): start it, or correct wallet-rpc-url/),
  );
  await program.start();
  t.equal(await wallet.address(signal), loginAddress, 'it is opened again by itself');
});
