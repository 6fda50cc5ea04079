/** Runs the built command line as a user does: a process, its two outputs and its exit code. */
import { spawn, type ChildProcess } from 'node:child_process';
import { createServer, type Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import t from 'tap';

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
  /** Resolves with the match as soon as standard output or error has it; rejects when it ends first. */
  shows(stream: 'stdout' | 'stderr', pattern: RegExp): Promise<RegExpMatchArray>;
}

export interface CliOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** In a session of its own, so without the terminal that the test may have. */
  readonly detached?: boolean;
}

export function startCli(args: readonly string[], options: CliOptions = {}): RunningCli {
  return startProgram(process.execPath, [MAIN, ...args], options);
}

/** Ends the programs that a failed test left running, so that other tests do not wait for them. */
const running = new Set<ChildProcess>();
function endRunning(): void {
  for (const child of running) child.kill('SIGKILL');
}
t.teardown(endRunning);
// After a time-out there is no teardown.
process.once('exit', endRunning);

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
    detached: options.detached ?? false,
  });
  running.add(child);
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
      running.delete(child);
      // The runner fails a file whose standard error tells of a leak (test/runner/leaks.mjs).
      for (const line of text.stderr.match(/^\(node:\d+\) .*$/gm) ?? []) console.error(line);
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

/** A port of 127.0.0.1 that is taken until `close`. */
export async function takenPort(): Promise<{
  readonly port: number;
  /** Resolves when a connection has sent something; it gets no answer. */
  readonly asked: Promise<void>;
  readonly close: () => Promise<void>;
}> {
  const sockets = new Set<Socket>();
  const server = createServer();
  const asked = new Promise<void>((resolve) => {
    server.on('connection', (socket) => {
      sockets.add(socket);
      socket.on('error', () => {}).once('data', () => resolve());
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no TCP address');
  return {
    port: address.port,
    asked,
    close: () =>
      new Promise((resolve) => {
        for (const socket of sockets) socket.destroy();
        server.close(() => resolve());
      }),
  };
}
