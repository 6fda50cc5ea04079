/**
 * The proofs that a taker shows to makers, in the order in which they are tried: of the coins that are spent,
 * then of the other coins of their mixdepth, then of coins of other wallets. A coin must be old and large
 * enough for makers. A proof is reserved in the journal before its commitment leaves, and used when a maker
 * is about to see it.
 */
import { keyOwnsScript } from '../bitcoin/script.js';
import { hexToBytes } from '@noble/hashes/utils.js';
import type { Chain, ChainCoin } from '../chain/ports.js';
import { formatOutpoint, type Outpoint } from '../protocol/outpoint.js';
import type { Podle } from '../protocol/podle.js';
import { nameCoin } from '../negotiation/coin-metadata.js';
import type { WalletCoin } from '../wallet/api.js';
import type { Wallet } from '../wallet/wallet.js';
import type { CommitmentCoin } from './api.js';
import type { TakerCommitmentsFile } from './commitments-file.js';
import { isProven, type ExternalCoin } from './commitments-json.js';

/** What makers demand of the coin behind a proof. */
export interface CommitmentTerms {
  /** Proofs of one coin (`taker_utxo_retries`). */
  readonly retries: number;
  /** Confirmations (`taker_utxo_age`). */
  readonly age: number;
  /** Least value in percent of the amount (`taker_utxo_amtpercent`). */
  readonly percent: number;
}

/** The defaults of makers. */
export const COMMITMENT_TERMS: CommitmentTerms = { retries: 3, age: 5, percent: 20 };

/** For which coinjoin a proof is. */
export interface CommitmentUse {
  readonly amount: number;
  readonly mixdepth: number;
  /** The coins that are spent. */
  readonly coins: readonly Outpoint[];
}

/** Coins of a mixdepth that are looked at for the plan: each costs operations with the private key. */
const MOST_SHOWN = 30;

export interface TakerCommitmentsOptions {
  readonly wallet: Wallet;
  readonly chain: Chain;
  readonly file: TakerCommitmentsFile;
  readonly terms?: CommitmentTerms | undefined;
}

type Facts = Pick<ChainCoin, 'value' | 'confirmations'>;

export class TakerCommitments {
  readonly #wallet: Wallet;
  readonly #chain: Chain;
  readonly #file: TakerCommitmentsFile;
  readonly #terms: CommitmentTerms;

  constructor({ wallet, chain, file, terms = COMMITMENT_TERMS }: TakerCommitmentsOptions) {
    this.#wallet = wallet;
    this.#chain = chain;
    this.#file = file;
    this.#terms = terms;
  }

  /** The store of used commitments, for a round. */
  get store(): TakerCommitmentsFile {
    return this.#file;
  }

  /**
   * Coins whose proof could be shown, in the order in which they are tried: those that are spent, and the
   * largest other ones. Of coins that makers would refuse, `fault` has the reason.
   */
  async coins(use: CommitmentUse, signal?: AbortSignal): Promise<readonly CommitmentCoin[]> {
    const { retries } = this.#terms;
    const own = this.#ownCoins(use)
      .slice(0, Math.max(MOST_SHOWN, use.coins.length))
      .map((coin): CommitmentCoin => {
        const { txid, vout, value, confirmations } = coin;
        const fault = this.#fault(coin, use.amount);
        const triesLeft = this.#wallet.commitments.left(coin, retries, this.#isUsedElsewhere);
        return { txid, vout, value, confirmations, triesLeft, fault, external: false };
      });
    const external = this.#file.external.slice(0, MOST_SHOWN);
    const found = external.length === 0 ? [] : await this.#chain.coins(external, signal);
    const others = external.map((coin, n): CommitmentCoin => {
      const { txid, vout } = coin;
      const facts = found[n];
      const { value = 0, confirmations = 0 } = facts ?? {};
      const triesLeft = this.#unusedProofs(coin).length;
      const fault = this.#externalFault(coin, facts, use.amount);
      return { txid, vout, value, confirmations, triesLeft, fault, external: true };
    });
    return [...own, ...others];
  }

