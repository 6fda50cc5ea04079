/** The page: connects the book, the controls, the table, the charts and the directories. */
import { BookStore } from './book-store.js';
import { chancesOf } from './chance.js';
import { createCharts } from './charts.js';
import { showDetails } from './details.js';
import { showDirectories, showEvidence } from './directories.js';
import { setText } from './elements.js';
import { csvOf, jsonOf, save } from './exports.js';
import * as format from './format.js';
import { OfferTable } from './offer-table.js';
import { matches, NO_FILTER, rowOf, sorted, SORTS } from './selection.js';

const $ = (id) => document.getElementById(id);
const form = $('wish');
const table = $('table');
const note = $('note');
const banner = $('banner');

/** Least time between two updates of the charts. */
const CHARTS_MS = 2000;

let sort = { column: 'fee', direction: 'ascending' };
let wish;
let filter = NO_FILTER;
/** The estimate for the current book and controls; undefined after either has changed. */
let chances;
/** Visible rows, in order. */
let shown = [];

// Controls

function number(text) {
  const trimmed = text.trim().replace(',', '.');
  return trimmed === '' ? undefined : Number(trimmed);
}

/** A number of BTC in satoshi; NaN for other text, or for more than eight decimals. */
function satoshiOf(text) {
  const sats = Number(format.shift(text.trim().replace(',', '.'), 8) ?? NaN);
  return Number.isInteger(sats) ? sats : NaN;
}

/** Reads the controls; returns their first error, or ''. */
function readControls() {
  const { elements } = form;
  const value = (name) => elements[name].value;
  const amount = satoshiOf(value('amount'));
  const picks = number(value('picks')) ?? NaN;
  const bondless = (number(value('bondless')) ?? NaN) / 100;
  const maxFee = number(value('maxFee')) ?? Infinity;
  const limitSats = number(value('limitSats'));
  const limitShare = number(value('limitShare'));
  const faults = [
    [
      'amount',
      amount > 0 && amount <= 2.1e15,
      'The amount is a number of BTC, at most 21 million, with at most 8 decimals.',
    ],
    [
      'picks',
      Number.isInteger(picks) && picks >= 1 && picks <= 100,
      'Makers wanted: a whole number from 1 to 100.',
    ],
    ['maxFee', maxFee >= 0, 'The fee is a number of satoshi.'],
    ['bondless', bondless >= 0 && bondless <= 1, 'The bondless share is from 0 to 100 %.'],
    [
      'limitSats',
      limitSats === undefined || limitSats >= 0,
      'The fee limit is a number of satoshi.',
    ],
    [
      'limitShare',
      limitShare === undefined || limitShare >= 0,
      'The fee limit is a number of per cent.',
    ],
  ];
  const wrong = faults.filter(([, good]) => !good);
  for (const [name, good] of faults) elements[name].setAttribute('aria-invalid', String(!good));
  if (wrong.length > 0) return wrong[0][2];
  // An offer is dropped when it exceeds both limits; a single limit counts alone.
  const unlimited = limitSats === undefined && limitShare === undefined;
  wish = {
    amount,
    picks,
    bondless,
    family: value('family'),
    maxFeeSats: unlimited ? Infinity : (limitSats ?? -1),
    maxFeeShare: (limitShare ?? -100) / 100,
  };
  chances = undefined;
  filter = {
    text: value('text').trim().toLowerCase(),
    type: value('type'),
    directory: value('directory'),
    maxFee,
    fits: elements.fits.checked,
    signed: elements.signed.checked,
    bonded: elements.bonded.checked,
  };
  return '';
}

function isFiltering() {
  return Object.keys(NO_FILTER).some((name) => filter[name] !== NO_FILTER[name]);
}

/** Keeps the choice of a select while its options change. */
function setOptions(select, options) {
  const text = JSON.stringify(options);
  if (select.dataset.options === text) return;
  select.dataset.options = text;
  const { value } = select;
  const first = select.options[0];
  select.replaceChildren(first, ...options.map(([of, label]) => new Option(label, of)));
  select.value = options.some(([of]) => of === value) ? value : '';
}

// Rendering

