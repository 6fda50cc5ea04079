/**
 * Payments for sessions over a real wallet RPC and node: each is made once, whichever process dies where, and none
 * passes a limit.
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { silentLog } from '../../src/channel/log.js';
import { OrderBook } from '../../src/lethean/payment/order-book.js';
import type { OrderRecord } from '../../src/lethean/payment/order-record.js';
import { WalletPayer, type WalletPayerOptions } from '../../src/lethean/payment/payer.js';
import type { PaymentFault } from '../../src/lethean/payment/wallet-error.js';
import { WalletRpc } from '../../src/lethean/payment/wallet-rpc.js';
import { Wallet } from '../../src/lethean/payment/wallet.js';
import type { PaymentOrder } from '../../src/lethean/ports.js';
import { systemClock } from '../../src/overlay/system-clock.js';
import {
  BLOCKS_TO_SPEND,
  startMonero,
  WALLET_LOGIN,
  type MoneroNode,
  type WalletProgram,
} from '../helpers/monero.js';

t.setTimeout(400_000);

const signal = AbortSignal.timeout(380_000);
/** 1 XMR is 10^12 units. */
const COIN = 10n ** 12n;

let node: MoneroNode;
let program: WalletProgram;
let address = '';
t.before(async () => {
  node = await startMonero(t);
  program = await node.walletRpc();
  const wallet = shared();
  address = await wallet.create(signal);
  const empty = { total: 0n, unlocked: 0n, blocksToUnlock: 0 };
  t.same(await wallet.balance(signal), empty);
  const poor = { destinations: [{ address, amount: 1n }], paymentId: undefined };
  await t.rejects(wallet.prepare(poor, signal), { message: /\(-17\); receive coins first/ });
  await node.mine(BLOCKS_TO_SPEND, address);
  t.ok((await wallet.refresh(signal)) > 0);
});

function rpcOf(t: Test): WalletRpc {
  const rpc = new WalletRpc({ url: program.url, credentials: WALLET_LOGIN, clock: systemClock });
  t.teardown(() => rpc.close());
  return rpc;
}

/** The process is killed: nothing after this line runs. */
class Killed extends Error {
  override readonly message = 'killed';
}

type Step =
  | 'before-ordered'
  | 'after-ordered'
  | 'after-prepare'
  | 'after-made'
  | 'after-relay'
  | 'after-sent';

/** A wallet of which one call is the last that its program sees. */
class DyingWallet extends Wallet {
  constructor(
    options: ConstructorParameters<typeof Wallet>[0],
    private readonly dies: Step,
  ) {
    super(options);
  }

  override async prepare(...args: Parameters<Wallet['prepare']>) {
    if (this.dies === 'after-ordered') throw new Killed();
    const made = await super.prepare(...args);
    if (this.dies === 'after-prepare') throw new Killed();
    return made;
  }

  override async relay(...args: Parameters<Wallet['relay']>) {
    if (this.dies === 'after-made') throw new Killed();
    const txid = await super.relay(...args);
    if (this.dies === 'after-relay') throw new Killed();
    return txid;
  }
}

/** A file of orders that keeps what a killed process left: its clean-up does not run. */
class DyingBook extends OrderBook {
  constructor(
    path: string,
    private readonly dies: Step,
  ) {
    super(path);
  }

  override async put(record: OrderRecord): Promise<void> {
    if (this.dies === 'before-ordered') throw new Killed();
    await super.put(record);
    if (this.dies === 'after-sent' && record.state.kind === 'sent') throw new Killed();
  }

  override remove(): Promise<boolean> {
    return Promise.reject(new Killed());
  }
}

interface Scene {
  readonly path: string;
  readonly asked: bigint[];
  readonly payer: (more?: Partial<WalletPayerOptions>) => WalletPayer;
}

