/**
 * Runs one round of a taker's coinjoin: carries out the effects of the state machine (`round.ts`). It owns
 * every timer, listener and `AbortController` of the round.
 */
import type { MessageChannelEvents } from '../../channel/channel-api.js';
import type { Log } from '../../channel/log.js';
import type { Clock } from '../../channel/ports.js';
import { deferred } from '../../kit/deferred.js';
import { errorText } from '../../kit/error-text.js';
import type { Network } from '../../protocol/constants.js';
import { createBoxKeyPair, type RandomBytes } from '../../protocol/encryption.js';
import type { Podle } from '../../protocol/podle.js';
import { nameProofCoin } from '../coin-metadata.js';
import { linkName } from '../link-name.js';
import { shownText } from '../payloads.js';
import type { CommitmentStore, TakerChain, TakerWallet } from '../ports.js';
import { createResender, type Resender, type NegotiationChannel } from '../resender.js';
import type {
  Candidate,
  LegStep,
  RoundEffect,
  RoundEvent,
  RoundPort,
  RoundResult,
  RoundState,
  RoundTerms,
  RoundTransition,
  TakerPolicy,
} from './api.js';
import { openRound } from './asking.js';
import { roundTransition } from './round.js';

/** What a round joins, and with whom. */
export interface Sizing {
  /** Satoshi of each side's coinjoin output. */
  readonly amount: number;
  /** Number of makers wanted. */
  readonly makers: number;
  /** In the order in which they are asked: the first `makers`, then the spare ones. */
  readonly candidates: readonly Candidate[];
}

/** Options of a taker's coinjoin. */
export interface CoinjoinOptions {
  /** The channel that reaches the makers. The caller closes it. */
  readonly channel: NegotiationChannel;
  /** The bitcoin network of the wallet. */
  readonly network: Network;
  /** Provides coins, addresses, proofs and signatures. */
  readonly wallet: TakerWallet;
  /** Reports coins and transactions, and broadcasts. */
  readonly chain: TakerChain;
  /** Our own used commitments: each is stored before a maker sees its proof. */
  readonly commitments: CommitmentStore;
  /** Satoshi of each side's coinjoin output. */
  readonly amount: number;
  /**
   * Whether it is a sweep: the amount was computed from the offers of the first `makers` candidates,
   * and there is no change. Default false.
   */
  readonly sweep?: boolean;
  /**
   * Computes a sweep again for the makers that have not failed, before another round: its makers, dearer
   * ones among them, and the amount for them. Undefined when they do not suffice. Without it the amount
   * stays, and only makers that cost no more take the places of others.
   */
  readonly resize?: (candidates: readonly Candidate[]) => Sizing | undefined;
  /** Number of makers wanted. */
  readonly makers: number;
  /** In the order in which they are asked: the first `makers`, then the spare ones. */
  readonly candidates: readonly Candidate[];
  /** The fee rate, in satoshi per 1,000 virtual bytes. Default: drawn as the policy says. */
  readonly feePerKb?: number;
  /** At least one of `maxCjFeeAbs` and `maxCjFeeRel` is required: without it no round begins. */
  readonly policy: Partial<TakerPolicy>;
  /** The time of all timers. */
  readonly clock: Clock;
  /** The source of keys and nonces; must be a secure one. */
  readonly randomBytes: RandomBytes;
  /** Receives the log lines of the round. */
  readonly log: Log;
  /** Ends it; reserved coins are released. */
  readonly signal?: AbortSignal | undefined;
  /** Called after every change. */
  readonly onProgress?: (progress: RoundProgress) => void;
  /** Called when another round begins, with the reason that ended the last one. */
  readonly onAgain?: (reason: string) => void;
}

/** How far a round is. */
export interface RoundProgress {
  /** The phase of the round. */
  readonly phase: RoundState['phase'];
  /** Each maker that was asked, by nick. */
  readonly makers: ReadonlyMap<string, LegStep | 'failed'>;
}

const detailOf = (error: unknown): string => shownText(errorText(error));

