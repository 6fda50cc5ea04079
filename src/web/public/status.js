/** The status page: asks the directory at intervals and shows its answers. */
import { element, setText, showBadge, showFacts } from './elements.js';
import * as format from './format.js';
import { ask, onSpan, startPolling } from './poll.js';
import { createStatusPlots } from './status-plots.js';

const $ = (id) => document.getElementById(id);

/** Limits change with a reload only: they are requested with the first and every twelfth request. */
const REQUESTS_PER_LIMITS = 12;
const REFUSALS_SHOWN = 15;

let status;
let history;
let span = 'hour';

const plots = createStatusPlots({
  peers: $('plot-peers'),
  deliveries: $('plot-deliveries'),
  queue: $('plot-queue'),
  latency: $('plot-latency'),
  tor: $('plot-tor'),
  refused: $('plot-refused'),
});

// Rendering

const total = (counters) => Object.values(counters).reduce((sum, n) => sum + n, 0);

const SERVICE_TONES = { reachable: 'good', starting: 'warn', stopping: 'warn', lost: 'bad' };

function showService() {
  const card = $('card-service');
  const { state, health, stateSeconds, stateEntered, location, listensOn } = status;
  showBadge(card, SERVICE_TONES[state] ?? 'warn', state);
  setText(card.querySelector('.reason'), state === 'reachable' ? '' : (health.reason ?? ''));
  showFacts(card, [
    [state === 'reachable' ? 'Reachable for' : 'In this state for', format.duration(stateSeconds)],
    ['Lost', format.many(stateEntered.lost, 'time')],
    ['Address', location],
    ['Listens on', listensOn],
  ]);
}

/** The most locations that are shown; a directory has one for each overlay. */
const MAX_LOCATIONS = 8;

function locationItem({ location, state, detail: reason = '' }) {
  const item = element('li');
  const badge = element('span', `badge ${SERVICE_TONES[state] ?? 'warn'}`, state);
  item.append(element('span', 'mono', location), badge);
  if (reason) item.append(element('span', 'hint', reason));
  return item;
}

/** Each location with its state, when there are several. */
function showLocations() {
  const card = $('card-locations');
  const services = status.services.slice(0, MAX_LOCATIONS);
  card.hidden = services.length < 2;
  if (card.hidden) return;
  const list = card.querySelector('.locations');
  const text = JSON.stringify(
    services.map((service) => [service.location, service.state, service.detail]),
  );
  if (list.dataset.shown === text) return;
  list.dataset.shown = text;
  list.replaceChildren(...services.map(locationItem));
}

const NODE_TONES = { this: 'good', alive: 'good', dead: 'bad', unknown: 'warn' };

/** What should be the same on all nodes, or repaired. */
function nodeFaults({ clockAheadMs = 0, sameMotd, sameLimits, overBudget, reached }) {
  const apart = Math.round(Math.abs(clockAheadMs) / 1000);
  return [
    ...(apart < 2
      ? []
      : [`clock ${format.duration(apart)} ${clockAheadMs > 0 ? 'ahead' : 'behind'}`]),
    ...(sameMotd === false ? ['another motd'] : []),
    ...(sameLimits === false ? ['other limits'] : []),
    ...(reached === false ? ['not reached'] : []),
    ...(overBudget === true ? ['over the budgets'] : []),
  ];
}

function nodeItem({ name, state, peers, inSync, heardSecondsAgo, version = '', ...facts }) {
  const item = element('li');
  const badge = element(
    'span',
    `badge ${NODE_TONES[state] ?? 'warn'}`,
    state === 'this' ? 'this node' : state,
  );
  item.append(element('span', 'mono', name), badge);
  const heard =
    heardSecondsAgo === undefined ? 'never heard' : `heard ${format.duration(heardSecondsAgo)} ago`;
  const words = [
    format.many(peers, 'peer'),
    ...(state === 'dead' || state === 'unknown' ? [heard] : []),
    ...(state === 'alive' && !inSync ? ['its peers are being learnt'] : []),
    ...(state === 'alive' ? nodeFaults(facts) : []),
    ...(version === '' || version === status.version ? [] : [`version ${version}`]),
  ];
  item.append(element('span', 'hint', words.join(', ')));
  return item;
}

