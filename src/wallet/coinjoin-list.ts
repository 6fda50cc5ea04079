/** The coinjoins that a wallet signed, from the state of its journal. Pure. */
import type { Outpoint } from '../protocol/outpoint.js';
import { coinKey } from './ledger.js';
import type { CoinjoinRecord, SignedRecord } from './records.js';
import type { SignedTransaction } from './requests.js';
import type { WalletState } from './state.js';

/** A coinjoin of the journal. Amounts are whole satoshi, times Unix seconds. */
export interface SignedCoinjoin {
  readonly kind: 'coinjoin-maker' | 'coinjoin-taker';
  /** Id without signatures. */
  readonly unsignedTxid: string;
  /** The id in the chain; undefined until it is in the mempool or in a block. */
  readonly txid: string | undefined;
  readonly signedAt: number;
  /** Of its block; undefined until it has one. */
  readonly height: number | undefined;
  readonly confirmedAt: number | undefined;
  readonly state: SignedTransaction['state'];
  /** In the mempool, as far as known. */
  readonly seen: boolean;
  /** Of each side's equal output. */
  readonly amount: number;
  /** A maker's fee minus its part of the miner fee; for a taker minus the fees of the makers. */
  readonly earned: number;
  /** A maker's fee before its part of the miner fee. */
  readonly fee: number;
  /** The wallet's coins in it. */
  readonly coins: readonly Outpoint[];
  /** The sum of `coins`. For a coin that a rescan forgot it follows from what the coinjoin paid. */
  readonly inputValue: number;
}

function inputValueOf(state: WalletState, { coins, own }: SignedRecord, earned: number): number {
  const values = coins.map((name) => state.ledger.coin(coinKey(name))?.value);
  let sum = 0;
  for (const value of values) {
    if (value === undefined) return own.reduce((all, [, , back]) => all + back, -earned);
    sum += value;
  }
  return sum;
}

function termsOf(record: SignedRecord | undefined): CoinjoinRecord | undefined {
  const isCoinjoin = record?.purpose === 'coinjoin-maker' || record?.purpose === 'coinjoin-taker';
  return isCoinjoin ? record?.coinjoin : undefined;
}

/** Coinjoins of both kinds, in the order of their signatures. */
export function coinjoinsOf(state: WalletState): readonly SignedCoinjoin[] {
  const confirmed = new Map(state.ledger.entries().map((entry) => [entry.unsigned, entry]));
  return state.signed
    .list(() => undefined)
    .flatMap((signed): readonly SignedCoinjoin[] => {
      const { unsignedTxid, kind, coins, signedAt, seen } = signed;
      const record = state.signed.record(unsignedTxid);
      const terms = termsOf(record);
      if (record === undefined || terms === undefined) return [];
      if (kind !== 'coinjoin-maker' && kind !== 'coinjoin-taker') return [];
      const entry = confirmed.get(unsignedTxid);
      return [
        {
          kind,
          unsignedTxid,
          txid: entry?.txid ?? (seen ? (signed.txid ?? unsignedTxid) : undefined),
          signedAt,
          height: entry?.height,
          confirmedAt: entry?.time,
          state: signed.state,
          seen,
          amount: terms.amount,
          earned: terms.earned,
          fee: terms.fee ?? terms.earned,
          coins,
          inputValue: inputValueOf(state, record, terms.earned),
        },
      ];
    });
}
