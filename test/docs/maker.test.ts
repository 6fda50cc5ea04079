/**
 * Runs docs/maker.md as written, on a real node. Real: bash, onionmc, the wallet, the unit's command and its
 * credentials. Stand-ins, since a test cannot have these: sudo (this user), adduser and apt-get (recorded), git
 * and scripts/setup (this tree), systemd-creds (encodes), systemctl (runs ExecStart of the installed unit, without
 * its confinement). Plain connections in place of Tor; the person's password comes from a credential.
 */
import { createHmac, randomBytes } from 'node:crypto';
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import t, { type Test } from 'tap';
import { silentLog } from '../../src/channel/log.js';
import { openMessageChannel } from '../../src/channel/message-channel.js';
import { freePort } from '../../src/lab/private-network/free-ports.js';
import { createLoopbackOverlay } from '../../src/overlay/loopback.js';
import { systemClock } from '../../src/overlay/system-clock.js';
import type { Location } from '../../src/protocol/location.js';
import { createNickKey } from '../../src/protocol/nick.js';
import { startDirectoryNode } from '../../src/roles/directory-node.js';
import { startMaker } from '../../src/roles/maker.js';
import { startBitcoinNode, type BitcoinNode } from '../helpers/bitcoin-node.js';
import { bitcoinCommand, realNodeTest } from '../helpers/bitcoin-program.js';
import { quoted } from '../helpers/pty.js';
import { ROOT, runSteps, stepsOf } from './steps.js';

t.setTimeout(300_000);

const PASSWORD = 'a password of the page';

/** Knows only the commands of the page. */
const SYSTEMCTL = `
unit="$SANDBOX/units/onionmc-maker@.service"
pid=$SANDBOX/pid
start() {
  creds=$SANDBOX/service-credentials
  mkdir -p "$creds"
  sed -n 's/^LoadCredentialEncrypted=//p' "$unit" | sed 's/%i/savings/g' | while IFS=: read -r id name; do
    [[ ! -e $SANDBOX/credstore/$name ]] || base64 -d "$SANDBOX/credstore/$name" >"$creds/$id"
  done
  command=$(sed -n "s#^ExecStart=node /opt/onionmc#node $SANDBOX/opt/onionmc#p" "$unit")
  command=\${command//%i/savings}
  command=\${command//\\/var\\/lib\\/onionmc/$SANDBOX\\/data}
  CREDENTIALS_DIRECTORY=$creds bash -c "exec $command" </dev/null >>"$LOGS/service.nicks" 2>>"$LOGS/journal" &
  echo $! >"$pid"
}
stop() {
  [[ -e $pid ]] || return 0
  kill "$(<"$pid")"
  while kill -0 "$(<"$pid")" 2>/dev/null; do sleep 0.1; done
  rm "$pid"
}
case "$*" in
daemon-reload) ;;
'enable --now onionmc-maker@savings' | 'start onionmc-maker@savings') start ;;
'stop onionmc-maker@savings') stop ;;
'restart onionmc-maker@savings') stop; start ;;
*) echo "systemctl $*: not known here" >&2; exit 1 ;;
esac`;

const PROGRAMS = {
  sudo: 'if [[ $1 == -u ]]; then shift 2; fi; exec "$@"',
  adduser:
    'echo "adduser $*" >>"$SANDBOX/calls"; if [[ $* == *--home* ]]; then mkdir -p "$SANDBOX/data"; fi',
  'apt-get': 'echo "apt-get $*" >>"$SANDBOX/calls"',
  // The clone: this tree, with a set-up that has nothing to do.
  git: `[[ $1 != pull ]] || exit 0
mkdir -p "$3/scripts" && ln -s '${ROOT}'{systemd,node_modules,package.json,joinmarket.cfg.example} "$3" && cp -r '${ROOT}dist' "$3"
cp "$SANDBOX/bin/setup-of-the-clone" "$3/scripts/setup"`,
  'setup-of-the-clone': 'chmod +x "${0%/*}/../dist/cli/main.js"',
  'systemd-ask-password': `printf %s '${PASSWORD}'`,
  'systemd-creds': '[[ $1 == encrypt && $2 == --name=* && $3 == - ]] || exit 1; base64 >"$4"',
  systemctl: SYSTEMCTL,
  'bitcoin-cli': `exec ${(bitcoinCommand('bitcoin-cli') ?? []).map(quoted).join(' ')} -regtest "$@"`,
};

