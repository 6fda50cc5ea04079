/** Ten rounds of the soak of coinjoins, through its own program, on a real node. */
import { readdir, readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { agreedFee } from '../../lab/soak/coinjoins/accountant.js';
import { MISBEHAVIOURS, nameOf } from '../../lab/soak/coinjoins/misbehaviour.js';
import { planRound } from '../../lab/soak/coinjoins/round-plan.js';
import { realNodeTest } from '../helpers/bitcoin-program.js';
import { startProgram } from '../helpers/cli.js';

const SOAK = fileURLToPath(new URL('../../scripts/soak', import.meta.url));
/** The programs that the script builds and runs. */
const PROGRAMS = fileURLToPath(new URL('../../.build/compiled/lab/soak/', import.meta.url));

/** The point that a machine under load may miss in ten rounds: an honest maker answers too late. */
const TIMED = 'rounds that had enough honest makers and completed';

/** The fee of a relative offer. */
const shareOf = (cjfee: string, amount: number): number =>
  agreedFee({ isRelative: true, cjfee, txfee: 0 }, amount);

/** Commands of processes that contain a text. */
async function commandsWith(text: string): Promise<string[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const commands = await Promise.all(
    pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'latin1').catch(() => '')),
  );
  return commands.filter((command) => command.includes(text));
}

realNodeTest(t, 'ten rounds: nobody has less than agreed, and all books match', async (t) => {
  // 111 s of CPU: 133 s alone, 232 s beside the other files.
  t.setTimeout(420_000);
  const args = ['coinjoins', '--rounds', '10', '--seed', '1'];
  const { stdout } = await startProgram(SOAK, args).ended;
  t.match(stdout, /^shortened times in ms: makerWaitMs \d+/m, 'shortened times are named');
  const points = [...stdout.matchAll(/^(ok|FAIL) +([^:]+): (.*)$/gm)];
  t.equal(points.length, 5, 'every point is judged');
  for (const [, verdict, what = '', seen = ''] of points) {
    if (what === TIMED) t.comment(`${what}: ${seen}`);
    else t.equal(verdict, 'ok', `${what}: ${seen}`);
  }
  const [, completed, sweeps] = /completed: (\d+), of them sweeps: (\d+)/.exec(stdout) ?? [];
  t.ok(Number(completed) >= 9, `${completed} rounds completed`);
  t.ok(Number(sweeps) >= 1, `${sweeps} of them sweeps`);
  t.match(stdout, /^seconds per completed round: median [\d.]+/m);
  t.comment(/^seconds per completed round: .*$/m.exec(stdout)?.[0]);
  t.strictSame(await commandsWith(`${PROGRAMS}coinjoins`), [], 'no process is left');
});

void t.test('wrong arguments', async (t) => {
  const { code, stderr, stdout } = await startProgram(SOAK, ['coinjoins', '--rounds', 'ten']).ended;
  t.equal(code, 2);
  t.match(stderr, /--rounds ten: a whole number from 1 to/);
  t.equal(stdout, '');
});

void t.test('a seed repeats the choices of a round, and every misbehaviour occurs', async (t) => {
  t.same(planRound(5, 17, 12), planRound(5, 17, 12));
  t.not(JSON.stringify(planRound(5, 17, 12)), JSON.stringify(planRound(6, 17, 12)));
  const seen = new Set<string>();
  for (let number = 1; number <= 200; number += 1) {
    for (const it of planRound(1, number, 12).misbehaviours.values()) seen.add(nameOf(it));
  }
  t.same([...seen].toSorted(), MISBEHAVIOURS.map(nameOf).toSorted());
});

void t.test('the accountant rounds a share half to even', async (t) => {
  t.equal(shareOf('0.000010', 150_000), 2, '1.5');
  t.equal(shareOf('0.000010', 250_000), 2, '2.5');
  t.equal(shareOf('0.000010', 250_001), 3);
  t.equal(shareOf('0.00002', 100_000), 2);
  t.equal(agreedFee({ isRelative: false, cjfee: '777', txfee: 5 }, 1), 777);
});
