/** Runs mutated inputs against one target until it is told to stop. */
import { mutate } from './mutate.js';
import { fuzzRandom, hashText, type FuzzRandom } from './random.js';
import type { Target } from './target.js';

/** An input that breaks an invariant, minimised. */
export interface Finding {
  readonly input: Uint8Array;
  /** The broken invariant, or the error. */
  readonly what: string;
}

export interface CampaignResult {
  readonly executions: number;
  /** Every outcome reached, and the first input that reached it. */
  readonly outcomes: ReadonlyMap<string, Uint8Array>;
  readonly findings: readonly Finding[];
  /** Of all inputs tried; equal runs have equal digests. */
  readonly digest: number;
}

export interface CampaignOptions {
  readonly target: Target;
  readonly seed: string;
  /** Asked before each input. */
  readonly goesOn: (executions: number) => boolean;
  /** Inputs of earlier campaigns. */
  readonly corpus?: readonly Uint8Array[];
}

/** A campaign stops after this many different findings. */
const MAX_FINDINGS = 5;
/** Inputs with new outcomes that are kept to start from, besides the seeds. */
const MAX_POOL = 2_000;

export type Verdict =
  | { readonly kind: 'fine'; readonly outcomes: ReadonlySet<string> }
  | { readonly kind: 'broken'; readonly what: string };

/** Runs one input. The result depends on the input alone. */
export function execute(target: Target, input: Uint8Array): Verdict {
  const random: FuzzRandom = fuzzRandom(String(hashText(input)));
  try {
    return { kind: 'fine', outcomes: new Set(target.run(input, random)) };
  } catch (error) {
    const what = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    return { kind: 'broken', what: what.slice(0, 300) };
  }
}

/** The text of a fault without the values in it, so that two inputs with one cause are one finding. */
export function causeOf(what: string): string {
  return what.split(': ', 2).join(': ').replaceAll(/\d+/g, '#');
}

/** Tries seeds and corpus unchanged, then mutations of them and of inputs with new outcomes. */
export function runCampaign({ target, seed, goesOn, corpus }: CampaignOptions): CampaignResult {
  const random = fuzzRandom(`${target.name} ${seed}`);
  const given = [...target.seeds, ...(corpus ?? [])];
  const pool = [...given];
  const outcomes = new Map<string, Uint8Array>();
  const findings: Finding[] = [];
  const causes = new Set<string>();
  let executions = 0;
  let digest = 0;

  function attempt(input: Uint8Array): void {
    executions++;
    digest = (Math.imul(digest, 31) + hashText(input)) >>> 0;
    const verdict = execute(target, input);
    if (verdict.kind === 'broken') {
      const cause = causeOf(verdict.what);
      if (!causes.has(cause) && findings.length < MAX_FINDINGS)
        findings.push({ input, what: verdict.what });
      causes.add(cause);
      return;
    }
    let isNew = false;
    for (const outcome of verdict.outcomes) {
      if (outcomes.has(outcome)) continue;
      outcomes.set(outcome, input);
      isNew = true;
    }
    // An input with a new outcome is worth more than one try.
    if (isNew && pool.length < MAX_POOL) pool.push(input, input);
  }

  for (const input of given) attempt(input);
  while (findings.length < MAX_FINDINGS && goesOn(executions)) {
    const { words, maxBytes } = target;
    const context = { random, other: random.pick(pool), words, maxBytes };
    attempt(mutate(random.pick(pool), context));
  }
  return { executions, outcomes, findings, digest };
}
