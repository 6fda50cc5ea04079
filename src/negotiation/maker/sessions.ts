/**
 * All sessions of a maker, with a limit for each kind; `runner.ts` runs each of them. A nick has one
 * active session, and `fill`s beside it that were not proven yet: a taker asks again with another key
 * when another maker fails, and any relay can repeat an old `fill`.
 */
import type { ReceivedPrivateMessage, Route } from '../../channel/channel-api.js';
import type { Log } from '../../channel/log.js';
import type { Clock } from '../../channel/ports.js';
import { TurnBudget } from '../../kit/cooperative-work.js';
import type { Network } from '../../protocol/constants.js';
import type { Location } from '../../protocol/location.js';
import { createBoxKeyPair, openBoxSession, type RandomBytes } from '../../protocol/encryption.js';
import type { Offer } from '../../protocol/offer.js';
import { createResender, type Resender, type NegotiationChannel } from '../resender.js';
import { linkName } from '../link-name.js';
import type { RequestLimiter } from './request-limits.js';
import type { MakerOutcome, MakerPolicy, MakerStep, MakerTerms } from './api.js';
import { NO_ROOM } from './session-end.js';
import { offerFor, openMakerSession } from './proof.js';
import { RunningSession, type SessionName, type SessionPorts } from './runner.js';
import type { ChainView, CommitmentStore, MakerWallet } from '../ports.js';
import { reservedOutputsOf, type ReservedOutputs } from './reserved-outputs.js';
import { formatRefusal, parseFill, type FillTerms } from '../payloads.js';

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
  readonly limiter: RequestLimiter;
  readonly clock: Clock;
  readonly randomBytes: RandomBytes;
  readonly log: Log;
  /** A commitment was used with us, or an earlier one was sent again: it should be announced. */
  readonly onUsed?: (commitment: string, when: 'now' | 'before') => void;
  /** Called when signatures were sent, with `pushed` false; `onOutcome` follows at the end of the session. */
  readonly onSigned?: (
    taker: string,
    outcome: MakerOutcome & { readonly result: 'signed' },
  ) => void;
  readonly onOutcome?: (taker: string, outcome: MakerOutcome) => void;
}

/** A running session, for a person. */
export interface SessionView {
  /** Nick of the taker. */
  readonly taker: string;
  readonly step: MakerStep;
  /** Satoshi of each side's equal output. */
  readonly amount: number;
  /** When it began, by the clock of the sessions. */
  readonly since: number;
}

/** Longest work of sessions in one turn of the event loop, in milliseconds, before other work has a turn. */
const TURN_MS = 2;

/** Open sessions of one nick. Deployed takers ask again up to three times in a round. */
const OPEN_PER_NICK = 4;

const directoryOf = (route: Route): Location | undefined =>
  route.kind === 'directory' ? route.location : undefined;

/**
 * The open `fill` of a nick that is removed for a new one: the oldest from the source with the most, so
 * that a peer that repeats old ones removes only its own.
 */
function surplusOf(open: readonly RunningSession[], source: string): RunningSession | undefined {
  if (open.length < OPEN_PER_NICK) return undefined;
  const counts = new Map([[source, 1]]);
  for (const session of open) counts.set(session.source, (counts.get(session.source) ?? 0) + 1);
  const most = Math.max(...counts.values());
  const among = open.filter((session) => counts.get(session.source) === most);
  return among.find((session) => session.source === source) ?? among[0] ?? open[0];
}

export class MakerSessions {
  readonly #options: MakerSessionsOptions;
  readonly #resender: Resender;
  readonly #turns: TurnBudget;
  readonly #ports: SessionPorts;
  /** In the order of their start. */
  readonly #sessions = new Set<RunningSession>();
  #offers: readonly Offer[];

