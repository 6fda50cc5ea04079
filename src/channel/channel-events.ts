/** The typed event emitter of a channel; errors of listeners do not affect the channel. */
import { EventEmitter } from 'eventemitter3';
import type {
  MessageChannelEvent,
  MessageChannelEvents,
  MessageChannelListener,
  OnionMessageChannel,
} from './channel-api.js';

export interface ChannelEvents extends Pick<OnionMessageChannel, 'on' | 'once' | 'off'> {
  readonly emit: <E extends MessageChannelEvent>(
    event: E,
    ...args: EventEmitter.EventArgs<MessageChannelEvents, E>
  ) => void;
  /** Emits `stopped`, and nothing after it. */
  end(): void;
}

/** Calls a function of the owner. An error that it throws becomes an uncaught exception. */
export function guard(fn: () => void): void {
  try {
    fn();
  } catch (error) {
    // The error must not stop the channel half-way, and must not be hidden either.
    queueMicrotask(() => {
      throw error;
    });
  }
}

export function createChannelEvents(): ChannelEvents {
  const emitter = new EventEmitter<MessageChannelEvents>();
  const emit: ChannelEvents['emit'] = (event, ...args) =>
    guard(() => void emitter.emit(event, ...args));
  return {
    on: (event, listener) => void emitter.on(event, listener),
    once: (event, listener) => void emitter.once(event, listener),
    off: (event, listener) => void emitter.off(event, listener),
    emit,
    end() {
      emit('stopped');
      emitter.removeAllListeners();
    },
  };
}

/** A channel whose owner listens to its events. */
export abstract class ChannelWithEvents {
  protected readonly events: ChannelEvents = createChannelEvents();

  on<E extends MessageChannelEvent>(event: E, listener: MessageChannelListener<E>): void {
    this.events.on(event, listener);
  }

  once<E extends MessageChannelEvent>(event: E, listener: MessageChannelListener<E>): void {
    this.events.once(event, listener);
  }

  off<E extends MessageChannelEvent>(event: E, listener: MessageChannelListener<E>): void {
    this.events.off(event, listener);
  }
}
