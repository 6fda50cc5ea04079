/** Formats findings as lines for a person. Pure. */
import { shownLine } from '../kit/shown-text.js';
import { painted, type Tone } from '../kit/terminal.js';
import type { Status } from './check.js';
import type { Finding } from './run-checks.js';

const MARKS: Readonly<Record<Status, readonly [mark: string, tone: Tone]>> = {
  ok: ['✓', 'good'],
  note: ['!', 'odd'],
  wrong: ['✗', 'bad'],
  skipped: ['-', 'faint'],
};
const TITLE_WIDTH = 18;
/** Long enough for a text and a fix with two paths. */
const MAX_LINE = 10_000;

/** One line. Text of another program in it cannot control the terminal. */
export function findingLine({ status, title, text, fix }: Finding, color: boolean): string {
  const [mark, tone] = MARKS[status];
  const reason = status === 'skipped' ? `not checked: ${text}` : text;
  const join = /[.?!]$/.test(reason) ? ' ' : status === 'wrong' ? '. ' : '; ';
  const label = status === 'wrong' ? 'Fix: ' : '';
  const whole = fix === undefined ? reason : reason + join + label + fix;
  return `${painted(tone, mark, color)} ${title.padEnd(TITLE_WIDTH)} ${shownLine(whole, MAX_LINE)}`;
}

/** The last line. */
export function verdictLine(findings: readonly Finding[]): string {
  const count = (status: Status): number => findings.filter((f) => f.status === status).length;
  const faults = count('wrong');
  const head =
    faults === 0
      ? 'nothing is wrong'
      : `${faults} ${faults === 1 ? 'thing is' : 'things are'} wrong`;
  const left = count('skipped');
  return left === 0 ? head : `${head}; ${left} not checked`;
}

/** Whether no check found a fault. */
export function isWell(findings: readonly Finding[]): boolean {
  return findings.every(({ status }) => status !== 'wrong');
}
