/** Bonds from the first address to the redemption: the same scenes in memory and on a real node. */
import { secp256k1 } from '@noble/curves/secp256k1.js';
import { bytesToHex, hexToBytes } from '@noble/hashes/utils.js';
import { base64 } from '@scure/base';
import type { Test } from 'tap';
import { BondMonth, bondScriptPubKey } from '../../src/bitcoin/bond.js';
import type { CertifiedBond } from '../../src/bonds/bond-certificates.js';
import {
  formatFidelityBond,
  parseFidelityBond,
  proveFidelityBond,
  verifyFidelityBond,
} from '../../src/protocol/fidelity-bond.js';
import { ownBondFault, parseBondFile } from '../../src/protocol/own-bond.js';
import { signedMessageHash } from '../../src/protocol/signature.js';
import type { WalletCoin } from '../../src/wallet/api.js';
import { signBondPsbt } from '../helpers/bond-signer.js';
import { faultOf, PAYEE, PaymentWorld, type ChainControl } from '../wallet/payment/world.js';

/** The month after the next one: a bond that is locked for at least a month. */
function laterMonth({ unixTime }: ChainControl, months = 2): BondMonth {
  const now = new Date(unixTime() * 1_000);
  const index = (now.getUTCFullYear() - 2020) * 12 + now.getUTCMonth() + months;
  const month = BondMonth.ofIndex(index);
  if (month === undefined) throw new Error('no such month');
  return month;
}

/** The only bond coin of a wallet. */
function bondOf({ wallet }: PaymentWorld): WalletCoin {
  const [coin, ...more] = wallet.coins().filter(({ lockTime }) => lockTime !== undefined);
  if (coin === undefined || more.length > 0) throw new Error('one bond');
  return coin;
}

/** Checks a certified bond as a taker does: file, proof, and the coin of the chain. */
async function acceptedByTakers(
  t: Test,
  world: PaymentWorld,
  certified: CertifiedBond,
): Promise<void> {
  const file = parseBondFile(certified.file);
  if (!file.ok) throw new Error(file.reason);
  const { height } = await world.chain.tip();
  t.equal(ownBondFault(file.value.bond, height), undefined, 'a maker takes the file');
  const text = formatFidelityBond(proveFidelityBond(file.value.bond, 'J5maker', 'J5taker'));
  const proof = parseFidelityBond(text);
  if (!proof.ok) throw new Error(proof.reason);
  t.ok(verifyFidelityBond(proof.value, 'J5maker', 'J5taker').ok, 'the proof is valid');
  const { lockTime, utxo, utxoPublicKeyHex } = proof.value;
  const [coin] = await world.chain.coins([utxo]);
  t.equal(coin?.script, bondScriptPubKey(lockTime, utxoPublicKeyHex), 'the chain has its coin');
}

async function stateOf(world: PaymentWorld): Promise<string> {
  const rows = await world.bonds.list();
  return rows.map(({ state }) => state).join();
}

async function ownScene(t: Test, world: PaymentWorld): Promise<void> {
  const { control, bonds } = world;
  t.equal(
    await faultOf(bonds.address(laterMonth(control, 0))),
    'request',
    'a month that has passed',
  );
  t.equal(await stateOf(world), '', 'nothing was handed out');
  const month = laterMonth(control);
  const { place, rehearsal } = await bonds.address(month);
  t.match(rehearsal, /a test spend .* was signed and is valid by the rules of the script/);
  t.equal(place.script, bondScriptPubKey(month.lockTime, place.publicKey));
  t.equal(await stateOf(world), 'unfunded');

  await control.pay(place.script, 1_000_000);
  await world.mine();
  const coin = bondOf(world);
  t.equal(coin.hold, 'locked');
  t.equal(await stateOf(world), 'uncertified');
  const { available, total } = world.wallet.summary();
  t.strictSame([available, total], [0, 0], 'K8: a locked bond is no money that can be spent');
  t.equal(await faultOf(world.sign({ amount: 'all' })), 'funds', 'nor is it chosen');

  const certified = await bonds.certify(coin, 3);
  await acceptedByTakers(t, world, certified);
  t.notMatch(certified.file, new RegExp(place.publicKey + '".*private'), 'no key of the coin');
  t.equal(await stateOf(world), 'certified');
  await world.restart();
  await world.sync();
  t.equal(await stateOf(world), 'certified', 'also after a restart');

  t.equal(await faultOf(world.bonds.planRedeem(coin, PAYEE, 2_000)), 'held');
  await control.medianTime(month.lockTime);
  await world.sync();
  await t.rejects(world.bonds.planRedeem(coin, PAYEE, 2_000), {
    message: /when the median time of the blocks is later, about an hour after that/,
  });
  await control.medianTime(month.lockTime + 1);
  await world.sync();
  t.equal(await stateOf(world), 'open', 'K10: beyond the lock, not at it');
  const plan = await world.bonds.planRedeem(coin, PAYEE, 2_000);
  t.strictSame([plan.lockTime, plan.payment.value + plan.fee], [month.lockTime, 1_000_000]);
  const signed = await world.payments.sign(plan);
  t.strictSame(await world.payments.send(signed), { kind: 'sent' });
  await world.sync();
  t.equal(await stateOf(world), 'redeeming');
  await world.mine();
  t.equal(world.stateOf(signed.txid), 'confirmed');
  t.strictSame(world.wallet.coins(), []);
}

