/** The plots of what a maker earned. A sentence says what each one shows. */
import uPlot from './vendor/uPlot.esm.js';
import * as format from './format.js';
import { createPlots } from './plots.js';

const DAY = 86_400;
/** Most days of a plot. */
const MOST_DAYS = 4_000;
/** Days of a span; undefined: all. */
const SPANS = { month: 30, year: 365 };
const WORDS = { month: 'in 30 days', year: 'in a year', all: 'in all' };

/** Every day of the span up to today, also those without a coinjoin. */
function daysOf({ history: { before, days }, span, now }) {
  const today = Math.floor(now / DAY) * DAY;
  const firstKnown = days[0]?.at ?? today;
  const length = SPANS[span];
  const earliest = today - ((length ?? MOST_DAYS) - 1) * DAY;
  const from = length === undefined ? Math.max(firstKnown, earliest) : earliest;
  let { earned } = before;
  for (const day of days) if (day.at < from) earned += day.earned;
  const byDay = new Map(days.map((day) => [day.at, day]));
  const at = [];
  const total = [];
  const coinjoins = [];
  const perDay = [];
  for (let day = from; day <= today; day += DAY) {
    const known = byDay.get(day);
    earned += known?.earned ?? 0;
    at.push(day);
    total.push(earned);
    coinjoins.push(known?.coinjoins ?? 0);
    perDay.push(known?.earned ?? 0);
  }
  return { at, total, coinjoins, perDay };
}

const sum = (numbers) => numbers.reduce((all, n) => all + n, 0);
const dayText = (unixSeconds) => format.date(unixSeconds);

function axes(c, yText, size) {
  const common = { stroke: c.text, font: c.font, ticks: { show: false } };
  return [
    {
      ...common,
      grid: { show: false },
      size: 28,
      space: 96,
      values: (_, splits) => splits.map(dayText),
    },
    {
      ...common,
      grid: { stroke: c.grid, width: 1 },
      size,
      space: 36,
      values: (_, splits) => splits.map(yText),
    },
  ];
}

/** A number of satoshi in few characters; a loss keeps its sign. */
const shortSats = (sats) => (sats < 0 ? `−${format.shortCount(-sats)}` : format.shortCount(sats));

function plot(c, at, values, { paths, yText, size, least, sentence, readout }) {
  return {
    data: [at, values],
    scales: {
      x: { time: true, range: (_, min, max) => [min - DAY / 2, max + DAY / 2] },
      y: { range: (_, min, max) => [Math.min(0, min * 1.08), Math.max(least, max * 1.08)] },
    },
    series: [{}, { stroke: c.first, fill: c.firstFill, width: 2, paths, points: { show: false } }],
    axes: axes(c, yText, size),
    sentence,
    readout,
  };
}

const PLOTS = {
  total(c, input) {
    if (input.history.days.length === 0) return { sentence: 'Nothing was earned yet.' };
    const { at, total, perDay } = daysOf(input);
    return plot(c, at, total, {
      paths: uPlot.paths.stepped({ align: 1 }),
      yText: shortSats,
      size: 62,
      least: 10,
      sentence:
        input.span === 'all'
          ? `${format.satoshi(total.at(-1))} in total.`
          : `${format.satoshi(total.at(-1))} in total, ${format.satoshi(sum(perDay))} of it ${WORDS[input.span]}.`,
      readout: (i) => `${dayText(at[i])}: ${format.satoshi(total[i])}`,
    });
  },
  days(c, input) {
    if (input.history.days.length === 0) return { sentence: 'No coinjoin is in the chain yet.' };
    const { at, coinjoins, perDay } = daysOf(input);
    return plot(c, at, coinjoins, {
      paths: uPlot.paths.bars({ size: [0.8, 40] }),
      yText: (n) => (Number.isInteger(n) ? format.count(n) : ''),
      size: 44,
      least: 2,
      sentence: `${format.many(sum(coinjoins), 'coinjoin')} ${WORDS[input.span]}, on ${format.many(coinjoins.filter((n) => n > 0).length, 'day')}.`,
      readout: (i) =>
        `${dayText(at[i])}: ${format.many(coinjoins[i], 'coinjoin')}, ${format.satoshi(perDay[i])}`,
    });
  },
};

/** @param figures elements by the names of PLOTS, each with `.chart`, `.sentence` and `.readout` */
export const createMakerPlots = (figures) => createPlots(figures, PLOTS);
