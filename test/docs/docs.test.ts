/**
 * Runs the commands of the pages as written. Real: bash, onionmc, scripts/setup, tar, sed, Tor on a private
 * network. Stand-ins, since a test cannot have these: sudo (this user), git and npm (a copy of this tree
 * instead of a download), apt-get (only recorded), systemctl (runs ExecStart of the installed unit, without
 * its confinement).
 */
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { delimiter, dirname, join } from 'node:path';
import t, { type Test } from 'tap';
import { torNetworkFor } from '../helpers/tor-network.js';
import { ROOT, runSteps, stepsOf } from './steps.js';
import { freePort } from '../../src/lab/private-network/free-ports.js';

// A minute on a quiet machine; the Tors of four programs start cold.
t.setTimeout(600_000);

/** A home, a folder for logs, and one for programs that is first in the PATH. */
async function sandbox(t: Test, programs: Readonly<Record<string, string>>) {
  const dir = t.testdir({ home: {}, logs: {}, bin: {}, opt: {}, lib: {}, units: {} });
  for (const [name, body] of Object.entries(programs)) {
    await writeFile(join(dir, 'bin', name), `#!/bin/bash\n${body}\n`, { mode: 0o755 });
  }
  const env = {
    HOME: join(dir, 'home'),
    PATH: `${join(dir, 'bin')}${delimiter}${process.env['PATH'] ?? ''}${delimiter}/usr/sbin`,
  };
  return {
    dir,
    env,
    logs: join(dir, 'logs'),
    said: (step: string, kind = 'out') => readFile(join(dir, 'logs', `${step}.${kind}`), 'utf8'),
  };
}

const ONIONMC = `exec node '${join(ROOT, 'dist/cli/main.js')}' "$@"`;

/** A file of torrc lines that bring a Tor to the private network. */
async function torrcExtra(dir: string, lines: readonly string[]): Promise<string> {
  const file = join(dir, 'extra.torrc');
  // A cold Tor of a few relays: no guard is kept, and a dead service is given up soon.
  await writeFile(file, `${[...lines, 'SocksTimeout 10'].join('\n')}\n`);
  return file;
}

/** Another program of this machine may have the default one. */
const ANY_SERVING_PORT = 's/^onion_serving_port = .*/onion_serving_port = 0/';

