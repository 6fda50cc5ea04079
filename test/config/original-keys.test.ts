/**
 * docs/config-of-the-original.md against the keys that the programs read, the example file, and the keys of the
 * original with their defaults (`test/vectors/original-keys.json`).
 */
import { readFile } from 'node:fs/promises';
import t from 'tap';
import { parseCfg } from '../../src/config/cfg-file.js';
import { defaultConfigText } from '../../src/config/default-config.js';
import {
  POLICY_KEYS,
  TIMEOUT_KEYS,
  YIELDGENERATOR_KEYS,
  type SectionKeys,
} from '../../src/config/settings-keys.js';
import { settingsFrom } from '../../src/config/settings.js';
import { walletRules } from '../../src/config/wallet-rules.js';
import { recordOf } from '../../src/kit/json-record.js';

const SECTIONS: Readonly<Record<string, SectionKeys>> = {
  POLICY: POLICY_KEYS,
  YIELDGENERATOR: YIELDGENERATOR_KEYS,
  TIMEOUT: TIMEOUT_KEYS,
};

interface Row {
  readonly key: string;
  readonly here: string;
  readonly fallback: string;
  readonly text: string;
}

/** The rows of the page's tables, by section. */
async function tables(): Promise<ReadonlyMap<string, readonly Row[]>> {
  const page = await readFile(
    new URL('../../docs/config-of-the-original.md', import.meta.url),
    'utf8',
  );
  const parts = page.split(/^## /m).slice(1);
  return new Map(
    parts.map((part) => {
      const rows = part.split('\n').flatMap((line): readonly Row[] => {
        const [, key, here, fallback, text] =
          /^\| `(\w+)` +\| ([\w ]+?) +\| +(?:`([^`]+)` +)?\| (.+?) +\|$/.exec(line) ?? [];
        if (key === undefined || here === undefined || text === undefined) return [];
        return [{ key, here, fallback: fallback ?? '', text }];
      });
      return [part.slice(0, part.indexOf('\n')), rows] as const;
    }),
  );
}

async function original(): Promise<Readonly<Record<string, unknown>>> {
  const text = await readFile(new URL('../vectors/original-keys.json', import.meta.url), 'utf8');
  return recordOf(JSON.parse(text));
}

/** Spellings of a switch are the same value. */
const sameValue = (a: string, b: string): boolean => a === b || (a === 'true' && b === '1');

t.test('every key of the three sections has one row, and the row is true', async (t) => {
  const page = await tables();
  const theirs = await original();
  const example = parseCfg(await defaultConfigText(), 'joinmarket.cfg');
  if (!example.ok) throw new Error(example.fault.fault);
  t.same([...page.keys()], Object.keys(SECTIONS));
  for (const [section, keys] of Object.entries(SECTIONS)) {
    const rows = page.get(section) ?? [];
    const known = recordOf(theirs[section]);
    const all = new Set([...Object.keys(known), ...Object.keys(keys)]);
    t.same(rows.map(({ key }) => key).toSorted(), [...all].toSorted(), section);
    for (const { key, here, fallback } of rows) {
      const name = `[${section}] ${key}`;
      const isTheirs = Object.hasOwn(known, key);
      const own = keys[key];
      t.equal(own?.fallback ?? '', fallback, `${name}: the default of the table`);
      t.equal(
        example.value.get(section, key) !== undefined,
        own !== undefined,
        `${name}: in the example`,
      );
      const theirDefault = known[key];
      switch (here) {
        case 'as in the original':
          t.ok(isTheirs && own !== undefined, name);
          t.ok(
            sameValue(fallback, typeof theirDefault === 'string' ? theirDefault : ''),
            `${name}: the same default`,
          );
          break;
        case 'different':
          t.ok(isTheirs && own !== undefined, name);
          break;
        case 'ignored':
          t.ok(isTheirs && own === undefined, name);
          break;
        case 'only here':
          t.ok(!isTheirs && own !== undefined, name);
          break;
        default:
          t.fail(`${name}: ${here} is none of the four`);
      }
    }
  }
});

async function read(text: string) {
  const cfg = parseCfg(`[MESSAGING:onion]\ntype = onion\n${text}`, 'joinmarket.cfg');
  if (!cfg.ok) throw new Error(cfg.fault.fault);
  return settingsFrom(cfg.value, { datadir: '/data', role: 'wallet' });
}

t.test(
  'a file with the defaults of the original is read without an error or a notice',
  async (t) => {
    const lines = Object.entries(await original()).flatMap(([section, keys]) => [
      `[${section}]`,
      ...Object.entries(recordOf(keys)).flatMap(([key, value]) =>
        typeof value === 'string' ? [`${key} = ${value}`] : [],
      ),
    ]);
    const rest =
      '[DAEMON]\nno_daemon = 1\n[BLOCKCHAIN]\nrpc_wallet_file =\n[SNICKER]\nenabled = false\n';
    const { settings, notices } = await read(`${lines.join('\n')}\n${rest}`);
    t.same(notices, []);
    t.match(settings.policy, { gaplimit: 6, mergeAlgorithm: 'default', maxSatsFreezeReuse: -1 });
    t.equal(settings.yieldGenerator.cjfeeFactor, 0.1, 'a value of the file counts');
  },
);

t.test('three keys that the original obeys have no effect, and one line says so', async (t) => {
  const table = [
    [
      '[BLOCKCHAIN]\nrpc_wallet_file = jm\n[POLICY]\nlistunspent_args = [0]\nwallet_caching_disabled = true',
      /^joinmarket\.cfg: \[BLOCKCHAIN\] rpc_wallet_file, \[POLICY\] listunspent_args, \[POLICY\] wallet_caching_disabled have no effect here: /,
    ],
    [
      '[POLICY]\nlistunspent_args = [3]',
      /^joinmarket\.cfg: \[POLICY\] listunspent_args has no effect here: /,
    ],
  ] as const;
  for (const [text, line] of table) {
    // oxlint-disable-next-line no-await-in-loop -- one file after the other
    const { notices } = await read(text);
    t.equal(notices.length, 1);
    t.match(notices[0], line);
  }
  const { notices } = await read(
    '[POLICY]\nlistunspent_args = []\nwallet_caching_disabled = False',
  );
  t.same(notices, [], 'values that change nothing in the original either');
});

t.test('values that are not allowed', async (t) => {
  for (const line of [
    'merge_algorithm = fast',
    'gaplimit = 0',
    'gaplimit = 100001',
    'max_sats_freeze_reuse = -2',
  ]) {
    // oxlint-disable-next-line no-await-in-loop
    await t.rejects(read(`[POLICY]\n${line}`), { name: 'ConfigError' }, line);
  }
  const { settings } = await read('[POLICY]\ngaplimit = 2500\nmax_sats_freeze_reuse = 0');
  t.same(walletRules(settings), { gapLimit: 2500, freezeReuseUpTo: 0 });
});
