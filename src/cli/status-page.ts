/** Shows the page of a directory (`/status`) on a terminal of 80 columns. */
import { recordOf } from '../kit/json-record.js';
import { counted, grouped } from '../kit/decimal.js';
import { shownLine } from '../kit/shown-text.js';
import { painted } from '../kit/terminal.js';

/** The part of `/status` that is read; missing or invalid values are skipped. */
export type StatusJson = Readonly<Record<string, unknown>>;

/** Two readings of the page, for the rates per second. */
export interface StatusView {
  readonly now: StatusJson;
  readonly before?: { readonly status: StatusJson; readonly secondsAgo: number };
  readonly color: boolean;
}

const WIDTH = 80;
const LABEL = 10;
const MAX_REASONS = 12;
const MAX_LOCATIONS = 16;

function count(value: unknown): number {
  return typeof value === 'number' && Number.isFinite(value) ? value : 0;
}

function text(value: unknown, none = '-'): string {
  return typeof value === 'string' && value !== '' ? shownLine(value, WIDTH) : none;
}

function sum(counters: unknown): number {
  return Object.values(recordOf(counters)).reduce<number>((total, n) => total + count(n), 0);
}

const two = (n: number): string => String(Math.floor(n)).padStart(2, '0');

/** `01:02:03`, with the days in front from one day on. */
export function duration(seconds: number): string {
  const clock = `${two((seconds / 3600) % 24)}:${two((seconds / 60) % 60)}:${two(seconds % 60)}`;
  return seconds < 86_400 ? clock : `${Math.floor(seconds / 86_400)} d ${clock}`;
}

/** `512 B`, `1.5 kB`, `2.0 MB`. */
export function bytes(value: number): string {
  if (value < 1024) return `${value} B`;
  return value < 1024 ** 2
    ? `${(value / 1024).toFixed(1)} kB`
    : `${(value / 1024 ** 2).toFixed(1)} MB`;
}

function perSecond(view: StatusView, read: (status: StatusJson) => number): string {
  if (view.before === undefined) return '-';
  const { status, secondsAgo } = view.before;
  // A directory that was restarted in between counts from zero.
  const grown = Math.max(0, read(view.now) - read(status));
  const rate = grown / secondsAgo;
  return `${rate < 10 ? rate.toFixed(1) : grouped(rate)}/s`;
}

/** Label and text, wrapped so that no line is longer than the terminal. */
export function section(label: string, parts: readonly string[]): readonly string[] {
  const lines: string[] = [];
  let line = '';
  for (const part of parts) {
    const longer = line === '' ? part : `${line}, ${part}`;
    if (line !== '' && LABEL + longer.length + 1 > WIDTH) {
      lines.push(`${line},`);
      line = part;
    } else line = longer;
  }
  lines.push(line);
  return lines.map((body, i) => `${(i === 0 ? label : '').padEnd(LABEL)}${body}`);
}

/** `reason n`, the most frequent first; counts of 0 are left out. */
function reasons(counters: unknown): readonly string[] {
  const all = Object.entries(recordOf(counters))
    .map(([name, n]) => [name, count(n)] as const)
    .filter(([, n]) => n > 0)
    .toSorted(([, a], [, b]) => b - a);
  const shown = all.slice(0, MAX_REASONS).map(([name, n]) => `${text(name)} ${grouped(n)}`);
  if (all.length > MAX_REASONS) shown.push(`${all.length - MAX_REASONS} more`);
  return shown.length === 0 ? ['none'] : shown;
}

type Painter = (tone: 'good' | 'bad' | 'strong', words: string) => string;

function painter(color: boolean): Painter {
  return (tone, words) => painted(tone, words, color);
}

function ms(value: unknown): string {
  return typeof value === 'number' ? `${grouped(value)} ms` : '-';
}

const GOOD_STATES: ReadonlySet<string> = new Set(['reachable', 'off', 'waiting']);

function canaryLines(canary: StatusJson, paint: Painter): readonly string[] {
  const state = text(canary['state'], 'unknown');
  const shown = paint(GOOD_STATES.has(state) ? 'good' : 'bad', state);
  const label = 'canary'.padEnd(LABEL);
  if (canary['testedSecondsAgo'] === undefined) return [`${label}${shown}`];
  const ago = `${grouped(count(canary['testedSecondsAgo']))} s ago`;
  const failures = `${grouped(count(canary['failures']))} of ${grouped(count(canary['tests']))} failed`;
  const times = [
    `connect ${ms(canary['dialMs'])}`,
    `greet ${ms(canary['handshakeMs'])}`,
    `relay ${ms(canary['relayMs'])}`,
  ];
  return [`${label}${shown}, ${ago}, ${failures}`, ...section('', times)];
}

/** Its location, or each of several with its state. */
function locationLines({ location, services }: StatusJson, paint: Painter): readonly string[] {
  const all = Array.isArray(services) ? services.slice(0, MAX_LOCATIONS).map(recordOf) : [];
  if (all.length < 2) return [text(location)];
  return all.map(({ location: at, state }) => {
    const tone = state === 'reachable' ? 'good' : 'bad';
    return `${text(at)} ${paint(tone, text(state))}`;
  });
}

const MAX_NODES = 32;
/** A smaller difference of two clocks is not shown. */
const SHOWN_CLOCK_SECONDS = 2;
const DAY_SECONDS = 86_400;

