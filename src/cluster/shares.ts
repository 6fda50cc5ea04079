/**
 * The part of a budget that each node may use. All nodes compute it from the same figures: the demand that each
 * stated in its last heartbeat. So the parts add up to the whole, whatever the nodes do. Pure.
 */

/** Each node gets at least this part of an equal share, so that new traffic passes before the next heartbeat. */
const LEAST_PART = 0.05;

/**
 * The share of the first node: what it demands as far as the others leave it, and an equal part of what nobody
 * demands.
 * @param demands in units per second, of all nodes, the own one first
 * @param total of the budget, in the same unit
 */
export function shareOf(demands: readonly number[], total: number): number {
  const count = demands.length;
  if (count <= 1) return 1;
  if (!(total > 0) || !Number.isFinite(total)) return 1 / count;
  const least = (LEAST_PART * total) / count;
  const parts = waterFill(
    demands.map((demand) => Math.max(demand, least)),
    total,
  );
  const rest = total - parts.reduce((sum, part) => sum + part, 0);
  return ((parts[0] ?? 0) + Math.max(0, rest) / count) / total;
}

/** Nobody gets more than it demands, and nobody who gets less than it demands gets less than another. */
function waterFill(demands: readonly number[], total: number): readonly number[] {
  const order = demands.map((demand, i) => ({ demand, i })).toSorted((a, b) => a.demand - b.demand);
  const parts = demands.map(() => 0);
  let left = total;
  for (const [n, { demand, i }] of order.entries()) {
    const part = Math.min(demand, left / (order.length - n));
    parts[i] = part;
    left -= part;
  }
  return parts;
}

/** Demand per second: what was asked for since the last look, smoothed. */
export class Demand {
  #sum = 0;
  #rate = 0;
  #at: number;

  constructor(now: number) {
    this.#at = now;
  }

  add(cost: number): void {
    this.#sum += cost;
  }

  /** The rate now; called once per heartbeat. */
  read(now: number): number {
    const seconds = Math.max(0.001, (now - this.#at) / 1_000);
    const latest = this.#sum / seconds;
    this.#sum = 0;
    this.#at = now;
    // Rises at once, falls slowly: what is free goes to nobody for some seconds at most.
    this.#rate = latest > this.#rate ? latest : (this.#rate + latest) / 2;
    return Math.round(this.#rate * 100) / 100;
  }
}
