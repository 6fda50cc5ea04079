/**
 * Whose bond counts where several makers prove the same coins: the newest proof, and among those whose
 * certificate is over only where no other is left. A maker that comes back under a new nick proves its
 * coins anew, and only who holds the certificate's key can prove them at all. Pure state, bounded by its
 * owner: one claim per maker.
 */
export interface Claim {
  readonly maker: string;
  /** Grows with each proof; a proof that was heard before is older than all new ones. */
  readonly order: number;
  /** The certificate is over. */
  readonly expired: boolean;
}

export interface BondClaims {
  /** The maker's proof holds. Replaces what the maker claimed of these coins before. */
  enter(coins: string, claim: Claim): void;
  /** The maker claims these coins no more. */
  leave(coins: string, maker: string): void;
  /** Whether the maker's certificate is over. */
  setExpired(coins: string, maker: string, expired: boolean): void;
  /** The maker whose claim counts. */
  ownerOf(coins: string): string | undefined;
}

/** Whether `a` counts before `b`. */
function precedes(a: Claim, b: Claim): boolean {
  return a.expired === b.expired ? a.order > b.order : b.expired;
}

/** @param onOwner the claim on these coins went from one maker to another; told after the change */
export function createBondClaims(
  onOwner: (before: string | undefined, now: string | undefined) => void,
): BondClaims {
  /** By coins, then by maker. */
  const claims = new Map<string, Map<string, Claim>>();

  function ownerOf(coins: string): string | undefined {
    let first: Claim | undefined;
    for (const claim of claims.get(coins)?.values() ?? []) {
      if (first === undefined || precedes(claim, first)) first = claim;
    }
    return first?.maker;
  }

  function change(coins: string, how: (ofCoins: Map<string, Claim>) => void): void {
    const before = ownerOf(coins);
    const ofCoins = claims.get(coins) ?? new Map<string, Claim>();
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
