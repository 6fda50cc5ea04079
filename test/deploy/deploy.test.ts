/**
 * The files for an operator's machine, tested as far as possible without that machine: the images and the
 * compose file are read and compared with rules (no container engine runs here), tor checks the torrc, nft
 * the firewall, and the alerts are compared with the metrics of a running directory.
 */
import { execFile } from 'node:child_process';
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { createLoopbackOverlay } from '../../src/index.js';
import { startDirectoryNode } from '../../src/roles/directory-node.js';
import { CLUSTER_STATE, clusterOf } from '../helpers/cluster-state.js';
import { at, itemsOf, keysOf, parseYaml, textAt, type Yaml } from './yaml.js';
import { freePort } from '../../src/lab/private-network/free-ports.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const read = (path: string): Promise<string> => readFile(join(ROOT, path), 'utf8');

function run(program: string, args: readonly string[]): Promise<{ code: number; said: string }> {
  return new Promise((resolve) => {
    execFile(program, [...args], (error, stdout, stderr) => {
      const code = typeof error?.code === 'number' ? error.code : error === null ? 0 : -1;
      resolve({ code, said: stdout + stderr });
    });
  });
}

interface Instruction {
  readonly name: string;
  readonly text: string;
}

/** The instructions of a Containerfile, comments dropped and continued lines joined. */
function instructionsOf(text: string): readonly Instruction[] {
  const joined = text.replace(/^\s*#.*\n/gm, '').replace(/\s*\\\n\s*/g, ' ');
  return joined.split('\n').flatMap((line) => {
    const [, name, rest] = /^([A-Z]+)\s+(.*)$/.exec(line) ?? [];
    return name === undefined || rest === undefined ? [] : [{ name, text: rest }];
  });
}

/** The words of an instruction in JSON form. */
function jsonWords(text: string): readonly string[] {
  const words: unknown = JSON.parse(text);
  return Array.isArray(words) ? words.map(String) : [];
}

t.test('the Containerfile', async (t) => {
  const text = await read('Containerfile');
  const all = instructionsOf(text);
  const stages: { name: string; from: string; own: Instruction[] }[] = [];
  for (const instruction of all) {
    if (instruction.name === 'ARG' && stages.length === 0) continue;
    if (instruction.name === 'FROM') {
      const [, from = '', name = ''] = /^(\S+) AS (\w+)$/.exec(instruction.text) ?? [];
      stages.push({ from, name, own: [] });
    } else stages.at(-1)?.own.push(instruction);
  }
  t.same(
    stages.map(({ name }) => name),
    ['build', 'modules', 'tor', 'directory'],
  );
  for (const { from } of stages)
    t.match(from, /^\$\{(NODE|DEBIAN)_IMAGE\}$/, 'a base that can be set');
  for (const { text: arg } of all.filter(({ name }) => name === 'ARG')) {
    t.match(arg, /=docker\.io\/library\/(node|debian):[\w.-]+$/, 'a full name, and not `latest`');
    t.notMatch(arg, /latest/);
  }
  t.strictSame(
    all.filter(({ name }) => name === 'ADD'),
    [],
    'no hidden download or unpacking',
  );
  t.notMatch(text, /curl|wget|sudo|chmod 777|--privileged/);

  const named = new Set(stages.map(({ name }) => name));
  const ignored = (await read('.dockerignore')).split('\n');
  for (const { name, text: copy } of all) {
    if (name !== 'COPY') continue;
    const words = copy.split(/\s+/);
    const stage = /^--from=(\w+)$/.exec(words[0] ?? '')?.[1];
    if (stage !== undefined) {
      t.ok(named.has(stage), `COPY ${copy}: a stage of this file`);
      continue;
    }
    for (const source of words.slice(0, -1)) {
      t.ok(await stat(join(ROOT, source)).catch(() => undefined), `COPY: ${source} exists`);
      t.ok(ignored.includes(`!${source}`), `COPY: ${source} is sent to the builder`);
    }
  }
  t.ok(ignored.includes('*'), 'no other file is sent');
  const build = /"build": "([^"]*)"/.exec(await read('package.json'))?.[1] ?? '';
  for (const [script] of build.matchAll(/scripts\/\S+/g)) {
    t.ok(
      all.some(({ name, text: copy }) => name === 'COPY' && copy.includes(script)),
      `the build runs ${script}`,
    );
  }

  const runs = all.filter(({ name }) => name === 'RUN').map(({ text: command }) => command);
  const installs = runs.filter((command) => command.includes('npm ci'));
  t.equal(installs.length, 2);
  t.ok(
    installs.every((command) => command.includes('--ignore-scripts')),
    'no install script of a package runs',
  );
  t.match(
    stages.find(({ name }) => name === 'modules')?.own.find(({ name }) => name === 'RUN')?.text,
    / --omit=dev /,
  );
  for (const command of runs.filter((one) => one.includes('apt-get install'))) {
    t.match(
      command,
      /^apt-get update && .*--no-install-recommends .*&& rm -rf \/var\/lib\/apt\/lists/,
    );
  }

  for (const { name, own } of stages.slice(2)) {
    const only = (instruction: string): string => {
      const found = own.filter((one) => one.name === instruction);
      t.equal(found.length, 1, `${name}: one ${instruction}`);
      return found[0]?.text ?? '';
    };
    t.match(only('USER'), /^[1-9]\d{3,}:[1-9]\d{3,}$/, `${name}: a number, and not root`);
    t.match(jsonWords(only('VOLUME'))[0], /^\//);
    t.equal(only('STOPSIGNAL'), 'SIGTERM');
    t.ok(jsonWords(only('ENTRYPOINT')).length > 0, `${name}: gets signals itself, without a shell`);
    const last = own.map((one) => one.name);
    t.ok(
      last.lastIndexOf('RUN') < last.indexOf('USER'),
      `${name}: no command runs as root after USER`,
    );
  }
  const directory = stages.at(-1)?.own ?? [];
  const health = directory.find(({ name }) => name === 'HEALTHCHECK')?.text ?? '';
  t.match(health, /^--interval=\S+ --timeout=\S+ --start-period=\S+ --retries=\d+ CMD \[/);
  t.match(jsonWords(health.slice(health.indexOf('['))).at(-1), /\/healthz/);
  const entry = jsonWords(directory.find(({ name }) => name === 'ENTRYPOINT')?.text ?? '[]');
  t.same(entry, ['node', '/opt/onionmc/dist/cli/main.js']);
});

t.test('the health check of the image is that of the program', async (t) => {
  const directory = instructionsOf(await read('Containerfile'));
  const health = directory.find(({ name }) => name === 'HEALTHCHECK')?.text ?? '';
  const [program, flag, script = ''] = jsonWords(health.slice(health.indexOf('[')));
  t.same([program, flag], ['node', '-e']);
  const port = await freePort();
  const here = script.replace('127.0.0.1:62600', `127.0.0.1:${port}`);
  t.not(here, script, 'it asks the default address of the page');
  t.equal((await run(process.execPath, ['-e', here])).code, 1, 'no answer');
  const node = await startDirectoryNode({
    network: 'signet',
    overlay: createLoopbackOverlay({ host: '127.0.0.1', port: 0 }),
    status: { host: '127.0.0.1', port },
  });
  t.teardown(() => node.close());
  await node.reachable;
  t.equal((await run(process.execPath, ['-e', here])).code, 0, 'a directory that is reachable');
  const compose = parseYaml(await read('compose.yaml'));
  const test = itemsOf(at(compose, 'services', 'directory', 'healthcheck', 'test'));
  t.same(test, ['CMD', 'node', '-e', script], 'compose has the same, for engines without it');
});

t.test('the compose file', async (t) => {
  const compose = parseYaml(await read('compose.yaml'));
  const services = at(compose, 'services');
  t.same(keysOf(services), ['network', 'tor', 'directory']);
  const volumes = keysOf(at(compose, 'volumes'));
  const stages = (await read('Containerfile')).match(/^FROM .* AS \w+$/gm) ?? [];
  const known = new Set(
    'user read_only cap_drop security_opt init restart build image entrypoint network_mode depends_on volumes tmpfs ulimits stop_grace_period mem_limit pids_limit healthcheck'.split(
      ' ',
    ),
  );
  for (const name of keysOf(services)) {
    const service = at(services, name);
    // Above all no ports, privileged, cap_add, devices, pid, ipc, userns_mode or host network.
    t.strictSame(
      keysOf(service).filter((key) => !known.has(key)),
      [],
      `${name}: nothing unexpected`,
    );
    t.match(at(service, 'user'), /^[1-9]\d{3,}:[1-9]\d{3,}$/, `${name}: not root`);
    t.equal(at(service, 'read_only'), 'true');
    t.same(itemsOf(at(service, 'cap_drop')), ['ALL']);
    t.same(itemsOf(at(service, 'security_opt')), ['no-new-privileges:true']);
    t.match(at(service, 'mem_limit'), /^\d+[mg]$/);
    t.match(at(service, 'pids_limit'), /^\d+$/);
    t.equal(
      at(service, 'network_mode'),
      name === 'network' ? undefined : 'service:network',
      `${name}: the loopback interface of all three`,
    );
    for (const mount of itemsOf(at(service, 'volumes'))) {
      const [volume = '', target = ''] = mount.split(':');
      t.ok(volumes.includes(volume), `${name}: ${volume} is a volume, no folder of the host`);
      t.match(target, /^\//);
    }
    const target = textAt(service, 'build', 'target');
    if (target !== '') {
      t.equal(at(service, 'build', 'dockerfile'), 'Containerfile');
      t.ok(
        stages.some((stage) => stage.endsWith(` AS ${target}`)),
        `${name}: stage ${target}`,
      );
    }
  }
  const user = textAt(services, 'tor', 'user');
  t.equal(at(services, 'directory', 'user'), user, 'one user, which may read the cookie of Tor');
  t.ok((await read('Containerfile')).includes(`\nUSER ${user}\n`));
  t.match(itemsOf(at(services, 'directory', 'volumes')), [
    'directory-data:/data',
    /^tor-control:.*:ro$/,
    'onion-socket:/data/onion-socket',
  ]);
  t.ok(
    itemsOf(at(services, 'tor', 'volumes')).includes('onion-socket:/data/onion-socket'),
    'the unix socket has one path in both, as Tor is told it',
  );
});

t.test('the torrc of the image', async (t) => {
  const text = await read('deploy/torrc');
  for (const [, address] of text.matchAll(/^\w+Port (\S+)/gm)) {
    t.match(address, /^127\.0\.0\.1:\d+$/, 'only the loopback interface');
  }
  const compose = await read('compose.yaml');
  for (const [, folder = ''] of text.matchAll(
    /^(?:DataDirectory (\S+)|CookieAuthFile (\S+)\/[^/]+)$/gm,
  )) {
    if (folder !== '') t.ok(compose.includes(`:${folder}\n`), `${folder} is a volume`);
  }
  const cookieFolder = /^CookieAuthFile (\S+)\/[^/]+$/m.exec(text)?.[1] ?? 'none';
  t.ok(compose.includes(`:${cookieFolder}\n`) && compose.includes(`:${cookieFolder}:ro\n`));
  t.ok((await read('Containerfile')).includes(cookieFolder));
  const dir = t.testdir({ 'empty-torrc': '' });
  const copy = join(dir, 'torrc');
  await writeFile(copy, text.replaceAll(/\/(?:var\/lib|run)\/onionmc-tor/g, join(dir, 'tor')));
  const checked = await run('tor', [
    '--verify-config',
    '--defaults-torrc',
    join(dir, 'empty-torrc'),
    '-f',
    copy,
  ]);
  t.equal(checked.code, 0, checked.said);
});

t.test('the firewall', async (t) => {
  const file = join(ROOT, 'deploy', 'nftables.conf');
  const text = await readFile(file, 'utf8');
  for (const chain of ['input', 'forward', 'output']) {
    t.match(text, new RegExp(`type filter hook ${chain} priority filter; policy drop;`), chain);
  }
  const incoming = text.slice(text.indexOf('chain input'), text.indexOf('chain forward'));
  t.strictSame(
    incoming.match(/tcp dport .*/g)?.length,
    1,
    'one TCP port is open from outside: that of SSH',
  );
  t.notMatch(text, /5222|8080|9050|9051|62600/, 'no port of onionmc and no port of Tor');
  t.notMatch(text, /flush ruleset/, 'the tables of other programs are kept');
  if ((await run('nft', ['--version'])).code !== 0) return;
  let checked = await run('nft', ['-c', '-f', file]);
  if (checked.said.includes('Operation not permitted')) {
    // Without the rights of a network administrator: in a network namespace of our own.
    checked = await run('unshare', ['-rn', 'nft', '-c', '-f', file]);
  }
  t.same([checked.code, checked.said], [0, ''], 'nft accepts it');
});

/** Names of the metrics of onionmc, without the endings of a histogram. */
function metricNames(text: string): ReadonlySet<string> {
  const names = text.match(/\b(?:onionmc|nodejs|process)_[a-z0-9_]+/g) ?? [];
  return new Set(names.map((name) => name.replace(/_(?:bucket|sum|count)$/, '')));
}

/** The metrics of a directory that is a node of a cluster. A metric that has no value yet has its HELP line as well. */
async function metricsPage(t: Test): Promise<string> {
  const port = await freePort();
  const node = await startDirectoryNode({
    network: 'signet',
    overlay: createLoopbackOverlay({ host: '127.0.0.1', port: 0 }),
    status: { host: '127.0.0.1', port },
    cluster: () => clusterOf(() => CLUSTER_STATE),
  });
  t.teardown(() => node.close());
  await node.reachable;
  return (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
}

interface Query {
  readonly expr: string;
  readonly legendFormat: string;
}

interface Dashboard {
  readonly panels: readonly {
    readonly id: number;
    readonly title: string;
    readonly targets: readonly Query[];
  }[];
}

t.test('the Grafana dashboard: each metric and label that a panel uses exists', async (t) => {
  const page = await metricsPage(t);
  const there = metricNames(page);
  const docs = await read('docs/directory.md');
  const { panels }: Dashboard = JSON.parse(await read('deploy/grafana/onionmc-directory.json'));
  t.ok(panels.length >= 15);
  t.equal(new Set(panels.map(({ id }) => id)).size, panels.length, 'each panel has its own id');
  for (const { title, targets } of panels) {
    t.ok(targets.length > 0, `${title}: has a query`);
    for (const { expr, legendFormat } of targets) {
      const used = [...metricNames(expr)];
      t.equal(used.length, 1, `${title}: ${expr}`);
      for (const metric of used) {
        t.ok(there.has(metric), `${title}: ${metric} exists`);
        for (const [, label = ''] of legendFormat.matchAll(/\{\{(\w+)\}\}/g)) {
          const row = `\`${metric.replace('onionmc_', '')}{${label}}\``;
          t.ok(docs.includes(row), `${title}: docs/directory.md has ${row}`);
        }
      }
    }
  }
});

t.test('the alerts', async (t) => {
  const page = await metricsPage(t);
  const there = metricNames(page);

  const folder = join(ROOT, 'deploy', 'prometheus');
  for (const name of await readdir(folder)) parseYaml(await readFile(join(folder, name), 'utf8'));
  const rules = parseYaml(await read('deploy/prometheus/onionmc-directory.rules.yml'));
  const list: Yaml | undefined = at(rules, 'groups', 0, 'rules');
  const alerts = Array.isArray(list) ? list : [];
  t.ok(alerts.length >= 8);
  const names = alerts.map((rule) => at(rule, 'alert'));
  t.equal(new Set(names).size, alerts.length, 'each alert has a name of its own');
  for (const rule of alerts) {
    const name = textAt(rule, 'alert');
    const expr = textAt(rule, 'expr');
    const used = [...metricNames(expr)];
    t.ok(used.length > 0 || expr.startsWith('up{'), name);
    for (const metric of used) t.ok(there.has(metric), `${name}: ${metric} exists`);
    for (const [, metric = '', label = '', value = ''] of expr.matchAll(
      /(\w+)\{(\w+)=~?"([^"]+)"\}/g,
    )) {
      if (metric === 'up') continue;
      for (const one of value.split('|')) {
        t.ok(page.includes(`${metric}{${label}="${one}"}`), `${name}: ${label} ${one} exists`);
      }
    }
    t.match(at(rule, 'labels', 'severity'), /^(page|ticket)$/);
    t.ok(at(rule, 'annotations', 'summary'), `${name}: says what is wrong`);
    t.ok(at(rule, 'annotations', 'action'), `${name}: says what to do`);
  }
  const scrape = parseYaml(await read('deploy/prometheus/scrape.yml'));
  const job = textAt(scrape, 'scrape_configs', 0, 'job_name');
  t.ok(
    alerts.some((rule) => textAt(rule, 'expr') === `up{job="${job}"} == 0`),
    'one job name',
  );

  const docs = await read('docs/directory.md');
  const table = docs.slice(docs.indexOf('each with the prefix `onionmc_`'));
  const rows = table.slice(0, table.indexOf('\n\n')).matchAll(/^\| (`.*?) +\|/gm);
  const explained = [...rows].flatMap(([, cell = '']) =>
    [...cell.matchAll(/`(\w+)(?:\{\w+\})?`/g)].map(([, metric = '']) => `onionmc_${metric}`),
  );
  const ours = [...there].filter((metric) => metric.startsWith('onionmc_'));
  t.same(explained.toSorted(), ours.toSorted(), 'docs/directory.md explains each metric');

  for (const [metric, least] of [
    ['dropped_total', 20],
    ['handshakes_rejected_total', 13],
    ['closed_total', 20],
    ['cluster_dropped_total', 8],
  ] as const) {
    const [, afterwards = ''] = docs.split(`\`${metric}\` has these reasons`);
    const [reasons = ''] = afterwards.slice(afterwards.indexOf('| reason ')).split('\n\n', 1);
    const named = [...reasons.matchAll(/^\| (.*?) +\|/gm)].flatMap(([, cell = '']) =>
      [...cell.matchAll(/`([a-z-]+)`/g)].map(([, reason]) => reason),
    );
    const counted = [...page.matchAll(/^onionmc_(\w+)\{reason="([a-z-]+)"\}/gm)].flatMap(
      ([, name, reason]) => (name === metric ? [reason] : []),
    );
    t.ok(counted.length >= least, metric);
    t.same(new Set(named), new Set(counted), `docs/directory.md explains each reason of ${metric}`);
  }
});
