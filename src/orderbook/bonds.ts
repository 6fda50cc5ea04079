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
import { createBondClaims } from './bond-claims.js';
import { createBondValuer, type Valuation } from './bond-values.js';
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

export interface Bonds {
  /**
   * The argument of a `tbond` of this maker, from a signed private message to us.
   * @param isNew whether the message was never heard before (default true). A peer that relayed an old
   *   message can repeat it, and that must not take the coins from their owner's new nick
   */
  take(maker: string, proof: string, isNew?: boolean): void;
  get(maker: string): BookBond | undefined;
  forget(maker: string): void;
  /** Proofs that wait to be verified. */
  readonly waiting: number;
  readonly size: number;
  readonly chain: 'none' | 'up' | 'down';
  close(): void;
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

export function createBonds(options: BondsOptions): Bonds {
  const { nick, clock, chain, onChange } = options;
  const limits = { ...DEFAULT_BOND_LIMITS, ...options.limits };
  const bonds = new Map<string, Held>();
  /** By `claimOf`. */
  const claims = createBondClaims((before, now) => {
    if (before !== undefined) lost(before);
    if (now !== undefined) won(now);
  });
  /** Makers for which there was no room among the slices. */
  const later = new Map<string, Held>();
  let lastOrder = 0;
  /** Cached answers of the certificate check, the oldest first. */
  const certificates = new BoundedMap<string, boolean>(limits.certificates);
  const slices = new WorkQueue({
    clock,
    unitsPerSlice: limits.checksPerSlice,
    sliceMs: limits.sliceMs,
    pauseMs: limits.pauseMs,
    most: limits.makers * 2,
    onSlice(checks) {
      options.onSlice?.(checks);
      checkLater();
    },
  });
  const valuer =
    chain &&
    createBondValuer({
      clock,
      chain,
      policy: options.policy ?? {},
      proofs: () =>
        [...bonds].flatMap(([maker, { proof, state }]) =>
          proof && state !== 'invalid' && state !== 'waiting' && state !== 'claimed'
            ? [{ maker, proof }]
            : [],
        ),
      onValued(maker, proof, valuation) {
        const held = bonds.get(maker);
        if (held?.proof !== proof || held.state === 'claimed') return;
        held.valuation = valuation;
        setState(maker, held, valuation.state, valuation.detail);
        // The node did not answer, so nothing is known about the certificate.
        if (valuation.state === 'asking') return;
        claims.setExpired(claimOf(proof), maker, valuation.state === 'expired');
      },
    });

  function setState(maker: string, held: Held, state: BondState, detail: string): void {
    held.state = state;
    held.detail = detail;
    onChange(maker);
  }

  function certificateHolds(proof: FidelityBondProof): boolean {
    const id = bondCertificateId(proof);
    const known = certificates.get(id);
    if (known !== undefined) return known;
    const holds = verifyBondCertificate(proof);
    certificates.set(id, holds);
    return holds;
  }

  /** The claim of this maker on its coins counts. */
  function won(maker: string): void {
    const held = bonds.get(maker);
    if (!held?.proof || held.state === 'expired') return;
    const state = valuer ? 'asking' : 'signed';
    setState(maker, held, state, DETAILS[state]);
    valuer?.ask(maker, held.proof);
  }

  /** Another maker's claim counts instead. */
  function lost(maker: string): void {
    const held = bonds.get(maker);
    // A new proof of this maker waits, or its certificate has expired: that state has priority.
    if (!held?.proof || held.state === 'waiting' || held.state === 'expired') return;
    setState(maker, held, 'claimed', DETAILS.claimed);
  }

  /** The signatures are valid. Next: which maker owns the coins. */
  function claim(maker: string, held: Held, proof: FidelityBondProof): void {
    const coins = claimOf(proof);
    claims.enter(coins, { maker, order: held.order, expired: false });
    if (claims.ownerOf(coins) !== maker) setState(maker, held, 'claimed', DETAILS.claimed);
  }

  function release(maker: string, held: Held): void {
    later.delete(maker);
    if (held.proof) claims.leave(claimOf(held.proof), maker);
  }

  /** Its next signature is checked when its turn comes. */
  function check(maker: string, held: Held, proof: FidelityBondProof): boolean {
    const cost = held.nicksHold ? (certificates.has(bondCertificateId(proof)) ? 0 : 2) : 1;
    const run = held.nicksHold ? checkCertificate : checkNicks;
    return slices.push(cost, () => {
      if (bonds.get(maker) === held) run(maker, held, proof);
    });
  }

  function checkInTurn(maker: string, held: Held, proof: FidelityBondProof): void {
    if (later.size > 0 || !check(maker, held, proof)) later.set(maker, held);
  }

  /** A slice is done, so there is room again. */
  function checkLater(): void {
    for (const [maker, held] of later) {
      if (held.proof && !check(maker, held, held.proof)) return;
      later.delete(maker);
    }
  }

  function checkNicks(maker: string, held: Held, proof: FidelityBondProof): void {
    if (!verifyBondNicks(proof, maker, nick)) {
      setState(maker, held, 'invalid', 'the proof was not signed for this maker and for us');
      return;
    }
    held.nicksHold = true;
    checkInTurn(maker, held, proof);
  }

  function checkCertificate(maker: string, held: Held, proof: FidelityBondProof): void {
    if (certificateHolds(proof)) claim(maker, held, proof);
    else setState(maker, held, 'invalid', 'the coins did not sign this certificate');
  }

  return {
    take(maker, text, isNew = true) {
      const known = bonds.get(maker);
      if (known?.text === text) return;
      const now = clock.now();
      if (known && now - known.takenAt < limits.perMakerMs) return;
      if (!known && bonds.size >= limits.makers) return;
      const parsed = parseFidelityBond(text);
      const held: Held = {
        // A malformed proof need not be kept for comparison with the next one.
        text: parsed.ok ? text : '',
        takenAt: now,
        order: isNew ? ++lastOrder : (known?.order ?? 0),
        nicksHold: false,
        proof: parsed.ok ? parsed.value : undefined,
        state: 'waiting',
        detail: 'waits to be checked',
        valuation: undefined,
      };
      bonds.set(maker, held);
      if (known) release(maker, known);
      if (!parsed.ok) {
        setState(maker, held, 'invalid', FORM_FAULTS[parsed.reason]);
        return;
      }
      checkInTurn(maker, held, parsed.value);
      onChange(maker);
    },
    get(maker) {
      const held = bonds.get(maker);
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
    },
    forget(maker) {
      const held = bonds.get(maker);
      if (!held) return;
      bonds.delete(maker);
      release(maker, held);
    },
    get waiting() {
      return slices.waiting + later.size;
    },
    get size() {
      return bonds.size;
    },
    get chain() {
      return valuer?.chain ?? 'none';
    },
    close() {
      slices.close();
      later.clear();
      valuer?.close();
    },
  };
}
