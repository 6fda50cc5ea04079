/** Who compares the ways of messages: told of every arrival, copies included. */
import type { Command } from '../protocol/commands.js';
import type { Arrival, ChannelObserver } from './channel-api.js';
import type { Judged } from './messages/inbox.js';
import type { Location } from '../protocol/location.js';

/** A message that means something. */
type Meant = Exclude<Judged<{ readonly commands: readonly Command[] }>, { verdict: 'junk' }>;

export interface Observers {
  /** Returns the removal. */
  add(observer: ChannelObserver): () => void;
  /** @param directory undefined for a direct link */
  publicly(judged: Meant, directory: Location): void;
  privately(judged: Meant, directory: Location | undefined): void;
  left(nick: string, directory: Location): void;
}

/** @param guard calls an owner's function, so that what it throws disturbs nobody */
export function createObservers(guard: (fn: () => void) => void): Observers {
  const observers = new Set<ChannelObserver>();

  function each(tell: (observer: ChannelObserver) => void): void {
    for (const observer of observers) guard(() => tell(observer));
  }

  function arrived(judged: Meant, directory: Location | undefined, isPrivate: boolean): void {
    const fresh = judged.verdict === 'fresh';
    const arrival: Arrival = {
      from: judged.from,
      directory,
      private: isPrivate,
      id: judged.id,
      commands: fresh ? judged.message.commands : undefined,
      neverHeard: fresh && judged.neverHeard,
    };
    each((observer) => observer.arrived(arrival));
  }

  return {
    add(observer) {
      observers.add(observer);
      return () => void observers.delete(observer);
    },
    publicly: (judged, directory) => arrived(judged, directory, false),
    privately: (judged, directory) => arrived(judged, directory, true),
    left: (nick, directory) => each((observer) => observer.left(nick, directory)),
  };
}