async function mergeScene(t: Test, world: PaymentWorld): Promise<void> {
  const { control } = world;
  const month = laterMonth(control, 3);
  const { place } = await world.bonds.address(month);
  await control.pay(place.script, 1_000_000);
  await control.pay(place.script, 2_000_000);
  await world.mine();
  const rows = await world.bonds.list();
  t.strictSame(
    rows.map(({ value }) => value),
    [2_000_000, 1_000_000],
    'two coins are two bonds',
  );
  t.match(rows[0]?.warnings[0], /each coin is a bond of its own/);
  await control.medianTime(month.lockTime + 1);
  await world.sync();
  // A second coin of an address is frozen when the first one was spent, not beside it.
  const coins = world.wallet.coins();
  const plan = await world.payments.plan({ amount: 'all', script: PAYEE, feePerKb: 2_000, coins });
  t.match(plan.warnings.join(), /2 bonds are spent together/);
  t.strictSame(await world.payments.send(await world.payments.sign(plan)), { kind: 'sent' });
}

/** A signature of a key outside the wallet, as a hardware wallet writes it. */
function signedElsewhere(text: Uint8Array, privateKey: Uint8Array): string {
  const bytes = secp256k1.sign(signedMessageHash(text), privateKey, {
    prehash: false,
    format: 'recovered',
  });
  return base64.encode(Uint8Array.of((bytes[0] ?? 0) + 31, ...bytes.subarray(1)));
}

async function outsideScene(t: Test, world: PaymentWorld): Promise<void> {
  const { control, bonds } = world;
  const privateKey = secp256k1.utils.randomSecretKey();
  const publicKey = bytesToHex(secp256k1.getPublicKey(privateKey, true));
  const month = laterMonth(control, 4);
  const { place, rehearsal } = await bonds.address(month, publicKey);
  t.equal(place.script, bondScriptPubKey(month.lockTime, publicKey));
  t.match(rehearsal, /its key is outside the wallet/);
  t.equal(await stateOf(world), 'unfunded');
  await control.pay(place.script, 3_000_000);
  await world.mine();
  const coin = bondOf(world);
  t.equal(coin.outsideKey, publicKey);

  t.equal(await faultOf(bonds.certify(coin)), 'request', 'the wallet has no key for it');
  const message = await bonds.coldMessage(coin);
  t.match(Buffer.from(message.bytes).toString(), /^fidelity-bond-cert\|0[23][0-9a-f]{64}\|\d+$/);
  t.equal(await stateOf(world), 'awaiting-signature');
  const again = await bonds.coldMessage(coin);
  t.strictSame(again.bytes, message.bytes, 'the message stays the same until it is signed');
  await world.restart();
  await world.sync();
  const wrong = signedElsewhere(message.bytes, secp256k1.utils.randomSecretKey());
  t.equal(await faultOf(world.bonds.coldImport(wrong)), 'request', 'another key');
  t.equal(await faultOf(world.bonds.coldImport('no signature')), 'request');
  const certified = await world.bonds.coldImport(signedElsewhere(message.bytes, privateKey));
  await acceptedByTakers(t, world, certified);
  t.equal(await stateOf(world), 'certified');

  await control.medianTime(month.lockTime + 1);
  await world.sync();
  const plan = await world.bonds.planRedeem(coin, PAYEE, 2_000);
  t.equal(await faultOf(world.payments.sign(plan)), 'request', 'it is signed elsewhere');
  const bytes = signBondPsbt(await world.payments.psbt(plan), privateKey);
  await world.chain.broadcast(bytes);
  await world.mine();
  t.strictSame(world.wallet.coins(), []);
}

async function ownColdScene(t: Test, world: PaymentWorld): Promise<void> {
  const { control, bonds } = world;
  const { place } = await bonds.address(laterMonth(control, 5));
  await control.pay(place.script, 1_000_000);
  await world.mine();
  const coin = bondOf(world);
  const signature = await bonds.coldMessage(coin).then(({ bytes }) => {
    const [, key = '', expiry = ''] = Buffer.from(bytes).toString().split('|');
    return world.wallet.certify(coin, key, Number(expiry));
  });
  const certified = await bonds.coldImport(base64.encode(hexToBytes(signature)));
  await acceptedByTakers(t, world, certified);
}

/** All scenes, each with a wallet of its own. The clock of the chain moves on. */
export async function bondScenes(t: Test, control: ChainControl): Promise<void> {
  const scene = (
    name: string,
    body: (t: Test, world: PaymentWorld) => Promise<void>,
  ): Promise<unknown> =>
    t.test(name, async (t) => body(t, await PaymentWorld.open(t, control, name)));
  await scene('K8, K10: a bond is funded, certified, proven and redeemed', ownScene);
  await scene('two coins of one address are two bonds, which a payment may merge', mergeScene);
  await scene('a bond whose key is outside the wallet', outsideScene);
  await scene('a certificate in DER, for a bond of the wallet', ownColdScene);
}
