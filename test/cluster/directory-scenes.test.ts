/**
 * The scenes of the directory, unchanged, against a cluster of three nodes whose peers connect to a random one.
 * Each file runs twice, alone and as a cluster; both runs must pass, with the same tests.
 *
 * A scene about a limit that each machine has for itself (connections without a handshake, peers in all,
 * `oneNode` in the scene) has all its connections at one of the three nodes. Files whose scenes look into one
 * process are not among these: the fan-out, budgets, memory, thousands of peers, the operator's list; nor is
 * `life`, whose hours of simulated time take minutes with three nodes that sign a heartbeat each second.
 */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import t from 'tap';
import { ROOT } from '../docs/steps.js';

t.setTimeout(280_000);

const FILES = ['relay', 'identity', 'nick-auth'];

interface Outcome {
  /** Titles of the tests, in order. */
  readonly tests: readonly string[];
  /** A list that comes in more lines has more of them. */
  readonly assertions: number;
  /** Lines of what failed. */
  readonly failures: readonly string[];
}

/** Runs a test file in a process, with TAP as its output. */
async function run(file: string, nodes: number): Promise<Outcome> {
  const child = spawn(
    process.execPath,
    [...process.execArgv, join(ROOT, 'test', 'directory', `${file}.test.ts`)],
    {
      cwd: ROOT,
      env: { ...process.env, TAP: '1', ONIONMC_DIRECTORY_NODES: String(nodes) },
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  t.teardown(() => void child.kill('SIGKILL'));
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (part: string) => (text += part));
  await new Promise((resolve) => child.once('close', resolve));
  const titles = [...text.matchAll(/^( *)(not ok|ok) \d+ - (.*?)(?: # time=.*| \{)?$/gm)];
  return {
    tests: titles.flatMap(([, indent = '', , title = '']) => (indent === '' ? [title] : [])),
    assertions: titles.length,
    failures: titles.flatMap(([line, , result]) => (result === 'not ok' ? [line.trim()] : [])),
  };
}

for (const file of FILES) {
  t.test(`test/directory/${file}.test.ts`, async (t) => {
    const alone = await run(file, 1);
    const cluster = await run(file, 3);
    t.strictSame(alone.failures, [], 'on one machine');
    t.strictSame(cluster.failures, [], 'on three');
    t.ok(cluster.tests.length > 5, 'there are scenes');
    t.strictSame(cluster.tests, alone.tests, 'the same scenes');
    t.equal(cluster.tests.length, alone.tests.length, 'as many of them');
    t.comment(
      `${file}: ${cluster.tests.length} scenes with ${cluster.assertions} assertions on three nodes, ` +
        `${alone.tests.length} with ${alone.assertions} on one`,
    );
  });
}
