/**
 * Runs a taker's coinjoin: carries out the effects of the state machine (`round.ts`), and begins
 * another round when a maker did not sign.
 */
import { errorText } from '../../kit/error-text.js';
import type { MessageChannelEvents } from '../../channel/channel-api.js';
import type { Log } from '../../channel/log.js';
import type { Clock } from '../../channel/ports.js';
import type { Network } from '../../protocol/constants.js';
import { createBoxKeyPair, type RandomBytes } from '../../protocol/encryption.js';
import type { Podle } from '../../protocol/podle.js';
import { nameProofCoin } from '../coin-metadata.js';
import { agreeOnRate } from './fee-rate.js';
import { createCourier, type NegotiationChannel } from '../resender.js';
import type { CommitmentStore, TakerChain, TakerWallet } from '../ports.js';
import {
  DEFAULT_TAKER_POLICY,
  type Candidate,
  type LegFault,
  type LegStep,
  type MakerReport,
  type RoundEffect,
  type RoundEvent,
  type RoundPort,
  type RoundResult,
  type RoundState,
  type RoundTerms,
  type RoundTransition,
  type TakerPolicy,
} from './api.js';
import { openRound } from './gathering.js';
import { seatLimits } from './seats.js';
import { roundTransition } from './round.js';
import { shownText } from '../payloads.js';

