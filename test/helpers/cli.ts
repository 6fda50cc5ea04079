/** Runs the built command line as a user does: a process, its two outputs and its exit code. */
import { spawn, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunningCli {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  /** Resolves with the match as soon as standard output or error shows it; rejects when it ends first. */
  shows(stream: 'stdout' | 'stderr', pattern: RegExp): Promise<RegExpMatchArray>;
}

export interface CliOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

export function startCli(args: readonly string[], options: CliOptions = {}): RunningCli {
  return startProgram(process.execPath, [MAIN, ...args], options);
}

/** The same for any program of the repository. */
export function startProgram(
  program: string,
  args: readonly string[],
  options: CliOptions = {},
): RunningCli {
  const child = spawn(program, args, {
    cwd: options.cwd ?? ROOT,
    env: { ...process.env, NO_COLOR: '1', ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const text = { stdout: '', stderr: '' };
  const watchers = new Set<() => void>();
  let over = false;
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8');
    child[name].on('data', (chunk: string) => {
      text[name] += chunk;
      for (const watch of watchers) watch();
    });
  }
  const ended = new Promise<Ended>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => {
      over = true;
      resolve({ code, signal, ...text });
      for (const watch of watchers) watch();
    });
  });
  return {
    child,
    ended,
    shows: (stream, pattern) =>
      new Promise((resolve, reject) => {
        const watch = (): void => {
          const match = pattern.exec(text[stream]);
          if (match === null && !over) return;
          watchers.delete(watch);
          if (match !== null) resolve(match);
          else {
            reject(new Error(`ended before ${String(pattern)}:\n${text.stdout}\n${text.stderr}`));
          }
        };
        watchers.add(watch);
        watch();
      }),
  };
}

export function runCli(args: readonly string[], options: CliOptions = {}): Promise<Ended> {
  return startCli(args, options).ended;
}