  /** Reserves the next unused proof. Undefined when none is left. */
  async reserve(use: CommitmentUse, signal?: AbortSignal): Promise<Podle | undefined> {
    for (const coin of this.#ownCoins(use)) {
      if (this.#fault(coin, use.amount) !== undefined) continue;
      // oxlint-disable-next-line no-await-in-loop -- the next coin is tried when this one has no proof
      const podle = await this.#reserveOwn(coin, use.amount, signal);
      if (podle !== undefined) return podle;
    }
    for (const coin of this.#file.external) {
      // oxlint-disable-next-line no-await-in-loop
      const podle = await this.#reserveExternal(coin, use.amount, signal);
      if (podle !== undefined) return podle;
    }
    return undefined;
  }

  /** A maker is about to see the proof. The file is written by the round (`store`). */
  use({ commitment }: Podle): Promise<void> {
    return this.#wallet.commitments.use(commitment);
  }

  /** No maker saw the proof. */
  free({ commitment }: Podle): Promise<void> {
    return this.#wallet.commitments.free(commitment);
  }

  readonly #isUsedElsewhere = (commitment: string): boolean => this.#file.has(commitment);

  /** The coins that are spent, then those of the mixdepth that are not held for another transaction. */
  #ownCoins({ coins, mixdepth }: CommitmentUse): readonly WalletCoin[] {
    const spent = new Set(coins.map(formatOutpoint));
    const usable = this.#wallet
      .coins()
      .filter(
        (coin) =>
          coin.mixdepth === mixdepth &&
          coin.lockTime === undefined &&
          (spent.has(formatOutpoint(coin)) || coin.hold === undefined),
      )
      .toSorted((a, b) => b.confirmations - a.confirmations || b.value - a.value);
    const first = usable.filter((coin) => spent.has(formatOutpoint(coin)));
    return [...first, ...usable.filter((coin) => !spent.has(formatOutpoint(coin)))];
  }

  /** Why makers would refuse a coin. */
  #fault({ value, confirmations }: Facts, amount: number): string | undefined {
    const { age, percent } = this.#terms;
    if (confirmations < age) return `it has ${confirmations} of ${age} confirmations`;
    const least = Math.floor((amount * percent) / 100);
    return value < least ? `it has ${value} sat, less than ${percent} % of the amount` : undefined;
  }

  #externalFault(coin: ExternalCoin, found: ChainCoin | undefined, amount: number) {
    if (found === undefined) return 'it is spent, or not known';
    if (!keyOwnsScript(hexToBytes(coin.publicKey), found.script)) return 'its key is another one';
    return this.#fault(found, amount);
  }

  #unusedProofs({ proofs }: ExternalCoin): readonly Podle[] {
    return proofs.filter(
      ({ commitment, index }) =>
        index < this.#terms.retries &&
        !this.#file.has(commitment) &&
        !this.#wallet.commitments.isTaken(commitment),
    );
  }

  async #reserveOwn(
    coin: WalletCoin,
    amount: number,
    signal: AbortSignal | undefined,
  ): Promise<Podle | undefined> {
    const { txid, vout } = coin;
    if (this.#chain.abilities.foreignCoins) {
      // Another copy of this wallet may have spent it.
      const [found] = await this.#chain.coins([{ txid, vout }], signal);
      if (found === undefined || this.#fault(found, amount) !== undefined) return undefined;
    }
    const { retries } = this.#terms;
    const podle = await this.#wallet.commitments.reserve(coin, retries, this.#isUsedElsewhere);
    return podle && named(podle, coin.script, coin.height);
  }

  async #reserveExternal(
    coin: ExternalCoin,
    amount: number,
    signal: AbortSignal | undefined,
  ): Promise<Podle | undefined> {
    const [podle] = this.#unusedProofs(coin).filter(isProven);
    if (podle === undefined) return undefined;
    const { txid, vout } = coin;
    const [found] = await this.#chain.coins([{ txid, vout }], signal);
    if (this.#externalFault(coin, found, amount) !== undefined) return undefined;
    const isReserved = await this.#wallet.commitments.reserveOther(podle.commitment);
    return isReserved ? named(podle, found?.script, found?.height) : undefined;
  }
}

/** With script and height of the coin, for makers without a full node. */
function named(podle: Podle, script: string | undefined, height: number | undefined): Podle {
  const { revelation } = podle;
  return {
    ...podle,
    revelation: { ...revelation, utxo: nameCoin(revelation.utxo, script, height) },
  };
}
