/**
 * Carries out the effects of one session's state machine: messages to the taker, calls of wallet, chain
 * and disk, the timer, and the comparison with the coins of all other sessions.
 */
import { errorText } from '../../kit/error-text.js';
import type { Log } from '../../channel/log.js';
import type { Clock } from '../../channel/ports.js';
import type { BoxKeyPair, BoxSession } from '../../protocol/encryption.js';
import type { Location } from '../../protocol/location.js';
import type { NamedOutpoint } from '../../protocol/outpoint.js';
import { lookUpCoins, nameOwnCoins } from '../coin-metadata.js';
import type { Courier } from '../resender.js';
import type {
  MakerEffect,
  MakerEvent,
  MakerOutcome,
  MakerPolicy,
  MakerState,
  MakerTransition,
} from './api.js';
import { makerTransition } from './session.js';
import type { ChainView, CommitmentStore, MakerWallet } from '../ports.js';
import type { Hold, HoldFault, ReservedOutputs, SignFault } from './reserved-outputs.js';
import { shownText } from '../payloads.js';

/** A negotiation with one taker. */
export interface MakerTalk {
  readonly nick: string;
  /** The source of its `fill`. Another peer may repeat messages of the nick by another route. */
  readonly way: string;
  /** The significant arguments of its `fill`; no other one of this nick has the same. */
  readonly key: string;
  readonly commitment: string;
  readonly takerKey: string;
  /** Boxes with keys that other `fill`s of the nick were answered with. */
  readonly otherBoxes: { readonly keys: BoxKeyPair; readonly box: BoxSession }[];
  readonly abort: AbortController;
  state: MakerState;
  /** Coins and addresses that only this session has. */
  hold: Hold | undefined;
  /** The directory of the taker's last proven message; undefined for a direct link. */
  by: Location | undefined;
  cancelDeadline: (() => void) | undefined;
}

export interface MakerRunnerOptions {
  readonly wallet: MakerWallet;
  readonly chain: ChainView;
  readonly commitments: CommitmentStore;
  readonly reserved: ReservedOutputs;
  readonly policy: MakerPolicy;
  readonly courier: Courier;
  readonly clock: Clock;
  readonly log: Log;
  /** Whether one more session may ask the wallet. */
  readonly hasRoom: () => boolean;
  /** The commitment belongs to this session: all others with it end. */
  readonly onClaim: (talk: MakerTalk, commitment: string) => void;
  /** It is stored. */
  readonly onClaimed: (commitment: string) => void;
  readonly onEnd: (talk: MakerTalk, outcome: MakerOutcome) => void;
}

