/** Runs checks in order; what they find out is for those after them. */
import { errorText } from '../kit/shown-text.js';
import type { Check, FactName, FactReader, Facts, Machine, Status, Verdict } from './check.js';

export interface Finding {
  readonly id: string;
  readonly title: string;
  readonly status: Status;
  readonly text: string;
  readonly fix?: string;
}

/** Why a fact is missing, in the words of the check that should have found it. */
function whyMissing(
  name: FactName,
  checks: readonly Check[],
  findings: readonly Finding[],
): string {
  const giver = checks.find((check) => check.gives.includes(name));
  const finding = findings.find(({ id }) => id === giver?.id);
  if (finding === undefined) return `"${name}" is not known`;
  // The first cause counts, not the whole chain of those that were skipped for it.
  if (finding.status === 'skipped') return finding.text;
  if (finding.status === 'wrong') return `"${finding.title}" has to be right first`;
  return `${finding.title}: ${finding.text}`;
}

async function verdictOf(check: Check, facts: FactReader, machine: Machine): Promise<Verdict> {
  try {
    return await check.run(facts, machine);
  } catch (error) {
    return {
      status: 'wrong',
      text: `this check failed: ${errorText(error)}`,
      fix: 'run it again; if that does not help, please report it',
    };
  }
}

/**
 * All checks, each after those before it. `onFinding` hears of each at once. Never rejects; the
 * control connection that a check opened is closed again.
 */
export async function runChecks(
  checks: readonly Check[],
  machine: Machine,
  onFinding: (finding: Finding) => void = () => {},
): Promise<readonly Finding[]> {
  const known: Partial<Facts> = {};
  const facts: FactReader = {
    peek: (name) => known[name],
    get(name) {
      const value = known[name];
      if (value === undefined) throw new Error(`a check reads "${name}" without needing it`);
      return value;
    },
  };
  const findings: Finding[] = [];
  for (const check of checks) {
    const missing = check.needs.find((name) => known[name] === undefined);
    const verdict: Verdict =
      missing === undefined
        ? // oxlint-disable-next-line no-await-in-loop -- in order: each builds on those before
          await verdictOf(check, facts, machine)
        : { status: 'skipped', text: whyMissing(missing, checks, findings) };
    Object.assign(known, verdict.found);
    const { id, title } = check;
    const { status, text, fix } = verdict;
    const finding: Finding = { id, title, status, text, ...(fix === undefined ? {} : { fix }) };
    findings.push(finding);
    onFinding(finding);
  }
  known.control?.close();
  return findings;
}
