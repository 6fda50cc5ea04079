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

const MOVES = {
  ArrowDown: ({ index }) => index + 1,
  ArrowUp: ({ index }) => index - 1,
  PageDown: ({ index, page }) => index + page,
  PageUp: ({ index, page }) => index - page,
  Home: () => 0,
  End: ({ last }) => last,
};

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

export class OfferTable {
  #scroller;
  #table;
  #open;
  #above = createSpacer();
  #below = createSpacer();
  /** The rows in the document. */
  #pool = [];
  #rows = [];
  #context = { now: 0, directories: 0, up: [], changed: new Map() };
  #activeId;
  #rowHeight = 40;
  #isRenderDue = false;

  /**
   * @param scroller the element that scrolls
   * @param table the table in it, with its head
   * @param open called with the row that was chosen
   */
  constructor({ scroller, table, open }) {
    this.#scroller = scroller;
    this.#table = table;
    this.#open = open;
    const [body] = table.tBodies;

    body.append(this.#above.tr, this.#below.tr);
    table.addEventListener('keydown', (event) => this.#onKey(event));
    // The first Tab into the table shows the active row.
    table.addEventListener('focus', () => {
      if (this.#activeIndex() < 0) {
        this.#activate(Math.floor(scroller.scrollTop / this.#rowHeight));
      }
    });
    body.addEventListener('click', ({ target }) => this.#onClick(target));
    scroller.addEventListener('scroll', () => this.#renderSoon(), { passive: true });
    new ResizeObserver(() => {
      this.#measure();
      this.#renderSoon();
    }).observe(scroller);
    this.#measure();
  }

  /** Shows these rows; the scroll position stays. */
  show(rows, context) {
    this.#rows = rows;
    this.#context = context;
    this.#render();
  }

  /** Updates ages and highlights of the visible rows. */
  refresh(now) {
    this.#context = { ...this.#context, now };
    this.#render();
  }

  toTop() {
    this.#scroller.scrollTop = 0;
  }

  #activeIndex() {
    return this.#rows.findIndex(({ offer }) => offer.id === this.#activeId);
  }

  #measure() {
    const height = getComputedStyle(this.#scroller).getPropertyValue('--row-height');
    this.#rowHeight = Number.parseFloat(height) || 40;
  }

  #fill(row, index) {
    const { offer } = this.#rows[index];
    const { changed, up } = this.#context;
    const { tr, cells, shown } = row;
    row.index = index;
    tr.id = `offer-${index}`;
    tr.setAttribute('aria-rowindex', String(index + 2));
    const active = offer.id === this.#activeId;
    tr.classList.toggle('active', active);
    tr.setAttribute('aria-selected', String(active));
    tr.classList.toggle('fresh', Date.now() - (changed.get(offer.id) ?? 0) < FRESH_MS);
    tr.classList.toggle('unsigned', !offer.signed);
    // A directory that is not connected says nothing about the maker.
    const partial = up.some((directory) => !offer.listed_by.includes(directory));
    tr.classList.toggle('partial', partial);
    COLUMNS.forEach(({ text }, i) => {
      const value = text(this.#rows[index], this.#context);
      // Untrusted text is only ever inserted as text.
      if (shown[i] === value) return;
      shown[i] = value;
      cells[i].textContent = value;
    });
  }

  #render() {
    const { scrollTop, clientHeight } = this.#scroller;
    const count = this.#rows.length;
    const first = Math.max(0, Math.floor(scrollTop / this.#rowHeight) - OVERSCAN);
    const inSight = Math.ceil(clientHeight / this.#rowHeight);
    const last = Math.min(count, first + inSight + 2 * OVERSCAN);
    this.#resizePool(Math.max(0, last - first));
    this.#above.td.style.height = `${first * this.#rowHeight}px`;
    this.#below.td.style.height = `${Math.max(0, count - last) * this.#rowHeight}px`;
    this.#pool.forEach((row, i) => this.#fill(row, first + i));
    this.#table.setAttribute('aria-rowcount', String(count + 1));
    const active = this.#pool.find(({ tr }) => tr.classList.contains('active'));
    if (active) this.#table.setAttribute('aria-activedescendant', active.tr.id);
    else this.#table.removeAttribute('aria-activedescendant');
  }

  #resizePool(needed) {
    while (this.#pool.length < needed) {
      const row = createRow();
      this.#pool.push(row);
      this.#below.tr.before(row.tr);
    }
    for (const { tr } of this.#pool.splice(needed)) tr.remove();
  }

  #renderSoon() {
    if (this.#isRenderDue) return;
    this.#isRenderDue = true;
    requestAnimationFrame(() => {
      this.#isRenderDue = false;
      this.#render();
    });
  }

  /** Makes a row the active one and scrolls it into sight. */
  #activate(index) {
    const row = this.#rows[index];
    if (row === undefined) return;
    this.#activeId = row.offer.id;
    const scroller = this.#scroller;
    const top = index * this.#rowHeight;
    const room = scroller.clientHeight - this.#table.tHead.offsetHeight - this.#rowHeight;
    if (top < scroller.scrollTop) scroller.scrollTop = top;
    else if (top > scroller.scrollTop + room) scroller.scrollTop = top - room;
    this.#render();
  }

  /** The row to which a key moves from a row (-1: no row is active); undefined for any other key. */
  #target(key, index) {
    const move = MOVES[key];
    if (move === undefined) return undefined;
    const page = Math.max(1, Math.floor(this.#scroller.clientHeight / this.#rowHeight) - 2);
    const last = this.#rows.length - 1;
    return Math.min(last, Math.max(0, index < 0 ? 0 : move({ index, page, last })));
  }

  #onKey(event) {
    if (event.target !== this.#table || event.altKey || event.ctrlKey || event.metaKey) return;
    const index = this.#activeIndex();
    const target = this.#target(event.key, index);
    if (target !== undefined) {
      event.preventDefault();
      this.#activate(target);
    } else if ((event.key === 'Enter' || event.key === ' ') && index >= 0) {
      event.preventDefault();
      this.#open(this.#rows[index]);
    }
  }

  #onClick(target) {
    const tr = target instanceof Element ? target.closest('tr') : null;
    const row = this.#pool.find((each) => each.tr === tr);
    if (row === undefined || String(getSelection()) !== '') return;
    this.#activate(row.index);
    this.#open(this.#rows[row.index]);
  }
}
