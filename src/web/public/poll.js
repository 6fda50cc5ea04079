/** Asks a program at intervals; the header says whether it answers, and the banner why it does not. */
import { setText } from './elements.js';
import { clockTime } from './format.js';

const INTERVAL_MS = 5000;
const TIMEOUT_MS = 8000;
const FIRST_RETRY_MS = 1000;
const LAST_RETRY_MS = 15_000;

const WORDS = { loading: 'loading', live: 'live', away: 'disconnected', broken: 'error' };

/** The JSON at a path beside the page; rejects when there is none in time. */
export async function ask(path) {
  const response = await fetch(path, { signal: AbortSignal.timeout(TIMEOUT_MS) });
  if (!response.ok) throw new TypeError(`HTTP ${response.status}`);
  return response.json();
}

/**
 * Asks from now on, while the page is visible.
 * @param program the program in a sentence: `directory`
 * @param read resolves with the answers; gets the number of requests that were answered
 * @param show shows them; throws when they cannot be read
 */
export function startPolling({ program, read, show }) {
  const connection = document.getElementById('connection');
  const banner = document.getElementById('banner');
  let timer;
  let delay = FIRST_RETRY_MS;
  let retryAt = 0;
  let heardAt = 0;
  let detail = '';
  let answered = 0;
  /** Counts requests: results of earlier ones are ignored. */
  let attempt = 0;

  function setConnection(word) {
    if (connection.dataset.status === word) return;
    connection.dataset.status = word;
    connection.querySelector('.word').textContent = WORDS[word];
    banner.hidden = word === 'live' || word === 'loading';
  }

  function showBanner() {
    if (banner.hidden) return;
    const wait = Math.max(0, Math.ceil((retryAt - Date.now()) / 1000));
    const copy = heardAt > 0 ? ` The page shows the state of ${clockTime(heardAt / 1000)}.` : '';
    setText(banner.querySelector('.what'), `${detail}${copy}`);
    setText(
      banner.querySelector('.when'),
      wait === 0 ? 'Trying again …' : `Trying again in ${wait} s.`,
    );
  }

  function failed(word, text) {
    detail = text;
    retryAt = Date.now() + delay;
    timer = setTimeout(() => void request(), delay);
    delay = Math.min(LAST_RETRY_MS, delay * 2);
    setConnection(word);
    showBanner();
  }

  async function request() {
    clearTimeout(timer);
    attempt += 1;
    const mine = attempt;
    let answers;
    try {
      answers = await read(answered);
    } catch {
      if (mine === attempt) failed('away', `The ${program} does not answer.`);
      return;
    }
    if (mine !== attempt) return;
    try {
      show(answers);
    } catch (error) {
      failed('broken', `The ${program}'s answer cannot be read (${error.message}).`);
      return;
    }
    answered += 1;
    delay = FIRST_RETRY_MS;
    heardAt = Date.now();
    setConnection('live');
    if (!document.hidden) timer = setTimeout(() => void request(), INTERVAL_MS);
  }

  banner.querySelector('button').addEventListener('click', () => {
    delay = FIRST_RETRY_MS;
    void request();
  });
  document.addEventListener('visibilitychange', () => {
    clearTimeout(timer);
    if (!document.hidden) void request();
  });
  setConnection('loading');
  setInterval(showBanner, 1000);
  void request();
}

/** Buttons with `data-span`; calls `choose` with the span of the one that was pressed. */
export function onSpan(choose) {
  document.addEventListener('click', ({ target }) => {
    const button = target instanceof Element ? target.closest('[data-span]') : null;
    if (button === null) return;
    for (const each of document.querySelectorAll('[data-span]')) {
      each.setAttribute('aria-pressed', String(each === button));
    }
    choose(button.dataset.span);
  });
}
