/**
 * A program that runs as long as this one: started, started again a few times when it ends by itself, and ended with
 * this program. Where setpriv(1) of util-linux is there, the kernel ends it also after `kill -9` of this program.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import type { Log } from '../../channel/log.js';
import type { Clock } from '../../kit/clock.js';
import { deferred } from '../../kit/deferred.js';
import { errorText } from '../../kit/error-text.js';
import { pause } from '../../kit/pause.js';
import { shownLine } from '../../kit/shown-text.js';
import { findProgram } from './find-program.js';
import { ProgramError } from './program-error.js';

export interface SupervisedOptions {
  /** For people: `wallet RPC`. */
  readonly name: string;
  /** The option that names the program: `wallet-rpc-bin`. */
  readonly option: string;
  readonly program: string;
  /** Made anew for each start; what it needs is on disk when it resolves. */
  readonly prepare: () => Promise<readonly string[]>;
  /** The folder in which it runs. */
  readonly folder: string;
  /** Resolves when it works; asked until then. Absent: it works when it was started. */
  readonly answers?: () => Promise<boolean>;
  /** After it works, and after its end. */
  readonly clean: () => Promise<void>;
  readonly clock: Clock;
  readonly log: Log;
  /** Milliseconds until it must work; default 60 s. */
  readonly startMs?: number;
  /** Milliseconds between an end and the next start, doubled for each; default 1 s. */
  readonly restartMs?: number;
}

/** Restarts within `CALM_MS`; one more end is the last. */
const MAX_RESTARTS = 5;
/** After so long without an end, restarts are counted from 0. */
const CALM_MS = 600_000;
const START_MS = 60_000;
const RESTART_MS = 1_000;
const LOOK_MS = 50;
const STEADY_MS = 1_000;
/** It writes its files when it is told to end. */
const STOP_GRACE_MS = 20_000;
const MAX_OUTPUT_CHARS = 4_000;

/** What a program of the user gets of the environment: no option of this program, which may be a password. */
function environment(): NodeJS.ProcessEnv {
  const kept = ['PATH', 'HOME', 'TMPDIR', 'LANG', 'LD_LIBRARY_PATH'] as const;
  return Object.fromEntries(kept.map((name) => [name, process.env[name]]));
}

interface Life {
  readonly child: ChildProcess;
  /** What it said last. Resolves at its end; never rejects. */
  readonly ended: Promise<string>;
}

export class SupervisedProgram {
  readonly #options: SupervisedOptions;
  readonly #stopping = new AbortController();
  readonly #over = deferred<void>();
  #life: Life | undefined;

  private constructor(options: SupervisedOptions) {
    this.#options = options;
  }

  /** Resolves when it works. Rejects with a ProgramError, or the reason of the signal; nothing is left then. */
  static async start(options: SupervisedOptions, signal: AbortSignal): Promise<SupervisedProgram> {
    const supervised = new SupervisedProgram(options);
    const giveUp = (): void => supervised.#stopping.abort(signal.reason);
    signal.addEventListener('abort', giveUp, { once: true });
    try {
      signal.throwIfAborted();
      const life = await supervised.#begin();
      await supervised.#works(life);
      void supervised.#watch(life, options.clock.now());
      return supervised;
    } catch (error) {
      supervised.#over.resolve();
      await supervised.stop();
      signal.throwIfAborted();
      throw error;
    } finally {
      signal.removeEventListener('abort', giveUp);
    }
  }

