/**
 * The page's copy of the book: loaded once, then updated by server-sent events. When the watcher cannot
 * be reached, the copy stays and the page reconnects.
 */

const FIRST_RETRY_MS = 1000;
const LAST_RETRY_MS = 15_000;
/** The watcher sends an event at least every 10 seconds. */
const SILENCE_MS = 25_000;

/** @param notify called with 'book', 'statistics' or 'status' when that changed */
export function createBookStore(notify) {
  const store = {
    /** Offers by id. */
    offers: new Map(),
    /** Ids of offers that were added or changed recently, with the time in milliseconds. */
    changed: new Map(),
    statistics: undefined,
    network: '',
    /** 'loading', 'live', 'away' (it does not answer) or 'broken' (its answer is invalid). */
    status: 'loading',
    /** One line for a person, while away or broken. */
    detail: '',
    /** `Date.now()` of the next attempt while away or broken. */
    retryAt: 0,
    /** Unix seconds of the last event of the watcher. */
    heardAt: 0,
    /** The watcher's clock, unix seconds. */
    now: () => Date.now() / 1000 + offset,
    retry,
    close,
  };
  let offset = 0;
  let position = '';
  let source;
  let retryTimer;
  let silenceTimer;
  let delay = FIRST_RETRY_MS;
  /** Counts attempts: results of earlier ones are ignored. */
  let attempt = 0;

  function setWatcherTime(now) {
    offset = now - Date.now() / 1000;
    store.heardAt = now;
  }

  function setStatus(status, detail = '') {
    store.status = status;
    store.detail = detail;
    notify('status');
  }

  function disconnect() {
    attempt += 1;
    source?.close();
    source = undefined;
    clearTimeout(silenceTimer);
    clearTimeout(retryTimer);
  }

  function failed(status, detail) {
    disconnect();
    store.retryAt = Date.now() + delay;
    retryTimer = setTimeout(() => void connect(), delay);
    delay = Math.min(LAST_RETRY_MS, delay * 2);
    setStatus(status, detail);
  }

  function restartSilenceTimer() {
    clearTimeout(silenceTimer);
    silenceTimer = setTimeout(() => failed('away', 'The watcher sends nothing.'), SILENCE_MS);
  }

  async function load() {
    const own = attempt;
    let response;
    try {
      response = await fetch('orderbook.json');
    } catch {
      if (own === attempt) failed('away', 'The watcher does not answer.');
      return false;
    }
    try {
      if (!response.ok) throw new Error(`HTTP ${response.status}`);
      const book = await response.json();
      if (own !== attempt) return false;
      store.offers = new Map(book.offers.map((offer) => [offer.id, offer]));
      store.changed.clear();
      store.statistics = book.statistics;
      store.network = book.network;
      position = `${book.session}:${book.version}`;
      setWatcherTime(book.now);
    } catch (error) {
      if (own === attempt)
        failed('broken', `The watcher's answer cannot be read (${error.message}).`);
      return false;
    }
    notify('book');
    notify('statistics');
    return true;
  }

  function apply({ upserts, removed, now }) {
    setWatcherTime(now);
    for (const id of removed) {
      store.offers.delete(id);
      store.changed.delete(id);
    }
    for (const offer of upserts) {
      store.offers.set(offer.id, offer);
      store.changed.set(offer.id, Date.now());
    }
    notify('book');
  }

  function on(name, take) {
    source.addEventListener(name, (event) => {
      restartSilenceTimer();
      position = event.lastEventId;
      try {
        take(JSON.parse(event.data));
      } catch (error) {
        position = '';
        failed('broken', `The watcher's event cannot be read (${error.message}).`);
      }
    });
  }

  function listen() {
    source = new EventSource(`events?since=${encodeURIComponent(position)}`);
    const own = source;
    source.addEventListener('open', () => {
      delay = FIRST_RETRY_MS;
      restartSilenceTimer();
      setStatus('live');
    });
    source.addEventListener('error', () => {
      if (source !== own) return;
      // A browser stops reconnecting only after an unexpected answer.
      const refused = own.readyState === EventSource.CLOSED;
      failed(
        'away',
        refused
          ? 'The watcher serves no more pages; close one that is open.'
          : 'The connection to the watcher is lost.',
      );
    });
    on('book', apply);
    on('statistics', (statistics) => {
      store.statistics = statistics;
      setWatcherTime(statistics.now);
      notify('statistics');
    });
    on('reset', () => {
      disconnect();
      position = '';
      void connect();
    });
  }

  async function connect() {
    disconnect();
    if (position === '' && !(await load())) return;
    listen();
  }

  /** Reconnects at once, without waiting for the timer. */
  function retry() {
    delay = FIRST_RETRY_MS;
    void connect();
  }

  function close() {
    disconnect();
  }

  void connect();
  return store;
}
