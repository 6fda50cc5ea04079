/** The places of bonds: those of the wallet's own keys, and those of keys outside. Pure. */
import { secp256k1 } from '@noble/curves/secp256k1.js';
import { hexToBytes } from '@noble/hashes/utils.js';
import { addressOf } from '../bitcoin/address.js';
import { BOND_MONTHS } from '../bitcoin/bond.js';
import { BRANCH, WalletError, type KeyPlace, type WalletCoin } from './api.js';
import { placeName } from './address-book.js';
import type { CoinTerms } from './coins.js';
import { checkedAddress, type ScriptFromKey } from './hand-out.js';
import type { Decision } from './journal.js';
import { labelRecord } from './labels.js';
import { bondLockTime, pathOf, type PathTerms } from './places.js';
import type { WalletRecord } from './records.js';
import type { BondPlace } from './requests.js';
import type { WalletState } from './state.js';

const bondPlace = (index: number): KeyPlace => ({ mixdepth: 0, branch: BRANCH.bond, index });

function checkMonth(index: number): void {
  if (Number.isInteger(index) && index >= 0 && index < BOND_MONTHS) return;
  throw new WalletError('request', 'a bond has a month from 2020-01 to 2099-12');
}

/** All 960 places; none before the journal has their scripts. */
export function bondPlacesOf(state: WalletState, terms: PathTerms): readonly BondPlace[] {
  return state.bondKeys().flatMap((publicKey, index) => {
    const place = bondPlace(index);
    const script = state.book.scriptAt(place);
    if (script === undefined) return [];
    return [
      {
        ...place,
        lockTime: bondLockTime(index),
        address: addressOf(script, terms.network) ?? '',
        script,
        publicKey,
        path: pathOf(terms, place),
        handedOut: state.book.isHandedOut(place),
      },
    ];
  });
}

/** The watched places of keys outside the wallet, the oldest first. */
export function outsideBondsOf(state: WalletState, { network }: PathTerms): readonly BondPlace[] {
  return state.book.outside().map(({ script, place, publicKey }) => {
    const lockTime = bondLockTime(place.index);
    const address = addressOf(script, network) ?? '';
    return {
      ...place,
      lockTime,
      address,
      script,
      publicKey,
      path: `outside:${lockTime}`,
      handedOut: true,
    };
  });
}

/** Hands out the address of a month, after it was derived again from the private key. */
export function bondHandOut(
  state: WalletState,
  terms: CoinTerms,
  index: number,
  label: string,
  scriptFromKey: ScriptFromKey,
): Decision<BondPlace> {
  checkMonth(index);
  const place = bondPlace(index);
  const { address } = checkedAddress(state, terms, place, scriptFromKey);
  const found = bondPlacesOf(state, terms)[index];
  if (found?.address !== address) throw new Error('the places of bonds are not those of the keys');
  const records: WalletRecord[] = [
    { kind: 'address', place: placeName(place), purpose: 'bond', time: terms.now },
  ];
  if (label !== '') records.push(labelRecord('addr', address, label, terms.network));
  return { records, result: { ...found, handedOut: true } };
}

/** Watches the bond of a key outside the wallet; once, however often it is asked for. */
export function outsideBond(
  state: WalletState,
  publicKey: string,
  index: number,
): Decision<undefined> {
  checkMonth(index);
  if (!/^0[23][0-9a-f]{64}$/.test(publicKey)) {
    throw new WalletError('request', 'a public key has 66 hex digits and begins with 02 or 03');
  }
  if (!secp256k1.utils.isValidPublicKey(hexToBytes(publicKey), true)) {
    throw new WalletError(
      'request',
      'this public key does not exist: a digit is wrong. Coins paid to its bond would be lost',
    );
  }
  if (state.bondKeys()[index] === publicKey) {
    throw new WalletError('request', 'this is the key of the wallet itself for that month');
  }
  const isKnown = state.book
    .outside()
    .some((it) => it.publicKey === publicKey && it.place.index === index);
  const records: WalletRecord[] = isKnown ? [] : [{ kind: 'outside-bond', publicKey, index }];
  return { records, result: undefined };
}

/** A coin at a month's address, for a rehearsal: it does not exist. */
export function bondCoin(
  state: WalletState,
  terms: CoinTerms,
  index: number,
): WalletCoin & { readonly lockTime: number } {
  checkMonth(index);
  const place = bondPlace(index);
  const script = state.book.scriptAt(place) ?? '';
  return {
    txid: '00'.repeat(32),
    vout: 0,
    ...place,
    value: 0,
    script,
    address: addressOf(script, terms.network) ?? '',
    path: pathOf(terms, place),
    confirmations: 0,
    height: undefined,
    origin: 'bond',
    frozen: undefined,
    hold: undefined,
    signedFor: undefined,
    lockTime: bondLockTime(index),
    label: undefined,
    outsideKey: undefined,
    mergeable: false,
  };
}
