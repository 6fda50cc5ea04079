/**
 * All sessions of a maker: carries out what the machine (`maker-session.ts`) wants, one session for
 * each nick, with a bound on each kind of session.
 */
import type { ReceivedPrivateMessage } from '../channel/channel-api.js';
import type { Log } from '../channel/log.js';
import type { Clock } from '../channel/ports.js';
import type { Network } from '../protocol/constants.js';
import type { Command } from '../protocol/commands.js';
import { createBoxKeyPair, openBoxSession, type RandomBytes } from '../protocol/encryption.js';
import type { Offer } from '../protocol/offer.js';
import { nameOwnCoins } from './coin-metadata.js';
import { createCourier, type NegotiationChannel } from './courier.js';
import type { Door } from './door.js';
import type {
  MakerEffect,
  MakerEvent,
  MakerOutcome,
  MakerPolicy,
  MakerState,
  MakerTransition,
} from './maker-api.js';
import { NO_ROOM } from './maker-endings.js';
import { offerFor, openMakerSession } from './maker-fill.js';
import { makerTransition } from './maker-session.js';
import type { ChainView, CommitmentStore, MakerWallet } from './ports.js';
import { formatRefusal, parseFill, shownText } from './texts.js';

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

interface Session {
  readonly nick: string;
  readonly key: string;
  readonly commitment: string;
  readonly abort: AbortController;
  state: MakerState;
  cancelDeadline: (() => void) | undefined;
}

const isProven = ({ state: { state } }: Session): boolean =>
  state !== 'awaiting-auth' && state !== 'checking-coin';

const AT_WORK: ReadonlySet<MakerState['state']> = new Set(['reserving', 'claiming', 'signing']);

const detailOf = (error: unknown): string =>
  shownText(error instanceof Error ? error.message : String(error));

export function createMakerSessions(options: MakerSessionsOptions): MakerSessions {
  const { channel, wallet, chain, commitments, policy, limits, door, clock, log } = options;
  const courier = createCourier(channel, clock);
  // In the order of their beginning.
  const sessions = new Map<string, Session>();

  function dispatch(session: Session, event: MakerEvent): void {
    apply(session, makerTransition(session.state, event));
  }

  function apply(session: Session, { state, effects }: MakerTransition): void {
    session.state = state;
    const words = effects.flatMap((effect) =>
      effect.kind === 'send' && effect.command !== 'error' ? [effect] : [],
    );
    if (words.length > 0) courier.say(session.nick, words);
    for (const effect of effects) carryOut(session, effect);
  }

  /** A call of a port; what it gives comes back as an event, also to a session that has ended. */
  function call<T>(
    session: Session,
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
      dispatch(session, result);
    })();
  }

  function carryOut(session: Session, effect: MakerEffect): void {
    const { signal } = session.abort;
    switch (effect.kind) {
      case 'send':
        if (effect.command === 'error') courier.mention(session.nick, 'error', effect.args);
        return;
      case 'deadline':
        session.cancelDeadline?.();
        session.cancelDeadline = clock.after(effect.ms, () =>
          dispatch(session, { kind: 'deadline' }),
        );
        return;
      case 'look-up':
        call(
          session,
          'chain',
          () => chain.coins([effect.coin], signal),
          ([coin]) => ({ kind: 'coin', coin }),
        );
        return;
      case 'reserve':
        if (provenCount() > limits.proven) {
          dispatch(session, { kind: 'end', fault: 'evicted' });
          return;
        }
        call(
          session,
          'wallet',
          () => reserve(effect, signal),
          (reserved) => ({ kind: 'reserved', ...reserved }),
        );
        return;
      case 'claim':
        claim(session, effect.commitment);
        return;
      case 'sign':
        call(
          session,
          'wallet',
          () => wallet.sign(effect.request, signal),
          (signatures) => ({ kind: 'signatures', signatures }),
        );
        return;
      case 'broadcast':
        void broadcast(effect.transaction);
        return;
      case 'settle':
        try {
          wallet.settle(effect.reservation, effect.settlement);
        } catch (error) {
          log.error('the wallet did not take back its coins', { reason: detailOf(error) });
        }
        return;
      case 'end':
        end(session, effect.outcome);
    }
  }

  async function reserve(
    { request, extended }: Extract<MakerEffect, { readonly kind: 'reserve' }>,
    signal: AbortSignal,
  ): Promise<Omit<Extract<MakerEvent, { readonly kind: 'reserved' }>, 'kind'>> {
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

  function claim(session: Session, commitment: string): void {
    for (const other of sessions.values()) {
      if (other !== session && other.commitment === commitment) {
        dispatch(other, { kind: 'end', fault: 'commitment-used' });
      }
    }
    call(
      session,
      'commitments',
      () => commitments.add(commitment),
      () => {
        options.onUsed?.(commitment, 'now');
        return { kind: 'claimed' };
      },
    );
  }

  function end(session: Session, outcome: MakerOutcome): void {
    session.cancelDeadline?.();
    session.abort.abort();
    if (sessions.get(session.nick) === session) {
      sessions.delete(session.nick);
      courier.forget(session.nick);
    }
    if (outcome.result === 'signed') log.info('a coinjoin was signed', { pushed: outcome.pushed });
    else log.info('a negotiation ended', { step: outcome.step, fault: outcome.fault });
    options.onOutcome?.(session.nick, outcome);
  }

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
    const session: Session = {
      nick,
      key,
      commitment,
      abort: new AbortController(),
      state: opened.state,
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
