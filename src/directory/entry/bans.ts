/**
 * Bans of the operator: nicks and hosts that are refused at the handshake for a limited time. The list is
 * bounded, is kept in memory only, and moves with an upgrade.
 *
 * Tor hides addresses, so a ban is by what a peer says of itself: a nick costs nothing, and a peer need
 * not declare its location. A ban keeps out a program that reconnects unchanged, and no determined attacker.
 */
import type { Clock } from '../../channel/ports.js';
import { ownHost, type DeclaredLocation, type LocationKind } from '../../protocol/location.js';

/** Most bans at a time; a further one is refused until others have expired or are lifted. */
export const MAX_BANS = 1_000;
/** Longest ban: 30 days. */
export const MAX_BAN_MS = 30 * 86_400_000;

/** A nick, or a host that belongs to one program, such as an onion; its port does not matter. */
export interface BanSubject {
  /** Whether `name` is a nick, or the kind of the location whose host it is. */
  readonly kind: 'nick' | LocationKind;
  /** The nick, or the host; an onion with `.onion`. */
  readonly name: string;
}

/** A ban in force. */
export interface Ban extends BanSubject {
  /** Time until it expires, in milliseconds. */
  readonly leftMs: number;
}

/** The parts of a handshake to which bans apply. */
export interface Introduced {
  readonly nick: string;
  readonly location: DeclaredLocation;
}

/** The host that a peer declares; undefined when it has none, or shares it with other programs. */
export function declaredHost({ location }: Introduced): BanSubject | undefined {
  const name = ownHost(location);
  if (name === undefined || location.kind === 'not-serving') return undefined;
  return { kind: location.kind, name };
}

function subjectsOf(peer: Introduced): readonly BanSubject[] {
  const host = declaredHost(peer);
  return [{ kind: 'nick', name: peer.nick }, ...(host ? [host] : [])];
}

/** A text that two subjects have in common only when they are the same. */
export const keyOf = ({ kind, name }: BanSubject): string => `${kind} ${name}`;

interface Entry extends BanSubject {
  readonly until: number;
}

export class Bans {
  readonly #clock: Clock;
  readonly #entries = new Map<string, Entry>();

  constructor({ clock }: { readonly clock: Clock }) {
    this.#clock = clock;
  }

  /** Bans in force. */
  get size(): number {
    this.#forgetExpired();
    return this.#entries.size;
  }

  /**
   * Bans all of these from now on; an earlier ban of one of them is replaced. False when the list has no
   * room for all; then nothing changes.
   * @param ms at most `MAX_BAN_MS`
   */
  add(subjects: readonly BanSubject[], ms: number): boolean {
    this.#forgetExpired();
    const fresh = new Set(subjects.map(keyOf).filter((key) => !this.#entries.has(key)));
    if (this.#entries.size + fresh.size > MAX_BANS) return false;
    const until = this.#clock.now() + Math.min(ms, MAX_BAN_MS);
    for (const subject of subjects) this.#entries.set(keyOf(subject), { ...subject, until });
    return true;
  }

  /** Whether a peer is banned now. */
  holds(peer: Introduced): boolean {
    if (this.#entries.size === 0) return false;
    const now = this.#clock.now();
    return subjectsOf(peer).some(
      (subject) => (this.#entries.get(keyOf(subject))?.until ?? 0) > now,
    );
  }

  /**
   * Lifts the bans of a name, whether it is a nick or a host, or all of them; returns those that were in
   * force.
   */
  lift(name: string | undefined): readonly Ban[] {
    const lifted = this.all().filter((ban) => name === undefined || ban.name === name);
    for (const ban of lifted) this.#entries.delete(keyOf(ban));
    return lifted;
  }

  /** All bans in force, in the order in which they were made. */
  all(): readonly Ban[] {
    this.#forgetExpired();
    const now = this.#clock.now();
    return [...this.#entries.values()].map(({ kind, name, until }) => ({
      kind,
      name,
      leftMs: until - now,
    }));
  }

  #forgetExpired(): void {
    const now = this.#clock.now();
    for (const [key, { until }] of this.#entries) if (until <= now) this.#entries.delete(key);
  }
}