  /** Ends it. Resolves when it has ended, and its files are removed. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    const life = this.#life;
    if (life !== undefined) {
      life.child.kill('SIGTERM');
      const timer = setTimeout(() => life.child.kill('SIGKILL'), STOP_GRACE_MS);
      await life.ended;
      clearTimeout(timer);
    }
    await this.#over.promise;
    await this.#clean();
  }

  async #begin(): Promise<Life> {
    const { name, option, program, prepare, folder } = this.#options;
    const path = await findProgram(program);
    if (path === undefined) {
      throw new ProgramError(
        'missing',
        `the ${name} cannot be started: there is no program ${shownLine(program)}; install it, or set ${option} to its path`,
      );
    }
    const setpriv = await findProgram('setpriv');
    const bound = setpriv === undefined ? [path] : [setpriv, '--pdeathsig', 'TERM', '--', path];
    const [first = path, ...args] = [...bound, ...(await prepare())];
    this.#stopping.signal.throwIfAborted();
    const child = spawn(first, args, {
      cwd: folder,
      env: environment(),
      stdio: ['ignore', 'pipe', 'pipe'],
      // Ctrl-C is for this program, which ends it after the payments.
      detached: true,
    });
    const life = { child, ended: endOf(child) };
    this.#life = life;
    return life;
  }

  async #works({ ended }: Life): Promise<void> {
    const { name, answers, clock, startMs = START_MS } = this.#options;
    const { signal } = this.#stopping;
    let last: string | undefined;
    void ended.then((words) => (last = words));
    const end = clock.now() + startMs;
    // Without an address that answers, a program that stays for a moment was started.
    const steady = clock.now() + STEADY_MS;
    const isDone = answers ?? (() => Promise.resolve(clock.now() >= steady));
    for (;;) {
      // oxlint-disable no-await-in-loop -- a program does not tell when it works
      const works = await isDone();
      await pause(clock, works ? 0 : LOOK_MS, signal);
      signal.throwIfAborted();
      // oxlint-enable no-await-in-loop
      if (last !== undefined) throw new ProgramError('ended', `the ${name} ended at once: ${last}`);
      if (works) break;
      if (clock.now() >= end) {
        throw new ProgramError('ended', `the ${name} did not answer within ${startMs / 1_000} s`);
      }
    }
    await this.#clean();
  }

  /** Never rejects. */
  async #watch(first: Life, startedAt: number): Promise<void> {
    const { name, clock, log } = this.#options;
    const { signal } = this.#stopping;
    let life: Life | undefined = first;
    let since = startedAt;
    let restarts = 0;
    let words = '';
    try {
      while (!signal.aborted) {
        // oxlint-disable no-await-in-loop -- one life after the other
        if (life !== undefined) words = await life.ended;
        if (signal.aborted) break;
        if (clock.now() - since >= CALM_MS) restarts = 0;
        if (restarts >= MAX_RESTARTS) {
          const fix = `correct what it says, and start this program again`;
          log.error(`the ${name} ended ${restarts + 1} times and is not started again`, {
            words,
            fix,
          });
          break;
        }
        log.warn(`the ${name} ended and is started again`, { words });
        await pause(clock, (this.#options.restartMs ?? RESTART_MS) * 2 ** restarts, signal);
        restarts += 1;
        since = clock.now();
        life = await this.#again().catch((error: unknown) => {
          words = errorText(error);
          return undefined;
        });
        // oxlint-enable no-await-in-loop
      }
    } catch {
      // The pause was ended by `stop`.
    } finally {
      this.#over.resolve();
    }
  }

  async #again(): Promise<Life> {
    const life = await this.#begin();
    try {
      await this.#works(life);
      return life;
    } catch (error) {
      life.child.kill('SIGKILL');
      await life.ended;
      throw error;
    }
  }

  async #clean(): Promise<void> {
    const { clean, log, name } = this.#options;
    await clean().catch((error: unknown) =>
      log.warn(`a file of the ${name} could not be removed`, { error: errorText(error) }),
    );
  }
}

function endOf(child: ChildProcess): Promise<string> {
  let output = '';
  const add = (chunk: Buffer): void => {
    output = (output + chunk.toString('utf8')).slice(-MAX_OUTPUT_CHARS);
  };
  child.stdout?.on('data', add);
  child.stderr?.on('data', add);
  return new Promise((resolve) => {
    child.once('error', (error) => {
      if (child.pid === undefined) resolve(errorText(error));
    });
    child.once('close', (code, signal) => {
      const lines = output.split('\n').filter((line) => line.trim() !== '');
      const said = shownLine(lines.slice(-2).join(' / '), 300);
      const how = signal ?? `code ${code ?? 'unknown'}`;
      resolve(said === '' ? how : `${how}: ${said}`);
    });
    child.once('exit', () => {
      // `close` waits for its output, which a process that it started may hold.
      child.stdout?.destroy();
      child.stderr?.destroy();
    });
  });
}