async function scene(t: Test): Promise<Scene> {
  const folder = await mkdtemp(join(tmpdir(), 'onionmc-payer-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  const path = join(folder, 'payments.json');
  const asked: bigint[] = [];
  return {
    path,
    asked,
    payer: (more = {}) =>
      new WalletPayer({
        wallet: shared(),
        book: new OrderBook(path),
        limits: { payment: 2n * COIN, perDay: 100n * COIN, dayPrice: COIN, fee: COIN },
        approve: ({ amount }) => {
          asked.push(amount);
          return Promise.resolve(true);
        },
        clock: systemClock,
        log: silentLog,
        now: () => 1_800_000_000,
        pollMs: 100,
        ...more,
      }),
  };
}

let opened: Wallet | undefined;
/** One opened wallet for most scenes: to open one takes seconds. */
const shared = (): Wallet =>
  (opened ??= new Wallet({ rpc: rpcOf(t), name: 'payer', password: '', address: undefined }));

let count = 0;
function orderOf(amount: bigint = COIN, days = 1): PaymentOrder {
  count += 1;
  const paymentId = count.toString(16).padStart(16, 'a');
  return { sessionId: `session-${count}`, paymentId, days, destinations: [{ address, amount }] };
}

const PAYMENT_ID = '0123456789abcdef';

t.test('coins: balance, history, a transaction, a proof', async (t) => {
  const payer = shared();
  t.equal(await payer.height(signal), BLOCKS_TO_SPEND + 1);
  const { total, unlocked } = await payer.balance(signal);
  t.ok(total > unlocked && unlocked > 10n ** 12n, `${total} above ${unlocked}`);
  t.ok(await payer.canRelay(signal));

  const payee = await payer.integratedAddress(address, PAYMENT_ID, signal);
  t.ok(payee);
  const outgoing = {
    destinations: [{ address: payee ?? '', amount: 70_000_001n }],
    paymentId: undefined,
  };
  const huge = { ...outgoing, destinations: [{ address: payee ?? '', amount: 2n ** 64n - 1n }] };
  await t.rejects(payer.prepare(huge, signal), { message: /transfer_split/ });
  await t.rejects(payer.prepare({ ...outgoing, paymentId: PAYMENT_ID }, signal), {
    message: /\(-5\)/,
  });
  const [made] = await payer.prepare(outgoing, signal);
  t.match(made, { amount: 70_000_001n, metadata: /^[0-9a-f]+$/ });
  t.ok((made?.fee ?? 0n) > 0n);
  t.same(await node.pool(), [], 'nothing was sent');
  const { txid = '', metadata = '' } = made ?? {};
  t.equal(await payer.transfer(txid, signal), undefined);
  t.equal(await payer.relay(metadata, signal), txid);
  t.equal(await payer.relay(metadata, signal), txid, 'a second time changes nothing');
  t.same(await node.pool(), [txid]);
  t.match(await payer.transfer(txid, signal), {
    type: 'pending',
    paymentId: PAYMENT_ID,
    destinations: [{ address: payee, amount: 70_000_001n }],
    height: 0,
  });
  const proof = { txid, address: payee ?? '', message: 'session-1' };
  const signature = await payer.proof(proof, signal);
  t.match(await payer.checkProof({ ...proof, signature }, signal), { good: true, inPool: true });
  t.match(await payer.checkProof({ ...proof, message: 'session-2', signature }, signal), {
    good: false,
  });
  await node.mine(1, address);
  await payer.refresh(signal);
  t.match(await payer.transfer(txid, signal), { type: 'out', confirmations: 1 });
  const recent = await payer.transfers(signal, BLOCKS_TO_SPEND);
  t.ok(recent.some((each) => each.txid === txid));
});

const NOTHING: ReadonlySet<PaymentFault> = new Set([
  'invalid-order',
  'limit',
  'fee',
  'late',
  'no-funds',
  'declined',
]);
const rejection = (fault: PaymentFault, message: RegExp) => ({
  name: 'PaymentError',
  fault,
  message,
  nothingPaid: NOTHING.has(fault),
});

t.test('a session is paid, proved and confirmed', async (t) => {
  const { payer, asked, path } = await scene(t);
  const order = orderOf();
  const receipt = await payer().pay(order, signal);
  t.match(receipt, { order, txids: [/^[0-9a-f]{64}$/] });
  t.ok(receipt.spent > COIN, 'the fee is in it');
  t.same(asked, [COIN]);
  const { txid, signature } = receipt.proofs[0] ?? { txid: '', signature: '' };
  const payee = (await shared().integratedAddress(address, order.paymentId, signal)) ?? '';
  const proof = { txid, address: payee, message: order.sessionId, signature };
  t.match(await shared().checkProof(proof, signal), { good: true });
  t.same(await node.pool(), receipt.txids);
  t.notMatch(await readFile(path, 'utf8'), /password|seed|key_image/);

  await payer().confirmed(receipt, 0, signal);
  const controller = new AbortController();
  const waiting = payer().confirmed(receipt, 1, controller.signal);
  controller.abort(new Error('no more time'));
  await t.rejects(waiting, { message: 'no more time' });
  const blocks = payer().confirmed(receipt, 2, signal);
  await node.mine(2, address);
  await blocks;

  t.same(await payer().pay(order, signal), receipt, 'a second call finds the first payment');
  t.same(await node.pool(), []);
  t.same(asked, [COIN], 'and asks nobody');
  const dearer = { ...order, destinations: [{ address, amount: COIN + 1n }] };
  await t.rejects(
    payer().pay(dearer, signal),
    rejection('other-terms', /ordered before at another price/),
  );
  await t.rejects(
    payer().pay({ ...order, paymentId: 'f'.repeat(16) }, signal),
    rejection('other-terms', /payment id/),
  );
});

t.test('what stops a payment before the wallet hears of it', async (t) => {
  const { payer, path } = await scene(t);
  const nothing = async (
    order: PaymentOrder,
    more: Partial<WalletPayerOptions>,
    expected: ReturnType<typeof rejection>,
  ) => {
    await t.rejects(payer(more).pay(order, signal), expected);
    t.same(await node.pool(), []);
    t.equal(
      await new OrderBook(path).find(order.sessionId),
      undefined,
      'and it counts for no limit',
    );
  };
  await nothing(
    orderOf(3n * COIN, 9),
    {},
    rejection('limit', /30000 LTHN is above max-payment = 20000 LTHN/),
  );
  await nothing(orderOf(2n * COIN, 1), {}, rejection('limit', /above max-day-price/));
  const day = { payment: COIN, dayPrice: COIN, perDay: COIN - 1n, fee: COIN };
  await nothing(orderOf(), { limits: day }, rejection('limit', /above max-per-day/));
  await nothing(
    orderOf(),
    { approve: () => Promise.resolve(false) },
    rejection('declined', /as you chose/),
  );
  const noFee = { payment: COIN, dayPrice: COIN, perDay: COIN, fee: 1n };
  await nothing(orderOf(), { limits: noFee }, rejection('fee', /above max-fee/));
  const rich = { payment: 10n ** 19n, dayPrice: 10n ** 19n, perDay: 10n ** 19n, fee: COIN };
  await nothing(
    orderOf(10n ** 19n),
    { limits: rich },
    rejection('no-funds', /nothing was paid: the wallet refused/),
  );
  await nothing(
    { ...orderOf(), paymentId: 'b'.repeat(64) },
    {},
    rejection('invalid-order', /cannot send this payment id/),
  );
  await nothing(
    { ...orderOf(), destinations: [] },
    {},
    rejection('invalid-order', /no destination/),
  );
});

t.test('killed at each step: the next process pays, and only once', async (t) => {
  for (const dies of [
    'before-ordered',
    'after-ordered',
    'after-prepare',
    'after-made',
    'after-relay',
    'after-sent',
  ] as const) {
    // oxlint-disable-next-line no-await-in-loop -- one chain
    await t.test(dies, async (t) => {
      const { payer, path, asked } = await scene(t);
      const order = orderOf(COIN / 1_000n);
      const dying = new DyingWallet({ rpc: rpcOf(t), name: 'payer', password: '', address }, dies);
      const before = await node.pool();
      const first = payer({ wallet: dying, book: new DyingBook(path, dies) });
      await t.rejects(first.pay(order, signal), { message: 'killed' });
      const sentByFirst = (await node.pool()).length - before.length;
      t.equal(sentByFirst, dies === 'after-relay' || dies === 'after-sent' ? 1 : 0);
      const receipt = await payer().pay(order, signal);
      const sent = (await node.pool()).filter((txid) => !before.includes(txid));
      t.same(sent, receipt.txids, 'one transaction in all');
      t.equal(
        asked.length,
        dies === 'before-ordered' ? 2 : 1,
        'one question, unless nothing was written',
      );
    });
  }
  await node.mine(1, address);
});

t.test('the wallet RPC is killed after it sent, and forgets it', async (t) => {
  const { payer } = await scene(t);
  const order = orderOf();
  const receipt = await payer().pay(order, signal);
  const [txid = ''] = receipt.txids;
  await node.flushPool();
  t.same(await node.pool(), [], 'the node has lost it, too');
  await program.kill();
  const waiting = payer().confirmed(receipt, 1, signal);
  await program.start();
  await payer().confirmed(receipt, 0, signal);
  t.same(await node.pool(), [txid], 'the same transaction was sent again');
  t.same(await payer().pay(order, signal), receipt);
  await node.mine(1, address);
  await waiting;
});

t.test('a transaction that a block has is not sent again', async (t) => {
  for (const who of ['this program', 'the wallet RPC'] as const) {
    // oxlint-disable-next-line no-await-in-loop -- one chain
    await t.test(`${who} was killed`, async (t) => {
      const { payer, path } = await scene(t);
      const order = orderOf(COIN / 1_000n);
      const dying = new DyingWallet(
        { rpc: rpcOf(t), name: 'payer', password: '', address },
        'after-relay',
      );
      const first = payer({ wallet: dying, book: new DyingBook(path, 'after-relay') });
      await t.rejects(first.pay(order, signal), { message: 'killed' });
      const [txid = ''] = await node.pool();
      if (who === 'the wallet RPC') await program.kill();
      await node.mine(1, address);
      if (who === 'the wallet RPC') await program.start();
      const receipt = await payer().pay(order, signal);
      t.same(receipt.txids, [txid]);
      t.same(await payer().pay(order, signal), receipt);
      await payer().confirmed(receipt, 1, signal);
      const rows = (await shared().transfers(signal)).filter((each) => each.txid === txid);
      t.match(rows, [{ type: 'out' }]);
      t.equal(rows.length, 1, 'one row in the history');
    });
  }
});

t.test('an order that waited while nothing ran: its time and the limits count anew', async (t) => {
  const start = 1_800_000_000;
  const { payer, path } = await scene(t);
  const limits = { payment: COIN, perDay: COIN, dayPrice: COIN, fee: COIN };
  const waiting = async (order: PaymentOrder): Promise<void> => {
    const dying = new DyingWallet(
      { rpc: rpcOf(t), name: 'payer', password: '', address },
      'after-ordered',
    );
    const first = payer({ wallet: dying, book: new DyingBook(path, 'after-ordered'), limits });
    await t.rejects(first.pay(order, signal), { message: 'killed' });
  };
  const before = await node.pool();
  const timed = { ...orderOf(COIN / 1_000n), payBy: start + 3_600 };
  await waiting(timed);
  const later = { limits, now: () => start + 3_600 };
  await t.rejects(
    payer(later).pay(timed, signal),
    rejection('late', /nothing was paid: the provider may have forgotten/),
  );
  t.equal(await new OrderBook(path).find(timed.sessionId), undefined);
  await t.rejects(
    payer(later).pay(timed, signal),
    rejection('late', /forgotten/),
    'nor as a first',
  );

  const old = orderOf(COIN / 1_000n);
  await waiting(old);
  const nextDay = { limits, now: () => start + 90_000 };
  await payer(nextDay).pay(orderOf(), signal);
  await t.rejects(
    payer(nextDay).pay(old, signal),
    rejection('limit', /above max-per-day/),
    'the sum of the day in which it would be sent',
  );
  t.equal((await node.pool()).length - before.length, 1);
  await node.mine(1, address);
});

t.test('a file of orders that is cut, and another process that pays', async (t) => {
  const { payer, path } = await scene(t);
  await writeFile(path, '{"version":1,"orders":[{"sess');
  await t.rejects(
    payer().pay(orderOf(), signal),
    rejection('in-doubt', /cannot be read, so payments may be unknown/),
  );
  await rm(path);
  await new OrderBook(path).exclusively(async () => {
    await t.rejects(payer().pay(orderOf(), signal), rejection('busy', /another onionmc pays/));
  });
  t.same(await node.pool(), []);
});

t.test('a wallet that can only send at once', async (t) => {
  /** Without `relay_tx`, as wallets before 2018. */
  class OldWallet extends Wallet {
    isCut = false;
    override canRelay(): Promise<boolean> {
      return Promise.resolve(false);
    }
    override async send(...args: Parameters<Wallet['send']>) {
      const made = await super.send(...args);
      if (this.isCut) throw new Killed();
      return made;
    }
  }
  const { payer, path } = await scene(t);
  const wallet = new OldWallet({ rpc: rpcOf(t), name: 'payer', password: '', address });
  const paid = await payer({ wallet }).pay(orderOf(COIN / 1_000n), signal);
  t.same(await node.pool(), paid.txids);
  wallet.isCut = true;
  const order = orderOf(COIN / 1_000n);
  await t.rejects(payer({ wallet }).pay(order, signal), { message: 'killed' });
  const found = await payer({ wallet }).pay(order, signal);
  t.same(
    new Set(await node.pool()),
    new Set([...paid.txids, ...found.txids]),
    'found in its history',
  );

  const lost = orderOf(COIN / 1_000n);
  await t.rejects(payer({ wallet }).pay(lost, signal), { message: 'killed' });
  await program.kill();
  await program.start();
  await t.rejects(
    payer({ wallet }).pay(lost, signal),
    rejection('in-doubt', /nothing is paid again.*wallet forget session-/),
  );
  t.equal((await node.pool()).length, 3, 'not paid twice');
  t.ok(await new OrderBook(path).remove(lost.sessionId));
  const huge = { payment: 10n ** 19n, dayPrice: 10n ** 19n, perDay: 10n ** 19n, fee: COIN };
  await t.rejects(
    payer({ wallet, limits: huge }).pay(orderOf(10n ** 18n), signal),
    rejection('no-funds', /nothing was paid/),
  );
});
