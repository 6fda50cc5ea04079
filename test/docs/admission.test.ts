/** The blocks of docs/admission.md and docs/admission-tor.md, run as written by a real bash. */
import { readFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import t from 'tap';
import { ROOT, runSteps, stepsOf } from './steps.js';

t.setTimeout(120_000);

/** The steps in which a program reads what another one printed. */
const CODE = `<(grep -o 'omc-[^ ]*' "$LOGS/codes.out")`;
const LINE = `<(grep -o '^[a-z2-7]*:descriptor:.*' "$LOGS/tor-client.out")`;
const ID = `"$(grep -om1 'omc-[^ ]*' "$LOGS/codes.out" | cut -d- -f2)"`;

t.test('codes, and keys of Tor clients', async (t) => {
  const config = '[MESSAGING:onion]\ntype = onion\ntor_mode = managed\n';
  const dir = t.testdir({
    bin: {
      onionmc: `#!/bin/bash\nexec node '${ROOT}dist/cli/main.js' "$@" --datadir "$FOLDER"\n`,
    },
    directory: { 'joinmarket.cfg': config },
    client: { 'joinmarket.cfg': config },
    logs: {},
  });
  const steps = [
    ...(await stepsOf('docs/admission.md')),
    ...(await stepsOf('docs/admission-tor.md')),
  ];
  t.same(
    steps.map(({ name }) => name),
    ['codes', 'tor-client'],
  );
  const begun = await runSteps(
    t,
    [{ name: 'rights', background: false, commands: 'chmod +x bin/*' }, ...steps],
    {
      logs: join(dir, 'logs'),
      env: {
        PATH: `${join(dir, 'bin')}${delimiter}${process.env['PATH'] ?? ''}`,
        FOLDER: join(dir, 'directory'),
      },
      cwd: dir,
      replace: [
        ['revoke ID', `revoke ${ID}`],
        // The code was revoked in the line before: the file refuses it, with exit code 1.
        ['check < file-with-the-code', `check < ${CODE} || [[ $? == 1 ]]`],
        [
          'onionmc admission tor-client use theirs',
          `FOLDER="$PWD/client" onionmc admission tor-client use theirs < ${LINE}`,
        ],
      ],
    },
  );
  t.equal(begun.at(-1), 'done');
  const out = async (name: string): Promise<string> => readFile(join(dir, 'logs', name), 'utf8');
  const codes = await out('codes.out');
  t.match(codes, /^omc-\w+-\w+$/m, 'a new code');
  t.match(codes, /alice/, 'the list has it');
  t.match(codes, /REJECT the code was revoked/);
  const keys = await out('tor-client.out');
  t.match(keys, /^[a-z2-7]{56}:descriptor:x25519:[A-Z2-7]{52}$/m);
  t.match(keys, /^alice +[A-Z2-7]{52}$/m);
  const kept = await readFile(join(dir, 'directory', 'admission', 'codes.json'), 'utf8');
  t.match(kept, /"revoked"/);
  t.notMatch(kept, /omc-/, 'no code in clear');
});
