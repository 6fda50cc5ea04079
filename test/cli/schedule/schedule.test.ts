/**
 * `onionmc schedule` on a real node with makers that have wallets: a plan, a program that is killed between the
 * broadcast and the mark, one that is stopped in a wait, a round that fails, and what is said at the end.
 */
import { randomBytes } from 'node:crypto';
import { chmod, mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { deferred } from '../../../src/kit/deferred.js';
import { generateSeed } from '../../../src/wallet/seed.js';
import { realNodeTest } from '../../helpers/bitcoin-program.js';
import { makeCheapWallet, PASSWORD } from '../../helpers/cheap-wallet.js';
import { runCli, startCli, type Ended, type RunningCli } from '../../helpers/cli.js';
import { startMakerNetwork, type MakerNetwork } from '../../helpers/maker-network.js';
import { addressNumber } from '../../helpers/schedules.js';
import { refused, scriptAt } from '../../helpers/wallet-cli.js';

t.setTimeout(240_000);

const VALUE = 30_000_000;
const [FIRST, SECOND] = [addressNumber(1).address, addressNumber(2).address];

/** A data directory with the wallet `w`, which has one coin in mixdepth 0. */
class ScheduleCli {
  readonly datadir: string;
  readonly #options: readonly string[];

  private constructor(datadir: string) {
    this.datadir = datadir;
    this.#options = ['--datadir', datadir];
  }

  static async at(t: Test, network: MakerNetwork): Promise<ScheduleCli> {
    const cli = new ScheduleCli(
      t.testdir({ 'joinmarket.cfg': network.config(), password: `${PASSWORD}\n` }),
    );
    const { words } = generateSeed(12, (length) => randomBytes(length));
    await chmod(join(cli.datadir, 'password'), 0o600);
    await makeCheapWallet(cli.datadir, 'w', { words });
    const { stdout } = await runCli(['wallet', 'address', 'w', '--json', ...cli.withPassword], {
      detached: true,
    });
    const { address }: { address: string } = JSON.parse(stdout);
    await network.source.pay([{ script: scriptAt(address), value: VALUE }]);
    await network.node.mine(6);
    return cli;
  }

  get withPassword(): readonly string[] {
    return [...this.#options, '--password-file', join(this.datadir, 'password')];
  }

  get file(): string {
    return join(this.datadir, 'schedules', 'w.schedule');
  }

  schedule(): Promise<string> {
    return readFile(this.file, 'utf8');
  }

  /** `plan` and `run`. */
  open(command: string, ...args: readonly string[]): Promise<Ended> {
    return runCli(['schedule', command, 'w', ...args, ...this.withPassword], { detached: true });
  }

  /** `show` and `stop`, which need no password. */
  look(command: string, ...args: readonly string[]): Promise<Ended> {
    return runCli(['schedule', command, 'w', ...args, ...this.#options], { detached: true });
  }

  run(...args: readonly string[]): RunningCli {
    const quick = ['--yes', '--wait', '1', '--liquiditywait', '1', ...args];
    return startCli(['schedule', 'run', 'w', ...quick, ...this.withPassword], { detached: true });
  }

  async json(): Promise<Json> {
    const { stdout } = await this.look('show', '--json');
    const json: Json = JSON.parse(stdout);
    return json;
  }
}

interface Json {
  readonly running: boolean;
  readonly steps: readonly {
    readonly state: string;
    readonly txid: string | null;
    readonly makers: number;
    readonly failures: number;
  }[];
  readonly waiting: {
    readonly step: number;
    readonly reason: string;
    readonly until: number | null;
  } | null;
}

realNodeTest(t, 'a person runs a schedule', async (t) => {
  /** Whether the makers give no coins; and when they give some, otherwise. */
  let areSilent = false;
  let mayGive: Promise<void> = Promise.resolve();
  const network = await startMakerNetwork(t, {
    dress: (wallet) => ({
      async reserve(...args) {
        if (areSilent) return undefined;
        await mayGive;
        return wallet.reserve(...args);
      },
      sign: (...args) => wallet.sign(...args),
      settle: (...args) => wallet.settle(...args),
    }),
  });
  const cli = await ScheduleCli.at(t, network);

  await t.test('a plan is shown, written once, and replaced with a word', async (t) => {
    const dry = await cli.open('plan', FIRST, SECOND, '--dry-run', '--minmakercount', '2');
    t.equal(dry.code, 0, dry.stderr);
    t.match(dry.stdout, /^ *1 +0 +all +\d+ +the next mixdepth +[\d.]+ (min|h) +open$/m);
    t.match(dry.stdout, new RegExp(`all +\\d+ +${SECOND}`));
    t.match(dry.stdout, /an address that is asked for/);
    t.match(dry.stderr, /nothing was written/);
    await t.rejects(stat(cli.file), { code: 'ENOENT' });

    const { code, stderr } = await cli.open('plan', FIRST, '--json');
    t.equal(code, 0, stderr);
    t.equal((await stat(cli.file)).mode & 0o777, 0o600);
    t.match(await cli.schedule(), /^# schedule of the wallet w\n0,0,\d+,INTERNAL,[\d.]+,16,0\n/);
    refused(
      t,
      await cli.open('plan', FIRST),
      2,
      /there is a schedule already: run it, or give --replace/,
    );
    t.equal((await cli.open('plan', SECOND, '--replace')).code, 0);
    t.match(await cli.schedule(), SECOND);
  });

  await t.test(
    'what cannot be used is refused in one line, before anything is asked',
    async (t) => {
      refused(
        t,
        await cli.open('plan', 'bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4', '--replace'),
        2,
        /is an address of mainnet/,
      );
      refused(
        t,
        await cli.open('plan', FIRST, '--addrcount', '9', '--replace'),
        2,
        /--addrcount 9: every address needs/,
      );
      refused(
        t,
        await cli.open('plan', FIRST, '--txcountparams', '2'),
        2,
        /a mean and a standard deviation/,
      );
      await writeFile(cli.file, '# mine\n0,0,2,INTERNAL,0,16,0\n0,0.5,4,nowhere,0,16,0\n');
      refused(
        t,
        await cli.look('show'),
        2,
        /w\.schedule, line 3: destination "nowhere": is not a bitcoin address; give/,
      );
      await writeFile(cli.file, '0,0,1,INTERNAL,0,16,0\n');
      refused(
        t,
        await cli.open('run', '--yes'),
        2,
        /step 1: --makers is 1, and \[POLICY\] minimum_makers is 2/,
      );
      await writeFile(cli.file, '7,0,2,INTERNAL,0,16,0\n');
      refused(
        t,
        await cli.open('run', '--yes'),
        2,
        /step 1: mixdepth 7, and the wallet has the mixdepths 0 to 4/,
      );
      refused(t, await cli.look('stop'), 1, /no program runs this schedule/);
      refused(
        t,
        await cli.look('show', '--file', '/nowhere/x'),
        2,
        /no such schedule: "onionmc schedule plan" makes one/,
      );
    },
  );

  await mkdir(join(cli.datadir, 'schedules'), { recursive: true });
  const steps = [
    '0,0,2,INTERNAL,0.15,16,0',
    `1,0.4,3,INTERNAL,0,2,0`,
    `1,0,3,${FIRST},0,16,0`,
    `2,0,2,${SECOND},0,16,0`,
  ];
  await writeFile(cli.file, `# by hand\n${steps.join('\n')}\n`);

  await t.test('a dry run shows each step and the most that it costs', async (t) => {
    const { code, stdout, stderr } = await cli.open('run', '--dry-run');
    t.equal(code, 0, stderr);
    t.match(
      stdout,
      /^ *1 +0 +29 \d{3} \d{3} +the next mixdepth +60 000 +[\d ]+$/m,
      '0.1 % for each of two makers',
    );
    t.match(stdout, /^at worst [\d ]+ sat for all of them$/m);
    t.match(await cli.schedule(), steps.join('\n'), 'and changes nothing');
    const { waiting } = await cli.json();
    t.equal(waiting, null);
  });

  await t.test('killed after the broadcast, it does not do the step again', async (t) => {
    const killed = cli.run();
    await killed.shows('stderr', /^done; 2 makers: 2 signed$/m);
    killed.child.kill('SIGKILL');
    await killed.ended;
    const [txid] = await network.node.rpc<readonly string[]>('getrawmempool');
    const again = cli.run();
    await again.shows('stderr', /^step 2 waits for a block with the transaction that was sent$/m);
    t.match(
      await cli.schedule(),
      new RegExp(`^# by hand\\n0,0,2,INTERNAL,0.15,16,${txid}\\n1,`),
      'the line is marked',
    );
    t.same(await network.node.rpc<readonly string[]>('getrawmempool'), [txid]);
    t.match(await cli.json(), { running: true, waiting: { step: 2, reason: 'confirmation' } });
    refused(t, await cli.open('run', '--yes'), 2, /process \d+ uses the wallet: stop it first/);

    await network.node.mine(6);
    await again.shows('stderr', /^step 2 waits after the step before it, until 20\d\d-/m);
    t.equal((await cli.look('stop')).code, 0);
    const { code, stdout, stderr } = await again.ended;
    t.equal(code, 0, stderr);
    t.match(
      stdout,
      new RegExp(`^ *1 +0 +all +2 +the next mixdepth +0.1 min +confirmed ${txid}$`, 'm'),
    );
    t.match(stdout, /^mixdepth 1: [\d ]+ sat stay: 2 steps of it not done yet$/m);
    t.match(stderr, /^stopped; to continue: onionmc schedule run w$/m);
    const { waiting, running } = await cli.json();
    t.equal(running, false);
    t.match(waiting, { step: 2, reason: 'wait' });
    t.ok(
      Math.abs((waiting?.until ?? 0) - Date.now() / 1_000) < 20,
      'the end of the wait is a time',
    );
  });

  await t.test('SIGTERM ends it after the step', async (t) => {
    const running = cli.run();
    await running.shows('stderr', /^step 2: 0\.12000000 BTC of mixdepth 1 /m);
    running.child.kill('SIGTERM');
    const { code, stderr } = await running.ended;
    t.equal(code, 0, stderr);
    t.match(stderr, /^it ends after the coinjoin that runs; press Ctrl-C again/m);
    t.match(stderr, /^step 2 sent [0-9a-f]{64}$/m);
    t.match(await cli.json(), { steps: [{ state: 'confirmed' }, { state: 'sent', failures: 0 }] });
  });

  await t.test(
    'a round that fails is tried again with a change; at the end it says what is left',
    async (t) => {
      await network.node.mine(6);
      areSilent = true;
      const running = cli.run('--json');
      await running.shows('stderr', /^step 3 is tried again, until 20\d\d-/m);
      // The next round cannot end before its step was shown, however slow the machine is.
      const shown = deferred<void>();
      mayGive = shown.promise;
      areSilent = false;
      t.match(
        (await cli.json()).steps[2],
        { makers: 2, failures: 1 },
        'a sweep asks one maker fewer',
      );
      shown.resolve();
      await running.shows('stderr', /^step 3 sent /m);
      await network.node.mine(6);
      await running.shows('stderr', /^step 4 sent /m);
      await network.node.mine(1);
      const { code, stdout, stderr } = await running.ended;
      t.equal(code, 0, stderr);
      const json: Json & { end: string; leftovers: unknown[] } = JSON.parse(stdout);
      t.equal(json.end, 'finished');
      t.same(json.leftovers, []);
      const { total }: { total: number } = JSON.parse(
        (await runCli(['wallet', 'show', 'w', '--json', ...cli.withPassword], { detached: true }))
          .stdout,
      );
      t.equal(total, 0);
      const paid = await network.node.rpc<{ total_amount: number }>('scantxoutset', 'start', [
        `addr(${FIRST})`,
        `addr(${SECOND})`,
      ]);
      t.ok(
        paid.total_amount > 0.299 && paid.total_amount < 0.3,
        `${paid.total_amount} BTC arrived`,
      );
      t.equal((await cli.schedule()).match(/,[0-9a-f]{64}$/gm)?.length, 4, 'every line is marked');
      t.match((await cli.look('show')).stdout, /it is not running/);
    },
  );
});