const store = new BookStore((what) => {
  if (what === 'status') showStatus();
  else if (what === 'statistics') showStatistics();
  else bookSoon();
});
const offerTable = new OfferTable({
  scroller: $('scroller'),
  table,
  open: (row) =>
    showDetails($('details'), row, {
      directories: store.statistics?.directories ?? [],
      now: store.now(),
      amount: wish.amount,
    }),
});
const charts = createCharts({
  depth: $('chart-depth'),
  fees: $('chart-fees'),
  sizes: $('chart-sizes'),
  bonds: $('chart-bonds'),
});

function showNote() {
  const [title, text] = noteText();
  note.hidden = title === '';
  note.querySelector('.title').textContent = title;
  note.querySelector('.text').textContent = text;
  note.querySelector('button').hidden = store.offers.size === 0;
  note.classList.toggle('loading', store.status === 'loading');
}

function noteText() {
  if (shown.length > 0) return ['', ''];
  if (store.offers.size > 0) return ['No offer matches', 'Change the filters to see more.'];
  if (store.status === 'loading') return ['Loading the orderbook', ''];
  if (store.status !== 'live') return ['No orderbook', 'The watcher has to answer first.'];
  const up = store.statistics?.directories_up ?? 0;
  if (up === 0) {
    return [
      'No directory is up yet',
      'Through Tor the first one takes up to two minutes. The reason is shown below.',
    ];
  }
  return store.statistics.refreshed_at === null
    ? [
        'Makers are not asked yet',
        'They are asked when all directories are up, or a minute after the start.',
      ]
    : ['No offers yet', 'Makers were asked; most answer within two minutes.'];
}

function context() {
  return {
    now: store.now(),
    directories: store.statistics?.directories.length ?? 0,
    up: (store.statistics?.directories ?? []).flatMap(({ up, location }) => (up ? [location] : [])),
    changed: store.changed,
  };
}

let chartsAt = -Infinity;
let chartsTimer;

function chartsSoon(atOnce) {
  clearTimeout(chartsTimer);
  const wait = atOnce ? 0 : Math.max(0, chartsAt + CHARTS_MS - performance.now());
  chartsTimer = setTimeout(() => {
    chartsAt = performance.now();
    const offers = shown.map(({ offer }) => offer);
    charts.update({ offers, amount: wish.amount, now: store.now() });
  }, wait);
}

function showBook() {
  const offers = [...store.offers.values()];
  chances ??= chancesOf(offers, wish);
  const rows = offers.map((offer) => rowOf(offer, wish.amount, chances.byOffer.get(offer.id)));
  shown = sorted(
    rows.filter((row) => matches(row, filter, wish.amount)),
    sort,
  );
  offerTable.show(shown, context());
  $('shown').textContent =
    shown.length === offers.length
      ? format.many(offers.length, 'offer')
      : `${format.count(shown.length)} of ${format.many(offers.length, 'offer')}`;
  const few = chances.makers > 0 && chances.makers < wish.picks;
  $('considered').textContent =
    `${format.many(chances.makers, 'maker')} in question, ${format.count(chances.bonded)} with a bond of known value` +
    (few ? '; fewer than wanted: all are taken, or the taker gives up' : '');
  $('no-values').hidden = chances.bonded > 0;
  for (const id of ['export-csv', 'export-json']) $(id).disabled = shown.length === 0;
  const types = [...new Set(offers.map(({ ordertype }) => ordertype))].toSorted((a, b) =>
    a < b ? -1 : 1,
  );
  setOptions(
    form.elements.type,
    types.map((type) => [type, format.typeText(type)]),
  );
  showNote();
}

let bookDue = false;
/** At most once per frame. */
function bookSoon() {
  if (bookDue) return;
  bookDue = true;
  requestAnimationFrame(() => {
    bookDue = false;
    chances = undefined;
    showBook();
    chartsSoon(false);
  });
}

