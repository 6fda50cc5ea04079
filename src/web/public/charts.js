/** The four charts of the orderbook. A sentence says what each chart shows. */
import uPlot from './vendor/uPlot.esm.js';
import { feeAt } from './chance.js';
import * as format from './format.js';
import { createPlots } from './plots.js';
import { bonds, depth, logHistogram, lowerMedian, upperMedian } from './summaries.js';

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

/** @param figures elements by the names of CHARTS, each with `.chart`, `.sentence` and `.readout` */
export const createCharts = (figures) => createPlots(figures, CHARTS);
