/**
 * All sessions of a maker, one for each nick, with a bound on each kind of session; `maker-runner.ts`
 * runs each of them.
 */
import type { ReceivedPrivateMessage } from '../channel/channel-api.js';
import type { Log } from '../channel/log.js';
import type { Clock } from '../channel/ports.js';
import type { Network } from '../protocol/constants.js';
import type { Command } from '../protocol/commands.js';
import { createBoxKeyPair, openBoxSession, type RandomBytes } from '../protocol/encryption.js';
import type { Offer } from '../protocol/offer.js';
import { createCourier, type NegotiationChannel } from './courier.js';
import type { Door } from './door.js';
import type { MakerOutcome, MakerPolicy, MakerState } from './maker-api.js';
import { NO_ROOM } from './maker-endings.js';
import { offerFor, openMakerSession } from './maker-fill.js';
import { createMakerRunner, type MakerTalk } from './maker-runner.js';
import type { ChainView, CommitmentStore, MakerWallet } from './ports.js';
import { reservedOutputsOf, type ReservedOutputs } from './reserved-outputs.js';
import { formatRefusal, parseFill } from './texts.js';

export interface SessionLimits {
  /** Sessions whose taker has proved nothing yet; the oldest makes room for a new one. */
  readonly unproven: number;
  /** Sessions whose taker has proved a coin; further proofs are turned away. */
  readonly proven: number;
}

export const DEFAULT_SESSION_LIMITS: SessionLimits = { unproven: 100, proven: 20 };

export interface MakerSessionsOptions {
  readonly channel: NegotiationChannel;
  readonly network: Network;
  readonly offers: readonly Offer[];
  readonly wallet: MakerWallet;
  readonly chain: ChainView;
  /** Coins and addresses in use; by default the wallet's one set, which outlives its makers. */
  readonly reserved?: ReservedOutputs;
  /** Used commitments, ours and heard of. */
  readonly commitments: CommitmentStore;
  readonly policy: MakerPolicy;
  readonly limits: SessionLimits;
  readonly door: Door;
  readonly clock: Clock;
  readonly randomBytes: RandomBytes;
  readonly log: Log;
  /** A commitment was used with us, or was before and is shown again: others should hear of it. */
  readonly onUsed?: (commitment: string, when: 'now' | 'before') => void;
  readonly onOutcome?: (taker: string, outcome: MakerOutcome) => void;
}

export interface MakerSessions {
  /** A verified private message; what is no part of a negotiation is ignored. */
  receive(message: ReceivedPrivateMessage): void;
  /** Sessions that are running. */
  readonly size: number;
  /** Of these, the ones whose taker has proved a coin. */
  readonly proven: number;
  /** Ends every session; coins that nothing was signed for are free again. */
  close(): void;
}

const isProven = ({ state: { state } }: MakerTalk): boolean =>
  state !== 'awaiting-auth' && state !== 'checking-coin';

const AT_WORK: ReadonlySet<MakerState['state']> = new Set(['reserving', 'claiming', 'signing']);

export function createMakerSessions(options: MakerSessionsOptions): MakerSessions {
  const { channel, commitments, policy, limits, door, clock, log } = options;
  const courier = createCourier(channel, clock);
  // In the order of their beginning.
  const sessions = new Map<string, MakerTalk>();
  const { dispatch, apply } = createMakerRunner({
    ...options,
    reserved: options.reserved ?? reservedOutputsOf(options.wallet),
    courier,
    hasRoom: () => provenCount() <= limits.proven,
    onClaim(talk, commitment) {
      for (const other of sessions.values()) {
        if (other !== talk && other.commitment === commitment) {
          dispatch(other, { kind: 'end', fault: 'commitment-used' });
        }
      }
    },
    onClaimed: (commitment) => options.onUsed?.(commitment, 'now'),
    onEnd(talk, outcome) {
      if (sessions.get(talk.nick) === talk) {
        sessions.delete(talk.nick);
        courier.forget(talk.nick);
      }
      if (outcome.result === 'signed') {
        log.info('a coinjoin was signed', { pushed: outcome.pushed });
      } else {
        log.info('a negotiation ended', { step: outcome.step, fault: outcome.fault });
      }
      options.onOutcome?.(talk.nick, outcome);
    },
  });

  const provenCount = (): number => [...sessions.values()].filter(isProven).length;

  function refuse(nick: string, reason: string, takerKey: string): void {
    if (door.mayBeRefused(nick)) {
      courier.mention(nick, 'error', formatRefusal(reason, takerKey));
    }
  }

  function makeRoom(): void {
    const unproven = [...sessions.values()].filter((session) => !isProven(session));
    const [oldest] = unproven;
    if (oldest !== undefined && unproven.length >= limits.unproven) {
      dispatch(oldest, { kind: 'end', fault: 'evicted' });
    }
  }

  function onFill(message: ReceivedPrivateMessage, { args }: Command): void {
    const nick = message.from;
    const running = sessions.get(nick);
    const key = args.slice(0, 4).join(' ');
    if (running?.key === key) {
      dispatch(running, { kind: 'message', command: 'fill', args });
      return;
    }
    if (!door.mayFill(nick, message.route)) return;
    const fill = parseFill(args);
    if (!fill.ok) {
      refuse(nick, `bad fill: ${fill.reason}`, args[2] ?? '');
      return;
    }
    const { commitment, takerKey } = fill.value;
    // One that it said to another maker, brought here by anybody: signatures name no addressee.
    if (running?.commitment === commitment) return;
    if (commitments.has(commitment)) {
      refuse(nick, `Commitment is blacklisted: ${commitment}`, takerKey);
      options.onUsed?.(commitment, 'before');
      return;
    }
    const offer = offerFor(options.offers, fill.value);
    if (!offer.ok) {
      refuse(nick, offer.reason === 'oid' ? 'oid not found' : 'amount out of range', takerKey);
      return;
    }
    // A session that this one would take the place of does not count.
    const others = provenCount() - (running !== undefined && isProven(running) ? 1 : 0);
    if (others >= limits.proven) {
      refuse(nick, NO_ROOM, takerKey);
      return;
    }
    // Not while our own wallet or disk is at work: that ends within its deadline.
    if (running !== undefined && AT_WORK.has(running.state.state)) return;
    const keys = createBoxKeyPair(options.randomBytes);
    const box = openBoxSession(keys, takerKey);
    if (!box.ok) {
      refuse(nick, `Invalid nacl pubkey: ${takerKey}`, takerKey);
      return;
    }
    if (running !== undefined) dispatch(running, { kind: 'end', fault: 'replaced' });
    makeRoom();
    const opened = openMakerSession({
      network: options.network,
      policy,
      fill: fill.value,
      offer: offer.value,
      keys,
      box: box.value,
      randomBytes: options.randomBytes,
    });
    const session: MakerTalk = {
      nick,
      key,
      commitment,
      abort: new AbortController(),
      state: opened.state,
      hold: undefined,
      cancelDeadline: undefined,
    };
    sessions.set(nick, session);
    apply(session, opened);
  }

  return {
    receive(message) {
      const [command] = message.commands;
      if (command.name === 'fill') onFill(message, command);
      const session = sessions.get(message.from);
      const { name, args } = command;
      if (session !== undefined && (name === 'auth' || name === 'tx' || name === 'push')) {
        dispatch(session, { kind: 'message', command: name, args });
      }
    },
    get size() {
      return sessions.size;
    },
    get proven() {
      return provenCount();
    },
    close() {
      for (const session of sessions.values()) dispatch(session, { kind: 'end', fault: 'stopped' });
      courier.close();
    },
  };
}
