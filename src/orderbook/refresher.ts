/**
 * Decides when makers are asked for their offers: when the channel is ready and at intervals, through
 * all directories; and through a directory that connects later, through that one alone.
 */
import type { MessageChannelEvents, OnionMessageChannel } from '../channel/channel-api.js';
import type { Clock, Random } from '../channel/ports.js';
import { formatLocation, type Location } from '../protocol/location.js';

/** Least time between two requests; deployed directories disconnect above 3 a minute. */
export const REFRESH_MIN_MS = 30_000;
/**
 * Least time between a request and an automatic one: most makers are connected to several directories
 * and limit the requests of a nick over all of them.
 */
const UNASKED_MIN_MS = 60_000;

export interface RefresherOptions {
  readonly channel: Pick<OnionMessageChannel, 'publish' | 'directories' | 'on' | 'off'>;
  readonly clock: Clock;
  readonly random: Random;
  /** Milliseconds between two regular requests; each is up to a quarter longer. */
  readonly everyMs: number;
  /** Called with the number of directories that took a request. */
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
  let cancelDue: (() => void) | undefined;
  /**
   * Directories that connected after the last request through all: makers that use only them were not
   * asked.
   */
  const newcomers = new Map<string, Location>();
  let newcomersDueAt: number | undefined;
  let cancelNewcomers: (() => void) | undefined;
  let begun = false;

  function asked(directories: number): void {
    if (directories === 0) return;
    askedAt = clock.now();
    onAsked(directories);
  }

  function forgetNewcomers(): void {
    newcomers.clear();
    cancelNewcomers?.();
    cancelNewcomers = undefined;
    newcomersDueAt = undefined;
  }

  function ask(): void {
    begun = true;
    forgetNewcomers();
    asked(channel.publish('orderbook').sentTo);
    cancelDue?.();
    const ms = everyMs * (1 + random() / 4);
    dueAt = clock.now() + ms;
    cancelDue = clock.after(ms, ask);
  }

  function askNewcomers(): void {
    const sent = [...newcomers.values()].map(
      (location) => channel.publish('orderbook', location).sentTo,
    );
    forgetNewcomers();
    asked(sent.reduce((sum, each) => sum + each, 0));
  }

  const onDirectoryUp: MessageChannelEvents['directory-up'] = ({ location }) => {
    if (!begun) return;
    newcomers.set(formatLocation(location), location);
    if (cancelNewcomers) return;
    const sinceMs = askedAt === undefined ? UNASKED_MIN_MS : clock.now() - askedAt;
    const ms = Math.max(0, UNASKED_MIN_MS - sinceMs);
    newcomersDueAt = clock.now() + ms;
    cancelNewcomers = clock.after(ms, askNewcomers);
  };

  /** Makers are asked through directories that connected since the first request in any case. */
  function onWelcome(): void {
    if (askedAt === undefined) ask();
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
      if (dueAt === undefined) return undefined;
      return Math.max(0, Math.min(dueAt, newcomersDueAt ?? dueAt) - clock.now());
    },
    close() {
      channel.off('welcome', onWelcome);
      channel.off('directory-up', onDirectoryUp);
      cancelDue?.();
      forgetNewcomers();
    },
  };
}
