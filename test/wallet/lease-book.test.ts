/** Leases and the memory of coins that were leased; leases of coins that a signed transaction holds. */
import t from 'tap';
import { serializeTransaction } from '../../src/bitcoin/transaction.js';
import { LeaseBook, MAX_LEASE_SECONDS } from '../../src/wallet/lease-book.js';
import type { Lease } from '../../src/wallet/requests.js';
import { faultOf } from '../helpers/maker-wallet-world.js';
import { createWalletWorld } from '../helpers/wallet-world.js';

const coin = (n: number) => ({ txid: n.toString(16).padStart(64, '0'), vout: 0 });
const nameOf = (n: number): string => `${coin(n).txid}:0`;
const lease = (n: number, until: number, coins = [n]): Lease => ({
  id: `lease ${n}`,
  owner: 'maker',
  coins: coins.map(coin),
  until,
});

t.test('a lease covers its coins until it is over or ended', (t) => {
  const book = new LeaseBook();
  book.add(lease(1, 700, [1, 2]), 100);
  t.match(book.ofCoin(nameOf(2), 699), { id: 'lease 1' });
  t.equal(book.ofCoin(nameOf(2), 700), undefined);
  t.equal(book.ofCoin(nameOf(3), 100), undefined);
  book.end('lease 1');
  t.equal(book.ofCoin(nameOf(1), 100), undefined);
  t.strictSame(book.lastOf(nameOf(1)), { owner: 'maker', time: 100 }, 'it is remembered');
  book.end('lease 1');
  t.strictSame(book.all(), []);
  t.end();
});

t.test('the next lease of a coin is not ended with the one before', (t) => {
  const book = new LeaseBook();
  book.add(lease(1, 200, [1]), 100);
  book.add({ ...lease(2, 900, [1]) }, 150);
  book.end('lease 1');
  t.match(book.ofCoin(nameOf(1), 300), { id: 'lease 2' });
  t.end();
});

t.test('a lease of a clock that was ahead holds nothing', (t) => {
  const book = new LeaseBook();
  book.add(lease(1, 10_000_000), 9_999_000);
  t.equal(book.ofCoin(nameOf(1), 1_000), undefined);
  t.end();
});

t.test('what is remembered has a bound', (t) => {
  const book = new LeaseBook();
  for (let n = 0; n < 10_100; n++) book.add(lease(n, 1_000), 900);
  t.equal(book.lastOf(nameOf(0)), undefined);
  t.ok(book.lastOf(nameOf(10_099)));
  t.equal(book.all().length, 10_100);
  book.add(lease(20_000, 900_600), 900 + MAX_LEASE_SECONDS + 1);
  t.equal(book.lastOf(nameOf(10_099)), undefined, 'nor older than a day');
  t.equal(book.all().length, 1, 'leases that are over are gone');
  t.end();
});

t.test('a lease of coins that a signed transaction holds', async (t) => {
  const world = await createWalletWorld();
  const { wallet, chain } = world;
  const paid = [];
  for (const value of [100_000, 200_000, 300_000]) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    const { script } = await wallet.handOut({ mixdepth: 0, purpose: 'deposit' });
    paid.push(chain.pay(script, value));
  }
  chain.mine();
  await world.sync();
  const [a, b, c] = paid;
  if (a === undefined || b === undefined || c === undefined) throw new Error('three coins');
  const sign = async (it: { txid: string; vout: number }): Promise<string> => {
    const inputs = [{ txid: it.txid, vout: it.vout, sequence: 1 }];
    const outputs = [{ script: `0014${'77'.repeat(20)}`, value: 50_000 }];
    const transaction = serializeTransaction({ version: 2, lockTime: 0, inputs, outputs });
    const request = { transaction, kind: 'send', coins: [it], mostSpent: 300_000 } as const;
    return (await wallet.sign(request)).unsignedTxid;
  };
  const first = await sign(a);
  const second = await sign(b);
  const leaseOf = (coins: readonly (typeof a)[], replaces?: string) =>
    faultOf(wallet.lease({ owner: 'maker', coins, seconds: 60, replaces }));
  t.equal(await leaseOf([a]), 'held', 'without a word about it');
  t.equal(await leaseOf([c], first), 'request', 'no coin of it');
  t.equal(await leaseOf([a, b], first), 'held', 'a coin of another one');
  t.equal(await leaseOf([a], 'ff'.repeat(32)), 'held', 'not known');
  t.equal(await leaseOf([a, c], first), undefined);
  t.equal(await leaseOf([a], first), 'held', 'leased now');
  await chain.broadcast(wallet.signedTransactions().at(-1)?.bytes ?? new Uint8Array());
  chain.mine();
  await world.sync();
  t.equal(await leaseOf([b], second), 'held', 'settled');
});
