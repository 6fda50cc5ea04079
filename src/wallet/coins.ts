/** The coins of a wallet as commands and payments see them, from the state of the journal. Pure. */
import { addressOf } from '../bitcoin/address.js';
import { isBondOpen } from '../bitcoin/bond.js';
import { COINBASE_MATURITY } from '../bitcoin/transaction.js';
import { formatOutpoint, type Outpoint } from '../protocol/outpoint.js';
import type { OwnScript } from './address-book.js';
import {
  BRANCH,
  type CoinHold,
  type CoinOrigin,
  type KeyPlace,
  type MixdepthSums,
  type WalletCoin,
  type WalletSummary,
} from './api.js';
import type { LedgerCoin } from './ledger.js';
import { lockTimeOf, pathOf, type PathTerms } from './places.js';
import type { WalletState } from './state.js';

/** The wallet's terms, and the time for leases in Unix seconds. */
export interface CoinTerms extends PathTerms {
  readonly mixdepths: number;
  readonly now: number;
}

/** Every reason not to spend a coin, the one to show first in front. */
export function holdsOf(state: WalletState, coin: WalletCoin, now: number): readonly CoinHold[] {
  const name = formatOutpoint(coin);
  const holds: CoinHold[] = [];
  if (coin.confirmations === 0) holds.push('unconfirmed');
  const isCoinbase = state.ledger.coin(name)?.coinbase === true;
  if (isCoinbase && coin.confirmations < COINBASE_MATURITY) holds.push('immature');
  if (coin.lockTime !== undefined) {
    const medianTime = state.progress.tip?.medianTime;
    if (medianTime === undefined || !isBondOpen(coin.lockTime, medianTime)) holds.push('locked');
  }
  if (coin.frozen !== undefined) holds.push('frozen');
  if (state.signed.ofCoin(name).some((it) => it.state === 'pending')) holds.push('signed');
  if (state.leases.ofCoin(name, now) !== undefined) holds.push('leased');
  return holds;
}

interface Facts extends Outpoint {
  readonly own: OwnScript & { readonly script: string };
  readonly value: number;
  readonly height: number | undefined;
  readonly origin: CoinOrigin;
  readonly mergeable: boolean;
}

/** Addresses of coins of the ledger, since a wallet with many coins is shown often. */
const addresses = new WeakMap<object, string>();

function shownAddress(own: Facts['own'], network: PathTerms['network']): string {
  const known = addresses.get(own);
  if (known !== undefined) return known;
  const address = addressOf(own.script, network) ?? '';
  addresses.set(own, address);
  return address;
}

function shown(state: WalletState, terms: CoinTerms, facts: Facts): WalletCoin {
  const { txid, vout, value, own, height, origin, mergeable } = facts;
  const name = formatOutpoint(facts);
  const { script, place, outsideKey } = own;
  const address = shownAddress(own, terms.network);
  const signed = state.signed.ofCoin(name).at(-1)?.unsigned;
  const coin: WalletCoin = {
    txid,
    vout,
    ...place,
    value,
    script,
    address,
    path: outsideKey === undefined ? pathOf(terms, place) : `outside:${lockTimeOf(place)}`,
    confirmations: height === undefined ? 0 : Math.max(1, state.progress.newest - height + 1),
    height,
    origin,
    frozen: state.frozen(name),
    hold: undefined,
    signedFor: signed === undefined ? undefined : (state.signed.txidOf(signed) ?? signed),
    lockTime: lockTimeOf(place),
    label: state.label('output', name) ?? state.label('addr', address),
    outsideKey,
    mergeable,
  };
  return { ...coin, hold: holdsOf(state, coin, terms.now)[0] };
}

const ofLedger = (state: WalletState, terms: CoinTerms, coin: LedgerCoin): WalletCoin =>
  shown(state, terms, { ...coin, own: coin });

/** A coin that is not spent in a block. */
export function coinOf(
  state: WalletState,
  terms: CoinTerms,
  outpoint: Outpoint,
): WalletCoin | undefined {
  const coin = state.ledger.coin(formatOutpoint(outpoint));
  if (coin !== undefined)
    return coin.spent === undefined ? ofLedger(state, terms, coin) : undefined;
  return unconfirmed(state, terms).find(
    ({ txid, vout }) => txid === outpoint.txid && vout === outpoint.vout,
  );
}

/** Coins that the wallet's own transactions in the mempool pay to it. */
function unconfirmed(state: WalletState, terms: CoinTerms): readonly WalletCoin[] {
  const coins: WalletCoin[] = [];
  for (const { record, txid, output } of state.signed.unconfirmedOutputs()) {
    const [vout, name, value] = output;
    const own = state.book.named(name);
    if (own === undefined) continue;
    const origin = (): CoinOrigin => {
      if (own.place.branch === BRANCH.bond) return 'bond';
      if (record.coinjoin === undefined) return 'change';
      return own.script === record.coinjoin.script ? 'coinjoin' : 'cj-change';
    };
    const facts = { txid, vout, own, value, height: undefined, mergeable: false };
    coins.push(shown(state, terms, { ...facts, origin: origin() }));
  }
  return coins;
}

const inOrder = (a: KeyPlace, b: KeyPlace): number =>
  a.mixdepth - b.mixdepth || a.branch - b.branch || a.index - b.index;

/** All coins that are not spent in a block, in the order of mixdepth, branch and index. */
export function coinsOf(state: WalletState, terms: CoinTerms): readonly WalletCoin[] {
  const confirmed = [...state.ledger.unspentCoins()].map((coin) => ofLedger(state, terms, coin));
  return [...confirmed, ...unconfirmed(state, terms)].toSorted(inOrder);
}

const sumOf = (coins: readonly WalletCoin[]): number =>
  coins.reduce((sum, { value }) => sum + value, 0);

/** Sums of the mixdepths, and the bonds. A coin that a transaction of the mempool spends is in no sum. */
export function summaryOf(state: WalletState, terms: CoinTerms): WalletSummary {
  const all = coinsOf(state, terms);
  const held = all.filter((coin) => !state.signed.isSpentUnconfirmed(formatOutpoint(coin)));
  const coins = held.filter(({ lockTime }) => lockTime === undefined);
  const mixdepths = Array.from({ length: terms.mixdepths }, (_, mixdepth): MixdepthSums => {
    const own = coins.filter((coin) => coin.mixdepth === mixdepth);
    return {
      mixdepth,
      balance: sumOf(own),
      available: sumOf(own.filter(({ hold }) => hold === undefined)),
      frozen: sumOf(own.filter(({ frozen }) => frozen !== undefined)),
      pending: sumOf(own.filter(({ confirmations }) => confirmations === 0)),
    };
  });
  const total = (pick: (sums: MixdepthSums) => number): number =>
    mixdepths.reduce((sum, sums) => sum + pick(sums), 0);
  return {
    network: terms.network,
    height: state.progress.height,
    total: total(({ balance }) => balance),
    available: total(({ available }) => available),
    mixdepths,
    bonds: held.filter(({ lockTime }) => lockTime !== undefined),
  };
}
