/**
 * Fidelity bonds of makers: read, checked a few signatures at a time, and valued where a bitcoin node
 * can be asked (protocol document, section 11). A proof is bound to our nick and comes in a signed
 * private message only.
 */
import type { Clock } from '../channel/ports.js';
import {
  bondCertificateId,
  parseFidelityBond,
  verifyBondCertificate,
  verifyBondNicks,
  type FidelityBondProof,
} from '../protocol/fidelity-bond.js';
import type { BondChainView, BondState, BookBond } from './book-api.js';
import { createBondValuer, type Valuation } from './bond-values.js';
import { createSlices } from './slices.js';

export interface BondLimits {
  /** Most makers whose bonds are kept; further ones are ignored. */
  readonly makers: number;
  /** Signature checks in one slice; a check takes 1 to 2 ms. */
  readonly checksPerSlice: number;
  /** Likewise milliseconds, for slow machines. */
  readonly sliceMs: number;
  /** Milliseconds between slices: also how much of a processor a flood of proofs can take. */
  readonly pauseMs: number;
  /** A maker's next proof is looked at this long after the last one, in milliseconds. */
  readonly perMakerMs: number;
  /** Certificates remembered, so that they are checked once. */
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
  /** Our nick: proofs are made for it. */
  readonly nick: string;
  readonly clock: Clock;
  readonly limits?: Partial<BondLimits>;
  readonly chain: BondChainView | undefined;
  /** The bond of this maker reads otherwise than before. */
  readonly onChange: (maker: string) => void;
  /** Told how many signatures the largest and each other slice checked; for tests and benchmarks. */
  readonly onSlice?: (checks: number) => void;
}

export interface Bonds {
  /** The argument of a `tbond` of this maker, out of a signed private message to us. */
  take(maker: string, proof: string): void;
  get(maker: string): BookBond | undefined;
  forget(maker: string): void;
  /** Proofs that wait to be checked. */
  readonly waiting: number;
  readonly size: number;
  readonly chain: 'none' | 'up' | 'down';
  close(): void;
}

interface Held {
  text: string;
  takenAt: number;
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
  signed: 'signatures hold; what it is worth is unknown without a bitcoin node',
  asking: 'signatures hold; the bitcoin node has not answered yet',
  claimed: 'another maker proved the same coins first',
} as const;

/**
 * What can be claimed once. The signatures do not cover the coin, so without its key and lock time
 * anybody could claim somebody else's.
 */
const claimOf = ({ utxo, utxoPublicKeyHex, lockTime }: FidelityBondProof): string =>
  `${utxo.txid}:${utxo.vout}:${lockTime}:${utxoPublicKeyHex}`;

const outpointOf = ({ utxo }: FidelityBondProof): string => `${utxo.txid}:${utxo.vout}`;

export function createBonds(options: BondsOptions): Bonds {
  const { nick, clock, chain, onChange } = options;
  const limits = { ...DEFAULT_BOND_LIMITS, ...options.limits };
  const bonds = new Map<string, Held>();
  /** Who proved a coin first, by `claimOf`. */
  const claims = new Map<string, string>();
  /** Answers of the certificate check by what they depend on, the oldest first. */
  const certificates = new Map<string, boolean>();
  const slices = createSlices({
    clock,
    unitsPerSlice: limits.checksPerSlice,
    sliceMs: limits.sliceMs,
    pauseMs: limits.pauseMs,
    most: limits.makers * 2,
    ...(options.onSlice && { onSlice: options.onSlice }),
  });
  const valuer =
    chain &&
    createBondValuer({
      clock,
      chain,
      proofs: () =>
        [...bonds].flatMap(([maker, { proof, state }]) =>
          proof && state !== 'invalid' && state !== 'waiting' && state !== 'claimed'
            ? [{ maker, proof }]
            : [],
        ),
      onValued(maker, proof, valuation) {
        const held = bonds.get(maker);
        if (held?.proof !== proof) return;
        held.valuation = valuation;
        settle(maker, held, valuation.state, valuation.detail);
      },
    });

  function settle(maker: string, held: Held, state: BondState, detail: string): void {
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
    const [oldest] = certificates.keys();
    if (certificates.size > limits.certificates && oldest !== undefined) {
      certificates.delete(oldest);
    }
    return holds;
  }

  /** The signatures hold; whose are the coins? */
  function claim(maker: string, held: Held, proof: FidelityBondProof): void {
    const coin = claimOf(proof);
    const owner = claims.get(coin);
    if (owner !== undefined && owner !== maker) {
      settle(maker, held, 'claimed', DETAILS.claimed);
      return;
    }
    claims.set(coin, maker);
    const state = valuer ? 'asking' : 'signed';
    settle(maker, held, state, DETAILS[state]);
    valuer?.ask(maker, proof);
  }

  function release(maker: string, held: Held): void {
    if (!held.proof) return;
    const coin = claimOf(held.proof);
    if (claims.get(coin) === maker) claims.delete(coin);
  }

  function checkCertificate(maker: string, held: Held, proof: FidelityBondProof): void {
    if (bonds.get(maker) !== held || held.proof !== proof) return;
    if (certificateHolds(proof)) claim(maker, held, proof);
    else settle(maker, held, 'invalid', 'the coins did not sign this certificate');
  }

  function checkNicks(maker: string, held: Held): void {
    const { proof } = held;
    if (bonds.get(maker) !== held || !proof) return;
    if (!verifyBondNicks(proof, maker, nick)) {
      settle(maker, held, 'invalid', 'the proof was not signed for this maker and for us');
      return;
    }
    const cost = certificates.has(bondCertificateId(proof)) ? 0 : 2;
    if (!slices.push(cost, () => checkCertificate(maker, held, proof))) {
      settle(maker, held, 'invalid', 'too many proofs wait to be checked');
    }
  }

  return {
    take(maker, text) {
      const known = bonds.get(maker);
      if (known?.text === text) return;
      const now = clock.now();
      if (known && now - known.takenAt < limits.perMakerMs) return;
      if (!known && bonds.size >= limits.makers) return;
      if (known) release(maker, known);
      const parsed = parseFidelityBond(text);
      const held: Held = {
        // A proof that is none need not be kept to be told apart from the next one.
        text: parsed.ok ? text : '',
        takenAt: now,
        proof: parsed.ok ? parsed.value : undefined,
        state: 'waiting',
        detail: 'waits to be checked',
        valuation: undefined,
      };
      bonds.set(maker, held);
      if (!parsed.ok) settle(maker, held, 'invalid', FORM_FAULTS[parsed.reason]);
      else if (slices.push(1, () => checkNicks(maker, held))) onChange(maker);
      else settle(maker, held, 'invalid', 'too many proofs wait to be checked');
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
      release(maker, held);
      bonds.delete(maker);
    },
    get waiting() {
      return slices.waiting;
    },
    get size() {
      return bonds.size;
    },
    get chain() {
      return valuer?.chain ?? 'none';
    },
    close() {
      slices.close();
      valuer?.close();
    },
  };
}
