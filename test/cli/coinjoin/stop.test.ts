/** `onionmc coinjoin` stopped with Ctrl-C at each point, wrong arguments, no makers, no node. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { deferred } from '../../../src/kit/deferred.js';
import { realNodeTest } from '../../helpers/bitcoin-program.js';
import { startCli } from '../../helpers/cli.js';
import { startMakerNetwork } from '../../helpers/maker-network.js';
import { relayWithoutSending } from '../../helpers/node-relay.js';
import { onTerminal } from '../../helpers/pty.js';
import { TakerCli } from '../../helpers/taker-cli.js';
import { refused } from '../../helpers/wallet-cli.js';

t.setTimeout(240_000);

const never = new Promise<never>(() => {});

/** A call that is told and waits, until it is let go. */
class Hold {
  #reached = (): void => {};
  readonly reached = new Promise<void>((resolve) => {
    this.#reached = resolve;
  });
  wait(): Promise<never> {
    this.#reached();
    return never;
  }
}

realNodeTest(t, 'a coinjoin that is stopped, refused or impossible', async (t) => {
  /** Where makers do not answer now. */
  let at: 'reserve' | 'sign' | 'broadcast' | undefined;
  let hold = new Hold();
  const network = await startMakerNetwork(t, {
    fees: [100, 200],
    dress: (wallet) => ({
      reserve: (...args) => (at === 'reserve' ? hold.wait() : wallet.reserve(...args)),
      sign: (...args) => (at === 'sign' ? hold.wait() : wallet.sign(...args)),
      settle: (...args) => wallet.settle(...args),
    }),
    dressChain: (chain) => ({
      coins: (...args) => chain.coins(...args),
      seen: (...args) => chain.seen(...args),
      broadcast: (...args) => (at === 'broadcast' ? hold.wait() : chain.broadcast(...args)),
    }),
  });
  const cli = await TakerCli.at(t, network, [20_000_000, 20_000_000, 20_000_000]);
  const args = ['coinjoin', 'w', '0.1', 'INTERNAL', '--makers', '2', '--wait', '2', ...cli.options];
  const mempool = () => network.node.rpc<readonly string[]>('getrawmempool');

  await t.test('before the question: nothing was revealed', async (t) => {
    const running = startCli([...args, '--yes', '--wait', '60'], { detached: true });
    await running.shows('stderr', /./);
    running.child.kill('SIGINT');
    const { code, stdout, stderr } = await running.ended;
    t.equal(code, 1);
    t.equal(stdout, '');
    t.match(stderr, /stopped/);
  });

  await t.test('at the question, on a terminal', async (t) => {
    const screen = onTerminal(args);
    await screen.shows(/Mix with 2 makers\? \[y\/N\] /);
    screen.type('\u0003');
    t.equal(await screen.ended, 1);
    t.match(screen.text, /nothing was revealed/);
    const no = onTerminal(args);
    await no.answer(/Mix with 2 makers\? \[y\/N\] /, 'n');
    t.equal(await no.ended, 1);
    t.match(no.text, /nothing was revealed/);
  });

  const scenes = [
    [
      'reserve',
      /revealed to makers: that [0-9a-f]{64}:\d+ is ours, which used one try of its proof/,
    ],
    [
      'sign',
      /revealed to makers: the transaction with our coins, destination and change; not our signatures/,
    ],
  ] as const;
  for (const [where, revealed] of scenes) {
    // oxlint-disable-next-line no-await-in-loop -- one scene after the other
    await t.test(`while the makers ${where}`, async (t) => {
      at = where;
      hold = new Hold();
      const screen = onTerminal([...args, '--yes']);
      await hold.reached;
      screen.type('\u0003');
      t.equal(await screen.ended, 1);
      t.match(screen.text, /onionmc: stopped; /);
      t.match(screen.text, revealed);
      t.strictSame(await mempool(), []);
      at = undefined;
    });
  }

  await t.test('afterwards it succeeds, on a terminal', async (t) => {
    const screen = onTerminal(args);
    await screen.answer(/Mix with 2 makers\? \[y\/N\] /, 'y');
    await screen.shows(/signing; 2 makers: 2 signed/);
    t.equal(await screen.ended, 0, screen.text);
    t.equal((await mempool()).length, 1);
    await network.node.mine(6);
  });

  const show = (...more: readonly string[]) => cli.run('wallet', ...more);

  await t.test('killed between its signatures and the broadcast', async (t) => {
    const sends = deferred<void>();
    const port = await relayWithoutSending(t, network.node.rpcPort, () => sends.resolve());
    const file = join(cli.datadir, 'joinmarket.cfg');
    const config = network.config();
    await writeFile(file, config.replace(/^rpc_port = .*$/m, `rpc_port = ${port}`));
    const running = startCli([...args, '--yes'], { detached: true });
    await Promise.race([sends.promise, running.ended]);
    running.child.kill('SIGKILL');
    const { signal, stderr } = await running.ended;
    t.equal(signal, 'SIGKILL', stderr);
    t.strictSame(await mempool(), []);
    await writeFile(file, config);

    const shown = await show('show', 'w');
    t.equal(shown.code, 0, shown.stderr);
    const sent = /the coinjoin ([0-9a-f]{64}) of an earlier run: It was sent again and waits/;
    const [, txid = ''] = sent.exec(shown.stderr) ?? [];
    t.strictSame(await mempool(), [txid]);
    t.match((await show('show', 'w')).stderr, new RegExp(`${txid} of .*: It is in the mempool`));
    await network.node.mine(1);
    t.notMatch((await show('show', 'w')).stderr, /earlier run/);
    t.match((await show('history', 'w')).stdout, new RegExp(txid.slice(0, 16)));
  });

  await t.test('after our signatures left, and a maker does not send it', async (t) => {
    at = 'broadcast';
    hold = new Hold();
    const screen = onTerminal([...args, '--yes', '--broadcast', 'not-self']);
    await hold.reached;
    await screen.shows(/giving the transaction to a maker/);
    screen.type('\u0003');
    t.equal(await screen.ended, 1);
    t.match(
      screen.text,
      /onionmc: [0-9a-f]{64} was not seen in the network: the round was stopped; revealed: the transaction with our signatures; .* stay reserved/,
    );
    t.strictSame(await mempool(), []);

    const held =
      /note: the coinjoin ([0-9a-f]{64}) of an earlier run: The network does not have it, and only makers may send it/;
    const shown = await show('show', 'w');
    t.equal(shown.code, 0, shown.stderr);
    const [, txid = ''] = held.exec(shown.stderr) ?? [];
    t.match(shown.stderr, /Its coins are held, .*; "onionmc wallet reclaim" pays them back/);
    const journal = join(cli.datadir, 'wallets', 'w', 'journal');
    const before = await readFile(journal);
    const dry = await cli.coinjoin('sweep', 'INTERNAL', '--dry-run');
    t.match(dry.stderr, `the coinjoin ${txid} of an earlier run is not settled`);
    t.ok(before.equals(await readFile(journal)), 'a dry run continues nothing');
    t.match((await show('coins', 'w')).stdout, /coinjoin/);

    const back = await show('reclaim', 'w', txid, '--fee-rate', '3', '--yes', '--json');
    t.equal(back.code, 0, back.stderr);
    t.match(JSON.parse(back.stdout), { outcome: 'sent', replaces: /^[0-9a-f]{64}$/ });
    t.strictSame(await mempool(), [JSON.parse(back.stdout).txid]);
    await network.node.mine(6);
    const after = await show('coins', 'w', '--json');
    t.notMatch(after.stderr, /earlier run/);
    const coins: readonly { reason: string | null }[] = JSON.parse(after.stdout);
    t.ok(
      coins.every(({ reason }) => reason === null),
      'all coins are free',
    );
    refused(
      t,
      await show('reclaim', 'w', txid, '--fee-rate', '3', '--yes'),
      2,
      /is no coinjoin that may/,
    );
    at = undefined;
  });

  await t.test('wrong arguments: one line, exit code 2', async (t) => {
    const rows: readonly (readonly [readonly string[], RegExp])[] = [
      [['0.1'], /give an amount \(or sweep\) and a destination/],
      [['1', 'INTERNAL'], /1sat or 1btc/],
      [['0.1', 'nowhere'], /address/],
      [['0.1', 'INTERNAL', '--makers', '1'], /minimum_makers is 2/],
      [['0.1', 'INTERNAL', '--max-fee-rel', '0.4'], /--accept-high-maker-fee/],
      [['0.1', 'INTERNAL', '--max-fee-rel', '2'], /a fraction such as 0\.001/],
      [['0.1', 'INTERNAL', '--mixdepth', '9', '--yes'], /the wallet has the mixdepths 0 to 2/],
      [['0.1', 'INTERNAL', '--choice', 'best'], /bond-weighted/],
      [['0.1', 'INTERNAL', '--broadcast', 'you'], /random-peer/],
      [['0.1', 'INTERNAL', '--pick', 'a b'], /a nick such as J5/],
      [['0.1', 'INTERNAL'], /there is no terminal to ask for a yes/],
    ];
    for (const [words, why] of rows) {
      // oxlint-disable-next-line no-await-in-loop -- two cores
      refused(t, await cli.coinjoin(...words), 2, why);
    }
  });

  await t.test('no makers: exit code 1', async (t) => {
    await Promise.all(network.makers.map((maker) => maker.leave()));
    const ended = await cli.coinjoin('0.1', 'INTERNAL', '--makers', '2', '--yes', '--json');
    refused(t, ended, 1, /offers of 0 makers fit, and 2 are needed/);
  });

  await t.test('the node is away: exit code 3', async (t) => {
    await network.node.stop();
    const ended = await cli.coinjoin('0.1', 'INTERNAL', '--makers', '2', '--yes');
    refused(t, ended, 3, /bitcoin node/);
    await writeFile(join(cli.datadir, 'joinmarket.cfg'), network.config({ nodes: '' }));
    refused(t, await cli.coinjoin('0.1', 'INTERNAL', '--yes'), 2, /directory_nodes/);
  });
});
