/** The plots of a directory's history. A sentence says what each one shows now. */
import uPlot from './vendor/uPlot.esm.js';
import * as format from './format.js';
import { createPlots } from './plots.js';

/** The shortest span of a plot, seconds, while there are few samples. */
const LEAST_SPAN = 300;
const lines = uPlot.paths.linear();

function timeText(unixSeconds) {
  const time = new Date(unixSeconds * 1000);
  return time.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit', hour12: false });
}

function axes(c, yText, size) {
  const common = { stroke: c.text, font: c.font, ticks: { show: false } };
  return [
    {
      ...common,
      grid: { show: false },
      size: 28,
      space: 70,
      values: (_, splits) => splits.map(timeText),
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

const last = (column) => column.at(-1) ?? undefined;
const isKnown = (value) => value !== null && value !== undefined;

/**
 * @param columns lists of values: the first is filled, the second dashed
 * @param yText the text of a value on the axis
 * @param least the least height of the axis
 * @param words the texts of the values, for the readout
 */
function overTime(c, { at, stepSeconds }, columns, { yText, least, words, sentence, size = 52 }) {
  if (at.length < 2) {
    return { sentence: `The first values are there after ${format.duration(2 * stepSeconds)}.` };
  }
  const styles = [
    { stroke: c.first, fill: c.firstFill, width: 2 },
    { stroke: c.second, width: 2, dash: [6, 4] },
  ];
  return {
    grows: true,
    data: [at, ...columns],
    scales: {
      x: { time: true, range: (_, min, max) => [Math.min(min, max - LEAST_SPAN), max] },
      y: { range: (_, __, max) => [0, Math.max(least, max * 1.08)] },
    },
    series: [
      {},
      ...columns.map((_, i) => ({ ...styles[i], paths: lines, points: { show: false } })),
    ],
    axes: axes(c, yText, size),
    sentence,
    readout: (i) =>
      `${timeText(at[i])}: ${columns
        .map((column, k) => (isKnown(column[i]) ? words[k](column[i]) : 'not measured'))
        .join(', ')}`,
  };
}

const known = (value, text) => (isKnown(value) ? text(value) : 'not measured');

/** By name: the plot of a series. */
const PLOTS = {
  peers(c, { at, stepSeconds, columns: { serving, notServing } }) {
    return overTime(c, { at, stepSeconds }, [serving, notServing], {
      yText: format.rate,
      least: 4,
      words: [(n) => `${format.count(n)} serving`, (n) => `${format.count(n)} not serving`],
      sentence: `${format.count(last(serving) ?? 0)} serving and ${format.count(last(notServing) ?? 0)} not serving.`,
    });
  },
  deliveries(c, { at, stepSeconds, columns: { messagesOut, messagesIn } }) {
    return overTime(c, { at, stepSeconds }, [messagesOut], {
      yText: format.rate,
      least: 1,
      words: [(n) => `${format.rate(n)} per second`],
      sentence: `${format.rate(last(messagesOut) ?? 0)} per second, for ${format.rate(last(messagesIn) ?? 0)} received.`,
    });
  },
  queue(c, { at, stepSeconds, columns: { mostBytes, peersBehind, waitingMessages } }) {
    return overTime(c, { at, stepSeconds }, [mostBytes], {
      yText: format.bytes,
      least: 1000,
      words: [format.bytes],
      sentence: `${format.many(last(peersBehind) ?? 0, 'peer')} behind, the slowest by ${format.bytes(last(mostBytes) ?? 0)}; ${format.many(last(waitingMessages) ?? 0, 'message')} waiting for the budget.`,
      size: 62,
    });
  },
  latency(c, { at, stepSeconds, columns: { flushMs, loopMs } }) {
    return overTime(c, { at, stepSeconds }, [flushMs, loopMs], {
      yText: format.milliseconds,
      least: 10,
      words: [
        (ms) => `flush ${format.milliseconds(ms)}`,
        (ms) => `event loop ${format.milliseconds(ms)} late`,
      ],
      sentence: `The slowest flush took ${format.milliseconds(last(flushMs) ?? 0)}; the event loop was late by up to ${format.milliseconds(last(loopMs) ?? 0)}.`,
      size: 62,
    });
  },
  tor(c, { at, stepSeconds, columns: { handshakeMs, relayMs } }) {
    if (![...handshakeMs, ...relayMs].some(isKnown)) {
      return { sentence: 'The canary has measured nothing in this time.' };
    }
    return overTime(c, { at, stepSeconds }, [handshakeMs, relayMs], {
      yText: format.milliseconds,
      least: 10,
      words: [
        (ms) => `handshake ${format.milliseconds(ms)}`,
        (ms) => `message ${format.milliseconds(ms)}`,
      ],
      sentence: `Of the canary: handshake ${known(last(handshakeMs), format.milliseconds)}, message ${known(last(relayMs), format.milliseconds)}.`,
      size: 62,
    });
  },
  refused(c, { at, stepSeconds, columns: { refused } }) {
    const perMinute = refused.map((value) => (isKnown(value) ? value * 60 : value));
    return overTime(c, { at, stepSeconds }, [perMinute], {
      yText: format.rate,
      least: 1,
      words: [(n) => `${format.rate(n)} per minute`],
      sentence: `${format.rate(last(perMinute) ?? 0)} per minute: handshakes, lines and connections.`,
    });
  },
};

/** @param figures elements by the names of PLOTS, each with `.chart`, `.sentence` and `.readout` */
export const createStatusPlots = (figures) => createPlots(figures, PLOTS);
