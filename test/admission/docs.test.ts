/** The pages about admission: each command on them exists with its options, and each of their keys is a key of the configuration. */
import { Command } from 'commander';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { INSTALL_LINE } from '../../src/admission/omq/router.js';
import { addAdmissionCommands } from '../../src/cli/admission/commands.js';
import { ADMISSION_KEYS } from '../../src/config/settings-keys.js';

const PAGES = ['', '-lokinet', '-directory', '-tor', '-pages'];
const texts = await Promise.all(
  PAGES.map((name) =>
    readFile(fileURLToPath(new URL(`../../docs/admission${name}.md`, import.meta.url)), 'utf8'),
  ),
);
const page = texts.join('\n');

t.test('each command exists with its options', (t) => {
  const admission = new Command('admission');
  addAdmissionCommands(admission);
  const lines = page.split('\n').filter((line) => line.startsWith('onionmc admission '));
  t.ok(lines.length >= 12);
  const seen = new Set<string>();
  for (const line of lines) {
    const words = line
      .replace(/\s+#.*/, '')
      .split(/\s+/)
      .slice(2);
    let command = admission;
    for (const word of words) {
      const next = command.commands.find((each) => each.name() === word);
      if (!next) break;
      command = next;
    }
    seen.add(command.name());
    t.not(command, admission, line);
    for (const option of words.filter((word) => word.startsWith('--'))) {
      t.ok(
        command.options.some(({ long }) => long === option),
        `${line}: ${option}`,
      );
    }
  }
  const leaves = admission.commands.flatMap((each) =>
    each.commands.length === 0 ? [each] : each.commands,
  );
  t.same(
    [...seen].toSorted(),
    [...new Set(leaves.map((each) => each.name()))].toSorted(),
    'no command is missing',
  );
  t.end();
});

t.test('keys, and the line that installs zeromq', (t) => {
  const keys = [...page.matchAll(/^(\w+) = /gm)].map(([, key = '']) => key);
  t.same(
    keys.filter((key) => !Object.hasOwn(ADMISSION_KEYS, key)),
    [],
  );
  t.ok(keys.length >= 3);
  t.match(page, INSTALL_LINE);
  t.end();
});
