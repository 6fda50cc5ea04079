/** Runs the rehearsal with coins of docs/signet.md as written, on a real node. */
import { readFile, stat, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import t from 'tap';
import { freePort } from '../helpers/bitcoin-node.js';
import { bitcoinCommand, realNodeTest } from '../helpers/bitcoin-program.js';
import { quoted } from '../helpers/pty.js';
import { ROOT, runSteps, stepsOf } from './steps.js';

t.setTimeout(300_000);

realNodeTest(t, 'docs/signet.md, with coins', async (t) => {
  const dir = t.testdir({ home: {}, logs: {}, bin: {} });
  const programs = {
    onionmc: [process.execPath, join(ROOT, 'dist/cli/main.js')],
    bitcoind: bitcoinCommand('bitcoind'),
    'bitcoin-cli': bitcoinCommand('bitcoin-cli'),
  };
  for (const [name, command = []] of Object.entries(programs)) {
    const body = `#!/bin/bash\nexec ${command.map(quoted).join(' ')} "$@"\n`;
    // oxlint-disable-next-line no-await-in-loop -- three small files
    await writeFile(join(dir, 'bin', name), body, { mode: 0o755 });
  }
  const steps = await stepsOf('docs/signet.md', 'coins');
  const logs = join(dir, 'logs');
  const said = (step: string): Promise<string> => readFile(join(logs, `${step}.out`), 'utf8');
  const begun = await runSteps(t, steps, {
    logs,
    cwd: dir,
    env: {
      HOME: join(dir, 'home'),
      PATH: `${join(dir, 'bin')}${delimiter}${process.env['PATH'] ?? ''}`,
    },
    replace: [['18443', String(await freePort())]],
    before: { tidy: 'kill "${PIDS[node]}"; wait "${PIDS[node]}" || true' },
    after: { names: 'until node getblockcount >/dev/null 2>&1; do sleep 0.1; done' },
  });
  t.same(begun, [...steps.map(({ name }) => name), 'done']);
  t.match(await said('create'), /the backup is right: it gives the first address of rehearsal/);
  t.match(await said('receive'), /^rehearsal: regtest, block 101; amounts in BTC\n/m);
  t.match(await said('send'), /pays +0\.50000000 +bcrt1q/);
  t.match(await said('bump'), / confirmed /);
  t.match(await said('bond'), /certified, certificate valid up to block \d+ +0\.10000000 BTC/);
  const shown = await said('recover');
  const balances = (name: string): string =>
    new RegExp(`^${name}: regtest, block 103;[^]*?\ntotal [\\d.]+, available [\\d.]+$`, 'm')
      .exec(shown)?.[0]
      .replace(name, '') ?? name;
  t.equal(balances('again'), balances('rehearsal'), 'words and backup give the same coins');
  await t.rejects(stat(join(dir, 'home', 'coins')), { code: 'ENOENT' });
});
