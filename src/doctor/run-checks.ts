/** Runs checks in order and passes their facts on to later checks. */
import { errorText } from '../kit/error-text.js';
import type { Check, FactName, FactReader, Facts, Machine, Status, Verdict } from './check.js';

export interface Finding {
  readonly id: string;
  readonly title: string;
  readonly status: Status;
  readonly text: string;
  readonly fix?: string;
}

/** Why a fact is missing, with the title of the check that should have found it. */
function missingReason(
  name: FactName,
  earlier: readonly Check[],
  findings: readonly Finding[],
): string {
  const giver = earlier.find((check) => check.gives.includes(name));
  const finding = findings.find(({ id }) => id === giver?.id);
  if (finding === undefined) return `"${name}" is not known`;
  // Names the first failed check, not the chain of checks that were skipped because of it.
  if (finding.status === 'skipped') return finding.text;
  if (finding.status === 'wrong') return `"${finding.title}" must be right first`;
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
 * Runs all checks in order and calls `onFinding` after each. Rejects only when the code of a check cannot be
 * loaded. A control connection that a check opened is closed at the end.
 */
export async function runChecks(
  checks: AsyncIterable<Check> | Iterable<Check>,
  machine: Machine,
  onFinding: (finding: Finding) => void = () => {},
): Promise<readonly Finding[]> {
  const known: Partial<Facts> = {};
  const facts: FactReader = {
    peek: (name) => known[name],
    get(name) {
      const value = known[name];
      if (value === undefined)
        throw new Error(`a check reads "${name}" and does not list it in needs`);
      return value;
    },
  };
  const findings: Finding[] = [];
  const earlier: Check[] = [];
  for await (const check of checks) {
    if (check.onlyWith !== undefined && known[check.onlyWith] === undefined) continue;
    const missing = check.needs.find((name) => known[name] === undefined);
    const verdict: Verdict =
      missing === undefined
        ? await verdictOf(check, facts, machine)
        : { status: 'skipped', text: missingReason(missing, earlier, findings) };
    earlier.push(check);
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