t.test('every link of the pages has a target', async (t) => {
  const pages = [
    'README.md',
    'CONTRIBUTING.md',
    ...(await readdir(join(ROOT, 'docs'), { recursive: true })).map((page) => join('docs', page)),
  ].filter((page) => page.endsWith('.md'));
  t.ok(pages.includes('docs/library.md'));
  const dead: string[] = [];
  for (const page of pages) {
    const text = await readFile(join(ROOT, page), 'utf8');
    const targets = text.matchAll(/\]\(([\w./-]+\.(?:md|png|txt))(?:#[\w-]+)?\)/g);
    for (const target of new Set([...targets].map(([, path = '']) => path))) {
      const path = join(ROOT, dirname(page), target);
      if (!(await stat(path).catch(() => undefined))) dead.push(`${page}: ${target}`);
    }
    for (const [, path = ''] of text.matchAll(
      /`((?:deploy|systemd|test|src|scripts|bench|soak)\/[\w./-]+)`/g,
    )) {
      if (!(await stat(join(ROOT, path)).catch(() => undefined))) dead.push(`${page}: ${path}`);
    }
  }
  t.same(dead, []);
});

t.test('docs/signet.md', async (t) => {
  const network = await torNetworkFor(t);
  const { dir, env, logs, said } = await sandbox(t, { onionmc: ONIONMC });
  const steps = await stepsOf('docs/signet.md');
  const begun = await runSteps(t, steps, {
    logs,
    cwd: dir,
    env: { ...env, ONIONMC_TORRC_EXTRA: await torrcExtra(dir, network.torrcLines) },
    // The real network is slower than the private one.
    replace: [['maker_timeout_sec = 20', 'maker_timeout_sec = 6']],
    after: {
      prepare: `sed -i '${ANY_SERVING_PORT}' ~/signet/directory/joinmarket.cfg`,
      directory: `until_shown directory 'onion service reachable'`,
      maker: `until_shown maker 'offers announced'`,
    },
    before: {
      tidy: 'kill "${PIDS[maker]}" "${PIDS[directory]}"; wait "${PIDS[maker]}" "${PIDS[directory]}"',
    },
  });
  t.same(begun, [...steps.map(({ name }) => name), 'done']);
  const [address = ''] = /[a-z2-7]{56}\.onion:5222/.exec(await said('prepare')) ?? [];
  const [nick = ''] = /^J5\w{14}/.exec(await said('maker')) ?? [];
  t.ok((await said('directory')).startsWith(address), 'the address that init printed');
  const book = await said('taker');
  t.ok(nick !== '' && book.includes(nick), "the maker's offer is in the book");
});

t.test('docs/signet.md, without Tor', async (t) => {
  const { dir, env, logs, said } = await sandbox(t, { onionmc: ONIONMC });
  const port = await freePort();
  const steps = await stepsOf('docs/signet.md', 'loopback');
  const begun = await runSteps(t, steps, {
    logs,
    cwd: dir,
    env,
    replace: [['8181', String(port)]],
    after: {
      directory: `until_shown directory 'directory node is up'`,
      maker: `until_shown maker 'offers announced'`,
    },
    before: {
      tidy: 'kill "${PIDS[maker]}" "${PIDS[directory]}"; wait "${PIDS[maker]}" "${PIDS[directory]}"',
    },
  });
  t.same(begun, [...steps.map(({ name }) => name), 'done']);
  const [nick = ''] = /^J5\w{14}/.exec(await said('maker')) ?? [];
  t.ok(nick !== '' && (await said('taker')).includes(nick));
});

/** Starts, stops and reloads the program of the installed unit; knows only the commands of the page. */
const SYSTEMCTL = `
unit=/etc/systemd/system/onionmc-directory.service
pid=$SANDBOX/pid
start() {
  command=$(sed -n 's/^ExecStart=//p' "$unit")
  [[ -n $command ]] || exit 1
  bash -c "exec $command" </dev/null >"$SANDBOX/address" 2>"$SANDBOX/journal" &
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
'enable --now onionmc-directory') [[ -e $pid ]] || start ;;
'reload onionmc-directory') kill -HUP "$(<"$pid")" ;;
'stop onionmc-directory') stop ;;
*) echo "systemctl $*: not known here" >&2; exit 1 ;;
esac`;

/** The files of a clone. */
const GIT = `
[[ $1 != pull ]] || exit 0
[[ $1 == clone ]] || exit 1
shopt -s dotglob
mkdir "$3" && cd "$2" && cp -r docs deploy scripts systemd package.json package-lock.json joinmarket.cfg.example tsconfig.json tsconfig.build.json src "$3"`;

/** Installs the packages of this clone, and copies its build. */
const NPM = `
echo "npm $*" >>"$SANDBOX/calls"
case $1 in
ci) mkdir node_modules && ln -s '${ROOT}'node_modules/* node_modules ;;
run) cp -r '${ROOT}dist' dist ;;
esac`;

t.test('docs/directory.md', async (t) => {
  const network = await torNetworkFor(t);
  const { dir, env, logs, said } = await sandbox(t, {
    sudo: 'exec "$@"',
    'apt-get': 'echo "apt-get $*" >>"$SANDBOX/calls"',
    npm: NPM,
    git: GIT,
    systemctl: SYSTEMCTL,
    curl: `exec node -e 'fetch(process.argv[1]).then(async (r) => { console.log(await r.text()); process.exitCode = Number(!r.ok) }, () => { process.exitCode = 7 })' "$1"`,
  });
  // The key of an old directory, as Tor itself makes it.
  const old = join(dir, 'old');
  await mkdir(old, { mode: 0o700 });
  await network.startTor({
    extraTorrc: [`HiddenServiceDir ${old}`, 'HiddenServicePort 5222 127.0.0.1:1'],
  });
  const port = await freePort();
  const wipe =
    'systemctl stop onionmc-directory; rm -r /var/lib/onionmc-directory /etc/systemd/system/onionmc-directory.service';
  const hostname = '/var/lib/onionmc-directory/hidden_service/hostname';
  const served = `until curl http://127.0.0.1:${port}/healthz >/dev/null; do kill -0 "$(<"$SANDBOX/pid")"; sleep 0.3; done`;
  // The machine of the test may have a Tor, and may have another status page.
  const editConfig = `sed -i 's/^status_port = .*/status_port = ${port}/; s/^tor_mode = auto/tor_mode = managed/; ${ANY_SERVING_PORT}' /var/lib/onionmc-directory/joinmarket.cfg`;
  const start = `systemctl daemon-reload; systemctl enable --now onionmc-directory; ${served}`;
  const steps = await stepsOf('docs/directory.md');
  // Mounts that only this shell and its children see: folders of the sandbox in the places of the real
  // ones, with all entries of the real ones except those of onionmc.
  const shadow = `shadow() {
    local entry name
    for entry in "$1"/*; do
      name=\${entry##*/}
      case $name in onionmc* | '*') continue ;; esac
      if [[ -L $entry ]]; then
        cp -P "$entry" "$2/$name"
        continue
      elif [[ -d $entry ]]; then mkdir "$2/$name"
      else : >"$2/$name"; fi
      mount --rbind "$entry" "$2/$name"
    done
    mount --rbind "$2" "$1"
  }
  shadow /opt "$SANDBOX/opt"
  shadow /var/lib "$SANDBOX/lib"
  shadow /etc/systemd/system "$SANDBOX/units"`;
  const isRoot = process.geteuid?.() === 0;
  const asRoot = isRoot ? '' : 'r';
  // The user that systemd makes for the service owns the files of a real backup.
  const ofTheService = `chown -R 61000:61000 /var/lib/onionmc-directory/{hidden_service,joinmarket.cfg}`;
  const begun = await runSteps(t, steps, {
    logs,
    cwd: join(dir, 'home'),
    env: {
      ...env,
      SANDBOX: dir,
      ONIONMC_TORRC_EXTRA: await torrcExtra(dir, network.torrcLines),
    },
    shell: ['unshare', `-mpf${asRoot}`, '--mount-proc', '--kill-child', 'bash'],
    replace: [
      ['REPOSITORY', ROOT.replace(/\/$/, '')],
      ['THE-ADDRESS.onion', `$(<${hostname})`],
      ['onionmc status', `onionmc status --url http://127.0.0.1:${port}`],
      ['OLD-HIDDEN-SERVICE-DIR', old],
      ['/usr/local/bin/onionmc', join(dir, 'bin', 'onionmc')],
      ['62600', String(port)],
    ],
    before: {
      packages: shadow,
      backup: isRoot ? ofTheService : '',
      restore: wipe,
      import: wipe,
    },
    after: {
      init: editConfig,
      start: served,
      greeting: `until grep -q 'configuration re-read' "$SANDBOX/journal"; do sleep 0.1; done`,
      restore: `${start}; cat ${hostname}`,
      // The process id that the new process would report to systemd.
      update: `sed -n 's/^upgraded: .* as process \\([0-9]*\\);.*/\\1/p' "$LOGS/update.out" >"$SANDBOX/pid"; ${served}`,
      import: `cat ${hostname}; ${editConfig}; ${start}`,
    },
  });
  t.same(begun, [...steps.map(({ name }) => name), 'done']);
  const calls = await readFile(join(dir, 'calls'), 'utf8');
  t.match(calls, /^apt-get install git curl tor$/m);
  t.notMatch(calls, /apt-get -q/, 'with them, set-up finds no package missing');
  const onion = /[a-z2-7]{56}\.onion/;
  const [first = ''] = onion.exec(await said('init')) ?? [];
  t.match(await said('look'), new RegExp(`"ok":true[^]*peers[^]*${first}`));
  t.match(
    await said('restore'),
    new RegExp(`${first}[^]*`),
    'the address comes back with the backup',
  );
  t.match(
    await said('restore'),
    /configuration .*exists, unchanged[^]*onion key .*exists, unchanged/,
  );
  const oldAddress = (await readFile(join(old, 'hostname'), 'utf8')).trim();
  t.match(await said('import'), oldAddress, 'the old directory keeps its address');
  t.match(await readFile(join(dir, 'address'), 'utf8'), oldAddress, 'under which it is served');
});
