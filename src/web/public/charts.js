/** The four charts, drawn by uPlot on canvases. A sentence says what each chart shows. */
import uPlot from './vendor/uPlot.esm.js';
import { feeAt } from './chance.js';
import * as format from './format.js';
import { bonds, depth, logHistogram, lowerMedian, upperMedian } from './summaries.js';

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

const bars = uPlot.paths.bars({ size: [0.86, 60], align: 1, radius: 0.1 });
const steps = uPlot.paths.stepped({ align: 1 });

/** Axis labels at indices, as text of the value at the index. */
function axes(c, labelAt, countLabel) {
  const common = {
    stroke: c.text,
    font: c.font,
    grid: { stroke: c.grid, width: 1 },
    ticks: { show: false },
  };
  return [
    {
      ...common,
      grid: { show: false },
      size: 28,
      space: 70,
      incrs: [1, 2, 3, 4, 6, 8, 12, 16, 24, 48],
      values: (_, splits) => splits.map(labelAt),
    },
    {
      ...common,
      size: 44,
      incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000],
      values: (_, splits) => splits.map((n) => format.count(n)),
      label: countLabel,
      labelSize: 18,
      labelFont: c.font,
    },
  ];
}

function histogramOptions(c, summary, label) {
  const bins = summary.counts.length;
  return {
    data: [[...summary.counts.keys()], summary.counts],
    scales: {
      x: { time: false, range: [0, bins] },
      y: { range: (_, __, max) => [0, max * 1.08 || 1] },
    },
    series: [
      {},
      { stroke: c.first, fill: c.firstFill, width: 1, paths: bars, points: { show: false } },
    ],
    axes: axes(c, (i) =>
      i <= bins && summary.edges[i] !== undefined ? label(summary.edges[i]) : '',
    ),
    readout: (i) => {
      const from = i === 0 ? 'up' : label(summary.edges[i]);
      const to = i === bins - 1 ? 'more' : label(summary.edges[i + 1]);
      return `${from} to ${to}: ${format.count(summary.counts[i])}`;
    },
  };
}

function depthOptions(c, summary) {
  const last = summary.amounts.length - 1;
  const label = (i) =>
    summary.amounts[i] === undefined ? '' : format.shortBitcoin(summary.amounts[i]);
  return {
    data: [[...summary.amounts.keys()], summary.all, summary.bonded],
    scales: {
      x: { time: false, range: [0, last] },
      y: { range: (_, __, max) => [0, max * 1.08 || 1] },
    },
    series: [
      {},
      { stroke: c.first, fill: c.firstFill, width: 2, paths: steps, points: { show: false } },
      { stroke: c.second, width: 2, dash: [6, 4], paths: steps, points: { show: false } },
    ],
    axes: axes(c, label),
    readout: (i) =>
      `${label(i)} BTC: ${format.count(summary.all[i])} makers, ${format.count(summary.bonded[i])} with a bond`,
  };
}

/** By name: the data of a chart for `offers`; undefined when there is none. */
const CHARTS = {
  depth(c, { offers, amount }) {
    const summary = depth(offers);
    if (summary === undefined) return undefined;
    const able = new Set(
      offers.flatMap((o) => (o.minsize < amount && amount < o.maxsize ? [o.counterparty] : [])),
    );
    return {
      ...depthOptions(c, summary),
      sentence: `${format.many(able.size, 'maker')} can join ${format.shortBitcoin(amount)} BTC.`,
    };
  },
  fees(c, { offers, amount }) {
    const fees = offers.flatMap((o) =>
      o.minsize < amount && amount < o.maxsize ? [feeAt(o, amount)] : [],
    );
    const summary = logHistogram(fees);
    if (summary === undefined) return undefined;
    return {
      ...histogramOptions(c, summary, format.shortCount),
      sentence: `Half of ${format.many(fees.length, 'offer')} ask ${format.satoshi(lowerMedian(fees))} or less.`,
    };
  },
  sizes(c, { offers }) {
    const sizes = offers.map((o) => o.maxsize);
    const summary = logHistogram(sizes);
    if (summary === undefined) return undefined;
    return {
      ...histogramOptions(c, summary, format.shortBitcoin),
      sentence: `Half of the offers reach ${format.shortBitcoin(upperMedian(sizes))} BTC.`,
    };
  },
  bonds(c, { offers, now }) {
    const summary = bonds(offers, now);
    if (summary === undefined) return undefined;
    const label =
      summary.kind === 'value' ? format.bondValue : (years) => (years === 0 ? 'now' : `${years} y`);
    return {
      ...histogramOptions(c, summary, label),
      sentence:
        summary.kind === 'value'
          ? `Bonds of ${format.many(summary.makers, 'maker')}, by value.`
          : `Bonds of ${format.many(summary.makers, 'maker')}, by years until the coins are free: values need a bitcoin node.`,
    };
  },
};

/** Labels use the newest data, although uPlot keeps its options. */
function axesOf(entry) {
  return entry.chart.axes.map((axis, i) => ({
    ...axis,
    values: (plot, splits) => entry.chart.axes[i].values(plot, splits),
  }));
}

const later = globalThis.requestIdleCallback ?? ((fn) => setTimeout(fn, 0));

/** @param figures elements by the names of CHARTS, each with `.chart`, `.sentence` and `.readout` */
export function createCharts(figures) {
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
    const chart = CHARTS[name](c, input);
    const sentence = chart?.sentence ?? 'Nothing to show.';
    figure.querySelector('.sentence').textContent = sentence;
    place.setAttribute('aria-label', `${figure.querySelector('h3').textContent}. ${sentence}`);
    figure.classList.toggle('empty', chart === undefined);
    const known = plots.get(name);
    if (chart === undefined) return drop(name);
    const shape = `${c.text} ${chart.data[0].length} ${chart.data.length}`;
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
    waiting = Object.keys(CHARTS);
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
