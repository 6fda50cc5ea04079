/**
 * Fidelity bonds of makers: parsed, verified a few signatures at a time, and valued if a bitcoin node
 * is available (docs/protocol.md, section 11). A proof is bound to our nick and comes only in a signed
 * private message.
 */
import { BoundedMap } from '../kit/bounded-map.js';
import type { Clock } from '../channel/ports.js';
import {
  bondCertificateId,
  parseFidelityBond,
  verifyBondCertificate,
  verifyBondNicks,
  type BondPolicy,
  type FidelityBondProof,
} from '../protocol/fidelity-bond.js';
import type { BondChainView, BondState, BookBond } from './book-api.js';
import { createBondClaims, type BondClaims } from './bond-claims.js';
import { createBondValuer, type BondValuer, type Valuation } from './bond-values.js';
import { WorkQueue } from '../kit/cooperative-work.js';

export interface BondLimits {
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
  /** Least time between two proofs of a maker that are verified, in milliseconds. */
  readonly perMakerMs: number;
  /** Certificates whose answer is cached. */
  readonly certificates: number;
}

export const DEFAULT_BOND_LIMITS: BondLimits = {
  makers: 5_000,
  checksPerSlice: 2,
  sliceMs: 2,
  pauseMs: 6,
  perMakerMs: 10_000,
  certificates: 10_000,
};

export interface BondsOptions {
  /** Our nick: makers sign their proofs for it. */
  readonly nick: string;
  readonly clock: Clock;
  readonly limits?: Partial<BondLimits>;
  readonly chain: BondChainView | undefined;
  /** How bonds are valued; default as in deployed peers. */
  readonly policy?: BondPolicy;
  /** The bond of this maker changed. */
  readonly onChange: (maker: string) => void;
  /**
   * Called with the number of signatures that the largest and each other slice checked; for tests and
   * benchmarks.
   */
  readonly onSlice?: (checks: number) => void;
}

interface Held {
  text: string;
  takenAt: number;
  /** Order of the bond claim on its coins. */
  order: number;
  proof: FidelityBondProof | undefined;
  /** The nick signature is valid; the certificate is verified next. */
  nicksHold: boolean;
  state: BondState;
  detail: string;
  valuation: Valuation | undefined;
}

const FORM_FAULTS = {
  'bond-base64': 'the proof is not base64',
  'bond-length': 'the proof does not have 252 bytes',
  'bond-signature-header': 'a signature in the proof has no DER header',
  'bond-key': 'a key in the proof is not a compressed one',
} as const;

const DETAILS = {
  signed: 'signatures are valid; the value is unknown without a bitcoin node',
  asking: 'signatures hold; the bitcoin node has not answered yet',
  claimed: 'another maker has proven the same coins since',
} as const;

/**
 * Identifies the coins of a claim. The signatures do not cover the coin, so key and lock time are part
 * of it; otherwise any maker could claim another maker's coin.
 */
const claimOf = ({ utxo, utxoPublicKeyHex, lockTime }: FidelityBondProof): string =>
  `${utxo.txid}:${utxo.vout}:${lockTime}:${utxoPublicKeyHex}`;

const outpointOf = ({ utxo }: FidelityBondProof): string => `${utxo.txid}:${utxo.vout}`;

export class Bonds {
  readonly #options: BondsOptions;
  readonly #limits: BondLimits;
  readonly #bonds = new Map<string, Held>();
  /** By `claimOf`. */
  readonly #claims: BondClaims;
  /** Makers for which there was no room among the slices. */
  readonly #later = new Map<string, Held>();
  /** Cached answers of the certificate check, the oldest first. */
  readonly #certificates: BoundedMap<string, boolean>;
  readonly #slices: WorkQueue;
  readonly #valuer: BondValuer | undefined;
  #lastOrder = 0;

