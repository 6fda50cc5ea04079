/** Runs the rehearsal with coins of docs/signet.md as written, on a real node. */
import { readFile, stat, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import t, { type Test } from 'tap';
import { freePort } from '../helpers/bitcoin-node.js';
import { bitcoinCommand, realNodeTest } from '../helpers/bitcoin-program.js';
import { quoted } from '../helpers/pty.js';
import { ROOT, runSteps, stepsOf } from './steps.js';

t.setTimeout(300_000);

/** A home whose PATH has the programs of the page. */
async function sandbox(t: Test) {
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
  const logs = join(dir, 'logs');
  const env = {
    HOME: join(dir, 'home'),
    PATH: `${join(dir, 'bin')}${delimiter}${process.env['PATH'] ?? ''}`,
  };
  return {
    dir,
    session: { logs, cwd: dir, env },
    said: (step: string): Promise<string> => readFile(join(logs, `${step}.out`), 'utf8'),
  };
}

/** Of the node for a block of a signet; a million are not enough. */
const TRIES = 1_000_000_000;

/** In place of Ctrl-C in the terminal of the node, and of a look at it. */
const WAITS = {
  before: { tidy: 'kill "${PIDS[node]}"; wait "${PIDS[node]}" || true' },
  after: { names: 'until node getblockcount >/dev/null 2>&1; do sleep 0.1; done' },
};

realNodeTest(t, 'docs/signet.md, with coins', async (t) => {
  const { dir, session, said } = await sandbox(t);
  const steps = await stepsOf('docs/signet.md', 'coins');
  const replace = [['18443', String(await freePort())]] as const;
  const begun = await runSteps(t, steps, { ...session, ...WAITS, replace });
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

realNodeTest(t, 'the same on a signet of its own, up to the first coin', async (t) => {
  const { session, said } = await sandbox(t);
  const short = ['prepare', 'node', 'names', 'create', 'receive', 'tidy'];
  const steps = (await stepsOf('docs/signet.md', 'coins')).filter(({ name }) =>
    short.includes(name),
  );
  const begun = await runSteps(t, steps, {
    ...session,
    ...WAITS,
    // A block takes a while here, so the coin is not left to ripen: two blocks, with enough tries.
    replace: [
      ['18443', String(await freePort())],
      ['-disablewallet', '-disablewallet -signetchallenge=51'],
      ['regtest', 'signet'],
      ['generatetoaddress 100', 'generatetoaddress 1'],
      ['rehearsal)"\n', `rehearsal)" ${TRIES}\n`],
      ['--mixdepth 4)"', `--mixdepth 4)" ${TRIES}`],
    ],
  });
  t.same(begun, [...short, 'done']);
  const shown = await said('receive');
  t.match(shown, /^rehearsal: signet, block 2; amounts in BTC\n/m);
  t.match(shown, /mined, with fewer than 100 confirmations +- +[0-9a-f]{64}:0 +tb1q/);
});
