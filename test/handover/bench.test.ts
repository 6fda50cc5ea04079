/** The bench of upgrades, with few peers. */
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { startProgram } from '../helpers/cli.js';

const BENCH = fileURLToPath(new URL('../../scripts/bench', import.meta.url));

t.test(
  'the bench upgrades a directory with 100 peers three times: idle, under load, with peers that read nothing',
  async (t) => {
    const args = ['upgrade', '--quick', '--peers', '100'];
    const { code, stdout, stderr } = await startProgram(BENCH, args).ended;
    t.equal(code, 0, stderr);
    const rows = [
      ...stdout.matchAll(/^\| 100 +\| ([^|]+) +\| 100 +\| 3 +\| ([\d,]+) [^|]*\| ([\d,]+) /gm),
    ];
    t.equal(rows.length, 3, `all peers stay, in each row: ${stdout}`);
    for (const [, load = '', unserved, slowest] of rows) {
      t.comment(`${load.trim()}: unserved for ${unserved} ms, slowest message ${slowest} ms`);
    }
  },
);

t.test('wrong arguments of the bench', async (t) => {
  const { code, stderr } = await startProgram(BENCH, ['upgrade', '--peers', 'many']).ended;
  t.equal(code, 2);
  t.match(stderr, /^usage: scripts\/bench /m);
});