const ANSWERS = new Set(['pubkey', 'ioauth', 'sig', 'error'] as const);
type AnswerName = typeof ANSWERS extends Set<infer T> ? T : never;
const isAnswer = (name: string): name is AnswerName => (ANSWERS as ReadonlySet<string>).has(name);

export class RoundRunner {
  readonly #options: CoinjoinOptions;
  readonly #resender: Resender;
  readonly #abort = new AbortController();
  readonly #timers = new Map<string, () => void>();
  readonly #opened: RoundTransition;
  readonly #result = deferred<RoundResult>();
  #state: RoundState;

  constructor(
    options: CoinjoinOptions,
    agreed: Pick<RoundTerms, 'policy' | 'feePerKb' | 'seatLimits'>,
  ) {
    const { channel, clock, network, amount, sweep = false, makers, candidates } = options;
    const { randomBytes } = options;
    this.#options = options;
    this.#resender = createResender(channel, clock);
    this.#opened = openRound({
      ...agreed,
      network,
      amount,
      sweep,
      makers,
      candidates,
      keys: createBoxKeyPair(randomBytes),
      randomBytes,
    });
    this.#state = this.#opened.state;
  }

  /** Call it once. It always resolves. */
  run(): Promise<RoundResult> {
    const { channel, signal } = this.#options;
    channel.on('privmsg', this.#onPrivmsg);
    channel.on('stopped', this.#onStop);
    signal?.addEventListener('abort', this.#onStop, { once: true });
    this.#apply(this.#opened);
    if (signal?.aborted === true) this.#onStop();
    return this.#result.promise;
  }

  readonly #onPrivmsg: MessageChannelEvents['privmsg'] = ({
    from,
    route,
    commands: [{ name, args }],
  }) => {
    if (!isAnswer(name)) return;
    this.#dispatch({ kind: 'message', from, command: name, args, by: linkName(route) });
  };

  readonly #onStop = (): void => this.#dispatch({ kind: 'stop' });

  #dispatch(event: RoundEvent): void {
    this.#apply(roundTransition(this.#state, event));
  }

  #apply({ state, effects }: RoundTransition): void {
    this.#state = state;
    for (const effect of effects) this.#carryOut(effect);
    const makers = [...this.#state.legs].map(([nick, { step }]) => [nick, step] as const);
    this.#options.onProgress?.({ phase: this.#state.phase, makers: new Map(makers) });
  }

  #carryOut(effect: RoundEffect): void {
    const { wallet, chain } = this.#options;
    const { signal } = this.#abort;
    switch (effect.kind) {
      case 'send': {
        const { to, command } = effect;
        return this.#resender.sendStep(
          to,
          effect.args.map((args) => ({ command, args })),
        );
      }
      case 'forget':
        return this.#resender.forget(effect.nick);
      case 'deadline': {
        const { nick, ms } = effect;
        return this.#setTimer(`maker ${nick}`, ms, { kind: 'deadline', nick });
      }
      case 'hold':
        return this.#setTimer('hold', effect.ms, { kind: 'hold-over' });
      case 'round-deadline':
        return this.#setTimer('round', effect.ms, { kind: 'deadline', nick: undefined });
      case 'step-deadline':
        return this.#setTimer('step', effect.ms, { kind: 'step-deadline' });
      case 'commit':
        return this.#call(
          'wallet',
          () => this.#commit(),
          (podle) => ({ kind: 'committed', podle }),
        );
      case 'use':
        return this.#call(
          'wallet',
          () => this.#use(effect.podle),
          () => ({ kind: 'used', commitment: effect.podle.commitment }),
        );
      case 'free':
        return this.#tell('free a proof', () => wallet.freeCommitment?.(effect.podle));
      case 'look-up': {
        const { nick, coins } = effect;
        return this.#call(
          'chain',
          () => chain.coins(coins, signal),
          (found) => ({ kind: 'coins', nick, coins: found }),
        );
      }
      case 'fund':
        return this.#call(
          'wallet',
          () => wallet.fund(effect.request, signal),
          (funding) => ({ kind: 'funded', funding }),
        );
      case 'recheck':
        return this.#call(
          'chain',
          () => chain.coins(effect.coins, signal),
          (coins) => ({ kind: 'rechecked', coins }),
        );
      case 'keep':
        return this.#call(
          'wallet',
          async () => wallet.keepTransaction?.(effect.final, signal),
          () => ({ kind: 'kept' }),
        );
      case 'sign':
        return this.#call(
          'wallet',
          () => wallet.sign(effect.request, signal),
          (signatures) => ({ kind: 'signatures', signatures }),
        );
      case 'watch':
        return this.#call(
          'watch',
          () => chain.seen(effect.txid, signal),
          () => ({ kind: 'seen' }),
        );
      case 'broadcast':
        return this.#call(
          'broadcast',
          () => chain.broadcast(effect.transaction),
          () => ({ kind: 'broadcast' }),
        );
      case 'settle':
        return this.#tell('release its coins', () =>
          wallet.settle(effect.funding, effect.settlement),
        );
      case 'end':
        this.#end(effect.result);
    }
  }

  #setTimer(key: string, ms: number | undefined, event: RoundEvent): void {
    this.#timers.get(key)?.();
    this.#timers.delete(key);
    if (ms === undefined) return;
    const cancel = this.#options.clock.after(ms, () => {
      this.#timers.delete(key);
      this.#dispatch(event);
    });
    this.#timers.set(key, cancel);
  }

  /** Calls a port. Its result becomes an event, also for a round that has ended. */
  #call<T>(port: RoundPort, work: () => Promise<T>, event: (value: T) => RoundEvent): void {
    void (async () => {
      let result: RoundEvent;
      try {
        result = event(await work());
      } catch (error) {
        result = { kind: 'port-failed', port, detail: detailOf(error) };
      }
      this.#dispatch(result);
    })();
  }

  /** The next proof that is also new to the store; stops when the wallet repeats itself. */
  async #commit(): Promise<Podle | undefined> {
    const { wallet, commitments, amount } = this.#options;
    const { signal } = this.#abort;
    const offered = new Set<string>();
    for (;;) {
      // oxlint-disable-next-line no-await-in-loop -- each proof is asked for when the last was used
      const podle = await wallet.commit(amount, signal);
      if (podle === undefined || offered.has(podle.commitment)) return undefined;
      offered.add(podle.commitment);
      if (!commitments.has(podle.commitment)) return this.#named(podle);
      // Another program with the same store used it.
      // oxlint-disable-next-line no-await-in-loop
      await wallet.useCommitment?.(podle, signal);
      signal.throwIfAborted();
    }
  }

  /** Stores a commitment as used, before a maker sees its proof. */
  async #use(podle: Podle): Promise<void> {
    const { wallet, commitments } = this.#options;
    await wallet.useCommitment?.(podle, this.#abort.signal);
    if (await commitments.add(podle.commitment)) return;
    throw new Error('the commitment was used by another round meanwhile');
  }

  /** The proof with the metadata of its coin, for makers without a full node. */
  async #named(podle: Podle): Promise<Podle> {
    const { policy, chain, clock } = this.#options;
    if (policy.neutrinoCompat === false) return podle;
    const { revelation } = podle;
    const utxo = await nameProofCoin(chain, revelation.utxo, clock, this.#abort.signal);
    return { ...podle, revelation: { ...revelation, utxo } };
  }

  /** Tells the wallet something that must not throw. */
  #tell(what: string, work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#options.log.error(`the wallet failed to ${what}`, { reason: detailOf(error) });
    }
  }

  #end(result: RoundResult): void {
    const { channel, signal, log } = this.#options;
    for (const cancel of this.#timers.values()) cancel();
    this.#timers.clear();
    channel.off('privmsg', this.#onPrivmsg);
    channel.off('stopped', this.#onStop);
    signal?.removeEventListener('abort', this.#onStop);
    this.#resender.close();
    this.#abort.abort();
    if (result.ok) log.info('a coinjoin is complete', { makers: result.makers.length });
    else log.warn('a coinjoin failed', { fault: result.fault });
    this.#result.resolve(result);
  }
}
