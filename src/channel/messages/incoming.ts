/**
 * Messages of other peers from all sources: validated, noted in the peer book, passed to the observers,
 * and reported once (docs/protocol.md, sections 5.3 and 6).
 */
import { MessageType } from '../../protocol/constants.js';
import type { Envelope } from '../../protocol/envelope.js';
import { formatLocation } from '../../protocol/location.js';
import { parsePeerlist } from '../../protocol/peerlist.js';
import type { ChannelEvents } from '../channel-events.js';
import type { DirectoryLink } from '../directories/link.js';
import type { Observers } from '../observers.js';
import type { PeerBook } from '../peer-book.js';
import type { Inbox } from './inbox.js';

/** The directory that delivered a message. */
export type Source = Pick<DirectoryLink, 'key' | 'location'>;

/** The direct link of a message. Only its own nick may send on it. */
export interface LinkSource {
  readonly nick: string;
  /** Called for each message that the nick signed; `isNew`: the message was not received before. */
  readonly heard: (isNew: boolean) => void;
}

export interface IncomingOptions {
  /** Our own nick. */
  readonly nick: string;
  readonly inbox: Inbox;
  readonly book: PeerBook;
  readonly observers: Observers;
  readonly directories: ReadonlyMap<string, unknown>;
  readonly emit: ChannelEvents['emit'];
  /** A directory announces that this nick left. */
  readonly onLeft: (nick: string, directory: string) => void;
  /** No directory shows this nick any more. */
  readonly onGone: (nick: string) => void;
}

/** The name of a direct link as a source, beside the keys of directories. */
const DIRECT = 'direct';

export class IncomingMessages {
  readonly #options: IncomingOptions;

  constructor(options: IncomingOptions) {
    this.#options = options;
  }

  /** Handles a message or peer list of a directory. */
  receive(directory: Source, { type, line }: Envelope): void {
    if (type === MessageType.PEERLIST) this.#receivePeerlist(directory, line);
    else if (type === MessageType.PRIVMSG) this.#receivePrivmsg(directory, line);
    else this.#receivePubmsg(directory, line);
  }

  /** Handles a 685 payload of a direct link; false when it has no meaning. */
  receiveDirect(link: LinkSource, payload: string): boolean {
    const { inbox, observers, emit } = this.#options;
    const judged = inbox.private(payload, DIRECT, link.nick);
    if (judged.verdict === 'junk') return false;
    // The link first, so that an immediate answer uses the same link.
    link.heard(judged.verdict === 'fresh' && judged.neverHeard);
    observers.privately(judged, undefined);
    if (judged.verdict === 'copy') return true;
    emit('privmsg', { ...judged.message, route: { kind: DIRECT } });
    return true;
  }

  #receivePubmsg({ key, location }: Source, payload: string): void {
    const { inbox, book, observers, emit } = this.#options;
    const judged = inbox.public(payload, key);
    if (judged.verdict === 'junk') return;
    book.relayed(judged.from, key);
    observers.publicly(judged, location);
    if (judged.verdict === 'fresh') emit('pubmsg', { ...judged.message, directory: location });
  }

  #receivePrivmsg({ key, location }: Source, payload: string): void {
    const { inbox, book, observers, emit } = this.#options;
    const judged = inbox.private(payload, key);
    if (judged.verdict === 'junk') return;
    book.relayed(judged.from, key);
    observers.privately(judged, location);
    if (judged.verdict === 'copy') return;
    emit('privmsg', { ...judged.message, route: { kind: 'directory', location } });
  }

  #receivePeerlist(directory: Source, payload: string): void {
    const { nick, book, observers, directories } = this.#options;
    for (const entry of parsePeerlist(payload).entries) {
      if (entry.nick === nick || directories.has(formatLocation(entry.location))) continue;
      if (!entry.left) {
        book.listed(entry, directory.key);
        continue;
      }
      const isGone = book.left(entry.nick, directory.key);
      observers.left(entry.nick, directory.location);
      this.#options.onLeft(entry.nick, directory.key);
      if (isGone) this.#options.onGone(entry.nick);
    }
  }
}
