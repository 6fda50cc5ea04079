/**
 * The fidelity bonds of a wallet: addresses, certificates made by the wallet or elsewhere, and redemption.
 * The key of a bond never leaves `keys.ts`; a bond file has a certified key only.
 */
import { isBondOpen, type BondMonth } from '../bitcoin/bond.js';
import type { BlockInfo, Chain } from '../chain/ports.js';
import { formatOutpoint, type Outpoint } from '../protocol/outpoint.js';
import { WalletError, type PaymentPlan, type WalletCoin } from '../wallet/api.js';
import { shownTime } from '../wallet/payment/eligible.js';
import type { Payments } from '../wallet/payment/send.js';
import type { BondPlace } from '../wallet/requests.js';
import type { Wallet } from '../wallet/wallet.js';
import { listBonds, type BondRow } from './bond-list.js';
import {
  bondCoinOf,
  BondCertificates,
  type CertifiedBond,
  type ColdMessage,
} from './bond-certificates.js';
import { rehearse } from './rehearsal.js';

/** What bonds need. */
export interface OwnBondsOptions {
  /** Synced to the tip. */
  readonly wallet: Wallet;
  readonly chain: Chain;
  readonly payments: Payments;
  /** The clock of this machine, in Unix seconds. */
  readonly unixTime: () => number;
}

/** An address for a bond, and how far its test spend went. */
export interface NewBondAddress {
  readonly place: BondPlace;
  /** One sentence. */
  readonly rehearsal: string;
}

/** The bonds of an open wallet. */
export class OwnBonds {
  readonly #wallet: Wallet;
  readonly #chain: Chain;
  readonly #payments: Payments;
  readonly #unixTime: () => number;
  readonly #certificates: BondCertificates;

  constructor({ wallet, chain, payments, unixTime }: OwnBondsOptions) {
    this.#wallet = wallet;
    this.#chain = chain;
    this.#payments = payments;
    this.#unixTime = unixTime;
    this.#certificates = new BondCertificates(wallet, chain);
  }

  /** All bonds with their state and next step. */
  async list(signal?: AbortSignal): Promise<readonly BondRow[]> {
    return listBonds({
      coins: this.#wallet.coins(),
      places: this.#wallet.bondPlaces(),
      outside: this.#wallet.outsideBonds(),
      certificates: this.#wallet.certificates(),
      tip: await this.#chain.tip(signal),
      now: this.#unixTime(),
    });
  }

  /**
   * The address of a month, after a test spend of it was valid. With a public key (compressed, hex) the key
   * is outside the wallet, which watches the address from now on and cannot test it.
   * @throws WalletError `request` for a month that has passed, and after a failed test.
   */
  async address(
    month: BondMonth,
    publicKey?: string,
    signal?: AbortSignal,
  ): Promise<NewBondAddress> {
    const tip = await this.#chain.tip(signal);
    if (month.lockTime <= Math.max(tip.medianTime, this.#unixTime())) {
      throw new WalletError(
        'request',
        `${month.toString()} has passed: a bond is locked until the first day of a later month`,
      );
    }
    if (publicKey !== undefined) {
      const place = await this.#wallet.watchOutsideBond(publicKey, month.index);
      const rehearsal =
        'its key is outside the wallet: try there that it can sign the script before you pay a large amount';
      return { place, rehearsal };
    }
    const spend = this.#wallet.rehearseBond(month.index);
    const rehearsal = await rehearse(spend, month.lockTime, this.#chain, signal);
    const place = await this.#wallet.handOutBond(month.index);
    if (place.script !== spend.spent.script) {
      throw new WalletError(
        'request',
        'the test spend was made for another address: report this fault',
      );
    }
    return { place, rehearsal };
  }

  /** Certifies a fresh key with the key of a bond: see `BondCertificates.certify`. */
  certify(outpoint: Outpoint, periods?: number, signal?: AbortSignal): Promise<CertifiedBond> {
    return this.#certificates.certify(outpoint, periods, signal);
  }

  /** The message to sign elsewhere: see `BondCertificates.coldMessage`. */
  coldMessage(outpoint: Outpoint, periods?: number, signal?: AbortSignal): Promise<ColdMessage> {
    return this.#certificates.coldMessage(outpoint, periods, signal);
  }

  /** Takes a signature that was made elsewhere: see `BondCertificates.coldImport`. */
  coldImport(text: string): Promise<CertifiedBond> {
    return this.#certificates.coldImport(text);
  }

  /**
   * Plans the spending of a bond whose lock is over, everything to one script. For a bond with a key outside
   * the wallet, `Payments.psbt` writes it for that key.
   * @throws WalletError `held` before the median time of the chain is beyond the lock; the text says when.
   */
  async planRedeem(
    outpoint: Outpoint,
    script: string,
    feePerKb: number,
    acceptAbsurdFee?: boolean,
    signal?: AbortSignal,
  ): Promise<PaymentPlan> {
    const coin = bondCoinOf(this.#wallet, outpoint);
    const tip = await this.#chain.tip(signal);
    this.#checkOpen(coin, tip);
    const { mixdepth } = coin;
    return this.#payments.plan(
      { amount: 'all', script, coins: [outpoint], mixdepth, feePerKb, acceptAbsurdFee },
      signal,
    );
  }

  #checkOpen(coin: WalletCoin, tip: BlockInfo): void {
    const lockTime = coin.lockTime ?? 0;
    if (isBondOpen(lockTime, tip.medianTime)) return;
    throw new WalletError(
      'held',
      `the bond ${formatOutpoint(coin)} is locked until ${shownTime(lockTime)}: it can be redeemed when the ` +
        `median time of the blocks is later, about an hour after that; now it is ${shownTime(tip.medianTime)}`,
    );
  }
}