function showStatistics() {
  const { statistics } = store;
  const { directories } = statistics;
  $('figure-offers').textContent = format.count(statistics.offers);
  $('figure-makers').textContent = format.count(statistics.makers);
  $('figure-signed').textContent =
    statistics.offers === 0 ? '–' : format.percent(statistics.signed_offers / statistics.offers);
  $('figure-bonds').textContent = format.count(statistics.bonded_makers);
  $('figure-directories').textContent = `${statistics.directories_up} of ${directories.length}`;
  $('network').textContent = store.network;
  $('network').hidden = store.network === '';
  const names = directories.map(({ location }) => [location, format.shortLocation(location)]);
  setOptions(form.elements.directory, [
    ...names,
    ...names.map(([location, name]) => [`-${location}`, `not on ${name}`]),
  ]);
  showDirectories($('directories'), statistics, store.now());
  const evidence = $('evidence');
  evidence.hidden = statistics.evidence.length === 0;
  showEvidence(evidence.querySelector('ol'), statistics);
  bookSoon();
}

const WORDS = { loading: 'loading', live: 'live', away: 'disconnected', broken: 'error' };

function showStatus() {
  const { status } = store;
  const connection = $('connection');
  connection.dataset.status = status;
  connection.querySelector('.word').textContent = WORDS[status];
  banner.hidden = status === 'live' || status === 'loading';
  showBanner();
  showNote();
}

function showBanner() {
  if (banner.hidden) return;
  const wait = Math.max(0, Math.ceil((store.retryAt - Date.now()) / 1000));
  const copy =
    store.heardAt > 0 ? ` The page shows the book of ${format.clockTime(store.heardAt)}.` : '';
  setText(banner.querySelector('.what'), `${store.detail}${copy}`);
  setText(
    banner.querySelector('.when'),
    wait === 0 ? 'Trying again …' : `Trying again in ${wait} s.`,
  );
}

// Events

function showSort() {
  for (const th of table.tHead.querySelectorAll('[data-column]')) {
    const on = th.dataset.column === sort.column;
    th.setAttribute('aria-sort', on ? sort.direction : 'none');
  }
  const choice = `${sort.column} ${sort.direction}`;
  const select = $('sort');
  select.value = [...select.options].some(({ value }) => value === choice) ? choice : '';
}

function sortBy(column, direction) {
  sort = { column, direction };
  showSort();
  showBook();
  offerTable.toTop();
}

table.tHead.addEventListener('click', ({ target }) => {
  const column = target.closest('button')?.closest('th')?.dataset.column;
  if (column === undefined) return;
  const { first } = SORTS[column];
  const other = first === 'ascending' ? 'descending' : 'ascending';
  const again = sort.column === column && sort.direction === first;
  sortBy(column, again ? other : first);
});
$('sort').addEventListener('change', ({ target }) => {
  const [column, direction] = target.value.split(' ');
  sortBy(column, direction);
});

function controlsChanged() {
  const fault = readControls();
  $('wish-fault').hidden = fault === '';
  $('wish-fault').textContent = fault;
  if (fault !== '') return;
  form.classList.toggle('filtering', isFiltering());
  showBook();
  chartsSoon(true);
}

let typing;
form.addEventListener('input', ({ target }) => {
  if (target === $('sort')) return;
  clearTimeout(typing);
  typing = setTimeout(controlsChanged, 60);
});
form.addEventListener('submit', (event) => event.preventDefault());
form.addEventListener('reset', () =>
  setTimeout(() => {
    controlsChanged();
    showSort();
  }),
);
note.querySelector('button').addEventListener('click', () => form.reset());
banner.querySelector('button').addEventListener('click', () => store.retry());

const offersShown = () => shown.map(({ offer }) => offer);
$('export-csv').addEventListener('click', () =>
  save('orderbook.csv', 'text/csv', csvOf(offersShown())),
);
$('export-json').addEventListener('click', () =>
  save('orderbook.json', 'application/json', jsonOf(offersShown())),
);
$('details').addEventListener('click', ({ target }) => {
  // The click is on the dialog itself only outside its content.
  if (target === $('details')) $('details').close();
});
addEventListener('pagehide', () => store.close());
addEventListener('pageshow', ({ persisted }) => {
  if (persisted) store.retry();
});

// A browser may restore what was typed before a reload, also what is not valid.
if (readControls() !== '') {
  form.reset();
  readControls();
}
showSort();
showStatus();
setInterval(() => {
  if (document.hidden) return;
  offerTable.refresh(store.now());
  showBanner();
}, 1000);
