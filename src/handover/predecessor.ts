/** The old process's side of an upgrade: starts the new one and sends it the parcels. */
import type { ChildProcess, SendHandle } from 'node:child_process';
import type { Socket } from 'node:net';
import { HANDOVER_FORMAT, parseNewMessage, type NewMessage, type OldMessage } from './message.js';
import {
  isNativeHandle,
  socketOver,
  upgradeFault,
  type NativeHandle,
} from '../platform/native-socket.js';
import { handleIn } from './sockets.js';
import {
  ownImage,
  startProcess,
  type CarriedConnection,
  type ProgramImage,
  type StartedProcess,
} from './start-process.js';
import { errorCode } from '../kit/error-text.js';
import { HandoverError, type Parcel } from '../kit/movable.js';

/** Longest time to send one message, in milliseconds: the new process reads at once. */
const SEND_MS = 5_000;
const ECHO_MS = 5_000;
/** From the end of the new process to the last of its messages. */
const LAST_MESSAGES_MS = 500;
/** Codes of a send that failed because the new program closed its end of the channel. */
const CLOSED_CODES: ReadonlySet<string> = new Set([
  'EPIPE',
  'ECONNRESET',
  'ERR_IPC_CHANNEL_CLOSED',
]);
/** From the last message to the end of the channel: the new process takes the requests of the operator. */
const DISCONNECT_MS = 5_000;

export interface StartSuccessorOptions {
  readonly image?: ProgramImage;
  /**
   * The connections that are open now. Sent at the start, thousands take no longer than one; as parcels,
   * each takes a message and its answer.
   */
  readonly carried?: readonly CarriedConnection[];
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
  /** A second socket of the connection of a parcel, paused. */
  duplicate(key: string): Promise<Socket>;
  /** The parcels of all parts were sent; resolves when the new process has built them. */
  build(ms: number): Promise<void>;
  /** All parcels were sent; resolves when the new process is able to take over. */
  ready(ms: number): Promise<void>;
  /** Resolves when the new process has taken over. After a rejection it never will. */
  commit(ms: number): Promise<void>;
  /** After `commit`: waits until the new process has everything in place, and leaves it running. */
  leave(): Promise<void>;
  /** Ends the new process; resolves when it has ended. */
  kill(): Promise<void>;
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

class ChildSuccessor implements Successor {
  version = '';
  readonly #child: ChildProcess;
  readonly #carried: readonly string[];
  readonly #waiters = new Set<Waiter>();
  readonly #exited: Promise<void>;
  /** Why it gets no further message. */
  #over: HandoverError | undefined;
  /** How the process ended. */
  #how = 'it closed the channel';

