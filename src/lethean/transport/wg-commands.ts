/** The commands of section 8.2: templates of options become arguments, and run without a shell. */
import { execFile } from 'node:child_process';
import { shownLine } from '../../kit/shown-text.js';
import { errorCode } from '../../kit/error-text.js';
import { TransportError } from './transport-error.js';

/** The commands as a person wrote them, or the defaults. `{iface}` and the like are filled in. */
export interface WireGuardCommands {
  /** `wg-cmd-prefix`, such as `sudo`. */
  readonly prefix: string;
  readonly createInterface: string;
  readonly deleteInterface: string;
  /** For each address: `{ip}`, `{prefix}`, `{mask}` (IPv4), `{af}` (ipv4 or ipv6). */
  readonly setIp: string;
  readonly setInterfaceUp: string;
  /** For each network: `{network}`, `{gw}`, `{prefix}`, `{mask}`, `{table}`. */
  readonly route: string;
}

/**
 * iproute2 and the kernel's WireGuard. Routes are in a table of their own, which only connections from the address of
 * the tunnel use: the rest of this machine keeps its ways. `noprefixroute`, because the provider chooses the prefix, and
 * the kernel would lead that whole network into the tunnel.
 */
export const DEFAULT_COMMANDS: WireGuardCommands = {
  prefix: '',
  createInterface: 'ip link add dev {iface} type wireguard',
  deleteInterface: 'ip link delete dev {iface}',
  setIp: 'ip address add {ip}/{prefix} dev {iface} noprefixroute',
  setInterfaceUp: 'ip link set dev {iface} up',
  route: 'ip route add {network} dev {iface} table {table}',
};

/** Milliseconds of one command. */
const COMMAND_TIMEOUT_MS = 20_000;
const MAX_OUTPUT_BYTES = 64 * 1024;

/**
 * Words of a command: separated by blanks, with blanks inside quotes of either kind. No other character has a
 * meaning. Undefined for a quote without its end.
 */
export function wordsOf(text: string): readonly string[] | undefined {
  const words: string[] = [];
  let rest = text.trimStart();
  while (rest !== '') {
    const word = /^(?:[^\s"']|"[^"]*"|'[^']*')+/.exec(rest)?.[0];
    if (word === undefined) return undefined;
    words.push(
      word.replaceAll(/"([^"]*)"|'([^']*)'/g, (_, one?: string, two?: string) => one ?? two ?? ''),
    );
    rest = rest.slice(word.length);
    if (rest !== '' && !/^\s/.test(rest)) return undefined;
    rest = rest.trimStart();
  }
  return words;
}

/**
 * The arguments of a template. Values are filled into words that are already separated, so that no value becomes two
 * arguments. Throws a TransportError (`unsupported`) for a name without a value.
 */
export function commandOf(
  prefix: string,
  template: string,
  values: Readonly<Record<string, string>>,
): readonly string[] {
  const words = wordsOf(template);
  const before = wordsOf(prefix);
  if (words === undefined || before === undefined || words.length === 0) {
    throw new TransportError('unsupported', `not a command: ${shownLine(template, 200)}`);
  }
  const filled = words.map((word) =>
    word.replaceAll(/\{([a-z]+)\}/g, (_, name: string) => {
      const value = Object.hasOwn(values, name) ? values[name] : undefined;
      if (value !== undefined) return value;
      throw new TransportError(
        'unsupported',
        `{${name}} has no value in "${shownLine(template, 200)}"; it knows ${Object.keys(values).join(', ')}`,
      );
    }),
  );
  return [...before, ...filled];
}

/** Runs a command; resolves with its output. Rejects with a TransportError (`program`, `aborted`). */
export function runCommand(argv: readonly string[], signal: AbortSignal): Promise<string> {
  const [program = '', ...args] = argv;
  const shown = shownLine([program, ...args].join(' '), 200);
  return new Promise((resolve, reject) => {
    const options = { signal, timeout: COMMAND_TIMEOUT_MS, maxBuffer: MAX_OUTPUT_BYTES };
    execFile(program, args, options, (error, stdout, stderr) => {
      if (error === null) {
        resolve(stdout);
        return;
      }
      if (signal.aborted) {
        reject(new TransportError('aborted', `"${shown}" was cancelled`, { cause: error }));
        return;
      }
      const missing = errorCode(error) === 'ENOENT';
      const words = missing
        ? `the program ${program} was not found`
        : shownLine(stderr.trim().split('\n').at(-1) ?? '', 200);
      reject(new TransportError('program', `"${shown}" failed: ${words}`, { cause: error }));
    });
  });
}
