/**
 * A maker's wallet that hands out any coins and addresses, also those of another session, as a wallet does
 * that lost its memory or has a fault. And the amounts that such a maker must get nevertheless.
 */
import { RawTx } from '@scure/btc-signer/script.js';
import { bytesToHex } from '@noble/hashes/utils.js';
import { secp256k1 } from '@noble/curves/secp256k1.js';
import type { Reservation } from '../../src/negotiation/ports.js';
import { formatOutpoint } from '../../src/protocol/outpoint.js';
import { signText } from '../../src/protocol/signature.js';
import {
  addressOf,
  createMakerWallet,
  type TestCoin,
  type TestMakerWallet,
} from './coinjoin-world.js';
import { scriptOf } from './evil-taker.js';

/** What it hands out next: indices into its coins and addresses. */
export interface Handout {
  readonly coins: readonly number[];
  readonly coinjoin: number;
  readonly change: number;
}

export interface CollidingWallet extends TestMakerWallet {
  readonly coins: readonly TestCoin[];
  /** Scripts of its addresses, by their index. */
  readonly scripts: readonly string[];
  /** Reserved and signed, in order. */
  readonly reservations: Reservation[];
}

/** @param next called for every reservation */
export function createCollidingWallet(
  name: string,
  coins: readonly TestCoin[],
  addresses: number,
  next: () => Handout,
): CollidingWallet {
  const wallet = createMakerWallet(name, coins);
  const pool = Array.from({ length: addresses }, (_, n) => addressOf(`${name} address ${n}`));
  const reservations: Reservation[] = [];
  return {
    ...wallet,
    coins,
    scripts: pool.map(scriptOf),
    reservations,
    async reserve({ boxPublicKey }) {
      const handout = next();
      const chosen = handout.coins.flatMap((n) => coins[n] ?? []);
      const [first] = chosen;
      if (first === undefined) return undefined;
      for (const coin of chosen) wallet.record.reserved.add(formatOutpoint(coin));
      const reservation = {
        coins: chosen,
        coinjoinAddress: pool[handout.coinjoin] ?? '',
        changeAddress: pool[handout.change] ?? '',
        authPublicKey: bytesToHex(secp256k1.getPublicKey(first.secret, true)),
        authSignature: signText(boxPublicKey, first.secret),
      };
      reservations.push(reservation);
      return reservation;
    },
  };
}

/**
 * The fault of the transactions that a wallet was made to sign, over all sessions together and judged from
 * the bytes alone: a transaction must give back the value of all our coins in it, and at least `earned` more.
 */
export function lossOf(wallet: CollidingWallet, earned: number): string | undefined {
  const own = new Set(wallet.scripts);
  const brought = new Map<string, Map<string, number>>();
  const paid = new Map<string, number>();
  for (const { txid, transaction, inputs } of wallet.record.signed) {
    const coins = brought.get(txid) ?? new Map<string, number>();
    for (const { coin } of inputs) coins.set(formatOutpoint(coin), coin.value);
    brought.set(txid, coins);
    const { outputs } = RawTx.decode(transaction);
    const back = outputs
      .filter(({ script }) => own.has(bytesToHex(script)))
      .reduce((sum, { amount }) => sum + Number(amount), 0);
    paid.set(txid, back);
  }
  for (const [txid, coins] of brought) {
    const sum = [...coins.values()].reduce((total, value) => total + value, 0);
    const back = paid.get(txid) ?? 0;
    if (back < sum + earned) return `${sum} sat in, ${back} sat out`;
  }
  return undefined;
}
