/**
 * Compares directories by the messages that each delivers, flags those that withhold a maker's private
 * messages, and tells which to avoid. docs/audit.md says what this can prove.
 */
import type { Arrival, DirectoryDown, OnionMessageChannel } from '../channel/channel-api.js';
import type { Log } from '../channel/log.js';
import type { Clock } from '../channel/ports.js';
import type { DirectoryAudit, EvidenceRecord } from '../orderbook/book-api.js';
import { formatLocation } from '../protocol/location.js';
import { flagsOf, newRecord, type DirectoryRecord, type Pair } from './flags.js';
import { createLeaves, type Leaves } from './leaves.js';
import { evidenceOf, judge, NEW_PAIR, threshold, type PairState } from './pair-test.js';
import { createRounds, type ClosedRound, type Rounds } from './rounds.js';

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

/** Options of an audit. */
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
  return new ChannelAudit(options);
}

class ChannelAudit implements Audit {
  readonly #options: AuditOptions;
  readonly #limits: AuditLimits;
  readonly #directories = new Map<string, DirectoryRecord>();
  readonly #leaves: Leaves;
  readonly #rounds: Rounds;
  readonly #stopObserving: () => void;
  #evidence: readonly EvidenceRecord[];
  #askedAt: number | undefined;

  constructor(options: AuditOptions) {
    const { channel, clock, formerEvidence = [] } = options;
    this.#options = options;
    this.#limits = { ...DEFAULT_AUDIT_LIMITS, ...options.limits };
    const { leaveMs, makers, roundMs, openRounds, evidence } = this.#limits;
    this.#leaves = createLeaves(clock, leaveMs, makers);
    this.#evidence = formerEvidence.slice(-evidence);
    this.#rounds = createRounds({
      clock,
      roundMs,
      most: openRounds,
      shownBy: (nick) => this.#shownBy(nick),
      onClosed: (round) => this.#closed(round),
    });
    this.#stopObserving = channel.observe({
      arrived: (arrival) => this.#arrived(arrival),
      left: (nick, directory) => {
        const key = formatLocation(directory);
        this.#rounds.left(nick, key);
        this.#leaves.left(nick, key);
      },
    });
    channel.on('directory-down', this.#onDown);
    channel.avoidDirectories((directory, maker) => this.avoid(directory, maker));
  }

  get evidence(): readonly EvidenceRecord[] {
    return this.#evidence;
  }

  asked(): void {
    this.#askedAt = this.#options.clock.now();
  }

  report(directory: string): DirectoryAudit {
    const record = this.#recordOf(directory);
    const { told, contradicted } = this.#leaves.of(directory);
    let strongest = 0;
    for (const { state } of record.pairs.values()) {
      if (!state.flagged) strongest = Math.max(strongest, evidenceOf(state));
    }
    return {
      directory,
      flags: flagsOf(record),
      flagged: record.flagged.size,
      avoided: this.#isAvoided(directory),
      rounds: record.rounds,
      delivered: record.delivered,
      publicExpected: record.publicExpected,
      publicDelivered: record.publicDelivered,
      leaves: told,
      leavesContradicted: contradicted,
      suspicion: Math.min(1, strongest / this.#threshold()),
    };
  }

  avoid(directory: string, maker: string): boolean {
    const flagged = this.#directories.get(directory)?.flagged;
    if (!flagged || flagged.size === 0) return false;
    return flagged.has(maker) || this.#isAvoided(directory);
  }

  close(): void {
    const { channel } = this.#options;
    this.#stopObserving();
    channel.off('directory-down', this.#onDown);
    channel.avoidDirectories(undefined);
    this.#rounds.close();
  }

  readonly #onDown = ({ location }: DirectoryDown): void =>
    this.#rounds.lost(formatLocation(location));

  #recordOf(directory: string): DirectoryRecord {
    const known = this.#directories.get(directory);
    if (known) return known;
    const fresh = newRecord();
    this.#directories.set(directory, fresh);
    return fresh;
  }

  #upNow(): Set<string> {
    const up = this.#options.channel.directories().filter(({ state }) => state === 'up');
    return new Set(up.map(({ location }) => formatLocation(location)));
  }

  #shownBy(nick: string): readonly string[] {
    const up = this.#upNow();
    const shown = this.#options.channel.peer(nick)?.directories ?? [];
    return shown.map(formatLocation).filter((directory) => up.has(directory));
  }

  /** The evidence that a flag needs, for the current number of pairs. */
  #threshold(): number {
    let pairs = 0;
    for (const record of this.#directories.values()) pairs += record.pairs.size;
    return threshold(pairs);
  }

  /**
   * Any maker can get a directory flagged by not using it. So a directory is avoided for other makers
   * only while at most half of the connected directories are flagged.
   */
  #isAvoided(directory: string): boolean {
    if (this.#recordOf(directory).flagged.size === 0) return false;
    const up = this.#upNow();
    const flagged = [...up].filter((one) => (this.#directories.get(one)?.flagged.size ?? 0) > 0);
    return flagged.length * 2 <= up.size;
  }

  #arrived({ from, directory, private: isPrivate, id, neverHeard }: Arrival): void {
    const source = directory && formatLocation(directory);
    if (isPrivate) this.#leaves.spoke(from, source);
    if (source === undefined) return;
    if (!isPrivate) {
      // A peer that relayed an old message can repeat it, so only a new message starts a test.
      this.#rounds.arrived(`public ${id}`, from, source, false, neverHeard);
      return;
    }
    const now = this.#options.clock.now();
    const isAnswer = this.#askedAt !== undefined && now - this.#askedAt <= this.#limits.answerMs;
    this.#rounds.arrived(`private ${from}`, from, source, true, isAnswer || neverHeard);
  }

  #closed(round: ClosedRound): void {
    if (round.eligible.length < 2) return;
    if (!round.private) return this.#countPublic(round);
    const limit = this.#threshold();
    for (const directory of round.eligible) this.#judgePair(directory, round, limit);
  }

  #countPublic({ eligible, delivered }: ClosedRound): void {
    for (const directory of eligible) {
      const record = this.#recordOf(directory);
      record.publicExpected++;
      if (delivered.has(directory)) record.publicDelivered++;
    }
  }

  #judgePair(directory: string, round: ClosedRound, limit: number): void {
    const record = this.#recordOf(directory);
    const delivered = round.delivered.has(directory);
    const others = round.delivered.size - (delivered ? 1 : 0);
    const now = this.#options.clock.now();
    record.rounds++;
    if (delivered) record.delivered++;
    const pair: Pair = record.pairs.get(round.nick) ?? {
      state: NEW_PAIR,
      judgedAt: 0,
      flaggedAt: undefined,
    };
    const before = pair.state;
    pair.state = judge(before, { eligible: round.eligible.length, others, delivered }, limit);
    pair.judgedAt = now;
    record.pairs.delete(round.nick);
    record.pairs.set(round.nick, pair);
    this.#forgetOld(directory, record);
    const { flagged } = pair.state;
    if (flagged === before.flagged) return;
    pair.flaggedAt = flagged ? now : undefined;
    if (flagged) record.flagged.add(round.nick);
    else record.flagged.delete(round.nick);
    this.#note(directory, round.nick, flagged ? 'flag' : 'clear', pair.state);
  }

  #forgetOld(directory: string, record: DirectoryRecord): void {
    const { forgetMs, makers } = this.#limits;
    for (const [maker, { state, judgedAt }] of record.pairs) {
      const tooOld = this.#options.clock.now() - judgedAt > forgetMs;
      if (!tooOld && record.pairs.size <= makers) return;
      if (record.flagged.delete(maker)) this.#note(directory, maker, 'clear', state);
      record.pairs.delete(maker);
    }
  }

  #note(directory: string, maker: string, event: 'flag' | 'clear', state: PairState): void {
    const { epochMs = Date.now, onEvidence, log } = this.#options;
    const record: EvidenceRecord = {
      atEpoch: epochMs(),
      directory,
      event,
      kind: 'withholds',
      maker,
      rounds: state.rounds,
      delivered: state.delivered,
      evidence: evidenceOf(state),
      compared: this.#compared(maker),
    };
    this.#evidence = [...this.#evidence, record].slice(-this.#limits.evidence);
    onEvidence?.(record);
    // One log line for each directory, not for each of its makers.
    const { size: others } = this.#recordOf(directory).flagged;
    if (event === 'clear' && others === 0) {
      log.info('a directory is no longer flagged', { directory });
    } else if (event === 'flag' && others === 1) {
      log.warn('a directory seems to withhold messages; it is used last', { directory });
    }
  }

  #compared(maker: string): EvidenceRecord['compared'] {
    const rows = [...this.#directories].flatMap(([directory, { pairs }]) => {
      const state = pairs.get(maker)?.state;
      return state
        ? [[directory, { rounds: state.rounds, delivered: state.delivered }] as const]
        : [];
    });
    return Object.fromEntries(rows);
  }
}
