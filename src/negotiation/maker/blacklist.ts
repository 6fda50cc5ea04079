/**
 * Handles commitments that other peers announce (docs/protocol.md, sections 8.3, 8.4): a public `!hp2`
 * is stored, a private one is stored and announced.
 */
import { errorText } from '../../kit/error-text.js';
import { BoundedMap } from '../../kit/bounded-map.js';
import type { Log } from '../../channel/log.js';
import type { Clock } from '../../channel/ports.js';
import { TokenBucket } from '../../kit/rate-limit.js';
import { formatLocation } from '../../protocol/location.js';
import type { Command } from '../../protocol/commands.js';
import { parseBareCommitment } from '../../protocol/podle.js';
import type { CommitmentRelay } from './commitment-relay.js';
import type { Link } from './request-limits.js';
import type { CommitmentStore } from '../ports.js';

/** How a maker stores used commitments, and which it learns from others. */
export interface BlacklistOptions {
  /** The used commitments; see `openCommitmentFile`. */
  readonly store: CommitmentStore;
  /** Announces commitments; without it none is announced. */
  readonly relay?: CommitmentRelay;
  /**
   * Whether announcements of other peers are stored (`[POLICY] accept_commitment_broadcasts`); default
   * true.
   */
  readonly acceptBroadcasts?: boolean;
  /**
   * Number of commitments above which announcements of other peers are ignored (default 1,000,000, 65
   * MB on disk): a public message proves nothing and costs nothing. Those of our own takers are always
   * stored.
   */
  readonly mostHeard?: number;
}

/** Per second and link, and in total; a minute's worth may come at once. */
const HEARD_PER_LINK = 2;
const HEARD_TOTAL = 5;
const BURST_SECONDS = 60;
const LINKS_REMEMBERED = 500;
const DEFAULT_MOST = 1_000_000;

export interface Blacklist {
  readonly store: CommitmentStore;
  /** An `hp2` in a message; `isPrivate` asks us to announce it. */
  heard(commands: readonly Command[], link: Link, nick: string, isPrivate: boolean): void;
  /**
   * A commitment was used with us now, or an earlier one was sent to us again. Used ones are public, so
   * sending them costs nothing: the second case uses the budget of other peers.
   */
  used(commitment: string, when: 'now' | 'before'): void;
}

export function createBlacklist(
  { store, relay, acceptBroadcasts = true, mostHeard = DEFAULT_MOST }: BlacklistOptions,
  clock: Clock,
  log: Log,
): Blacklist {
  const bucket = (perSecond: number): TokenBucket =>
    new TokenBucket(clock, perSecond, perSecond * BURST_SECONDS);
  const links = new BoundedMap<string, TokenBucket>(LINKS_REMEMBERED);
  const total = bucket(HEARD_TOTAL);

  function remember(commitment: string): void {
    if (!acceptBroadcasts || store.has(commitment) || store.size >= mostHeard) return;
    store.add(commitment).catch((error: unknown) => {
      const reason = errorText(error);
      log.error('a used commitment could not be stored', { reason });
    });
  }

  return {
    store,
    heard(commands, link, nick, isPrivate) {
      for (const { name, args } of commands) {
        if (name !== 'hp2') continue;
        const commitment = parseBareCommitment(args[0] ?? '');
        if (!commitment.ok) return;
        const source = link.kind === 'direct' ? `direct ${nick}` : formatLocation(link.location);
        const mayTeach = links.use(source, () => bucket(HEARD_PER_LINK)).take() && total.take();
        if (!mayTeach) return;
        if (isPrivate) relay?.relay(commitment.value, 'others');
        remember(commitment.value);
      }
    },
    used: (commitment, when) => void relay?.relay(commitment, when === 'now' ? 'us' : 'others'),
  };
}
