/**
 * The page's copy of the book: loaded once, then updated by server-sent events. When the watcher cannot
 * be reached, the copy stays and the page reconnects.
 */

const FIRST_RETRY_MS = 1000;
const LAST_RETRY_MS = 15_000;
/** The watcher sends an event at least every 10 seconds. */
const SILENCE_MS = 25_000;

export class BookStore {
  /** Offers by id. */
  offers = new Map();
  /** Ids of offers that were added or changed recently, with the time in milliseconds. */
  changed = new Map();
  statistics;
  network = '';
  /** 'loading', 'live', 'away' (it does not answer) or 'broken' (its answer is invalid). */
  status = 'loading';
  /** One line for a person, while away or broken. */
  detail = '';
  /** `Date.now()` of the next attempt while away or broken. */
  retryAt = 0;
  /** Unix seconds of the last event of the watcher. */
  heardAt = 0;
  #notify;
  /** Seconds by which the watcher's clock is ahead of ours. */
  #offset = 0;
  /** The version of the copy, for `events?since=`; empty without a copy. */
  #position = '';
  #source;
  #retryTimer;
  #silenceTimer;
  #delay = FIRST_RETRY_MS;
  /** Counts attempts: results of earlier ones are ignored. */
  #attempt = 0;

  /** @param notify called with 'book', 'statistics' or 'status' when that changed */
  constructor(notify) {
    this.#notify = notify;
    void this.#connect();
  }

  /** The watcher's clock, unix seconds. */
  now() {
    return Date.now() / 1000 + this.#offset;
  }

  /** Reconnects at once, without waiting for the timer. */
  retry() {
    this.#delay = FIRST_RETRY_MS;
    void this.#connect();
  }

  close() {
    this.#disconnect();
  }

  #setWatcherTime(now) {
    this.#offset = now - Date.now() / 1000;
    this.heardAt = now;
  }

  #setStatus(status, detail = '') {
    this.status = status;
    this.detail = detail;
    this.#notify('status');
  }

  #disconnect() {
    this.#attempt += 1;
    this.#source?.close();
    this.#source = undefined;
    clearTimeout(this.#silenceTimer);
    clearTimeout(this.#retryTimer);
  }

  #fail(status, detail) {
    this.#disconnect();
    this.retryAt = Date.now() + this.#delay;
    this.#retryTimer = setTimeout(() => void this.#connect(), this.#delay);
    this.#delay = Math.min(LAST_RETRY_MS, this.#delay * 2);
    this.#setStatus(status, detail);
  }

  #restartSilenceTimer() {
    clearTimeout(this.#silenceTimer);
    this.#silenceTimer = setTimeout(
      () => this.#fail('away', 'The watcher sends nothing.'),
      SILENCE_MS,
    );
  }

  /** Loads the whole book; resolves to whether that succeeded and no later attempt began. */
  async #load() {
    const attempt = this.#attempt;
    let response;
    try {
      response = await fetch('orderbook.json');
    } catch {
      if (attempt === this.#attempt) this.#fail('away', 'The watcher does not answer.');
      return false;
    }
    try {
      if (!response.ok) throw new Error(`HTTP ${response.status}`);
      const book = await response.json();
      if (attempt !== this.#attempt) return false;
      this.#replace(book);
    } catch (error) {
      if (attempt === this.#attempt)
        this.#fail('broken', `The watcher's answer cannot be read (${error.message}).`);
      return false;
    }
    this.#notify('book');
    this.#notify('statistics');
    return true;
  }

  #replace(book) {
    this.offers = new Map(book.offers.map((offer) => [offer.id, offer]));
    this.changed.clear();
    this.statistics = book.statistics;
    this.network = book.network;
    this.#position = `${book.session}:${book.version}`;
    this.#setWatcherTime(book.now);
  }

  #apply({ upserts, removed, now }) {
    this.#setWatcherTime(now);
    for (const id of removed) {
      this.offers.delete(id);
      this.changed.delete(id);
    }
    for (const offer of upserts) {
      this.offers.set(offer.id, offer);
      this.changed.set(offer.id, Date.now());
    }
    this.#notify('book');
  }

  #applyStatistics(statistics) {
    this.statistics = statistics;
    this.#setWatcherTime(statistics.now);
    this.#notify('statistics');
  }

  /** The copy is too old for updates. */
  #reset() {
    this.#disconnect();
    this.#position = '';
    void this.#connect();
  }

  #on(name, take) {
    this.#source.addEventListener(name, (event) => {
      this.#restartSilenceTimer();
      this.#position = event.lastEventId;
      try {
        take(JSON.parse(event.data));
      } catch (error) {
        this.#position = '';
        this.#fail('broken', `The watcher's event cannot be read (${error.message}).`);
      }
    });
  }

  #listen() {
    const source = new EventSource(`events?since=${encodeURIComponent(this.#position)}`);
    this.#source = source;
    source.addEventListener('open', () => {
      this.#delay = FIRST_RETRY_MS;
      this.#restartSilenceTimer();
      this.#setStatus('live');
    });
    source.addEventListener('error', () => {
      if (this.#source !== source) return;
      // A browser stops reconnecting only after an unexpected answer.
      const refused = source.readyState === EventSource.CLOSED;
      this.#fail(
        'away',
        refused
          ? 'The watcher serves no more pages; close one that is open.'
          : 'The connection to the watcher is lost.',
      );
    });
    this.#on('book', (change) => this.#apply(change));
    this.#on('statistics', (statistics) => this.#applyStatistics(statistics));
    this.#on('reset', () => this.#reset());
  }

  async #connect() {
    this.#disconnect();
    if (this.#position === '' && !(await this.#load())) return;
    this.#listen();
  }
}
