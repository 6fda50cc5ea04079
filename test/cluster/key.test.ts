/** `onionmc cluster key`, as a person and as root run it. */
import { chown, mkdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { runCli } from '../helpers/cli.js';

t.test('it prints the same key each time', async (t) => {
  const datadir = join(t.testdir(), 'data');
  const first = await runCli(['cluster', 'key', '--datadir', datadir]);
  t.match(first, { code: 0, stdout: /^[0-9a-f]{64}\n$/, stderr: /new key in .*: keep it secret/ });
  const again = await runCli(['cluster', 'key', '--json', '--datadir', datadir]);
  t.match(JSON.parse(again.stdout), {
    publicKey: first.stdout.trim(),
    created: false,
    file: join(datadir, 'cluster_key.pem'),
  });
  t.match(await runCli(['cluster', 'kye']), { code: 2 });
});

const skip = process.geteuid?.() === 0 ? false : 'only root can make files of other users';

t.test('root makes it for the user of the data directory', { skip }, async (t) => {
  const datadir = join(t.testdir(), 'data');
  await mkdir(datadir, { mode: 0o700 });
  await chown(datadir, 61_000, 61_001);
  const first = await runCli(['cluster', 'key', '--datadir', datadir]);
  t.match(first, { code: 0, stdout: /^[0-9a-f]{64}\n$/ });
  const { uid, gid, mode } = await stat(join(datadir, 'cluster_key.pem'));
  t.strictSame([uid, gid, mode & 0o777], [61_000, 61_001, 0o600]);
  const again = await runCli(['cluster', 'key', '--datadir', datadir]);
  t.match(again, { code: 0, stdout: first.stdout });
});
