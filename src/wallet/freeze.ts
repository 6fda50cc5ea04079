/**
 * When a coin is frozen by itself. A payment to an address that was used before and is empty links the new
 * coin with the old ones, and with what they were spent for. Pure.
 */
/**
 * Whether a new coin of a script is frozen: the script was funded before, and holds no coin now that can be
 * spent together with it. Coins that were frozen for this reason do not count, unless a person unfroze them.
 * @param coins the unspent coins of the script; undefined when it was never funded
 */
export function isReuse<T extends { readonly reused: boolean }>(
  coins: ReadonlySet<T> | undefined,
  isUnfrozen: (coin: T) => boolean,
): boolean {
  if (coins === undefined) return false;
  return ![...coins].some((coin) => !coin.reused || isUnfrozen(coin));
}
