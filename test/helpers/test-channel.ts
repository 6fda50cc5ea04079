/** A message channel under test, with its events in queues that a test can await. */
import {
  openMessageChannel,
  type MessageChannelEvent,
  type MessageChannelEvents,
  type MessageChannelOptions,
  type OnionMessageChannel,
} from '../../src/channel/message-channel.js';
import { silentLog } from '../../src/channel/log.js';
import type { Clock, Overlay } from '../../src/channel/ports.js';
import { createLoopbackOverlay } from '../../src/overlay/loopback.js';
import { systemClock } from '../../src/overlay/system-clock.js';
import type { Location } from '../../src/protocol/location.js';
import { nickKey, type NickKey } from '../../src/protocol/nick.js';
import { useFastCurves } from '../../src/roles/fast-curves.js';
import { createTestClock, type TestClock } from './test-clock.js';

// As the programs do; test/platform compares these curves with those in JavaScript.
useFastCurves();

/** The value of an event; `true` for an event without a value. */
type EventValue<E extends MessageChannelEvent> = E extends 'stopped'
  ? true
  : Parameters<MessageChannelEvents[E]>[0];

/** A channel and its events. */
export interface LiveTestChannel extends OnionMessageChannel {
  readonly key: NickKey;
  /** The next event of this name that was not awaited yet. */
  next<E extends MessageChannelEvent>(event: E): Promise<EventValue<E>>;
  /** How many of them came and were not awaited. */
  waiting(event: MessageChannelEvent): number;
}

/** One whose time the test moves. */
export interface TestChannel extends LiveTestChannel {
  readonly clock: TestClock;
}

/** A nick key of 32 equal bytes. */
export function keyOf(byte: number): NickKey {
  return nickKey(new Uint8Array(32).fill(byte));
}

export type LiveTestChannelOptions = Partial<Omit<MessageChannelOptions, 'directories' | 'clock'>>;
export type TestChannelOptions = LiveTestChannelOptions & { readonly clock?: TestClock };

/** On signet, over loopback, with a test clock and no jitter by default. */
export function openTestChannel(
  directories: readonly Location[],
  options: TestChannelOptions = {},
): TestChannel {
  const clock = options.clock ?? createTestClock();
  const probe = open(directories, { random: () => 0, ...options }, clock);
  return withParts(probe, { clock });
}

/** The same in real time. */
export function openLiveTestChannel(
  directories: readonly Location[],
  options: LiveTestChannelOptions = {},
): LiveTestChannel {
  return open(directories, options, systemClock);
}

function open(
  directories: readonly Location[],
  options: LiveTestChannelOptions,
  clock: Clock,
): LiveTestChannel {
  const { nickKey: key = keyOf(1) } = options;
  const channel = openMessageChannel({
    network: 'signet',
    serve: false,
    random: Math.random,
    log: silentLog,
    overlay: anyPort(),
    nickKey: key,
    ...options,
    directories,
    clock,
  });
  const queues = eventQueues(channel);
  const parts: Pick<LiveTestChannel, 'key' | 'next' | 'waiting'> = {
    key,
    next: (event) => queues[event].next(),
    waiting: (event) => queues[event].waiting,
  };
  return withParts(channel, parts);
}

/** The object with some parts added or replaced; all else is done by the object itself. */
export function withParts<T extends object, P extends object>(whole: T, parts: P): T & P {
  return new Proxy(
    { ...whole, ...parts },
    {
      get(_, name) {
        const owner = Object.hasOwn(parts, name) ? parts : whole;
        const value: unknown = Reflect.get(owner, name, owner);
        return typeof value === 'function' ? value.bind(owner) : value;
      },
    },
  );
}

interface Queue<T> {
  readonly push: (value: T) => void;
  readonly next: () => Promise<T>;
  readonly waiting: number;
}

function createQueue<T>(): Queue<T> {
  const values: T[] = [];
  const readers: ((value: T) => void)[] = [];
  return {
    push(value) {
      const reader = readers.shift();
      if (reader) reader(value);
      else values.push(value);
    },
    next() {
      const [value] = values.splice(0, 1);
      if (value !== undefined) return Promise.resolve(value);
      return new Promise((resolve) => readers.push(resolve));
    },
    get waiting() {
      return values.length;
    },
  };
}

type EventQueues = { readonly [E in MessageChannelEvent]: Queue<EventValue<E>> };

function eventQueues(channel: OnionMessageChannel): EventQueues {
  const stopped = createQueue<EventValue<'stopped'>>();
  const queues: EventQueues = {
    welcome: createQueue(),
    pubmsg: createQueue(),
    privmsg: createQueue(),
    'peer-gone': createQueue(),
    'directory-up': createQueue(),
    'directory-down': createQueue(),
    'orderbook-asked': createQueue(),
    'direct-up': createQueue(),
    'direct-down': createQueue(),
    served: createQueue(),
    'service-state': createQueue(),
    'serve-failed': createQueue(),
    stopped,
  };
  channel.on('welcome', queues.welcome.push);
  channel.on('pubmsg', queues.pubmsg.push);
  channel.on('privmsg', queues.privmsg.push);
  channel.on('peer-gone', queues['peer-gone'].push);
  channel.on('directory-up', queues['directory-up'].push);
  channel.on('directory-down', queues['directory-down'].push);
  channel.on('orderbook-asked', queues['orderbook-asked'].push);
  channel.on('direct-up', queues['direct-up'].push);
  channel.on('direct-down', queues['direct-down'].push);
  channel.on('served', queues.served.push);
  channel.on('service-state', queues['service-state'].push);
  channel.on('serve-failed', queues['serve-failed'].push);
  channel.on('stopped', () => stopped.push(true));
  return queues;
}

export function anyPort(): Overlay {
  return createLoopbackOverlay({ host: '127.0.0.1', port: 0 });
}
