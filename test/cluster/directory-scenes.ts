/**
 * The scenes of the directory, unchanged, against a cluster of three nodes whose peers connect to a random one.
 * Each file runs twice, alone and as a cluster; both runs must pass, with the same tests. The files are shared out
 * to `directory-scenes-*.test.ts`, which take about as long as each other. Each of these prints how many scenes
 * it saw on three nodes and on one; in the report of a whole run
 * `grep -aE '^ *# [a-z-]+: [0-9]+ scenes' .tap/report.tap` shows all of them.
 *
 * A scene about a limit that each machine has for itself (connections without a handshake, chunks of lists, circuits,
 * bans; `oneNode` in the scene) has all its connections at one of the three nodes. A test that opens no directory, or
 * checks exact figures of one process, is left out on three nodes with its reason (`oneProcess` in the scene); it must be
 * in `left-out.ts`, is printed, and counted apart. `mass` has only one test, of a program, and is not in these files:
 * `processes.test.ts` has it with three. `overtaking` and `turns` are about the writes of one process.
 */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import t from 'tap';
import { ROOT } from '../docs/steps.js';
import { LEFT_OUT } from './left-out.js';

/** A file of `test/directory`. */
export interface SceneFile {
  readonly file: string;
  /** Scenes of simulated hours; signatures of another kind take the place of ed25519. */
  readonly hours?: boolean;
}

interface Outcome {
  /** Titles of the tests, in order. */
  readonly tests: readonly string[];
  /** Titles and reasons of those that were left out, also inside another test, in order. */
  readonly leftOut: readonly (readonly [title: string, reason: string])[];
  /** A list that comes in more lines has more of them. */
  readonly assertions: number;
  /** Lines of what failed. */
  readonly failures: readonly string[];
}

/** Runs a test file in a process, with TAP as its output. */
async function run(file: string, hours: boolean, nodes: number): Promise<Outcome> {
  const child = spawn(
    process.execPath,
    [...process.execArgv, join(ROOT, 'test', 'directory', `${file}.test.ts`)],
    {
      cwd: ROOT,
      env: {
        ...process.env,
        // What is left out is compared with its reasons below.
        TAP_FAIL_SKIP: '0',
        TAP: '1',
        TAP_TIMEOUT: '250',
        ONIONMC_DIRECTORY_NODES: String(nodes),
        ONIONMC_CLUSTER_SEALS: hours ? 'cheap' : '',
      },
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  t.teardown(() => void child.kill('SIGKILL'));
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (part: string) => (text += part));
  await new Promise((resolve) => child.once('close', resolve));
  const lines = [
    ...text.matchAll(/^( *)(not ok|ok) \d+ - (.*?)(?: # SKIP ?(.*?))?(?: # time=.*| \{)?$/gm),
  ];
  const leftOut = lines.flatMap(([, , , title = '', reason]) =>
    reason === undefined ? [] : [[title, reason] as const],
  );
  const titles = lines.filter(([, , , , reason]) => reason === undefined);
  return {
    tests: titles.flatMap(([, indent = '', , title = '']) => (indent === '' ? [title] : [])),
    leftOut,
    assertions: titles.length,
    failures: titles.flatMap(([line, , result]) => (result === 'not ok' ? [line.trim()] : [])),
  };
}

/** Adds the tests of these files, one after the other, and one of their sum. */
export function testScenes(files: readonly SceneFile[]): void {
  t.setTimeout(280_000);
  const total = { scenes: 0, alone: 0, leftOut: 0, assertions: 0 };
  for (const { file, hours = false } of files) {
    t.test(`test/directory/${file}.test.ts`, async (t) => {
      const [alone, cluster] = await Promise.all([run(file, hours, 1), run(file, hours, 3)]);
      t.strictSame(alone.failures, [], 'on one machine');
      t.strictSame(cluster.failures, [], 'on three');
      t.ok(cluster.tests.length > 0, 'there are scenes');
      t.strictSame(alone.leftOut, [], 'nothing is left out on one');
      const expected = Object.entries(LEFT_OUT[file] ?? {});
      t.strictSame(cluster.leftOut, expected, 'exactly these are left out on three (left-out.ts)');
      const leftOut = new Set(cluster.leftOut.map(([title]) => title));
      const scenes = alone.tests.filter((title) => !leftOut.has(title));
      t.strictSame(cluster.tests, scenes, 'the same scenes');
      t.equal(cluster.tests.length, scenes.length, 'as many of them');
      total.scenes += cluster.tests.length;
      total.alone += scenes.length;
      total.leftOut += cluster.leftOut.length;
      for (const [title, reason] of cluster.leftOut) t.comment(`one process: ${title}: ${reason}`);
      total.assertions += cluster.assertions;
      t.comment(
        `${file}: ${cluster.tests.length} scenes with ${cluster.assertions} assertions on three nodes, ` +
          `${scenes.length} on one; ${cluster.leftOut.length} tests of one process`,
      );
    });
  }
  t.test('these files together', (t) => {
    t.equal(
      total.scenes,
      total.alone,
      `${total.scenes} scenes on three nodes, ${total.alone} on one`,
    );
    t.comment(`${total.assertions} assertions on three nodes; ${total.leftOut} of one process`);
    t.end();
  });
}
