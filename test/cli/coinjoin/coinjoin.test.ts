/** `onionmc coinjoin` on a real node with makers that have wallets: pipes, a terminal, JSON, dry run, errors. */
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { realNodeTest } from '../../helpers/bitcoin-program.js';
import type { Ended } from '../../helpers/cli.js';
import { startMakerNetwork } from '../../helpers/maker-network.js';
import { TakerCli } from '../../helpers/taker-cli.js';

t.setTimeout(180_000);

const ADDRESS = 'bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080';
const KEYS = ['txid', 'amount', 'makers', 'makerFees', 'minerFee', 'feeRate', 'failed'];

interface Json {
  readonly txid: string | null;
  readonly amount: number;
  readonly makers: readonly { readonly nick: string; readonly fee: number }[];
  readonly makerFees: number;
  readonly minerFee: number;
  readonly feeRate: number;
  readonly failed: readonly unknown[];
}

interface Raw {
  readonly vsize: number;
  readonly vout: readonly {
    readonly value: number;
    readonly scriptPubKey: { readonly address?: string };
  }[];
}

/** Values of the coins that a plan shows. */
const spent = ({ stdout, stderr }: Ended): readonly string[] =>
  [...`${stdout}${stderr}`.matchAll(/^(?:spends)? +(0\.\d{8}) +[0-9a-f]{64}:\d+$/gm)].map(
    ([, value = '']) => value,
  );

realNodeTest(t, 'a person mixes coins', async (t) => {
  /** Makers whose wallet gives no coins. */
  const silent = new Set<number>();
  const network = await startMakerNetwork(t, {
    dress: (wallet, n) => ({
      reserve: async (...args) => (silent.has(n) ? undefined : wallet.reserve(...args)),
      sign: (...args) => wallet.sign(...args),
      settle: (...args) => wallet.settle(...args),
    }),
  });
  const cli = await TakerCli.at(t, network, [20_000_000, 10_000_000]);

  await t.test('a dry run shows the plan and changes nothing', async (t) => {
    await cli.run('wallet', 'show', 'w');
    const before = await cli.files();
    const { code, stdout, stderr } = await cli.coinjoin(
      '0.1',
      'INTERNAL',
      '--dry-run',
      '--makers',
      '2',
    );
    t.equal(code, 0, stderr);
    t.match(stdout, /^mixes +0\.10000000 +to a fresh address of the next mixdepth$/m);
    t.match(stdout, /^makers +2 makers, 0 with a bond; 3 makers of the orderbook fit$/m);
    t.match(stdout, /^proofs .* 3 tries left, \d+ confirmations$/m);
    t.strictSame(await cli.files(), before);
  });

  await t.test('through a pipe', async (t) => {
    const ended = await cli.coinjoin('0.1', 'INTERNAL', '--makers', '2', '--yes');
    const { code, stdout, stderr } = ended;
    t.equal(code, 0, stderr);
    t.match(stdout, /^[0-9a-f]{64}\n$/);
    t.match(stderr, /^asking makers$/m);
    t.match(stderr, /^choosing coins; 2 makers: 2 ready$/m);
    t.match(stderr, /^done; 2 makers: 2 signed$/m);
    t.match(stderr, /^mixed 10 000 000 sat with 2 makers; it cost [\d ]+ sat, 0\.0\d %/m);
    t.match(stderr, /^broadcast by this program$/m);
    const mempool = await network.node.rpc<readonly string[]>('getrawmempool');
    t.strictSame(mempool, [stdout.trim()]);
    await network.node.mine(6);
  });

  await t.test('JSON, to an address, with makers that are named', async (t) => {
    const picks = network.makers.slice(0, 2).flatMap(({ nick }) => ['--pick', nick]);
    const { code, stdout, stderr } = await cli.coinjoin(
      '9000000sat',
      ADDRESS,
      ...picks,
      '--yes',
      '--json',
    );
    t.equal(code, 0, stderr);
    const json: Json = JSON.parse(stdout);
    t.strictSame(Object.keys(json), KEYS);
    t.strictSame(
      new Set(json.makers.map(({ nick }) => nick)),
      new Set(picks.filter((_, n) => n % 2 === 1)),
    );
    t.match(json, { amount: 9_000_000, makerFees: 300, failed: [] });
    const { vsize, vout } = await network.node.rpc<Raw>('getrawtransaction', json.txid, 2);
    t.equal(vout.filter(({ value }) => value === 0.09).length, 3, 'three equal outputs');
    t.ok(vout.some(({ scriptPubKey }) => scriptPubKey.address === ADDRESS));
    t.ok(Math.abs(json.feeRate - json.minerFee / vsize) < 0.01, 'satoshi per virtual byte');
    await network.node.mine(6);
  });

  await t.test('a sweep empties the mixdepth; who failed is told and remembered', async (t) => {
    const [, , away] = network.makers;
    silent.add(2);
    const ended = await cli.coinjoin('sweep', 'INTERNAL', '--makers', '3', '--yes', '--json');
    const { code, stdout, stderr } = ended;
    t.equal(code, 0, stderr);
    const json: Json = JSON.parse(stdout);
    t.equal(json.makers.length, 2, 'one of three failed, and two are enough');
    t.match(json.failed, [{ nick: away?.nick, fault: 'refused' }]);
    t.match(stderr, new RegExp(`^${away?.nick} failed \\(refused\\): `, 'm'));
    const remembered = await readFile(join(cli.datadir, 'failed-makers.json'), 'utf8');
    t.match(remembered, `nick ${away?.nick}`);
    await network.node.mine(6);
    const shown = await cli.run('wallet', 'show', 'w', '--json');
    t.match(JSON.parse(shown.stdout), { mixdepths: [{ mixdepth: 0, balance: 0 }] });
    silent.clear();
  });

  await t.test('merge_algorithm and commit_file_location of the configuration act', async (t) => {
    const other = await TakerCli.at(t, network, [30_000_000, 12_000_000, 8_000_000], 'v');
    const mix = (...more: readonly string[]) =>
      other.run('coinjoin', 'v', '0.15', 'INTERNAL', '--makers', '2', '--wait', '2', ...more);
    t.strictSame(spent(await mix('--dry-run')), ['0.30000000'], 'default');
    const policy = ['merge_algorithm = greediest', 'commit_file_location = cmtdata/mine.json'];
    await writeFile(join(other.datadir, 'joinmarket.cfg'), network.config({ policy }));
    const ended = await mix('--yes');
    t.equal(ended.code, 0, ended.stderr);
    t.strictSame(spent(ended).toSorted(), ['0.08000000', '0.12000000'], 'greediest');
    const files = await readdir(join(other.datadir, 'cmtdata'));
    t.ok(files.includes('mine.json') && !files.includes('commitments.json'), files.join(' '));
    const { used }: { used: readonly string[] } = JSON.parse(
      await readFile(join(other.datadir, 'cmtdata', 'mine.json'), 'utf8'),
    );
    t.equal(used.length, 1, 'the proof that was shown');
    await network.node.mine(6);
  });

  await t.test('nothing is left in the mixdepth: exit code 1', async (t) => {
    const ended = await cli.coinjoin('0.01', 'INTERNAL', '--makers', '2', '--yes');
    t.equal(ended.code, 1);
    t.match(ended.stderr, /^onionmc: .*(more than what can be spent|nothing can be spent)/m);
  });
});
