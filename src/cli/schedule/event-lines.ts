/** What a running schedule tells a person. Pure. */
import { formatBtc } from '../../bitcoin/amount.js';
import { counted } from '../../kit/decimal.js';
import { errorText } from '../../kit/error-text.js';
import { shownLine } from '../../kit/shown-text.js';
import type { ScheduleEvent } from '../../schedule/run.js';
import { doneLines, failedLines, revealedText } from '../coinjoin/outcome-view.js';
import { waitText } from './view.js';

const MAX_LINE = 500;

export function eventLines(event: ScheduleEvent): readonly string[] {
  switch (event.kind) {
    case 'begins': {
      const { mixdepth, amount, makers, destination } = event.order;
      const what = amount === 'sweep' ? 'all' : `${formatBtc(amount)} BTC`;
      const to = destination.kind === 'internal' ? 'the next mixdepth' : destination.address;
      return [
        `step ${event.step + 1}: ${what} of mixdepth ${mixdepth} to ${to}, with ${counted(makers, 'maker')}`,
      ];
    }
    case 'waits':
      return [waitText(event.waiting)];
    case 'ended': {
      const { step, outcome } = event;
      const name = `step ${step + 1}`;
      if (outcome.ok) return [`${name} sent ${outcome.txid}`, ...doneLines(outcome)];
      const { detail, failed, revealed } = outcome;
      return [
        ...failedLines(failed),
        shownLine(`${name}: no coinjoin: ${detail}; ${revealedText(revealed)}`, MAX_LINE),
      ];
    }
    case 'fault':
      return [
        shownLine(
          `the node does not answer: ${errorText(event.error)}; asked again soon`,
          MAX_LINE,
        ),
      ];
  }
}
