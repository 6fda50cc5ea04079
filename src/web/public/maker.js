/** The page of a maker: asks it at intervals and shows its answers. */
import { element, setText, showBadge, showFacts } from './elements.js';
import * as format from './format.js';
import { createMakerPlots } from './maker-plots.js';
import { ask, onSpan, startPolling } from './poll.js';

const $ = (id) => document.getElementById(id);

const COINJOINS_SHOWN = 25;
/** Rows of a table; a maker has far fewer offers, mixdepths and sessions. */
const MOST_ROWS = 200;

let status;
let history;
let span = 'month';

const plots = createMakerPlots({ total: $('plot-total'), days: $('plot-days') });

/** The rows of a table, replaced only if one of them changed. */
function showRows(id, rows, emptyId) {
  const table = $(id);
  if (emptyId !== undefined) {
    table.hidden = rows.length === 0;
    $(emptyId).hidden = rows.length > 0;
  }
  const text = JSON.stringify(rows);
  if (table.dataset.shown === text) return;
  table.dataset.shown = text;
  table.tBodies[0].replaceChildren(
    ...rows.slice(0, MOST_ROWS).map(([first, ...others]) => {
      const row = element('tr');
      const head = element('th', '', first);
      head.scope = 'row';
      row.append(head, ...others.map((cell) => cellOf(cell)));
      return row;
    }),
  );
}

/** A text, or a badge `[tone, word]`. */
function cellOf(cell) {
  if (!Array.isArray(cell)) return element('td', '', cell);
  const td = element('td');
  const [tone, word] = cell;
  td.append(element('span', `badge ${tone}`, word));
  return td;
}

const inTime = (unixSeconds) =>
  unixSeconds === undefined
    ? undefined
    : unixSeconds <= status.now
      ? 'now'
      : `in ${format.duration(unixSeconds - status.now)}`;

const moment = (unixSeconds) => `${format.date(unixSeconds)} ${format.clockTime(unixSeconds)}`;

function showIdentity() {
  const card = $('card-identity');
  const { nick, location, nextChangeAt } = status.identity;
  const isThere = nick !== undefined;
  showBadge(card, isThere ? 'good' : 'warn', isThere ? 'announced' : 'changing');
  setText(
    card.querySelector('.reason'),
    isThere ? '' : 'A new nick and a new onion are announced after a random delay.',
  );
  showFacts(card, [
    ['Nick', nick],
    ['Onion', location],
    ['Next change', inTime(nextChangeAt) ?? 'when the offers change'],
  ]);
}

const REACHED = new Map([
  [true, ['good', 'answers']],
  [false, ['bad', 'no answer']],
]);

function showOutside() {
  const card = $('card-outside');
  const { reachable, tests, failures, testedSecondsAgo, dialMs, answerMs } = status.outside;
  showBadge(card, ...(REACHED.get(reachable) ?? ['warn', 'not tested']));
  showFacts(card, [
    [
      'Last test',
      testedSecondsAgo === undefined ? undefined : `${format.duration(testedSecondsAgo)} ago`,
    ],
    ['Tests', `${format.count(tests)}, ${format.count(failures)} failed`],
    ['Connecting took', dialMs === undefined ? undefined : format.milliseconds(dialMs)],
    ['Its answer took', answerMs === undefined ? undefined : format.milliseconds(answerMs)],
  ]);
}

function showBond() {
  const card = $('card-bond');
  const { bond } = status;
  showBadge(card, ...(bond === undefined ? ['warn', 'none'] : ['good', 'announced']));
  setText(
    card.querySelector('.reason'),
    bond === undefined ? 'Most takers choose seven of eight makers by their bonds.' : '',
  );
  showFacts(
    card,
    bond === undefined
      ? []
      : [
          ['Value', bond.value === undefined ? 'not known' : format.bondValue(bond.value)],
          ['Locked until', format.date(bond.lockTime)],
        ],
  );
}

function showProgram() {
  showFacts($('card-program'), [
    ['Version', status.version],
    ['Up for', format.duration(status.uptimeSeconds)],
    ['Chain read up to', `block ${format.count(status.height)}`],
  ]);
}

const sum = (numbers) => numbers.reduce((total, n) => total + n, 0);

