/** Charts drawn by uPlot on canvases, in the colours of the page. */
import { element } from './elements.js';
import uPlot from './vendor/uPlot.esm.js';

const HEIGHT = 220;

function colours() {
  const style = getComputedStyle(document.documentElement);
  const of = (name) => style.getPropertyValue(name).trim();
  return {
    text: of('--chart-text'),
    grid: of('--chart-grid'),
    first: of('--chart-first'),
    firstFill: of('--chart-first-fill'),
    second: of('--chart-second'),
    font: `12px ${of('--font')}`,
  };
}

/** Labels use the newest data, although uPlot keeps its options. */
function axesOf(entry) {
  return entry.chart.axes.map((axis, i) => ({
    ...axis,
    values: (plot, splits) => entry.chart.axes[i].values(plot, splits),
  }));
}

const later = globalThis.requestIdleCallback ?? ((fn) => setTimeout(fn, 0));

/** Fills a figure of a page: its `data-title`, and `data-first` and `data-second` for the legend of two lines. */
function fill(figure) {
  const { title, first, second } = figure.dataset;
  const chart = element('div', 'chart');
  chart.setAttribute('role', 'img');
  chart.setAttribute('aria-label', title);
  const caption = element('figcaption');
  caption.append(element('span', 'sentence'));
  if (second !== undefined) {
    const legend = element('span', 'legend');
    legend.append(element('i', 'swatch first'), `${first} `);
    legend.append(element('i', 'swatch second'), second);
    caption.append(legend);
  }
  caption.append(element('output', 'readout'));
  figure.append(element('h3', '', title), chart, caption);
}

/**
 * @param figures elements by name, with the attributes that `fill` reads
 * @param charts by the same names: a function of the colours and of the input of `update`. It returns
 *   uPlot's data, scales, series and axes, a sentence, and the readout at an index. Without data there is
 *   nothing to draw; undefined: nor to say. `grows`: more data does not need a new plot.
 */
export function createPlots(figures, charts) {
  for (const figure of Object.values(figures)) fill(figure);
  const plots = new Map();
  let input;
  let waiting = [];
  let busy = false;

  function drop(name) {
    plots.get(name)?.plot.destroy();
    plots.delete(name);
  }

  function draw(name) {
    const figure = figures[name];
    const place = figure.querySelector('.chart');
    const c = colours();
    const chart = charts[name](c, input);
    const sentence = chart?.sentence ?? 'Nothing to show.';
    figure.querySelector('.sentence').textContent = sentence;
    place.setAttribute('aria-label', `${figure.querySelector('h3').textContent}. ${sentence}`);
    const isEmpty = chart?.data === undefined;
    figure.classList.toggle('empty', isEmpty);
    const known = plots.get(name);
    if (isEmpty) return drop(name);
    const points = chart.grows === true ? '' : chart.data[0].length;
    const shape = `${c.text} ${points} ${chart.data.length}`;
    if (known?.shape === shape) {
      known.chart = chart;
      known.plot.setData(chart.data);
      // The axes too: uPlot keeps their labels while the scales do not change.
      return known.plot.redraw(false, true);
    }
    drop(name);
    const entry = { shape, chart, plot: undefined };
    const readout = figure.querySelector('.readout');
    entry.plot = new uPlot(
      {
        width: Math.max(200, place.clientWidth),
        height: HEIGHT,
        legend: { show: false },
        cursor: { y: false, points: { show: false }, drag: { x: false, y: false } },
        scales: chart.scales,
        series: chart.series,
        axes: axesOf(entry),
        hooks: {
          setCursor: [
            ({ cursor }) => {
              const at = cursor.idx;
              const inside = at !== null && at !== undefined && cursor.left >= 0;
              readout.textContent = inside ? entry.chart.readout(at) : '';
            },
          ],
        },
      },
      chart.data,
      place,
    );
    plots.set(name, entry);
    return undefined;
  }

  /** One chart at a time, each when the browser is idle. */
  function work() {
    const name = waiting.shift();
    if (name === undefined) {
      busy = false;
      return;
    }
    draw(name);
    later(work, { timeout: 500 });
  }

  function update(newInput) {
    input = newInput;
    waiting = Object.keys(charts);
    if (busy) return;
    busy = true;
    later(work, { timeout: 500 });
  }

  const resize = new ResizeObserver((entries) => {
    for (const { target, contentRect } of entries) {
      const name = Object.keys(figures).find((each) => figures[each].contains(target));
      const width = Math.floor(contentRect.width);
      if (width > 0) plots.get(name)?.plot.setSize({ width, height: HEIGHT });
    }
  });
  for (const figure of Object.values(figures)) resize.observe(figure.querySelector('.chart'));
  document.addEventListener('themechange', () => {
    if (input !== undefined) update(input);
  });
  return { update };
}
