/** The observers of a channel: called for every arrival, copies included. */
import type { Command } from '../protocol/commands.js';
import type { Arrival, ChannelObserver } from './channel-api.js';
import type { Judged } from './messages/inbox.js';
import type { Location } from '../protocol/location.js';

/** A message that has a meaning. */
type Meant = Exclude<Judged<{ readonly commands: readonly Command[] }>, { verdict: 'junk' }>;

export interface Observers {
  /** Returns a function that removes it. */
  add(observer: ChannelObserver): () => void;
  /** @param directory undefined for a direct link */
  publicly(judged: Meant, directory: Location): void;
  privately(judged: Meant, directory: Location | undefined): void;
  left(nick: string, directory: Location): void;
}

/** @param guard calls a function of the owner, so that its errors do not affect the channel */
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
