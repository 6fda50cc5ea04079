/* Functions that the tests of the page call in the browser; loaded before the page's own scripts. */

addEventListener('securitypolicyviolation', (event) => {
  // oxlint-disable-next-line no-console -- the test listens to the console
  console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`);
});

const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });

function channels(colour) {
  canvas.clearRect(0, 0, 1, 1);
  canvas.fillStyle = colour;
  canvas.fillRect(0, 0, 1, 1);
  return canvas.getImageData(0, 0, 1, 1).data;
}

/** Relative luminance (WCAG 2). */
function luminance([red, green, blue]) {
  const [r, g, b] = [red, green, blue]
    .map((c) => c / 255)
    .map((c) => (c <= 0.040_45 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function backgroundOf(element) {
  for (let at = element; at !== null; at = at.parentElement) {
    const colour = channels(getComputedStyle(at).backgroundColor);
    if (colour[3] === 255) return colour;
  }
  return [255, 255, 255];
}

function hasOwnText(element) {
  return [...element.childNodes].some(
    (node) => node.nodeType === Node.TEXT_NODE && node.textContent.trim() !== '',
  );
}

const text = (selector) => document.querySelector(selector)?.textContent;
const nextFrame = () => new Promise((resolve) => requestAnimationFrame(resolve));

globalThis.probe = {
  text,
  shown: () => text('#shown')?.replaceAll('\u202f', ''),
  focused: () => `${document.activeElement.tagName} ${document.activeElement.id}`,
  focusedText: () => document.activeElement.textContent,
  outline: () => getComputedStyle(document.activeElement).outlineStyle,
  ground: () => getComputedStyle(document.body).backgroundColor,
  width: () => document.documentElement.scrollWidth,

  /** Cells that show less than their text, or are outside the window. */
  cutCells: () =>
    [...document.querySelectorAll('tbody tr[role=row] td, thead th')]
      .filter((cell) => cell.checkVisibility())
      .filter((cell) => {
        const { left, right } = cell.getBoundingClientRect();
        const cut = [cell, ...cell.children].some((one) => one.scrollWidth > one.clientWidth);
        return cut || left < 0 || right > innerWidth;
      })
      .map((cell) => `${cell.className}: ${cell.textContent.trim()}`),

  /** Cells of offers that are visible without scrolling. */
  cellsInSight: () =>
    [...document.querySelectorAll('tbody tr[role=row] td')].filter((cell) => cell.checkVisibility())
      .length,

  /** Elements with text that show less than their text, or stand outside of the window. */
  cut: () =>
    [...document.querySelectorAll('main *, header *')]
      .filter((each) => hasOwnText(each) && each.checkVisibility() && !each.closest('.uplot'))
      .filter((each) => {
        const { left, right } = each.getBoundingClientRect();
        // An inline element has no width of its own to be cut by.
        const isCut = each.clientWidth > 0 && each.scrollWidth > each.clientWidth + 1;
        return isCut || left < 0 || right > innerWidth;
      })
      .map((each) => `${each.tagName} ${each.className}: ${each.textContent.trim().slice(0, 60)}`),

  /** Makers of the rows in which this cell has the colour of a variable. */
  coloured(cell, variable) {
    const probed = document.createElement('span');
    probed.style.color = `var(${variable})`;
    document.body.append(probed);
    const { color } = getComputedStyle(probed);
    probed.remove();
    return [...document.querySelectorAll('tbody tr[role=row]')]
      .filter((row) => getComputedStyle(row.querySelector(cell)).color === color)
      .map((row) => row.querySelector('.col-maker').textContent);
  },

  /** The row that a screen reader gets as the active one. */
  activeRow() {
    const id = document.activeElement.getAttribute('aria-activedescendant');
    return id === null ? null : document.getElementById(id)?.getAttribute('aria-rowindex');
  },

  activeRowInSight() {
    const box = document.querySelector('tr.active').getBoundingClientRect();
    const head = document.querySelector('thead').getBoundingClientRect();
    const around = document.querySelector('#scroller').getBoundingClientRect();
    return box.top >= head.bottom - 1 && box.bottom <= around.bottom + 1;
  },

  /** The least contrast of any visible text, and its element. */
  leastContrast() {
    let worst = { ratio: 21, where: '' };
    for (const element of document.querySelectorAll('body *')) {
      if (!hasOwnText(element) || !element.checkVisibility() || element.disabled) continue;
      const letters = luminance(channels(getComputedStyle(element).color));
      const ground = luminance(backgroundOf(element));
      const ratio = (Math.max(letters, ground) + 0.05) / (Math.min(letters, ground) + 0.05);
      if (ratio < worst.ratio) worst = { ratio, where: `${element.tagName} ${element.className}` };
    }
    return worst;
  },

  /** Controls too low for a finger (WCAG 2.5.8: 24 pixels). */
  smallControls: () =>
    [
      ...document.querySelectorAll(
        'button, select, summary, input:not([type=checkbox]), tr[role=row]',
      ),
    ]
      .filter((each) => each.checkVisibility() && each.getBoundingClientRect().height < 24)
      .map((each) => each.outerHTML.slice(0, 80)),

  /** Text by column of each row that exists. */
  rows: () =>
    [...document.querySelectorAll('tbody tr[role=row]')].map((row) =>
      Object.fromEntries(
        [...row.cells].map((cell) => [cell.className.replace('col-', ''), cell.textContent]),
      ),
    ),

  /** How many colours each chart has. */
  inks: () =>
    [...document.querySelectorAll('.chart canvas')].map((each) => {
      Object.assign(canvas.canvas, { width: each.width, height: each.height });
      canvas.drawImage(each, 0, 0);
      const { data } = canvas.getImageData(0, 0, each.width, each.height);
      return new Set(new Uint32Array(data.buffer)).size;
    }),

  scroll(selector, top) {
    document.querySelector(selector).scrollTop = top;
  },

  /** Resolves when it is true; checked in every frame. */
  async until(isTrue) {
    const began = performance.now();
    while (!isTrue()) {
      // A condition that never holds must not hang the test file.
      if (performance.now() - began > 30_000) throw new Error(`never: ${isTrue}`);
      await nextFrame();
    }
  },

  async painted() {
    await nextFrame();
    await nextFrame();
  },

  /** Estimated chances, and those of a simulation that picks exactly as a taker does. */
  async chances(weights, picks, bondless, runs) {
    const { pickChances } = await import('/chance.js');
    let state = 1;
    const random = () => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      return state / 2 ** 32;
    };
    const counts = weights.map(() => 0);
    for (let run = 0; run < runs; run += 1) {
      const left = [...weights.keys()];
      for (let pick = 0; pick < picks; pick += 1) {
        const total = left.reduce((sum, i) => sum + weights[i], 0);
        let at = Math.floor(random() * left.length);
        if (random() >= bondless && total > 0) {
          let way = random() * total;
          at = left.findIndex((i) => (way -= weights[i]) < 0);
        }
        counts[left[at]] += 1;
        left.splice(at, 1);
      }
    }
    const estimate = [...pickChances(weights, picks, bondless)];
    return {
      sum: estimate.reduce((a, b) => a + b, 0),
      error: Math.max(...estimate.map((chance, i) => Math.abs(chance - counts[i] / runs))),
      alike: [...pickChances([0, 0, 0, 0], 2, 0.125)],
      enough: [...pickChances([5, 1], 3, 0)],
      huge: [...pickChances([1e300, 1, 0], 2, 0)],
    };
  },
};
