/** The old process's side of an upgrade: starts the new one and sends it the parcels. */
import { spawn, type ChildProcess, type SendHandle } from 'node:child_process';
import {
  HANDOVER_FORMAT,
  HANDOVER_VARIABLE,
  parseNewMessage,
  type NewMessage,
  type OldMessage,
} from './message.js';
import { isNativeHandle, type NativeHandle } from './native-handle.js';
import { HandoverError, type Parcel } from './parcel.js';

/** Longest time to send one message, in milliseconds: the new process reads at once. */
const SEND_MS = 5_000;
const ECHO_MS = 5_000;

/** How the new process is started; by default like this one, so that a new build is used. */
export interface ProgramImage {
  readonly program: string;
  readonly args: readonly string[];
}

export interface StartSuccessorOptions {
  readonly image?: ProgramImage;
  /** From its start to its first message, in milliseconds. */
  readonly startMs: number;
}

/** The new process before it has taken over. Every call rejects with a HandoverError. */
export interface Successor {
  readonly pid: number;
  /** The version of the new process. */
  readonly version: string;
  /** Resolves when the parcel was sent. */
  give(parcel: Parcel): Promise<void>;
  /** Voids a parcel that was sent before. */
  withdraw(key: string): Promise<void>;
  /** Makes a second handle of the socket of a parcel. */
  duplicate(key: string): Promise<NativeHandle>;
  /** All parcels were sent; resolves when the new process is able to take over. */
  ready(ms: number): Promise<void>;
  /** Resolves when the new process has taken over. After a rejection it never will. */
  commit(ms: number): Promise<void>;
  /** After `commit`: leaves the new process running. */
  leave(): Promise<void>;
  /** Ends the new process; resolves when it has ended. */
  kill(): Promise<void>;
}

/** Like this process: same program, options and arguments. A symbolic link is resolved again. */
export function ownImage(): ProgramImage {
  return { program: process.execPath, args: [...process.execArgv, ...process.argv.slice(1)] };
}

/**
 * The environment of the new process without the id of systemd's main process, so that the watchdog
 * applies to it.
 */
function successorEnvironment(): NodeJS.ProcessEnv {
  const { WATCHDOG_PID: _, ...env } = process.env;
  return { ...env, [HANDOVER_VARIABLE]: String(HANDOVER_FORMAT) };
}

interface Waiter {
  /** Returns whether this was the awaited message. */
  take(message: NewMessage, handle: unknown): boolean;
  fail(error: HandoverError): void;
}

/** Node accepts handles of this kind too; its types name only what is made of them. */
function sendable(handle: NativeHandle | undefined): SendHandle {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- see above
  return handle as unknown as SendHandle;
}

/**
 * Starts the new process and resolves when it answers. Rejects with a HandoverError; nothing is left
 * running then.
 */
export async function startSuccessor(options: StartSuccessorOptions): Promise<Successor> {
  const { program, args } = options.image ?? ownImage();
  const child = spawn(program, args, {
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
    env: successorEnvironment(),
  });
  const waiters = new Set<Waiter>();
  let over: HandoverError | undefined;
  let how = 'it closed the channel';

  function end(why: string): void {
    over ??= new HandoverError(why);
    for (const waiter of waiters) waiter.fail(over);
  }
  const exited = new Promise<void>((resolve) => {
    child.once('exit', (code, signal) => {
      how = signal === null ? `exit code ${code ?? 'unknown'}` : signal;
      resolve();
    });
    child.once('error', (error) => {
      how = error.message;
      if (child.pid !== undefined) return;
      end(`the new program cannot be started: ${error.message}`);
      resolve();
    });
  });
  // Messages sent before its end are read before this event: the last message counts.
  child.once('disconnect', () => {
    void exited.then(() => end(`the new program ended (${how})`));
  });
  child.on('message', (raw: unknown, handle: unknown) => {
    const message = parseNewMessage(raw);
    if (!message.ok) return;
    if (message.value.say === 'failed') {
      end(`the new program cannot take over: ${message.value.why}`);
      return;
    }
    for (const waiter of waiters) if (waiter.take(message.value, handle)) return;
  });

  function expect<T>(
    what: string,
    ms: number,
    pick: (message: NewMessage, handle: unknown) => T | undefined,
  ): Promise<T> {
    return new Promise((resolve, reject) => {
      const settle = (): void => {
        clearTimeout(timer);
        waiters.delete(waiter);
      };
      const waiter: Waiter = {
        take(message, handle) {
          const picked = pick(message, handle);
          if (picked === undefined) return false;
          settle();
          resolve(picked);
          return true;
        },
        fail(error) {
          settle();
          reject(error);
        },
      };
      const timer = setTimeout(() => {
        waiter.fail(new HandoverError(`the new program did not ${what} within ${ms / 1000} s`));
      }, ms);
      waiters.add(waiter);
      if (over !== undefined) waiter.fail(over);
    });
  }

  function send(message: OldMessage, handle?: NativeHandle): Promise<void> {
    return new Promise((resolve, reject) => {
      if (over !== undefined || !child.connected) {
        reject(over ?? new HandoverError(`the new program ended (${how})`));
        return;
      }
      const settle = (error?: HandoverError): void => {
        clearTimeout(timer);
        waiters.delete(waiter);
        if (error === undefined) resolve();
        else reject(error);
      };
      // Node does not call back for messages that are still waiting when the channel ends.
      const waiter: Waiter = { take: () => false, fail: settle };
      const timer = setTimeout(() => {
        settle(new HandoverError(`the new program took nothing for ${SEND_MS / 1000} s`));
      }, SEND_MS);
      waiters.add(waiter);
      child.send(message, sendable(handle), {}, (error) => {
        if (error === null) settle();
        else settle(new HandoverError(`the new program could not be reached: ${error.message}`));
      });
    });
  }

  async function kill(): Promise<void> {
    if (child.pid === undefined) return;
    child.kill('SIGKILL');
    await exited;
    if (child.connected) child.disconnect();
  }

  try {
    const said = expect('answer', options.startMs, (m) => (m.say === 'hello' ? m : undefined));
    await Promise.all([said, send({ say: 'begin', format: HANDOVER_FORMAT })]);
    const { version } = await said;
    return successor(version);
  } catch (error) {
    await kill();
    throw error;
  }

  function successor(version: string): Successor {
    return {
      pid: pidOf(child),
      version,
      give: ({ key, value, handle }) => send({ say: 'parcel', key, value }, handle),
      withdraw: (key) => send({ say: 'withdraw', key }),
      async duplicate(key) {
        const echo = expect('send a socket back', ECHO_MS, (message, handle) =>
          message.say === 'echo' && message.key === key && isNativeHandle(handle)
            ? handle
            : undefined,
        );
        await Promise.all([echo, send({ say: 'echo', key })]);
        return echo;
      },
      async ready(ms) {
        const isReady = expect('get ready', ms, (m) => m.say === 'ready' || undefined);
        await Promise.all([isReady, send({ say: 'end' })]);
      },
      async commit(ms) {
        const taken = expect('take over', ms, (m) => m.say === 'taken' || undefined);
        try {
          await Promise.all([taken, send({ say: 'commit' })]);
        } catch (error) {
          // This process must not continue while the new one could still take over.
          await kill();
          throw error;
        }
      },
      async leave() {
        await send({ say: 'bye' });
        child.disconnect();
        child.unref();
      },
      kill,
    };
  }
}

function pidOf({ pid }: ChildProcess): number {
  if (pid === undefined) throw new HandoverError('the new program has no process');
  return pid;
}
