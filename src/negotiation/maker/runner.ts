/**
 * One running session of a maker. It carries out the effects of the state machine (`session.ts`): messages
 * to the taker, calls of wallet, chain and disk, the timer, and the comparison with the coins of all other
 * sessions.
 */
import type { TurnBudget } from '../../kit/cooperative-work.js';
import { errorText } from '../../kit/error-text.js';
import type { Log } from '../../channel/log.js';
import type { Clock } from '../../channel/ports.js';
import { openBoxSession, type BoxKeyPair, type BoxSession } from '../../protocol/encryption.js';
import type { Location } from '../../protocol/location.js';
import type { NamedOutpoint } from '../../protocol/outpoint.js';
import { lookUpCoins, nameOwnCoins } from '../coin-metadata.js';
import type { Resender } from '../resender.js';
import type {
  MakerEffect,
  MakerEvent,
  MakerOutcome,
  SignedOutcome,
  MakerPolicy,
  MakerState,
  MakerStep,
  MakerTransition,
} from './api.js';
import { makerTransition } from './session.js';
import { signedOutcome, STEPS } from './session-end.js';
import type { Payout } from '../payout.js';
import type { ChainView, CommitmentStore, MakerWallet, Reservation, Settlement } from '../ports.js';
import type { UnsignedTransaction } from '../transaction.js';
import type { Hold, HoldFault, ReservedOutputs, SignFault } from './reserved-outputs.js';
import { shownText } from '../payloads.js';

/** The parts that all sessions of a maker share. */
export interface SessionPorts {
  readonly wallet: MakerWallet;
  readonly chain: ChainView;
  readonly commitments: CommitmentStore;
  readonly reserved: ReservedOutputs;
  readonly policy: MakerPolicy;
  readonly resender: Resender;
  /** Answers of wallet, chain and disk that come at once are handled in several turns of the event loop. */
  readonly turns: TurnBudget;
  readonly clock: Clock;
  readonly log: Log;
  /** Whether one more session may ask the wallet. */
  readonly hasRoom: () => boolean;
  /** The commitment belongs to this session: all others with it end. */
  readonly onCommitmentUsed: (session: RunningSession) => void;
  /** It is stored. */
  readonly onCommitmentStored: (commitment: string) => void;
  /** Its signatures were sent; it goes on, until a `push` or the end of the wait for one. */
  readonly onSigned: (session: RunningSession, outcome: SignedOutcome) => void;
  readonly onEnd: (session: RunningSession, outcome: MakerOutcome) => void;
}

/** Identifies a session. */
export interface SessionName {
  readonly nick: string;
  /** The source of its `fill`. Another peer may repeat messages of the nick by another route. */
  readonly source: string;
  /** The significant arguments of its `fill`; no other session of this nick has the same. */
  readonly key: string;
  readonly commitment: string;
  readonly takerKey: string;
}

/** Our keys, and the box that they form with the key of a taker. */
interface KeyedBox {
  readonly keys: BoxKeyPair;
  readonly box: BoxSession;
}

const CLASHES: Readonly<Record<HoldFault | SignFault, string>> = {
  'shared-running': 'another negotiation has a coin or an address of this one',
  'shared-signed':
    'a signed transaction that was not seen yet has a coin or an address of this one',
  'shared-without-coin': 'an address of a signed transaction comes without a coin of it',
  'too-many': 'too many signed transactions were never seen',
  'foreign-coin': 'the transaction spends a coin of another negotiation',
  'not-held': 'the coins are not held any more',
};

/** Coins of signed transactions looked up before the wallet is asked for more. */
const COINS_LOOKED_UP = 500;

const detailOf = (error: unknown): string => shownText(errorText(error));

const AT_WORK: ReadonlySet<MakerState['state']> = new Set(['reserving', 'claiming', 'signing']);

export class RunningSession {
  readonly nick: string;
  readonly source: string;
  readonly key: string;
  readonly commitment: string;
  readonly takerKey: string;
  /** The directory of the taker's last proven message; undefined for a direct link. */
  by: Location | undefined;
  readonly #ports: SessionPorts;
  readonly #since: number;
  readonly #abort = new AbortController();
  /** Boxes with keys that other `fill`s of the nick were answered with. */
  readonly #otherBoxes: KeyedBox[] = [];
  #state: MakerState;
  /** Coins and addresses that only this session has. */
  #hold: Hold | undefined;
  #cancelDeadline: (() => void) | undefined;

