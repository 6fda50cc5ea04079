/** Questions that commands ask, in terms of an `Asker`. */
import { UsageError } from '../errors.js';
import { StoppedError, type Asker } from './terminal.js';

/** How often a person may answer again. */
const ATTEMPTS = 3;

/** Throws a `UsageError` when nobody can give a yes, before anything else is shown. */
export function checkCanConfirm(asker: Asker, isGiven: boolean | undefined): void {
  if (isGiven === true || asker.canAsk) return;
  throw new UsageError(
    'there is no terminal to ask for a yes: look at it with --dry-run, then give --yes',
  );
}

/**
 * A yes. Without a terminal a `UsageError` names the option that stands for it.
 * @param isGiven whether `--yes` was given
 */
export async function confirm(
  asker: Asker,
  question: string,
  isGiven: boolean | undefined,
): Promise<boolean> {
  if (isGiven === true) return true;
  checkCanConfirm(asker, isGiven);
  for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
    // oxlint-disable-next-line no-await-in-loop -- one question after the other
    const answer = (await asker.line(`${question} [y/N] `)).trim().toLowerCase();
    if (answer === 'y' || answer === 'yes') return true;
    if (answer === '' || answer === 'n' || answer === 'no') return false;
    asker.show('type y or n');
  }
  return false;
}

/** A secret that a person types twice. */
export async function secretTwice(asker: Asker, what: string): Promise<string> {
  for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
    // oxlint-disable-next-line no-await-in-loop -- one question after the other
    const first = await asker.secret(`${what}: `);
    if (first === '') {
      asker.show('it is empty; type one, or press Ctrl-C');
      continue;
    }
    // oxlint-disable-next-line no-await-in-loop
    if ((await asker.secret(`${what} again: `)) === first) return first;
    asker.show('the two are not the same; type both again');
  }
  throw new StoppedError(`no ${what} after ${ATTEMPTS} attempts; nothing was written`);
}
