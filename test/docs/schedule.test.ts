/**
 * Follows docs/schedule.md as written, at a terminal, on a real node with makers that have wallets: up to the wait
 * after the first coinjoin, and the run that continues there. Real: onionmc, the password and the yes that are typed.
 * Shortened: three makers for each step, and offers are collected for 2 s, since the makers are near.
 */
import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import t, { type Test } from 'tap';
import { realNodeTest } from '../helpers/bitcoin-program.js';
import { PASSWORD } from '../helpers/cheap-wallet.js';
import { startMakerNetwork } from '../helpers/maker-network.js';
import { quoted, shellOnTerminal, type Screen } from '../helpers/pty.js';
import { addressNumber } from '../helpers/schedules.js';
import { TakerCli } from '../helpers/taker-cli.js';
import { ROOT, stepsOf } from './steps.js';

t.setTimeout(180_000);

const ASKS_PASSWORD = /[Pp]assword.*: /;
const PAGE = 'docs/schedule.md';
const STEPS = ['plan', 'look', 'run', 'show', 'stop', 'unattended', 'json'];
const ADDRESSES = [1, 2, 3].map((n) => addressNumber(n).address);

/** The program for the PATH, with the shortened times. */
const shortened = (datadir: string): string => `#!/bin/bash
case $2 in
  plan) set -- "$@" --makercountrange 3,0 --minmakercount 3 ;;
  run) set -- "$@" --wait 2 ;;
esac
exec ${[process.execPath, join(ROOT, 'dist/cli/main.js')].map(quoted).join(' ')} "$@" --datadir ${quoted(datadir)}
`;

/** Begins the commands of the page by their names. */
async function commandsOf({ datadir }: TakerCli): Promise<(name: string) => Screen> {
  const bin = join(datadir, 'bin');
  await mkdir(bin);
  await writeFile(join(bin, 'onionmc'), shortened(datadir), { mode: 0o755 });
  const env = { HOME: datadir, PATH: `${bin}${delimiter}${process.env['PATH'] ?? ''}` };
  const steps = new Map(
    (await stepsOf(PAGE, 'schedule')).map(({ name, commands }) => [name, commands]),
  );
  t.strictSame([...steps.keys()], STEPS);
  return (name) => {
    const typed = steps.get(name) ?? 'false';
    const command = typed.replaceAll(
      /ADDRESS(\d)/g,
      (_, n: string) => ADDRESSES[Number(n) - 1] ?? '',
    );
    return shellOnTerminal(command, env);
  };
}

/** Waits for a command that succeeds. Resolves to what it showed. */
async function done(t: Test, screen: Screen): Promise<string> {
  t.equal(await screen.ended, 0, 'it succeeds', { screen: screen.text });
  return screen.text.replaceAll('\r', '');
}

/** The names of the JSON that the page shows. */
async function fieldsOfPage(): Promise<readonly string[]> {
  const [, shape = ''] =
    /^`(\{"wallet".*\})`\.$/m.exec(await readFile(join(ROOT, PAGE), 'utf8')) ?? [];
  return [...shape.matchAll(/"(\w+)"/g)].map(([, name = '']) => name);
}

realNodeTest(t, PAGE, async (t) => {
  const network = await startMakerNetwork(t);
  const cli = await TakerCli.at(t, network, [30_000_000], 'savings', 5);
  await copyFile(join(cli.datadir, 'password'), join(cli.datadir, 'savings.password'));
  const begin = await commandsOf(cli);
  const file = join(cli.datadir, 'schedules', 'savings.schedule');

  const plan = begin('plan');
  await plan.answer(ASKS_PASSWORD, PASSWORD);
  const planned = await done(t, plan);
  t.match(planned, /^ *1 +0 +all +3 +the next mixdepth +[\d.]+ (?:min|h) +open$/m);
  for (const address of ADDRESSES) t.match(planned, new RegExp(` all +3 +${address} `));
  // An open step may be changed: here the first wait, which is random, so that it does not end during the test.
  const written = await readFile(file, 'utf8');
  await writeFile(file, written.replace(/^(0,0,3,INTERNAL),[\d.]+,/m, '$1,90,'));

  const look = begin('look');
  await look.answer(ASKS_PASSWORD, PASSWORD);
  t.match(await done(t, look), /^at worst [\d ]+ sat for all of them$/m);
  t.strictSame(await network.node.rpc('getrawmempool'), []);

  const run = begin('run');
  await run.answer(ASKS_PASSWORD, PASSWORD);
  await run.shows(/at worst [\d ]+ sat for all of them/);
  await run.answer(/Run this schedule\? \[y\/N\] /, 'y');
  const [, txid = ''] = await run.shows(/step 1 sent ([0-9a-f]{64})/);
  t.strictSame(await network.node.rpc('getrawmempool'), [txid]);
  await run.shows(/step 2 waits for a block with the transaction that was sent/);
  await network.node.mine(6);
  await run.shows(/step 2 waits after the step before it, until \d{4}-/);

  const shown = await done(t, begin('show'));
  t.match(shown, new RegExp(`^ *1 +0 +all +3 +the next mixdepth +1.5 h +confirmed ${txid}$`, 'm'));
  t.match(shown, /^step 2 waits after the step before it, until \d{4}-.*\na program runs it\n/m);

  t.match(await done(t, begin('stop')), /^it ends after the coinjoin that runs/);
  t.match(await done(t, run), /^stopped; to continue: onionmc schedule run savings$/m);

  const unattended = begin('unattended');
  await unattended.shows(/step 2 waits after the step before it, until \d{4}-/);
  t.notMatch(unattended.text, ASKS_PASSWORD);
  t.notMatch(unattended.text, '[y/N]');
  unattended.type('\u0003');
  t.match(await done(t, unattended), /^stopped; to continue: onionmc schedule run savings$/m);

  const json: Record<string, unknown> & { readonly steps: readonly Record<string, unknown>[] } =
    JSON.parse(await done(t, begin('json')));
  const names = Object.keys(json).flatMap((name) =>
    name === 'steps' ? [name, ...Object.keys(json.steps[0] ?? {})] : [name],
  );
  t.strictSame(names, await fieldsOfPage());
  t.match(json, { wallet: 'savings', file, running: false, waiting: { step: 2, reason: 'wait' } });
  t.strictSame(
    json.steps.map(({ state }) => state),
    ['confirmed', ...json.steps.slice(1).map(() => 'open')],
  );
});
