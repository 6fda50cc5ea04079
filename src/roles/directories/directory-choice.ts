/**
 * Chooses the directories of a peer: from those that the program ships and those of the newest signed list, by
 * what worked (docs/directory-lists.md, section 6). Used only when keys of lists are pinned or shipped, and the
 * user did not choose directories.
 */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import type { Log } from '../../channel/log.js';
import type { MessageChannelOptions, OnionMessageChannel } from '../../channel/message-channel.js';
import type { Clock, Dialer, Random } from '../../channel/ports.js';
import { REFUSAL_TEXTS } from '../../directory-lists/refusal.js';
import { errorText } from '../../kit/error-text.js';
import { readStateFile, writeStateFile } from '../../ops/state-file.js';
import type { Network } from '../../protocol/constants.js';
import { DIRECTORY_LIST_FEATURE } from '../../protocol/directory-list-message.js';
import { formatLocation, type Location, type LocationKind } from '../../protocol/location.js';
import { createNickKey } from '../../protocol/nick.js';
import { ContactHistory, MAX_HISTORY_BYTES, parseContacts } from './contact-history.js';
import { DirectoryLinks, firstDirectories } from './directory-links.js';
import { KeptList, LIST_FILE } from './kept-list.js';
import { ListUpdates, type ListUpdatesOptions } from './list-updates.js';
import { ranked, toExplore } from './ranking.js';

/** The name of the file in the data directory. */
export const CONTACTS_FILE = 'directory-contacts.json';
const SAVE_MS = 60_000;
const EXPLORE_MS = 3_600_000;
const EXPLORE_AT_ONCE = 4;
/** Failed attempts that wait for the first one that works. */
const MAX_PENDING = 256;

export interface DirectoryChoiceOptions {
  readonly datadir: string;
  readonly network: Network;
  /** The fingerprint of the key set that is trusted. */
  readonly listKeys: string;
  /** A file or a page of an onion service; empty: none. */
  readonly listSource: string;
  readonly shipped: readonly Location[];
  readonly dialer: Dialer;
  readonly reachable: ReadonlySet<LocationKind>;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Seconds since 1970. */
  readonly unixTime: () => number;
  /** Longest dial and handshake when a list is fetched. */
  readonly timings?: ListUpdatesOptions['timings'];
}

async function readContacts(path: string, log: Log): Promise<ContactHistory> {
  try {
    const bytes = await readStateFile(path, MAX_HISTORY_BYTES);
    return new ContactHistory(bytes && parseContacts(new TextDecoder('latin1').decode(bytes)));
  } catch (error) {
    log.warn('the history of directories cannot be read; it begins anew', {
      reason: errorText(error),
    });
    return new ContactHistory();
  }
}

export class DirectoryChoice {
  readonly #options: DirectoryChoiceOptions;
  readonly #history: ContactHistory;
  readonly #kept: KeptList;
  readonly #updates: ListUpdates;
  readonly #links = new Set<DirectoryLinks>();
  /** Before anything worked, a failure may be that of this machine: it does not count yet. */
  readonly #pending = new Map<string, Location>();
  #hasWorked = false;
  #isClosed = false;
  #cancelSave: (() => void) | undefined;
  #cancelExplore: (() => void) | undefined;
  #exploring: Promise<void> = Promise.resolve();
  #saving: Promise<void> = Promise.resolve();

