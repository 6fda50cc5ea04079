/** Ten seconds of the soak, through its own program. */
import { readdir, readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { startProgram } from '../helpers/cli.js';

const SOAK = fileURLToPath(new URL('../../scripts/soak', import.meta.url));
/** The programs that the script builds and runs. */
const PROGRAMS = fileURLToPath(new URL('../../.build/compiled/lab/soak/', import.meta.url));
/** Points of the soak that measure durations; they are meant for an idle machine. */
const TIMED = ['private p99', 'public p95'];

/** Commands of processes that contain a text. */
async function commandsWith(text: string): Promise<string[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const commands = await Promise.all(
    pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'latin1').catch(() => '')),
  );
  return commands.filter((command) => command.includes(text));
}

void t.test('ten seconds: nothing lost, doubled, forged, leaked or left running', async (t) => {
  t.setTimeout(280_000);
  const { stdout, stderr } = await startProgram(SOAK, ['--minutes', '0.17']).ended;
  const points = [...stdout.matchAll(/^(ok|FAIL) +([^:]+): (.*)$/gm)];
  t.ok(points.length >= 15, 'every point is judged');
  for (const [, verdict, what = '', seen = ''] of points) {
    if (TIMED.includes(what)) t.comment(`${what}: ${seen}`);
    else t.equal(verdict, 'ok', `${what}: ${seen}`);
  }
  const [, publicOnes, privateOnes, leaves] =
    /^ *total +\d+ +\d+ +(\d+) +(\d+) +(\d+)/m.exec(stdout) ?? [];
  t.ok(Number(publicOnes) > 100, `${publicOnes} public messages were delivered`);
  t.ok(Number(privateOnes) > 50, `${privateOnes} private ones`);
  t.ok(Number(leaves) > 0, `${leaves} leaves`);
  t.match(stdout, /conversations of seven messages brought to their end: [1-9]/);
  t.match(stdout, /^soak: (passed|failed)$/m, 'it ran to the end');
  t.notMatch(stderr, /was cut off|was not let in|unhandled|uncaught/);
  t.strictSame(await commandsWith(PROGRAMS), [], 'no process is left');
});

void t.test('wrong arguments', async (t) => {
  const { code, stderr, stdout } = await startProgram(SOAK, ['--minutes', 'ten']).ended;
  t.equal(code, 2);
  t.match(stderr, /--minutes ten: a number above 0/);
  t.equal(stdout, '');
});
