/**
 * The fidelity bonds of a wallet: addresses, certificates made by the wallet or elsewhere, and redemption.
 * The key of a bond never leaves `keys.ts`; a bond file has a certified key only.
 */
import { bytesToHex, hexToBytes } from '@noble/hashes/utils.js';
import { isBondOpen, type BondMonth } from '../bitcoin/bond.js';
import type { BlockInfo, Chain } from '../chain/ports.js';
import type { OwnBond } from '../protocol/fidelity-bond.js';
import { formatOutpoint, type Outpoint } from '../protocol/outpoint.js';
import { formatBondFile } from '../protocol/own-bond.js';
import { WalletError, type PaymentPlan, type WalletCoin } from '../wallet/api.js';
import { shownTime } from '../wallet/payment/eligible.js';
import type { Payments } from '../wallet/payment/send.js';
import type { BondCertificate, BondPlace } from '../wallet/requests.js';
import type { Wallet } from '../wallet/wallet.js';
import { listBonds, type BondRow } from './bond-list.js';
import {
  certifiedBond,
  certifiedKey,
  COLD_PERIODS,
  coldMessageBytes,
  expiryAfter,
  lastValidHeight,
  newRequest,
  type BondCoin,
  type CertificateRequest,
} from './certificate.js';
import { parseColdSignature } from './cold-signature.js';
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

/** A bond that a maker can prove. */
export interface CertifiedBond {
  readonly bond: OwnBond;
  /** The content of the bond file. It has the certified key: write it with mode 0600. */
  readonly file: string;
  /** Height of the last block in which the certificate is valid. */
  readonly lastHeight: number;
}

/** A message to sign with the key of a bond. */
export interface ColdMessage {
  /** The bytes to sign as a Bitcoin message; no line end belongs to them. */
  readonly bytes: Uint8Array;
  readonly address: string;
  readonly lastHeight: number;
}

/** The bonds of an open wallet. */
export class OwnBonds {
  readonly #wallet: Wallet;
  readonly #chain: Chain;
  readonly #payments: Payments;
  readonly #unixTime: () => number;

