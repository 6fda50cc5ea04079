/** No private key that signs lists lies in the repository, and every network ships an empty key set. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import t from 'tap';
import { SHIPPED_LIST_KEYS } from '../../src/config/shipped-list-keys.js';

/** A key file in its text form, with or without escapes; and the usual forms of other programs. */
const PRIVATE_KEY =
  /joinmarket-directory-key\\?"[^]{0,200}\\?"(?:seed|box)\\?":\s*\\?"[0-9a-f]{64}|-----BEGIN (?:OPENSSH )?PRIVATE KEY-----\s+[A-Za-z0-9+/=]{20}/;

t.test('no file of the repository is a private key', async (t) => {
  const names = execFileSync('git', ['ls-files', '-z'], { encoding: 'utf8' }).split('\0');
  const files = names.filter((name) => name !== '');
  t.ok(files.length > 100);
  const found = files.filter((name) => PRIVATE_KEY.test(readFileSync(name, 'latin1')));
  t.same(found, []);
});

t.test('the search finds key files', async (t) => {
  const head = '{"format":"joinmarket-directory-key","version":1,"public":"';
  t.match(`${head}${'ab'.repeat(32)}","seed":"${'cd'.repeat(32)}"}`, PRIVATE_KEY);
  t.match(`${head}${'ab'.repeat(32)}","box":"${'cd'.repeat(48)}"}`, PRIVATE_KEY);
});

t.test('the shipped key sets are empty', async (t) => {
  t.same([...new Set(Object.values(SHIPPED_LIST_KEYS))], ['']);
});
