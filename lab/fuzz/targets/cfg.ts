/** `joinmarket.cfg`: the reader returns exactly the content of the lines, for any names. */
import { parseCfg } from '../../../src/config/cfg-file.js';
import { readItems } from '../../../src/config/cfg-lines.js';
import { ConfigError } from '../../../src/config/config-error.js';
import type { Seeds } from '../seeds.js';
import { must, mustEqual, payloadOf, type Target } from '../target.js';

const MAX_EXPANDED = 1_048_576;
/** Control characters, and characters that some programs take for the end of a line. */
// oxlint-disable-next-line no-control-regex -- control characters are what it looks for
const UNPRINTABLE = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/;
/** Expansion is expensive, and a few values show as much as all. */
const MAX_EXPANSIONS = 20;

function expand(get: () => string | undefined): string {
  try {
    const value = get();
    must(value !== undefined, 'an existing key has a value');
    must(value.length <= MAX_EXPANDED, 'an expanded value is bounded');
    return 'value';
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    must(error.message.length < 2_000, 'a message is bounded');
    must(!UNPRINTABLE.test(error.message), 'a message is one printable line');
    return 'bad-reference';
  }
}

export function cfgTarget({ configs }: Seeds): Target {
  return {
    name: 'cfg',
    seeds: configs.map((text) => Buffer.from(text)),
    words: [
      '[DEFAULT]',
      '[A]',
      '[a.b]',
      '\n ',
      '%(x)s',
      '%%',
      ' = ',
      ': ',
      '; ',
      '# ',
      '__proto__',
      'a[]',
    ],
    maxBytes: 60_000,
    *run(input) {
      const text = payloadOf(input);
      const parsed = parseCfg(text, 'fuzz.cfg');
      if (!parsed.ok) {
        must(parsed.fault.line >= 1, 'a fault has a line');
        yield parsed.fault.fault;
        return;
      }
      const items = readItems(text.startsWith('\ufeff') ? text.slice(1) : text);
      must(!('fault' in items), 'both read the same lines');
      const told = new Map<string, Map<string, string>>();
      let keys = new Map<string, string>();
      for (const item of items) {
        if (item.kind === 'section') {
          keys = told.get(item.name) ?? new Map<string, string>();
          told.set(item.name, keys);
        } else {
          keys.set(item.name, item.value);
        }
      }
      const { value: file } = parsed;
      const names = [...told.keys()].filter((name) => name !== 'DEFAULT');
      mustEqual(file.sections, names, 'the sections are those of the file');
      let expansions = 0;
      for (const name of names) {
        const own = told.get(name) ?? new Map<string, string>();
        mustEqual(file.ownKeys(name), [...own.keys()], 'the keys are those of the section');
        for (const [key, value] of own) {
          must(file.raw(name, key) === value, 'the last value counts');
          if (expansions++ < MAX_EXPANSIONS) yield expand(() => file.get(name, key));
        }
      }
      yield names.length > 0 ? 'sections' : 'empty';
    },
  };
}
