/**
 * Runs docs/cluster.md as written, for two machines that are two loopback addresses of this one. Real: bash,
 * openssl, onionmc, both nats-servers with TLS, passwords and a route between them. Stand-ins: npm,
 * apt-get and chown (recorded), systemctl (the nats-servers are started by the test). Plain connections in place of Tor.
 */
import { spawn } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import t, { type Test } from 'tap';
import { freePorts } from '../../src/lab/private-network/free-ports.js';
import { startUpgradable, type Program } from '../handover/program.js';
import { loopbackConfig } from '../helpers/config.js';
import { NATS_PROGRAM } from '../helpers/nats-server.js';
import { ROOT, runSteps, stepsOf, type Step } from './steps.js';

t.setTimeout(240_000);

const PAGE = 'docs/cluster.md';
const HOSTS = { alpha: '127.0.0.1', beta: '127.0.0.2' } as const;
type Machine = keyof typeof HOSTS;
const MACHINES = ['alpha', 'beta'] as const;

/** The blocks after `<!-- file: NAME -->`. */
async function filesOf(page: string): Promise<ReadonlyMap<string, string>> {
  const text = await readFile(join(ROOT, page), 'utf8');
  const marked = /^<!-- file: (\S+) -->\n\n```\n([^`]*?)```$/gm;
  return new Map([...text.matchAll(marked)].map(([, name = '', body = '']) => [name, body]));
}

/** Answers as soon as the server is ready; the end of the test ends it. */
async function startServer(t: Test, file: string): Promise<void> {
  const child = spawn(NATS_PROGRAM, ['-c', file], { stdio: ['ignore', 'ignore', 'pipe'] });
  t.teardown(() => void child.kill('SIGKILL'));
  let log = '';
  await new Promise<void>((resolve, reject) => {
    child.once('exit', () => reject(new Error(log)));
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      log += text;
      if (log.includes('Server is ready')) resolve();
    });
  });
}

t.test('docs/cluster.md', async (t) => {
  const dir = t.testdir({
    bin: {
      ...Object.fromEntries(
        ['npm', 'apt-get', 'chown'].map((name) => [
          name,
          `#!/bin/bash\necho "${name} $*" >>"$SANDBOX/calls"\n`,
        ]),
      ),
      onionmc: `#!/bin/bash\nexec node '${ROOT}dist/cli/main.js' "$@"\n`,
    },
    ca: {},
    etc: { alpha: {}, beta: {} },
    logs: { alpha: {}, beta: {} },
  });
  const [clients = 0, routes = 0, ...status] = await freePorts(4);
  const env = { SANDBOX: dir, PATH: `${join(dir, 'bin')}${delimiter}${process.env['PATH'] ?? ''}` };
  await runSteps(t, [{ name: 'rights', background: false, commands: `chmod +x "${dir}"/bin/*` }], {
    logs: join(dir, 'logs'),
    env,
    cwd: dir,
    replace: [],
  });
  const plain = (n: number): string => loopbackConfig({ statusPort: status[n] ?? 0 });
  const programs: Record<Machine, Program> = {
    alpha: await startUpgradable(t, { config: plain(0) }),
    beta: await startUpgradable(t, { config: plain(1) }),
  };
  for (const machine of MACHINES) {
    await programs[machine].first.shows('stdout', /^127\.0\.0\.1:\d+\n/m);
  }
  const replaced = (text: string, machine: Machine): string =>
    [
      ['name=alpha', `name=${machine}`],
      ['/root/nats-ca', join(dir, 'ca')],
      ['/etc/nats/', `${join(dir, 'etc', machine)}/`],
      ['/var/lib/onionmc-directory', programs[machine].datadir],
      ['onionmc status', `onionmc status --datadir ${programs[machine].datadir}`],
      ['0.0.0.0', HOSTS[machine]],
      ['10.0.0.1', HOSTS.alpha],
      ['10.0.0.2', HOSTS.beta],
      ['4222', String(clients)],
      ['6222', String(routes)],
    ].reduce((all, [from = '', to = '']) => all.replaceAll(from, to), text);
  const steps = await stepsOf(PAGE);
  const follow = async (machine: Machine, ...names: readonly string[]): Promise<void> => {
    const chosen = names.map((name): Step => {
      const step = steps.find((one) => one.name === name);
      if (!step) throw new Error(`${PAGE} has no step ${name}`);
      return { ...step, commands: replaced(step.commands, machine) };
    });
    const session = { logs: join(dir, 'logs', machine), env, cwd: dir, replace: [] };
    const begun = await runSteps(t, chosen, session);
    t.strictSame(begun, [...names, 'done'], machine);
  };
  const said = (machine: Machine, step: string): Promise<string> =>
    readFile(join(dir, 'logs', machine, `${step}.out`), 'utf8');

  t.strictSame(
    steps.map(({ name }) => name),
    ['package', 'certificates', 'server', 'key', 'credentials', 'doctor', 'join', 'status'],
    'every step of the page is followed',
  );
  await follow('alpha', 'package', 'certificates', 'server', 'key');
  await follow('beta', 'package', 'server', 'key');
  const calls = await readFile(join(dir, 'calls'), 'utf8');
  t.match(calls, /^npm install --prefix \/opt @nats-io\/transport-node@3\.3\.1$/m);
  t.match(calls, /^apt-get install nats-server$/m);
  t.match(calls, /^chown nats: \S+\/alpha\/server\.key$/m);

  const files = await filesOf(PAGE);
  const keys = { alpha: await said('alpha', 'key'), beta: await said('beta', 'key') };
  for (const machine of MACHINES) {
    const other = machine === 'alpha' ? 'beta' : 'alpha';
    const etc = join(dir, 'etc', machine);
    const server = replaced(files.get('nats-server.conf') ?? '', machine);
    const route = server.replace(/nats-route:\/\/[\d.]+/, `nats-route://${HOSTS[other]}`);
    await writeFile(join(etc, 'nats-server.conf'), route);
    const section = replaced(files.get('joinmarket.cfg') ?? '', machine)
      .replace('node = alpha', `node = ${machine}`)
      .replace('KEY_OF_ALPHA', keys.alpha.trim())
      .replace('KEY_OF_BETA', keys.beta.trim());
    const { datadir } = programs[machine];
    await writeFile(join(datadir, 'joinmarket.cfg'), plain(MACHINES.indexOf(machine)) + section);
    const credentials = (files.get('nats.credentials') ?? '')
      .replace('alpha', machine)
      .replace('ALPHA', machine.toUpperCase());
    await writeFile(join(datadir, 'nats.credentials'), credentials);
    await follow(machine, 'credentials');
  }
  for (const machine of MACHINES) {
    await startServer(t, join(dir, 'etc', machine, 'nats-server.conf'));
  }

  for (const machine of MACHINES) {
    // The directory is not on Tor here, so the doctor finds more to say, and fails.
    const doctor = steps.find(({ name }) => name === 'doctor');
    const commands = `${replaced(doctor?.commands ?? '', machine)} || true`;
    await runSteps(t, [{ name: 'doctor', background: false, commands }], {
      logs: join(dir, 'logs', machine),
      env,
      cwd: dir,
      replace: [],
    });
    const lines = await said(machine, 'doctor');
    t.match(lines, /cluster key +.*the key of (alpha|beta) is the one in nodes/);
    t.match(lines, /NATS +.*2 servers let this node in, with TLS/);
    await follow(machine, 'join');
  }
  for (const [n, machine] of MACHINES.entries()) {
    const url = `http://127.0.0.1:${status[n] ?? 0}/status`;
    const deadline = performance.now() + 60_000;
    for (;;) {
      const text = await (await fetch(url)).text();
      if (text.includes('"state":"alive"')) break;
      if (performance.now() > deadline) throw new Error(text);
    }
    await follow(machine, 'status');
    t.match(await said(machine, 'status'), /^cluster   pit, 0 peers in all, .*connected$/m);
    t.match(await said(machine, 'status'), /alive, 0 peers/);
  }
});
