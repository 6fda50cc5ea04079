/**
 * Places for peers, of a limit for all nodes together. Between two looks a node takes no more than its part of what
 * was free at the last one, so that newcomers at all nodes in the same moment are not too many. Pure.
 */

/** The last places are not divided: at most so many newcomers of each other node are too many. */
const UNDIVIDED = 8;

export class Places {
  #own = 0;
  #elsewhere = 0;

  /** Called several times a second, with the connections of peers here and at all other nodes. */
  look(own: number, elsewhere: number): void {
    this.#own = own;
    this.#elsewhere = elsewhere;
  }

  /**
   * The number of peers that this node may have now.
   * @param elsewhere connections of peers at all other nodes now
   * @param nodes that share what is free, this one included
   */
  room(total: number, elsewhere: number, nodes: number): number {
    const free = Math.max(0, total - this.#own - this.#elsewhere);
    const part = Math.min(free, Math.max(UNDIVIDED, Math.floor(free / nodes)));
    return Math.max(0, Math.min(total - elsewhere, this.#own + part));
  }
}
