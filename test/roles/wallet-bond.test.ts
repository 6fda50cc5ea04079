/** The bond that a maker announces from its wallet, with the chain in memory. */
import t from 'tap';
import { MemoryChain } from '../../src/chain/memory.js';
import { mostValuableBond } from '../../src/maker/bond-choice.js';
import { certExpired } from '../../src/protocol/fidelity-bond.js';
import { formatOutpoint } from '../../src/protocol/outpoint.js';
import { ownBondFault } from '../../src/protocol/own-bond.js';
import { WalletBonds } from '../../src/roles/wallet-bond.js';
import { paperBond, TIP } from '../helpers/wallet-coins.js';
import { createWalletWorld } from '../helpers/wallet-world.js';

const { signal } = new AbortController();

/** Locked until 2030. */
const LATER = 1_893_456_000;

t.test('the most valuable bond is chosen, not the largest coin', async (t) => {
  const input = { certificates: [], tip: TIP, timeOf: () => 1_790_000_000, policy: {} };
  const short = paperBond(100_000_000, { lockTime: TIP.medianTime + 2_000_000 });
  const long = paperBond(50_000_000, { lockTime: LATER });
  t.match(mostValuableBond({ ...input, coins: [short, long] }), { coin: long, lockTime: LATER });
  t.equal(mostValuableBond({ ...input, coins: [] }), undefined);

  for (const [name, coin] of [
    ['its lock is over', paperBond(1e8, { lockTime: TIP.medianTime - 1 })],
    [
      'it is not in a block',
      paperBond(1e8, { lockTime: LATER, height: undefined, confirmations: 0 }),
    ],
    ['it is being redeemed', paperBond(1e8, { lockTime: LATER, hold: 'signed' })],
    [
      'its key is outside, without a certificate',
      paperBond(1e8, { lockTime: LATER, outsideKey: '02' }),
    ],
  ] as const) {
    t.equal(mostValuableBond({ ...input, coins: [coin] }), undefined, name);
  }

  const outside = paperBond(2e8, { lockTime: LATER, outsideKey: `02${'11'.repeat(32)}` });
  const certificate = {
    txid: outside.txid,
    vout: outside.vout,
    certPrivateKey: '22'.repeat(32),
    certExpiry: 1_000,
    certSignature: '30',
  };
  const certified = { ...input, coins: [outside, long], certificates: [certificate] };
  t.match(mostValuableBond(certified), { coin: outside, certificate });
  const expired = [{ ...certificate, certExpiry: 400 }];
  t.match(mostValuableBond({ ...certified, certificates: expired }), { coin: long });
});

t.test('each appearance gets a certificate for a key of its own', async (t) => {
  const world = await createWalletWorld({}, new MemoryChain());
  const { wallet, chain } = world;
  const bonds = new WalletBonds(wallet, chain, {});
  t.equal(await bonds.fresh(signal), undefined, 'no bond');
  const pay = async (index: number, value: number): Promise<string> => {
    const { script } = await wallet.handOutBond(index);
    const paid = chain.pay(script, value);
    chain.mine();
    await world.sync();
    return formatOutpoint(paid);
  };
  const first = await pay(120, 10_000_000);
  const one = await bonds.fresh(signal);
  const two = await bonds.fresh(signal);
  t.match(one, { outpoint: first, lockTime: LATER });
  for (const each of [one, two]) {
    t.equal(each && ownBondFault(each.bond, wallet.height), undefined, 'it is valid');
  }
  t.notSame(one?.bond.certPrivateKey, two?.bond.certPrivateKey);

  const same = await bonds.renewed(two, signal);
  t.equal(same?.bond, two?.bond, 'a valid one is kept');

  if (two === undefined) throw new Error('no bond');
  const expired = { ...two, bond: { ...two.bond, certExpiry: 0 } };
  t.ok(certExpired(expired.bond.certExpiry, wallet.height));
  const renewed = await bonds.renewed(expired, signal);
  t.not(renewed?.bond.certPrivateKey, two.bond.certPrivateKey);
  t.equal(renewed?.outpoint, first);
  t.equal(renewed && ownBondFault(renewed.bond, wallet.height), undefined);

  const larger = await pay(130, 90_000_000);
  t.equal((await bonds.renewed(renewed, signal))?.outpoint, larger, 'a bond that is worth more');
});
