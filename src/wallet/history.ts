/** The history of a wallet, from the state of its journal. Pure. */
import { formatOutpoint } from '../protocol/outpoint.js';
import type { HistoryEntry } from './api.js';
import type { LedgerEntry } from './ledger.js';
import type { SignedTransaction } from './requests.js';
import type { WalletState } from './state.js';

const KIND_OF: Readonly<Record<SignedTransaction['kind'], HistoryEntry['kind']>> = {
  send: 'send',
  'coinjoin-maker': 'coinjoin-maker',
  'coinjoin-taker': 'coinjoin-taker',
  redeem: 'bond',
};

function coinjoinFee(state: WalletState, entry: LedgerEntry): number | undefined {
  const signed = state.signed.record(entry.unsigned)?.coinjoin;
  if (signed !== undefined) return signed.earned;
  // By the shape alone only a maker's fee is known: it is all that the coinjoin changed.
  const isMaker = entry.guessed && entry.kind === 'coinjoin-maker';
  return isMaker ? entry.received - entry.spent : undefined;
}

function confirmedEntry(state: WalletState, entry: LedgerEntry, balance: number): HistoryEntry {
  const { txid, unsigned, time, height, kind, fee, mixdepthFrom, mixdepthTo } = entry;
  return {
    txid,
    time,
    height,
    kind,
    change: entry.received - entry.spent,
    balance,
    fee,
    coinjoinFee: coinjoinFee(state, entry),
    mixdepthFrom,
    mixdepthTo,
    state: 'confirmed',
    label: state.label('tx', txid) ?? state.label('tx', unsigned),
  };
}

/** A signed transaction that is in no block. Only those that were sent change the balance. */
function openEntry(state: WalletState, signed: SignedTransaction, balance: number): HistoryEntry {
  const record = state.signed.record(signed.unsignedTxid);
  const coins = signed.coins.map((coin) => state.ledger.coin(formatOutpoint(coin)));
  const spent = coins.reduce((sum, coin) => sum + (coin?.value ?? 0), 0);
  const own = record?.own ?? [];
  const received = own.reduce((sum, [, [mixdepth], value]) => sum + (mixdepth < 0 ? 0 : value), 0);
  const isPending = signed.state === 'pending' && signed.seen;
  const change = isPending ? received - spent : 0;
  const target = own.find(([, place]) => {
    const script = state.book.named(place)?.script;
    return record?.coinjoin !== undefined && script === record.coinjoin.script;
  });
  return {
    txid: signed.txid ?? signed.unsignedTxid,
    time: signed.signedAt,
    height: undefined,
    kind: KIND_OF[signed.kind],
    change,
    balance: balance + change,
    fee: undefined,
    coinjoinFee: record?.coinjoin?.earned,
    mixdepthFrom: coins[0]?.place.mixdepth,
    mixdepthTo: target?.[1][0],
    state: signed.state === 'replaced' || signed.state === 'lost' ? signed.state : 'pending',
    label: signed.label,
  };
}

/**
 * Every transaction of the wallet, the oldest first: those of the chain in its order, then signed ones that
 * were sent and are in no block, or that another one replaced. The balance includes bonds.
 */
export function historyOf(state: WalletState): readonly HistoryEntry[] {
  const entries: HistoryEntry[] = [];
  let balance = 0;
  for (const entry of state.ledger.entries()) {
    balance += entry.received - entry.spent;
    entries.push(confirmedEntry(state, entry, balance));
  }
  for (const signed of state.signed.list((txid) => state.label('tx', txid))) {
    const isShown = signed.seen || signed.state === 'replaced' || signed.state === 'lost';
    if (signed.state === 'confirmed' || !isShown) continue;
    const entry = openEntry(state, signed, balance);
    balance = entry.balance;
    entries.push(entry);
  }
  return entries;
}
