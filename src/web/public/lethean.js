/** The page of the Lethean client: asks it at intervals, and sends what the person decides. */
import { setText } from './elements.js';
import { showDesk } from './lethean-views.js';
import { ask, startPolling } from './poll.js';

const $ = (id) => document.getElementById(id);
const TOKEN = 'lethean-token';
const ACT_MS = 120_000;

/** The token comes behind the `#` of the printed address, which no server and no other site sees. */
function takeToken() {
  const given = location.hash.slice(1);
  if (/^[\w-]{20,}$/.test(given)) {
    sessionStorage.setItem(TOKEN, given);
    history.replaceState(null, '', location.pathname);
  }
  return sessionStorage.getItem(TOKEN) ?? undefined;
}

let token = takeToken();
let view;
/** Actions that were answered: what was asked for before the last one is out of date. */
let answered = 0;

function showFault(text) {
  $('fault').hidden = text === undefined;
  setText($('fault').querySelector('.what'), text ?? '');
}

async function act(path, body) {
  showFault(undefined);
  try {
    const response = await fetch(path, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-onionmc-token': token ?? '' },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(ACT_MS),
    });
    const answer = await response.json();
    if (response.status === 401) {
      sessionStorage.removeItem(TOKEN);
      token = undefined;
    }
    answered += 1;
    if (response.ok) view = answer;
    else showFault(String(answer.error ?? `HTTP ${response.status}`));
  } catch (error) {
    showFault(`The client did not answer (${error.message}).`);
  }
  if (view !== undefined) show();
}

function daysField() {
  const text = $('days').value.trim();
  return text === '' ? {} : { days: Number(text) };
}

const actions = {
  get isAllowed() {
    return token !== undefined;
  },
  select: (link) => act('select', { link, ...daysField() }),
  disconnect: (key) => act('disconnect', { key }),
};

function show() {
  showDesk(view, actions);
  $('read-only').hidden = actions.isAllowed;
  for (const id of ['search', 'kept', 'look']) $(id).disabled = !actions.isAllowed;
}

/** About the quote that is shown, and no other. */
const decide = (pay) => act('pay', { pay, question: view?.attempt.question });

function browse(fresh) {
  return act('browse', {
    fresh,
    type: $('type').value,
    country: $('country').value.trim(),
    maxCost: $('cost').value.trim(),
    minSpeed: $('speed').value.trim(),
    keepUnknown: $('unknown').checked,
  });
}

$('filter').addEventListener('submit', (event) => {
  event.preventDefault();
  void browse(true);
});
$('kept').addEventListener('click', () => void browse(false));
$('pay').addEventListener('click', () => void decide(true));
$('no-pay').addEventListener('click', () => void decide(false));
$('cancel').addEventListener('click', () => void act('cancel', {}));
$('look').addEventListener('click', () => void act('wallet', {}));

// The address of a client that was started again, opened in the same tab, loads nothing.
addEventListener('hashchange', () => {
  token = takeToken();
  if (view !== undefined) show();
});

startPolling({
  program: 'client',
  async read() {
    const before = answered;
    return { before, answer: await ask('status') };
  },
  show({ before, answer }) {
    if (before === answered) view = answer;
    show();
  },
});
