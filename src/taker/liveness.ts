/**
 * Asks makers for their offers, in private, before they are filled: a maker that answers is there. The
 * question is the one that every taker asks at its start, so it reveals nothing but a nick, and that a
 * coinjoin may follow. Deployed makers limit these questions, and some answer them only in public: a
 * maker without an answer is asked last, not never.
 */
import type { OnionMessageChannel } from '../channel/channel-api.js';
import type { Clock } from '../channel/ports.js';

/** What a probe of makers needs. */
export interface ProbeOptions {
  readonly channel: Pick<OnionMessageChannel, 'send' | 'on' | 'off'>;
  readonly clock: Clock;
  /** Ends the probe early; it then resolves to what it knows. */
  readonly signal?: AbortSignal | undefined;
  /** Longest time from the first question, in milliseconds. */
  readonly waitMs?: number;
  /** Time between two questions, in milliseconds. */
  readonly everyMs?: number;
  /** After this many answers the others get `graceMs` more. Default: all of them. */
  readonly enough?: number;
  readonly graceMs?: number;
  /** Called after each answer and each question that no connection took. */
  readonly onAnswer?: (answers: ReadonlyMap<string, boolean>) => void;
}

const WAIT_MS = 15_000;
const EVERY_MS = 50;
const GRACE_MS = 2_000;

/** A private message needs an argument; makers ignore it. */
const ASKED_FOR = 'signed';

/**
 * Resolves to the makers that sent any signed private message during the probe, and those that no
 * connection leads to, which are `false`. Makers that stay silent are not in the map. Never rejects.
 */
export function probeMakers(
  nicks: readonly string[],
  options: ProbeOptions,
): Promise<ReadonlyMap<string, boolean>> {
  const { channel, clock, signal, waitMs = WAIT_MS, everyMs = EVERY_MS } = options;
  const { enough = nicks.length, graceMs = GRACE_MS, onAnswer } = options;
  const asked = new Set(nicks);
  const answers = new Map<string, boolean>();
  if (asked.size === 0) return Promise.resolve(answers);
  return new Promise((resolve) => {
    let alive = 0;
    const cancels = new Set<() => void>();
    const after = (ms: number, fn: () => void): void => {
      const cancel = clock.after(ms, () => {
        cancels.delete(cancel);
        fn();
      });
      cancels.add(cancel);
    };
    const end = (): void => {
      for (const cancel of cancels) cancel();
      channel.off('privmsg', onPrivmsg);
      channel.off('stopped', end);
      signal?.removeEventListener('abort', end);
      resolve(answers);
    };
    const note = (nick: string, isAlive: boolean): void => {
      if (answers.get(nick) === true) return;
      answers.set(nick, isAlive);
      onAnswer?.(answers);
      if (isAlive) alive += 1;
      if (answers.size === asked.size) end();
      else if (isAlive && alive === enough) after(graceMs, end);
    };
    const onPrivmsg = ({ from }: { readonly from: string }): void => {
      if (asked.has(from)) note(from, true);
    };
    const ask = (waiting: readonly string[]): void => {
      const [nick, ...rest] = waiting;
      if (nick === undefined || answers.size === asked.size) return;
      if (!answers.has(nick) && !channel.send(nick, 'orderbook', ASKED_FOR).sent) note(nick, false);
      if (answers.size < asked.size) after(everyMs, () => ask(rest));
    };
    channel.on('privmsg', onPrivmsg);
    channel.on('stopped', end);
    signal?.addEventListener('abort', end, { once: true });
    after(waitMs, end);
    if (signal?.aborted === true) end();
    else ask([...asked]);
  });
}

/**
 * The order after a probe: makers that are there, then those without an answer, then those without a
 * route. The latter two are left out when `enough` others are there.
 */
export function orderByLiveness<T extends { readonly nick: string }>(
  candidates: readonly T[],
  isAlive: (nick: string) => boolean | undefined,
  enough: number,
): readonly T[] {
  const alive = candidates.filter(({ nick }) => isAlive(nick) === true);
  if (alive.length >= enough) return alive;
  const silent = candidates.filter(({ nick }) => isAlive(nick) === undefined);
  const away = candidates.filter(({ nick }) => isAlive(nick) === false);
  return [...alive, ...silent, ...away];
}
