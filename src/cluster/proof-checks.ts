/**
 * Proofs of nicks that other nodes state (JMP-0005). A proof is verified only where it decides between two peers,
 * once, because that takes 2 ms; so a node that announces many costs no more than a part of the time.
 */
import type { Clock } from '../kit/clock.js';
import { verifyCarriedProof } from '../protocol/nick-auth.js';
import type { ClusterTally } from './counters.js';
import type { Entry } from './record.js';
import type { Presence } from './remote-view.js';

/** Most proofs of one node that are verified in a second. */
export const CHECKS_PER_SECOND = 50;

/**
 * - `none`: no proof is stated
 * - `proven`: the key of the nick signed it
 * - `wrong`: it did not
 * - `later`: too many were verified a moment ago; ask again
 */
export type ProofVerdict = 'none' | 'proven' | 'wrong' | 'later';

interface Spent {
  readonly since: number;
  readonly checks: number;
}

export class ProofChecks {
  readonly #clock: Clock;
  readonly #tally: ClusterTally;
  readonly #verdicts = new WeakMap<Entry, 'proven' | 'wrong'>();
  /** By node; only nodes of the configuration announce peers. */
  readonly #spent = new Map<string, Spent>();

  constructor(clock: Clock, tally: ClusterTally) {
    this.#clock = clock;
    this.#tally = tally;
  }

  /** A wrong proof is counted once. */
  verdict({ node, entry }: Presence): ProofVerdict {
    const { key, proof, nick } = entry;
    if (key === undefined || !proof) return 'none';
    const known = this.#verdicts.get(entry);
    if (known !== undefined) return known;
    if (!this.#mayCheck(node)) return 'later';
    const verdict = verifyCarriedProof(proof, key, nick) ? 'proven' : 'wrong';
    this.#verdicts.set(entry, verdict);
    if (verdict === 'wrong') this.#tally.dropped.proof++;
    return verdict;
  }

  #mayCheck(node: string): boolean {
    const now = this.#clock.now();
    const { since, checks } = this.#spent.get(node) ?? { since: -Infinity, checks: 0 };
    const isNew = now - since >= 1_000;
    if (!isNew && checks >= CHECKS_PER_SECOND) return false;
    this.#spent.set(node, isNew ? { since: now, checks: 1 } : { since, checks: checks + 1 });
    return true;
  }
}
