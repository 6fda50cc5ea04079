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

/**
 * Signed transactions of the wallet alone whose coins another one spends in the mempool. They may confirm
 * all the same.
 */
function replacedOnes(signed: readonly SignedTransaction[]): ReadonlySet<SignedTransaction> {
  const spent = new Set(
    signed.filter(isInMempool).flatMap(({ coins }) => coins.map((coin) => formatOutpoint(coin))),
  );
  const isReplaced = (one: SignedTransaction): boolean =>
    isOpen(one) && !one.seen && one.coins.some((coin) => spent.has(formatOutpoint(coin)));
  return new Set(signed.filter(isReplaced));
}

const isInMempool = ({ state, seen }: SignedTransaction): boolean => state === 'pending' && seen;

/** A payment of the wallet alone that may confirm: it is sent again until it does. */
const isOpen = ({ state, bytes }: SignedTransaction): boolean =>
  state === 'pending' && bytes !== undefined;

/** A signed transaction that is in no block. Only those that were sent change the balance. */
function openEntry(
  state: WalletState,
  signed: SignedTransaction,
  balance: number,
  isReplaced: boolean,
): HistoryEntry {
  const record = state.signed.record(signed.unsignedTxid);
  const coins = signed.coins.map((coin) => state.ledger.coin(formatOutpoint(coin)));
  const spent = coins.reduce((sum, coin) => sum + (coin?.value ?? 0), 0);
  const own = record?.own ?? [];
  const received = own.reduce((sum, [, [mixdepth], value]) => sum + (mixdepth < 0 ? 0 : value), 0);
  // A coin that is not known may be spent in a block that was not read: the balance has the result already.
  const isPending = isInMempool(signed) && coins.every((coin) => coin !== undefined);
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
    state: shownState(signed, isReplaced),
    label: signed.label,
  };
}

function shownState({ state }: SignedTransaction, isReplaced: boolean): HistoryEntry['state'] {
  if (isReplaced || state === 'replaced') return 'replaced';
  return state === 'lost' ? 'lost' : 'pending';
}

/**
 * Every transaction of the wallet, the oldest first: those of the chain in its order, then signed ones that
 * are in no block: payments, and coinjoins that were sent, also when another transaction replaced them.
 * The balance includes bonds.
 */
export function historyOf(state: WalletState): readonly HistoryEntry[] {
  const entries: HistoryEntry[] = [];
  let balance = 0;
  for (const entry of state.ledger.entries()) {
    balance += entry.received - entry.spent;
    entries.push(confirmedEntry(state, entry, balance));
  }
  const all = state.signed.list((txid) => state.label('tx', txid));
  const replaced = replacedOnes(all);
  for (const signed of all) {
    const isSettled = signed.state === 'replaced' || signed.state === 'lost';
    if (signed.state === 'confirmed' || !(signed.seen || isSettled || isOpen(signed))) continue;
    const entry = openEntry(state, signed, balance, replaced.has(signed));
    balance = entry.balance;
    entries.push(entry);
  }
  return entries;
}
