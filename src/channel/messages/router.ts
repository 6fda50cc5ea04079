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

function newMessage(nick: string, payload: string, by: string | undefined): Recent {
  return { nick, payload, writtenAt: undefined, tried: new Set<string>(), by, via: '' };
}

function isWritten({ writtenAt }: Recent): boolean {
  return writtenAt !== undefined;
}

export class Router {
  readonly #options: RouterOptions;
  #recent: Recent[] = [];

  constructor(options: RouterOptions) {
    this.#options = options;
  }

  /**
   * Sends one 685 payload; returns the route, or undefined when there is none.
   * @param by a directory to try first
   */
  send(nick: string, payload: string, by?: string): Route | undefined {
    const message = newMessage(nick, payload, by);
    return this.#remember(message, this.#send(message));
  }

  /**
   * Sends one 685 payload through a directory, even if there is a direct link; false without a route.
   */
  copy(nick: string, payload: string): boolean {
    const message = newMessage(nick, payload, undefined);
    return this.#remember(message, this.#sendByDirectory(message)) !== undefined;
  }

  /** A directory announces that the nick left: messages just sent through it take another route. */
  peerLeft(nick: string, directory: string): void {
    this.#reroute((message) => message.nick === nick && message.via === directory);
  }

  /** A directory was lost: all messages just sent through it take another route. */
  directoryLost(directory: string): void {
    this.#reroute((message) => message.via === directory);
  }

  #send(message: Recent): Route | undefined {
    const { links } = this.#options;
    const { nick, payload } = message;
    const asAsked = this.#sendAsAsked(message);
    if (asAsked) return asAsked;
    // A link that refuses is closed by that or has used up its rate, so this loop ends.
    for (let link = links.usable(nick); link; link = links.usable(nick)) {
      if (link.send(payload)) {
        for (const rival of links.rivals(link)) rival.send(payload);
        return DIRECT;
      }
      if (link.open) break;
    }
    const byDirectory = this.#sendByDirectory(message);
    if (byDirectory) return byDirectory;
    return links.lastResort(nick)?.sendInTurn(payload) ? DIRECT : undefined;
  }

  #sendAsAsked(message: Recent): Route | undefined {
    const { avoid, book } = this.#options;
    const { nick, by, tried } = message;
    if (by === undefined || tried.has(by) || avoid(by, nick)) return undefined;
    const directory = book.get(nick)?.shownBy.includes(by) ? this.#pick([by]) : undefined;
    return directory && this.#giveTo(directory, message);
  }

  #sendByDirectory(message: Recent): Route | undefined {
    const { avoid, book } = this.#options;
    for (;;) {
      const peer = book.get(message.nick);
      const untried = (keys: readonly string[] = []): readonly string[] =>
        keys.filter((key) => !message.tried.has(key));
      const preferred = (keys: readonly string[] = []): readonly string[] =>
        untried(keys).filter((key) => !avoid(key, message.nick));
      const directory =
        this.#pick(preferred(peer?.relayedBy)) ??
        this.#pick(preferred(peer?.shownBy)) ??
        this.#pick(untried(peer?.relayedBy)) ??
        this.#pick(untried(peer?.shownBy));
      if (!directory) return undefined;
      const route = this.#giveTo(directory, message);
      if (route) return route;
    }
  }

  #pick(keys: readonly string[]): DirectoryLink | undefined {
    const { directories, random } = this.#options;
    const up = keys.flatMap((key) => {
      const directory = directories.get(key);
      return directory?.up ? [directory] : [];
    });
    return up[Math.min(up.length - 1, Math.floor(random() * up.length))];
  }

  #giveTo(directory: DirectoryLink, message: Recent): Route | undefined {
    message.tried.add(directory.key);
    message.via = directory.key;
    message.writtenAt = undefined;
    const took = directory.send(MessageType.PRIVMSG, message.payload, () => {
      // Another directory may have the message by now.
      if (message.via === directory.key) message.writtenAt = this.#options.clock.now();
    });
    return took ? { kind: 'directory', location: directory.location } : undefined;
  }

  #remember(message: Recent, route: Route | undefined): Route | undefined {
    if (route?.kind === 'directory') {
      this.#recent.push(message);
      this.#forgetOld();
    }
    return route;
  }

  /** Queued messages are kept: each directory bounds its queue and empties it when its session ends. */
  #forgetOld(): void {
    const { clock, settings } = this.#options;
    const oldest = clock.now() - settings.timings.rerouteMs;
    const recent = this.#recent.filter(({ writtenAt = oldest }) => writtenAt >= oldest);
    let excess = recent.filter(isWritten).length - settings.limits.reroutable;
    this.#recent = recent.filter((message) => !isWritten(message) || excess-- <= 0);
  }

  #reroute(applies: (message: Recent) => boolean): void {
    this.#forgetOld();
    for (const message of this.#recent.filter(applies)) {
      // A message without a route now is not kept.
      if (this.#send(message)?.kind !== 'directory') {
        message.writtenAt ??= this.#options.clock.now();
      }
    }
  }
}
