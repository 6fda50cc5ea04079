/** Replays the fuzzing corpus: no old fault returns, and every outcome is still reached. */
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { execute, runCampaign } from '../../lab/fuzz/campaign.js';
import { outcomeOf, readCorpus } from '../../lab/fuzz/corpus.js';
import { minimise } from '../../lab/fuzz/minimise.js';
import { readSeeds } from '../../lab/fuzz/seeds.js';
import { Broken, type Target } from '../../lab/fuzz/target.js';
import { createTargets } from '../../lab/fuzz/targets.js';
import { useFastCurves } from '../../src/roles/fast-curves.js';

// As the programs do; test/platform compares these curves with those in JavaScript.
useFastCurves();

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '../..');
const RUNS = 300;

const targets = createTargets(readSeeds(ROOT));

t.test('every case of the corpus, and every seed', async (t) => {
  for (const target of targets) {
    const reached = new Set<string>();
    const corpus = readCorpus(ROOT, target.name);
    t.ok(corpus.length >= 5, `${target.name} has a corpus`);
    t.ok(target.seeds.length >= 2, `${target.name} has seeds`);
    for (const { name, input } of corpus) {
      const verdict = execute(target, input);
      if (verdict.kind === 'broken') t.fail(`${target.name}/${name}: ${verdict.what}`);
      else for (const outcome of verdict.outcomes) reached.add(outcome);
    }
    const named = corpus.map(({ name }) => outcomeOf(name));
    const missed = named.filter((outcome) => outcome !== 'broken' && !reached.has(outcome));
    t.same(missed, [], `${target.name}: ${reached.size} outcomes are reached`);
    const broken = target.seeds.map((seed) => execute(target, seed));
    t.same(
      broken.filter(({ kind }) => kind === 'broken'),
      [],
      `${target.name}: ${target.seeds.length} seeds hold`,
    );
  }
});

t.test('a short run of each target holds, and the same seed gives the same run', async (t) => {
  for (const target of targets) {
    const goesOn = (executions: number): boolean => executions < target.seeds.length + RUNS;
    const first = runCampaign({ target, seed: 'test', goesOn });
    t.same(
      first.findings.map(({ what }) => what),
      [],
      `${target.name}: ${first.executions} inputs`,
    );
    const short = (executions: number): boolean => executions < target.seeds.length + RUNS / 4;
    const [again, other, third] = ['test', 'test', 'other'].map((seed) =>
      runCampaign({ target, seed, goesOn: short }),
    );
    t.equal(again?.digest, other?.digest, 'the same inputs');
    t.not(again?.digest, third?.digest, 'another seed, other inputs');
  }
});

/** Breaks when the input holds both letters, crashes on a NUL. */
const faulty: Target = {
  name: 'faulty',
  seeds: [Buffer.from('q, then x'), Buffer.from('z')],
  words: ['q', 'x'],
  maxBytes: 100,
  run(input) {
    const text = Buffer.from(input).toString('latin1');
    if (text.includes('\0')) throw new RangeError(`at ${text.indexOf('\0')}`);
    if (text.includes('q') && text.includes('y')) throw new Broken(`both: ${text}`);
    return [text.includes('z') ? 'z' : 'other'];
  },
};

t.test('a fault is found, reported once, and minimised', async (t) => {
  const { findings, outcomes } = runCampaign({
    target: faulty,
    seed: '1',
    goesOn: (executions) => executions < 20_000,
  });
  t.same([...outcomes.keys()].toSorted(), ['other', 'z']);
  t.same(
    findings.map(({ what }) => what.split(/[:0-9]/, 2).join(':')).toSorted(),
    ['Broken: both', 'RangeError: at '],
    'one finding for each cause',
  );
  const both = findings.find(({ what }) => what.includes('both'));
  const small = minimise(both?.input ?? Buffer.alloc(0), (candidate) => {
    const verdict = execute(faulty, candidate);
    return verdict.kind === 'broken' && verdict.what.includes('both');
  });
  t.match(Buffer.from(small).toString(), /^(qy|yq)$/);
});