  constructor({ child, carried }: StartedProcess) {
    this.#child = child;
    this.#carried = carried;
    this.#exited = new Promise((resolve) => {
      child.once('exit', (code, signal) => {
        this.#how = signal === null ? `exit code ${code ?? 'unknown'}` : signal;
        resolve();
      });
      child.once('error', (error) => {
        this.#how = error.message;
        if (child.pid !== undefined) return;
        this.#end(`the new program cannot be started: ${error.message}`);
        resolve();
      });
    });
    // Messages sent before its end are read before this event: the last message counts.
    const end = (): void => this.#end(`the new program ended (${this.#how})`);
    child.once('disconnect', () => void this.#exited.then(end));
    // Node does not emit that event while it waits for the answer to a handle.
    void this.#exited.then(() => setTimeout(end, LAST_MESSAGES_MS).unref());
    child.on('message', (raw: unknown, handle: unknown) => this.#onMessage(raw, handle));
  }

  get pid(): number {
    const { pid } = this.#child;
    if (pid === undefined) throw new HandoverError('the new program cannot be started');
    return pid;
  }

  /** Waits for its first message. */
  async greet(startMs: number): Promise<void> {
    const hello = this.#expect('answer', startMs, (m) => (m.say === 'hello' ? m : undefined));
    await Promise.all([hello, this.#send({ say: 'begin', format: HANDOVER_FORMAT })]);
    this.version = (await hello).version;
    if (this.#carried.length > 0) await this.#send({ say: 'carried', keys: this.#carried });
  }

  give(parcel: Parcel): Promise<void> {
    const { key, value } = parcel;
    return this.#send({ say: 'parcel', key, value }, handleIn(parcel));
  }

  withdraw(key: string): Promise<void> {
    return this.#send({ say: 'withdraw', key });
  }

  async duplicate(key: string): Promise<Socket> {
    const echo = this.#expect('send a socket back', ECHO_MS, (message, handle) =>
      message.say === 'echo' && message.key === key && isNativeHandle(handle) ? handle : undefined,
    );
    await Promise.all([echo, this.#send({ say: 'echo', key })]);
    return socketOver(await echo);
  }

  async build(ms: number): Promise<void> {
    const isBuilt = this.#expect('start its parts', ms, (m) => m.say === 'built' || undefined);
    await Promise.all([isBuilt, this.#send({ say: 'build' })]);
  }

  async ready(ms: number): Promise<void> {
    const isReady = this.#expect('get ready', ms, (m) => m.say === 'ready' || undefined);
    await Promise.all([isReady, this.#send({ say: 'end' })]);
  }

  async commit(ms: number): Promise<void> {
    const taken = this.#expect('take over', ms, (m) => m.say === 'taken' || undefined);
    try {
      await Promise.all([taken, this.#send({ say: 'commit' })]);
    } catch (error) {
      // This process must not continue while the new one could still take over.
      await this.kill();
      throw error;
    }
  }

  async leave(): Promise<void> {
    const child = this.#child;
    const disconnected = new Promise<void>((resolve) => child.once('disconnect', resolve));
    await this.#send({ say: 'bye' });
    let timer: NodeJS.Timeout | undefined;
    const timeout = new Promise<void>((resolve) => (timer = setTimeout(resolve, DISCONNECT_MS)));
    await Promise.race([disconnected, timeout]);
    clearTimeout(timer);
    if (child.connected) child.disconnect();
    child.unref();
  }

  async kill(): Promise<void> {
    const child = this.#child;
    if (child.pid === undefined) return;
    child.kill('SIGKILL');
    await this.#exited;
    if (child.connected) child.disconnect();
  }

  #end(reason: string): void {
    this.#over ??= new HandoverError(reason);
    for (const waiter of this.#waiters) waiter.fail(this.#over);
  }

  #onMessage(raw: unknown, handle: unknown): void {
    const message = parseNewMessage(raw);
    if (!message.ok) return;
    if (message.value.say === 'failed') {
      this.#end(`the new program cannot take over: ${message.value.why}`);
      return;
    }
    for (const waiter of this.#waiters) if (waiter.take(message.value, handle)) return;
  }

  /** Resolves with the first result of `pick`; rejects after `ms`, or when the process ends. */
  #expect<T>(
    what: string,
    ms: number,
    pick: (message: NewMessage, handle: unknown) => T | undefined,
  ): Promise<T> {
    return new Promise((resolve, reject) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#waiters.delete(waiter);
      };
      const waiter: Waiter = {
        take(message, handle) {
          const picked = pick(message, handle);
          if (picked === undefined) return false;
          done();
          resolve(picked);
          return true;
        },
        fail(error) {
          done();
          reject(error);
        },
      };
      const timer = setTimeout(() => {
        waiter.fail(new HandoverError(`the new program did not ${what} within ${ms / 1000} s`));
      }, ms);
      this.#waiters.add(waiter);
      if (this.#over !== undefined) waiter.fail(this.#over);
    });
  }

  #send(message: OldMessage, handle?: NativeHandle): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#over !== undefined || !this.#child.connected) {
        reject(this.#over ?? new HandoverError(`the new program ended (${this.#how})`));
        return;
      }
      const done = (error?: HandoverError): void => {
        clearTimeout(timer);
        this.#waiters.delete(waiter);
        if (error === undefined) resolve();
        else reject(error);
      };
      // Node does not call back for messages that are still waiting when the channel ends.
      const waiter: Waiter = { take: () => false, fail: done };
      let reason = `the new program took nothing for ${SEND_MS / 1000} s`;
      const timer = setTimeout(() => done(new HandoverError(reason)), SEND_MS);
      this.#waiters.add(waiter);
      this.#child.send(message, sendable(handle), {}, (error) => {
        if (error === null) {
          done();
          return;
        }
        reason = `the new program could not be reached: ${error.message}`;
        // Where it closed the channel, its last message, which is not read yet, or its end says why.
        if (!CLOSED_CODES.has(errorCode(error) ?? '')) done(new HandoverError(reason));
      });
    });
  }
}

/**
 * Starts the new process and resolves when it answers. Rejects with a HandoverError; nothing is left
 * running then.
 */
export async function startSuccessor(options: StartSuccessorOptions): Promise<Successor> {
  const fault = upgradeFault(process.versions.node);
  if (fault !== undefined) throw new HandoverError(fault);
  const started = startProcess(options.image ?? ownImage(), options.carried ?? []);
  const successor = new ChildSuccessor(started);
  try {
    await successor.greet(options.startMs);
    return successor;
  } catch (error) {
    await successor.kill();
    throw error;
  }
}
