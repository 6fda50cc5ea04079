/**
 * Compares directories by the messages that each delivers, flags those that withhold a maker's private
 * messages, and tells which to avoid. docs/audit.md says what this can prove.
 */
import type { Arrival, OnionMessageChannel } from '../channel/channel-api.js';
import type { Log } from '../channel/log.js';
import type { Clock } from '../channel/ports.js';
import type { DirectoryAudit, EvidenceRecord } from '../orderbook/book-api.js';
import { formatLocation } from '../protocol/location.js';
import { flagsOf, newRecord, type DirectoryRecord } from './flags.js';
import { createLeaves } from './leaves.js';
import { evidenceOf, judge, NEW_PAIR, threshold, type PairState } from './pair-test.js';
import { createRounds, type ClosedRound } from './rounds.js';

export interface AuditLimits {
  /** From a maker's first arrival to the end of the round, in milliseconds. */
  readonly roundMs: number;
  /** Within this time after our request an answer belongs to it, in milliseconds. */
  readonly answerMs: number;
  /** A message this soon after a leave contradicts it, in milliseconds. */
  readonly leaveMs: number;
  /**
   * Makers followed for each directory. When there are more, the one judged longest ago is forgotten.
   */
  readonly makers: number;
  /** A maker that was not judged for this long is forgotten together with its flag, in milliseconds. */
  readonly forgetMs: number;
  /** Most open rounds, of private and of public messages. */
  readonly openRounds: number;
  /** Records of evidence kept in memory. */
  readonly evidence: number;
}

export const DEFAULT_AUDIT_LIMITS: AuditLimits = {
  roundMs: 60_000,
  answerMs: 120_000,
  leaveMs: 600_000,
  makers: 5_000,
  forgetMs: 86_400_000,
  openRounds: 10_000,
  evidence: 200,
};

/** What an audit needs. */
export interface AuditOptions {
  /** The channel whose directories are compared. */
  readonly channel: Pick<
    OnionMessageChannel,
    'observe' | 'peer' | 'directories' | 'on' | 'off' | 'avoidDirectories'
  >;
  /** The time of rounds and flags. */
  readonly clock: Clock;
  /** Receives the log lines of the audit. */
  readonly log: Log;
  /** Milliseconds since 1970. Default `Date.now`. */
  readonly epochMs?: () => number;
  /** Limits that differ from the defaults. */
  readonly limits?: Partial<AuditLimits>;
  /** Called for each flag and for the end of each flag; for a file. */
  readonly onEvidence?: (record: EvidenceRecord) => void;
  /** Evidence of former runs, oldest first. It is shown and has no other effect. */
  readonly formerEvidence?: readonly EvidenceRecord[];
}

/** A running audit. */
export interface Audit {
  /** Makers were asked for their offers at this moment. */
  asked(): void;
  /** The figures of a directory (`host:port`); all 0 for one without messages. */
  report(directory: string): DirectoryAudit;
  /** Whether messages to this maker should avoid a directory. The channel's routing already does. */
  avoid(directory: string, maker: string): boolean;
  /** The newest last. */
  readonly evidence: readonly EvidenceRecord[];
  /** Stops listening, and stops affecting the routing. The caller closes the channel. */
  close(): void;
}

