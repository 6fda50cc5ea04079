/**
 * All sessions of a maker, with a limit for each kind; `runner.ts` runs each of them. A nick has one
 * active session, and `fill`s beside it that were not proven yet: a taker asks again with another key
 * when another maker fails, and any relay can repeat an old `fill`.
 */
import type { ReceivedPrivateMessage, Route } from '../../channel/channel-api.js';
import type { Log } from '../../channel/log.js';
import type { Clock } from '../../channel/ports.js';
import type { Network } from '../../protocol/constants.js';
import type { Location } from '../../protocol/location.js';
import type { Command } from '../../protocol/commands.js';
import { createBoxKeyPair, openBoxSession, type RandomBytes } from '../../protocol/encryption.js';
import type { Offer } from '../../protocol/offer.js';
import { createCourier, type NegotiationChannel } from '../resender.js';
import { wayOf, type Door } from './request-limits.js';
import type { MakerOutcome, MakerPolicy, MakerState } from './api.js';
import { NO_ROOM } from './endings.js';
import { offerFor, openMakerSession } from './fill.js';
import { createMakerRunner, type MakerTalk } from './runner.js';
import type { ChainView, CommitmentStore, MakerWallet } from '../ports.js';
import { reservedOutputsOf, type ReservedOutputs } from './reserved-outputs.js';
import { formatRefusal, parseFill } from '../payloads.js';

/** How many negotiations a maker has at the same time. */
export interface SessionLimits {
  /** Most sessions without a proof; the oldest is removed for a new one. */
  readonly unproven: number;
  /** Most sessions with a proof; further proofs are refused. */
  readonly proven: number;
}

/** The default limits. */
export const DEFAULT_SESSION_LIMITS: SessionLimits = { unproven: 100, proven: 20 };

export interface MakerSessionsOptions {
  readonly channel: NegotiationChannel;
  readonly network: Network;
  readonly offers: readonly Offer[];
  readonly wallet: MakerWallet;
  readonly chain: ChainView;
  /** Coins and addresses in use; by default the wallet's set, which outlives its makers. */
  readonly reserved?: ReservedOutputs;
  /** Used commitments, our own and announced ones. */
  readonly commitments: CommitmentStore;
  readonly policy: MakerPolicy;
  readonly limits: SessionLimits;
  readonly door: Door;
  readonly clock: Clock;
  readonly randomBytes: RandomBytes;
  readonly log: Log;
  /** A commitment was used with us, or an earlier one was sent again: it should be announced. */
  readonly onUsed?: (commitment: string, when: 'now' | 'before') => void;
  readonly onOutcome?: (taker: string, outcome: MakerOutcome) => void;
}

export interface MakerSessions {
  /** A verified private message; other commands are ignored. */
  receive(message: ReceivedPrivateMessage): void;
  /** Number of running sessions. */
  readonly size: number;
  /** Number of running sessions with a proof. */
  readonly proven: number;
  /** Ends every session; coins without signatures are released. */
  close(): void;
}

const isProven = ({ state: { state } }: MakerTalk): boolean =>
  state !== 'awaiting-auth' && state !== 'checking-coin';

const directoryOf = (route: Route): Location | undefined =>
  route.kind === 'directory' ? route.location : undefined;

const AT_WORK: ReadonlySet<MakerState['state']> = new Set(['reserving', 'claiming', 'signing']);
const isAtWork = ({ state: { state } }: MakerTalk): boolean => AT_WORK.has(state);
/** A `fill` without a proof so far. */
const isOpen = ({ state: { state } }: MakerTalk): boolean => state === 'awaiting-auth';

/** Of one nick. Deployed takers ask again up to three times in a round. */
const OPEN_PER_NICK = 4;

/**
 * The open `fill` of a nick that is removed for a new one: the oldest from the source with the most, so
 * that a peer that repeats old ones removes only its own.
 */
function surplusOf(open: readonly MakerTalk[], way: string): MakerTalk | undefined {
  if (open.length < OPEN_PER_NICK) return undefined;
  const counts = new Map([[way, 1]]);
  for (const talk of open) counts.set(talk.way, (counts.get(talk.way) ?? 0) + 1);
  const most = Math.max(...counts.values());
  const among = open.filter((talk) => counts.get(talk.way) === most);
  return among.find((talk) => talk.way === way) ?? among[0] ?? open[0];
}

/** A taker takes the first key that arrives as the answer to its last `fill`. */
function crossBoxes(talk: MakerTalk, { state }: MakerTalk, open: readonly MakerTalk[]): void {
  if (state.state !== 'awaiting-auth') return;
  const { keys } = state.terms;
  const box = openBoxSession(keys, talk.takerKey);
  if (box.ok) talk.otherBoxes.push({ keys, box: box.value });
  if (talk.otherBoxes.length <= OPEN_PER_NICK) return;
  // Keys of a removed `fill` are tried first.
  const inUse = new Set(open.flatMap((one) => ('terms' in one.state ? one.state.terms.keys : [])));
  const gone = talk.otherBoxes.findIndex((other) => !inUse.has(other.keys));
  talk.otherBoxes.splice(Math.max(0, gone), 1);
}

