/** Asks a bitcoin node for the values of bonds, a few at a time, and repeats that at intervals. */
import { bondScriptPubKey } from '../protocol/bond-script.js';
import type { Clock } from '../channel/ports.js';
import {
  bondValue,
  certExpired,
  type BondPolicy,
  type FidelityBondProof,
} from '../protocol/fidelity-bond.js';
import type { BondChainView, BondState } from './book-api.js';

/** Most open requests to the node. */
const AT_ONCE = 4;
/** Interval between two requests for a bond: coins are spent, certificates expire, values fall. */
const AGAIN_MS = 600_000;
/** Interval after the node did not answer. */
const RETRY_MS = 60_000;

export interface Valuation {
  readonly state: Extract<BondState, 'asking' | 'expired' | 'unfunded' | 'valued'>;
  readonly detail: string;
  readonly amount: number | undefined;
  readonly confirmedAt: number | undefined;
  readonly value: number | undefined;
}

export interface BondValuerOptions {
  readonly clock: Clock;
  readonly chain: BondChainView;
  /** How bonds are valued. */
  readonly policy: BondPolicy;
  /** The bonds that must be valued again. */
  readonly proofs: () => readonly { readonly maker: string; readonly proof: FidelityBondProof }[];
  readonly onValued: (maker: string, proof: FidelityBondProof, valuation: Valuation) => void;
}

export interface BondValuer {
  /** The signatures of the proof are valid. */
  ask(maker: string, proof: FidelityBondProof): void;
  /** Whether the last request succeeded; true before the first one. */
  readonly chain: 'up' | 'down';
  close(): void;
}

const nothing = { amount: undefined, confirmedAt: undefined, value: undefined };

/** Rejects when the node does not answer. */
async function valuate(
  chain: BondChainView,
  policy: BondPolicy,
  proof: FidelityBondProof,
): Promise<Valuation> {
  const [tip, output] = await Promise.all([
    chain.tip(),
    chain.output(proof.utxo.txid, proof.utxo.vout),
  ]);
  if (!output.found) {
    return { state: 'unfunded', detail: 'no such unspent, confirmed coins', ...nothing };
  }
  const { amount, confirmedAt } = output;
  if (output.scriptHex !== bondScriptPubKey(proof.lockTime, proof.utxoPublicKeyHex)) {
    return { state: 'unfunded', detail: 'the coins are not locked as the proof says', ...nothing };
  }
  if (certExpired(proof.certExpiry, tip.height)) {
    const detail = `the certificate ended with difficulty period ${proof.certExpiry}`;
    return { state: 'expired', detail, amount, confirmedAt, value: undefined };
  }
  const value = bondValue({
    ...policy,
    satoshi: amount,
    confirmationTime: confirmedAt,
    lockTime: proof.lockTime,
    now: tip.medianTime,
  });
  const over = proof.lockTime <= tip.medianTime;
  const detail = over ? 'the lock time is over; its value falls' : 'locked coins, confirmed';
  return { state: 'valued', detail, amount, confirmedAt, value };
}

export function createBondValuer({
  clock,
  chain,
  policy,
  proofs,
  onValued,
}: BondValuerOptions): BondValuer {
  /** By maker, so that each maker waits once; in the order of the requests. */
  const queue = new Map<string, FidelityBondProof>();
  let running = 0;
  let failed = false;
  let closed = false;
  let cancelAgain = clock.after(AGAIN_MS, again);

  function again(): void {
    cancelAgain = clock.after(failed ? RETRY_MS : AGAIN_MS, again);
    for (const { maker, proof } of proofs()) queue.set(maker, proof);
    work();
  }

  function soonerAgain(): void {
    if (failed) return;
    failed = true;
    cancelAgain();
    cancelAgain = clock.after(RETRY_MS, again);
  }

  async function one(maker: string, proof: FidelityBondProof): Promise<void> {
    try {
      const valuation = await valuate(chain, policy, proof);
      if (closed) return;
      failed = false;
      onValued(maker, proof, valuation);
    } catch {
      if (closed) return;
      soonerAgain();
      onValued(maker, proof, {
        state: 'asking',
        detail: 'signatures hold; the bitcoin node did not answer',
        ...nothing,
      });
    } finally {
      running--;
      work();
    }
  }

  function work(): void {
    for (const [maker, proof] of queue) {
      if (running >= AT_ONCE || closed) return;
      queue.delete(maker);
      running++;
      void one(maker, proof);
    }
  }

  return {
    ask(maker, proof) {
      queue.set(maker, proof);
      work();
    },
    get chain() {
      return failed ? 'down' : 'up';
    },
    close() {
      closed = true;
      cancelAgain();
      queue.clear();
    },
  };
}
