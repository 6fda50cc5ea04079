/**
 * Chooses the route of each private message: a direct link, else a directory that has relayed the nick,
 * else one that lists it (docs/protocol.md, section 6.3). A message that may have been lost is sent
 * once more by another route; receivers drop the copy.
 */
import { MessageType } from '../../protocol/constants.js';
import type { AvoidDirectory, Route } from '../channel-api.js';
import type { ChannelSettings } from '../channel-settings.js';
import type { DirectLinks } from '../direct/links.js';
import type { DirectoryLink } from '../directories/link.js';
import type { PeerBook } from '../peer-book.js';
import type { Clock, Random } from '../ports.js';

export interface RouterOptions {
  readonly settings: ChannelSettings;
  readonly clock: Clock;
  readonly random: Random;
  readonly links: DirectLinks;
  readonly directories: ReadonlyMap<string, DirectoryLink>;
  readonly book: PeerBook;
  /** Directories that are used last for a nick. */
  readonly avoid: AvoidDirectory;
}

export interface Router {
  /**
   * Sends one 685 payload; returns the route, or undefined when there is none.
   * @param by a directory to try first
   */
  send(nick: string, payload: string, by?: string): Route | undefined;
  /**
   * Sends one 685 payload through a directory, even if there is a direct link; false without a route.
   */
  copy(nick: string, payload: string): boolean;
  /** A directory announces that the nick left: messages just sent through it take another route. */
  notThere(nick: string, directory: string): void;
  /** A directory was lost: all messages just sent through it take another route. */
  directoryLost(directory: string): void;
}

const DIRECT: Route = { kind: 'direct' };

/** A message that was given to a directory's connection a moment ago, or is queued for it. */
interface Recent {
  readonly nick: string;
  readonly payload: string;
  /** When it was written to the connection; undefined while it is queued. */
  writtenAt: number | undefined;
  readonly tried: Set<string>;
  /** Tried first. */
  readonly by: string | undefined;
  via: string;
}

function isWritten({ writtenAt }: Recent): boolean {
  return writtenAt !== undefined;
}

export function createRouter(options: RouterOptions): Router {
  const { settings, clock, random, links, directories, book, avoid } = options;
  let recent: Recent[] = [];

  function pick(keys: readonly string[]): DirectoryLink | undefined {
    const up = keys.flatMap((key) => {
      const directory = directories.get(key);
      return directory?.up ? [directory] : [];
    });
    return up[Math.min(up.length - 1, Math.floor(random() * up.length))];
  }

  /** Notes when the message is written by the last directory it was given to. */
  function written(message: Recent): () => void {
    const { via } = message;
    return () => {
      if (message.via === via) message.writtenAt = clock.now();
    };
  }

  function sendByDirectory(message: Recent): Route | undefined {
    for (;;) {
      const peer = book.get(message.nick);
      const untried = (keys: readonly string[] = []): readonly string[] =>
        keys.filter((key) => !message.tried.has(key));
      const preferred = (keys: readonly string[] = []): readonly string[] =>
        untried(keys).filter((key) => !avoid(key, message.nick));
      const directory =
        pick(preferred(peer?.relayedBy)) ??
        pick(preferred(peer?.shownBy)) ??
        pick(untried(peer?.relayedBy)) ??
        pick(untried(peer?.shownBy));
      if (!directory) return undefined;
      const route = giveTo(directory, message);
      if (route) return route;
    }
  }

  function giveTo(directory: DirectoryLink, message: Recent): Route | undefined {
    message.tried.add(directory.key);
    message.via = directory.key;
    message.writtenAt = undefined;
    const took = directory.send(MessageType.PRIVMSG, message.payload, written(message));
    return took ? { kind: 'directory', location: directory.location } : undefined;
  }

  function sendAsAsked(message: Recent): Route | undefined {
    const { nick, by, tried } = message;
    if (by === undefined || tried.has(by) || avoid(by, nick)) return undefined;
    const directory = book.get(nick)?.shownBy.includes(by) ? pick([by]) : undefined;
    return directory && giveTo(directory, message);
  }

  function send(message: Recent): Route | undefined {
    const { nick, payload } = message;
    const asAsked = sendAsAsked(message);
    if (asAsked) return asAsked;
    // A link that refuses is closed by that or has used up its rate, so this loop ends.
    for (let link = links.usable(nick); link; link = links.usable(nick)) {
      if (link.send(payload)) {
        for (const rival of links.rivals(link)) rival.send(payload);
        return DIRECT;
      }
      if (link.open) break;
    }
    const byDirectory = sendByDirectory(message);
    if (byDirectory) return byDirectory;
    return links.lastResort(nick)?.sendInTurn(payload) ? DIRECT : undefined;
  }

  function begin(
    nick: string,
    payload: string,
    give: (message: Recent) => Route | undefined,
    by?: string,
  ): Route | undefined {
    const message: Recent = {
      nick,
      payload,
      writtenAt: undefined,
      tried: new Set<string>(),
      by,
      via: '',
    };
    const route = give(message);
    if (route?.kind === 'directory') {
      recent.push(message);
      forgetOld();
    }
    return route;
  }

  /** Queued messages are kept: each directory bounds its queue and empties it when its session ends. */
  function forgetOld(): void {
    const oldest = clock.now() - settings.timings.rerouteMs;
    recent = recent.filter(({ writtenAt = oldest }) => writtenAt >= oldest);
    let excess = recent.filter(isWritten).length - settings.limits.reroutable;
    recent = recent.filter((message) => !isWritten(message) || excess-- <= 0);
  }

  function reroute(applies: (message: Recent) => boolean): void {
    forgetOld();
    for (const message of recent.filter(applies)) {
      // A message without a route now is not kept.
      if (send(message)?.kind !== 'directory') message.writtenAt ??= clock.now();
    }
  }

  return {
    send: (nick, payload, by) => begin(nick, payload, send, by),
    copy: (nick, payload) => begin(nick, payload, sendByDirectory) !== undefined,
    notThere: (nick, directory) =>
      reroute((message) => message.nick === nick && message.via === directory),
    directoryLost: (directory) => reroute((message) => message.via === directory),
  };
}
