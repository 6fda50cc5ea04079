/** A wallet of the soak: a real folder on disk, and the accountant's keys of the same seed. */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import type { Chain } from '../../../src/chain/ports.js';
import { newWalletSecret } from '../../../src/wallet/new-wallet.js';
import { seedOf } from '../../../src/wallet/seed.js';
import { createWalletStore, openWalletStore } from '../../../src/wallet/store/store.js';
import { Wallet } from '../../../src/wallet/wallet.js';
import { PartyKeys } from './party-keys.js';
import { NETWORK } from './settings.js';

const PASSWORD = 'soak';
/** A cheap password check: nobody attacks these files. */
const COST = { log2N: 4, r: 8, p: 1 };

export const unixTime = (): number => Math.floor(Date.now() / 1000);

export class SoakWallet {
  readonly keys: PartyKeys;
  readonly #folder: string;
  readonly #chain: Chain;
  #wallet: Wallet | undefined;

  private constructor(folder: string, chain: Chain, keys: PartyKeys) {
    this.#folder = folder;
    this.#chain = chain;
    this.keys = keys;
  }

  /** @param entropy of the seed, 16 bytes */
  static async create(
    place: string,
    name: string,
    chain: Chain,
    terms: { readonly entropy: Uint8Array; readonly mixdepths: number },
  ): Promise<SoakWallet> {
    const entropy = Buffer.from(terms.entropy).toString('hex');
    const { height } = await chain.tip();
    const { secret } = await newWalletSecret({
      network: NETWORK,
      kind: 'native',
      mixdepths: terms.mixdepths,
      birthHeight: height,
      created: unixTime(),
      seed: seedOf(entropy),
      passphrase: '',
    });
    const folder = join(place, name);
    const store = await createWalletStore(folder, { secret, password: PASSWORD }, { cost: COST });
    const keys = new PartyKeys(name, entropy, terms.mixdepths);
    const made = new SoakWallet(folder, chain, keys);
    made.#wallet = await Wallet.open({ store, chain, unixTime, randomBytes });
    await made.sync();
    return made;
  }

  get open(): Wallet {
    if (this.#wallet === undefined) throw new Error(`the wallet in ${this.#folder} is closed`);
    return this.#wallet;
  }

  async sync(): Promise<void> {
    await this.open.sync({ signal: new AbortController().signal });
  }

  async close(): Promise<void> {
    const wallet = this.#wallet;
    this.#wallet = undefined;
    await wallet?.close();
  }

  /** Closes it and reads its folder again. */
  async reopen(): Promise<void> {
    await this.close();
    const store = await openWalletStore(this.#folder, PASSWORD, { mode: 'write', cost: COST });
    this.#wallet = await Wallet.open({ store, chain: this.#chain, unixTime, randomBytes });
    await this.sync();
  }
}
