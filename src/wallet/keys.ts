/**
 * The private keys of a wallet. No other file has one. Signing takes a `SigningOrder`, which exists only
 * after the transaction was checked against the journal. Nothing of a key is visible to `JSON.stringify`,
 * a log or an inspection, since it is in private fields. A key of a coin is derived for one call and
 * overwritten after it.
 */
import { HDKey } from '@scure/bip32';
import { mnemonicToSeedSync, mnemonicToSeedWebcrypto } from '@scure/bip39';
import { bytesToHex } from '@noble/hashes/utils.js';
import { signECDSA } from '@scure/btc-signer/utils.js';
import { Transaction } from '@scure/btc-signer/transaction.js';
import { BITCOIN_NETWORKS } from '../bitcoin/network.js';
import { signBondCertificate } from '../protocol/fidelity-bond.js';
import type { NamedOutpoint } from '../protocol/outpoint.js';
import { createPodle, type Podle } from '../protocol/podle.js';
import { signText } from '../protocol/signature.js';
import { BRANCH, WalletError, type KeyPlace } from './api.js';
import { ownScript, scriptCodeOf } from './own-script.js';
import { accountNumbers, lockTimeOf } from './places.js';
import { seedOf } from './seed.js';
import {
  checkSignature,
  SIGHASH_ALL,
  type OrderedSignature,
  type SigningOrder,
} from './signing.js';
import type { WalletSecret } from './store/api.js';

/** What the keys of a wallet are made of. */
export type KeySource = Pick<WalletSecret, 'network' | 'entropy' | 'kind' | 'mixdepths'>;

/** The public half of a mixdepth's account: enough for all its addresses, not for one signature. */
export interface AccountKey {
  readonly mixdepth: number;
  /** Compressed, 33 bytes. */
  readonly publicKey: Uint8Array;
  readonly chainCode: Uint8Array;
}

const HARDENED = 0x8000_0000;

/** The private keys of an open wallet, until `close`. */
export class WalletKeys {
  readonly #source: KeySource;
  /** Master key fingerprint, 8 hex digits (BIP32). */
  readonly fingerprint: string;
  /** By mixdepth. */
  readonly #accounts: readonly HDKey[];
  /** By mixdepth and branch. */
  readonly #branches = new Map<string, HDKey>();
  #closed = false;

  private constructor(source: KeySource, fingerprint: string, accounts: readonly HDKey[]) {
    // Without the entropy: the store owns it.
    this.#source = { ...source, entropy: '' };
    this.fingerprint = fingerprint;
    this.#accounts = accounts;
  }

