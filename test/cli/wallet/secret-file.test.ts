/** Passwords from files and from credentials of systemd. */
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import {
  MAX_SECRET_BYTES,
  readCredential,
  readSecretFile,
} from '../../../src/cli/wallet/secret-file.js';

const OPTION = '--password-file';

async function fileWith(t: Test, content: string | Uint8Array, mode = 0o600): Promise<string> {
  const path = join(t.testdir({}), 'password');
  await writeFile(path, content);
  await chmod(path, mode);
  return path;
}

t.test('the first line is the secret', async (t) => {
  const cases: readonly (readonly [string, string, string])[] = [
    ['without a line end', 'hunter2', 'hunter2'],
    ['with one', 'hunter2\n', 'hunter2'],
    ['of another system', 'hunter2\r\n', 'hunter2'],
    ['more lines are left out', 'hunter2\nname: joe\n', 'hunter2'],
    ['blanks belong to it', ' hunter 2 \n', ' hunter 2 '],
    ['UTF-8', 'pässwörd\n', 'pässwörd'],
    ['the longest', `${'x'.repeat(MAX_SECRET_BYTES)}\n`, 'x'.repeat(MAX_SECRET_BYTES)],
    ['a large file', `hunter2\n${'x'.repeat(1_000_000)}`, 'hunter2'],
  ];
  for (const [name, content, secret] of cases) {
    const path = await fileWith(t, content);
    t.same(await readSecretFile(OPTION, path), { secret, warning: undefined }, name);
  }
});

t.test('what cannot be a secret is refused in one line that names option and file', async (t) => {
  const cases: readonly (readonly [string, string | Uint8Array, RegExp])[] = [
    ['empty', '', /first line is empty$/],
    ['an empty first line', '\nhunter2\n', /first line is empty$/],
    ['too long', 'x'.repeat(MAX_SECRET_BYTES + 2), /more than 4096 bytes$/],
    ['binary', Uint8Array.of(0xff, 0xfe, 0x0a), /not UTF-8 text$/],
  ];
  for (const [name, content, why] of cases) {
    const path = await fileWith(t, content);
    const error = await readSecretFile(OPTION, path).then(
      () => new Error('accepted'),
      (reason: unknown) => reason,
    );
    t.match(error, { name: 'UsageError', exitCode: 2, message: why }, name);
    t.match(error, { message: `${OPTION} ${path}` }, name);
  }
  await t.rejects(readSecretFile(OPTION, join(t.testdir({}), 'none')), {
    message: /cannot be read \(ENOENT\)$/,
    exitCode: 2,
  });
  await t.rejects(readSecretFile(OPTION, t.testdir({})), { message: /cannot be read \(EISDIR\)$/ });
});

t.test('a file that others may read works, with a warning', async (t) => {
  for (const mode of [0o644, 0o640, 0o604]) {
    const path = await fileWith(t, 'hunter2\n', mode);
    t.same(await readSecretFile(OPTION, path), {
      secret: 'hunter2',
      warning: `other users may read ${path}: chmod 600 ${path}`,
    });
  }
});

t.test('credentials', async (t) => {
  const both = t.testdir({
    one: { 'wallet-password': 'hunter2\n' },
    two: { 'wallet-password': 'hunter2\n', 'wallet-passphrase': 'TREZOR\n' },
  });
  const folder = join(both, 'one');
  const env = { CREDENTIALS_DIRECTORY: folder };
  const second = { CREDENTIALS_DIRECTORY: join(both, 'two') };
  t.equal(await readCredential('wallet-passphrase', second), 'TREZOR');
  t.equal(await readCredential('wallet-password', env), 'hunter2');
  t.equal(await readCredential('wallet-passphrase', env), undefined, 'not loaded by the unit');
  t.equal(await readCredential('wallet-password', {}), undefined, 'not under systemd');
  t.equal(await readCredential('wallet-password', { CREDENTIALS_DIRECTORY: '' }), undefined);
  await mkdir(join(folder, 'wallet-passphrase'));
  await t.rejects(readCredential('wallet-passphrase', env), { message: /the credential .*EISDIR/ });
});
