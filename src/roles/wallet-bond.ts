/**
 * The fidelity bond that a maker announces from its wallet: the most valuable one, with a certificate for a
 * fresh key. Only the certified key is kept in memory.
 */
import { hexToBytes } from '@noble/hashes/utils.js';
import { BondCertificates } from '../bonds/bond-certificates.js';
import { certifiedBond } from '../bonds/certificate.js';
import type { Chain } from '../chain/ports.js';
import { lockedBonds, mostValuableBond, type BondChoice } from '../maker/bond-choice.js';
import { certExpired, type BondPolicy, type OwnBond } from '../protocol/fidelity-bond.js';
import { formatOutpoint } from '../protocol/outpoint.js';
import type { Wallet } from '../wallet/wallet.js';

/** A bond with the certificate that proves it. */
export interface AnnouncedBond {
  readonly bond: OwnBond;
  /** `txid:vout`. */
  readonly outpoint: string;
  readonly lockTime: number;
  /** As takers value it; undefined for a bond of a file whose coin no node was asked about. */
  readonly value: number | undefined;
}

export class WalletBonds {
  readonly #wallet: Wallet;
  readonly #chain: Chain;
  readonly #policy: BondPolicy;
  readonly #certificates: BondCertificates;
  /** Header times by block hash and height would be exact; a reorganisation changes a value by little. */
  readonly #times = new Map<number, number>();

  constructor(wallet: Wallet, chain: Chain, policy: BondPolicy) {
    this.#wallet = wallet;
    this.#chain = chain;
    this.#policy = policy;
    this.#certificates = new BondCertificates(wallet, chain);
  }

  /**
   * The most valuable bond with a fresh certificate; undefined without a bond. Rejects with a `ChainError`,
   * a `WalletError` or a `WalletStoreError`.
   */
  async fresh(signal: AbortSignal): Promise<AnnouncedBond | undefined> {
    const best = await this.#best(signal);
    return best && this.#certify(best, signal);
  }

  /**
   * The same bond while it is the most valuable one and its certificate is valid; another one otherwise.
   * Rejects as `fresh`.
   */
  async renewed(
    current: AnnouncedBond | undefined,
    signal: AbortSignal,
  ): Promise<AnnouncedBond | undefined> {
    const best = await this.#best(signal);
    if (best === undefined) return undefined;
    const isSame = current?.outpoint === formatOutpoint(best.coin);
    if (!isSame || certExpired(current.bond.certExpiry, this.#wallet.height)) {
      return this.#certify(best, signal);
    }
    return { ...current, value: best.value };
  }

  async #best(signal: AbortSignal): Promise<BondChoice | undefined> {
    const coins = this.#wallet.coins();
    if (coins.every(({ lockTime }) => lockTime === undefined)) return undefined;
    const tip = await this.#chain.tip(signal);
    for (const { height } of lockedBonds(coins, tip)) {
      if (this.#times.has(height)) continue;
      // oxlint-disable-next-line no-await-in-loop -- a wallet has few bonds
      const block = await this.#chain.blockAt(height, signal);
      if (block !== undefined) this.#times.set(height, block.time);
    }
    return mostValuableBond({
      coins,
      certificates: this.#wallet.certificates(),
      tip,
      timeOf: (height) => this.#times.get(height),
      policy: this.#policy,
    });
  }

  async #certify(
    { coin, lockTime, value, certificate }: BondChoice,
    signal: AbortSignal,
  ): Promise<AnnouncedBond | undefined> {
    const { txid, vout, outsideKey } = coin;
    const outpoint = formatOutpoint(coin);
    if (certificate?.certSignature === undefined) {
      const { bond } = await this.#certificates.certify(coin, 1, signal);
      return { bond, outpoint, lockTime, value };
    }
    const bond = certifiedBond(
      {
        coin: { txid, vout, lockTime, publicKey: outsideKey ?? '' },
        privateKey: hexToBytes(certificate.certPrivateKey),
        expiry: certificate.certExpiry,
      },
      hexToBytes(certificate.certSignature),
    );
    return bond && { bond, outpoint, lockTime, value };
  }
}