/** What an operator should make equal on all nodes, or repair. */
function nodeFaults({
  clockAheadMs,
  sameMotd,
  sameLimits,
  reached,
}: StatusJson): readonly string[] {
  const ahead = typeof clockAheadMs === 'number' ? Math.round(clockAheadMs / 1_000) : 0;
  const apart = Math.abs(ahead);
  const words = apart > DAY_SECONDS ? 'over a day' : `${grouped(apart)} s`;
  return [
    apart < SHOWN_CLOCK_SECONDS ? '' : `clock ${words} ${ahead > 0 ? 'ahead' : 'behind'}`,
    sameMotd === false ? 'another motd' : '',
    sameLimits === false ? 'other limits' : '',
    reached === false ? 'not reached' : '',
  ].filter((fault) => fault !== '');
}

function nodeWords(node: StatusJson, paint: Painter): string {
  const state = text(node['state'], 'unknown');
  const isGood = state === 'this' || state === 'alive';
  const shown = state === 'this' ? 'this node' : state;
  const behind = node['inSync'] === false && state === 'alive' ? ', learning its peers' : '';
  const over = node['overBudget'] === true ? `, ${paint('bad', 'over its budgets')}` : '';
  const heard = isGood ? '' : `, last heard ${agoOf(node['heardSecondsAgo'])}`;
  return `${text(node['name']).padEnd(16)} ${paint(isGood ? 'good' : 'bad', shown)}, ${counted(count(node['peers']), 'peer')}${behind}${over}${heard}`;
}

function nodeLines(node: StatusJson, paint: Painter): readonly string[] {
  const faults = node['state'] === 'alive' ? nodeFaults(node).join(', ') : '';
  const first = `${''.padEnd(LABEL)}${nodeWords(node, paint)}`;
  return faults === '' ? [first] : [first, `${''.padEnd(LABEL + 2)}${paint('bad', faults)}`];
}

const agoOf = (seconds: unknown): string =>
  typeof seconds === 'number' ? `${grouped(seconds)} s ago` : 'never';

/** The cluster, for a node of one. */
function clusterLines({ cluster }: StatusJson, paint: Painter): readonly string[] {
  if (cluster === undefined) return [];
  const { name, peers, bus, nodes, counters } = recordOf(cluster);
  const { connected, detail, seconds } = recordOf(bus);
  const isUp = connected === true;
  const words = isUp ? 'connected' : `cut off: ${text(detail)}`;
  const listed = Array.isArray(nodes) ? nodes.slice(0, MAX_NODES).map(recordOf) : [];
  const head = `${text(name)}, ${counted(count(peers), 'peer')} in all, for ${duration(count(seconds))} `;
  const { dropped, lost, unsent } = recordOf(counters);
  return [
    `${'cluster'.padEnd(LABEL)}${head}${paint(isUp ? 'good' : 'bad', words.slice(0, WIDTH - LABEL - head.length))}`,
    ...listed.flatMap((node) => nodeLines(node, paint)),
    ...section('', [
      `records dropped: ${reasons(dropped).join(', ')}`,
      `lost ${grouped(count(lost))}`,
      `not sent ${grouped(count(unsent))}`,
    ]),
  ];
}

/** The part that needs one reading: the directory, its health, its peers. */
export function statusHead({ now, color }: Omit<StatusView, 'before'>): string {
  const paint = painter(color);
  const health = recordOf(now['health']);
  const kinds = recordOf(now['kinds']);
  const isWell = health['ok'] === true;
  const words = isWell
    ? text(health['remark'], 'all is well')
    : text(health['reason'], 'not healthy');
  const head = `onionmc ${text(now['version'])}, ${text(now['network'])}, up ${duration(count(now['uptimeSeconds']))}`;
  const state = text(now['state']);
  return [
    paint('strong', head),
    ...locationLines(now, paint),
    '',
    `${'health'.padEnd(LABEL)}${paint(isWell ? 'good' : 'bad', words.slice(0, WIDTH - LABEL))}`,
    `${'onion'.padEnd(LABEL)}${paint(state === 'reachable' ? 'good' : 'bad', state)}`,
    ...(now['private'] === true ? [`${'entry'.padEnd(LABEL)}private: peers show a code`] : []),
    ...canaryLines(recordOf(now['canary']), paint),
    ...clusterLines(now, paint),
    '',
    ...section('peers', [
      grouped(count(now['peers'])),
      `serving ${grouped(count(kinds['serving']))}`,
      `not serving ${grouped(count(kinds['notServing']))}`,
      `answer pings ${grouped(count(kinds['answerPings']))}`,
      `verified ${grouped(count(kinds['verified']))}`,
      `not introduced ${grouped(count(now['unhandshaked']))}`,
    ]),
  ].join('\n');
}

/** The part that needs two readings: rates per second, and the totals. */
export function statusTraffic(view: StatusView): string {
  const { now } = view;
  const lag = recordOf(now['lag']);
  const rates = [
    `in ${perSecond(view, (s) => sum(s['messagesIn']))}`,
    `out ${perSecond(view, (s) => sum(s['messagesOut']))}`,
    `received ${perSecond(view, (s) => count(s['bytesIn']) / 1024)} kB`,
    `sent ${perSecond(view, (s) => count(s['bytesOut']) / 1024)} kB`,
  ].map((rate) => rate.replace(/\/s kB$/, ' kB/s'));
  return [
    ...section('messages', rates),
    ...section('lag', [
      `${counted(count(lag['peers']), 'peer')} behind`,
      `at most ${bytes(count(lag['mostBytes']))}`,
      `${counted(count(now['waitingMessages']), 'message')} waiting for the budget`,
    ]),
    ...section('dropped', reasons(now['dropped'])),
    ...section('refused', reasons(now['handshakesRejected'])),
    ...section('closed', reasons(now['closed'])),
  ].join('\n');
}

/** The whole page, without a final line feed. */
export function statusPage(view: StatusView): string {
  return `${statusHead(view)}\n${statusTraffic(view)}`;
}