export function createMakerSessions(options: MakerSessionsOptions): MakerSessions {
  const { channel, commitments, policy, limits, door, clock, log } = options;
  const courier = createCourier(channel, clock);
  // In the order of their start.
  const sessions = new Set<MakerTalk>();
  const talksOf = (nick: string): readonly MakerTalk[] =>
    [...sessions].filter((talk) => talk.nick === nick);
  const { dispatch, apply } = createMakerRunner({
    ...options,
    reserved: options.reserved ?? reservedOutputsOf(options.wallet),
    courier,
    hasRoom: () => provenCount() <= limits.proven,
    onClaim(talk, commitment) {
      for (const other of sessions) {
        if (other !== talk && other.commitment === commitment) {
          dispatch(other, { kind: 'end', fault: 'commitment-used' });
        }
      }
    },
    onClaimed: (commitment) => options.onUsed?.(commitment, 'now'),
    onEnd(talk, outcome) {
      if (sessions.delete(talk)) courier.forget(talk.nick, talk.key);
      if (outcome.result === 'signed') {
        log.info('a coinjoin was signed', { pushed: outcome.pushed });
      } else {
        log.info('a negotiation ended', { step: outcome.step, fault: outcome.fault });
      }
      options.onOutcome?.(talk.nick, outcome);
    },
  });

  const provenCount = (): number => [...sessions].filter(isProven).length;

  function refuse({ from, route }: ReceivedPrivateMessage, reason: string, key: string): void {
    if (door.mayBeRefused(from)) {
      courier.mention(from, 'error', formatRefusal(reason, key), directoryOf(route));
    }
  }

  function makeRoom(): void {
    const unproven = [...sessions].filter((session) => !isProven(session));
    const [oldest] = unproven;
    if (oldest !== undefined && unproven.length >= limits.unproven) {
      dispatch(oldest, { kind: 'end', fault: 'evicted' });
    }
  }

  function onFill(message: ReceivedPrivateMessage, { args }: Command): void {
    const nick = message.from;
    const talks = talksOf(nick);
    const key = args.slice(0, 4).join(' ');
    const known = talks.find((talk) => talk.key === key);
    if (known !== undefined) {
      dispatch(known, { kind: 'message', command: 'fill', args });
      return;
    }
    if (!door.mayFill(nick, message.route)) return;
    const fill = parseFill(args);
    if (!fill.ok) {
      refuse(message, `bad fill: ${fill.reason}`, args[2] ?? '');
      return;
    }
    const { commitment, takerKey } = fill.value;
    const same = talks.filter((talk) => talk.commitment === commitment);
    // One that the taker sent to another maker and a relay brought here: signatures name no addressee.
    if (same.some((talk) => talk.takerKey === takerKey || isProven(talk))) return;
    if (commitments.has(commitment)) {
      refuse(message, `Commitment is blacklisted: ${commitment}`, takerKey);
      options.onUsed?.(commitment, 'before');
      return;
    }
    const offer = offerFor(options.offers, fill.value);
    if (!offer.ok) {
      refuse(message, offer.reason === 'oid' ? 'oid not found' : 'amount out of range', takerKey);
      return;
    }
    // A session that this one would replace does not count.
    if (provenCount() - talks.filter(isProven).length >= limits.proven) {
      refuse(message, NO_ROOM, takerKey);
      return;
    }
    // Not while our own wallet or disk is working: that ends within its deadline.
    if (talks.some(isAtWork)) return;
    const keys = createBoxKeyPair(options.randomBytes);
    const box = openBoxSession(keys, takerKey);
    if (!box.ok) {
      refuse(message, `Invalid nacl pubkey: ${takerKey}`, takerKey);
      return;
    }
    // Other open `fill`s stay until one of them is proven: this one may be a repeated old one.
    const way = wayOf(message.route);
    const surplus = surplusOf(talks.filter(isOpen), way);
    if (surplus) dispatch(surplus, { kind: 'end', fault: 'replaced' });
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
      way,
      key,
      commitment,
      takerKey,
      otherBoxes: [],
      abort: new AbortController(),
      state: opened.state,
      hold: undefined,
      by: directoryOf(message.route),
      cancelDeadline: undefined,
    };
    const others = talksOf(nick);
    for (const other of others) {
      crossBoxes(session, other, others);
      crossBoxes(other, session, [...others, session]);
    }
    sessions.add(session);
    apply(session, opened);
  }

  /** Continues with the `fill` that a proof belongs to; the others of this nick then end. */
  function onProof({ from: nick, route }: ReceivedPrivateMessage, args: readonly string[]): void {
    const talks = talksOf(nick);
    for (const talk of talks.filter((one) => !isOpen(one))) {
      dispatch(talk, { kind: 'message', command: 'auth', args });
    }
    if (talks.some(isAtWork)) return;
    const open = talks.filter(isOpen).toReversed();
    let chosen = open.find(({ state }) => 'terms' in state && state.terms.box.decrypt(args).ok);
    for (const talk of chosen === undefined ? open : []) {
      const other = talk.otherBoxes.find(({ box }) => box.decrypt(args).ok);
      if (other === undefined) continue;
      dispatch(talk, { kind: 'rekeyed', ...other });
      chosen = talk;
      break;
    }
    if (chosen === undefined) return;
    // Only the taker can have made this box.
    chosen.by = directoryOf(route);
    dispatch(chosen, { kind: 'message', command: 'auth', args });
    // A refused proof leaves it as open as before.
    if (isOpen(chosen)) return;
    for (const talk of talks) {
      if (talk !== chosen) dispatch(talk, { kind: 'end', fault: 'replaced' });
    }
  }

  return {
    receive(message) {
      const [command] = message.commands;
      const { name, args } = command;
      if (name === 'fill') onFill(message, command);
      if (name === 'auth') onProof(message, args);
      if (name !== 'tx' && name !== 'push') return;
      for (const talk of talksOf(message.from)) {
        const { state } = talk;
        dispatch(talk, { kind: 'message', command: name, args });
        if (talk.state !== state) talk.by = directoryOf(message.route);
      }
    },
    get size() {
      return sessions.size;
    },
    get proven() {
      return provenCount();
    },
    close() {
      for (const session of sessions) dispatch(session, { kind: 'end', fault: 'stopped' });
      courier.close();
    },
  };
}