  constructor({ wallet, chain, payments, unixTime }: OwnBondsOptions) {
    this.#wallet = wallet;
    this.#chain = chain;
    this.#payments = payments;
    this.#unixTime = unixTime;
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

  /**
   * Certifies a fresh key with the key of a bond, for this many difficulty periods of two weeks.
   * @throws WalletError `coin`, `held` or `request` when this bond cannot be certified here.
   */
  async certify(outpoint: Outpoint, periods = 1, signal?: AbortSignal): Promise<CertifiedBond> {
    const coin = this.#bond(outpoint);
    if (coin.outsideKey !== undefined) {
      throw new WalletError(
        'request',
        `the key of ${formatOutpoint(coin)} is outside the wallet: use bond cold-message`,
      );
    }
    const request = await this.#request(coin, periods, signal);
    const signature = this.#wallet.certify(coin, certifiedKey(request), request.expiry);
    return this.#finish(request, hexToBytes(signature));
  }

  /**
   * The message that certifies a fresh key, to be signed elsewhere with the key of a bond. The fresh key is
   * kept in the journal until its signature comes.
   */
  async coldMessage(
    outpoint: Outpoint,
    periods = COLD_PERIODS,
    signal?: AbortSignal,
  ): Promise<ColdMessage> {
    const coin = this.#bond(outpoint);
    const request = await this.#pending(coin, periods, signal);
    return {
      bytes: coldMessageBytes(request),
      address: coin.address,
      lastHeight: lastValidHeight(request.expiry),
    };
  }

  /**
   * Takes a signature that was made elsewhere (base64: DER, or the 65 bytes of a signed message), and
   * finds the bond whose message it signs.
   * @throws WalletError `request` when it has no such form, or signs no message of this wallet.
   */
  async coldImport(text: string): Promise<CertifiedBond> {
    const signature = parseColdSignature(text);
    if (!signature.ok) {
      throw new WalletError(
        'request',
        'the file has no signature: it is base64 of a DER signature, or of the 65 bytes of a signed message',
      );
    }
    for (const certificate of this.#wallet.certificates()) {
      const coin = this.#wallet
        .coins()
        .find((it) => formatOutpoint(it) === formatOutpoint(certificate));
      if (coin === undefined || certificate.certSignature !== undefined) continue;
      const request: CertificateRequest = {
        coin: this.#bondCoin(coin),
        privateKey: hexToBytes(certificate.certPrivateKey),
        expiry: certificate.certExpiry,
      };
      if (certifiedBond(request, signature.value) === undefined) continue;
      return this.#finish(request, signature.value);
    }
    throw new WalletError(
      'request',
      'the signature is not by the key of a bond over the message of bond cold-message: write the message ' +
        'again, and sign exactly its text',
    );
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
    signal?: AbortSignal,
  ): Promise<PaymentPlan> {
    const coin = this.#bond(outpoint);
    const tip = await this.#chain.tip(signal);
    this.#checkOpen(coin, tip);
    return this.#payments.plan(
      { amount: 'all', script, coins: [outpoint], mixdepth: coin.mixdepth, feePerKb },
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

  #bond(outpoint: Outpoint): WalletCoin {
    const coin = this.#wallet.coin(outpoint);
    if (coin.lockTime !== undefined) return coin;
    throw new WalletError('coin', `the coin ${formatOutpoint(outpoint)} is not a bond`);
  }

  #bondCoin(coin: WalletCoin): BondCoin {
    const { txid, vout, lockTime = 0, outsideKey } = coin;
    const publicKey = outsideKey ?? bytesToHex(this.#wallet.publicKeyOf(coin));
    return { txid, vout, lockTime, publicKey };
  }

  async #request(
    coin: WalletCoin,
    periods: number,
    signal: AbortSignal | undefined,
  ): Promise<CertificateRequest> {
    const name = formatOutpoint(coin);
    if (coin.confirmations === 0) {
      throw new WalletError(
        'held',
        `the bond ${name} is not in a block yet: certify it after that`,
      );
    }
    if (coin.hold === 'signed') {
      throw new WalletError(
        'held',
        `the bond ${name} is being redeemed by ${coin.signedFor ?? ''}`,
      );
    }
    const tip = await this.#chain.tip(signal);
    return newRequest(this.#bondCoin(coin), expiryAfter(tip.height, periods));
  }

  /** The request whose signature is awaited, so that a message is the same each time; or a new one. */
  async #pending(
    coin: WalletCoin,
    periods: number,
    signal: AbortSignal | undefined,
  ): Promise<CertificateRequest> {
    const fresh = await this.#request(coin, periods, signal);
    const kept = this.#wallet
      .certificates()
      .find((it) => formatOutpoint(it) === formatOutpoint(coin));
    if (kept?.certSignature === undefined && kept?.certExpiry === fresh.expiry) {
      return { ...fresh, privateKey: hexToBytes(kept.certPrivateKey) };
    }
    await this.#wallet.saveCertificate(recordOf(fresh, undefined));
    return fresh;
  }

  /** Keeps the certificate, and makes the file of it. */
  async #finish(request: CertificateRequest, signature: Uint8Array): Promise<CertifiedBond> {
    const bond = certifiedBond(request, signature);
    if (bond === undefined) {
      throw new WalletError('request', 'the certificate is not valid: it was not written');
    }
    await this.#wallet.saveCertificate(recordOf(request, signature));
    const file = formatBondFile({ network: this.#wallet.network, bond });
    return { bond, file, lastHeight: lastValidHeight(request.expiry) };
  }
}

function recordOf(
  { coin, privateKey, expiry }: CertificateRequest,
  signature: Uint8Array | undefined,
): BondCertificate {
  return {
    txid: coin.txid,
    vout: coin.vout,
    certPrivateKey: bytesToHex(privateKey),
    certExpiry: expiry,
    certSignature: signature === undefined ? undefined : bytesToHex(signature),
  };
}