  /**
   * The keys of a seed with its passphrase (BIP39, NFKD; empty for none). Every passphrase gives a valid
   * wallet: compare the fingerprint.
   */
  static async derive(source: KeySource, passphrase = ''): Promise<WalletKeys> {
    return WalletKeys.#ofSeed(
      source,
      await mnemonicToSeedWebcrypto(seedOf(source.entropy).words, passphrase),
    );
  }

  /** The keys of a wallet without a passphrase, at once: it takes about 0.1 s. */
  static openNow(secret: WalletSecret): WalletKeys {
    const keys = WalletKeys.#ofSeed(secret, mnemonicToSeedSync(seedOf(secret.entropy).words));
    if (keys.fingerprint === secret.fingerprint) return keys;
    keys.close();
    throw new Error(
      'the fingerprint of the wallet file is not that of its seed: nothing was signed',
    );
  }

  static #ofSeed(source: KeySource, seed: Uint8Array): WalletKeys {
    const master = HDKey.fromMasterSeed(seed, BITCOIN_NETWORKS[source.network].bip32);
    seed.fill(0);
    const fingerprint = master.fingerprint.toString(16).padStart(8, '0');
    const [purpose, coin] = accountNumbers(source, 0);
    const above = master.deriveChild(HARDENED + purpose);
    const parent = above.deriveChild(HARDENED + coin);
    const accounts = Array.from({ length: source.mixdepths }, (_, mixdepth) =>
      parent.deriveChild(HARDENED + mixdepth),
    );
    for (const key of [master, above, parent]) key.wipePrivateData();
    return new WalletKeys(source, fingerprint, accounts);
  }

  /**
   * The keys of a wallet file.
   * @throws WalletError `passphrase` when it gives another wallet than that of the file.
   */
  static async open(secret: WalletSecret, passphrase = ''): Promise<WalletKeys> {
    const keys = await WalletKeys.derive(secret, passphrase);
    if (keys.fingerprint === secret.fingerprint) return keys;
    keys.close();
    throw new WalletError(
      'passphrase',
      secret.hasPassphrase
        ? 'this passphrase gives another wallet: type the one that belongs to the seed words'
        : 'this wallet has no passphrase: leave it out',
    );
  }

  /** The public keys of all mixdepths. */
  accounts(): readonly AccountKey[] {
    return this.#accounts.map(({ publicKey, chainCode }, mixdepth) => {
      if (publicKey === null || chainCode === null) throw new Error('an account key is complete');
      return { mixdepth, publicKey, chainCode };
    });
  }

  /** The scriptPubKey of a place, derived by the library from the private key; hex. */
  scriptOf(place: KeyPlace): string {
    return this.#withKey(place, (_, publicKey) =>
      ownScript(this.#source.kind, publicKey, lockTimeOf(place)),
    );
  }

  /**
   * Signs the inputs of a checked order with SIGHASH_ALL, low R and low S, and verifies each signature.
   * @throws WalletError `request` when the key of a place does not own the coin.
   */
  sign(order: SigningOrder): readonly OrderedSignature[] {
    return [...this.signing(order)];
  }

  /** As `sign`, one input at a time: each takes milliseconds. */
  *signing(order: SigningOrder): Generator<OrderedSignature, void> {
    // The library computes the hash that is signed; `checkSignature` computes it independently.
    const transaction = Transaction.fromRaw(order.transaction.bytes, {
      allowUnknownInputs: true,
      allowUnknownOutputs: true,
      disableScriptCheck: true,
    });
    for (const input of order.inputs) {
      yield this.#withKey(input.place, (privateKey, publicKey) => {
        const { kind } = this.#source;
        if (ownScript(kind, publicKey, input.lockTime) !== input.coin.script) {
          throw new WalletError('request', `input ${input.index}: the key does not own this coin`);
        }
        const scriptCode = scriptCodeOf(publicKey, input.lockTime);
        const hash = transaction.preimageWitnessV0(
          input.index,
          scriptCode,
          SIGHASH_ALL,
          BigInt(input.coin.value),
        );
        const signature = Uint8Array.of(...signECDSA(hash, privateKey, true), SIGHASH_ALL);
        checkSignature(order, input, publicKey, signature);
        return { ...input, signature, publicKey };
      });
    }
  }

  /** The key of a place signs the public key of a session's box (docs/protocol.md, section 9.5). */
  signAuth(
    place: KeyPlace,
    boxPublicKey: string,
  ): { readonly publicKey: string; readonly signature: string } {
    return this.#withKey(place, (privateKey, publicKey) => ({
      publicKey: bytesToHex(publicKey),
      signature: signText(boxPublicKey, privateKey),
    }));
  }

  /** The proof of a coin for a number (section 10). */
  podle(place: KeyPlace, coin: NamedOutpoint, index: number): Podle {
    return this.#withKey(place, (privateKey) => createPodle(privateKey, coin, index));
  }

  /** The key of a bond certifies a public key (compressed, hex) until an expiry (section 11.3); DER. */
  certify(place: KeyPlace, certPublicKey: string, certExpiry: number): Uint8Array {
    if (place.branch !== BRANCH.bond) throw new WalletError('coin', 'this coin is not a bond');
    return this.#withKey(place, (privateKey) =>
      signBondCertificate(certPublicKey, certExpiry, privateKey),
    );
  }

  /** Overwrites the keys. Every later call throws. */
  close(): void {
    this.#closed = true;
    for (const key of [...this.#accounts, ...this.#branches.values()]) key.wipePrivateData();
    this.#branches.clear();
  }

  #branch({ mixdepth, branch }: KeyPlace): HDKey {
    const name = `${mixdepth}/${branch}`;
    const known = this.#branches.get(name);
    if (known !== undefined) return known;
    const account = this.#accounts[mixdepth];
    if (account === undefined)
      throw new WalletError('mixdepth', `there is no mixdepth ${mixdepth}`);
    const key = account.deriveChild(branch);
    this.#branches.set(name, key);
    return key;
  }

  #withKey<T>(place: KeyPlace, use: (privateKey: Uint8Array, publicKey: Uint8Array) => T): T {
    if (this.#closed) throw new Error('the keys of the wallet were overwritten');
    const key = this.#branch(place).deriveChild(place.index);
    const { privateKey, publicKey } = key;
    key.wipePrivateData();
    if (privateKey === null || publicKey === null) throw new Error('a key is complete');
    try {
      return use(privateKey, publicKey);
    } finally {
      privateKey.fill(0);
    }
  }
}

/**
 * The first deposit address's script of a seed, to compare a backup with a wallet, and the fingerprint of
 * its master key; hex.
 */
export async function identifySeed(
  source: KeySource,
  passphrase: string,
): Promise<{ readonly fingerprint: string; readonly firstScript: string }> {
  const keys = await WalletKeys.derive({ ...source, mixdepths: 1 }, passphrase);
  try {
    const firstScript = keys.scriptOf({ mixdepth: 0, branch: BRANCH.external, index: 0 });
    return { fingerprint: keys.fingerprint, firstScript };
  } finally {
    keys.close();
  }
}
