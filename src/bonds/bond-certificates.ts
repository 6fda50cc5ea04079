/** Certificates of a wallet's bonds, signed with its own keys or elsewhere. */
import { bytesToHex, hexToBytes } from '@noble/hashes/utils.js';
import type { Chain } from '../chain/ports.js';
import type { OwnBond } from '../protocol/fidelity-bond.js';
import { formatOutpoint, type Outpoint } from '../protocol/outpoint.js';
import { formatBondFile } from '../protocol/own-bond.js';
import { WalletError, type WalletCoin } from '../wallet/api.js';
import type { BondCertificate } from '../wallet/requests.js';
import type { Wallet } from '../wallet/wallet.js';
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

/** A coin of the wallet that is a bond. Throws a WalletError (`coin`) for others. */
export function bondCoinOf(wallet: Wallet, outpoint: Outpoint): WalletCoin {
  const coin = wallet.coin(outpoint);
  if (coin.lockTime !== undefined) return coin;
  throw new WalletError('coin', `the coin ${formatOutpoint(outpoint)} is not a bond`);
}

/** The certificates of an open wallet. */
export class BondCertificates {
  readonly #wallet: Wallet;
  readonly #chain: Chain;

  constructor(wallet: Wallet, chain: Chain) {
    this.#wallet = wallet;
    this.#chain = chain;
  }

  /**
   * Certifies a fresh key with the key of a bond, for this many difficulty periods of two weeks.
   * @throws WalletError `coin`, `held` or `request` when this bond cannot be certified here.
   */
  async certify(outpoint: Outpoint, periods = 1, signal?: AbortSignal): Promise<CertifiedBond> {
    const coin = bondCoinOf(this.#wallet, outpoint);
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
    const coin = bondCoinOf(this.#wallet, outpoint);
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
