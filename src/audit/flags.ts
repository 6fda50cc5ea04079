/** The audit's state of each directory, and the flags that follow from it. */
import { counted } from '../kit/decimal.js';
import { FLAGS_LISTED, type AuditFlag } from '../orderbook/book-api.js';
import { evidenceOf, type PairState } from './pair-test.js';

/**
 * More than this share of a directory's makers, and at least this many: the flag is then about the
 * directory, not about single makers.
 */
const LOSSY_SHARE = 0.25;
const LOSSY_LEAST = 3;

/** One maker as one directory showed it. Times are those of the audit's clock. */
export interface Pair {
  state: PairState;
  judgedAt: number;
  flaggedAt: number | undefined;
}

/** The state of one directory. */
export interface DirectoryRecord {
  rounds: number;
  delivered: number;
  publicExpected: number;
  publicDelivered: number;
  /** By maker, in the order of the last round. */
  readonly pairs: Map<string, Pair>;
  readonly flagged: Set<string>;
}

export function newRecord(): DirectoryRecord {
  return {
    rounds: 0,
    delivered: 0,
    publicExpected: 0,
    publicDelivered: 0,
    pairs: new Map(),
    flagged: new Set(),
  };
}

function flagOf(maker: string, { state, judgedAt, flaggedAt }: Pair): AuditFlag {
  const { rounds: count, delivered } = state;
  return {
    kind: 'withholds',
    maker,
    since: flaggedAt ?? judgedAt,
    rounds: count,
    delivered,
    evidence: evidenceOf(state),
    detail: `${delivered} of ${counted(count, 'round')} of ${maker} had a delivery through this directory`,
  };
}

/**
 * The flags of a directory. The one about the directory itself comes first, then at most `FLAGS_LISTED`
 * more.
 */
export function flagsOf({ pairs, flagged }: DirectoryRecord): AuditFlag[] {
  const flags = [...flagged].flatMap((maker): AuditFlag[] => {
    const pair = pairs.get(maker);
    return pair ? [flagOf(maker, pair)] : [];
  });
  const listed = flags.slice(0, FLAGS_LISTED);
  if (flags.length < LOSSY_LEAST || flags.length < LOSSY_SHARE * pairs.size) return listed;
  const lossy: AuditFlag = {
    kind: 'lossy',
    maker: undefined,
    since: Math.max(...flags.map(({ since }) => since)),
    rounds: flags.reduce((sum, flag) => sum + flag.rounds, 0),
    delivered: flags.reduce((sum, flag) => sum + flag.delivered, 0),
    evidence: Math.max(...flags.map((flag) => flag.evidence)),
    detail: `messages of ${flags.length} of ${pairs.size} makers are not delivered here`,
  };
  return [lossy, ...listed];
}
