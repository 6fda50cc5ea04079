/**
 * Which nicks the frames speak of that some peers may not have been given yet. A frame for one peer
 * overtakes what waits for that peer, unless it would overtake a frame of the nick that it speaks of.
 */
export class UnsettledNicks {
  /** Log position after the last frame of each nick. Bounded by the frames of two windows. */
  readonly #ends = new Map<string, number>();

  /** A broadcast that ends at this log position is of this nick, or says that it has left. */
  note(nick: string, end: number): void {
    this.#ends.set(nick, end);
  }

  /** Whether all broadcasts of this nick are before a log position. */
  allBefore(nick: string, position: number): boolean {
    return (this.#ends.get(nick) ?? 0) <= position;
  }

  /** Every peer has been given the log up to this position. */
  settle(position: number): void {
    for (const [nick, end] of this.#ends) if (end <= position) this.#ends.delete(nick);
  }

  get size(): number {
    return this.#ends.size;
  }
}