  /** A session has no effects before `begin`. */
  constructor(ports: SessionPorts, name: SessionName, state: MakerState, by: Location | undefined) {
    this.#ports = ports;
    this.#since = ports.clock.now();
    this.nick = name.nick;
    this.source = name.source;
    this.key = name.key;
    this.commitment = name.commitment;
    this.takerKey = name.takerKey;
    this.#state = state;
    this.by = by;
  }

  /** A `fill` without a proof so far. */
  get isOpen(): boolean {
    return this.#state.state === 'awaiting-auth';
  }

  /** The taker has proved a coin. */
  get isProven(): boolean {
    return !this.isOpen && this.#state.state !== 'checking-coin';
  }

  /** Id without signatures of the transaction for which a `push` is awaited. */
  get awaitsPushOf(): string | undefined {
    return this.#state.state === 'awaiting-push' ? this.#state.tx.txid : undefined;
  }

  /** Our own wallet or disk works for it. */
  get isAtWork(): boolean {
    return AT_WORK.has(this.#state.state);
  }

  /** What it waits for; undefined after its end. */
  view(): { taker: string; step: MakerStep; amount: number; since: number } | undefined {
    const state = this.#state;
    if (state.state === 'ended') return undefined;
    const { amount } = state.terms.fill;
    return { taker: this.nick, step: STEPS[state.state], amount, since: this.#since };
  }

  begin(effects: readonly MakerEffect[]): void {
    this.#apply({ state: this.#state, effects });
  }

  dispatch(event: MakerEvent): void {
    this.#apply(makerTransition(this.#state, event));
  }

  /** A message that came `by` a directory. If it changes the session, the taker itself sent it. */
  receive(command: 'tx' | 'push', args: readonly string[], by: Location | undefined): void {
    const before = this.#state;
    this.dispatch({ kind: 'message', command, args });
    if (this.#state !== before) this.by = by;
  }

  /**
   * The taker may answer this `fill` with the key of the other one, because it uses the first key that
   * arrives.
   * @param open sessions of the nick; their keys are kept longest
   * @param most keys of other sessions
   */
  learnKeys(other: RunningSession, open: readonly RunningSession[], most: number): void {
    if (other.#state.state !== 'awaiting-auth') return;
    const { keys } = other.#state.terms;
    const box = openBoxSession(keys, this.takerKey);
    if (box.ok) this.#otherBoxes.push({ keys, box: box.value });
    if (this.#otherBoxes.length <= most) return;
    // Keys of a removed `fill` are dropped first.
    const inUse = new Set(
      open.flatMap((one) => ('terms' in one.#state ? one.#state.terms.keys : [])),
    );
    const gone = this.#otherBoxes.findIndex((known) => !inUse.has(known.keys));
    this.#otherBoxes.splice(Math.max(0, gone), 1);
  }

  /** Whether the keys of this session open a ciphertext. */
  decrypts(args: readonly string[]): boolean {
    return 'terms' in this.#state && this.#state.terms.box.decrypt(args).ok;
  }

  /** Continues with the keys of another `fill` that open a ciphertext; false without such keys. */
  takeKeysFor(args: readonly string[]): boolean {
    const other = this.#otherBoxes.find(({ box }) => box.decrypt(args).ok);
    if (other !== undefined) this.dispatch({ kind: 'rekeyed', ...other });
    return other !== undefined;
  }

  #apply({ state, effects }: MakerTransition): void {
    const isSigned = state.state === 'awaiting-push' && this.#state.state === 'signing';
    this.#state = state;
    const words = effects.flatMap((effect) =>
      effect.kind === 'send' && effect.command !== 'error' ? [effect] : [],
    );
    for (const effect of effects) {
      if (effect === words[0]) this.#ports.resender.sendStep(this.nick, words, this.key, this.by);
      this.#carryOut(effect);
    }
    if (isSigned) this.#ports.onSigned(this, signedOutcome(state, false));
  }

  #carryOut(effect: MakerEffect): void {
    const { chain, wallet, resender } = this.#ports;
    const { signal } = this.#abort;
    switch (effect.kind) {
      case 'send':
        if (effect.command !== 'error') return;
        return resender.sendOnce(this.nick, 'error', effect.args, this.by);
      case 'deadline':
        return this.#setDeadline(effect.ms);
      case 'look-up':
        return this.#call(
          'chain',
          () => chain.coins([effect.coin], signal),
          ([coin]) => ({ kind: 'coin', coin }),
        );
      case 'reserve':
        if (!this.#ports.hasRoom()) return this.dispatch({ kind: 'end', fault: 'evicted' });
        return this.#call(
          'wallet',
          () => this.#reserve(effect),
          (answer) => ({ kind: 'reserved', ...answer }),
        );
      case 'hold':
        return this.#holdOutputs(effect.payout);
      case 'store-commitment':
        return this.#storeCommitment(effect.commitment);
      case 'sign': {
        const fault = this.#faultAtSigning(effect.tx);
        if (fault !== undefined) return this.#clash(fault);
        return this.#call(
          'wallet',
          () => wallet.sign(effect.request, signal),
          (signatures) => ({ kind: 'signatures', signatures }),
        );
      }
      case 'keep':
        if (this.#hold) this.#ports.reserved.sign(this.#hold, this.#ports.clock.now());
        return;
      case 'broadcast':
        void this.#broadcast(effect.transaction);
        return;
      case 'settle':
        return this.#settle(effect.reservation, effect.settlement);
      case 'end':
        this.#cancelDeadline?.();
        this.#abort.abort();
        this.#ports.onEnd(this, effect.outcome);
    }
  }

  /** Calls a port. Its result becomes an event, also for a session that has ended. */
  #call<T>(port: string, work: () => Promise<T>, event: (value: T) => MakerEvent): void {
    void (async () => {
      let result: MakerEvent;
      try {
        result = event(await work());
      } catch (error) {
        result = { kind: 'port-failed', port, detail: detailOf(error) };
      }
      this.#ports.turns.run(() => this.dispatch(result), true);
    })();
  }

  #setDeadline(ms: number): void {
    this.#cancelDeadline?.();
    this.#cancelDeadline = this.#ports.clock.after(ms, () => this.dispatch({ kind: 'deadline' }));
  }

  /** Releases signed transactions that have confirmed; then the wallet is asked. */
  async #reserve({
    request,
    extended,
  }: Extract<MakerEffect, { readonly kind: 'reserve' }>): Promise<
    Omit<Extract<MakerEvent, { readonly kind: 'reserved' }>, 'kind'>
  > {
    const { chain, wallet, reserved } = this.#ports;
    const { signal } = this.#abort;
    await this.#look(reserved.coinsToLookUp(COINS_LOOKED_UP));
    // The session no longer waits for coins.
    if (signal.aborted) return { reservation: undefined };
    const reservation = await wallet.reserve(request, signal);
    reserved.forget(reservation?.free ?? []);
    if (reservation === undefined || !extended) return { reservation };
    return { reservation, names: await nameOwnCoins(chain, reservation.coins, signal) };
  }

