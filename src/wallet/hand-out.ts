/** Decisions that hand out addresses and reserve coins. Pure: the journal writes their records. */
import { addressOf } from '../bitcoin/address.js';
import { formatOutpoint } from '../protocol/outpoint.js';
import { BRANCH, WalletError, type Branch, type HandedOut, type KeyPlace } from './api.js';
import { placeName } from './address-book.js';
import { coinOf, holdsOf, type CoinTerms } from './coins.js';
import { labelRecord } from './labels.js';
import { MAX_LEASE_SECONDS } from './lease-book.js';
import { pathOf } from './places.js';
import { coinKey } from './ledger.js';
import type { WalletRecord } from './records.js';
import type { AddressPurpose, AddressRequest, Lease, LeaseRequest } from './requests.js';
import type { WalletState } from './state.js';

/** Longest text that names the holder of a lease. */
const MAX_OWNER = 100;
const MAX_LEASE_COINS = 1_000;

/** The script of a place, from the private key. */
export type ScriptFromKey = (place: KeyPlace) => string;

/** The address of a place, derived again from the private key, which must give the watched script. */
export function checkedAddress(
  state: WalletState,
  terms: CoinTerms,
  place: KeyPlace,
  scriptFromKey: ScriptFromKey,
): HandedOut {
  const script = scriptFromKey(place);
  const address = addressOf(script, terms.network);
  if (state.book.scriptAt(place) !== script || address === undefined) {
    throw new Error(
      `the address ${pathOf(terms, place)} is not that of its key: the journal is damaged, nothing was handed out`,
    );
  }
  return { ...place, address, script, path: pathOf(terms, place) };
}

const branchOf = (purpose: AddressPurpose): Branch =>
  purpose === 'deposit' ? BRANCH.external : BRANCH.internal;

/** Fresh addresses, each with the next index of its branch. */
export function freshAddresses(
  state: WalletState,
  terms: CoinTerms,
  requests: readonly AddressRequest[],
  scriptFromKey: ScriptFromKey,
): { readonly records: readonly WalletRecord[]; readonly addresses: readonly HandedOut[] } {
  const records: WalletRecord[] = [];
  const addresses: HandedOut[] = [];
  const taken = new Map<string, number>();
  for (const { mixdepth, purpose, label } of requests) {
    if (!Number.isInteger(mixdepth) || mixdepth < 0 || mixdepth >= terms.mixdepths) {
      throw new WalletError(
        'mixdepth',
        `there is no mixdepth ${mixdepth}: this wallet has 0 to ${terms.mixdepths - 1}`,
      );
    }
    const branch = branchOf(purpose);
    const key = `${mixdepth}/${branch}`;
    const index = state.book.next(mixdepth, branch) + (taken.get(key) ?? 0);
    taken.set(key, (taken.get(key) ?? 0) + 1);
    const place = { mixdepth, branch, index };
    const handed = checkedAddress(state, terms, place, scriptFromKey);
    addresses.push(handed);
    records.push({ kind: 'address', place: placeName(place), purpose, time: terms.now });
    if (label !== undefined && label !== '') {
      records.push(labelRecord('addr', handed.address, label, terms.network));
    }
  }
  return { records, addresses };
}

/** A lease of coins without a hold. Throws a WalletError for the first one that is not there or not free. */
export function newLease(
  state: WalletState,
  terms: CoinTerms,
  { owner, coins, seconds, replaces }: LeaseRequest,
  id: string,
): { readonly record: WalletRecord; readonly lease: Lease } {
  const names = coins.map(formatOutpoint);
  const isFit =
    owner.length > 0 &&
    owner.length <= MAX_OWNER &&
    coins.length > 0 &&
    coins.length <= MAX_LEASE_COINS &&
    new Set(names).size === names.length &&
    Number.isInteger(seconds) &&
    seconds > 0 &&
    seconds <= MAX_LEASE_SECONDS;
  if (!isFit) {
    throw new WalletError(
      'request',
      'a lease has a holder, 1 to 1,000 different coins, and ends within a day',
    );
  }
  const status = replaces === undefined ? undefined : state.signed.stateOf(replaces);
  if (replaces !== undefined && status !== 'pending' && status !== 'abandoned') {
    throw new WalletError(
      'held',
      'the transaction that is to be replaced is settled, or not known',
    );
  }
  const replaced = new Set(
    replaces === undefined ? [] : state.signed.record(replaces)?.coins.map(coinKey),
  );
  if (replaces !== undefined && !names.some((name) => replaced.has(name))) {
    throw new WalletError('request', 'no coin is one of the transaction that is to be replaced');
  }
  for (const [at, outpoint] of coins.entries()) {
    const coin = coinOf(state, terms, outpoint);
    if (coin === undefined) {
      throw new WalletError('coin', `${names[at]}: the wallet has no such coin`);
    }
    if (coin.outsideKey !== undefined) {
      throw new WalletError('coin', `${names[at]}: the key of this bond is outside the wallet`);
    }
    const [hold] = holdsOf(state, coin, terms.now).filter(
      (it) => it !== 'signed' || !replaced.has(formatOutpoint(coin)),
    );
    if (hold === 'frozen') throw new WalletError('frozen', `${names[at]} is frozen`);
    if (hold !== undefined) throw new WalletError('held', `${names[at]} is held: ${hold}`);
  }
  const until = terms.now + seconds;
  const lease = { id, owner, until, coins: coins.map(({ txid, vout }) => ({ txid, vout })) };
  return {
    lease,
    record: {
      kind: 'lease',
      id,
      owner,
      coins: coins.map(({ txid, vout }) => [txid, vout] as const),
      time: terms.now,
      until,
    },
  };
}
