/** A child process of the soak: it gets orders, sends reports, and ends with this process. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

export interface Child<Order, Report> {
  readonly pid: number;
  tell(order: Order): void;
  /** The next report. Rejects when it ends, or takes longer than 30 s. */
  hears(): Promise<Report>;
  /** Waits for its end; kills it after a while. Resolves with its exit code, -1 when killed. */
  ended(): Promise<number>;
}

const ANSWER_LIMIT_MS = 30_000;
const END_LIMIT_MS = 10_000;

/** Starts a module beside this one; `isReport` tells whether a message is one of its reports. */
export function startChild<Order extends string | object, Report>(
  module: string,
  execArgv: readonly string[],
  isReport: (value: unknown) => value is Report,
): Child<Order, Report> {
  const child = fork(fileURLToPath(new URL(module, import.meta.url)), {
    execArgv: [...execArgv],
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  const exited = new Promise<number>((resolve) => {
    child.once('exit', (code) => {
      process.off('exit', kill);
      resolve(code ?? -1);
    });
  });
  function kill(): void {
    child.kill('SIGKILL');
  }
  process.once('exit', kill);

  return {
    pid: child.pid ?? -1,
    tell: (order) => void child.send(order),
    async hears() {
      const done = new AbortController();
      const { signal } = done;
      const limit = setTimeout(() => done.abort(), ANSWER_LIMIT_MS);
      const gone = exited.then((code) => [new Error(`${module} ended with ${code}`)]);
      try {
        const [said]: unknown[] = await Promise.race([once(child, 'message', { signal }), gone]);
        if (said instanceof Error) throw said;
        if (!isReport(said)) throw new Error(`${module} sent an unknown message`);
        return said;
      } finally {
        clearTimeout(limit);
        done.abort();
      }
    },
    async ended() {
      const limit = setTimeout(kill, END_LIMIT_MS);
      const code = await exited;
      clearTimeout(limit);
      return code;
    },
  };
}
