/** The configurations in docs/lokinet.md are read, and its table of keys is the table of the program. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { parseCfg } from '../../src/config/cfg-file.js';
import { settingsFrom, type Role } from '../../src/config/settings.js';
import { LOKINET_KEYS } from '../../src/config/settings-keys.js';
import { iniLineOf, lokinetIni } from '../../src/lokinet/lokinet-ini.js';
import { ROOT } from './steps.js';

const page = await readFile(join(ROOT, 'docs/lokinet.md'), 'utf8');

t.test('its sections of joinmarket.cfg are those of a working program', async (t) => {
  const blocks = [...page.matchAll(/```ini (directory|taker|maker)\n([^`]*)```/g)];
  t.equal(blocks.length, 3);
  for (const [, name = '', lines = ''] of blocks) {
    const role: Role = name === 'directory' || name === 'maker' ? name : 'taker';
    const cfg = parseCfg(`[MESSAGING:onion]\ntype = onion\n${lines}`, 'joinmarket.cfg');
    if (!cfg.ok) throw new Error(cfg.fault.fault);
    // oxlint-disable-next-line no-await-in-loop
    const { settings, notices } = await settingsFrom(cfg.value, { datadir: '/data', role });
    t.same(notices, [], name);
    t.same(settings.onion.overlays, ['tor', 'lokinet']);
    t.equal(settings.onion.lokinet?.serve, role !== 'maker');
    t.equal(settings.onion.lokinet?.directoryNodes.length, role === 'directory' ? 0 : 1);
  }
});

t.test('its lines of lokinet.ini are those that the doctor and the log print', async (t) => {
  t.ok(page.includes(`\`\`\`ini\n${lokinetIni(5222)}\n\`\`\``));
  t.equal(iniLineOf(5222), 'srv=_joinmarket._tcp 10 0 5222');
});

t.test('its table has every key with its default', async (t) => {
  const rows = [...page.matchAll(/^\| `(\w+)` +\| (?:`([^`]*)`)? *\|/gm)];
  t.same(
    rows.map(([, key]) => key),
    Object.keys(LOKINET_KEYS),
  );
  for (const [, key = '', written] of rows) {
    const spec = Object.entries(LOKINET_KEYS).find(([name]) => name === key)?.[1];
    if (spec === undefined || key === 'type') continue;
    t.same(spec.parse(written ?? ''), spec.parse(spec.fallback), key);
  }
});
