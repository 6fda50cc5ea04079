/**
 * Fidelity bonds of makers: parsed, verified (`bond-checks.ts`), and valued if a bitcoin node is available
 * (docs/protocol.md, section 11). A proof is bound to our nick and comes only in a signed private message.
 */
import type { Clock } from '../channel/ports.js';
import {
  parseFidelityBond,
  type BondPolicy,
  type FidelityBondProof,
} from '../protocol/fidelity-bond.js';
import type { BondChainView, BondState, BookBond } from './book-api.js';
import { BondChecks, type BondCheckLimits } from './bond-checks.js';
import { createBondClaims, type BondClaims } from './bond-claims.js';
import { createBondValuer, type BondValuer, type Valuation } from './bond-values.js';

export interface BondLimits extends BondCheckLimits {
  /** Least time between two proofs of a maker that are verified, in milliseconds. */
  readonly perMakerMs: number;
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
  /** Our nick: makers sign their proofs for it. A function where it depends on the maker. */
  readonly nick: string | ((maker: string) => string);
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
  readonly #checks: BondChecks;
  readonly #valuer: BondValuer | undefined;
  #lastOrder = 0;

  constructor(options: BondsOptions) {
    this.#options = options;
    this.#limits = { ...DEFAULT_BOND_LIMITS, ...options.limits };
    this.#claims = createBondClaims((before, now) => {
      if (before !== undefined) this.#lost(before);
      if (now !== undefined) this.#won(now);
    });
    this.#checks = new BondChecks({
      nick: options.nick,
      clock: options.clock,
      limits: this.#limits,
      onValid: (maker, proof) => this.#claim(maker, proof),
      onInvalid: (maker, detail) => this.#invalid(maker, detail),
      onSlice: options.onSlice,
    });
    this.#valuer = options.chain && this.#createValuer(options.chain);
  }

  /** Signatures that wait to be verified. */
  get waiting(): number {
    return this.#checks.waiting;
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
      proof: parsed.ok ? parsed.value : undefined,
      state: 'waiting',
      detail: 'waits to be checked',
      valuation: undefined,
    };
    this.#bonds.set(maker, held);
    if (known) this.#release(maker, known);
    if (!parsed.ok) return this.#setState(maker, held, 'invalid', FORM_FAULTS[parsed.reason]);
    this.#checks.add(maker, parsed.value);
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
    this.#checks.close();
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

  #invalid(maker: string, detail: string): void {
    const held = this.#bonds.get(maker);
    if (held) this.#setState(maker, held, 'invalid', detail);
  }

  /** The signatures are valid. Next: which maker owns the coins. */
  #claim(maker: string, proof: FidelityBondProof): void {
    const held = this.#bonds.get(maker);
    if (!held) return;
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
    this.#checks.remove(maker);
    if (held.proof) this.#claims.leave(claimOf(held.proof), maker);
  }
}