/** The other machines of this directory, when there are any. */
function showCluster() {
  const card = $('card-cluster');
  const { cluster } = status;
  card.hidden = cluster === undefined;
  if (cluster === undefined) return;
  const { bus, nodes, counters, share } = cluster;
  showBadge(card, bus.connected ? 'good' : 'bad', bus.connected ? 'connected' : 'cut off');
  setText(card.querySelector('.reason'), bus.connected ? '' : (bus.detail ?? ''));
  const list = card.querySelector('.locations');
  const text = JSON.stringify(nodes);
  if (list.dataset.shown !== text) {
    list.dataset.shown = text;
    list.replaceChildren(...nodes.map(nodeItem));
  }
  showFacts(card, [
    ['Name', cluster.name],
    ['Peers of all nodes', format.count(cluster.peers)],
    [bus.connected ? 'Connected for' : 'Cut off for', format.duration(bus.seconds)],
    ['Share of the limits', `${Math.round(share.deliveries * 100)} %`],
    ['Received from nodes', format.bytes(counters.bytesIn)],
    ['Sent to nodes', format.bytes(counters.bytesOut)],
    ['Records dropped', format.count(total(counters.dropped))],
    ['Packets lost, not sent', `${format.count(counters.lost)}, ${format.count(counters.unsent)}`],
  ]);
}

function daemonBadge({ connected, bootstrapPercent, circuits, networkLive }) {
  if (!connected) return ['bad', 'no answer'];
  if (bootstrapPercent !== undefined && bootstrapPercent < 100) {
    return ['warn', `${bootstrapPercent} %`];
  }
  if (circuits === false) return ['bad', 'no circuits'];
  return networkLive === false ? ['warn', 'no network'] : ['good', 'ready'];
}

const said = (value, yes, no) => (value === undefined ? undefined : value ? yes : no);

/** The program behind the first location that has one: Tor. */
function showDaemon() {
  const card = $('card-daemon');
  const daemon = status.services.find((service) => service.daemon !== undefined)?.daemon;
  card.hidden = daemon === undefined;
  if (daemon === undefined) return;
  const { bootstrapPercent, bootstrapStep = '', answeredSecondsAgo } = daemon;
  setText(card.querySelector('h3'), daemon.name);
  showBadge(card, ...daemonBadge(daemon));
  setText(card.querySelector('.reason'), daemon.connected ? '' : (daemon.detail ?? ''));
  showFacts(card, [
    ['Version', daemon.version],
    ['Control connection', daemon.connected ? 'up' : 'down'],
    [
      'Start',
      bootstrapPercent === undefined ? undefined : `${bootstrapPercent} % ${bootstrapStep}`.trim(),
    ],
    ['Circuits', said(daemon.circuits, 'yes', 'none')],
    ['Network', said(daemon.networkLive, 'live', 'nothing heard')],
    [
      'Last answer',
      answeredSecondsAgo === undefined ? undefined : `${format.duration(answeredSecondsAgo)} ago`,
    ],
  ]);
}

const CANARY = {
  off: ['warn', 'off'],
  waiting: ['warn', 'waiting'],
  untested: ['warn', 'not tested'],
  reachable: ['good', 'reachable'],
  'not-relaying': ['bad', 'relays nothing'],
  elsewhere: ['bad', 'another directory'],
  unreachable: ['bad', 'unreachable'],
};

const took = (ms) => (ms === undefined ? undefined : format.milliseconds(ms));

function showCanary() {
  const card = $('card-canary');
  const { canary } = status;
  showBadge(card, ...(CANARY[canary.state] ?? ['warn', canary.state]));
  const isOff = canary.state === 'off';
  showFacts(card, [
    [
      'Last probe',
      isOff || canary.testedSecondsAgo === undefined
        ? undefined
        : `${format.duration(canary.testedSecondsAgo)} ago`,
    ],
    [
      'Probes',
      isOff ? undefined : `${format.count(canary.tests)}, ${format.count(canary.failures)} failed`,
    ],
    ['Connecting took', took(canary.dialMs)],
    ['Handshake took', took(canary.handshakeMs)],
    ['A message took', took(canary.relayMs)],
  ]);
}

