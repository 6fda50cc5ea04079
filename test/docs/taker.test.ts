/**
 * Follows docs/taker.md as written, at a terminal, on a real node with makers that have wallets. Real: onionmc, the
 * password and the yes that are typed. Shortened: offers are collected for 2 s, since the makers are near.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import t from 'tap';
import { realNodeTest } from '../helpers/bitcoin-program.js';
import { PASSWORD } from '../helpers/cheap-wallet.js';
import { startMakerNetwork } from '../helpers/maker-network.js';
import { quoted, shellOnTerminal } from '../helpers/pty.js';
import { TakerCli } from '../helpers/taker-cli.js';
import { ROOT, stepsOf } from './steps.js';

t.setTimeout(180_000);

realNodeTest(t, 'docs/taker.md', async (t) => {
  const network = await startMakerNetwork(t, { fees: [100, 200, 300, 400] });
  const cli = await TakerCli.at(t, network, [30_000_000], 'savings');
  const bin = join(cli.datadir, 'bin');
  await mkdir(bin);
  const program = [process.execPath, join(ROOT, 'dist/cli/main.js')].map(quoted).join(' ');
  await writeFile(
    join(bin, 'onionmc'),
    `#!/bin/bash\n[[ $1 == coinjoin ]] && set -- "$@" --wait 2\nexec ${program} "$@" --datadir ${quoted(cli.datadir)}\n`,
    { mode: 0o755 },
  );
  const env = { PATH: `${bin}${delimiter}${process.env['PATH'] ?? ''}` };
  const steps = new Map(
    (await stepsOf('docs/taker.md', 'taker')).map(({ name, commands }) => [name, commands]),
  );
  t.strictSame([...steps.keys()], ['look', 'mix', 'after', 'sweep']);
  const begin = async (name: string) => {
    const screen = shellOnTerminal(steps.get(name) ?? 'false', env);
    await screen.answer(/[Pp]assword.*: /, PASSWORD);
    return screen;
  };

  const look = await begin('look');
  await look.shows(/mixes +0\.10000000 +to a fresh address of the next mixdepth/);
  await look.shows(/costs +0\.\d{8} +at most/);
  await look.shows(/proofs .*3 tries left/);
  t.equal(await look.ended, 0, look.text);
  t.strictSame(await network.node.rpc('getrawmempool'), []);

  const mix = await begin('mix');
  await mix.answer(/Mix with 4 makers\? \[y\/N\] /, 'y');
  await mix.shows(/mixed 10 000 000 sat with 4 makers/);
  t.equal(await mix.ended, 0, mix.text);
  await network.node.mine(6);

  const after = await begin('after');
  t.equal(await after.ended, 0, after.text);
  t.match(after.text, /^ +1 +0\.10000000 /m, 'the equal output is in the next mixdepth');

  const sweep = await begin('sweep');
  await sweep.shows(/mixed [\d ]+ sat with 4 makers/);
  t.equal(await sweep.ended, 0, sweep.text);
});
