/**
 * The table of offers. Only the visible rows exist in the document; two empty rows replace those above
 * and below. The table is one stop of the Tab key: arrow keys move the active row, Enter opens it.
 */
import * as format from './format.js';

/** Rows rendered above and below the visible ones. */
const OVERSCAN = 6;
/** How long an added or changed row is highlighted. */
const FRESH_MS = 3000;

const COLUMNS = [
  { name: 'maker', label: 'Maker', text: ({ offer }) => offer.counterparty },
  { name: 'type', label: 'Type', text: ({ offer }) => format.typeText(offer.ordertype) },
  { name: 'fee', label: 'Fee', text: ({ offer }) => format.feeText(offer) },
  { name: 'cost', label: 'Fee at amount', text: ({ fee }) => format.shortCount(fee) },
  { name: 'min', label: 'Min BTC', text: ({ offer }) => format.bitcoin(offer.minsize) },
  { name: 'max', label: 'Max BTC', text: ({ offer }) => format.bitcoin(offer.maxsize) },
  { name: 'bond', label: 'Bond', text: ({ offer }) => format.bondText(offer.bond) },
  {
    name: 'directories',
    label: 'Directories',
    text: ({ offer }, { directories }) => `${offer.listed_by.length} of ${directories}`,
  },
  { name: 'chance', label: 'Chance', text: ({ chance }) => format.chanceText(chance) },
  { name: 'signed', label: 'Signed', text: ({ offer }) => (offer.signed ? 'yes' : 'no') },
  {
    name: 'age',
    label: 'Heard',
    text: ({ offer }, { now }) => format.duration(now - offer.last_seen),
  },
];

function createRow() {
  const tr = document.createElement('tr');
  tr.setAttribute('role', 'row');
  const cells = COLUMNS.map(({ name, label }, i) => {
    const td = document.createElement('td');
    td.setAttribute('role', 'gridcell');
    td.setAttribute('aria-colindex', String(i + 1));
    td.className = `col-${name}`;
    td.dataset.label = label;
    tr.append(td);
    return td;
  });
  return { tr, cells, shown: [], index: -1 };
}

function createSpacer() {
  const tr = document.createElement('tr');
  tr.className = 'spacer';
  tr.setAttribute('aria-hidden', 'true');
  const td = document.createElement('td');
  td.colSpan = COLUMNS.length;
  tr.append(td);
  return { tr, td };
}

/**
 * @param scroller the element that scrolls
 * @param table the table in it, with its head
 * @param open called with the row that was chosen
 */
export function createOfferTable({ scroller, table, open }) {
  const body = table.tBodies[0];
  const above = createSpacer();
  const below = createSpacer();
  body.append(above.tr, below.tr);
  const pool = [];
  let rows = [];
  let context = { now: 0, directories: 0, up: [], changed: new Map() };
  let activeId;
  let rowHeight = 40;

  const headHeight = () => table.tHead.offsetHeight;
  const indexOfActive = () => rows.findIndex(({ offer }) => offer.id === activeId);

  function measure() {
    rowHeight =
      Number.parseFloat(getComputedStyle(scroller).getPropertyValue('--row-height')) || 40;
  }

  function fill(row, index) {
    const { offer } = rows[index];
    const { tr, cells, shown } = row;
    row.index = index;
    tr.id = `offer-${index}`;
    tr.setAttribute('aria-rowindex', String(index + 2));
    const active = offer.id === activeId;
    tr.classList.toggle('active', active);
    tr.setAttribute('aria-selected', String(active));
    tr.classList.toggle('fresh', Date.now() - (context.changed.get(offer.id) ?? 0) < FRESH_MS);
    tr.classList.toggle('unsigned', !offer.signed);
    // A directory that is not connected says nothing about the maker.
    const partial = context.up.some((directory) => !offer.listed_by.includes(directory));
    tr.classList.toggle('partial', partial);
    COLUMNS.forEach(({ text }, i) => {
      const value = text(rows[index], context);
      // Untrusted text is only ever inserted as text.
      if (shown[i] === value) return;
      shown[i] = value;
      cells[i].textContent = value;
    });
  }

  function render() {
    const first = Math.max(0, Math.floor(scroller.scrollTop / rowHeight) - OVERSCAN);
    const inSight = Math.ceil(scroller.clientHeight / rowHeight);
    const last = Math.min(rows.length, first + inSight + 2 * OVERSCAN);
    const needed = Math.max(0, last - first);
    while (pool.length < needed) {
      const row = createRow();
      pool.push(row);
      below.tr.before(row.tr);
    }
    for (const { tr } of pool.splice(needed)) tr.remove();
    above.td.style.height = `${first * rowHeight}px`;
    below.td.style.height = `${Math.max(0, rows.length - last) * rowHeight}px`;
    pool.forEach((row, i) => fill(row, first + i));
    table.setAttribute('aria-rowcount', String(rows.length + 1));
    const active = pool.find(({ tr }) => tr.classList.contains('active'));
    if (active) table.setAttribute('aria-activedescendant', active.tr.id);
    else table.removeAttribute('aria-activedescendant');
  }

  function activate(index) {
    const row = rows[index];
    if (row === undefined) return;
    activeId = row.offer.id;
    const top = index * rowHeight;
    const room = scroller.clientHeight - headHeight() - rowHeight;
    if (top < scroller.scrollTop) scroller.scrollTop = top;
    else if (top > scroller.scrollTop + room) scroller.scrollTop = top - room;
    render();
  }

  const page = () => Math.max(1, Math.floor(scroller.clientHeight / rowHeight) - 2);
  const MOVES = {
    ArrowDown: (index) => index + 1,
    ArrowUp: (index) => index - 1,
    PageDown: (index) => index + page(),
    PageUp: (index) => index - page(),
    Home: () => 0,
    End: () => rows.length - 1,
  };

  table.addEventListener('keydown', (event) => {
    if (event.target !== table || event.altKey || event.ctrlKey || event.metaKey) return;
    const index = indexOfActive();
    const move = MOVES[event.key];
    if (move) {
      event.preventDefault();
      activate(Math.min(rows.length - 1, Math.max(0, index < 0 ? 0 : move(index))));
    } else if ((event.key === 'Enter' || event.key === ' ') && index >= 0) {
      event.preventDefault();
      open(rows[index]);
    }
  });
  // The first Tab into the table shows the active row.
  table.addEventListener('focus', () => {
    if (indexOfActive() < 0) activate(Math.floor(scroller.scrollTop / rowHeight));
  });
  body.addEventListener('click', ({ target }) => {
    const tr = target instanceof Element ? target.closest('tr') : null;
    const row = pool.find((each) => each.tr === tr);
    if (row === undefined || String(getSelection()) !== '') return;
    activate(row.index);
    open(rows[row.index]);
  });

  let due = false;
  const soon = () => {
    if (due) return;
    due = true;
    requestAnimationFrame(() => {
      due = false;
      render();
    });
  };
  scroller.addEventListener('scroll', soon, { passive: true });
  new ResizeObserver(() => {
    measure();
    soon();
  }).observe(scroller);
  measure();

  return {
    /** Shows these rows; the scroll position stays. */
    show(newRows, newContext) {
      rows = newRows;
      context = newContext;
      render();
    },
    /** Updates ages and highlights of the visible rows. */
    refresh(now) {
      context = { ...context, now };
      render();
    },
    toTop() {
      scroller.scrollTop = 0;
    },
  };
}
