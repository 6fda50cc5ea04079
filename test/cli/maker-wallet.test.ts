/** `onionmc maker --wallet` as a person runs it: with a real node, over loopback sockets. */
import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { silentLog } from '../../src/channel/log.js';
import type { RoundResult } from '../../src/negotiation/taker/api.js';
import { runCoinjoin } from '../../src/negotiation/taker/coinjoin.js';
import { systemClock } from '../../src/overlay/system-clock.js';
import { formatLocation } from '../../src/protocol/location.js';
import { parseOffer, type Offer } from '../../src/protocol/offer.js';
import { startBitcoinNode, type BitcoinNode } from '../helpers/bitcoin-node.js';
import { realNodeTest } from '../helpers/bitcoin-program.js';
import { makeCheapWallet, walletPlace } from '../helpers/cheap-wallet.js';
import { runCli, startCli, type RunningCli } from '../helpers/cli.js';
import { CoinSource } from '../helpers/coin-source.js';
import { createMemoryCommitments } from '../helpers/coinjoin-world.js';
import { loopbackConfig } from '../helpers/config.js';
import { serveDirectory } from '../helpers/directory-service.js';
import { openTestNode } from '../helpers/node-chain.js';
import { regtestTaker, takerScript } from '../helpers/paid-taker.js';
import { anyPort, openLiveTestChannel, type LiveTestChannel } from '../helpers/test-channel.js';
import { refused, rpcLines, WalletCli } from '../helpers/wallet-cli.js';

const run = (...args: readonly string[]) => runCli(['maker', ...args], { detached: true });

t.test('usage: what is refused before anything starts', async (t) => {
  const { datadir, options, passwordFile } = await walletPlace(t);
  const blockchain = 'network = regtest\nblockchain_source = no-blockchain';
  const nodes = '127.0.0.1:1';
  await writeFile(join(datadir, 'joinmarket.cfg'), loopbackConfig({ nodes, blockchain }));
  await makeCheapWallet(datadir, 'w');
  const rows: readonly (readonly [readonly string[], number, RegExp])[] = [
    [
      ['--wallet', 'w', '--size', '1000000', ...options],
      2,
      /--size.*cannot be used with.*--wallet/,
    ],
    [['--wallet', '../w', ...options], 2, /a name of letters, digits/],
    [['--wallet', 'other', ...options], 2, /wallets\/other: no wallet there; there are w/],
    [['--wallet', 'w', '--datadir', datadir], 2, /no terminal to ask for the password/],
    [['--wallet', 'w', ...options], 2, /a wallet needs a bitcoin node/],
    [['history', 'w', '--size', '5'], 2, /unknown option/],
    [['histroy', 'w'], 2, /too many arguments|unknown command/],
  ];
  for (const [args, code, why] of rows) {
    // oxlint-disable-next-line no-await-in-loop -- one data directory
    refused(t, await run(...args), code, why);
  }
  await writeFile(passwordFile, 'wrong\n');
  refused(t, await run('--wallet', 'w', ...options), 2, /password/);
});

t.test('on mainnet the word for the risk is needed before the password', async (t) => {
  const { options } = await walletPlace(t, ['blockchain_source = no-blockchain'], 'mainnet');
  const config = await runCli(['maker', '--wallet', 'w', ...options], { detached: true });
  refused(t, config, 2, /give --mainnet-i-accept-the-risk if you accept that/);
});

interface Person {
  readonly cli: WalletCli;
  /** Starts the maker with the wallet `earner`. */
  readonly start: () => RunningCli;
}

/** A data directory with a node, a directory, and an empty wallet `earner`. */
async function person(t: Test, node: BitcoinNode, nodes: string): Promise<Person> {
  const cli = await WalletCli.at(t, node);
  const blockchain = ['network = regtest', ...rpcLines(node)].join('\n');
  await writeFile(join(cli.datadir, 'joinmarket.cfg'), loopbackConfig({ nodes, blockchain }));
  await cli.make('earner');
  return {
    cli,
    start: () => startCli(['maker', '--wallet', 'earner', ...cli.options], { detached: true }),
  };
}

/** The next offer of a nick. */
async function offerOf(watcher: LiveTestChannel, nick: string): Promise<Offer> {
  for (;;) {
    // oxlint-disable-next-line no-await-in-loop -- one message after the other
    const { from, commands } = await watcher.next('pubmsg');
    for (const command of commands) {
      const parsed = parseOffer(command);
      if (from === nick && parsed.ok) return parsed.value;
    }
  }
}

