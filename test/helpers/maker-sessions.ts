/** The sessions of a maker with a wallet, on a message exchange. */
import { randomBytes } from 'node:crypto';
import type { Clock } from '../../src/channel/ports.js';
import { silentLog } from '../../src/channel/log.js';
import {
  DEFAULT_MAKER_POLICY,
  type MakerOutcome,
  type MakerPolicy,
} from '../../src/negotiation/maker/api.js';
import {
  createRequestLimiter,
  DEFAULT_REQUEST_LIMITS,
} from '../../src/negotiation/maker/request-limits.js';
import { MakerSessions } from '../../src/negotiation/maker/sessions.js';
import type { ChainView, CommitmentStore, MakerWallet } from '../../src/negotiation/ports.js';
import type { Offer } from '../../src/protocol/offer.js';
import type { MessageExchange } from './message-exchange.js';

export interface MakerSessionsTerms {
  readonly office: MessageExchange;
  readonly nick: string;
  readonly wallet: MakerWallet;
  readonly chain: ChainView;
  readonly commitments: CommitmentStore;
  readonly offer: Offer;
  readonly clock: Clock;
  readonly policy?: Partial<MakerPolicy>;
}

/** Running sessions, and how those before them ended. */
export interface TestSessions {
  readonly sessions: MakerSessions;
  readonly outcomes: readonly MakerOutcome[];
}

export function openMakerSessions({
  office,
  nick,
  offer,
  policy,
  ...terms
}: MakerSessionsTerms): TestSessions {
  const channel = office.open(nick);
  const outcomes: MakerOutcome[] = [];
  const sessions = new MakerSessions({
    ...terms,
    channel,
    network: 'regtest',
    offers: [offer],
    policy: { ...DEFAULT_MAKER_POLICY, ...policy },
    limits: { unproven: 20, proven: 20 },
    limiter: createRequestLimiter(terms.clock, {
      ...DEFAULT_REQUEST_LIMITS,
      fillsPerLink: 100,
      fillsTotal: 100,
    }),
    randomBytes,
    log: silentLog,
    onOutcome: (_, outcome) => outcomes.push(outcome),
  });
  channel.on('privmsg', (message) => sessions.receive(message));
  return { sessions, outcomes };
}
