/**
 * The progress of a coinjoin on standard error: a line for each phase, with the makers by state. On a
 * terminal it changes in place. In a pipe there is one at the beginning of the phase, one at its end where
 * the makers changed, and one now and then.
 */
import { counted } from '../../kit/decimal.js';
import type { LegStep } from '../../negotiation/taker/api.js';
import type { CoinjoinEvent, CoinjoinPhase } from '../../taker/api.js';

/** Where lines go. */
export interface LineOutput {
  /** Whether a line can change. */
  readonly isLive: boolean;
  now(): number;
  /** Replaces the current line; an empty text removes it. */
  redraw(text: string): void;
  line(text: string): void;
}

const PHASES: Readonly<Record<CoinjoinPhase, string>> = {
  probing: 'looking which makers are there',
  gathering: 'asking makers',
  funding: 'choosing coins',
  collecting: 'sending the transaction to the makers',
  signing: 'signing',
  pushing: 'giving the transaction to a maker for broadcast',
  broadcasting: 'broadcasting',
  done: 'done',
};

/** The order in which states are named. */
const STATES: readonly (readonly [LegStep | 'failed', string])[] = [
  ['fill', 'waiting'],
  ['pubkey', 'asked'],
  ['auth', 'answered'],
  ['ioauth', 'shown the proof'],
  ['coins', 'being looked up'],
  ['ready', 'ready'],
  ['sig', 'signing'],
  ['signed', 'signed'],
  ['failed', 'failed'],
];

/** `9 makers: 3 ready, 5 shown the proof, 1 failed`. */
export function makersText(makers: ReadonlyMap<string, LegStep | 'failed'>): string {
  if (makers.size === 0) return '';
  const steps = [...makers.values()];
  const parts = STATES.flatMap(([state, words]) => {
    const count = steps.filter((step) => step === state).length;
    return count === 0 ? [] : [`${count} ${words}`];
  });
  return `${counted(makers.size, 'maker')}: ${parts.join(', ')}`;
}

/** The line of a phase. */
export function phaseText(
  phase: CoinjoinPhase,
  makers: ReadonlyMap<string, LegStep | 'failed'>,
): string {
  const states = makersText(makers);
  return states === '' ? PHASES[phase] : `${PHASES[phase]}; ${states}`;
}

/** Where lines cannot change: least time between two lines of one phase, in milliseconds. */
const LINE_MS = 5_000;

/** Shows the events of one coinjoin. */
export class PhaseLines {
  readonly #output: LineOutput;
  #phase: CoinjoinPhase | undefined;
  #text = '';
  /** Where lines cannot change: the last one, and when it was written. */
  #written = '';
  #shownAt = -Infinity;

  constructor(output: LineOutput) {
    this.#output = output;
  }

  show(event: CoinjoinEvent): void {
    if (event.kind === 'again') {
      this.#finish();
      this.#output.line(`${event.reason}; trying again without the makers that failed`);
      return;
    }
    const { phase, makers } = event;
    const text = phaseText(phase, makers);
    const isNew = phase !== this.#phase;
    if (!isNew && text === this.#text) return;
    if (isNew) this.#finish();
    this.#phase = phase;
    this.#text = text;
    if (this.#output.isLive) {
      this.#output.redraw(text);
      return;
    }
    if (!isNew && this.#output.now() - this.#shownAt < LINE_MS) return;
    this.#write();
  }

  /** Keeps the last line. */
  end(): void {
    this.#finish();
  }

  #write(): void {
    this.#shownAt = this.#output.now();
    this.#written = this.#text;
    this.#output.line(this.#text);
  }

  #finish(): void {
    if (this.#text !== '' && this.#output.isLive) {
      this.#output.redraw('');
      this.#output.line(this.#text);
    } else if (this.#text !== this.#written) {
      this.#write();
    }
    this.#phase = undefined;
    this.#text = '';
    this.#written = '';
  }
}