async function sandbox(t: Test) {
  const dir = t.testdir({ home: {}, logs: {}, bin: {}, opt: {}, units: {}, person: {} });
  for (const [name, body] of Object.entries(PROGRAMS)) {
    // oxlint-disable-next-line no-await-in-loop -- small files
    await writeFile(join(dir, 'bin', name), `#!/bin/bash\n${body}\n`, { mode: 0o755 });
  }
  // What the person types.
  await writeFile(join(dir, 'person', 'wallet-password'), `${PASSWORD}\n`, { mode: 0o600 });
  const logs = join(dir, 'logs');
  return {
    dir,
    logs,
    env: {
      SANDBOX: dir,
      HOME: join(dir, 'home'),
      CREDENTIALS_DIRECTORY: join(dir, 'person'),
      PATH: `${join(dir, 'bin')}${delimiter}${process.env['PATH'] ?? ''}`,
    },
    said: (step: string, kind = 'out'): Promise<string> =>
      readFile(join(logs, `${step}.${kind}`), 'utf8'),
  };
}

/** A directory, and two makers of other people without a wallet. Resolves to its location. */
async function startPeers(t: Test): Promise<Location> {
  const node = await startDirectoryNode({
    network: 'regtest',
    overlay: createLoopbackOverlay({ host: '127.0.0.1', port: 0 }),
  });
  t.teardown(() => node.close());
  for (const cjfee of ['0.000010', '0.000500']) {
    const channel = openMessageChannel({
      network: 'regtest',
      directories: [node.location],
      overlay: createLoopbackOverlay({ host: '127.0.0.1', port: 0 }),
      nickKey: createNickKey(randomBytes),
      serve: true,
      clock: systemClock,
      random: Math.random,
      log: silentLog,
    });
    t.teardown(() => channel.close());
    const terms = { type: 'sw0reloffer', oid: 0, minsize: 100_000, txfee: 0 } as const;
    const offers = [{ ...terms, maxsize: 1_000_000_000, cjfee }];
    const maker = startMaker({ channel, offers, clock: systemClock, log: silentLog });
    t.teardown(() => maker.stop());
  }
  return node.location;
}

/** A user of the node that may mine: the cookie is for the maker, and may do only what the page allows. */
const MINER = { user: 'miner', password: 'of the test', salt: 'c0ffee' };

async function startNode(t: Test): Promise<BitcoinNode> {
  const page = await readFile(join(ROOT, 'docs/maker.md'), 'utf8');
  const [, allowed = ''] = /^rpcwhitelist=onionmc:(\S+)$/m.exec(page) ?? [];
  const { user, password, salt } = MINER;
  const hash = createHmac('sha256', salt).update(password).digest('hex');
  return startBitcoinNode(t, {
    args: [
      `-rpcwhitelist=__cookie__:${allowed}`,
      '-rpcwhitelistdefault=0',
      `-rpcauth=${user}:${salt}$${hash}`,
      '-rpccookieperms=group',
    ],
  });
}

/** A coin of 50 BTC for an address, and the blocks that make it spendable. */
const paid = (node: BitcoinNode, address: string): string => {
  const cli = `bitcoin-cli -rpcport=${node.rpcPort} -rpcuser=${MINER.user} -rpcpassword='${MINER.password}'`;
  const elsewhere = 'bcrt1qgysu2eynn6klarz200ctgev7gqhhp7hwsdaaec3c7h0ltmc3r68q87c2d3';
  return `${cli} generatetoaddress 1 "${address}"; ${cli} generatetoaddress 100 ${elsewhere}`;
};

