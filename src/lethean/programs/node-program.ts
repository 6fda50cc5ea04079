/** The node of `run-daemon`. */
import { mkdir } from 'node:fs/promises';
import type { SupervisedOptions } from './supervised.js';
import { ProgramError } from './program-error.js';

export interface NodeProgramOptions extends Pick<SupervisedOptions, 'clock' | 'log'> {
  /** `daemon-bin`. */
  readonly program: string;
  /** Of its block chain; made where it is missing. */
  readonly folder: string;
  /** `daemon-rpc-url`; undefined: its own port. */
  readonly rpcUrl: URL | undefined;
  /** `daemon-p2p-port`; undefined: its own. */
  readonly p2pPort: number | undefined;
}

const LOCAL: ReadonlySet<string> = new Set(['127.0.0.1', 'localhost']);

/** The port of a URL of this machine. Throws a ProgramError. */
export function localPort(url: URL, option: string, run: string): number {
  const port = Number(url.port);
  if (url.protocol !== 'http:' || !LOCAL.has(url.hostname) || port === 0) {
    throw new ProgramError(
      'settings',
      `${run} = 1 starts a program of this machine, so ${option} must be http://127.0.0.1:PORT/json_rpc: correct it, or set ${run} = 0`,
    );
  }
  return port;
}

/** Throws a ProgramError for settings that do not fit together. */
export function nodeProgram(options: NodeProgramOptions): SupervisedOptions {
  const { program, folder, rpcUrl, p2pPort, clock, log } = options;
  const rpcPort =
    rpcUrl === undefined ? undefined : localPort(rpcUrl, 'daemon-rpc-url', 'run-daemon');
  const args = [
    '--non-interactive',
    `--data-dir=${folder}`,
    '--rpc-bind-ip=127.0.0.1',
    ...(rpcPort === undefined ? [] : [`--rpc-bind-port=${rpcPort}`]),
    ...(p2pPort === undefined ? [] : [`--p2p-bind-port=${p2pPort}`]),
  ];
  return {
    name: 'node',
    option: 'daemon-bin',
    program,
    folder,
    clock,
    log,
    async prepare() {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      return args;
    },
    clean: () => Promise.resolve(),
  };
}
