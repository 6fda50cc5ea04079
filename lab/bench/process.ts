/** Child processes that answer one question at a time, over the channel of `fork`. */
import { fork, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** A question is `[name, ...arguments]`. */
export type Question = readonly [name: string, ...args: number[]];

export interface Child {
  /** Its process id. */
  readonly pid: number;
  /** The answer as JSON text; rejects when the process ends before it. */
  ask(...question: Question): Promise<string>;
  /** Sends a signal: SIGSTOP halts it, SIGCONT lets it run again. */
  signal(name: 'SIGSTOP' | 'SIGCONT'): void;
  stop(): Promise<void>;
}

/**
 * @param module name of a module in this folder, `.js`; or its address, for one in another folder
 * @param nodeOptions options of node itself
 */
export function startChild(
  module: string | URL,
  args: readonly (string | number)[],
  nodeOptions: readonly string[] = [],
): Child {
  const child: ChildProcess = fork(
    fileURLToPath(new URL(module, import.meta.url)),
    args.map(String),
    { execArgv: [...nodeOptions] },
  );
  const ended = new Promise<void>((resolve) => {
    child.once('exit', () => {
      resolve();
    });
  });
  return {
    pid: child.pid ?? 0,
    ask(...question) {
      return new Promise((resolve, reject) => {
        const onExit = (): void => {
          reject(new Error(`${String(module)} ended before it answered ${question[0]}`));
        };
        child.once('exit', onExit);
        child.once('message', (answer) => {
          child.off('exit', onExit);
          resolve(typeof answer === 'string' ? answer : '');
        });
        child.send(question);
      });
    },
    signal: (name) => void child.kill(name),
    async stop() {
      child.kill('SIGKILL');
      await ended;
    },
  };
}

function isQuestion(value: unknown): value is Question {
  return Array.isArray(value) && typeof value[0] === 'string';
}

/** The child's side. */
export function answerQuestions(answer: (name: string, args: readonly number[]) => unknown): void {
  // Ends with the process that asks.
  process.on('disconnect', () => process.exit());
  process.on('message', (question: unknown) => {
    if (!isQuestion(question)) return;
    const [name, ...args] = question;
    void Promise.resolve(answer(name, args)).then((value) =>
      process.send?.(JSON.stringify(value ?? null)),
    );
  });
}
