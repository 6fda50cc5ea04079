/** Alerts and dashboard of a maker: each metric and label that they use exists, and docs/maker.md explains it. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { silentLog } from '../../src/channel/log.js';
import { freePort } from '../../src/lab/private-network/free-ports.js';
import { MakerFigures } from '../../src/maker/figures.js';
import { systemClock } from '../../src/overlay/system-clock.js';
import { startMakerPage } from '../../src/roles/maker-page.js';
import { SAMPLE_NOW, sampleStatus } from '../helpers/sample-maker.js';
import { at, itemsOf, parseYaml, textAt, type Yaml } from './yaml.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const read = (path: string): Promise<string> => readFile(join(ROOT, path), 'utf8');

async function metricsPage(t: Test): Promise<string> {
  const port = await freePort();
  const server = await startMakerPage({
    host: '127.0.0.1',
    port,
    status: () => sampleStatus(),
    outside: () => ({
      reachable: true,
      tests: 4,
      failures: 1,
      testedAt: 0,
      dialMs: 1,
      answerMs: 1,
    }),
    figures: new MakerFigures(),
    clock: systemClock,
    log: silentLog,
    epoch: () => SAMPLE_NOW * 1000,
  });
  t.teardown(() => server?.close());
  return (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
}

function metricNames(text: string): ReadonlySet<string> {
  return new Set(text.match(/\b(?:onionmc|nodejs|process)_[a-z0-9_]+/g) ?? []);
}

t.test('the metrics of a maker', async (t) => {
  const page = await metricsPage(t);
  for (const line of [
    'onionmc_maker_available_satoshi{mixdepth="0"} 250200000',
    'onionmc_maker_held_satoshi{mixdepth="1"} 12000000',
    'onionmc_maker_offers 1',
    'onionmc_maker_offer_max_satoshi 250123456',
    'onionmc_maker_sessions{step="tx"} 1',
    'onionmc_maker_sessions{step="push"} 0',
    'onionmc_maker_sessions_ended_total{result="signed"} 0',
    'onionmc_maker_coinjoins{state="confirmed"} 120',
    'onionmc_maker_coinjoins{state="pending"} 1',
    'onionmc_maker_pending_satoshi 70',
    'onionmc_maker_oldest_pending_seconds 0',
    'onionmc_maker_reachable 1',
    'onionmc_maker_self_tests{kind="failed"} 1',
    'onionmc_maker_bond_locked_until_seconds 1851000000',
    'onionmc_maker_height 927001',
    'onionmc_maker_identity 1',
  ]) {
    t.ok(page.includes(`\n${line}\n`), line);
  }
  t.notMatch(page, /J5|onion:|[0-9a-f]{64}/, 'no nick, no onion, no transaction');
});

interface Dashboard {
  readonly title: string;
  readonly panels: readonly {
    readonly id: number;
    readonly title: string;
    readonly targets: readonly { readonly expr: string; readonly legendFormat: string }[];
  }[];
}

t.test('the Grafana dashboard of a maker', async (t) => {
  const there = metricNames(await metricsPage(t));
  const docs = await read('docs/maker.md');
  const { panels }: Dashboard = JSON.parse(await read('deploy/grafana/onionmc-maker.json'));
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
          t.ok(docs.includes(row), `${title}: docs/maker.md has ${row}`);
        }
      }
    }
  }
});

t.test('the alerts of a maker', async (t) => {
  const page = await metricsPage(t);
  const there = metricNames(page);
  const rules = parseYaml(await read('deploy/prometheus/onionmc-maker.rules.yml'));
  const list: Yaml | undefined = at(rules, 'groups', 0, 'rules');
  const alerts = Array.isArray(list) ? list : [];
  t.ok(alerts.length >= 8);
  const names = alerts.map((rule) => textAt(rule, 'alert'));
  t.equal(new Set(names).size, alerts.length, 'each alert has a name of its own');
  const docs = await read('docs/maker.md');
  for (const rule of alerts) {
    const name = textAt(rule, 'alert');
    const expr = textAt(rule, 'expr');
    const used = [...metricNames(expr)];
    t.ok(used.length > 0 || expr.startsWith('up{'), name);
    for (const metric of used) t.ok(there.has(metric), `${name}: ${metric} exists`);
    for (const [, metric = '', label = '', value = ''] of expr.matchAll(
      /(onionmc_\w+)\{(\w+)=~?"([^"]+)"\}/g,
    )) {
      for (const one of value.split('|')) {
        t.ok(page.includes(`${metric}{${label}="${one}"}`), `${name}: ${label} ${one} exists`);
      }
    }
    t.match(at(rule, 'labels', 'severity'), /^(page|ticket)$/);
    t.ok(at(rule, 'annotations', 'summary'), `${name}: says what is wrong`);
    t.ok(at(rule, 'annotations', 'action'), `${name}: says what to do`);
    t.ok(docs.includes(`\`${name}\``), `docs/maker.md names ${name}`);
  }
  const scrape = parseYaml(await read('deploy/prometheus/scrape.yml'));
  const jobs = [0, 1].map((i) => textAt(scrape, 'scrape_configs', i, 'job_name'));
  t.same(jobs, ['onionmc-directory', 'onionmc-maker']);
  t.same(itemsOf(at(scrape, 'scrape_configs', 1, 'static_configs', 0, 'targets')), [
    '127.0.0.1:62602',
  ]);

  const table = docs.slice(docs.indexOf('each with the prefix `onionmc_`'));
  const rows = table
    .slice(0, table.indexOf('\n\n', table.indexOf('| metric')))
    .matchAll(/^\| (`.*?) +\|/gm);
  const explained = [...rows].flatMap(([, cell = '']) =>
    [...cell.matchAll(/`(\w+)(?:\{\w+\})?`/g)].map(([, metric = '']) => `onionmc_${metric}`),
  );
  const ours = [...there].filter((metric) => metric.startsWith('onionmc_'));
  t.same(explained.toSorted(), ours.toSorted(), 'docs/maker.md explains each metric');
});
