/**
 * Which links the other side has introduced itself on, and when each link ends: without an introduction after 10
 * seconds, with one when its session is over. Messages overtake each other on a link, so those that arrive before the
 * introduction are held until it is there.
 */
import type { Clock } from '../../kit/clock.js';
import { TokenBucket } from '../../kit/rate-limit.js';
import type { Link } from '../iwp/links.js';
import { SESSION_MS } from './link-introduction.js';

/** A link whose other side does not introduce itself ends after this time. */
const INTRODUCTION_MS = 10_000;
/** Introductions on one link: a new contact needs one, each costs two checks of signatures. */
const INTRODUCTIONS = 4;
const INTRODUCTIONS_PER_SECOND = 0.1;
/** Most messages, and bytes of them, that arrive on a link before its introduction. */
const MAX_EARLY = 16;
const MAX_EARLY_BYTES = 65_536;

interface State {
  readonly introductions: TokenBucket;
  /** Messages that arrived before the introduction. */
  early: Uint8Array[];
  isIntroduced: boolean;
  cancel: () => void;
}

export class IntroducedLinks {
  readonly #clock: Clock;
  readonly #links = new Map<Link, State>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** A link was made. */
  add(link: Link): void {
    this.#links.set(link, {
      introductions: new TokenBucket(this.#clock, INTRODUCTIONS_PER_SECOND, INTRODUCTIONS),
      early: [],
      isIntroduced: false,
      cancel: this.#clock.after(INTRODUCTION_MS, () => link.close()),
    });
  }

  has(link: Link): boolean {
    return this.#links.get(link)?.isIntroduced === true;
  }

  /** Holds a message that arrived before the introduction; false when too much is held. */
  hold(link: Link, bytes: Uint8Array): boolean {
    const early = this.#links.get(link)?.early;
    const held = early?.reduce((sum, { length }) => sum + length, 0) ?? 0;
    if (!early || early.length >= MAX_EARLY || held + bytes.length > MAX_EARLY_BYTES) return false;
    early.push(bytes);
    return true;
  }

  /** Whether an introduction on this link is read: false when there are too many, or the link has ended. */
  takes(link: Link): boolean {
    return this.#links.get(link)?.introductions.take() === true;
  }

  /**
   * The other side has introduced itself. A second introduction is that of a renewed contact, and prolongs nothing.
   * @param sessionMs `LIM.p` of the other side; the shorter one of both sides counts
   * @returns the messages that were held
   */
  introduced(link: Link, sessionMs: bigint): readonly Uint8Array[] {
    const state = this.#links.get(link);
    if (!state || state.isIntroduced) return [];
    state.isIntroduced = true;
    state.cancel();
    const session = sessionMs < BigInt(SESSION_MS) ? Number(sessionMs) : SESSION_MS;
    state.cancel = this.#clock.after(session, () => link.close());
    const { early } = state;
    state.early = [];
    return early;
  }

  /** A link has ended. */
  remove(link: Link): void {
    this.#links.get(link)?.cancel();
    this.#links.delete(link);
  }
}
