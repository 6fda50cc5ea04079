/**
 * Decides which maker's bond counts when several makers prove the same coins: the one with the newest
 * proof; makers with an expired certificate only when there is no other. A maker that returns under a
 * new nick proves its coins again, and only the holder of the certified key can prove them. Pure state,
 * bounded by its owner: one bond claim per maker.
 */
export interface BondClaim {
  readonly maker: string;
  /** Grows with each new proof. A proof that was heard before is older than all new ones. */
  readonly order: number;
  /** The certificate has expired. */
  readonly expired: boolean;
}

export interface BondClaims {
  /** The maker's proof is valid. Replaces an earlier claim of the maker on these coins. */
  enter(coins: string, claim: BondClaim): void;
  /** Removes the maker's claim on these coins. */
  leave(coins: string, maker: string): void;
  /** Sets whether the maker's certificate has expired. */
  setExpired(coins: string, maker: string, expired: boolean): void;
  /** The maker whose claim counts. */
  ownerOf(coins: string): string | undefined;
}

/** Whether `a` has priority over `b`. */
function precedes(a: BondClaim, b: BondClaim): boolean {
  return a.expired === b.expired ? a.order > b.order : b.expired;
}

/** @param onOwner called after the coins went from one maker to another */
export function createBondClaims(
  onOwner: (before: string | undefined, now: string | undefined) => void,
): BondClaims {
  /** By coins, then by maker. */
  const claims = new Map<string, Map<string, BondClaim>>();

  function ownerOf(coins: string): string | undefined {
    let first: BondClaim | undefined;
    for (const claim of claims.get(coins)?.values() ?? []) {
      if (first === undefined || precedes(claim, first)) first = claim;
    }
    return first?.maker;
  }

  function change(coins: string, how: (ofCoins: Map<string, BondClaim>) => void): void {
    const before = ownerOf(coins);
    const ofCoins = claims.get(coins) ?? new Map<string, BondClaim>();
    how(ofCoins);
    if (ofCoins.size > 0) claims.set(coins, ofCoins);
    else claims.delete(coins);
    const now = ownerOf(coins);
    if (now !== before) onOwner(before, now);
  }

  return {
    enter: (coins, claim) => change(coins, (ofCoins) => void ofCoins.set(claim.maker, claim)),
    leave: (coins, maker) => change(coins, (ofCoins) => void ofCoins.delete(maker)),
    setExpired(coins, maker, expired) {
      const claim = claims.get(coins)?.get(maker);
      if (!claim || claim.expired === expired) return;
      change(coins, (ofCoins) => void ofCoins.set(maker, { ...claim, expired }));
    },
    ownerOf,
  };
}
