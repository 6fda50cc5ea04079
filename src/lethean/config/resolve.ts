/** The value of each option: command line before environment, before file, before default. Pure. */
import { nearestName } from '../../kit/nearest-name.js';
import { LetheanConfigError } from './config-error.js';
import { readIni } from './ini.js';
import {
  isOptionName,
  OPTION_NAMES,
  OPTIONS,
  variablesOf,
  type Option,
  type OptionName,
  type Values,
} from './options.js';

export type Level = 'command line' | 'environment' | 'file' | 'default';

export interface ConfigFile {
  readonly path: string;
  readonly text: string;
}

export interface Sources {
  /** By option name; several values of a list are joined with line feeds. */
  readonly commandLine: Readonly<Record<string, string>>;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** The later one overrides the earlier one. */
  readonly files: readonly ConfigFile[];
  readonly home: string;
  readonly varDir: string;
  readonly cfgDir: string;
}

export interface Resolved {
  readonly values: Values;
  readonly levels: Readonly<Record<OptionName, Level>>;
  /** One line for each option that is set and has no effect here. */
  readonly notices: readonly string[];
}

interface Found {
  readonly level: Level;
  /** As an error names it. */
  readonly place: string;
  readonly text: string;
}

/** All keys of one file. */
function fileEntries({ path, text: content }: ConfigFile): ReadonlyMap<OptionName, Found> {
  const ini = readIni(content);
  if (!ini.ok) {
    throw new LetheanConfigError(
      `${path}:${ini.line}`,
      'a line is "key = value", "[section]", or a comment that begins with #',
      ini.text,
    );
  }
  const found = new Map<OptionName, Found>();
  for (const { line, key, value } of ini.entries) {
    const place = `${path}:${line}: ${key}`;
    if (!isOptionName(key)) throw unknownKey(place, key);
    const before = found.get(key);
    const isList = optionOf(key).isList === true;
    if (before !== undefined && !isList) {
      throw new LetheanConfigError(place, 'this key is there before; leave one of them');
    }
    const text = before === undefined ? value : `${before.text}\n${value}`;
    found.set(key, { level: 'file', place, text });
  }
  return found;
}

function unknownKey(place: string, key: string): LetheanConfigError {
  const nearest = nearestName(key, OPTION_NAMES);
  const hint = nearest === undefined ? '' : ` Is ${nearest} meant?`;
  return new LetheanConfigError(
    place,
    `no option has this name.${hint} docs/lethean.md lists all of them`,
  );
}

const optionOf = (name: OptionName): Option<unknown> => OPTIONS[name];

function onCommandLine(name: OptionName, { commandLine }: Sources): Found | undefined {
  const text = commandLine[name];
  return text === undefined ? undefined : { level: 'command line', place: `--${name}`, text };
}

/** An empty variable counts as not set, as everywhere. */
function inEnvironment(name: OptionName, { environment }: Sources): Found | undefined {
  for (const variable of variablesOf(name)) {
    const text = environment[variable];
    if (text !== undefined && text !== '') return { level: 'environment', place: variable, text };
  }
  return undefined;
}

/** `~/` is the home folder, `{var-dir}` and the like the other options. */
function filled(text: string, folders: Readonly<Record<string, string>>): string {
  return text
    .replace(/^~(?=[/\\]|$)/, folders['home'] ?? '')
    .replace(/^\{([a-z-]+)\}/, (whole, name: string) => folders[name] ?? whole);
}

function read(name: OptionName, { place, text }: Found, folders: Record<string, string>): unknown {
  const { kind, isSecret } = optionOf(name);
  const value = kind.read(filled(text, folders));
  if (value !== undefined) return value;
  throw new LetheanConfigError(place, `allowed: ${kind.allowed}`, isSecret ? undefined : text);
}

/** Throws a LetheanConfigError for an unknown name or a value that is not allowed. */
export function resolveOptions(sources: Sources): Resolved {
  for (const name of Object.keys(sources.commandLine)) {
    if (!isOptionName(name)) throw unknownKey(`--${name}`, name);
  }
  const files = sources.files.map((file) => fileEntries(file)).toReversed();
  const folders: Record<string, string> = { home: sources.home };
  const values: Partial<Record<OptionName, unknown>> = {};
  const levels: Partial<Record<OptionName, Level>> = {};
  const notices: string[] = [];
  // The folders first: others are below them.
  const first: readonly OptionName[] = ['cfg-dir', 'var-dir'];
  const usual = new Map<OptionName, string>([
    ['cfg-dir', sources.cfgDir],
    ['var-dir', sources.varDir],
  ]);
  for (const name of new Set([...first, ...OPTION_NAMES])) {
    const option = optionOf(name);
    const found =
      onCommandLine(name, sources) ??
      inEnvironment(name, sources) ??
      files.map((entries) => entries.get(name)).find((entry) => entry !== undefined);
    const text = usual.get(name) ?? option.usual;
    const used: Found | undefined =
      found ??
      (text === undefined ? undefined : { level: 'default', place: `default of ${name}`, text });
    levels[name] = used?.level ?? 'default';
    if (used === undefined) continue;
    const value = read(name, used, folders);
    values[name] = value;
    if (first.includes(name) && typeof value === 'string') folders[name] = value;
    if (found !== undefined && option.unused !== undefined) {
      notices.push(`${found.place} has no effect: ${option.unused}`);
    }
  }
  // Every name of the table was read with its own kind.
  // oxlint-disable-next-line no-unsafe-type-assertion -- the table types each value
  return { values: values as Values, levels: levels as Record<OptionName, Level>, notices };
}
