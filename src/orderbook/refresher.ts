/** When makers are asked for their offers: at the welcome, when a directory comes later, and regularly. */
import type { OnionMessageChannel } from '../channel/channel-api.js';
import type { Clock, Random } from '../channel/ports.js';

/** The least time between two requests; deployed directories disconnect above 3 a minute. */
export const REFRESH_MIN_MS = 30_000;
/** Likewise between a request and one that nobody asked us for. */
const UNASKED_MIN_MS = 60_000;

export interface RefresherOptions {
  readonly channel: Pick<OnionMessageChannel, 'publish' | 'directories' | 'on' | 'off'>;
  readonly clock: Clock;
  readonly random: Random;
  /** Milliseconds between two regular requests; each is up to a quarter later. */
  readonly everyMs: number;
  /** A request was given to this many directories. */
  readonly onAsked: (directories: number) => void;
}

export interface Refresher {
  /** False when it is too early. */
  now(): boolean;
  readonly askedAt: number | undefined;
  readonly nextInMs: number | undefined;
  close(): void;
}

export function createRefresher(options: RefresherOptions): Refresher {
  const { channel, clock, random, everyMs, onAsked } = options;
  let askedAt: number | undefined;
  let dueAt: number | undefined;
  let cancel: (() => void) | undefined;
  let welcomed = false;

  function scheduleIn(ms: number): void {
    const at = clock.now() + ms;
    if (dueAt !== undefined && dueAt <= at) return;
    cancel?.();
    dueAt = at;
    cancel = clock.after(ms, () => {
      dueAt = undefined;
      ask();
    });
  }

  function ask(): void {
    welcomed = true;
    const { sentTo } = channel.publish('orderbook');
    if (sentTo > 0) {
      askedAt = clock.now();
      onAsked(sentTo);
    }
    cancel?.();
    dueAt = undefined;
    scheduleIn(everyMs * (1 + random() / 4));
  }

  /** Makers that are only there have not been asked. */
  function onDirectoryUp(): void {
    if (!welcomed) return;
    const sinceMs = askedAt === undefined ? UNASKED_MIN_MS : clock.now() - askedAt;
    scheduleIn(Math.max(0, UNASKED_MIN_MS - sinceMs));
  }

  /** More directories may have come since the first request. */
  function onWelcome(): void {
    if (askedAt === undefined) ask();
    else onDirectoryUp();
  }

  channel.on('welcome', onWelcome);
  channel.on('directory-up', onDirectoryUp);
  if (channel.directories().some(({ state }) => state === 'up')) ask();

  return {
    now() {
      if (askedAt !== undefined && clock.now() - askedAt < REFRESH_MIN_MS) return false;
      ask();
      return true;
    },
    get askedAt() {
      return askedAt;
    },
    get nextInMs() {
      return dueAt === undefined ? undefined : Math.max(0, dueAt - clock.now());
    },
    close() {
      channel.off('welcome', onWelcome);
      channel.off('directory-up', onDirectoryUp);
      cancel?.();
    },
  };
}