  constructor(options: MakerSessionsOptions) {
    const { channel, clock, limits } = options;
    this.#options = options;
    this.#offers = options.offers;
    this.#resender = createResender(channel, clock);
    this.#turns = TurnBudget.shared(clock, TURN_MS);
    this.#ports = {
      ...options,
      reserved: options.reserved ?? reservedOutputsOf(options.wallet),
      resender: this.#resender,
      turns: this.#turns,
      hasRoom: () => this.proven <= limits.proven,
      onCommitmentUsed: (session) => this.#endOthersOf(session),
      onCommitmentStored: (commitment) => options.onUsed?.(commitment, 'now'),
      onSigned: ({ nick }, outcome) => options.onSigned?.(nick, outcome),
      onEnd: (session, outcome) => this.#ended(session, outcome),
    };
  }

  /** Number of running sessions. */
  get size(): number {
    return this.#sessions.size;
  }

  /** Number of running sessions with a proof. */
  get proven(): number {
    return [...this.#sessions].filter(({ isProven }) => isProven).length;
  }

  /** The running sessions, in the order of their start. */
  list(): readonly SessionView[] {
    return [...this.#sessions].flatMap((session) => session.view() ?? []);
  }

  /** Ids without signatures of the transactions for which a `push` is awaited. */
  awaitingPush(): readonly string[] {
    return [...this.#sessions].flatMap(({ awaitsPushOf }) => awaitsPushOf ?? []);
  }

  /** Ends the negotiation of this transaction as signed, if it waits for a `push`. */
  stopAwaitingPush(unsignedTxid: string): void {
    for (const session of this.#sessions) {
      if (session.awaitsPushOf === unsignedTxid)
        session.dispatch({ kind: 'end', fault: 'stopped' });
    }
  }

  /** The offers from now on. Running sessions keep the terms of theirs. */
  setOffers(offers: readonly Offer[]): void {
    this.#offers = offers;
  }

  /** A verified private message; other commands are ignored. */
  receive(message: ReceivedPrivateMessage): void {
    const [{ name, args }] = message.commands;
    if (name === 'fill') this.#onFill(message, args);
    if (name === 'auth') this.#onAuth(message, args);
    if (name !== 'tx' && name !== 'push') return;
    const by = directoryOf(message.route);
    for (const session of this.#sessionsOf(message.from)) session.receive(name, args, by);
  }

  /** Ends every session; coins without signatures are released. */
  close(): void {
    for (const session of this.#sessions) session.dispatch({ kind: 'end', fault: 'stopped' });
    this.#turns.close();
    this.#resender.close();
  }

  #sessionsOf(nick: string): readonly RunningSession[] {
    return [...this.#sessions].filter((session) => session.nick === nick);
  }

  #onFill(message: ReceivedPrivateMessage, args: readonly string[]): void {
    const { from: nick, route } = message;
    const key = args.slice(0, 4).join(' ');
    const known = this.#sessionsOf(nick).find((session) => session.key === key);
    if (known !== undefined) {
      known.dispatch({ kind: 'message', command: 'fill', args });
      return;
    }
    if (!this.#options.limiter.mayFill(nick, route)) return;
    const fill = parseFill(args);
    if (fill.ok) this.#takeFill(message, key, fill.value);
    else this.#refuse(message, `bad fill: ${fill.reason}`, args[2] ?? '');
  }

  #takeFill(message: ReceivedPrivateMessage, key: string, fill: FillTerms): void {
    const { commitments, limits, randomBytes, onUsed } = this.#options;
    const { from: nick, route } = message;
    const { commitment, takerKey } = fill;
    const sessions = this.#sessionsOf(nick);
    const same = sessions.filter((session) => session.commitment === commitment);
    // One that the taker sent to another maker and a relay brought here: signatures name no addressee.
    if (same.some((session) => session.takerKey === takerKey || session.isProven)) return;
    if (commitments.has(commitment)) {
      this.#refuse(message, `Commitment is blacklisted: ${commitment}`, takerKey);
      onUsed?.(commitment, 'before');
      return;
    }
    const offer = offerFor(this.#offers, fill);
    if (!offer.ok) {
      const reason = offer.reason === 'oid' ? 'oid not found' : 'amount out of range';
      return this.#refuse(message, reason, takerKey);
    }
    // A session that this one would replace does not count.
    const replaceable = sessions.filter(({ isProven }) => isProven).length;
    if (this.proven - replaceable >= limits.proven) {
      return this.#refuse(message, NO_ROOM, takerKey);
    }
    // Not while our own wallet or disk is working: that ends within its deadline.
    if (sessions.some(({ isAtWork }) => isAtWork)) return;
    const keys = createBoxKeyPair(randomBytes);
    const box = openBoxSession(keys, takerKey);
    if (!box.ok) return this.#refuse(message, `Invalid nacl pubkey: ${takerKey}`, takerKey);
    const source = linkName(route);
    // Other open `fill`s stay until one of them is proven: this one may be a repeated old one.
    const open = sessions.filter(({ isOpen }) => isOpen);
    surplusOf(open, source)?.dispatch({ kind: 'end', fault: 'replaced' });
    this.#makeRoom();
    this.#open(
      { nick, source, key, commitment, takerKey },
      { fill, offer: offer.value, keys, box: box.value },
      directoryOf(route),
    );
  }

  #open(
    name: SessionName,
    terms: Pick<MakerTerms, 'fill' | 'offer' | 'keys' | 'box'>,
    by: Location | undefined,
  ): void {
    const { network, policy, randomBytes } = this.#options;
    const { state, effects } = openMakerSession({ ...terms, network, policy, randomBytes });
    const session = new RunningSession(this.#ports, name, state, by);
    const others = this.#sessionsOf(name.nick);
    for (const other of others) {
      session.learnKeys(other, others, OPEN_PER_NICK);
      other.learnKeys(session, [...others, session], OPEN_PER_NICK);
    }
    this.#sessions.add(session);
    session.begin(effects);
  }

  /** Continues with the `fill` that a proof belongs to; the others of this nick then end. */
  #onAuth({ from: nick, route }: ReceivedPrivateMessage, args: readonly string[]): void {
    const sessions = this.#sessionsOf(nick);
    for (const session of sessions.filter(({ isOpen }) => !isOpen)) {
      session.dispatch({ kind: 'message', command: 'auth', args });
    }
    if (sessions.some(({ isAtWork }) => isAtWork)) return;
    const open = sessions.filter(({ isOpen }) => isOpen).toReversed();
    const chosen =
      open.find((session) => session.decrypts(args)) ??
      open.find((session) => session.takeKeysFor(args));
    if (chosen === undefined) return;
    // Only the taker can have made this box.
    chosen.by = directoryOf(route);
    chosen.dispatch({ kind: 'message', command: 'auth', args });
    // A refused proof leaves it as open as before.
    if (chosen.isOpen) return;
    for (const session of sessions) {
      if (session !== chosen) session.dispatch({ kind: 'end', fault: 'replaced' });
    }
  }

  #makeRoom(): void {
    const unproven = [...this.#sessions].filter(({ isProven }) => !isProven);
    const [oldest] = unproven;
    if (oldest !== undefined && unproven.length >= this.#options.limits.unproven) {
      oldest.dispatch({ kind: 'end', fault: 'evicted' });
    }
  }

  #refuse({ from, route }: ReceivedPrivateMessage, reason: string, takerKey: string): void {
    if (!this.#options.limiter.mayBeRefused(from)) return;
    this.#resender.sendOnce(from, 'error', formatRefusal(reason, takerKey), directoryOf(route));
  }

  #endOthersOf(owner: RunningSession): void {
    for (const session of this.#sessions) {
      if (session !== owner && session.commitment === owner.commitment) {
        session.dispatch({ kind: 'end', fault: 'commitment-used' });
      }
    }
  }

  #ended(session: RunningSession, outcome: MakerOutcome): void {
    const { log, onOutcome } = this.#options;
    if (this.#sessions.delete(session)) this.#resender.forget(session.nick, session.key);
    if (outcome.result === 'signed') {
      log.info('a coinjoin was signed', { pushed: outcome.pushed });
    } else {
      log.info('a negotiation ended', { step: outcome.step, fault: outcome.fault });
    }
    onOutcome?.(session.nick, outcome);
  }
}
