/** The bonds of a wallet, each with its state and the next step. Pure. */
import { BondMonth, isBondOpen } from '../bitcoin/bond.js';
import type { BlockInfo } from '../chain/ports.js';
import { counted } from '../kit/decimal.js';
import { certExpired } from '../protocol/fidelity-bond.js';
import { formatOutpoint } from '../protocol/outpoint.js';
import type { WalletCoin } from '../wallet/api.js';
import { shownTime } from '../wallet/payment/eligible.js';
import type { BondCertificate, BondPlace } from '../wallet/requests.js';
import { lastValidHeight } from './certificate.js';

/** How far a bond is. */
export type BondState =
  /** Its address was handed out, and has no coin. */
  | 'unfunded'
  /** Its coin is not in a block yet. */
  | 'confirming'
  /** No maker can prove it yet. */
  | 'uncertified'
  /** A message was written, and its signature is not imported. */
  | 'awaiting-signature'
  /** A maker can prove it. */
  | 'certified'
  | 'certificate-expired'
  /** Its coin can be spent. */
  | 'open'
  /** A signed transaction spends its coin. */
  | 'redeeming';

/** A line of the list: a coin, or an address without one. */
export interface BondRow {
  /** `2027-06`. */
  readonly month: string;
  /** Unix seconds. */
  readonly lockTime: number;
  readonly address: string;
  readonly path: string;
  /** Whether its key is outside the wallet. */
  readonly outside: boolean;
  readonly outpoint: string | undefined;
  /** Satoshi; 0 without a coin. */
  readonly value: number;
  readonly confirmations: number;
  readonly state: BondState;
  /** Height of the last block in which its certificate is valid; undefined without one. */
  readonly certifiedUntil: number | undefined;
  /** What to do now, one sentence. */
  readonly next: string;
  /** What is wrong with it, one sentence each. */
  readonly warnings: readonly string[];
}

/** What the list is made from. */
export interface BondListInput {
  /** All coins of the wallet; others than bonds are ignored. */
  readonly coins: readonly WalletCoin[];
  /** Of the wallet's own keys. */
  readonly places: readonly BondPlace[];
  /** Of keys outside the wallet. */
  readonly outside: readonly BondPlace[];
  readonly certificates: readonly BondCertificate[];
  readonly tip: BlockInfo;
  /** Unix seconds by the clock of this machine. */
  readonly now: number;
}

function coinState(
  coin: WalletCoin,
  lockTime: number,
  certificate: BondCertificate | undefined,
  tip: BlockInfo,
): BondState {
  if (coin.hold === 'signed') return 'redeeming';
  if (coin.confirmations === 0) return 'confirming';
  if (isBondOpen(lockTime, tip.medianTime)) return 'open';
  if (certificate === undefined) return 'uncertified';
  if (certificate.certSignature === undefined) return 'awaiting-signature';
  return certExpired(certificate.certExpiry, tip.height) ? 'certificate-expired' : 'certified';
}

function nextStep(
  state: BondState,
  place: { readonly lockTime: number; readonly outside: boolean },
  coin: WalletCoin | undefined,
  now: number,
): string {
  const name = coin === undefined ? '' : formatOutpoint(coin);
  const certify = place.outside ? `cold-message ${name} FILE` : `certify ${name}`;
  switch (state) {
    case 'unfunded':
      return place.lockTime <= now
        ? 'its month has passed: a coin that comes now can be redeemed at once'
        : 'pay one coin to this address; a second coin would be a second bond, not a larger one';
    case 'confirming':
      return 'wait until its coin is in a block';
    case 'uncertified':
      return `let a maker prove it: bond ${certify}`;
    case 'awaiting-signature':
      return 'sign the message with the key of the coin, then: bond cold-import FILE';
    case 'certified':
      return `locked until ${shownTime(place.lockTime)}`;
    case 'certificate-expired':
      return `its certificate has expired, renew it: bond ${certify}`;
    case 'open':
      return place.outside
        ? `the lock is over: bond redeem ${name} ADDRESS writes a PSBT for its key`
        : `the lock is over: bond redeem ${name} ADDRESS`;
    case 'redeeming':
      return `${coin?.signedFor ?? 'a transaction'} spends it: wait until that is in a block`;
  }
}

function coinWarnings(coin: WalletCoin, others: readonly WalletCoin[]): readonly string[] {
  const more = others.filter(({ script }) => script === coin.script).length - 1;
  if (more < 1) return [];
  const text =
    `${counted(more, 'other coin')} came to the same address: each coin is a bond of its own, a maker proves ` +
    'one of them, and to redeem them links them';
  return [text];
}

/**
 * All funded bonds, and the addresses that were handed out and have no coin, in the order of the lock
 * times. Several coins at one address are several bonds.
 */
export function listBonds(input: BondListInput): readonly BondRow[] {
  const { coins, places, outside, certificates, tip, now } = input;
  const bonds = coins.filter(({ lockTime }) => lockTime !== undefined);
  const funded = new Set(bonds.map(({ script }) => script));
  const byCoin = new Map(certificates.map((it) => [formatOutpoint(it), it]));
  const outsideScripts = new Set(outside.map(({ script }) => script));
  const rows: BondRow[] = [...places, ...outside]
    .filter(({ handedOut, script }) => handedOut && !funded.has(script))
    .map((place) => ({
      month: monthOf(place.lockTime),
      lockTime: place.lockTime,
      address: place.address,
      path: place.path,
      outside: outsideScripts.has(place.script),
      outpoint: undefined,
      value: 0,
      confirmations: 0,
      state: 'unfunded',
      certifiedUntil: undefined,
      next: nextStep('unfunded', { lockTime: place.lockTime, outside: false }, undefined, now),
      warnings: [],
    }));
  for (const coin of bonds) {
    const lockTime = coin.lockTime ?? 0;
    const certificate = byCoin.get(formatOutpoint(coin));
    const state = coinState(coin, lockTime, certificate, tip);
    const isOutside = coin.outsideKey !== undefined;
    const isSigned = certificate?.certSignature !== undefined;
    rows.push({
      month: monthOf(lockTime),
      lockTime,
      address: coin.address,
      path: coin.path,
      outside: isOutside,
      outpoint: formatOutpoint(coin),
      value: coin.value,
      confirmations: coin.confirmations,
      state,
      certifiedUntil: isSigned ? lastValidHeight(certificate.certExpiry) : undefined,
      next: nextStep(state, { lockTime, outside: isOutside }, coin, now),
      warnings: coinWarnings(coin, bonds),
    });
  }
  return rows.toSorted((a, b) => a.lockTime - b.lockTime || b.value - a.value);
}

const monthOf = (lockTime: number): string =>
  BondMonth.ofLockTime(lockTime)?.toString() ?? shownTime(lockTime);