realNodeTest(t, 'a maker with a wallet, from an empty wallet to a killed process', async (t) => {
  const node = await startBitcoinNode(t);
  const source = new CoinSource(node);
  await source.fill(4);
  const chain = await openTestNode(t, node);
  const directory = await serveDirectory(t, anyPort(), systemClock, 'J5directoryOOOOO', 'regtest');
  const { cli, start } = await person(t, node, formatLocation(directory.location));
  const watcher = openLiveTestChannel([directory.location], { network: 'regtest' });
  t.teardown(() => watcher.close());
  await watcher.next('welcome');
  const history = (...more: readonly string[]) =>
    runCli(['maker', 'history', 'earner', ...cli.options, ...more], { detached: true });
  const statement = async (): Promise<readonly string[]> =>
    (await readFile(join(cli.datadir, 'logs', 'yigen-statement.csv'), 'utf8')).split('\n');
  let takers = 0;
  const coinjoin = async (nick: string, offer: Offer): Promise<RoundResult> => {
    takers += 1;
    const name = `taker ${takers}`;
    const value = 3_100_000;
    const [paid] = await source.pay([{ script: takerScript(name, 0), value }]);
    if (paid === undefined) throw new Error('the taker has no coin');
    await node.mine(6);
    return runCoinjoin({
      channel: watcher,
      network: 'regtest',
      wallet: regtestTaker(name, [{ ...paid, value }]),
      chain,
      commitments: createMemoryCommitments(),
      amount: 3_000_000,
      makers: 1,
      candidates: [{ nick, offer }],
      policy: { minimumMakers: 1, maxCjFeeAbs: 10_000, broadcast: 'self' },
      feePerKb: 2_000,
      clock: systemClock,
      randomBytes,
      log: silentLog,
    });
  };

  await t.test('an empty wallet: the reason, and a clean end', async (t) => {
    const maker = start();
    await maker.shows('stderr', /no offer is announced: .*deposit to it/);
    maker.child.kill('SIGTERM');
    t.match(await maker.ended, { code: 0, stdout: '' });
    t.match(await history(), { code: 0, stdout: 'no coinjoins as a maker\n' });
  });

  await source.pay([{ script: (await cli.deposit(t, 'earner')).script, value: 20_000_000 }]);
  await node.mine();

  await t.test('a coinjoin, then SIGKILL: the restart has it in its books', async (t) => {
    const maker = start();
    const [, nick = ''] = await maker.shows('stdout', /^(J5\w{14})\n/);
    const offer = await offerOf(watcher, nick);
    t.ok(offer.maxsize <= 20_000_000 - 27_301 + 400 && offer.maxsize >= 17_900_000, 'of its coin');
    t.equal(offer.cjfee, '0.000020');
    refused(t, await start().ended, 2, /a maker runs with the data directory .* already/);
    const result = await coinjoin(nick, offer);
    if (!result.ok) throw new Error(`${result.fault}: ${result.detail}`);
    maker.child.kill('SIGKILL');
    await maker.ended;
    t.strictSame((await statement()).length, 4, 'the header and the two starts');
    await node.mine();

    const again = start();
    const [, next = ''] = await again.shows('stdout', /^(J5\w{14})\n/);
    t.not(next, nick);
    const smaller = await offerOf(watcher, next);
    t.ok(smaller.maxsize < 17_000_000, 'of what is left in the mixdepth');
    t.match((await statement()).slice(3), [
      /,Connected$/,
      /,3000000,1,20000000,60,60,\d+\.\d\d,$/,
      '',
    ]);
    const { stdout } = await history('--json');
    t.match(JSON.parse(stdout), [
      { txid: result.txid, state: 'confirmed', amount: 3_000_000, inputs: 1, fee: 60, earned: 60 },
    ]);
    t.match(await history(), { code: 0, stdout: /1 confirmed coinjoin earned 60 sat\n$/ });

    const second = await coinjoin(next, smaller);
    t.ok(second.ok);
    await node.mine();
    await again.shows('stderr', /the coins have changed: new offers follow under a new nick/);
    again.child.kill('SIGTERM');
    t.equal((await again.ended).code, 0);
    const lines = await statement();
    t.equal(lines.filter((line) => line.includes(',3000000,1,')).length, 2, 'one line for each');
    t.match(await history(), { stdout: /2 confirmed coinjoins earned 120 sat\n$/ });
  });
});