/** What a taker's coinjoin needs. */
export interface CoinjoinOptions {
  /** The channel that reaches the makers. The caller closes it. */
  readonly channel: NegotiationChannel;
  /** The bitcoin network of the wallet. */
  readonly network: Network;
  /** Provides coins, addresses, proofs and signatures. */
  readonly wallet: TakerWallet;
  /** Reports coins and transactions, and broadcasts. */
  readonly chain: TakerChain;
  /** Our own used commitments: each is stored before it is sent. */
  readonly commitments: CommitmentStore;
  /** Satoshi of each side's coinjoin output. */
  readonly amount: number;
  /**
   * Whether it is a sweep: the amount was computed from the offers of the first `makers` candidates,
   * and there is no change. Default false.
   */
  readonly sweep?: boolean;
  /** Number of makers wanted. */
  readonly makers: number;
  /** In the order in which they are asked: the first `makers`, then the spare ones. */
  readonly candidates: readonly Candidate[];
  /** At least one of `maxCjFeeAbs` and `maxCjFeeRel` is required: without it no round begins. */
  readonly policy: Partial<TakerPolicy>;
  /** The time of all timers. */
  readonly clock: Clock;
  /** The source of keys and nonces; must be a secure one. */
  readonly randomBytes: RandomBytes;
  /** Receives the log lines of the round. */
  readonly log: Log;
  /** Ends it; reserved coins are released. */
  readonly signal?: AbortSignal;
  /** Called after every change. */
  readonly onProgress?: (progress: RoundProgress) => void;
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

const MAY_RETURN: ReadonlySet<LegFault> = new Set(['shared', 'unused']);

/**
 * One coinjoin from `fill` to a transaction in the network. A maker that does not sign ends the round,
 * because the transaction then changes; the next round excludes it. Always resolves, to a result that
 * names the makers that failed and how, in all rounds. Leaves no timer and no listener behind.
 */
export async function runCoinjoin(options: CoinjoinOptions): Promise<RoundResult> {
  const policy = { ...DEFAULT_TAKER_POLICY, ...options.policy };
  const { rounds, minimumMakers } = policy;
  const rate = await agreeOnRate(options, policy);
  if (!rate.ok) {
    options.log.warn('a coinjoin failed', { fault: rate.fault });
    return { ...rate, makers: [], transaction: undefined };
  }
  const { feePerKb } = rate;
  const { amount, makers, sweep = false } = options;
  const limits = seatLimits({ candidates: options.candidates, amount, policy, makers, sweep });
  const left: MakerReport[] = [];
  let { candidates } = options;
  for (let round = 1; ; round += 1) {
    // oxlint-disable-next-line no-await-in-loop -- a round begins when the last one has failed
    const result = await runRound(
      { ...options, candidates },
      { policy, feePerKb, seatLimits: limits },
    );
    const all = { ...result, makers: [...left, ...result.makers] };
    if (result.ok || result.fault !== 'unsigned' || round >= rounds) return all;
    // Another maker may have named the coins of an honest one. A maker that was not needed has no
    // fault.
    const failed = result.makers.filter(({ failure }) => failure && !MAY_RETURN.has(failure.fault));
    const names = new Set(failed.map(({ nick }) => nick));
    candidates = candidates.filter(({ nick }) => !names.has(nick));
    if (candidates.length < Math.max(1, minimumMakers)) return all;
    left.push(...failed);
  }
}

function runRound(
  options: CoinjoinOptions,
  agreed: Pick<RoundTerms, 'policy' | 'feePerKb' | 'seatLimits'>,
): Promise<RoundResult> {
  const { channel, wallet, chain, clock, log, amount } = options;
  const courier = createCourier(channel, clock);
  const abort = new AbortController();
  const timers = new Map<string, () => void>();
  let state: RoundState;

  return new Promise((resolve) => {
    function dispatch(event: RoundEvent): void {
      apply(roundTransition(state, event));
    }

    function apply(transition: RoundTransition): void {
      ({ state } = transition);
      for (const effect of transition.effects) carryOut(effect);
      const makers = [...state.legs].map(([nick, { step }]) => [nick, step] as const);
      options.onProgress?.({ phase: state.phase, makers: new Map(makers) });
    }

    function timer(key: string, ms: number | undefined, event: RoundEvent): void {
      timers.get(key)?.();
      timers.delete(key);
      if (ms === undefined) return;
      const cancel = clock.after(ms, () => {
        timers.delete(key);
        dispatch(event);
      });
      timers.set(key, cancel);
    }

    function call<T>(
      port: RoundPort,
      work: () => Promise<T>,
      event: (value: T) => RoundEvent,
    ): void {
      void (async () => {
        let result: RoundEvent;
        try {
          result = event(await work());
        } catch (error) {
          result = { kind: 'port-failed', port, detail: detailOf(error) };
        }
        dispatch(result);
      })();
    }

    /** The next proof that is also new to the store; stops when the wallet repeats itself. */
    async function commit(): Promise<Podle | undefined> {
      const offered = new Set<string>();
      for (;;) {
        // oxlint-disable-next-line no-await-in-loop -- each proof is asked for when the last was used
        const podle = await wallet.commit(amount, abort.signal);
        if (podle === undefined || offered.has(podle.commitment)) return undefined;
        offered.add(podle.commitment);
        // oxlint-disable-next-line no-await-in-loop
        if (await options.commitments.add(podle.commitment)) return named(podle);
        abort.signal.throwIfAborted();
      }
    }

    /** The proof with the metadata of its coin, for makers without a full node. */
    async function named(podle: Podle): Promise<Podle> {
      if (options.policy?.neutrinoCompat === false) return podle;
      const { revelation } = podle;
      const utxo = await nameProofCoin(chain, revelation.utxo, clock, abort.signal);
      return { ...podle, revelation: { ...revelation, utxo } };
    }

    function carryOut(effect: RoundEffect): void {
      const { signal } = abort;
      switch (effect.kind) {
        case 'send':
          courier.say(
            effect.to,
            effect.args.map((args) => ({ command: effect.command, args })),
          );
          return;
        case 'forget':
          courier.forget(effect.nick);
          return;
        case 'deadline': {
          const { nick, ms } = effect;
          timer(`maker ${nick}`, ms, { kind: 'deadline', nick });
          return;
        }
        case 'hold':
          timer('hold', effect.ms, { kind: 'hold-over' });
          return;
        case 'round-deadline':
          timer('round', effect.ms, { kind: 'deadline', nick: undefined });
          return;
        case 'step-deadline':
          timer('step', effect.ms, { kind: 'step-deadline' });
          return;
        case 'commit':
          call('wallet', commit, (podle) => ({ kind: 'committed', podle }));
          return;
        case 'look-up': {
          const { nick, coins } = effect;
          call(
            'chain',
            () => chain.coins(coins, signal),
            (found) => ({ kind: 'coins', nick, coins: found }),
          );
          return;
        }
        case 'fund':
          call(
            'wallet',
            () => wallet.fund(effect.request, signal),
            (funding) => ({ kind: 'funded', funding }),
          );
          return;
        case 'sign':
          call(
            'wallet',
            () => wallet.sign(effect.request, signal),
            (signatures) => ({ kind: 'signatures', signatures }),
          );
          return;
        case 'watch':
          call(
            'watch',
            () => chain.seen(effect.txid, signal),
            () => ({ kind: 'seen' }),
          );
          return;
        case 'broadcast':
          call(
            'chain',
            () => chain.broadcast(effect.transaction),
            () => ({ kind: 'broadcast' }),
          );
          return;
        case 'settle':
          try {
            wallet.settle(effect.funding, effect.settlement);
          } catch (error) {
            log.error('the wallet failed to release its coins', { reason: detailOf(error) });
          }
          return;
        case 'end':
          end(effect.result);
      }
    }

    const onPrivmsg: MessageChannelEvents['privmsg'] = ({ from, commands: [{ name, args }] }) => {
      if (isAnswer(name)) dispatch({ kind: 'message', from, command: name, args });
    };
    const onStop = (): void => dispatch({ kind: 'stop' });

    function end(result: RoundResult): void {
      for (const cancel of timers.values()) cancel();
      timers.clear();
      channel.off('privmsg', onPrivmsg);
      channel.off('stopped', onStop);
      options.signal?.removeEventListener('abort', onStop);
      courier.close();
      abort.abort();
      if (result.ok) log.info('a coinjoin is complete', { makers: result.makers.length });
      else log.warn('a coinjoin failed', { fault: result.fault });
      resolve(result);
    }

    channel.on('privmsg', onPrivmsg);
    channel.on('stopped', onStop);
    options.signal?.addEventListener('abort', onStop, { once: true });
    const { network, makers, candidates, randomBytes } = options;
    const opened = openRound({
      network,
      ...agreed,
      amount,
      sweep: options.sweep ?? false,
      makers,
      candidates,
      keys: createBoxKeyPair(randomBytes),
      randomBytes,
    });
    ({ state } = opened);
    apply(opened);
    if (options.signal?.aborted === true) onStop();
  });
}