function showLoad() {
  showFacts($('card-load'), [
    ['Connections', format.count(status.connections)],
    ['Without a handshake', format.count(status.unhandshaked)],
    ['Peers behind', format.count(status.lag.peers)],
    ['Slowest peer behind by', format.bytes(status.lag.mostBytes)],
    ['Messages waiting', format.count(status.waitingMessages)],
    ['Broadcasts in memory', format.bytes(status.logBytes)],
    ['Bans in force', format.count(status.bans)],
  ]);
}

function showProgram() {
  showFacts($('card-program'), [
    ['Version', status.version],
    ['Up for', format.duration(status.uptimeSeconds)],
    ['Handshakes accepted', format.count(status.handshakesAccepted)],
    ['Lines received', format.count(total(status.messagesIn))],
    ['Deliveries', format.count(total(status.messagesOut))],
    ['Received', format.bytes(status.bytesIn)],
    ['Sent', format.bytes(status.bytesOut)],
  ]);
}

function showFigures() {
  const deliveries = history.hour.columns.messagesOut.at(-1);
  const refused = history.refusals.reduce((sum, { lastHour }) => sum + lastHour, 0);
  setText($('figure-peers'), format.count(status.peers));
  setText($('figure-serving'), format.count(status.kinds.serving));
  setText($('figure-not-serving'), format.count(status.kinds.notServing));
  setText($('figure-deliveries'), deliveries === undefined ? '–' : format.rate(deliveries));
  setText($('figure-refused'), format.count(refused));
  setText($('figure-uptime'), format.duration(status.uptimeSeconds));
  setText($('network'), status.network);
  $('network').hidden = false;
}

const REFUSED = {
  handshake: 'handshake refused',
  line: 'line dropped',
  connection: 'connection ended',
};

function refusalRow({ what, reason, total: inTotal, lastHour, secondsAgo }) {
  const row = element('tr');
  const head = element('th');
  head.scope = 'row';
  head.append(element('span', 'mono', reason), element('span', 'hint', REFUSED[what] ?? what));
  const ago = secondsAgo === undefined ? 'earlier' : `${format.duration(secondsAgo)} ago`;
  row.append(
    head,
    element('td', '', format.count(lastHour)),
    element('td', '', format.count(inTotal)),
    element('td', '', ago),
  );
  return row;
}

function showRefusals() {
  const { refusals } = history;
  const shown = refusals.slice(0, REFUSALS_SHOWN);
  const more = refusals.length - shown.length;
  $('refusals').hidden = shown.length === 0;
  $('no-refusals').hidden = shown.length > 0;
  $('refusals').tBodies[0].replaceChildren(...shown.map(refusalRow));
  $('more-refusals').hidden = more === 0;
  setText($('more-refusals'), `${format.many(more, 'further reason')}: see history below.`);
}

const UNITS = {
  count: (n) => format.count(n),
  bytes: format.bytes,
  seconds: (n) => `${format.count(n)} s`,
};

function limitRow({ key, value, unit, fallback, meaning }) {
  const text = (n) => (n === 0 ? 'no limit' : UNITS[unit](n));
  const row = element('div');
  const amount = element('dd', 'value', text(value));
  if (value !== fallback) amount.append(element('span', 'hint', `default ${text(fallback)}`));
  row.append(element('dt', 'mono', key), amount, element('dd', 'meaning', meaning));
  return row;
}

function showHealth() {
  const { health } = status;
  $('unhealthy').hidden = health.ok;
  if (!health.ok)
    setText($('unhealthy').querySelector('.what'), `Peers cannot use it: ${health.reason}`);
}

function show() {
  showHealth();
  showFigures();
  showService();
  showLocations();
  showCluster();
  showDaemon();
  showCanary();
  showLoad();
  showProgram();
  showRefusals();
  plots.update(history[span]);
}

onSpan((chosen) => {
  span = chosen;
  if (history !== undefined) plots.update(history[span]);
});
startPolling({
  program: 'directory',
  read: (answered) =>
    Promise.all([
      ask('status'),
      ask('history'),
      ...(answered % REQUESTS_PER_LIMITS === 0 ? [ask('limits')] : []),
    ]),
  show(answers) {
    let limits;
    [status, history, limits] = answers;
    if (limits !== undefined) $('limits').replaceChildren(...limits.limits.map(limitRow));
    show();
  },
});
