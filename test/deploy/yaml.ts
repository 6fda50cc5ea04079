/**
 * The part of YAML that the files of this repository use: nested maps and lists in block form, plain and
 * quoted scalars on one line, merge keys. Anything else is an error, so that no part of a file is ignored.
 */

export type Yaml = string | readonly Yaml[] | { readonly [key: string]: Yaml };

interface Row {
  readonly indent: number;
  readonly text: string;
  readonly line: number;
}

function rowsOf(text: string): Row[] {
  return text.split('\n').flatMap((raw, index) => {
    if (/^\s*(#.*)?$/.test(raw)) return [];
    const trimmed = raw.trimStart();
    return [{ indent: raw.length - trimmed.length, text: trimmed.trimEnd(), line: index + 1 }];
  });
}

function fail(row: Row | undefined, reason: string): never {
  throw new Error(`line ${row?.line ?? 'last'}: ${reason}: ${row?.text ?? ''}`);
}

function scalar(text: string, row: Row): string {
  const quoted = /^'((?:[^']|'')*)'$/.exec(text);
  if (quoted) return (quoted[1] ?? '').replaceAll("''", "'");
  // Text that begins syntax unknown to this parser, or that ends a scalar too early.
  if (/^['"[\]{}|>*&!%@`]/.test(text) || / #/.test(text) || /:( |$)/.test(text)) {
    fail(row, 'this YAML is not understood here');
  }
  return text;
}

/** Parses a file. Throws an Error that names the line. */
export function parseYaml(text: string): Yaml {
  const rows = rowsOf(text);
  const anchors = new Map<string, Yaml>();
  let next = 0;

  /** The value after `key:` or `-`, on the same line or indented below. */
  function value(rest: string, row: Row): Yaml {
    const anchor = /^&(\w+)$/.exec(rest)?.[1];
    if (rest !== '' && anchor === undefined) return scalar(rest, row);
    const below = rows[next];
    const parsed = below !== undefined && below.indent > row.indent ? block(below.indent) : '';
    if (anchor !== undefined) anchors.set(anchor, parsed);
    return parsed;
  }

  function list(indent: number): Yaml {
    const items: Yaml[] = [];
    for (
      let row = rows[next];
      row?.indent === indent && row.text.startsWith('- ');
      row = rows[next]
    ) {
      const inner = row.text.slice(2);
      if (/^[\w.-]+:( |$)/.test(inner)) {
        // A map whose first key follows the dash.
        rows[next] = { ...row, indent: indent + 2, text: inner };
        items.push(block(indent + 2));
      } else {
        next++;
        items.push(value(inner, row));
      }
    }
    return items;
  }

  function map(indent: number): Yaml {
    const entries: Record<string, Yaml> = {};
    /** A merged key may be given again; a key of the map itself may not. */
    const said = new Set<string>();
    for (let row = rows[next]; row?.indent === indent; row = rows[next]) {
      const [, key = '', rest = ''] =
        /^([\w./-]+|<<):(?: +(.*))?$/.exec(row.text) ?? fail(row, 'no key');
      next++;
      if (key === '<<') {
        const merged = anchors.get(rest.replace(/^\*/, ''));
        if (typeof merged !== 'object' || Array.isArray(merged)) fail(row, 'no such anchor');
        Object.assign(entries, merged);
      } else if (said.has(key)) fail(row, 'twice the same key');
      else entries[key] = value(rest, row);
      said.add(key);
    }
    return entries;
  }

  function block(indent: number): Yaml {
    return rows[next]?.text.startsWith('- ') === true ? list(indent) : map(indent);
  }

  const parsed = block(0);
  if (next < rows.length) fail(rows[next], 'wrong indentation');
  return parsed;
}

/** The value at a path of keys and positions; undefined if absent. */
export function at(
  value: Yaml | undefined,
  ...path: readonly (string | number)[]
): Yaml | undefined {
  let current: Yaml | undefined = value;
  for (const step of path) {
    if (typeof current !== 'object') return undefined;
    current = Object.entries(current).find(([key]) => key === String(step))?.[1];
  }
  return current;
}

/** The text at a path; empty if absent. */
export function textAt(value: Yaml | undefined, ...path: readonly (string | number)[]): string {
  const found = at(value, ...path);
  return typeof found === 'string' ? found : '';
}

/** Its keys; empty for anything but a map. */
export function keysOf(value: Yaml | undefined): readonly string[] {
  return typeof value === 'object' && !Array.isArray(value) ? Object.keys(value) : [];
}

/** Those of its items that are texts; empty for anything but a list. */
export function itemsOf(value: Yaml | undefined): readonly string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : [];
}
