/**
 * Verifies proofs of bonds a few signatures at a time: first the signature that binds a proof to the maker
 * and to us, then the certificate (docs/protocol.md, section 11). Answers about certificates are cached.
 */
import type { Clock } from '../channel/ports.js';
import { BoundedMap } from '../kit/bounded-map.js';
import { WorkQueue } from '../kit/cooperative-work.js';
import {
  bondCertificateId,
  verifyBondCertificate,
  verifyBondNicks,
  type FidelityBondProof,
} from '../protocol/fidelity-bond.js';

export interface BondCheckLimits {
  /** Most makers whose bonds are kept; bonds of further ones are ignored. */
  readonly makers: number;
  /** Signature checks in one slice; a check takes 1 to 2 ms. */
  readonly checksPerSlice: number;
  /** Milliseconds in one slice, for slow machines. */
  readonly sliceMs: number;
  /**
   * Milliseconds between slices. This also limits the share of a processor that a flood of proofs can
   * use.
   */
  readonly pauseMs: number;
  /** Certificates whose answer is cached. */
  readonly certificates: number;
}

export interface BondChecksOptions {
  /** Our nick: makers sign their proofs for it. A function where it depends on the maker. */
  readonly nick: string | ((maker: string) => string);
  readonly clock: Clock;
  readonly limits: BondCheckLimits;
  /** Both signatures of the maker's proof are valid. */
  readonly onValid: (maker: string, proof: FidelityBondProof) => void;
  /** A signature is not valid. `detail` says which one, for a person. */
  readonly onInvalid: (maker: string, detail: string) => void;
  /** Called with the number of signatures that the largest and each other slice checked. */
  readonly onSlice?: ((checks: number) => void) | undefined;
}

/** A proof whose signatures are not all verified. */
interface Pending {
  readonly maker: string;
  readonly proof: FidelityBondProof;
  /** The nick signature is valid; the certificate is verified next. */
  nicksHold: boolean;
}

export class BondChecks {
  readonly #options: BondChecksOptions;
  /** One proof for each maker: the newest. */
  readonly #pending = new Map<string, Pending>();
  /** Proofs for which there was no room among the slices. */
  readonly #later = new Set<Pending>();
  /** The oldest first. */
  readonly #certificates: BoundedMap<string, boolean>;
  readonly #slices: WorkQueue;

  constructor(options: BondChecksOptions) {
    const { clock, limits } = options;
    this.#options = options;
    this.#certificates = new BoundedMap(limits.certificates);
    this.#slices = new WorkQueue({
      clock,
      unitsPerSlice: limits.checksPerSlice,
      sliceMs: limits.sliceMs,
      pauseMs: limits.pauseMs,
      most: limits.makers * 2,
      onSlice: (checks) => {
        options.onSlice?.(checks);
        this.#checkLater();
      },
    });
  }

  /** Signatures that wait to be verified. */
  get waiting(): number {
    return this.#slices.waiting + this.#later.size;
  }

  /** Verifies this proof, instead of an earlier one of the maker. */
  add(maker: string, proof: FidelityBondProof): void {
    this.remove(maker);
    const pending: Pending = { maker, proof, nicksHold: false };
    this.#pending.set(maker, pending);
    this.#checkInTurn(pending);
  }

  /** The proof of this maker is no longer needed. */
  remove(maker: string): void {
    const pending = this.#pending.get(maker);
    if (!pending) return;
    this.#pending.delete(maker);
    this.#later.delete(pending);
  }

  close(): void {
    this.#slices.close();
    this.#later.clear();
    this.#pending.clear();
  }

  /** Its next signature is checked when its turn comes. */
  #checkInTurn(pending: Pending): void {
    if (this.#later.size > 0 || !this.#check(pending)) this.#later.add(pending);
  }

  /** A slice is done, so there is room again. */
  #checkLater(): void {
    for (const pending of this.#later) {
      if (!this.#check(pending)) return;
      this.#later.delete(pending);
    }
  }

  /** False when there is no room among the slices. */
  #check(pending: Pending): boolean {
    const { maker, proof, nicksHold } = pending;
    const cost = nicksHold ? this.#certificateCost(proof) : 1;
    return this.#slices.push(cost, () => {
      if (this.#pending.get(maker) !== pending) return;
      if (nicksHold) this.#checkCertificate(pending);
      else this.#checkNicks(pending);
    });
  }

  #checkNicks(pending: Pending): void {
    const { maker, proof } = pending;
    const { nick, onInvalid } = this.#options;
    if (!verifyBondNicks(proof, maker, typeof nick === 'string' ? nick : nick(maker))) {
      this.#pending.delete(maker);
      return onInvalid(maker, 'the proof was not signed for this maker and for us');
    }
    pending.nicksHold = true;
    this.#checkInTurn(pending);
  }

  #checkCertificate({ maker, proof }: Pending): void {
    const { onValid, onInvalid } = this.#options;
    this.#pending.delete(maker);
    if (this.#certificateHolds(proof)) onValid(maker, proof);
    else onInvalid(maker, 'the coins did not sign this certificate');
  }

  #certificateCost(proof: FidelityBondProof): number {
    return this.#certificates.has(bondCertificateId(proof)) ? 0 : 2;
  }

  #certificateHolds(proof: FidelityBondProof): boolean {
    const id = bondCertificateId(proof);
    const known = this.#certificates.get(id);
    if (known !== undefined) return known;
    const holds = verifyBondCertificate(proof);
    this.#certificates.set(id, holds);
    return holds;
  }
}
