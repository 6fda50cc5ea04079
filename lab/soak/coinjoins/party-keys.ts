/**
 * The keys of a party, derived from its seed with the libraries and not with the wallet under test. The
 * accountant recognises scripts by them, and a dishonest maker spends its coins behind its wallet's back.
 */
import { HDKey } from '@scure/bip32';
import { entropyToMnemonic, mnemonicToSeedSync } from '@scure/bip39';
import { wordlist } from '@scure/bip39/wordlists/english.js';
import { ripemd160 } from '@noble/hashes/legacy.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex, hexToBytes } from '@noble/hashes/utils.js';
import { Transaction } from '@scure/btc-signer/transaction.js';

/** Branches of a mixdepth: deposits, then coinjoin outputs and change (BIP84). */
const BRANCHES = [0, 1] as const;
/** Scripts derived beyond the last one that was used. */
const AHEAD = 20;
const FINAL = 0xffff_fffd;

/** A coin as the chain shows it. */
export interface KnownCoin {
  readonly txid: string;
  readonly vout: number;
  /** Lower-case hex. */
  readonly script: string;
  /** Satoshi. */
  readonly value: number;
}

interface Range {
  readonly key: HDKey;
  derived: number;
  used: number;
}

const scriptOf = (publicKey: Uint8Array): string =>
  `0014${bytesToHex(ripemd160(sha256(publicKey)))}`;

export class PartyKeys {
  readonly name: string;
  readonly #ranges: Range[] = [];
  readonly #places = new Map<string, { readonly range: Range; readonly index: number }>();

  /** @param entropy of the seed words, hex */
  constructor(name: string, entropy: string, mixdepths: number) {
    this.name = name;
    const words = entropyToMnemonic(hexToBytes(entropy), wordlist);
    const master = HDKey.fromMasterSeed(mnemonicToSeedSync(words));
    for (let mixdepth = 0; mixdepth < mixdepths; mixdepth += 1) {
      for (const branch of BRANCHES) {
        const key = master.derive(`m/84'/1'/${mixdepth}'/${branch}`);
        this.#ranges.push({ key, derived: 0, used: -1 });
      }
    }
    this.extend();
  }

  /** Every script derived so far. */
  get scripts(): readonly string[] {
    return [...this.#places.keys()];
  }

  /** Whether the script is the party's. The ranges grow with what was used. */
  owns(script: string): boolean {
    const place = this.#places.get(script);
    if (place === undefined) return false;
    const { range, index } = place;
    if (index > range.used) {
      range.used = index;
      this.extend();
    }
    return true;
  }

  /** Derives what is missing of each range, and `more` beyond that. */
  extend(more = 0): void {
    for (const range of this.#ranges) {
      const until = Math.max(range.used + 1 + AHEAD, range.derived + more);
      for (; range.derived < until; range.derived += 1) {
        const { publicKey } = range.key.deriveChild(range.derived);
        if (publicKey === null) throw new Error('a derived key has a public key');
        this.#places.set(scriptOf(publicKey), { range, index: range.derived });
      }
    }
  }

  /** Private and public key of one of its scripts. */
  keysOf(script: string): { readonly secret: Uint8Array; readonly publicKey: Uint8Array } {
    const place = this.#places.get(script);
    const key = place?.range.key.deriveChild(place.index);
    if (!key?.privateKey || !key.publicKey) throw new Error(`${this.name} has no key of ${script}`);
    return { secret: key.privateKey, publicKey: key.publicKey };
  }

  /** A signed transaction of its coins that pays one script, past the wallet. */
  spend(coins: readonly KnownCoin[], script: string, fee: number): Uint8Array {
    const tx = new Transaction({ version: 2 });
    for (const { txid, vout, script: from, value } of coins) {
      tx.addInput({
        txid,
        index: vout,
        sequence: FINAL,
        witnessUtxo: { script: hexToBytes(from), amount: BigInt(value) },
      });
    }
    const sum = coins.reduce((total, { value }) => total + value, 0);
    tx.addOutput({ script: hexToBytes(script), amount: BigInt(sum - fee) });
    coins.forEach((coin, index) => tx.signIdx(this.keysOf(coin.script).secret, index));
    tx.finalize();
    return tx.toBytes(true, true);
  }
}