  #holdOutputs(payout: Payout): void {
    const { reserved, clock, policy } = this.#ports;
    const held = reserved.hold(payout, clock.now(), policy.pendingTxTimeoutMs);
    if (!held.ok) return this.#clash(held.reason);
    this.#hold = held.value;
    void this.#look(held.value.outpoints);
    this.dispatch({ kind: 'held' });
  }

  #storeCommitment(commitment: string): void {
    const { commitments, onCommitmentUsed, onCommitmentStored } = this.#ports;
    onCommitmentUsed(this);
    this.#call(
      'commitments',
      () => commitments.add(commitment),
      () => {
        onCommitmentStored(commitment);
        return { kind: 'commitment-stored' };
      },
    );
  }

  #faultAtSigning({ inputs }: UnsignedTransaction): SignFault | undefined {
    return this.#hold ? this.#ports.reserved.faultAtSigning(this.#hold, inputs) : 'not-held';
  }

  #clash(fault: HoldFault | SignFault): void {
    const detail = CLASHES[fault];
    this.#ports.log.warn('a negotiation cannot continue', { detail });
    this.dispatch({ kind: 'clash', detail });
  }

  /** Updates the set of held coins with the chain's answer. */
  async #look(coins: readonly NamedOutpoint[]): Promise<void> {
    if (coins.length === 0) return;
    const found = await lookUpCoins(this.#ports.chain, coins, this.#abort.signal);
    // A short answer says nothing about the other coins.
    for (const [n, coin] of coins.slice(0, found.length).entries()) {
      this.#ports.reserved.see(coin, found[n] !== undefined);
    }
  }

  #settle(reservation: Reservation, settlement: Settlement): void {
    const { wallet, reserved, log } = this.#ports;
    if (this.#hold && settlement === 'unsigned') reserved.release(this.#hold);
    try {
      wallet.settle(reservation, settlement);
    } catch (error) {
      log.error('the wallet failed to release its coins', { reason: detailOf(error) });
    }
  }

  async #broadcast(transaction: Uint8Array): Promise<void> {
    try {
      await this.#ports.chain.broadcast(transaction);
    } catch (error) {
      const reason = detailOf(error);
      this.#ports.log.warn('a coinjoin could not be broadcast for its taker', { reason });
    }
  }
}
