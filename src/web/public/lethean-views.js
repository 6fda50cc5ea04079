/** The views of the Lethean client: provider list, connection, wallet, settings. Text is always text. */
import { element, setText, showBadge, showFacts } from './elements.js';
import * as format from './format.js';

const $ = (id) => document.getElementById(id);
const MOST_ROWS = 500;

const STEPS = ['none', 'selecting', 'paying', 'connecting', 'using'];
const ATTEMPTS = {
  none: ['warn', 'not connected', 'Select an offer. Nothing is paid before you agree.'],
  selecting: ['warn', 'asking the provider', 'The provider is asked for a session.'],
  paying: ['warn', 'pay?', 'Nothing was paid yet. Pay sends these coins to the provider.'],
  connecting: [
    'warn',
    'connecting',
    'The payment waits for its blocks, then the tunnel is opened.',
  ],
  using: ['good', 'connected', 'Traffic that uses the local proxy leaves at the exit.'],
  failed: ['bad', 'failed', ''],
};
const TONES = { ACTIVE: 'good', EXPIRED: 'bad', DISCONNECTED: 'bad' };

const moment = (seconds) =>
  seconds > 0 ? `${format.date(seconds)} ${format.clockTime(seconds)}` : '–';

/** @param key names what it acts on; no other button of its table has it */
function button(text, label, key, isEnabled, act) {
  const node = element('button', 'act', text);
  node.type = 'button';
  node.disabled = !isEnabled;
  node.dataset.key = key;
  node.setAttribute('aria-label', label);
  node.addEventListener('click', act);
  return node;
}

function cell(content) {
  const td = element('td');
  td.append(content instanceof Node ? content : String(content));
  return td;
}

/** The rows of a table, replaced only if what they show has changed. The button in focus keeps it. */
function showRows(id, emptyId, items, rowOf) {
  const table = $(id);
  table.hidden = items.length === 0;
  if (emptyId !== undefined) $(emptyId).hidden = items.length > 0;
  const text = JSON.stringify(items);
  if (table.dataset.shown === text) return;
  table.dataset.shown = text;
  const focused = table.contains(document.activeElement)
    ? document.activeElement.dataset.key
    : undefined;
  table.tBodies[0].replaceChildren(
    ...items.slice(0, MOST_ROWS).map((item) => {
      const [first, ...others] = rowOf(item);
      const head = element('th', '', first);
      head.scope = 'row';
      const row = element('tr');
      row.append(head, ...others.map(cell));
      return row;
    }),
  );
  if (focused === undefined) return;
  const again = [...table.querySelectorAll('button')].find(
    ({ dataset }) => dataset.key === focused,
  );
  again?.focus({ preventScroll: true });
}

function showSteps({ step }) {
  const at = Math.max(0, STEPS.indexOf(step));
  for (const [i, item] of [...$('steps').children].entries()) {
    if (i === at) item.setAttribute('aria-current', 'step');
    else item.removeAttribute('aria-current');
  }
}

function showOffers({ offers, left, attempt }, act) {
  const isFree = !['selecting', 'paying', 'connecting'].includes(attempt.step);
  const items = offers.map((offer) => ({ ...offer, may: isFree && act.isAllowed && offer.usable }));
  showRows('offers', 'no-offers', items, (offer) => [
    `${offer.provider}: ${offer.name}`,
    offer.type,
    offer.country ?? '–',
    offer.pricePerDay,
    button('Select', `Select ${offer.name} of ${offer.provider}`, offer.link, offer.may, () =>
      act.select(offer.link),
    ),
  ]);
  const words = [
    ...(left.unknown > 0 ? [`${left.unknown} more do not name their country or speed.`] : []),
    ...left.refused.map((reason) => `Refused: ${reason}`),
  ];
  $('left-out').hidden = words.length === 0;
  setText($('left-out'), words.join(' '));
}

function quoteFacts({ provider, gate, days, cost, to }) {
  return [
    ['Cost', `${cost} LTHN for ${format.many(days, 'day')}, and the fee of the network`],
    ['Provider', `${provider}, ${gate}`],
    ...to.map(({ address, amount }) => ['To', `${amount} LTHN to ${address}`]),
  ];
}

function showAttempt({ attempt, proxy }, { isAllowed }) {
  const card = $('card-attempt');
  const [tone, word, reason] = ATTEMPTS[attempt.step] ?? ['warn', String(attempt.step), ''];
  showBadge(card, tone, word);
  setText(card.querySelector('.reason'), attempt.error ?? reason);
  showFacts(card, [
    ['Link', attempt.link],
    ...(attempt.quote === undefined ? [] : quoteFacts(attempt.quote)),
    ['Local proxy', proxy === undefined ? 'off' : `socks5h://${proxy}, http://${proxy}`],
  ]);
  $('pay').hidden = attempt.step !== 'paying';
  $('no-pay').hidden = attempt.step !== 'paying';
  $('cancel').hidden = !['selecting', 'connecting'].includes(attempt.step);
  for (const id of ['pay', 'no-pay', 'cancel']) $(id).disabled = !isAllowed;
}

function showSessions({ sessions }, act) {
  const items = sessions.map((session) => ({ ...session, may: act.isAllowed }));
  showRows('sessions', 'no-sessions', items, (session) => {
    const state = element('span', `badge ${TONES[session.state] ?? 'warn'}`, session.state);
    if (session.cause) state.title = session.cause;
    const isOpen = !['EXPIRED', 'DISCONNECTED'].includes(session.state);
    return [
      session.gate,
      state,
      moment(session.expires),
      session.spent ?? session.price,
      format.bytes(session.sent + session.received),
      isOpen
        ? button('Disconnect', `Disconnect ${session.gate}`, session.key, session.may, () =>
            act.disconnect(session.key),
          )
        : (session.cause ?? ''),
    ];
  });
}

function showWallet({ wallet: { view, error } }) {
  const card = $('card-wallet');
  if (error !== undefined) showBadge(card, 'bad', 'no answer');
  else
    showBadge(
      card,
      view === undefined ? 'warn' : 'good',
      view === undefined ? 'not asked' : 'open',
    );
  setText(card.querySelector('.reason'), error ?? '');
  setText($('wallet-name'), view?.name ?? 'Coins');
  showFacts(
    card,
    view === undefined
      ? []
      : [
          ['Coins', `${view.total} LTHN`],
          ['Can be spent', `${view.unlocked} LTHN`],
          ['Unlocked in', view.blocksToUnlock > 0 ? `${view.blocksToUnlock} blocks` : undefined],
          ['Address', view.address],
          ['Read up to', `block ${format.count(view.height)}`],
        ],
  );
  showRows('transfers', 'no-transfers', view?.transfers ?? [], (transfer) => [
    moment(transfer.timestamp),
    transfer.type,
    transfer.amount,
    format.count(transfer.confirmations),
  ]);
}

function showSettings({ settings }) {
  showRows('settings', undefined, settings, ({ name, value, level }) => [
    name,
    value === '' ? '–' : value,
    level,
  ]);
}

/** Shows an answer of `/status`. `act` has the actions, and whether they are allowed. */
export function showDesk(view, act) {
  showSteps(view.attempt);
  showOffers(view, act);
  showAttempt(view, act);
  showSessions(view, act);
  showWallet(view);
  showSettings(view);
}