export interface MakerRunner {
  readonly dispatch: (talk: MakerTalk, event: MakerEvent) => void;
  readonly apply: (talk: MakerTalk, transition: MakerTransition) => void;
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

export function createMakerRunner(options: MakerRunnerOptions): MakerRunner {
  const { wallet, chain, commitments, reserved, policy, courier, clock, log } = options;

  function dispatch(talk: MakerTalk, event: MakerEvent): void {
    apply(talk, makerTransition(talk.state, event));
  }

  function apply(talk: MakerTalk, { state, effects }: MakerTransition): void {
    talk.state = state;
    const words = effects.flatMap((effect) =>
      effect.kind === 'send' && effect.command !== 'error' ? [effect] : [],
    );
    for (const effect of effects) {
      if (effect === words[0]) courier.say(talk.nick, words, talk.key, talk.by);
      carryOut(talk, effect);
    }
  }

  /** Calls a port. Its result becomes an event, also for a session that has ended. */
  function call<T>(
    talk: MakerTalk,
    port: string,
    work: () => Promise<T>,
    event: (value: T) => MakerEvent,
  ): void {
    void (async () => {
      let result: MakerEvent;
      try {
        result = event(await work());
      } catch (error) {
        result = { kind: 'port-failed', port, detail: detailOf(error) };
      }
      dispatch(talk, result);
    })();
  }

  function carryOut(talk: MakerTalk, effect: MakerEffect): void {
    const { signal } = talk.abort;
    switch (effect.kind) {
      case 'send':
        if (effect.command === 'error') {
          courier.mention(talk.nick, 'error', effect.args, talk.by);
        }
        return;
      case 'deadline':
        talk.cancelDeadline?.();
        talk.cancelDeadline = clock.after(effect.ms, () => dispatch(talk, { kind: 'deadline' }));
        return;
      case 'look-up':
        call(
          talk,
          'chain',
          () => chain.coins([effect.coin], signal),
          ([coin]) => ({ kind: 'coin', coin }),
        );
        return;
      case 'reserve':
        if (!options.hasRoom()) {
          dispatch(talk, { kind: 'end', fault: 'evicted' });
          return;
        }
        call(
          talk,
          'wallet',
          () => reserve(effect, signal),
          (answer) => ({ kind: 'reserved', ...answer }),
        );
        return;
      case 'hold': {
        const held = reserved.hold(effect.payout, clock.now(), policy.pendingTxTimeoutMs);
        if (held.ok) {
          talk.hold = held.value;
          void look(held.value.outpoints, signal);
        }
        dispatch(talk, held.ok ? { kind: 'held' } : clash(held.reason));
        return;
      }
      case 'claim':
        options.onClaim(talk, effect.commitment);
        call(
          talk,
          'commitments',
          () => commitments.add(effect.commitment),
          () => {
            options.onClaimed(effect.commitment);
            return { kind: 'claimed' };
          },
        );
        return;
      case 'sign': {
        const fault = talk.hold ? reserved.faultAtSigning(talk.hold, effect.tx.inputs) : 'not-held';
        if (fault !== undefined) {
          dispatch(talk, clash(fault));
          return;
        }
        call(
          talk,
          'wallet',
          () => wallet.sign(effect.request, signal),
          (signatures) => ({ kind: 'signatures', signatures }),
        );
        return;
      }
      case 'keep':
        if (talk.hold) reserved.sign(talk.hold, clock.now());
        return;
      case 'broadcast':
        void broadcast(effect.transaction);
        return;
      case 'settle':
        if (talk.hold && effect.settlement === 'unsigned') reserved.release(talk.hold);
        try {
          wallet.settle(effect.reservation, effect.settlement);
        } catch (error) {
          log.error('the wallet failed to release its coins', { reason: detailOf(error) });
        }
        return;
      case 'end':
        talk.cancelDeadline?.();
        talk.abort.abort();
        options.onEnd(talk, effect.outcome);
    }
  }

  function clash(fault: HoldFault | SignFault): MakerEvent {
    const detail = CLASHES[fault];
    log.warn('a negotiation cannot continue', { detail });
    return { kind: 'clash', detail };
  }

  /** Updates the set of held coins with the chain's answer. */
  async function look(coins: readonly NamedOutpoint[], signal: AbortSignal): Promise<void> {
    if (coins.length === 0) return;
    const found = await lookUpCoins(chain, coins, signal);
    // A short answer says nothing about the other coins.
    for (const [n, coin] of coins.slice(0, found.length).entries()) {
      reserved.see(coin, found[n] !== undefined);
    }
  }

  /** Releases signed transactions that have confirmed; then the wallet is asked. */
  async function reserve(
    { request, extended }: Extract<MakerEffect, { readonly kind: 'reserve' }>,
    signal: AbortSignal,
  ): Promise<Omit<Extract<MakerEvent, { readonly kind: 'reserved' }>, 'kind'>> {
    await look(reserved.coinsToLookUp(COINS_LOOKED_UP), signal);
    // The session no longer waits for coins.
    if (signal.aborted) return { reservation: undefined };
    const reservation = await wallet.reserve(request, signal);
    if (reservation === undefined || !extended) return { reservation };
    return { reservation, names: await nameOwnCoins(chain, reservation.coins, signal) };
  }

  async function broadcast(transaction: Uint8Array): Promise<void> {
    try {
      await chain.broadcast(transaction);
    } catch (error) {
      log.warn('a coinjoin could not be broadcast for its taker', { reason: detailOf(error) });
    }
  }

  return { dispatch, apply };
}