function showFigures() {
  const { earnings, sessions, mixdepths } = status;
  setText($('figure-earned'), format.count(earnings.earned));
  setText($('figure-coinjoins'), format.count(earnings.confirmed));
  setText($('figure-pending'), format.count(earnings.pending));
  setText($('figure-sessions'), format.count(sessions.length));
  setText($('figure-available'), format.bitcoin(sum(mixdepths.map(({ available }) => available))));
  setText($('figure-uptime'), format.duration(status.uptimeSeconds));
  setText($('network'), status.network);
  $('network').hidden = false;
}

function showOffers() {
  setText(
    $('no-offers'),
    status.noOffer === undefined ? 'No offer.' : `No offer: ${status.noOffer}.`,
  );
  showRows(
    'offers',
    status.offers.map((offer) => [
      format.typeText(offer.ordertype),
      offer.ordertype.endsWith('absoffer')
        ? format.satoshi(Number(offer.cjfee))
        : format.feeText(offer),
      format.bitcoin(offer.minsize),
      format.bitcoin(offer.maxsize),
      format.satoshi(offer.txfee),
    ]),
    'no-offers',
  );
}

function showCoins() {
  showRows(
    'coins',
    status.mixdepths.map(({ mixdepth, available, held }) => [
      `mixdepth ${mixdepth}`,
      format.bitcoin(available),
      format.bitcoin(held),
    ]),
  );
}

const STEPS = {
  auth: 'the proof of the taker',
  'checking-coin': 'the node, about the coin of the proof',
  reserving: 'the wallet, for coins',
  claiming: 'the list of used commitments',
  tx: 'the transaction',
  signing: 'the signatures of the wallet',
  push: 'the transaction to broadcast',
};

function showSessions() {
  showRows(
    'sessions',
    status.sessions
      .toSorted((a, b) => b.seconds - a.seconds)
      .map(({ step, amount, seconds }) => [
        STEPS[step] ?? step,
        format.bitcoin(amount),
        format.duration(seconds),
      ]),
    'no-sessions',
  );
  const { signed = 0, ...faults } = status.ended;
  const named = Object.entries(faults)
    .filter(([, count]) => count > 0)
    .toSorted(([, a], [, b]) => b - a)
    .map(([fault, count]) => `${fault} ${format.count(count)}`);
  $('ended').hidden = signed === 0 && named.length === 0;
  setText(
    $('ended'),
    `Since the start: ${format.count(signed)} signed; ended before: ${named.join(', ') || 'none'}.`,
  );
}

const STATES = {
  pending: ['warn', 'not settled'],
  confirmed: ['good', 'confirmed'],
  replaced: ['bad', 'replaced'],
  lost: ['bad', 'lost'],
  abandoned: ['bad', 'given up'],
};

/** Only a coinjoin in the chain has earned something; in brackets what one would earn. */
function earnedText({ state, earned }) {
  if (state === 'confirmed') return format.count(earned);
  return state === 'pending' ? `(${format.count(earned)})` : '–';
}

function showCoinjoins() {
  const { coinjoins, earnings } = status;
  const shown = coinjoins.slice(0, COINJOINS_SHOWN);
  showRows(
    'coinjoins',
    shown.map((coinjoin) => [
      moment(coinjoin.signedAt),
      STATES[coinjoin.state] ?? ['warn', String(coinjoin.state)],
      format.bitcoin(coinjoin.amount),
      format.count(coinjoin.inputs),
      earnedText(coinjoin),
    ]),
    'no-coinjoins',
  );
  const all = earnings.confirmed + earnings.pending + earnings.failed;
  const more = all - shown.length;
  $('more-coinjoins').hidden = more <= 0;
  setText(
    $('more-coinjoins'),
    `${format.many(more, 'earlier coinjoin')}: onionmc maker history shows all.`,
  );
}

function showHealth() {
  const { health } = status;
  $('unhealthy').hidden = health.ok;
  if (!health.ok) {
    setText($('unhealthy').querySelector('.what'), `Takers cannot use it: ${health.reason}`);
  }
}

const drawn = () => plots.update({ history, span, now: status.now });

function show() {
  showHealth();
  showFigures();
  showIdentity();
  showOutside();
  showBond();
  showProgram();
  showOffers();
  showCoins();
  showSessions();
  showCoinjoins();
  drawn();
}

onSpan((chosen) => {
  span = chosen;
  if (history !== undefined) drawn();
});
startPolling({
  program: 'maker',
  read: () => Promise.all([ask('status'), ask('history')]),
  show(answers) {
    [status, history] = answers;
    show();
  },
});