/** Starts an audit on an open channel; `close` ends it. Throws nothing. */
export function createAudit(options: AuditOptions): Audit {
  const { channel, clock, log, epochMs = Date.now } = options;
  const limits = { ...DEFAULT_AUDIT_LIMITS, ...options.limits };
  const directories = new Map<string, DirectoryRecord>();
  const leaves = createLeaves(clock, limits.leaveMs, limits.makers);
  let evidence: EvidenceRecord[] = [...(options.formerEvidence ?? [])].slice(-limits.evidence);
  let askedAt: number | undefined;

  function recordOf(directory: string): DirectoryRecord {
    const known = directories.get(directory);
    if (known) return known;
    const fresh = newRecord();
    directories.set(directory, fresh);
    return fresh;
  }

  function upNow(): Set<string> {
    const up = channel.directories().filter(({ state }) => state === 'up');
    return new Set(up.map(({ location }) => formatLocation(location)));
  }

  function shownBy(nick: string): readonly string[] {
    const up = upNow();
    return (channel.peer(nick)?.directories ?? []).map(formatLocation).filter((d) => up.has(d));
  }

  function compared(maker: string): EvidenceRecord['compared'] {
    const rows = [...directories].flatMap(([directory, { pairs }]) => {
      const state = pairs.get(maker)?.state;
      return state
        ? [[directory, { rounds: state.rounds, delivered: state.delivered }] as const]
        : [];
    });
    return Object.fromEntries(rows);
  }

  function note(directory: string, maker: string, event: 'flag' | 'clear', state: PairState): void {
    const record: EvidenceRecord = {
      atEpoch: epochMs(),
      directory,
      event,
      kind: 'withholds',
      maker,
      rounds: state.rounds,
      delivered: state.delivered,
      evidence: evidenceOf(state),
      compared: compared(maker),
    };
    evidence = [...evidence, record].slice(-limits.evidence);
    options.onEvidence?.(record);
    // One log line for each directory, not for each of its makers.
    const { size: others } = recordOf(directory).flagged;
    if (event === 'clear' && others === 0) {
      log.info('a directory is no longer flagged', { directory });
    } else if (event === 'flag' && others === 1) {
      log.warn('a directory seems to withhold messages; it is used last', { directory });
    }
  }

  function forgetOld(directory: string, record: DirectoryRecord): void {
    for (const [maker, { state, judgedAt }] of record.pairs) {
      const tooOld = clock.now() - judgedAt > limits.forgetMs;
      if (!tooOld && record.pairs.size <= limits.makers) return;
      if (record.flagged.delete(maker)) note(directory, maker, 'clear', state);
      record.pairs.delete(maker);
    }
  }

  function judgePair(directory: string, round: ClosedRound, limit: number): void {
    const record = recordOf(directory);
    const delivered = round.delivered.has(directory);
    record.rounds++;
    if (delivered) record.delivered++;
    const pair = record.pairs.get(round.nick) ?? {
      state: NEW_PAIR,
      judgedAt: 0,
      flaggedAt: undefined,
    };
    const before = pair.state;
    pair.state = judge(
      before,
      {
        eligible: round.eligible.length,
        others: round.delivered.size - (delivered ? 1 : 0),
        delivered,
      },
      limit,
    );
    pair.judgedAt = clock.now();
    record.pairs.delete(round.nick);
    record.pairs.set(round.nick, pair);
    forgetOld(directory, record);
    if (pair.state.flagged === before.flagged) return;
    pair.flaggedAt = pair.state.flagged ? clock.now() : undefined;
    if (pair.state.flagged) record.flagged.add(round.nick);
    else record.flagged.delete(round.nick);
    note(directory, round.nick, pair.state.flagged ? 'flag' : 'clear', pair.state);
  }

  function countPublic({ eligible, delivered }: ClosedRound): void {
    for (const directory of eligible) {
      const record = recordOf(directory);
      record.publicExpected++;
      if (delivered.has(directory)) record.publicDelivered++;
    }
  }

  function closed(round: ClosedRound): void {
    if (round.eligible.length < 2) return;
    if (!round.private) return countPublic(round);
    let pairs = 0;
    for (const record of directories.values()) pairs += record.pairs.size;
    const limit = threshold(pairs);
    for (const directory of round.eligible) judgePair(directory, round, limit);
  }

  const rounds = createRounds({
    clock,
    roundMs: limits.roundMs,
    most: limits.openRounds,
    shownBy,
    onClosed: closed,
  });

  function arrived({ from, directory, private: isPrivate, id, neverHeard }: Arrival): void {
    const way = directory && formatLocation(directory);
    if (isPrivate) leaves.spoke(from, way);
    if (way === undefined) return;
    if (!isPrivate) {
      // A peer that relayed an old message can repeat it, so only a new message starts a test.
      rounds.arrived(`public ${id}`, from, way, false, neverHeard);
      return;
    }
    const isAnswer = askedAt !== undefined && clock.now() - askedAt <= limits.answerMs;
    rounds.arrived(`private ${from}`, from, way, true, isAnswer || neverHeard);
  }

  const onDown = ({ location }: { readonly location: Parameters<typeof formatLocation>[0] }) =>
    rounds.lost(formatLocation(location));
  const stopObserving = channel.observe({
    arrived,
    left(nick, directory) {
      const key = formatLocation(directory);
      rounds.left(nick, key);
      leaves.left(nick, key);
    },
  });
  channel.on('directory-down', onDown);
  channel.avoidDirectories(avoid);

  /**
   * Any maker can get a directory flagged by not using it. So a directory is avoided for other makers
   * only while at most half of the connected directories are flagged.
   */
  function isAvoided(directory: string): boolean {
    if (recordOf(directory).flagged.size === 0) return false;
    const up = upNow();
    const flagged = [...up].filter((one) => (directories.get(one)?.flagged.size ?? 0) > 0);
    return flagged.length * 2 <= up.size;
  }

  function avoid(directory: string, maker: string): boolean {
    const flagged = directories.get(directory)?.flagged;
    if (!flagged || flagged.size === 0) return false;
    return flagged.has(maker) || isAvoided(directory);
  }

  return {
    asked() {
      askedAt = clock.now();
    },
    report(directory) {
      const record = recordOf(directory);
      const { told, contradicted } = leaves.of(directory);
      let pairs = 0;
      for (const one of directories.values()) pairs += one.pairs.size;
      let strongest = 0;
      for (const { state } of record.pairs.values()) {
        if (!state.flagged) strongest = Math.max(strongest, evidenceOf(state));
      }
      return {
        directory,
        flags: flagsOf(record),
        flagged: record.flagged.size,
        avoided: isAvoided(directory),
        rounds: record.rounds,
        delivered: record.delivered,
        publicExpected: record.publicExpected,
        publicDelivered: record.publicDelivered,
        leaves: told,
        leavesContradicted: contradicted,
        suspicion: Math.min(1, strongest / threshold(pairs)),
      };
    },
    avoid,
    get evidence() {
      return evidence;
    },
    close() {
      stopObserving();
      channel.off('directory-down', onDown);
      channel.avoidDirectories(undefined);
      rounds.close();
    },
  };
}
