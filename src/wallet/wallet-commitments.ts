/**
 * Proofs of coins (PoDLE) that the wallet gives to makers. A proof is reserved before its commitment leaves
 * the program, used when a maker sees the proof, and free again when no maker saw it. A proof that was only
 * reserved when the program ended is free after the next opening.
 */
import type { Outpoint } from '../protocol/outpoint.js';
import type { Podle } from '../protocol/podle.js';
import type { KeyPlace } from './api.js';
import type { WalletJournal } from './journal.js';
import type { WalletKeys } from './keys.js';
import type { WalletRecord } from './records.js';
import type { WalletState } from './state.js';

/** What commitments need of the wallet. */
export interface CommitmentParts {
  readonly journal: WalletJournal;
  /** The private keys. Throws a `WalletError` where they are not there. */
  readonly keys: () => WalletKeys;
  /** Where the key of a coin is. Throws a `WalletError` `coin` for a coin that the wallet cannot sign for. */
  readonly placeOf: (coin: Outpoint) => KeyPlace;
}

/** The commitments of a wallet. Writing calls resolve after their record is on the disk. */
export class WalletCommitments {
  readonly #parts: CommitmentParts;

  constructor(parts: CommitmentParts) {
    this.#parts = parts;
  }

  get #state(): WalletState {
    return this.#parts.journal.state;
  }

  /** Whether it was used, or is reserved. */
  isTaken(commitment: string): boolean {
    return this.#state.isCommitted(commitment);
  }

  /**
   * Reserves the unused proof of a coin with the lowest index below `retries`; undefined when there is
   * none.
   * @param isElsewhere whether a commitment was used by another program with the same seed
   */
  async reserve(
    coin: Outpoint,
    retries: number,
    isElsewhere: (commitment: string) => boolean = () => false,
  ): Promise<Podle | undefined> {
    const keys = this.#parts.keys();
    const place = this.#parts.placeOf(coin);
    return this.#parts.journal.transact((state) => {
      for (let index = 0; index < retries; index++) {
        const podle = keys.podle(place, coin, index);
        const { commitment } = podle;
        if (state.isCommitted(commitment) || isElsewhere(commitment)) continue;
        const name = [coin.txid, coin.vout] as const;
        return { records: [{ kind: 'reserved', commitment, coin: name }], result: podle };
      }
      return { records: [], result: undefined };
    });
  }

  /** Reserves a proof of another wallet's coin. Resolves to whether it was neither reserved nor used. */
  async reserveOther(commitment: string): Promise<boolean> {
    return this.#parts.journal.transact((state) => {
      const isFree = !state.isCommitted(commitment);
      return { records: isFree ? [{ kind: 'reserved', commitment }] : [], result: isFree };
    });
  }

  /** A maker is about to see the proof: it is used from now on. */
  async use(commitment: string): Promise<void> {
    await this.#parts.journal.transact((state) => {
      const coin = state.reservedCommitments.get(commitment);
      const record: WalletRecord = { kind: 'commitment', commitment, ...(coin && { coin }) };
      return { records: state.isUsed(commitment) ? [] : [record], result: undefined };
    });
  }

  /** No maker saw the proof, and none will: it may be reserved again. Does nothing for a used one. */
  async free(commitment: string): Promise<void> {
    await this.#parts.journal.transact((state) => {
      const isReserved = state.reservedCommitments.has(commitment);
      return { records: isReserved ? [{ kind: 'freed', commitment }] : [], result: undefined };
    });
  }

  /** Proofs that are left for a coin. Needs an operation with the private key for each. */
  left(
    coin: Outpoint,
    retries: number,
    isElsewhere: (commitment: string) => boolean = () => false,
  ): number {
    const place = this.#parts.placeOf(coin);
    const proofs = Array.from({ length: retries }, (_, index) =>
      this.#parts.keys().podle(place, coin, index),
    );
    return proofs.filter(({ commitment }) => !this.isTaken(commitment) && !isElsewhere(commitment))
      .length;
  }
}

/** Frees what an earlier run only reserved. The folder has one writer, so no other program holds it. */
export async function freeReserved(journal: WalletJournal): Promise<void> {
  await journal.note((state) =>
    [...state.reservedCommitments.keys()].map((commitment) => ({ kind: 'freed', commitment })),
  );
}
