/**
 * Fuzzes the parsers of everything that comes from a network or a file.
 *
 *   scripts/fuzz [--seconds N] [--runs N] [--target NAME] [--seed S] [--keep]
 *
 * Exit code 0: no finding; 1: a finding, whose case is in lab/fuzz/corpus; 2: usage.
 */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { errorText } from '../../src/kit/error-text.js';
import { causeOf, execute, runCampaign, type CampaignResult } from './campaign.js';
import { outcomeOf, readCorpus, writeCase } from './corpus.js';
import { minimise } from './minimise.js';
import { readSeeds } from './seeds.js';
import type { Target } from './target.js';
import { createTargets } from './targets.js';

const DEFAULT_SECONDS = 60;
/** The most tries to minimise an input that is kept only for its outcome. */
const KEEP_TRIES = 400;

interface Options {
  /** For all targets together. */
  readonly seconds: number;
  /** Inputs for each target, instead of a time. */
  readonly runs: number | undefined;
  readonly target: string | undefined;
  readonly seed: string;
  /** Whether one small input for each outcome goes into the corpus as well. */
  readonly keep: boolean;
}

class UsageError extends Error {}

function positive(text: string | undefined, name: string): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (!(value > 0)) throw new UsageError(`--${name} ${text}: a number above 0 is needed`);
  return value;
}

function optionsOf(args: string[]): Options {
  const { values } = parseArgs({
    args,
    options: {
      seconds: { type: 'string' },
      runs: { type: 'string' },
      target: { type: 'string' },
      seed: { type: 'string' },
      keep: { type: 'boolean' },
    },
  });
  return {
    seconds: positive(values.seconds, 'seconds') ?? DEFAULT_SECONDS,
    runs: positive(values.runs, 'runs'),
    target: values.target,
    seed: values.seed ?? String(Date.now()),
    keep: values.keep ?? false,
  };
}

/** The checkout: the next folder above with a package.json. */
function checkout(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json'))) folder = dirname(folder);
  return folder;
}

function saveFindings(root: string, target: Target, { findings }: CampaignResult): void {
  for (const { input, what } of findings) {
    const cause = causeOf(what);
    const small = minimise(input, (candidate) => {
      const verdict = execute(target, candidate);
      return verdict.kind === 'broken' && causeOf(verdict.what) === cause;
    });
    console.log(`  BROKEN ${what}\n  ${writeCase(root, target.name, 'broken', small)}`);
  }
}

/** One small input for each outcome that the corpus does not reach yet. */
function saveOutcomes(root: string, target: Target, { outcomes }: CampaignResult): void {
  const reaches = (input: Uint8Array, outcome: string): boolean => {
    const verdict = execute(target, input);
    return verdict.kind === 'fine' && verdict.outcomes.has(outcome);
  };
  for (const [outcome, input] of outcomes) {
    if (readCorpus(root, target.name).some(({ name }) => outcomeOf(name) === outcome)) continue;
    const shows = (smaller: Uint8Array): boolean => reaches(smaller, outcome);
    writeCase(root, target.name, outcome, minimise(input, shows, KEEP_TRIES));
  }
}

function row(cells: readonly (string | number)[]): string {
  return cells
    .map((cell, i) => (i === 0 ? String(cell).padEnd(20) : String(cell).padStart(12)))
    .join('');
}

function main(args: string[]): number {
  const options = optionsOf(args);
  const root = checkout();
  const all = createTargets(readSeeds(root));
  const chosen = all.filter(({ name }) => options.target === undefined || name === options.target);
  if (chosen.length === 0) {
    throw new UsageError(
      `--target ${options.target}: one of ${all.map(({ name }) => name).join(', ')}`,
    );
  }
  console.log(`seed ${options.seed}, node ${process.version}`);
  console.log(row(['target', 'executions', 'per second', 'outcomes', 'new', 'broken']));
  let broken = 0;
  for (const target of chosen) {
    const known = readCorpus(root, target.name);
    const corpus = known.map(({ input }) => input);
    const started = performance.now();
    const until = started + (options.seconds * 1000) / chosen.length;
    const { runs } = options;
    const goesOn = (executions: number): boolean =>
      runs === undefined ? performance.now() < until : executions < runs;
    const result = runCampaign({ target, seed: options.seed, goesOn, corpus });
    const seconds = (performance.now() - started) / 1000;
    const before = new Set(
      [...target.seeds, ...corpus].flatMap((input) => {
        const verdict = execute(target, input);
        return verdict.kind === 'fine' ? [...verdict.outcomes] : [];
      }),
    );
    const fresh = [...result.outcomes.keys()].filter((outcome) => !before.has(outcome)).length;
    const rate = Math.round(result.executions / seconds);
    const { executions, outcomes, findings } = result;
    console.log(row([target.name, executions, rate, outcomes.size, fresh, findings.length]));
    saveFindings(root, target, result);
    if (options.keep) saveOutcomes(root, target, result);
    broken += findings.length;
  }
  return broken > 0 ? 1 : 0;
}

try {
  process.exitCode = main(process.argv.slice(2));
} catch (error) {
  const known = error instanceof UsageError || (error instanceof TypeError && 'code' in error);
  if (!known) throw error;
  console.error(`fuzz: ${errorText(error)}`);
  console.error('usage: scripts/fuzz [--seconds N] [--runs N] [--target NAME] [--seed S] [--keep]');
  process.exitCode = 2;
}
