/** Where the keys of a wallet are: paths (BIP32), and the months of bonds. Pure. */
import { BOND_MONTHS, BondMonth } from '../bitcoin/bond.js';
import { BITCOIN_NETWORKS } from '../bitcoin/network.js';
import type { Network } from '../protocol/constants.js';
import { BRANCH, type KeyPlace } from './api.js';

/** What decides the paths of a wallet. */
export interface PathTerms {
  readonly network: Network;
  readonly kind: 'native' | 'nested';
}

/** Greatest index of a key that is not hardened. */
export const MAX_INDEX = 0x7fff_ffff;

/** The hardened numbers of a mixdepth's account: purpose (BIP84, BIP49), coin and mixdepth. */
export function accountNumbers(
  { network, kind }: PathTerms,
  mixdepth: number,
): readonly [number, number, number] {
  return [kind === 'native' ? 84 : 49, BITCOIN_NETWORKS[network].coinType, mixdepth];
}

/** The lock time of a bond's month, in Unix seconds. Throws a RangeError for a month that does not exist. */
export function bondLockTime(index: number): number {
  const month = BondMonth.ofIndex(index);
  if (month === undefined)
    throw new RangeError(`a bond's month is 0 to ${BOND_MONTHS - 1}, not ${index}`);
  return month.lockTime;
}

/** The lock time of a place; undefined for places that are not of bonds. */
export const lockTimeOf = ({ branch, index }: KeyPlace): number | undefined =>
  branch === BRANCH.bond ? bondLockTime(index) : undefined;

/** `m/84'/0'/0'/1/5`, and for a bond `m/84'/0'/0'/2/n:locktime`. */
export function pathOf(terms: PathTerms, place: KeyPlace): string {
  const account = accountNumbers(terms, place.mixdepth).map((number) => `${number}'`);
  const lockTime = lockTimeOf(place);
  const path = ['m', ...account, place.branch, place.index].join('/');
  return lockTime === undefined ? path : `${path}:${lockTime}`;
}

/** A short name of a place, for maps. */
export const placeKey = ({ mixdepth, branch, index }: KeyPlace): string =>
  `${mixdepth}/${branch}/${index}`;