  private constructor(options: DirectoryChoiceOptions, history: ContactHistory, kept: KeptList) {
    this.#options = options;
    this.#history = history;
    this.#kept = kept;
    this.#updates = new ListUpdates({
      ...options,
      kept,
      source: options.listSource,
      newNickKey: () => createNickKey(randomBytes),
      onNewer: () => this.#refresh(),
    });
  }

  /** Reads the kept list and the history, and the source of lists if there is one. */
  static async open(options: DirectoryChoiceOptions): Promise<DirectoryChoice> {
    const { datadir, network, listKeys, log, unixTime } = options;
    const trust = { network, pinned: listKeys };
    const { list, refused } = await KeptList.open({
      path: join(datadir, LIST_FILE),
      trust,
      unixTime,
    });
    if (refused !== undefined) {
      log.warn('the kept list of directories is not used', { reason: REFUSAL_TEXTS[refused] });
    }
    const history = await readContacts(join(datadir, CONTACTS_FILE), log);
    const choice = new DirectoryChoice(options, history, list);
    const source = choice.#updates.start();
    // A page takes a while. It is waited for only by a program that knows no directory.
    if (choice.candidates().length === 0) await source;
    choice.#refresh();
    choice.#exploreLater();
    return choice;
  }

  /** All directories, the best first. */
  candidates(): readonly Location[] {
    const { shipped, reachable, random, unixTime } = this.#options;
    const all = [...shipped, ...this.#kept.locations()];
    const dialable = all.filter(({ kind }) => reachable.has(kind));
    return ranked(dialable, this.#history, unixTime(), random);
  }

  /** The options of a channel that `follow` gets. `directories` is empty when no directory is known. */
  channelOptions(
    wanted: number,
  ): Required<Pick<MessageChannelOptions, 'directories' | 'welcomeAtFirst'>> {
    return { directories: firstDirectories(this.candidates(), wanted), welcomeAtFirst: true };
  }

  /** From now on until the channel is closed, keeps so many directories connected. */
  follow(channel: OnionMessageChannel, wanted: number): void {
    const { clock } = this.#options;
    const links = new DirectoryLinks({
      channel,
      wanted,
      clock,
      candidates: () => this.candidates(),
      listFeature: DIRECTORY_LIST_FEATURE,
      onWorked: (location, offersLists) => {
        this.#worked(location);
        if (offersLists) this.#updates.ask(location);
      },
      onFailed: (location) => this.#failed(location),
    });
    this.#links.add(links);
    channel.on('stopped', () => this.#links.delete(links));
  }

  /** Tests directories that are not in use, now. It happens each hour by itself. */
  async explore(): Promise<void> {
    const { random, unixTime } = this.#options;
    const used = new Set([...this.#links].flatMap((links) => links.connected));
    const unused = this.candidates().filter((location) => !used.has(formatLocation(location)));
    const left = toExplore(unused, this.#history, unixTime(), random).values();
    const work = async (): Promise<void> => {
      // All workers share the iterator: each takes the next location.
      for (const location of left) {
        if (this.#isClosed) return;
        // oxlint-disable-next-line no-await-in-loop -- a few at once: the channel needs Tor, too
        const result = await this.#updates.fetch(location);
        if (result.outcome === 'failed' && !result.reached) this.#failed(location);
        else if (result.outcome !== 'stopped') this.#worked(location);
      }
    };
    await Promise.all(Array.from({ length: EXPLORE_AT_ONCE }, work));
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#cancelExplore?.();
    await this.#updates.close();
    await this.#exploring;
    this.#cancelSave?.();
    await this.#save();
  }

  #exploreLater(): void {
    this.#cancelExplore = this.#options.clock.after(EXPLORE_MS, () => {
      this.#exploring = this.#exploreAndAgain();
    });
  }

  async #exploreAndAgain(): Promise<void> {
    // Each of them at most every six hours: a session may last for months.
    for (const links of this.#links) {
      for (const location of links.listing) this.#updates.ask(location);
    }
    await this.explore();
    if (!this.#isClosed) this.#exploreLater();
  }

  #refresh(): void {
    const now = this.#options.unixTime();
    for (const location of this.candidates()) this.#history.learn(location, now);
    for (const links of this.#links) links.refresh();
    this.#saveLater();
  }

  #worked(location: Location): void {
    const now = this.#options.unixTime();
    this.#hasWorked = true;
    this.#history.worked(location, now);
    for (const failed of this.#pending.values()) this.#history.failed(failed, now);
    this.#pending.clear();
    this.#saveLater();
  }

  #failed(location: Location): void {
    if (this.#hasWorked) {
      this.#history.failed(location, this.#options.unixTime());
      this.#saveLater();
    } else if (this.#pending.size < MAX_PENDING) {
      this.#pending.set(formatLocation(location), location);
    }
  }

  #saveLater(): void {
    if (this.#isClosed) return;
    this.#cancelSave ??= this.#options.clock.after(SAVE_MS, () => {
      this.#cancelSave = undefined;
      void this.#save();
    });
  }

  #save(): Promise<void> {
    const { datadir, log } = this.#options;
    const write = async (): Promise<void> => {
      try {
        await writeStateFile(join(datadir, CONTACTS_FILE), this.#history.format());
      } catch (error) {
        log.warn('the history of directories cannot be written', { reason: errorText(error) });
      }
    };
    this.#saving = this.#saving.then(write);
    return this.#saving;
  }
}
