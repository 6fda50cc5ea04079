/** What each other node said about the places that it holds; see `places.ts`. */
import type { NodeLife } from './api.js';

/** Most questions of one node that are answered in a second. */
const ANSWERS_PER_SECOND = 1_000;

interface Other {
  /** Undefined: not known yet; `none`: an earlier version, which holds what it has. */
  held: number | 'none' | undefined;
  /** It did not answer a question in time, and is not waited for until it answers one. */
  silent: boolean;
  answersSince: number;
  answers: number;
}

/** What is known of a node besides. */
export interface OtherFacts {
  readonly life: NodeLife | undefined;
  /** Peers that it announced. */
  readonly announced: number;
  /** What it may use without an answer of others. */
  readonly share: number;
}

export class PlacesHeld {
  readonly #others: ReadonlyMap<string, Other>;

  constructor(nodes: readonly string[]) {
    this.#others = new Map(
      nodes.map((name) => [
        name,
        { held: undefined, silent: false, answersSince: -Infinity, answers: 0 },
      ]),
    );
  }

  /** Whether it is a node of the configuration, as for the following. */
  has(node: string): boolean {
    return this.#others.has(node);
  }

  /** In a heartbeat; undefined: of a version that states nothing. */
  stated(node: string, held: number | undefined): void {
    const other = this.#others.get(node);
    if (other) other.held = held ?? 'none';
  }

  /** In an answer. */
  answered(node: string, held: number): void {
    const other = this.#others.get(node);
    if (other) Object.assign(other, { held, silent: false });
  }

  /** It did not answer in time. */
  silence(node: string): void {
    const other = this.#others.get(node);
    if (other) other.silent = true;
  }

  isSilent(node: string): boolean {
    return this.#others.get(node)?.silent !== false;
  }

  /** Whether it can answer, by its version. */
  canAnswer(node: string): boolean {
    return this.#others.get(node)?.held !== 'none';
  }

  forget(node: string): void {
    const other = this.#others.get(node);
    if (other) Object.assign(other, { held: undefined, silent: false });
  }

  /** No node can be asked. */
  forgetHeld(): void {
    for (const other of this.#others.values()) other.held = undefined;
  }

  /** What a node holds, as far as it is known. */
  by(node: string, { life, announced, share }: OtherFacts): number {
    if (life === 'dead') return 0;
    if (life === 'unknown') return Math.max(share, announced);
    const held = this.#others.get(node)?.held;
    return typeof held === 'number' ? Math.max(held, announced) : announced;
  }

  /** Counts a question of a node; false: it asks too often. */
  mayAnswer(node: string, now: number): boolean {
    const other = this.#others.get(node);
    if (!other) return false;
    if (now - other.answersSince >= 1_000) {
      other.answersSince = now;
      other.answers = 0;
    }
    return ++other.answers <= ANSWERS_PER_SECOND;
  }
}
