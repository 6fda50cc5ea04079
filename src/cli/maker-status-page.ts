/** Shows the page of a maker (`/status`) on a terminal of 80 columns. */
import { formatBtc } from '../bitcoin/amount.js';
import { counted, grouped } from '../kit/decimal.js';
import { recordOf } from '../kit/json-record.js';
import { shownLine } from '../kit/shown-text.js';
import { painted } from '../kit/terminal.js';
import { duration, section, type StatusJson } from './status-page.js';

const LABEL = 10;
const WIDTH = 80;
/** Mixdepths, offers and sessions that are listed; a maker has far fewer. */
const MOST = 20;

const count = (value: unknown): number =>
  typeof value === 'number' && Number.isFinite(value) ? value : 0;
const text = (value: unknown, none = '-'): string =>
  typeof value === 'string' && value !== '' ? shownLine(value, WIDTH - LABEL) : none;
const listOf = (value: unknown): readonly StatusJson[] =>
  Array.isArray(value) ? value.slice(0, MOST).map(recordOf) : [];
const btc = (value: unknown): string => formatBtc(Math.trunc(count(value)));
const labelled = (label: string, words: string): string => `${label.padEnd(LABEL)}${words}`;

/** Whether a page is that of a maker. */
export const isMakerStatus = (status: StatusJson): boolean => status['role'] === 'maker';

function outsideText({ reachable, tests, failures, testedSecondsAgo }: StatusJson): string {
  const word =
    reachable === true ? 'answers' : reachable === false ? 'does not answer' : 'not tested yet';
  if (testedSecondsAgo === undefined) return word;
  const since = typeof reachable === 'boolean' ? '' : ' since the last change of the onion';
  return `${word}${since}, tested ${duration(count(testedSecondsAgo))} ago, ${grouped(count(failures))} of ${grouped(count(tests))} failed`;
}

function offerText({ ordertype, minsize, maxsize, cjfee }: StatusJson): string {
  return `${text(ordertype)} ${text(cjfee)}, ${btc(minsize)} to ${btc(maxsize)} BTC`;
}

function mixdepthText({ mixdepth, available, held }: StatusJson): string {
  const kept = count(held) === 0 ? '' : ` (+ ${btc(held)} held)`;
  return `${grouped(count(mixdepth))}: ${btc(available)}${kept}`;
}

function sessionText({ step, amount, seconds }: StatusJson): string {
  return `${text(step)} ${btc(amount)} BTC for ${duration(count(seconds))}`;
}

const several = (label: string, lines: readonly string[], none: string): readonly string[] =>
  (lines.length === 0 ? [none] : lines).map((line, i) => labelled(i === 0 ? label : '', line));

function nextChange({ nextChangeAt }: StatusJson, now: number): string {
  if (nextChangeAt === undefined) return '';
  return `, the next change in ${duration(Math.max(0, count(nextChangeAt) - now))}`;
}

/** The whole page, without a final line feed. */
export function makerStatusPage(status: StatusJson, color: boolean): string {
  const health = recordOf(status['health']);
  const identity = recordOf(status['identity']);
  const outside = recordOf(status['outside']);
  const earnings = recordOf(status['earnings']);
  const bond = status['bond'];
  const isWell = health['ok'] === true;
  const words = isWell ? 'all is well' : text(health['reason'], 'not healthy');
  const head = `onionmc ${text(status['version'])} maker, ${text(status['network'])}, up ${duration(count(status['uptimeSeconds']))}`;
  const { lockTime, value } = recordOf(bond);
  const bondText =
    bond === undefined
      ? 'none'
      : `value ${typeof value === 'number' ? value.toPrecision(3) : 'not known'}, locked until ${new Date(count(lockTime) * 1000).toISOString().slice(0, 10)}`;
  return [
    painted('strong', head, color),
    '',
    labelled('health', painted(isWell ? 'good' : 'bad', words, color)),
    labelled('nick', `${text(identity['nick'])}${nextChange(identity, count(status['now']))}`),
    labelled('onion', text(identity['location'])),
    labelled('outside', outsideText(outside)),
    labelled('bond', bondText),
    labelled('chain', `block ${grouped(count(status['height']))}`),
    ...several('offers', listOf(status['offers']).map(offerText), 'none'),
    ...several('coins', listOf(status['mixdepths']).map(mixdepthText), 'none'),
    ...several('sessions', listOf(status['sessions']).map(sessionText), 'none'),
    ...section('earned', [
      `${grouped(count(earnings['earned']))} sat`,
      counted(count(earnings['confirmed']), 'coinjoin'),
      `${grouped(count(earnings['pending']))} not settled (${grouped(count(earnings['pendingEarned']))} sat)`,
      `${grouped(count(earnings['failed']))} without effect`,
    ]),
  ].join('\n');
}