  constructor(options: BondsOptions) {
    this.#options = options;
    this.#limits = { ...DEFAULT_BOND_LIMITS, ...options.limits };
    this.#claims = createBondClaims((before, now) => {
      if (before !== undefined) this.#lost(before);
      if (now !== undefined) this.#won(now);
    });
    this.#certificates = new BoundedMap(this.#limits.certificates);
    this.#slices = new WorkQueue({
      clock: options.clock,
      unitsPerSlice: this.#limits.checksPerSlice,
      sliceMs: this.#limits.sliceMs,
      pauseMs: this.#limits.pauseMs,
      most: this.#limits.makers * 2,
      onSlice: (checks) => {
        options.onSlice?.(checks);
        this.#checkLater();
      },
    });
    this.#valuer = options.chain && this.#createValuer(options.chain);
  }

  /** Proofs that wait to be verified. */
  get waiting(): number {
    return this.#slices.waiting + this.#later.size;
  }

  get size(): number {
    return this.#bonds.size;
  }

  get chain(): 'none' | 'up' | 'down' {
    return this.#valuer?.chain ?? 'none';
  }

  /**
   * The argument of a `tbond` of this maker, from a signed private message to us.
   * @param isNew whether the message was never heard before (default true). A peer that relayed an old
   *   message can repeat it, and that must not take the coins from their owner's new nick
   */
  take(maker: string, text: string, isNew = true): void {
    const known = this.#bonds.get(maker);
    if (known?.text === text) return;
    const now = this.#options.clock.now();
    if (known && now - known.takenAt < this.#limits.perMakerMs) return;
    if (!known && this.#bonds.size >= this.#limits.makers) return;
    const parsed = parseFidelityBond(text);
    const held: Held = {
      // A malformed proof need not be kept for comparison with the next one.
      text: parsed.ok ? text : '',
      takenAt: now,
      order: isNew ? ++this.#lastOrder : (known?.order ?? 0),
      nicksHold: false,
      proof: parsed.ok ? parsed.value : undefined,
      state: 'waiting',
      detail: 'waits to be checked',
      valuation: undefined,
    };
    this.#bonds.set(maker, held);
    if (known) this.#release(maker, known);
    if (!parsed.ok) return this.#setState(maker, held, 'invalid', FORM_FAULTS[parsed.reason]);
    this.#checkInTurn(maker, held, parsed.value);
    this.#options.onChange(maker);
  }

  get(maker: string): BookBond | undefined {
    const held = this.#bonds.get(maker);
    if (!held) return undefined;
    const { proof, state, detail, valuation } = held;
    return {
      outpoint: proof && outpointOf(proof),
      utxoPublicKey: proof?.utxoPublicKeyHex,
      locktime: proof?.lockTime,
      certExpiry: proof?.certExpiry,
      state,
      detail,
      amount: valuation?.amount,
      confirmedAt: valuation?.confirmedAt,
      value: state === 'valued' ? valuation?.value : undefined,
    };
  }

  forget(maker: string): void {
    const held = this.#bonds.get(maker);
    if (!held) return;
    this.#bonds.delete(maker);
    this.#release(maker, held);
  }

  close(): void {
    this.#slices.close();
    this.#later.clear();
    this.#valuer?.close();
  }

  #createValuer(chain: BondChainView): BondValuer {
    return createBondValuer({
      clock: this.#options.clock,
      chain,
      policy: this.#options.policy ?? {},
      proofs: () =>
        [...this.#bonds].flatMap(([maker, { proof, state }]) =>
          proof && state !== 'invalid' && state !== 'waiting' && state !== 'claimed'
            ? [{ maker, proof }]
            : [],
        ),
      onValued: (maker, proof, valuation) => this.#valued(maker, proof, valuation),
    });
  }

  #valued(maker: string, proof: FidelityBondProof, valuation: Valuation): void {
    const held = this.#bonds.get(maker);
    if (held?.proof !== proof || held.state === 'claimed') return;
    held.valuation = valuation;
    this.#setState(maker, held, valuation.state, valuation.detail);
    // The node did not answer, so nothing is known about the certificate.
    if (valuation.state === 'asking') return;
    this.#claims.setExpired(claimOf(proof), maker, valuation.state === 'expired');
  }

  #setState(maker: string, held: Held, state: BondState, detail: string): void {
    held.state = state;
    held.detail = detail;
    this.#options.onChange(maker);
  }

  /** Its next signature is checked when its turn comes. */
  #checkInTurn(maker: string, held: Held, proof: FidelityBondProof): void {
    if (this.#later.size > 0 || !this.#check(maker, held, proof)) this.#later.set(maker, held);
  }

  /** A slice is done, so there is room again. */
  #checkLater(): void {
    for (const [maker, held] of this.#later) {
      if (held.proof && !this.#check(maker, held, held.proof)) return;
      this.#later.delete(maker);
    }
  }

  /** False when there is no room among the slices. */
  #check(maker: string, held: Held, proof: FidelityBondProof): boolean {
    const { nicksHold } = held;
    const cost = nicksHold ? this.#certificateCost(proof) : 1;
    return this.#slices.push(cost, () => {
      if (this.#bonds.get(maker) !== held) return;
      if (nicksHold) this.#checkCertificate(maker, held, proof);
      else this.#checkNicks(maker, held, proof);
    });
  }

  #checkNicks(maker: string, held: Held, proof: FidelityBondProof): void {
    if (!verifyBondNicks(proof, maker, this.#options.nick)) {
      const detail = 'the proof was not signed for this maker and for us';
      return this.#setState(maker, held, 'invalid', detail);
    }
    held.nicksHold = true;
    this.#checkInTurn(maker, held, proof);
  }

  #checkCertificate(maker: string, held: Held, proof: FidelityBondProof): void {
    if (this.#certificateHolds(proof)) this.#claim(maker, held, proof);
    else this.#setState(maker, held, 'invalid', 'the coins did not sign this certificate');
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

  /** The signatures are valid. Next: which maker owns the coins. */
  #claim(maker: string, held: Held, proof: FidelityBondProof): void {
    const coins = claimOf(proof);
    this.#claims.enter(coins, { maker, order: held.order, expired: false });
    if (this.#claims.ownerOf(coins) === maker) return;
    this.#setState(maker, held, 'claimed', DETAILS.claimed);
  }

  /** The claim of this maker on its coins counts. */
  #won(maker: string): void {
    const held = this.#bonds.get(maker);
    if (!held?.proof || held.state === 'expired') return;
    const state = this.#valuer ? 'asking' : 'signed';
    this.#setState(maker, held, state, DETAILS[state]);
    this.#valuer?.ask(maker, held.proof);
  }

  /** Another maker's claim counts instead. */
  #lost(maker: string): void {
    const held = this.#bonds.get(maker);
    // A new proof of this maker waits, or its certificate has expired: that state has priority.
    if (!held?.proof || held.state === 'waiting' || held.state === 'expired') return;
    this.#setState(maker, held, 'claimed', DETAILS.claimed);
  }

  #release(maker: string, held: Held): void {
    this.#later.delete(maker);
    if (held.proof) this.#claims.leave(claimOf(held.proof), maker);
  }
}
