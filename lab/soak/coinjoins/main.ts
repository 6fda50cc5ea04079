/**
 * The soak of coinjoins: prints a line for each round, then figures and each point with its bound. Exit code 0
 * passed, 1 failed, 2 wrong arguments.
 */
import { cpus } from 'node:os';
import { errorText } from '../../../src/kit/error-text.js';
import { watchFaults } from '../faults.js';
import { readOptions, USAGE, type CoinjoinSoakOptions } from './options.js';
import { planRound } from './round-plan.js';
import { playRound } from './rounds.js';
import { SHORTENED } from './settings.js';
import { judge, summaryLines, type RoundRecord } from './summary.js';
import { World } from './world.js';

const faults = watchFaults('soak');
const say = (text: string): void => void process.stdout.write(`${text}\n`);

function lineOf(record: RoundRecord): string {
  const { number, isSweep, txid, reason, seconds, misbehaviours, hadEnough } = record;
  const how = txid === undefined ? `not done: ${reason}` : `done ${txid.slice(0, 8)}`;
  const kind = isSweep ? 'sweep ' : 'amount';
  const few = hadEnough ? '' : ' (too few honest makers)';
  const bad = misbehaviours.join(' ') || 'all honest';
  return `${String(number).padStart(5)}  ${kind}  ${seconds.toFixed(2).padStart(6)} s  ${how}${few}  [${bad}]`;
}

async function soak(options: CoinjoinSoakOptions): Promise<boolean> {
  const { rounds, seed, first, makers } = options;
  const began = performance.now();
  const world = await World.open({ makers, seed });
  try {
    say(`the world stands after ${((performance.now() - began) / 1000).toFixed(1)} s`);
    const records: RoundRecord[] = [];
    let told = 0;
    for (let number = first; number < first + rounds; number += 1) {
      const record = await playRound(world, planRound(seed, number, makers), seed);
      records.push(record);
      say(lineOf(record));
      for (const fault of world.accountant.faults.slice(told)) say(`accountant: ${fault}`);
      told = world.accountant.faults.length;
    }
    const left = await world.settle();
    const result = {
      rounds: records,
      coinjoins: world.accountant.coinjoins,
      faults: world.accountant.faults,
      left,
      unanswered: world.makers.reduce((sum, maker) => sum + maker.unanswered, 0),
      unhandled: faults.count,
    };
    say('');
    for (const line of summaryLines(result)) say(line);
    say(`seconds in all: ${((performance.now() - began) / 1000).toFixed(0)}`);
    say('');
    const points = judge(result);
    for (const { what, seen, passed } of points)
      say(`${passed ? 'ok  ' : 'FAIL'}  ${what}: ${seen}`);
    return points.every(({ passed }) => passed);
  } finally {
    await world.close();
  }
}

async function main(): Promise<void> {
  let options: CoinjoinSoakOptions | 'help';
  try {
    options = readOptions(process.argv.slice(2));
  } catch (error) {
    process.stderr.write(`soak coinjoins: ${errorText(error)}\n`);
    process.exitCode = 2;
    return;
  }
  if (options === 'help') {
    say(USAGE);
    return;
  }
  const [cpu] = cpus();
  const { rounds, seed, makers } = options;
  const times = Object.entries(SHORTENED).map(([name, ms]) => `${name} ${ms}`);
  say(
    `soak coinjoins: ${rounds} rounds, ${makers} makers, seed ${seed}, Node ${process.version}, ` +
      `${cpus().length} x ${cpu?.model ?? 'processor'}`,
  );
  say(`shortened times in ms: ${times.join(', ')}`);
  const passed = await soak(options);
  say(passed ? 'soak coinjoins: passed' : 'soak coinjoins: failed');
  process.exitCode = passed ? 0 : 1;
}

await main().catch((error: unknown) => {
  process.stderr.write(
    `soak coinjoins: ${error instanceof Error ? error.stack : errorText(error)}\n`,
  );
  process.exit(1);
});