/** Waits until the service has announced its offers so many times. */
const announced = (times: number): string =>
  `until [[ $(grep -c 'offers announced' "$LOGS/journal") -ge ${times} ]]; do kill -0 "$(<"$SANDBOX/pid")"; sleep 0.1; done`;

realNodeTest(t, 'docs/maker.md', async (t) => {
  const node = await startNode(t);
  t.equal((await stat(node.cookieFile)).mode & 0o777, 0o640, 'rpccookieperms of the page');
  await t.rejects(node.mine(), /403|JSON/, 'the cookie may do no more than the page says');
  const directory = await startPeers(t);
  const { dir, logs, env, said } = await sandbox(t);
  await mkdir(join(dir, 'opt'), { recursive: true });
  const port = await freePort();
  const steps = await stepsOf('docs/maker.md');
  const begun = await runSteps(t, steps, {
    logs,
    cwd: dir,
    env,
    replace: [
      ['network = signet', `network = regtest\nrpc_port = ${node.rpcPort}`],
      ['/var/lib/bitcoind/signet/.cookie', node.cookieFile],
      [
        'type = onion',
        `type = onion\nregtest_count = 1,1\nonion_serving_port = 0\ndirectory_nodes = ${directory.host}:${directory.port}\n[TIMEOUT]\nmaker_timeout_sec = 4`,
      ],
      ['62602', String(port)],
      ['REPOSITORY', ROOT],
      ['/usr/local/bin/onionmc', join(dir, 'bin', 'onionmc')],
      ['/opt/onionmc', join(dir, 'opt', 'onionmc')],
      ['/var/lib/onionmc', join(dir, 'data')],
      ['/etc/credstore.encrypted', join(dir, 'credstore')],
      ['/etc/systemd/system', join(dir, 'units')],
    ],
    before: {
      credential: 'kill "${PIDS[by-hand]}"; wait "${PIDS[by-hand]}" || true',
    },
    after: {
      deposit: paid(node, '$(<"$LOGS/deposit.out")'),
      'by-hand': "until_shown by-hand 'offers announced'",
      service: announced(1),
      bond: paid(node, '$(tail -n 1 "$LOGS/bond.out")'),
      'bond-list': announced(2),
      update: `${announced(3)}; systemctl stop onionmc-maker@savings`,
    },
  });
  t.same(begun, [...steps.map(({ name }) => name), 'done']);

  const calls = await readFile(join(dir, 'calls'), 'utf8');
  t.match(calls, /adduser --system --group --home \S+ onionmc\n[^]*adduser onionmc bitcoin\n/);
  t.match(await said('wallet'), /^(?:[a-z]+ ){11}[a-z]+$/m, 'twelve words');
  t.match(await said('look'), /total 50\.0+, available 50\.0+/);
  const nicks = [
    ...`${await said('by-hand')}${await readFile(join(logs, 'service.nicks'), 'utf8')}`.matchAll(
      /J5\w{14}/g,
    ),
  ];
  t.ok(new Set(nicks.map(([nick]) => nick)).size >= 4, 'a new nick at each start');
  const journal = await readFile(join(logs, 'journal'), 'utf8');
  t.notMatch(journal, new RegExp(PASSWORD));

  const status = await said('status');
  t.match(status, /^onionmc \S+ maker, regtest, up /);
  t.match(status, /\noffers {4}sw0reloffer 0\.0000\d\d, 0\.00\d+ to \d\d\.\d{8} BTC\n/);
  t.match(status, /\ncoins {5}0: 50\.00000000\n/);
  t.match(await said('bond-list'), /50\.00000000 BTC/);
  const why = await said('why');
  t.match(why, /^savings: offers of the running maker J5\w+\n/);
  t.match(why, /\n {2}fidelity bond: value \d/);
  t.match(why, /\n +0\.1 +3 \(1\) +\d+ sat +2 of 3 +1 of 1 +100\.0\n/);
  t.match(why, /\n! the book has 2 other makers, fewer than the 9/);
  t.match(await said('history'), /^no coinjoins as a maker$/m);
  t.ok((await stat(join(dir, 'data', 'savings.backup'))).size > 100);
});
